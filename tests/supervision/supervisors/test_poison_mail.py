"""Tests of mail that crashes its receiver: each such message is told of once, and nothing loops.

The message in hand at a crash is gone with it. It is handed to `on_undelivered` and to the
dead-letter event, once each, whichever way it came; and the budgets of restarts see to it that a
mailbox full of such messages comes to an end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import anyio
import pytest
from attrs import define, field, frozen

from actors import (
    Actor,
    ActorSystem,
    DeadLetter,
    Event,
    Mailbox,
    ProcEnded,
    ProcExited,
    Ref,
    Reply,
    Request,
    StopError,
    on,
)
from actors.address import fast_paths
from actors.testing import settle
from supervision import (
    Backoff,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TreeExited,
    WhichChildren,
    serve,
)
from supervision.events import ChildParked

pytestmark = pytest.mark.dead_letters


@frozen
class Told:
    """A message for a plain handler."""

    row: int


@frozen
class ToldAwaiting:
    """A message for a handler that awaits before it crashes."""

    row: int


@frozen
class Stashed:
    """A message whose handler puts it aside and crashes then."""

    row: int


@frozen
class Asked(Request[int]):
    """A request for a plain handler, so it may be answered in the asker's turn."""

    row: int


@frozen
class AskedAwaiting(Request[int]):
    """A request for a handler that awaits."""

    row: int


@frozen
class AskedLater(Request[int]):
    """A request for a handler that takes a Reply."""

    row: int


Row = Told | ToldAwaiting | Stashed | Asked | AskedAwaiting | AskedLater
KINDS: list[type[Row]] = [Told, ToldAwaiting, Asked, AskedAwaiting, AskedLater]
OnRestart = Literal["keep", "drop"]


class Bad(Exception):
    """What a bad row does to its importer."""


@define
class Log:
    """Write down what becomes of rows, over all incarnations."""

    handled: list[int] = field(factory=list)
    aside: list[Row] = field(factory=list)
    letters: list[tuple[Row, str]] = field(factory=list)
    in_hand: list[object] = field(factory=list)
    parked: list[ChildParked] = field(factory=list)
    stop_errors: list[BaseException] = field(factory=list)

    def __call__(self, event: Event) -> None:
        match event:
            case DeadLetter(message=message, why=why):
                self.letters.append((message, str(why)))
            case ProcEnded(in_hand=message) if event.reason.is_abnormal:
                self.in_hand.append(message)
            case ChildParked():
                self.parked.append(event)
            case StopError(error=error):
                self.stop_errors.append(error)
            case _:
                pass


class Importer(Actor[Row]):
    """Import rows; a negative one is poison."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def on_undelivered(self, message: Row) -> None:
        """Set it aside."""
        self.log.aside.append(message)

    def take(self, row: int) -> int:
        """Crash on a bad row."""
        if row < 0:
            raise Bad(row)
        self.log.handled.append(row)
        return row

    @on(Told)
    def told(self, message: Told) -> None:
        self.take(message.row)

    @on(ToldAwaiting)
    async def told_awaiting(self, message: ToldAwaiting) -> None:
        await anyio.sleep(0.1)
        self.take(message.row)

    @on(Stashed)
    def stashed(self, message: Stashed) -> None:
        self.context.stash()
        self.take(message.row)

    @on(Asked)
    def asked(self, message: Asked) -> int:
        return self.take(message.row)

    @on(AskedAwaiting)
    async def asked_awaiting(self, message: AskedAwaiting) -> int:
        await anyio.sleep(0.1)
        return self.take(message.row)

    @on(AskedLater)
    def asked_later(self, message: AskedLater, reply: Reply[int]) -> None:
        reply.send(self.take(message.row))


async def ask_and_see(ref: Ref[Row], request: Request[int]) -> None:
    """Ask for a bad row: the asker hears of the crash at once."""
    with pytest.raises(ProcExited) as caught:
        await ref.ask(request, timeout=None)  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, Bad)


def poison(ref: Ref[Row], kind: type[Row], tasks: anyio.abc.TaskGroup, row: int = -1) -> Row:
    """Send a bad row, in the way of its kind."""
    message = kind(row)
    if isinstance(message, Request):
        tasks.start_soon(ask_and_see, ref, message)
    else:
        ref.tell(message)
    return message


@asynccontextmanager
async def importer(
    log: Log, supervisor: str, on_restart: OnRestart = "keep", **options: Any
) -> AsyncIterator[Ref[Row]]:
    """Run an importer under a supervisor, or under nobody."""
    mailbox = Mailbox(on_restart=on_restart)
    start: Callable[[], Importer] = partial(Importer, log)
    child = ChildSpec("importer", start, mailbox=mailbox, **options)
    if supervisor == "dynamic":
        async with serve(DynamicSupervisorSpec("top", max_restarts=99), observe=[log]) as app:
            ref = await app.supervisor.ask(StartChild(child))
            assert ref is not None
            yield ref
    elif supervisor == "static":
        tree = SupervisorSpec("top", [child], max_restarts=99)
        async with serve(tree, observe=[log]) as app:
            yield app.find("importer")
    else:
        try:
            async with ActorSystem() as system:
                system.events.subscribe(log)
                yield await system.spawn(start, mailbox=mailbox)
        except ExceptionGroup as group:  # nobody supervised it, and no asker was told
            assert [type(error) for error in group.exceptions] == [Bad]  # noqa: PT017


# -- once each ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "slow"])
@pytest.mark.parametrize("supervisor", ["static", "dynamic", "nobody"])
@pytest.mark.parametrize("on_restart", ["keep", "drop"])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_message_in_hand_at_a_crash_is_told_of_once(
    kind: type[Row],
    on_restart: OnRestart,
    supervisor: str,
    fast: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told or asked, kept or dropped: `on_undelivered` and a dead letter get it, once each."""
    monkeypatch.setattr(fast_paths, "enabled", fast)
    log = Log()
    async with importer(log, supervisor, on_restart) as ref, anyio.create_task_group() as tasks:
        message = poison(ref, kind, tasks)
        await anyio.sleep(1.0)
    assert log.aside == [message]
    assert log.letters == [(message, "in hand when its receiver crashed")]
    assert log.in_hand == [message]
    assert log.stop_errors == []


@pytest.mark.parametrize("supervisor", ["static", "dynamic"])
@pytest.mark.parametrize("kind", KINDS)
async def test_kept_mail_behind_a_bad_message_is_handled_once(
    kind: type[Row], supervisor: str
) -> None:
    """With "keep" the next incarnation goes on behind the bad message, and repeats nothing."""
    log = Log()
    async with importer(log, supervisor) as ref, anyio.create_task_group() as tasks:
        ref.tell(Told(1))
        ref.tell(Told(2))
        bad = poison(ref, kind, tasks)
        await settle()
        for row in (3, 4):
            ref.tell(Told(row))
        await anyio.sleep(1.0)
    assert log.handled == [1, 2, 3, 4]
    assert log.aside == [bad]
    assert [message for message, _ in log.letters] == [bad]


@pytest.mark.parametrize("supervisor", ["static", "dynamic"])
async def test_dropped_mail_behind_a_bad_message_is_told_of_once(supervisor: str) -> None:
    """With "drop" the bad message and all that waited behind it are told of, once each."""
    log = Log()
    async with importer(log, supervisor, "drop") as ref, anyio.create_task_group() as tasks:
        sent: list[Row] = [ToldAwaiting(-1), Told(1), Asked(2), Told(-3)]
        for message in sent:
            if isinstance(message, Asked):
                tasks.start_soon(ask_and_see, ref, message)
                await settle()
            else:
                ref.tell(message)
        await anyio.sleep(1.0)
        assert await ref.ask(Asked(4)) == 4
    dropped = "dropped at the restart of its receiver (crashed: Bad: -1)"
    assert log.aside == sent
    assert log.letters == [
        (ToldAwaiting(-1), "in hand when its receiver crashed"),
        *((message, dropped) for message in sent[1:]),
    ]
    assert log.handled == [4]


async def test_a_kill_calls_nobody_but_tells_of_the_message() -> None:
    """After a kill `on_undelivered` is not called; the dead letter has the message all the same."""
    log = Log()
    async with importer(log, "static") as ref:
        ref.tell(ToldAwaiting(7))
        await settle()
        ref.kill()
        await settle()
        assert await ref.ask(Asked(8)) == 8
    assert log.aside == []
    assert log.letters == [(ToldAwaiting(7), "in hand when its receiver was killed")]
    assert log.in_hand == [ToldAwaiting(7)]


# -- nothing loops -----------------------------------------------------------------------------

PATIENT = Backoff(20.0, 20.0, jitter=False)


async def test_consecutive_bad_messages_end_with_the_supervisors_budget() -> None:
    """Bad messages in a row use the supervisor's budget up; what is left is told of, once each."""
    log = Log()
    tree = SupervisorSpec("top", [ChildSpec("importer", partial(Importer, log))])
    sent = [Told(-number) for number in range(1, 9)]

    async def feed() -> None:
        async with serve(tree, observe=[log]) as app:
            for message in sent:
                app.find("importer").tell(message)
            await anyio.sleep(1.0)

    with pytest.raises(TreeExited):
        await feed()
    assert log.aside == sent
    assert [message for message, _ in log.letters] == sent
    assert [why for _, why in log.letters[:4]] == ["in hand when its receiver crashed"] * 4
    assert len(log.in_hand) == 4, "three restarts, and no more"


@pytest.mark.parametrize("supervisor", ["static", "dynamic"])
async def test_crashes_too_far_apart_for_the_supervisor_end_with_the_childs_budget(
    supervisor: str,
) -> None:
    """Where a backoff spreads the crashes, only the child's own budget sees them all, and parks."""
    log = Log()
    budget: dict[str, Any] = {"max_restarts": 4, "max_seconds": 3600.0, "when_spent": "park"}
    child = ChildSpec("importer", partial(Importer, log), backoff=PATIENT, **budget)
    tree: ChildSpec[Any] = SupervisorSpec("top", [child], max_restarts=1, max_seconds=5.0)
    if supervisor == "dynamic":
        tree = DynamicSupervisorSpec("top", max_restarts=1, max_seconds=5.0)
    async with serve(tree, observe=[log]) as app:
        if supervisor == "dynamic":
            await app.supervisor.ask(StartChild(child))
        ref: Ref[Row] = app.find("importer")
        sent = [Told(-number) for number in range(1, 9)]
        for message in sent:
            ref.tell(message)
        ref.tell(Told(1))
        await anyio.sleep(3600.0)
        (info,) = await app.supervisor.ask(WhichChildren())
        assert (info.state, info.restarts) == (ChildState.PARKED, 4)
        assert log.aside == [*sent, Told(1)]
        assert [why for _, why in log.letters] == [
            *["in hand when its receiver crashed"] * 5,
            *["parked"] * 4,
        ]
        assert [message for message, _ in log.letters] == log.aside
        (event,) = log.parked
        assert [crash.args for crash in event.error.crashes] == [(-1,), (-2,), (-3,), (-4,), (-5,)]
        assert await app.supervisor.ask(RestartChild("importer")) == ref
        assert await ref.ask(Asked(2)) == 2


async def test_a_bad_message_that_was_stashed_comes_again_until_the_budget_ends_it() -> None:
    """A message that its handler stashed before the crash is queued mail; parking ends the loop."""
    log = Log()
    child = ChildSpec(
        "importer", partial(Importer, log), max_restarts=3, max_seconds=60.0, when_spent="park"
    )
    async with serve(SupervisorSpec("top", [child], max_restarts=99), observe=[log]) as app:
        app.find("importer").tell(Stashed(-1))
        await anyio.sleep(1.0)
    (event,) = log.parked
    assert [crash.args for crash in event.error.crashes] == [(-1,)] * 4
    assert log.aside == [Stashed(-1)]
    assert log.letters == [(Stashed(-1), "parked")]

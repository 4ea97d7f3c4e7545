"""Tests of receivers: batches, fairness, control before mail, the message in hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Crashed,
    DeadLetter,
    Down,
    Exited,
    Killed,
    Normal,
    Proc,
    ProcEnded,
    ProcExited,
    Ref,
    Refusal,
    Reply,
    Request,
    Shutdown,
    on,
    task,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Do, Doer, Note, forever, pair


@frozen
class Get(Request[int]):
    """A request."""

    number: int = 0


# -- batches and fairness --------------------------------------------------------------------------


async def test_others_get_their_turn_after_64_messages() -> None:
    """A flooded actor handles 128 messages in a row, and then lets every other task run."""
    worker = Doer()
    turns: list[int] = [0]

    async def watch() -> None:
        while len(worker.log) < 640:
            await anyio.lowlevel.checkpoint()
            turns.append(len(worker.log))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: worker)
        await settle()
        for number in range(640):
            ref.tell(Note(number))
        tasks.start_soon(watch)
    assert all(count % 128 == 0 for count in turns)
    # Within one turn of the loop trio may run the actor last, and in the next one first.
    assert max(after - before for before, after in pairwise(turns)) <= 2 * 128
    assert worker.log == list(range(640))


# -- control comes first ---------------------------------------------------------------------------


async def test_a_flood_does_not_delay_a_shutdown(dead_letters: list[DeadLetter]) -> None:
    """A shutdown is seen after the message in hand, and all that waits becomes dead letters."""
    worker = Doer()
    entered, leave = anyio.Event(), anyio.Event()

    async def block(self: Doer) -> None:
        entered.set()
        await leave.wait()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: worker)
        ref.tell(Do(block))
        await entered.wait()
        for number in range(10_000):
            ref.tell(Note(number))
        tasks.start_soon(ref.shutdown)
        await settle()
        leave.set()
        assert await ref.wait() == Shutdown()
    assert worker.log == []
    assert [letter.message for letter in dead_letters] == [Note(number) for number in range(10_000)]
    assert {str(letter.why) for letter in dead_letters} == {"shutdown"}


async def test_a_kill_overtakes_all_mail(dead_letters: list[DeadLetter]) -> None:
    """A kill takes effect before the next message, also in the middle of a batch."""
    worker = Doer()
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: worker)
        ref.tell(Note(1))
        ref.tell(Do(lambda self: self.context.ref.kill()))
        ref.tell(Note(2))
        assert await ref.wait() == Killed()
    assert worker.log == [1]
    assert Note(2) in [letter.message for letter in dead_letters]


async def test_exit_notices_overtake_mail() -> None:
    """An exit of a linked proc is heard before all messages that wait, those put back included."""

    class Trapper(Doer):
        def on_exit(self, exited: Exited) -> None:
            self.log.append(exited.reason)

    def aside(self: Doer) -> None:
        self.log.append("stashed" if "stashed" not in self.log else "again")
        if "again" not in self.log:
            self.context.stash()

    async def put_back(self: Doer) -> None:
        await leave.wait()
        self.context.unstash_all()

    worker = Trapper()
    leave = anyio.Event()
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        ref = await system.spawn(lambda: worker)
        ref.tell(Do(aside))
        ref.tell(Do(lambda self: self.context.link(other)))
        ref.tell(Do(put_back))
        for number in range(3):
            ref.tell(Note(number))
        await settle()
        other.kill()
        await settle()
        leave.set()
        await settle()
    assert worker.log == ["stashed", Killed(), "again", 0, 1, 2]


@pytest.mark.dead_letters
@pytest.mark.parametrize("interval", [0.0001, 1.0])
async def test_a_timer_never_starves_control(interval: float) -> None:
    """A proc that is busy with its own timer all the time stops as soon as it is told."""

    class Ticker(Doer):
        async def on_start(self) -> None:
            self.context.send_every(interval, Note(0))

        @on(Note)
        async def note(self, message: Note) -> None:  # type: ignore[override]
            super().note(message)
            await anyio.sleep(3 * interval)

    async with ActorSystem() as system:
        ref = await system.spawn(Ticker)
        await anyio.sleep(100 * interval)
        began = anyio.current_time()
        assert await ref.shutdown() == Shutdown()
        assert anyio.current_time() - began <= 4 * interval


# -- what is in hand -------------------------------------------------------------------------------


class Hooked(Doer):
    """Do something in the hooks."""

    def __init__(self, hook: Callable[[Hooked], None]) -> None:
        super().__init__()
        self.hook = hook
        self.undelivered: list[object] = []

    def on_down(self, down: Down) -> None:
        self.hook(self)

    def on_exit(self, exited: Exited) -> None:
        self.hook(self)

    def on_undelivered(self, message: Note | Get | Do) -> None:
        self.undelivered.append(message)


def refuse(self: Hooked) -> None:
    """Raise a refusal where nobody asks."""
    raise Refusal("no")


def fail(self: Hooked) -> None:
    """Raise an error."""
    raise ValueError("hook")


@pytest.mark.parametrize("bind", ["monitor", "link"])
@pytest.mark.parametrize("hook", [refuse, fail])
@pytest.mark.dead_letters
async def test_a_hook_that_raises_crashes_the_actor_alone(
    bind: str, hook: Callable[[Hooked], None]
) -> None:
    """An error in `on_down` or `on_exit`, even a Refusal, is a crash with no message in hand."""
    worker = Hooked(hook)
    ends: list[Down] = []
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        ref = await system.spawn(lambda: worker)
        system.monitor(ref, ends.append)
        other.kill()
        await other.wait()
        # In one batch: the message is handled, then the hook raises.
        ref.tell(Do(lambda self: getattr(self.context, bind)(other)))
        ref.tell(Note(1))
        with Recorder(system, ProcEnded) as recorder:
            reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert hook is refuse or isinstance(reason.error, ValueError)
        assert hook is fail or isinstance(reason.error.__cause__, Refusal)
        assert [event.in_hand for event in recorder] == [None]
    # A Down waits behind the message; an exit overtakes it.
    assert worker.log == ([1] if bind == "monitor" else [])
    assert worker.undelivered == ([] if bind == "monitor" else [Note(1)])


async def test_a_refusal_in_a_hook_loses_no_control() -> None:
    """Of two exits that wait, the first of which makes the hook raise, nothing makes it deaf."""
    worker = Hooked(refuse)
    ends: list[Down] = []
    leave = anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        others = [await system.spawn(task(forever)) for _ in range(2)]
        ref = await system.spawn(lambda: worker)
        system.monitor(ref, ends.append)
        for other in others:
            ref.tell(Do(lambda self, other=other: self.context.link(other)))
        ref.tell(Do(lambda self: leave.wait()))
        await settle()
        for other in others:
            other.kill()
        await settle()
        tasks.start_soon(ref.shutdown)
        await settle()
        began = anyio.current_time()
        leave.set()
        assert isinstance(await ref.wait(), Crashed)
        assert anyio.current_time() == began


@pytest.mark.dead_letters
async def test_only_a_message_in_hand_is_stashed_and_once() -> None:
    """`stash` in a hook, or a second time, raises RuntimeError; nothing is handled again."""
    errors: list[str] = []

    def stash(self: Doer) -> None:
        with pytest.raises(RuntimeError) as raised:
            self.context.stash()
        errors.append(str(raised.value))

    worker = Hooked(stash)
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        other.kill()
        await other.wait()
        ref = await system.spawn(lambda: worker, id="worker")
        ref.tell(Do(lambda self: self.context.monitor(other)))
        ref.tell(Note(1))
        await settle()
        assert worker.log == [1]
        ref.tell(Do(lambda self: (self.context.stash(), stash(self))[1]))
        await settle()
        assert ref.statistics().stashed == 1
    assert errors == ["/worker has no message in hand to stash"] * 2


# -- the stash -------------------------------------------------------------------------------------


class Gate(Actor[Note | Get | Do]):
    """Stash everything until it is opened; `later` chooses the shape of the request handler."""

    def __init__(self) -> None:
        self.open = False
        self.seen: list[object] = []

    @on(Note)
    def put(self, message: Note) -> None:
        """Note it, or stash it."""
        if not self.open:
            self.context.stash()
        else:
            self.seen.append(message.text)

    @on(Get)
    def get(self, message: Get, reply: Reply[int]) -> None:
        """Answer, or stash it."""
        if not self.open:
            self.context.stash()
        else:
            self.seen.append(("get", message.number))
            reply.send(message.number)

    @on(Do)
    def do(self, message: Do) -> None:
        """Open."""
        self.open = True
        message.what(self)


class ReturningGate(Gate):
    """The same with a handler that returns its answer."""

    @on(Get)
    async def answer(self, message: Get) -> int:
        """Answer, or stash it."""
        await anyio.lowlevel.checkpoint()
        if not self.open:
            self.context.stash()
            return -1
        self.seen.append(("get", message.number))
        return message.number


@pytest.mark.parametrize("kind", [Gate, ReturningGate])
async def test_stashed_mail_comes_back_in_order(kind: type[Gate]) -> None:
    """What was stashed comes back in its order and before what waits, and requests are answered."""
    gate = kind()
    answers: list[int] = []

    async def ask(ref: Ref[Get], number: int) -> None:
        answers.append(await ref.ask(Get(number)))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: gate)
        gate.context.unstash_all()  # nothing: no harm
        ref.tell(Note(1))
        await settle()
        tasks.start_soon(ask, ref, 2)
        await settle()
        ref.tell(Note(3))
        await settle()
        assert ref.statistics().stashed == 3
        assert answers == []
        ref.tell(Do(lambda self: self.context.unstash_all()))
        ref.tell(Note(4))
        await settle()
        assert ref.statistics().stashed == 0
    assert gate.seen == [1, ("get", 2), 3, 4]
    assert answers == [2]


async def test_stashed_mail_is_given_up_with_the_address(dead_letters: list[DeadLetter]) -> None:
    """When the address ends, stashed messages are dead letters before those that were queued."""
    errors: list[Exception] = []

    async def ask(ref: Ref[Get]) -> None:
        try:
            await ref.ask(Get(2))
        except ProcExited as error:
            errors.append(error)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(Gate)
        ref.tell(Note(1))
        tasks.start_soon(ask, ref)
        await settle()
        ref.kill()
        ref.tell(Note(3))
        await settle()
        assert len(errors) == 1
    assert [letter.message for letter in dead_letters] == [Note(1), Get(2), Note(3)]


# -- the inbox of a proc that is no actor ----------------------------------------------------------


class Reading(Proc[Note | Get]):
    """Read an inbox and note what comes."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    async def run(self, shutdown: CancellationToken) -> None:
        async for received in self.context.inbox():
            self.seen.append(received.message)
            if received.reply is not None:
                received.reply.send(7)
        self.seen.append("end")


@pytest.mark.parametrize("how", ["stop", "shutdown"])
async def test_an_inbox_gives_messages_and_replies(
    how: str, dead_letters: list[DeadLetter]
) -> None:
    """An inbox gives messages and replies, at a `stop` what is queued first, at a shutdown none."""
    seen: list[object] = []
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: Reading(seen))
        ref.tell(Note(1))
        assert await ref.ask(Get(2)) == 7
        await settle()
        ref.tell(Note(3))
        if how == "stop":
            ref.stop()
            assert await ref.wait() == Normal()
        else:
            assert await ref.shutdown() == Shutdown()
    assert seen == [Note(1), Get(2), *([Note(3)] if how == "stop" else []), "end"]
    assert len(dead_letters) == (how == "shutdown")


async def test_an_inbox_shares_the_loop() -> None:
    """Reading a flooded inbox lets others run after each 128 messages."""
    seen: list[object] = []
    turns: list[int] = [0]

    async def watch() -> None:
        while len(seen) < 640:
            await anyio.lowlevel.checkpoint()
            turns.append(len(seen))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: Reading(seen))
        await settle()
        for number in range(640):
            ref.tell(Note(number))
        tasks.start_soon(watch)
    assert len(set(turns)) <= 7  # and no more often
    # Within one turn of the loop trio may run the proc last, and in the next one first.
    assert max(after - before for before, after in pairwise(turns)) <= 2 * 128
    assert seen[:640] == [Note(number) for number in range(640)]


async def test_an_actor_has_no_inbox() -> None:
    """`inbox()` in an actor raises RuntimeError, for its handlers read the mail."""
    async with ActorSystem() as system:
        worker = await pair(system, id="worker")
        with pytest.raises(RuntimeError, match=r"^/worker is an actor: its handlers read the mail"):
            worker.actor.context.inbox()


async def test_a_reply_of_an_inbox_that_is_thrown_away_fails_its_asker() -> None:
    """A request from an inbox whose reply is forgotten fails its asker at the next message."""

    class Forgetful(Proc[Get | Note]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for _ in self.context.inbox():
                del _

    async with ActorSystem() as system:
        ref = await system.spawn(Forgetful, id="proc")
        with pytest.raises(Exception, match=r"^/proc threw away the reply to Get unanswered$"):
            await ref.ask(Get())


async def test_a_flood_of_exits_lets_others_have_their_turn() -> None:
    """An actor hears of 128 exits in a row at most, and a stop that comes meanwhile is first."""
    heard: list[int] = []
    turns = [0]

    class Parent(Doer):
        def on_exit(self, exited: Exited) -> None:
            heard.append(turns[0])
            if len(heard) == 300:
                self.context.stop()

    async def flood(parent: Parent) -> None:
        for child in [await parent.context.spawn(Doer) for _ in range(400)]:
            child.kill()

    async def count() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns[0] += 1

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        parent = await pair(system, Parent)
        tasks.start_soon(count)
        parent.ref.tell(Do(flood))
        await parent.ref.wait()
        tasks.cancel_scope.cancel()
    assert len(heard) in (300, 384)
    assert max(heard.count(turn) for turn in heard) <= 256  # trio shuffles

"""Tests of what a handler does to its own actor before it ends, in the asker's turn or in its own.

Each case is played twice: asked so that the idle actor answers at once, and asked so that its own
task has to. All that is seen must be the same: what the asker got, what the actor handled and
heard, how it ended, and what was published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    DeadLetter,
    Normal,
    ProcEnded,
    ProcExited,
    Ref,
    Refusal,
    StopError,
)
from actors.testing import settle
from tests.kit.actors import Ask as SlowAsk
from tests.kit.actors import Do, Note
from tests.kit.inline import Ask, Closer, Quick, Trapper, both, fail, start, warm

Deed = Callable[[Quick, Ref[Any]], object]


class Both(Trapper, Closer):
    """Trap exits, and have something to do at the end."""


async def work(seconds: float) -> int:
    """Wait, if there is something to wait for, and answer."""
    if seconds:
        await anyio.sleep(seconds)
    return 7


DEEDS: dict[str, Deed] = {
    "kill linked": lambda quick, linked: linked.kill(),
    "kill": lambda quick, linked: quick.context.ref.kill(),
    "stop": lambda quick, linked: quick.context.stop(),
    "ref.stop": lambda quick, linked: quick.context.ref.stop(),
    "token": lambda quick, linked: quick.context.shutdown.cancel(),
    "tell": lambda quick, linked: quick.context.ref.tell(Note("told")),
    "monitor": lambda quick, linked: quick.context.monitor(linked),
    "stash": lambda quick, linked: quick.context.stash(),
    "unstash": lambda quick, linked: quick.context.unstash_all(),
}
CASES = [
    *((deed,) for deed in DEEDS),
    *((first, deed) for first in ("kill linked", "stash") for deed in DEEDS if deed != first),
    *((deed, "kill linked") for deed in DEEDS if deed not in ("kill linked", "stash")),
]
ENDS: dict[str, Callable[[], object]] = {
    "return": lambda: 5,
    "refuse": lambda: fail(Refusal("no")),
    "crash": lambda: fail(ValueError("broken")),
    "cancelled": lambda: fail(anyio.get_cancelled_exc_class()()),
    "work": lambda: work(0),
    "work that waits": lambda: work(0.5),
}


class Play:
    """One case: all that was seen of it, each thing where it was seen."""

    def __init__(self, deeds: tuple[str, ...], end: str) -> None:
        self.deeds = deeds
        self.end = end
        self.calls = 0
        self.log: list[Any] = []
        self.answer: object = None
        self.events: list[object] = []
        self.raised = ""

    @property
    def seen(self) -> list[str]:
        """Return it as text: errors are not equal to each other."""
        parts = (self.answer, self.calls, self.log, self.events, self.raised)
        return [repr(part) for part in parts]

    def look(self, event: object) -> None:
        """Write an event down."""
        if isinstance(event, DeadLetter):
            self.events.append((type(event.message), str(event.why)))
        elif isinstance(event, ProcEnded):
            self.events.append((event.ref.path, str(event.reason), type(event.in_hand)))
        elif isinstance(event, StopError):
            self.events.append(event.error)

    def handle(self, quick: Quick, linked: Ref[Any]) -> object:
        """Do what is to be done, the first time."""
        self.calls += 1
        if self.calls > 1:
            return "again"
        for deed in self.deeds:
            DEEDS[deed](quick, linked)
        return ENDS[self.end]()

    async def run(self, cls: type[Quick], task: bool, at_once: bool) -> None:
        """Have an actor do it."""
        try:
            async with ActorSystem() as system:
                linked = await start(system, id="linked")
                ref = await start(system, cls)
                await warm(ref, task)
                await ref.ask(Ask(lambda quick: setattr(quick, "log", self.log)))
                await ref.ask(Ask(lambda quick: quick.context.link(linked)))
                system.events.subscribe(self.look)
                await self.ask(ref, Ask(lambda quick: self.handle(quick, linked)), at_once)
                await settle()
                ref.tell(Note("after"))
        except BaseExceptionGroup as group:
            self.raised = repr(group.exceptions)

    async def ask(self, ref: Ref[Ask], question: Ask, at_once: bool) -> None:
        """Ask; nobody is answered at once who is handling an exception."""
        try:
            if at_once:
                self.answer = await ref.ask(question)
            else:
                try:
                    raise KeyError
                except KeyError:
                    self.answer = await ref.ask(question)
        except Exception as error:
            self.answer = (error, error.__cause__)


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize("cls", [Quick, Both])
@pytest.mark.parametrize("end", ENDS)
async def test_what_a_handler_did_before_it_ended(cls: type[Quick], end: str, task: bool) -> None:
    """Whatever a handler does to its own actor and however it ends, all is as in its own turn."""
    for deeds in CASES:
        at_once, slow = Play(deeds, end), Play(deeds, end)
        await at_once.run(cls, task, at_once=True)
        await slow.run(cls, task, at_once=False)
        interrupted = "kill" in deeds or ("kill linked" in deeds and cls is Quick)
        if end == "work" and interrupted and "stash" not in deeds:
            # In its own turn it gets as far as its first wait, which is its end here.
            assert repr(at_once.answer).startswith("(ProcExited"), deeds
            assert slow.answer == 7
        else:
            assert at_once.seen == slow.seen, deeds


@both
@pytest.mark.dead_letters
async def test_a_request_that_crashes_in_hand_is_never_left_waiting(task: bool) -> None:
    """A handler that ends a linked proc and then raises fails its asker; no hook hears of it."""
    async with ActorSystem() as system:
        linked, log = await start(system), list[Any]()
        ref = await start(system, Trapper)
        await warm(ref, task)
        await ref.ask(Ask(lambda quick: setattr(quick, "log", log)))
        await ref.ask(Ask(lambda quick: quick.context.link(linked)))
        with anyio.fail_after(1), pytest.raises(ProcExited) as raised:
            await ref.ask(Ask(lambda quick: (linked.kill(), fail(ValueError()))), timeout=None)
        assert isinstance(raised.value.__cause__, ValueError)
        assert log == []


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize("killed", [False, True], ids=["broken link", "killed"])
async def test_after_its_end_is_settled_nothing_is_handled(task: bool, killed: bool) -> None:
    """What an actor has told itself is not handled once it broke a link or was killed."""
    log: list[Any] = []
    async with ActorSystem() as system:
        linked = await start(system)
        ref = await start(system)
        await warm(ref, task)

        def doom(quick: Quick) -> None:
            quick.log = log
            quick.context.link(linked)
            quick.context.ref.tell(Note("told"))
            linked.kill()
            if killed:
                quick.context.ref.kill()

        ref.tell(Do(doom))
        assert (await ref.wait()).is_abnormal
        assert log == []


async def test_a_cancellation_that_leaks_from_a_pipe_leaves_the_message_in_hand() -> None:
    """An actor that was told to stop answers what it has in hand, whatever its pipes raise."""

    async def leak() -> None:
        kept: BaseException | None = None
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.lowlevel.checkpoint()
            except BaseException as error:
                kept = error
                raise
        await anyio.sleep(0.2)
        assert kept is not None
        raise kept

    async def answer(quick: Quick) -> int:
        quick.context.pipe(leak(), into=Note)
        quick.context.stop()
        return await work(0.5)

    async with ActorSystem() as system:
        ref = await start(system)
        assert await ref.ask(SlowAsk(answer)) == 7
        assert await ref.wait() == Normal()

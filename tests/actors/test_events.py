"""Tests of `actors.events`: one typed stream of all that happens in a system."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import anyio
import pytest
from attrs import frozen

from actors import (
    ActorSystem,
    DeadLetter,
    Event,
    EventStream,
    HandlerFailed,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    Shutdown,
    StartFailed,
    StopError,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Do, Doer, Life, Note, Trapper, crash, fail, obey, pair, raising


@frozen
class Own(Event):
    """Be an event of a user's."""

    text: str


@pytest.mark.core
async def test_events_come_in_the_turn_in_which_they_happen() -> None:
    """Who waits for the start finds ProcStarted published, who waits for the end ProcEnded."""
    seen: list[Event] = []
    async with ActorSystem() as system:
        system.events.subscribe(seen.append)
        ref = await system.spawn(partial(Life, [], run=obey))
        assert seen == [ProcStarted(ref, 1)]
        await ref.shutdown()
        assert seen == [ProcStarted(ref, 1), ProcEnded(ref, Shutdown(), 1)]


async def test_a_failed_start_is_one_event() -> None:
    """A start that fails is ProcFailedToStart with its reason, and neither started nor ended."""
    seen: list[Event] = []
    async with ActorSystem() as system:
        system.events.subscribe(seen.append)
        with pytest.raises(StartFailed) as caught:
            await system.spawn(partial(Life, [], start=crash))
        (event,) = seen
        assert isinstance(event, ProcFailedToStart)
        assert event.reason == caught.value.reason


async def test_the_end_tells_what_was_in_hand(dead_letters: list[DeadLetter]) -> None:
    """ProcEnded has the message that was being handled at a crash or a kill, which is lost."""
    with raising(BaseExceptionGroup):
        async with ActorSystem() as system:
            crashing, killed, idle = await pair(system), await pair(system), await pair(system)
            messages = [Do(fail), Do(lambda _: anyio.sleep_forever())]
            with Recorder(system, ProcEnded) as recorder:
                crashing.ref.tell(messages[0])
                killed.ref.tell(messages[1])
                await settle()
                killed.ref.kill()
                idle.ref.kill()
                await settle()
    assert {event.ref: event.in_hand for event in recorder} == {
        crashing.ref: messages[0],
        killed.ref: messages[1],
        idle.ref: None,
    }
    assert [(letter.message, str(letter.why)) for letter in dead_letters] == [
        (messages[0], "in hand when its receiver crashed"),
        (messages[1], "in hand when its receiver was killed"),
    ]


async def test_an_owned_child_is_marked_in_its_end() -> None:
    """`owned` tells that an owner decides what comes next at the address."""

    async def own(self: Doer) -> None:
        await self.context.child("owned").start(Doer)
        await self.context.spawn(Doer, id="linked")

    async with ActorSystem() as system:
        owner = await pair(system, Trapper, id="owner")
        await owner.do(own)
        with Recorder(system, ProcEnded) as recorder:
            await owner.ref.shutdown()
        seen = {event.ref.path: event.owned for event in recorder}
    assert seen == {"/owner/linked": False, "/owner/owned": True, "/owner": False}


# -- handlers --------------------------------------------------------------------------------------


async def test_handlers_are_called_in_order_of_subscription() -> None:
    """All who listen are called, the first to subscribe first, until they cancel."""
    seen: list[str] = []
    async with ActorSystem() as system:
        subscriptions = [
            system.events.subscribe(lambda event, name=name: seen.append(name)) for name in "abc"
        ]
        await system.spawn(Doer)
        subscriptions[1].cancel()
        subscriptions[1].cancel()
        await system.spawn(Doer)
        for subscription in subscriptions:
            subscription.cancel()
        assert not system.events.heard
    assert seen == ["a", "b", "c", "a", "c"]


async def test_nothing_is_made_when_nobody_listens() -> None:
    """Without a subscriber the stream tells so, and no event is made."""
    reported: list[BaseException] = []
    stream = EventStream(reported.append)
    assert not stream.heard
    with stream.subscribe(lambda event: None):
        assert stream.heard
    assert not stream.heard


async def test_a_handler_may_subscribe_and_cancel_while_it_is_called() -> None:
    """Who subscribes during an event hears the next one, who cancels hears this one to its end."""
    seen: list[str] = []
    async with ActorSystem() as system:

        def first(event: Event) -> None:
            seen.append("first")
            if seen == ["first"]:
                subscription.cancel()
                system.events.subscribe(lambda event: seen.append("late"))

        subscription = system.events.subscribe(first)
        await system.spawn(Doer)
        assert seen == ["first"]
        await system.spawn(Doer)
        assert seen == ["first", "late"]


async def test_a_handler_is_a_function() -> None:
    """Anything that cannot be called is refused when it subscribes."""
    async with ActorSystem() as system:
        with pytest.raises(TypeError, match="a function of one event"):
            system.events.subscribe("print")  # type: ignore[arg-type]


async def test_users_publish_events_of_their_own() -> None:
    """Any class derived from Event goes through the same stream."""
    seen: list[Event] = []
    async with ActorSystem() as system:
        one = await pair(system)
        system.events.subscribe(seen.append)
        await one.do(lambda self: self.context.system.events.publish(Own("mine")))
    assert Own("mine") in seen


@pytest.mark.core
@pytest.mark.parametrize("told", [False, True])
async def test_a_handler_that_raises_changes_nothing(
    told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The first error of each handler is told at once, and raised at the end if no log has it."""
    seen: list[Event] = []

    class Log:
        tells_failures = told

        def __call__(self, event: Event) -> None:
            seen.append(event)

    with nullcontext() if told else raising(ExceptionGroup):
        async with ActorSystem() as system:
            system.events.subscribe(fail)
            system.events.subscribe(Log())
            for _ in range(3):
                ref = await system.spawn(partial(Life, [], run=obey))
                assert await ref.shutdown() == Shutdown()
    (failed,) = (event for event in seen if isinstance(event, HandlerFailed))
    assert failed.handler is fail
    assert str(failed.error) == "broken"
    assert "event handler for ProcStarted" in failed.error.__notes__[0]
    assert len(seen) == 7
    assert [record.name for record in caplog.records] == ([] if told else ["actors.events"])


@pytest.mark.parametrize("moment", [ProcStarted, ProcEnded, DeadLetter, StopError])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.dead_letters
async def test_a_handler_that_exits_the_program_brings_the_system_down(
    moment: type[Event], kind: type[BaseException]
) -> None:
    """SystemExit and KeyboardInterrupt in a handler are raised, after all procs were stopped."""
    log: list[object] = []

    def leave(event: Event) -> None:
        if isinstance(event, moment):
            raise kind(3)

    with anyio.fail_after(100), raising(kind):
        async with ActorSystem() as system:
            await system.spawn(partial(Life, log, run=obey))
            dead = await pair(system)
            await dead.ref.shutdown()
            system.events.subscribe(leave)
            system.monitor(await system.spawn(partial(Life, [], stop=crash)), lambda down: None)
            dead.ref.tell(Note("lost"))
            await anyio.sleep_forever()
    assert log == ["start", "run", Shutdown(), "stop"]


async def test_a_handler_that_cancels_does_not_disturb(anyio_backend_name: str) -> None:
    """A CancelledError in a handler cannot stop a proc half-way through its end."""
    if anyio_backend_name == "trio":
        pytest.skip("trio lets nobody make a Cancelled")

    def leak(event: Event) -> None:
        raise anyio.get_cancelled_exc_class()

    with anyio.fail_after(100), raising(BaseExceptionGroup):
        async with ActorSystem() as system:
            system.events.subscribe(leak)
            ref = await system.spawn(partial(Life, [], run=obey))
            assert await ref.shutdown() == Shutdown()


@pytest.mark.parametrize("act", ["kill", "stop", "tell"])
@pytest.mark.parametrize("moment", [ProcStarted, ProcEnded, DeadLetter])
@pytest.mark.dead_letters
async def test_a_handler_may_act_on_the_proc_it_hears_of(act: str, moment: type[Event]) -> None:
    """A handler that tells, stops or kills in the moment of an event does no harm."""
    acted = 0

    def handle(event: Event) -> None:
        nonlocal acted
        if isinstance(event, moment) and acted < 3:
            acted += 1
            getattr(event.ref, act)(*([Note("once more")] if act == "tell" else []))

    async with ActorSystem() as system:
        system.events.subscribe(handle)
        one = await pair(system)
        one.ref.tell(Note("first"))
        await settle()
        await one.ref.shutdown()
        one.ref.tell(Note("late"))
        assert not one.ref.is_alive
    assert acted

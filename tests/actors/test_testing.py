"""Tests of `actors.testing`: settling, recording, and the probe."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    DeadLetter,
    DeadLetterKind,
    DeadLetterReason,
    Event,
    NoReply,
    Normal,
    ProcEnded,
    ProcStarted,
    Request,
    Shutdown,
    task,
)
from actors.testing import Probe, Recorder, settle
from tests.kit.actors import Ask, Doer, Note, forever, pair


class Question(Request[int]):
    """Ask for a number."""


# -- settle ----------------------------------------------------------------------------------------


@pytest.mark.core
async def test_settle_lets_everything_run() -> None:
    """After settle, all that could run without waiting for time has run, however many steps."""
    steps: list[int] = []

    async def work() -> None:
        for number in range(100):
            await anyio.lowlevel.checkpoint()
            steps.append(number)
        event.set()

    async def follow() -> None:
        await event.wait()
        steps.append(-1)
        await anyio.sleep_forever()

    event = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        group.start_soon(work)
        await settle()
        assert len(steps) == 101
        group.cancel_scope.cancel()


async def test_settle_takes_no_time() -> None:
    """The virtual clock stands still, so what sleeps goes on sleeping."""
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for seconds in (0, 0.001, 10):
            group.start_soon(sleeper, seconds)
        await settle()
        assert woken == [0]
        assert anyio.current_time() == began
        await anyio.sleep(1)
        await settle()
        assert woken == [0, 0.001]
        group.cancel_scope.cancel()


async def test_settle_sees_timers_that_are_due() -> None:
    """A timer that is due at this very moment fires before settle returns."""
    async with ActorSystem() as system:
        one = await pair(system)
        await one.ref.ask(Ask(lambda self: self.context.send_after(0, Note("due"))))
        await settle()
        assert one.log == ["due"]


async def test_several_tasks_may_settle() -> None:
    """Tasks that settle at the same time do not wait for each other."""
    done: list[int] = []

    async def settler(number: int) -> None:
        await settle()
        done.append(number)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(settler, number)
            await settle()
    assert sorted(done) == [0, 1, 2]


async def test_settle_may_be_cancelled() -> None:
    """Settling ends with a timeout when something is busy for ever."""

    async def busy() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(busy)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await settle()
        assert scope.cancelled_caught
        group.cancel_scope.cancel()
    await settle()


# -- the recorder ----------------------------------------------------------------------------------


async def test_a_recorder_keeps_the_events_of_its_block() -> None:
    """What happens within the block is kept in order, what happens before or after is not."""
    async with ActorSystem() as system:
        await system.spawn(task(forever))
        with Recorder(system) as recorder:
            ref = await system.spawn(task(forever))
            await ref.shutdown()
        await system.spawn(task(forever))
        assert recorder.events == [ProcStarted(ref), ProcEnded(ref, Shutdown())]
        assert not system.events.heard
        assert (len(recorder), list(recorder)) == (2, recorder.events)
        assert repr(recorder) == "<Recorder of 2 events>"


@pytest.mark.dead_letters
async def test_a_recorder_may_choose() -> None:
    """A recorder keeps the events of some types, or about one address, or both."""
    async with ActorSystem() as system:
        one, two = await pair(system), await pair(system)
        ended = Recorder(system, ProcEnded, ProcStarted)
        about = Recorder(system, ref=one.ref)
        both = Recorder(system, DeadLetter, ref=one.ref)
        with ended, about, both:
            for entry in (one, two):
                await entry.ref.shutdown()
                entry.ref.tell(Note("late"))
        assert [event.ref for event in ended] == [one.ref, two.ref]
        assert [type(event) for event in about] == [ProcEnded, DeadLetter]
        assert both.events == [
            DeadLetter(one.ref, Note("late"), DeadLetterReason(DeadLetterKind.ENDED, "shutdown"))
        ]
        assert about.of(ProcEnded) == [ProcEnded(one.ref, Shutdown())]
        about.clear()
        assert about.events == []


async def test_a_recorder_may_be_used_again_but_not_twice_at_a_time() -> None:
    """One recorder can follow several blocks, one after the other."""
    async with ActorSystem() as system:
        recorder = Recorder(system)
        for number in (1, 2):
            with recorder:
                with pytest.raises(RuntimeError, match="running already"):
                    recorder.__enter__()
                await system.spawn(Doer)
            assert len(recorder) == number


async def test_a_recorder_waits_for_an_event() -> None:
    """`wait_for` returns the first event that fits, recorded before or still to come."""
    async with ActorSystem() as system:
        with Recorder(system) as recorder:
            one = await pair(system, id="one")
            assert await recorder.wait_for(ProcStarted) == ProcStarted(one.ref)
            async with anyio.create_task_group() as group:

                async def later() -> None:
                    await anyio.sleep(3)
                    await pair(system, id="two")
                    one.ref.stop()

                group.start_soon(later)
                ended = await recorder.wait_for(ProcEnded, lambda event: event.reason == Normal())
                assert ended.ref == one.ref
                started = await recorder.wait_for(
                    ProcStarted, lambda event: event.ref.path == "/two"
                )
                assert started.ref.path == "/two"


async def test_a_recorder_that_waits_in_vain_says_what_it_has() -> None:
    """The TimeoutError of `wait_for` names what was wanted and lists what was recorded."""
    async with ActorSystem() as system:
        with Recorder(system) as recorder:
            await pair(system, id="one")
            with pytest.raises(TimeoutError, match=r"no ProcEnded within 2 s; recorded:\n.*/one"):
                await recorder.wait_for(ProcEnded, timeout=2)
            recorder.clear()
            with pytest.raises(TimeoutError, match="recorded: nothing"):
                await recorder.wait_for(ProcEnded, timeout=2)
            with anyio.move_on_after(1) as scope:
                await recorder.wait_for(Event, timeout=None)
            assert scope.cancelled_caught


# -- the probe -------------------------------------------------------------------------------------


@pytest.mark.core
async def test_a_probe_takes_what_it_is_sent() -> None:
    """A probe hands its messages to the test in order, waiting for those still to come."""
    async with ActorSystem() as system:
        probe = Probe[str]()
        ref = await probe.spawn(system)
        assert (ref.path, probe.ref) == ("/probe", ref)
        ref.tell("one")
        ref.tell("two")
        await settle()
        assert probe.waiting == ("one", "two")
        assert [await probe.receive(), await probe.receive()] == ["one", "two"]
        assert probe.waiting == ()
        async with anyio.create_task_group() as group:

            async def later() -> None:
                await anyio.sleep(0.01)
                ref.tell("three")

            group.start_soon(later)
            assert await probe.receive() == "three"


async def test_a_probe_that_gets_nothing_says_so() -> None:
    """Waiting for a message in vain ends with TimeoutError after five seconds."""
    async with ActorSystem() as system:
        probe = Probe[str]()
        await probe.spawn(system, id="quiet")
        began = anyio.current_time()
        with pytest.raises(TimeoutError, match="no message for the probe within 5 s"):
            await probe.receive()
        assert anyio.current_time() - began == 5
        with pytest.raises(TimeoutError, match="no end of a watched proc"):
            await probe.down(timeout=1)


async def test_a_probe_answers() -> None:
    """A probe answers a request with a value or an error, as the test says."""
    async with ActorSystem() as system:
        probe = Probe[Question | str]()
        ref = await probe.spawn(system)
        answers: list[object] = []

        async def ask() -> None:
            try:
                answers.append(await ref.ask(Question()))
            except ValueError as error:
                answers.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            assert isinstance(await probe.answer(42), Question)
            await settle()
            group.start_soon(ask)
            await probe.answer(ValueError("no"))
        assert answers == [42, "no"]
        ref.tell("told")
        with pytest.raises(AssertionError, match="nobody asked 'told'"):
            await probe.answer(1)


async def test_a_probe_may_throw_a_request_away() -> None:
    """A request that the test takes and drops fails its asker with NoReply at once."""
    async with ActorSystem() as system:
        probe = Probe[Question]()
        ref = await probe.spawn(system)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                began = anyio.current_time()
                with pytest.raises(NoReply):
                    await ref.ask(Question())
                assert anyio.current_time() == began

            group.start_soon(ask)
            await probe.receive()


async def test_a_probe_watches() -> None:
    """A probe reports the ends of procs that it watches."""
    async with ActorSystem() as system:
        probe = Probe[str]()
        await probe.spawn(system)
        one = await pair(system)
        probe.watch(one.ref)
        one.ref.stop()
        down = await probe.down()
        assert (down.ref, down.reason) == (one.ref, Normal())

"""Tests of `actors.timer`: messages that are due later, once or again and again."""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors import ActorSystem, DeadLetter, Mailbox, Overflow, Timer
from actors.backends import TimerHandle, current_backend
from actors.testing import START
from tests.kit.actors import Ask, Doer, Note, Pair, Trapper, pair


class Clock(Doer):
    """Write down when it hears something."""

    def note(self, message: Note) -> None:
        """Write down the time."""
        self.log.append(anyio.current_time() - START)


async def timer(one: Pair, method: str, seconds: float) -> Timer:
    """Let an actor start a timer."""
    return await one.ref.ask(
        Ask(lambda self: getattr(self.context, method)(seconds, Note("tick"))), timeout=None
    )


@pytest.mark.parametrize("delay", [0, 0.5, 3600.0, 1e6])
async def test_a_message_comes_after_its_delay(delay: float) -> None:
    """`send_after` sends once, after the delay and never early."""
    async with ActorSystem() as system:
        one = await pair(system, Clock)
        started = await timer(one, "send_after", delay)
        assert started.active
        await anyio.sleep(2 * delay + 1)
        (seen,) = one.log
        assert delay <= seen <= delay + 0.01
        assert not started.active


async def test_messages_come_again_and_again() -> None:
    """`send_every` sends after each interval, without drift, until it is cancelled."""
    async with ActorSystem() as system:
        one = await pair(system, Clock)
        started = await timer(one, "send_every", 0.5)
        await anyio.sleep(2.75)
        started.cancel()
        await anyio.sleep(10)
        assert one.log == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5])
        assert not started.active


@pytest.mark.parametrize("method", ["send_after", "send_every"])
async def test_a_cancelled_timer_sends_nothing(method: str) -> None:
    """A timer can be cancelled at any time, and any number of times."""
    async with ActorSystem() as system:
        one = await pair(system, Clock)
        started = await timer(one, method, 1)
        started.cancel()
        started.cancel()
        assert not started.active
        await anyio.sleep(10)
        assert one.log == []


@pytest.mark.core
@pytest.mark.parametrize("how", ["stop", "kill", "shutdown"])
async def test_timers_die_with_their_incarnation(how: str) -> None:
    """No timer of an incarnation fires after its end, not even for the next one."""
    async with ActorSystem() as system:
        owner = await pair(system, Trapper)
        child = await owner.ref.ask(Ask(lambda self: self.context.child("child")))
        first, second = Clock(), Clock()
        await owner.ref.ask(Ask(lambda _: child.start(lambda: first)))
        timers = [
            await timer(Pair(first, child.ref), method, 0.02)
            for method in ("send_after", "send_every")
        ]
        if how == "shutdown":
            await child.ref.shutdown()
        else:
            getattr(child.ref, how)()
            await child.ref.wait()
        assert [entry.active for entry in timers] == [False, False]
        await owner.ref.ask(Ask(lambda _: child.start(lambda: second)))
        await anyio.sleep(0.05)
        assert first.log == second.log == []


async def test_a_message_that_is_queued_already_stays() -> None:
    """Cancelling a timer does not take back what it has sent."""
    async with ActorSystem() as system:
        one = await pair(system)

        async def late(self: Doer) -> None:
            started = self.context.send_after(1, Note("sent"))
            await anyio.sleep(2)
            started.cancel()

        await one.ref.ask(Ask(late))
        await anyio.lowlevel.checkpoint()
        await one.ref.ask(Ask(lambda _: None))
        assert one.log == ["sent"]


@pytest.mark.parametrize(
    ("mailbox", "kept", "lost", "why"),
    [
        (Mailbox(1), ["1"], ["2", "3"], "mailbox full when a timer was due"),
        (Mailbox(1, Overflow.DROP_OLD), ["3"], ["1", "2"], "mailbox full"),
    ],
)
async def test_a_full_mailbox_loses_a_tick(
    mailbox: Mailbox, kept: list[str], lost: list[str], why: str, dead_letters: list[DeadLetter]
) -> None:
    """A tick that finds the mailbox full is a dead letter; one that drops keeps its policy."""
    async with ActorSystem() as system:
        one = await pair(system, mailbox=mailbox)

        async def busy(self: Doer) -> None:
            for number in (1, 2, 3):
                self.context.send_after(number, Note(f"{number}"))
            await anyio.sleep(4)

        await one.ref.ask(Ask(busy))
        await one.ref.ask(Ask(lambda _: None))
        assert one.log == kept
        assert [(letter.message, str(letter.why)) for letter in dead_letters] == [
            (Note(text), why) for text in lost
        ]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, -math.inf, 0])
@pytest.mark.parametrize("method", ["send_after", "send_every"])
async def test_a_bad_delay_is_refused(method: str, seconds: float) -> None:
    """A delay that cannot be waited for raises ValueError, a wrong message TypeError."""
    async with ActorSystem() as system:
        one = await pair(system)
        call = getattr(one.actor.context, method)
        text = "delay is .* >= 0" if method == "send_after" else "interval is .* > 0"
        if method == "send_every" or seconds != 0:
            with pytest.raises(ValueError, match=text):
                call(seconds, Note("never"))
        with pytest.raises(TypeError, match="does not accept str"):
            call(1, "text")


# -- the timer alone -------------------------------------------------------------------------------


class Stalling:
    """Be a clock that is moved by hand and fires late, as a blocked loop does."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[tuple[float, object]] = []

    def now(self) -> float:
        """Return the time."""
        return self.time

    def call_at(self, when: float, call: object) -> TimerHandle:
        """Note a call."""
        entry = (when, call)
        self.due.append(entry)

        class Handle:
            def cancel(handle) -> None:  # noqa: N805 - self is the clock
                """Take it back."""
                if entry in self.due:
                    self.due.remove(entry)

        return Handle()

    def move(self, to: float) -> None:
        """Move the clock, then run what is due."""
        self.time = to
        while ready := [entry for entry in self.due if entry[0] <= self.time]:
            entry = min(ready, key=lambda entry: entry[0])
            self.due.remove(entry)
            entry[1]()  # type: ignore[operator]


@example(interval=0.01, stalls=[0.01, 2.0])  # the beat after the stall is due now, but for rounding
@given(
    interval=st.floats(0.01, 100),
    stalls=st.lists(st.floats(0.001, 1000), min_size=1, max_size=20),
)
def test_there_is_no_burst_after_a_stall(interval: float, stalls: list[float]) -> None:
    """However the clock moves, a repeated timer fires at most once a look, and keeps its pace."""
    clock, fired = Stalling(), list[float]()
    started = Timer(clock, {}, interval, interval, lambda: fired.append(clock.time))  # type: ignore[arg-type]
    for stall in stalls:
        before = len(fired)
        clock.move(clock.time + stall)
        assert len(fired) - before <= 1
        if stall > interval * 1.001:
            assert len(fired) - before == 1
        ((when, _),) = clock.due
        assert clock.time < when <= clock.time + interval * 1.001
        beats = when / interval
        assert beats == pytest.approx(round(beats), abs=0.01)
    started.cancel()
    assert clock.due == []


def test_an_interval_that_is_hardly_one_does_not_stop_the_clock() -> None:
    """The number of ticks that were missed may be beyond all numbers."""
    clock, fired = Stalling(), list[float]()

    def fire() -> None:
        fired.append(clock.time)
        started.cancel()

    started = Timer(clock, {}, 1.0, 5e-324, fire)  # type: ignore[arg-type]
    clock.move(2.0)
    assert fired == [2.0]


async def test_a_timer_may_cancel_itself_while_it_fires() -> None:
    """A repeated timer that is cancelled by what it calls does not come again."""
    fired: list[int] = []
    timers: dict[Timer, None] = {}

    def fire() -> None:
        fired.append(1)
        for entry in tuple(timers):
            entry.cancel()

    Timer(current_backend(), timers, 0.01, 0.01, fire)
    await anyio.sleep(1)
    assert (fired, timers) == ([1], {})

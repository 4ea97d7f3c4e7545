"""Tests of watchdogs at work: who is found to hang, and when."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from actors import Actor, CancellationToken, Crashed, on, task
from actors.ref import address_of
from actors.testing import settle
from supervision import (
    ChildSpec,
    DynamicSupervisorSpec,
    StartChild,
    TerminateChild,
    Watchdog,
    serve,
)
from supervision.errors import Wedged
from supervision.events import Next
from supervision.supervisors.hang_detector import FEW, HangDetector
from tests.kit.watched import LATEST, LIMIT, Beater, Drowsy, Note, Observed, Take, Worker, watched

pytestmark = pytest.mark.dead_letters


# -- handlers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Worker, Drowsy])
@pytest.mark.parametrize("message", [Take, Note])
@pytest.mark.parametrize("offset", [0.0, 0.3, 1.999, 2.0, 5.7, 100.1])
async def test_a_handler_that_hangs_is_a_crash(
    kind: type[Worker], message: type[Take], offset: float
) -> None:
    """A handler beyond its limit is found in time, crashes its actor, and that is restarted."""
    seen = Observed()
    async with seen.serve(watched(kind)) as app:
        child = app.find("child")
        await anyio.sleep(offset)
        began = anyio.current_time()
        child.tell(message(1000.0))
        reason = await child.wait()
        assert isinstance(reason, Crashed)
        error = reason.error
        assert isinstance(error, Wedged)
        ((at, found),) = seen.hung()
        assert LIMIT <= at - began <= LIMIT * LATEST
        assert (found.ref, found.error, found.seconds) == (child, error, 0.0)
        assert error.path == "/top/child"
        assert error.activity == f"handling {message.__name__}"
        assert LIMIT <= error.seconds <= at - began
        assert error.stack[0].function == f"Worker.{message.__name__.lower()}"
        await settle()
        assert [(item.reason, item.next) for item in seen.exits()] == [(reason, Next.RESTART)]
        assert child.is_alive


@pytest.mark.parametrize("kind", [Worker, Drowsy])
async def test_a_handler_within_its_limit_lives(kind: type[Worker]) -> None:
    """Handlers that take just less than the limit, one after the other, are left alone."""
    seen = Observed()
    async with seen.serve(watched(kind)) as app:
        child = app.find("child")
        message = Note(LIMIT - 0.01)
        for _ in range(20):
            child.tell(message)
        await child.ask(Take(0), timeout=1000)
        await anyio.sleep(1000)
        assert seen.hung() == []
        assert seen.exits() == []


async def test_a_child_without_a_watchdog_may_take_its_time() -> None:
    """Without a watchdog nothing is looked at: no timer is there, and a handler may take hours."""
    seen = Observed()
    async with seen.serve(watched(Worker, watchdog=None)) as app:
        life: Any = address_of(app.supervisor).occupant
        assert not life.background.timers
        await app.find("child").ask(Take(10_000.0), timeout=20_000)
        assert seen.hung() == []
        assert life.proc._hang_detector is None


async def test_one_timer_serves_all() -> None:
    """A supervisor of a thousand watched children, started at odd moments, has one timer."""
    seen = Observed()
    spec = DynamicSupervisorSpec("crowd")
    async with seen.serve(spec) as app:
        crowd: Any = app.find("crowd")
        life: Any = address_of(crowd).occupant
        dog = Watchdog(handler=LIMIT, heartbeat=1000.0)
        for number in range(1000):
            await crowd.ask(StartChild(ChildSpec(str(number), Worker, watchdog=dog)))
            if number % 100 == 0:
                await anyio.sleep(0.37)
            assert len(life.background.timers) == 1
            if number % 100 == 50:
                (timer,) = life.background.timers
        assert timer in life.background.timers, "as long as it is due first it stays"
        handled = life.handled
        await anyio.sleep(LIMIT * 10)
        assert len(life.background.timers) == 1
        # The looks are gathered: four wake-ups in a period, of which a limit has four.
        assert 0 < life.handled - handled <= 4 * 4 * 10 + 2
        crowd_child: Any = app.find("crowd/500")
        crowd_child.tell(Note(1000.0))
        await anyio.sleep(LIMIT * LATEST + 0.01)
        assert [found.ref.path for _, found in seen.hung()] == ["/top/crowd/500"]


async def test_watching_ends_with_the_last_child() -> None:
    """When the last watched child is gone the timer is gone, one look later."""
    seen = Observed()
    async with seen.serve(DynamicSupervisorSpec("crowd")) as app:
        crowd: Any = app.find("crowd")
        life: Any = address_of(crowd).occupant
        await crowd.ask(StartChild(watched(Worker)))
        await anyio.sleep(100.1)
        assert len(life.background.timers) == 1
        await crowd.ask(TerminateChild("child"))
        await anyio.sleep(LIMIT)
        assert not life.background.timers
        await crowd.ask(StartChild(watched(Worker)))
        assert len(life.background.timers) == 1


async def test_a_new_incarnation_has_its_own_time_to_beat() -> None:
    """The silence of an incarnation begins with its own start, not with that of the one before."""
    seen = Observed()
    dog = Watchdog(heartbeat=LIMIT)
    async with seen.serve(watched(partial(Beater, 1.0, 0), watchdog=dog)) as app:
        await anyio.sleep(LIMIT * 0.9)
        app.find("child").kill()
        await settle()
        await anyio.sleep(LIMIT * 0.99)
        assert seen.hung() == []
        await anyio.sleep(LIMIT * (LATEST - 0.99))
        ((_, found),) = seen.hung()
        assert found.error.seconds >= LIMIT


# -- heartbeats --------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 0.4, 1.1])
@pytest.mark.parametrize(("gap", "times"), [(1.0, 0), (7.9, 5), (0.1, 100), (LIMIT, 3)])
async def test_a_proc_that_falls_silent_is_a_crash(gap: float, times: int, offset: float) -> None:
    """A proc is found silent when its last beat, or its start, is longer ago than the limit."""
    seen = Observed()
    dog = Watchdog(heartbeat=LIMIT)
    async with seen.serve(watched(partial(Beater, gap, times), watchdog=dog)) as app:
        child = app.find("child")
        await anyio.sleep(offset)
        reason = await child.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, Wedged)
        ((at, _),) = seen.hung()
        last_beat = seen.starts("/top/child")[0] + gap * times
        assert LIMIT - 1e-6 <= at - last_beat <= LIMIT * LATEST
        assert reason.error.activity == "without a sign of life"
        assert reason.error.seconds == pytest.approx(at - last_beat)
        assert [place.function for place in reason.error.stack][:2] == ["Beater.run", "silent"]


async def test_a_proc_that_beats_lives() -> None:
    """A proc that beats a little more often than its limit wants is left alone."""
    seen = Observed()
    dog = Watchdog(heartbeat=LIMIT)
    async with seen.serve(watched(partial(Beater, LIMIT - 0.01, 1000), watchdog=dog)):
        await anyio.sleep(LIMIT * 900)
        assert seen.hung() == []


async def test_an_idle_actor_has_to_beat_as_well() -> None:
    """An actor under a heartbeat that only waits for mail falls silent; one with a timer beats."""

    class Ticking(Actor[str]):
        async def on_start(self) -> None:
            self.context.send_every(LIMIT / 2, "tick")

        @on(str)
        def tick(self, message: str) -> None:
            self.context.beat()

    seen = Observed()
    dog = Watchdog(heartbeat=LIMIT)
    specs = [ChildSpec(kind.__name__, kind, watchdog=dog) for kind in (Drowsy, Ticking)]
    async with seen.serve(*specs):
        await anyio.sleep(LIMIT * LATEST)
        ((_, found),) = seen.hung()
        assert found.ref.path == "/top/Drowsy"
        assert found.error.stack == ()
        assert "without a sign of life for" in str(found.error)


async def test_both_limits_hold() -> None:
    """With both limits the first one exceeded counts, and the error says which it was."""

    class Beating(Worker):
        @on(Take)
        async def take(self, message: Take) -> None:
            for _ in range(int(message.seconds)):
                self.context.beat()
                await anyio.sleep(1.0)

        async def on_start(self) -> None:
            self.context.beat()

    seen = Observed()
    dog = Watchdog(handler=LIMIT, heartbeat=3.0)
    async with seen.serve(watched(Beating, watchdog=dog)) as app:
        app.find("child").tell(Take(1000.0))
        await app.find("child").wait()
        assert [found.error.activity for _, found in seen.hung()] == ["handling Take"]
        await anyio.sleep(3.0 * LATEST)
        assert seen.hung()[1][1].error.activity == "without a sign of life"


async def test_a_child_is_watched_once() -> None:
    """A watchdog that is taken away and given back at once does not make for two."""
    seen = Observed()
    async with seen.serve(watched(Worker)) as app:
        life: Any = address_of(app.supervisor).occupant
        record = life.proc.records["child"]
        spec = record.spec
        for changed in (evolve(spec, watchdog=None), spec) * 3:
            life.proc.adopt(record, changed)
        app.find("child").tell(Note(1000.0))
        await anyio.sleep(LIMIT * LATEST)
        assert len(seen.hung()) == 1
        await anyio.sleep(LIMIT)
        detector = life.proc._hang_detector
        assert len(detector._due) == len(detector._watched) == 1
        life.proc.adopt(record, evolve(spec, watchdog=None))
        await anyio.sleep(LIMIT)
        assert len(detector._due) == len(detector._watched) == 0


async def test_watches_over_those_that_are_gone_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brief children with long limits leave no watch behind: what waits is bounded by who lives."""

    async def work(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    seen: list[HangDetector] = []
    begin = HangDetector.begin

    def noted(self: HangDetector, *arguments: Any) -> None:
        seen.append(self)
        begin(self, *arguments)

    monkeypatch.setattr(HangDetector, "begin", noted)
    async with serve(DynamicSupervisorSpec("top")) as app:
        for number in range(5 * FEW):
            spec = ChildSpec(f"w{number}", task(work), watchdog=Watchdog(handler=86_400.0))
            await app.supervisor.ask(StartChild(spec))
            await app.supervisor.ask(TerminateChild(spec.id))
        (watches,) = set(seen)
        assert len(watches._watched) == 0
        assert len(watches._due) <= FEW + 1


# -- time --------------------------------------------------------------------------------------


async def test_a_look_that_comes_by_a_hair_too_early_is_the_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wake-up a fraction of a nanosecond before its time does not set up another one at once."""
    looks: list[float] = []
    look_around = HangDetector.look_around

    async def counted(watches: HangDetector) -> None:
        looks.append(anyio.current_time())
        await look_around(watches)

    monkeypatch.setattr(HangDetector, "look_around", counted)
    async with Observed().serve(watched(Worker)):
        # asyncio runs what is due within its clock's resolution; a clock that stands still while
        # anything can run shows this time to the supervisor that is woken up to look.
        period = LIMIT / 4
        due = anyio.current_time() + period
        await anyio.sleep_until(due - 4e-10)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert len(looks) <= 1
        await anyio.sleep(period * 1.5)
        assert len(looks) == 2

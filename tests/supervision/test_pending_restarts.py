"""Tests of pending restarts: what is shown of them, and that none leaves a timer behind."""

import sys
from collections.abc import Callable
from functools import partial
from itertools import permutations
from random import Random
from typing import Any

import anyio
import attrs
import pytest

from actors import ActorSystem, AnyRef, Timer
from actors.ref import address_of
from actors.testing import settle
from supervision import (
    Backoff,
    ChildExited,
    ChildInfo,
    ChildSpec,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from tests.supervision.kit import Boom, Stage

pytestmark = pytest.mark.dead_letters

STEADY = Backoff(10.0, 10.0, jitter=False)
GROWING = Backoff(1.0, 8.0, jitter=False)
MANY = 1000


def timers_of(supervisor: AnyRef) -> int:
    """Count the timers that a supervisor has set, which must be those of the event loop, too."""
    life: Any = address_of(supervisor).occupant
    own = len(life.background.timers)
    assert in_the_loop(life.system.backend) >= own
    return own


def in_the_loop(backend: Any) -> int:
    """Count the calls that the engine's timers have waiting in the event loop."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        calls = [entry.call for entry in backend._timers._heap]
    else:
        calls = [None if it.cancelled() else it._callback for it in backend._loop._scheduled]
    return sum(getattr(call, "__func__", None) is Timer._fire for call in calls)


def loop_of(supervisor: AnyRef) -> Callable[[], int]:
    """Return what counts the engine's timers in the loop, also after the supervisor has ended."""
    life: Any = address_of(supervisor).occupant
    return partial(in_the_loop, life.system.backend)


async def crash_all(stage: Stage, ids: list[str]) -> None:
    """Crash children, and wait until that has been seen to."""
    for id in ids:
        stage.crash(id)
    await settle()


def many(stage: Stage, **options: Any) -> list[ChildSpec[Any]]:
    """Make a thousand children whose restarts wait."""
    return [stage.child(f"c{number}", backoff=STEADY, **options) for number in range(MANY)]


# -- no timer is left --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_termination_cancels_the_timers(kind: str) -> None:
    """`TerminateChild` takes the timer of a pending restart back, for each of a thousand."""
    stage = Stage()
    children = many(stage)
    tree: ChildSpec[Any] = SupervisorSpec("top", children, max_restarts=MANY)
    if kind == "dynamic":
        tree = DynamicSupervisorSpec("top", max_restarts=MANY)
    async with stage.serve(tree) as app:
        if kind == "dynamic":
            for child in children:
                await app.supervisor.ask(StartChild(child))
        in_loop = loop_of(app.supervisor)
        await crash_all(stage, [child.id for child in children])
        assert timers_of(app.supervisor) == in_loop() == MANY
        for child in children:
            await app.supervisor.ask(TerminateChild(child.id))
        assert timers_of(app.supervisor) == in_loop() == 0


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_round_cancels_the_timers_that_it_absorbs(strategy: str) -> None:
    """A round of a sibling starts those who wait, and their timers are gone."""
    stage = Stage()
    children = [stage.child("first"), *many(stage)]
    async with stage.serve(children, strategy=strategy, max_restarts=MANY + 1) as app:
        await crash_all(stage, [f"c{number}" for number in range(MANY)])
        assert timers_of(app.supervisor) == MANY
        await crash_all(stage, ["first"])
        assert timers_of(app.supervisor) == loop_of(app.supervisor)() == 0
        stage.take()
        await anyio.sleep(100.0)
        assert stage.take() == []


async def test_a_round_that_fails_cancels_the_timers_of_those_behind() -> None:
    """Where a round fails, those behind the failed child wait for it, and have no timer."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", start=[None, Boom("no")], backoff=STEADY),
        stage.child("c", backoff=STEADY),
    ]
    async with stage.serve(children, strategy="rest_for_one", max_restarts=9) as app:
        await crash_all(stage, ["c"])
        await crash_all(stage, ["a"])
        assert timers_of(app.supervisor) == 1
        states = await stage.states()
        assert states == {"a": "running", "b": "restarting", "c": "terminated"}
        await anyio.sleep(11.0)
        assert timers_of(app.supervisor) == 0
        assert set((await stage.states()).values()) == {"running"}


async def test_a_stop_cancels_the_timers_before_it_waits_for_anybody() -> None:
    """A supervisor that is told to stop has no timer left while a child takes its time."""
    stage = Stage()
    slow = stage.child("slow", stop=60.0, shutdown="infinity")
    async with stage.serving([slow, *many(stage)], max_restarts=MANY) as app:
        await crash_all(stage, [f"c{number}" for number in range(MANY)])
        in_loop = loop_of(app.supervisor)
        stage.tasks.start_soon(partial(app.supervisor.shutdown, timeout=None))
        await anyio.sleep(1.0)
        assert stage.is_inside("slow", "stop")
        assert timers_of(app.supervisor) == in_loop() == 0


@pytest.mark.parametrize("how", ["kill", "give up"])
async def test_no_end_of_a_supervisor_leaves_a_timer(how: str) -> None:
    """Killed or giving up, a supervisor takes the timers of its pending restarts along."""
    stage = Stage()
    children = [stage.child("a"), *many(stage)]
    inner = SupervisorSpec("in", children, max_restarts=MANY, restart="temporary")
    async with stage.serve([inner]) as app:
        await crash_all(stage, [f"c{number}" for number in range(MANY)])
        supervisor, in_loop = app.find("in"), loop_of(app.find("in"))
        assert in_loop() == MANY
        if how == "kill":
            supervisor.kill()
        else:
            stage.crash("a")
        await settle()
        assert not supervisor.is_alive
        assert in_loop() == 0


async def test_a_thousand_restarts_come_at_their_time() -> None:
    """Left alone, all thousand are restarted, and no timer stays."""
    stage = Stage()
    async with stage.serve(many(stage), max_restarts=MANY) as app:
        await crash_all(stage, [f"c{number}" for number in range(MANY)])
        await anyio.sleep(11.0)
        await settle()
        assert set((await stage.states()).values()) == {"running"}
        assert timers_of(app.supervisor) == loop_of(app.supervisor)() == 0


# -- what is shown -----------------------------------------------------------------------------


async def info_of(stage: Stage, id: str) -> ChildInfo:
    """Ask for what is shown of one child."""
    return next(info for info in await stage.infos() if info.id == id)


async def test_a_pending_restart_shows_when_it_is_due() -> None:
    """`restart_in` counts the seconds down to the restart, and is None when none is pending."""
    stage = Stage()
    async with stage.serve([stage.child("a", backoff=STEADY), stage.child("b")]):
        assert (await info_of(stage, "a")).restart_in is None
        stage.crash("a")
        await settle()
        assert (await info_of(stage, "a")).restart_in == pytest.approx(10.0, abs=1e-6)
        await anyio.sleep(7.5)
        info = await info_of(stage, "a")
        assert info.restart_in == pytest.approx(2.5, abs=1e-6)
        assert (str(info.state), info.failures, info.restarts) == ("restarting", 1, 0)
        assert (await info_of(stage, "b")).restart_in is None
        await anyio.sleep(3.0)
        info = await info_of(stage, "a")
        assert (str(info.state), info.restart_in, info.restarts) == ("running", None, 1)


async def test_a_retry_without_delay_is_due_now() -> None:
    """A child between two attempts without a backoff is due in 0.0 seconds."""
    stage = Stage()
    seen: list[ChildInfo] = []

    async def look() -> None:
        seen.extend(await stage.top.ask(WhichChildren()))

    async with stage.serving([stage.child("a", start=[None, Boom("no")])]), stage.busy():
        stage.crash("a")
        stage.tasks.start_soon(look)  # waits in front of the retry
        await settle()
    states = [(str(info.state), info.restart_in, info.failures) for info in seen]
    assert states[0] == ("restarting", 0.0, 0)


async def test_failures_in_a_row_are_shown() -> None:
    """`failures` counts what the backoff grows with, failed starts too, until it stayed healthy."""
    stage = Stage()
    child = stage.child("a", start=[None, Boom("no")], backoff=GROWING)
    async with stage.serve([child, stage.child("b")], max_restarts=9, max_seconds=1000.0):
        stage.crash("a")
        await settle()
        assert (await info_of(stage, "a")).failures == 1
        await anyio.sleep(1.5)
        assert (await info_of(stage, "a")).failures == 2
        await anyio.sleep(2.0)
        assert str((await info_of(stage, "a")).state) == "running"
        await anyio.sleep(7.0)
        assert (await info_of(stage, "a")).failures == 2
        await anyio.sleep(1.0)
        assert (await info_of(stage, "a")).failures == 0
        stage.crash("b")
        await settle()
        assert (await info_of(stage, "b")).failures == 0


async def test_a_restart_by_request_begins_anew() -> None:
    """`RestartChild` forgets the failures: the next pause is the first one again."""
    stage = Stage()
    async with stage.serve([stage.child("a", backoff=GROWING)], max_restarts=9):
        for _ in range(2):
            stage.crash("a")
            await anyio.sleep(2.5)
        stage.crash("a")
        await settle()
        assert (await info_of(stage, "a")).failures == 3
        await stage.top.ask(TerminateChild("a"))
        await stage.top.ask(RestartChild("a"))
        assert (await info_of(stage, "a")).failures == 0
        stage.crash("a")
        await settle()
        assert (await info_of(stage, "a")).restart_in == pytest.approx(1.0, abs=1e-6)


def test_what_is_shown_has_defaults() -> None:
    """A `ChildInfo` without the last two stands for a child with nothing pending."""
    fields = attrs.fields_dict(ChildInfo)
    assert [fields[name].default for name in ("restart_in", "failures")] == [None, 0]


# -- under a seed ------------------------------------------------------------------------------


async def delays(
    ids: tuple[str, ...], backoff: Backoff, *, dynamic: bool
) -> dict[str, list[float]]:
    """Crash children four times each, in this order of ids; return the delays of each."""
    stage = Stage()
    children = [stage.child(id, backoff=backoff) for id in "abc"]
    async with ActorSystem() as system:
        system.events.subscribe(stage.hear)
        if dynamic:
            spec = DynamicSupervisorSpec("top", max_restarts=100)
            top = await system.spawn(partial(DynamicSupervisor, spec, random=Random()), id="top")
            for child in children:
                await top.ask(StartChild(child))
        else:
            tree = SupervisorSpec("top", children, max_restarts=100)
            top = await system.spawn(partial(Supervisor, tree), id="top")
        for _ in range(4):
            for id in ids:
                stage.crash(id)
                await settle()
            await anyio.sleep(20.0)
    said: dict[str, list[float]] = {id: [] for id in "abc"}
    for event in stage.told(ChildExited):
        said[event.ref.path[-1]].append(event.delay)
    return said


@pytest.mark.parametrize("dynamic", [False, True])
async def test_the_delays_under_a_seed_depend_on_the_child_alone(dynamic: bool) -> None:
    """With a seed each child has its own delays, in whatever order the children crash."""
    backoff = Backoff(1.0, 16.0, seed=7)
    expected = await delays(("a", "b", "c"), backoff, dynamic=dynamic)
    for order in permutations("abc"):
        assert await delays(order, backoff, dynamic=dynamic) == expected
    assert len({delay for said in expected.values() for delay in said}) == 12
    assert await delays(("a", "b", "c"), Backoff(1.0, 16.0, seed=8), dynamic=dynamic) != expected
    assert await delays(("a", "b", "c"), Backoff(1.0, 16.0), dynamic=dynamic) != expected


async def test_the_delays_under_a_seed_are_those_of_its_generator() -> None:
    """The delays can be foretold with `Backoff.generator` and `Backoff.delay`."""
    backoff = Backoff(1.0, 16.0, seed=7, reset_after=1000.0)
    said = await delays(("a", "b", "c"), backoff, dynamic=False)
    generator = backoff.generator("/top/a")
    assert generator is not None
    assert said["a"] == [backoff.delay(failures, generator) for failures in (1, 2, 3, 4)]

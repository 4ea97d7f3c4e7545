"""Tests of pending restarts: what is shown of them, and that none leaves a timer behind."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest

from actors import ActorSystem, AnyRef, Timer
from actors.pytest_plugin import WatchedBackend
from actors.ref import address_of
from actors.testing import settle
from supervision import (
    Backoff,
    ChildInfo,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from supervision.events import ChildExited
from tests.kit.errors import Boom
from tests.kit.stage import Stage

pytestmark = pytest.mark.dead_letters

STEADY = Backoff(10.0, 10.0, jitter=False)
GROWING = Backoff(1.0, 8.0, jitter=False)
MANY = 1000


def timers_of(supervisor: AnyRef) -> Callable[[], int]:
    """Return what counts the engine's timers in the event loop, also after the supervisor's end."""
    life: Any = address_of(supervisor).occupant
    return partial(in_the_loop, life.system.backend)


def in_the_loop(backend: WatchedBackend) -> int:
    """Count the calls that the engine's timers have waiting in the event loop."""
    return sum(isinstance(getattr(it.call, "__self__", None), Timer) for it in backend.timers)


async def crash_all(stage: Stage, ids: list[str]) -> None:
    """Crash children, and wait until that has been seen to."""
    for id in ids:
        stage.crash(id)
    await settle()


# -- no timer is left --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["terminate", "round", "time", "stop", "kill", "give up"])
@pytest.mark.parametrize("kind", ["static", "dynamic"])
async def test_no_timer_outlives_its_pending_restart(kind: str, how: str) -> None:
    """Whatever ends the wait of a thousand restarts, their timers are gone with it, at once."""
    stage = Stage()
    ids = [f"c{number}" for number in range(MANY)]
    first = stage.child("first", stop=60.0 if how == "stop" else None, shutdown="infinity")
    children = [first, *(stage.child(id, backoff=STEADY) for id in ids)]
    options: dict[str, Any] = {"max_restarts": int(how == "round"), "restart": "temporary"}
    if kind == "dynamic":
        inner: Any = DynamicSupervisorSpec("in", **options)
    else:
        strategy: Any = "one_for_all" if how == "round" else "one_for_one"
        inner = SupervisorSpec("in", children, strategy=strategy, **options)
    async with stage.serving([inner]) as app:
        supervisor = app.find("in")
        for child in children if kind == "dynamic" else ():
            await supervisor.ask(StartChild(child))
        timers = timers_of(supervisor)
        await crash_all(stage, ids)
        assert timers() == MANY
        match how:
            case "terminate":
                for id in ids:
                    await supervisor.ask(TerminateChild(id))
            case "round" if kind == "dynamic":
                return  # it has none
            case "round" | "give up":
                await crash_all(stage, ["first"])
            case "time":
                await anyio.sleep(11.0)
                assert {str(info.state) for info in await stage.infos(supervisor)} == {"running"}
            case "stop":
                stage.tasks.start_soon(partial(supervisor.shutdown, timeout=None))
                await settle()
                assert stage.is_inside("first", "stop")
            case _:
                supervisor.kill()
        await settle()
        assert timers() == 0


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
        assert timers_of(app.supervisor)() == 1
        states = await stage.states()
        assert states == {"a": "running", "b": "restarting", "c": "terminated"}
        await anyio.sleep(11.0)
        assert set((await stage.states()).values()) == {"running"}


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


# -- under a seed ------------------------------------------------------------------------------


async def delays(
    ids: tuple[str, ...], backoff: Backoff, *, dynamic: bool, random: Random | None = None
) -> dict[str, list[float]]:
    """Crash children four times each, in this order of ids; return the delays of each."""
    stage = Stage()
    children = [stage.child(id, backoff=backoff) for id in "abc"]
    start: Any = partial(Supervisor, SupervisorSpec("top", children, max_restarts=100))
    if dynamic:
        start = partial(DynamicSupervisor, DynamicSupervisorSpec("top", max_restarts=100))
    async with ActorSystem() as system:
        system.events.subscribe(stage.hear)
        top = await system.spawn(partial(start, random=random or Random()), id="top")
        for child in children if dynamic else ():
            await top.ask(StartChild(child))
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
    assert await delays(("c", "a", "b"), backoff, dynamic=dynamic) == expected
    assert len({delay for said in expected.values() for delay in said}) == 12
    for other in (Backoff(1.0, 16.0, seed=8), Backoff(1.0, 16.0)):
        assert await delays(("a", "b", "c"), other, dynamic=dynamic) != expected


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("seed", [7, None])
async def test_the_delays_are_those_of_their_generator(seed: int | None, dynamic: bool) -> None:
    """The delays can be foretold: by the seed of the backoff, or by the supervisor's generator."""
    backoff = Backoff(1.0, 16.0, seed=seed, reset_after=1000.0)
    said = await delays(("a",), backoff, dynamic=dynamic, random=Random(5))
    generator = backoff.generator("/top/a") or Random(5)
    assert said["a"] == [backoff.delay(failures, generator) for failures in (1, 2, 3, 4)]

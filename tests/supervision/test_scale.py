"""Tests of size: what one child costs does not depend on how many there are."""

import gc
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from actors import Actor, AnyRef, CancellationToken, Crashed, on, task
from actors.testing import settle
from supervision import (
    Application,
    ChildSpec,
    CountChildren,
    DynamicSupervisorSpec,
    Restart,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
    WhichChildren,
    serve,
)

pytestmark = [pytest.mark.real_time, pytest.mark.dead_letters]

MANY = 10_000
FEW = 1_000
FACTOR = 3.0
"""How much dearer one child may be among many than among few; measured it is about 1."""


class Crash:
    """Make a worker crash."""


class Worker(Actor[Crash]):
    """Do nothing, until it is told to crash."""

    @on(Crash)
    def crash(self, message: Crash) -> None:
        """Crash."""
        raise ValueError("as told")


class Cost(NamedTuple):
    """Seconds for one child."""

    start: float
    restart: float
    terminate: float
    stop: float


async def measure(children: int) -> Cost:
    """Start, crash, terminate and stop so many children; return what each took."""
    crashed, ended = 100, 100
    spec = DynamicSupervisorSpec("top", max_restarts=crashed)
    gc.collect()
    began = time.perf_counter()
    async with serve(spec) as app:
        top = app.supervisor
        for number in range(children):
            await top.ask(StartChild(ChildSpec(f"w{number}", Worker)))
        started = time.perf_counter()
        for number in range(crashed):
            app.find(f"w{number * (children // crashed)}").tell(Crash())
        await settle()
        restarted = time.perf_counter()
        for number in range(ended):
            await top.ask(TerminateChild(f"w{number}"))
        terminated = time.perf_counter()
        counts = await top.ask(CountChildren())
        assert (counts.specs, counts.active) == (children - ended, children - ended)
        infos = await top.ask(WhichChildren())
        assert sum(info.restarts for info in infos) >= crashed - ended
        stopping = time.perf_counter()
    stopped = time.perf_counter()
    return Cost(
        (started - began) / children,
        (restarted - started) / crashed,
        (terminated - restarted) / ended,
        (stopped - stopping) / children,
    )


async def test_a_child_costs_the_same_among_ten_thousand() -> None:
    """Starting, restarting, terminating and stopping a child cost the same among 10 000."""
    few = [await measure(FEW) for _ in range(3)]
    many = await measure(MANY)
    for what in Cost._fields:
        cheapest = min(getattr(cost, what) for cost in few)
        dearest = max(getattr(cost, what) for cost in few)
        # On a busy machine the few are measured as badly as the many.
        assert getattr(many, what) < max(cheapest * FACTOR, dearest * 1.5), what


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
async def test_a_static_supervisor_holds_many_children(strategy: str) -> None:
    """A supervisor of 2 000 children starts them, restarts by its strategy, and stops them."""
    children = [ChildSpec(f"w{number}", Worker) for number in range(2_000)]
    async with serve(SupervisorSpec("top", children, strategy=strategy)) as app:  # type: ignore[arg-type]
        app.find("w1000").tell(Crash())
        await settle()
        restarts = [info.restarts for info in await app.supervisor.ask(WhichChildren())]
        expected = {"one_for_one": 1, "rest_for_one": 1_000, "one_for_all": 2_000}[strategy]
        assert sum(restarts) == expected


async def test_restarts_under_one_for_one_do_not_look_at_the_siblings() -> None:
    """Under one_for_one a restart costs the same with ten times the siblings."""

    async def cost(size: int) -> float:
        children = [ChildSpec(f"w{number}", Worker) for number in range(size)]
        async with serve(SupervisorSpec("top", children, max_restarts=1_000)) as app:
            began = time.perf_counter()
            for _ in range(200):
                app.find(f"w{size // 2}").tell(Crash())
                await settle()
            return time.perf_counter() - began

    few, many = min([await cost(300) for _ in range(3)]), await cost(3_000)
    assert many < few * FACTOR + 0.05


async def test_a_tree_of_a_hundred_floors_costs_as_much_for_each_floor() -> None:
    """A tree 100 supervisors deep starts and stops, at the price of ten times ten deep."""

    async def work(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    def tower(floors: int) -> SupervisorSpec:
        tree = SupervisorSpec("top", [ChildSpec("w", task(work))])
        for _ in range(floors - 1):
            tree = SupervisorSpec("top", [tree])
        return tree

    async def cost(floors: int, times: int) -> float:
        tree = tower(floors)
        began = time.perf_counter()
        for _ in range(times):
            async with serve(tree) as app:
                assert app.find("/".join(["top"] * (floors - 1) + ["w"])).is_alive
        return time.perf_counter() - began

    await cost(100, 1)
    low, high = await cost(10, 100), await cost(100, 10)
    assert high < low * FACTOR + 0.1


async def test_a_deep_tree_can_be_killed_and_can_give_up() -> None:
    """From the bottom of a hundred floors a crash climbs to the top; a kill goes down all."""
    tree = SupervisorSpec("top", [ChildSpec("w", Worker)], max_restarts=0)
    for _ in range(99):
        tree = SupervisorSpec("top", [tree], max_restarts=0)
    path = "/".join(["top"] * 99 + ["w"])
    bottom: list[AnyRef] = []

    async def crash(app: Application) -> None:
        bottom.append(app.find(path))
        bottom[0].tell(Crash())

    async def kill(app: Application) -> None:
        app.supervisor.kill()

    for strike, cause in ((crash, ValueError), (kill, type(None))):
        with pytest.raises(TreeExited) as caught:
            await outlive(tree, strike)
        assert isinstance(caught.value.__cause__, cause)
    assert not bottom[0].is_alive


async def outlive(tree: SupervisorSpec, strike: Callable[[Application], Awaitable[None]]) -> None:
    """Serve a tree that is struck, until it has ended."""
    async with serve(tree) as app:
        await strike(app)
        await app.wait()


async def test_many_children_that_end_leave_nothing_behind() -> None:
    """Temporary children that come and go by the thousand leave no trace in their supervisor."""

    async def brief(shutdown: CancellationToken) -> None:
        pass

    async with serve(DynamicSupervisorSpec("top", max_children=10)) as app:
        spec = ChildSpec("brief", task(brief), restart=Restart.TEMPORARY)
        for _ in range(2_000):
            ref = await app.supervisor.ask(StartChild(spec))
            assert ref is not None
            assert not isinstance(await ref.wait(), Crashed)
            await settle()
        counts = await app.supervisor.ask(CountChildren())
        assert (counts.specs, counts.active) == (0, 0)
        assert app.system.snapshot()[0].children == ()

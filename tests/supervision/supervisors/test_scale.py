"""Tests of size: what one child costs does not depend on how many there are.

The cost is counted in calls of Python functions, which are the same on every machine, busy or not.
How long it takes is measured by the benchmarks.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple

import anyio
import pytest

from actors import Actor, AnyRef, CancellationToken, on, task
from actors.testing import settle
from supervision import (
    Application,
    Backoff,
    ChildSpec,
    CountChildren,
    DynamicSupervisorSpec,
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
FACTOR = 1.25
"""How much dearer one child may be among many than among few."""


@pytest.fixture(autouse=True)
def calls() -> Iterator[Callable[[], int]]:
    """Count the calls of Python functions from here on."""
    count, before = 0, sys.getprofile()

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event == "call":
            count += 1

    sys.setprofile(look)
    try:
        yield lambda: count
    finally:
        sys.setprofile(before)


class Crash:
    """Make a worker crash."""


class Worker(Actor[Crash]):
    """Do nothing, until it is told to crash."""

    @on(Crash)
    def crash(self, message: Crash) -> None:
        """Crash."""
        raise ValueError("as told")


class Cost(NamedTuple):
    """Calls for one child."""

    start: float
    restart: float
    terminate: float
    stop: float


async def measure(children: int, calls: Callable[[], int]) -> Cost:
    """Start, crash, terminate and stop so many children; return what each took."""
    crashed, ended = 100, 100
    spec = DynamicSupervisorSpec("top", max_restarts=crashed)
    began = calls()
    async with serve(spec) as app:
        top = app.supervisor
        for number in range(children):
            await top.ask(StartChild(ChildSpec(f"w{number}", Worker)))
        started = calls()
        for number in range(crashed):
            app.find(f"w{number * (children // crashed)}").tell(Crash())
        await settle()
        restarted = calls()
        for number in range(ended):
            await top.ask(TerminateChild(f"w{number}"))
        terminated = calls()
        counts = await top.ask(CountChildren())
        assert (counts.specs, counts.active) == (children - ended, children - ended)
        infos = await top.ask(WhichChildren())
        assert sum(info.restarts for info in infos) >= crashed - ended
        stopping = calls()
    stopped = calls()
    return Cost(
        (started - began) / children,
        (restarted - started) / crashed,
        (terminated - restarted) / ended,
        (stopped - stopping) / children,
    )


async def test_a_child_costs_the_same_among_ten_thousand(calls: Callable[[], int]) -> None:
    """Starting, restarting, terminating and stopping a child cost the same among 10 000."""
    few, many = await measure(FEW, calls), await measure(MANY, calls)
    for what in Cost._fields:
        assert getattr(many, what) < getattr(few, what) * FACTOR, what


async def test_a_tree_of_a_hundred_floors_costs_as_much_for_each_floor(
    calls: Callable[[], int],
) -> None:
    """A tree 100 supervisors deep starts and stops, at the price of ten times ten deep."""

    async def work(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    def tower(floors: int) -> SupervisorSpec:
        tree = SupervisorSpec("top", [ChildSpec("w", task(work))])
        for _ in range(floors - 1):
            tree = SupervisorSpec("top", [tree])
        return tree

    async def cost(floors: int, times: int) -> int:
        tree = tower(floors)
        began = calls()
        for _ in range(times):
            async with serve(tree) as app:
                assert app.find("/".join(["top"] * (floors - 1) + ["w"])).is_alive
        return calls() - began

    assert await cost(100, 10) < await cost(10, 100) * FACTOR


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


async def test_one_more_child_costs_an_apply_the_same(calls: Callable[[], int]) -> None:
    """What `apply` takes for one new child does not depend on how many there are."""

    async def cost(children: int, strategy: Any) -> float:
        specs = [ChildSpec(f"w{number}", Worker) for number in range(children)]
        async with serve(SupervisorSpec("top", specs[:1], strategy=strategy)) as app:
            began = calls()
            report = await app.apply(SupervisorSpec("top", specs, strategy=strategy))
            assert report.went_well
            return (calls() - began) / children

    for strategy in ("one_for_one", "rest_for_one"):
        assert await cost(2000, strategy) < 1.2 * await cost(200, strategy)


async def test_the_end_of_one_of_many_significant_children_costs_the_same(
    calls: Callable[[], int],
) -> None:
    """Whether another significant child is there is known without a look at all that have gone."""

    async def cost(children: int) -> float:
        async def work(shutdown: CancellationToken) -> None:
            await over.wait()

        over = anyio.Event()
        specs = [
            ChildSpec(f"w{number}", task(work), restart="transient", significant=True)
            for number in range(children)
        ]
        async with serve(SupervisorSpec("top", specs, auto_shutdown="all_significant")) as app:
            began = calls()
            over.set()
            assert str(await app.wait()) == "shutdown"
            return (calls() - began) / children

    assert await cost(1000) < FACTOR * await cost(100)


async def test_taking_back_one_of_many_restarts_costs_the_same(calls: Callable[[], int]) -> None:
    """Terminating a child that waits for its restart takes no look at the others that wait."""

    async def cost(children: int, strategy: Any) -> float:
        async def crash(shutdown: CancellationToken) -> None:
            await over.wait()
            raise ValueError("as told")

        over = anyio.Event()
        pause = Backoff(1000.0, 1000.0)
        specs = [ChildSpec(f"w{number}", task(crash), backoff=pause) for number in range(children)]
        async with serve(SupervisorSpec("top", specs, strategy=strategy)) as app:
            over.set()
            await settle()
            began = calls()
            for number in range(children):
                await app.supervisor.ask(TerminateChild(f"w{number}"))
            return (calls() - began) / children

    for strategy in ("one_for_one", "one_for_all"):
        assert await cost(1000, strategy) < FACTOR * await cost(100, strategy)

"""Measure what one child of a DynamicSupervisor costs when there are few and when there are many.

For 100, 1 000, 10 000 and 100 000 children, microseconds for each of: starting one (`StartChild`),
finding one (`GetChild`), restarting one that crashed (of 1 000 random ones, each awaited until it
answers again), terminating one (`TerminateChild`), and stopping the rest, which are all told at
once. All choices are made with one seed.

Guarantees: each child that crashes is seen to be restarted, each that was terminated to be gone,
and all others to be there. The collector is as the caller left it: some of what grows with the
number of objects is its work, and a run with `--no-gc` shows how much.

>>> from tests.benchmarks.loops import run
>>> costs = run(Backend.ASYNCIO, some_children, 50)
>>> sorted(costs)
['find', 'restart', 'start', 'stop', 'terminate']
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from random import Random
from time import perf_counter
from typing import ClassVar

from attrs import frozen

from actors import Actor, Request, on
from supervision import (
    ChildSpec,
    CountChildren,
    DynamicSupervisorSpec,
    GetChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from tests.benchmarks.loops import Backend, run
from tests.benchmarks.messages import Boom, check
from tests.benchmarks.results import Finding

SIZES = (100, 1_000, 10_000, 100_000)
CHOSEN = 1_000
"""So many random ones are found, crashed and terminated, or as many as there are."""

UNLIMITED = 10_000_000


@frozen
class Crash:
    """Make a worker crash; nobody misses it afterwards."""

    __dead_letter__: ClassVar[bool] = False


@frozen
class Alive(Request[int]):
    """Ask a worker which start of it this is."""


class Worker(Actor[Crash | Alive]):
    """Crash when told to, and answer when asked."""

    @on(Crash)
    def crash(self, message: Crash) -> None:
        raise Boom

    @on(Alive)
    def alive(self, message: Alive) -> int:
        return self.context.incarnation


async def some_children(number: int) -> dict[str, float]:
    """Start `number` children, and do each thing to some of them; microseconds for one."""
    random = Random(number)
    costs: dict[str, float] = {}
    tree = SupervisorSpec("top", [DynamicSupervisorSpec("pool", max_restarts=UNLIMITED)])
    requests = [StartChild(ChildSpec(f"child-{index}", Worker)) for index in range(number)]
    chosen = random.sample(range(number), min(CHOSEN, number // 2))
    doomed = random.sample(range(number), len(chosen))
    async with serve(tree) as application:
        pool = application.find("pool")
        with _timed(costs, "start", number):
            for request in requests:
                await pool.ask(request)
        refs = {}
        with _timed(costs, "find", len(chosen)):
            for index in chosen:
                refs[index] = await pool.ask(GetChild(f"child-{index}"))
        with _timed(costs, "restart", len(chosen)):
            for ref in refs.values():
                ref.tell(Crash())
                # Kept mail: it is answered by the next incarnation.
                check("incarnation", expected=2, found=await ref.ask(Alive()))
        with _timed(costs, "terminate", len(doomed)):
            for index in doomed:
                await pool.ask(TerminateChild(f"child-{index}"))
        counts = await pool.ask(CountChildren())
        check("active", expected=number - len(doomed), found=counts.active)
        began = perf_counter()
    costs["stop"] = (perf_counter() - began) / (number - len(doomed)) * 1e6
    return costs


@contextmanager
def _timed(costs: dict[str, float], what: str, number: int) -> Generator[None]:
    began = perf_counter()
    yield
    costs[what] = (perf_counter() - began) / number * 1e6


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Measure on the first loop, at each size."""
    backend = backends[0]
    sizes = SIZES[:2] if quick else SIZES
    samples = {size: [run(backend, some_children, size) for _ in range(rounds)] for size in sizes}
    return [
        Finding(
            "children",
            f"{what}, of {size}",
            backend,
            "us",
            tuple(sample[what] for sample in samples[size]),
        )
        for what in samples[sizes[0]][0]
        for size in sizes
    ]

"""Measure trees of every size: the programs of `scaling` that need supervisors.

Guarantees: the public doors only, default options apart from a budget that cannot be spent; each
result is checked. Restarts are timed as in `supervised`.

>>> import anyio
>>> sorted(anyio.run(dynamic_children, 2))
['start', 'stop']
"""

from __future__ import annotations

from functools import partial
from statistics import median
from time import perf_counter

import anyio

from actors import Ref
from supervision import ChildSpec, SupervisorSpec, serve
from tests.benchmarks import baselines_lifecycle, supervised
from tests.benchmarks.lifecycle import Idle
from tests.benchmarks.messages import check
from tests.benchmarks.supervised import UNLIMITED, Crash, CrashLog, Worker

CRASHES = 20


async def depth(levels: int) -> dict[str, float]:
    """Start and stop a chain of `levels` supervisors with one worker at its end."""
    log = CrashLog()
    tree = ChildSpec("worker", partial(Worker, log))
    for level in reversed(range(levels)):
        tree = SupervisorSpec(f"level-{level}", [tree], max_restarts=UNLIMITED)
    assert isinstance(tree, SupervisorSpec)
    path = "/".join([*(f"level-{level}" for level in range(1, levels)), "worker"])
    started = perf_counter()
    async with serve(tree) as application:
        running = perf_counter()
        delays = await _crash(application.find(path), log)
        stopping = perf_counter()
    stopped = perf_counter()
    return {
        "start": (running - started) / (levels + 1) * 1e6,
        "stop": (stopped - stopping) / (levels + 1) * 1e6,
        "restart of the leaf": delays,
    }


async def children(number: int) -> dict[str, float]:
    """Start and stop a supervisor of `number` children, and crash one in the middle."""
    start, stop = await supervised.start_supervisor(number)
    log = CrashLog()
    middle = number // 2
    specs = [ChildSpec(f"child-{each}", Idle) for each in range(number)]
    specs[middle] = ChildSpec("worker", partial(Worker, log))
    tree = SupervisorSpec("top", specs, max_restarts=UNLIMITED)
    async with serve(tree) as application:
        delay = await _crash(application.find("worker"), log)
    return {"start": start, "stop": stop, "restart of one": delay}


async def dynamic_children(number: int) -> dict[str, float]:
    """Start `number` children under a dynamic supervisor one by one, and stop all."""
    start, stop = await supervised.start_dynamic(number)
    return {"start": start, "stop": stop}


async def _crash(worker: Ref[Crash], log: CrashLog) -> float:
    for _ in range(CRASHES):
        log.ready = anyio.Event()
        worker.tell(Crash())
        await log.ready.wait()
    check("restarts", expected=CRASHES, found=len(log.delays))
    return median(log.delays) * 1e6


async def tasks_in_order(number: int) -> dict[str, float]:
    """Start tasks one by one and end them in reverse, in plain asyncio."""
    start, stop = await baselines_lifecycle.start_in_order(number)
    return {"start": start, "stop": stop}


async def tasks_together(number: int) -> dict[str, float]:
    """Start tasks one by one and end them all at once, in plain asyncio."""
    start, stop = await baselines_lifecycle.start_and_stop_together(number)
    return {"start": start, "stop": stop}

"""Run actors under supervisors: the measured side of restart and of supervisor start.

Guarantees: each workload uses the public doors only, with default options, and checks
its result. A restart is timed inside the actor, from just before the crash is raised to
the end of the new incarnation's `on_start`, so neither the crash message nor the driver
is part of it.

>>> import anyio
>>> start, stop = anyio.run(start_supervisor, 10)
>>> start > 0
True
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter

import anyio
from attrs import frozen

from actors import Actor, on
from supervision import (
    ChildSpec,
    CountChildren,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    Watchdog,
    serve,
)
from tests.benchmarks.figures import percentile
from tests.benchmarks.lifecycle import Idle
from tests.benchmarks.messages import Boom, additions, check
from tests.benchmarks.messaging import PATIENCE, Counter, Total

# A budget that a benchmark cannot spend; the window stays at its default.
UNLIMITED = 1_000_000


@frozen
class Crash:
    """Make the worker crash."""


class CrashLog:
    """Outlive the incarnations and keep the times of their crashes and starts."""

    def __init__(self) -> None:
        self.raised_at: float | None = None
        self.delays: list[float] = []
        self.ready = anyio.Event()

    def started(self) -> None:
        now = perf_counter()
        if self.raised_at is not None:
            self.delays.append(now - self.raised_at)
        self.ready.set()


class Worker(Actor[Crash]):
    """Crash when told to."""

    def __init__(self, log: CrashLog) -> None:
        self.log = log

    async def on_start(self) -> None:
        self.log.started()

    @on(Crash)
    def crash(self, message: Crash) -> None:
        self.log.raised_at = perf_counter()
        raise Boom


async def restart(size: int) -> tuple[float, float]:
    """Crash a supervised actor again and again; p50 and p99 from raise to ready, in us."""
    log = CrashLog()
    tree = SupervisorSpec(
        "top", [ChildSpec("worker", partial(Worker, log))], max_restarts=UNLIMITED
    )
    async with serve(tree) as application:
        worker = application.find("worker")
        for _ in range(size):
            log.ready = anyio.Event()
            worker.tell(Crash())
            await log.ready.wait()
    check("restarts", expected=size, found=len(log.delays))
    return (percentile(log.delays, 50) * 1e6, percentile(log.delays, 99) * 1e6)


def tell(watched: bool) -> Callable[[int], Awaitable[tuple[float]]]:
    """Give a program that tells a child `size` messages, under a watchdog or without; seconds."""
    watchdog = Watchdog(handler=1.0) if watched else None

    async def program(size: int) -> tuple[float]:
        tree = SupervisorSpec("top", [ChildSpec("counter", Counter, watchdog=watchdog)])
        async with serve(tree) as application:
            counter = application.find("counter")
            messages = additions(size)
            started = perf_counter()
            for message in messages:
                counter.tell(message)
            total = await counter.ask(Total(), timeout=PATIENCE)
            seconds = perf_counter() - started
        check("total", expected=size, found=total)
        return (seconds,)

    return program


async def start_supervisor(size: int) -> tuple[float, float]:
    """Start a tree of one supervisor and its children, and stop it again.

    Gives the time for each child in us: to start, and to stop. The children stop one at a
    time in reverse order. The spec is made outside the measured stretch.
    """
    tree = SupervisorSpec("top", [ChildSpec(f"child-{number}", Idle) for number in range(size)])
    started = perf_counter()
    async with serve(tree) as application:
        running = perf_counter()
        counts = await application.supervisor.ask(CountChildren())
        stopping = perf_counter()
    stopped = perf_counter()
    check("active", expected=size, found=counts.active)
    return ((running - started) / size * 1e6, (stopped - stopping) / size * 1e6)


async def start_dynamic(size: int) -> tuple[float, float]:
    """Start children under a dynamic supervisor one by one, and stop the tree.

    Gives the time for each child in us: to start with `StartChild`, and to stop. The
    children stop concurrently. The specs are made outside the measured stretch.
    """
    tree = SupervisorSpec("top", [DynamicSupervisorSpec("pool")])
    requests = [StartChild(ChildSpec(f"child-{number}", Idle)) for number in range(size)]
    async with serve(tree) as application:
        pool = application.find("pool")
        started = perf_counter()
        for request in requests:
            await pool.ask(request)
        running = perf_counter()
        counts = await pool.ask(CountChildren())
        stopping = perf_counter()
    stopped = perf_counter()
    check("active", expected=size, found=counts.active)
    return ((running - started) / size * 1e6, (stopped - stopping) / size * 1e6)

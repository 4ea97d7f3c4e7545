"""Measure mode (mode-streaming): services with a life and supervisors, but without mailboxes."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter

from mode import OneForOneSupervisor, Service

from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import Boom, check
from tests.benchmarks.peers import kit

UNLIMITED = 1_000_000
NO_MAIL = "a service has no mailbox"


class Idle(Service):
    """Wait until it is told to stop."""


class Worker(Service):
    """Crash when told to; keep the times."""

    def __post_init__(self) -> None:
        self.raised_at: float | None = None
        self.delays: list[float] = []
        self.ready, self.crashing = asyncio.Event(), asyncio.Event()

    async def on_start(self) -> None:
        self.crashing = asyncio.Event()

    @Service.task
    async def _crash_when_told(self) -> None:
        if self.raised_at is not None:
            self.delays.append(perf_counter() - self.raised_at)
        self.ready.set()
        await self.crashing.wait()
        self.raised_at = perf_counter()
        raise Boom


async def spawn_stop(size: int) -> float:
    """Start a service and stop it; lives a second."""
    started = perf_counter()
    for _ in range(size):
        service = Idle()
        await service.start()
        await service.stop()
    return size / (perf_counter() - started)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    worker = Worker()
    supervisor = OneForOneSupervisor(max_restarts=UNLIMITED, over=1.0)
    supervisor.add(worker)
    await supervisor.start()
    await worker.ready.wait()
    for _ in range(size):
        worker.ready = asyncio.Event()
        worker.crashing.set()
        await asyncio.wait_for(worker.ready.wait(), 20)
    await supervisor.stop()
    check("restarts", expected=size, found=len(worker.delays))
    return percentile(worker.delays, 50) * 1e6


logging.disable(logging.CRITICAL)
kit.main(
    {
        "spawn_stop": lambda size: asyncio.run(spawn_stop(size)),
        "restart": lambda size: asyncio.run(restart(size)),
    },
    {"tell": NO_MAIL, "ask": NO_MAIL, "ping_pong": NO_MAIL},
)

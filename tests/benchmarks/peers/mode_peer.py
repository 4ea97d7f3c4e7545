"""Measure mode (mode-streaming): services with a life and supervisors, but without mailboxes."""

from __future__ import annotations

import asyncio
import logging

from mode import OneForOneSupervisor, Service

from tests.benchmarks.messages import Boom
from tests.benchmarks.peers import kit

NO_MAIL = "a service has no mailbox"


class Idle(Service):
    """Wait until it is told to stop."""


class Worker(Service):
    """Crash when told to; keep the times."""

    def __post_init__(self) -> None:
        self.times = kit.Log()  # its `log` is its own
        self.ready, self.crashing = asyncio.Event(), asyncio.Event()

    async def on_start(self) -> None:
        self.crashing = asyncio.Event()

    @Service.task
    async def _crash_when_told(self) -> None:
        self.times.started()
        self.ready.set()
        await self.crashing.wait()
        self.times.crashing()
        raise Boom


async def spawn_stop(size: int) -> float:
    """Start a service and stop it; lives a second."""
    with kit.Stopwatch() as watch:
        for _ in range(size):
            service = Idle()
            await service.start()
            await service.stop()
    return watch.rate(size)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    worker = Worker()
    supervisor = OneForOneSupervisor(max_restarts=kit.UNLIMITED, over=1.0)
    supervisor.add(worker)
    await supervisor.start()
    await worker.ready.wait()
    for _ in range(size):
        worker.ready = asyncio.Event()
        worker.crashing.set()
        await asyncio.wait_for(worker.ready.wait(), 20)
    await supervisor.stop()
    return worker.times.median(size)


logging.disable(logging.CRITICAL)
kit.main(
    kit.all_of(lambda program, size: asyncio.run(program(size)), spawn_stop, restart),
    {"tell": NO_MAIL, "ask": NO_MAIL, "ping_pong": NO_MAIL},
)

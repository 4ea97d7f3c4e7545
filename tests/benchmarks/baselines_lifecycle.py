"""Start, stop and restart tasks by hand in plain asyncio.

Guarantees: as in `baselines_messaging`, the plainest program that does the work. A task
"lives" when it has said that it is ready, waits to be told to end, and is awaited
until it has ended; that is what an actor does between `spawn` and its end.

>>> import asyncio
>>> rate, = asyncio.run(live_and_stop(10))
>>> rate > 0
True
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue, Task
from time import perf_counter

from tests.benchmarks.figures import Stopwatch, percentile
from tests.benchmarks.messages import Boom, check


async def live_and_stop(size: int) -> tuple[float]:
    """Start a task, see it ready, tell it to end, see it ended; lives a second."""
    loop = asyncio.get_running_loop()
    ended = 0
    with Stopwatch() as watch:
        for _ in range(size):
            ready: Future[None] = loop.create_future()
            stop: Future[None] = loop.create_future()
            task = asyncio.create_task(_live(ready, stop))
            await ready
            stop.set_result(None)
            ended += await task
    check("ended", expected=size, found=ended)
    return (watch.rate(size),)


async def live_with_queue(size: int) -> tuple[float]:
    """Do as `live_and_stop`, the task waiting on a queue of its own; lives a second."""
    loop = asyncio.get_running_loop()
    ended = 0
    with Stopwatch() as watch:
        for _ in range(size):
            ready: Future[None] = loop.create_future()
            queue: Queue[None] = Queue()
            task = asyncio.create_task(_live_on(queue, ready))
            await ready
            queue.put_nowait(None)
            ended += await task
    check("ended", expected=size, found=ended)
    return (watch.rate(size),)


async def finish_at_once(size: int) -> tuple[float]:
    """Start a task that ends in its first step, see it ended; lives a second."""
    ended = 0
    with Stopwatch() as watch:
        for _ in range(size):
            ended += await asyncio.create_task(_finish())
    check("ended", expected=size, found=ended)
    return (watch.rate(size),)


async def _live(ready: Future[None], stop: Future[None]) -> int:
    ready.set_result(None)
    await stop
    return 1


async def _live_on(queue: Queue[None], ready: Future[None]) -> int:
    ready.set_result(None)
    await queue.get()
    return 1


async def _finish() -> int:
    return 1


async def restart(size: int) -> tuple[float, float]:
    """Crash a task and start the next one; p50 and p99 from raise to ready, in us."""
    worker = _Worker()
    keeper = asyncio.create_task(worker.keep_alive())
    await worker.ready
    for _ in range(size):
        worker.ready = asyncio.get_running_loop().create_future()
        worker.crash.set_result(None)
        await worker.ready
    keeper.cancel()
    await asyncio.wait([keeper])
    check("restarts", expected=size, found=len(worker.delays))
    return (percentile(worker.delays, 50) * 1e6, percentile(worker.delays, 99) * 1e6)


class _Worker:
    """Live, crash when told to, and live again."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ready: Future[None] = loop.create_future()
        self.crash: Future[None] = loop.create_future()
        self.delays: list[float] = []
        self.raised_at: float | None = None

    async def keep_alive(self) -> None:
        while True:
            try:
                await asyncio.create_task(self._live())
            except Boom:
                continue

    async def _live(self) -> None:
        self.crash = asyncio.get_running_loop().create_future()
        if self.raised_at is not None:
            self.delays.append(perf_counter() - self.raised_at)
        self.ready.set_result(None)
        await self.crash
        self.raised_at = perf_counter()
        raise Boom


async def start_in_order(size: int) -> tuple[float, float]:
    """Start tasks, each ready before the next; end them in reverse, one at a time.

    Gives the time for each task in us: to start, and to stop.
    """
    ended = 0
    with Stopwatch() as starting:
        tasks = await _start_each(size)
    with Stopwatch() as stopping:
        for stop, task in reversed(tasks):
            stop.set_result(None)
            ended += await task
    check("ended", expected=size, found=ended)
    return (starting.each(size), stopping.each(size))


async def start_and_stop_together(size: int) -> tuple[float, float]:
    """Start tasks, each ready before the next; end them all at once; times as above."""
    with Stopwatch() as starting:
        tasks = await _start_each(size)
    with Stopwatch() as stopping:
        for stop, _ in tasks:
            stop.set_result(None)
        ended = sum(await asyncio.gather(*(task for _, task in tasks)))
    check("ended", expected=size, found=ended)
    return (starting.each(size), stopping.each(size))


async def _start_each(number: int) -> list[tuple[Future[None], Task[int]]]:
    loop = asyncio.get_running_loop()
    tasks: list[tuple[Future[None], Task[int]]] = []
    for _ in range(number):
        ready: Future[None] = loop.create_future()
        stop: Future[None] = loop.create_future()
        tasks.append((stop, asyncio.create_task(_live(ready, stop))))
        await ready
    return tasks

"""Share work out by hand in plain asyncio: workers around a queue, a semaphore, a task.

Guarantees: a baseline does the work of its workload and nothing else: nobody restarts a worker, no
caller has a deadline, no call is stopped in order. The time is that of the processor.

>>> import asyncio
>>> rate, = asyncio.run(pool_jobs(20))
>>> rate > 0
True
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue
from time import process_time
from typing import TypeAlias

from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.jobs import CALLERS, LIMIT, WORKERS
from tests.benchmarks.messages import INCREASE, Increase, check

Jobs: TypeAlias = Queue[tuple[Increase, Future[int]]]


async def _work(jobs: Jobs) -> None:
    while True:
        job, answer = await jobs.get()
        await asyncio.sleep(0)
        answer.set_result(job.amount)


async def pool_jobs(size: int) -> tuple[float]:
    """Put jobs with a future each into the queue of eight workers; jobs a second."""
    jobs: Jobs = Queue()
    found: list[int] = []
    new_future = asyncio.get_running_loop().create_future

    async def ask() -> int:
        answer: Future[int] = new_future()
        jobs.put_nowait((INCREASE, answer))
        return await answer

    async def call(number: int) -> None:
        found.append(sum([await ask() for _ in range(number)]))

    each, rest = divmod(size, CALLERS)
    workers = [asyncio.create_task(_work(jobs)) for _ in range(WORKERS)]
    await asyncio.sleep(0)
    with Stopwatch(process_time) as watch:
        async with asyncio.TaskGroup() as callers:
            for number in range(CALLERS):
                callers.create_task(call(each + (number < rest)))
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    check("total", expected=size, found=sum(found))
    return (watch.rate(size),)


async def _same(item: int) -> int:
    await asyncio.sleep(0)
    return item


async def task_map(size: int) -> tuple[float]:
    """Start a task for each item, as many at a time as a semaphore lets; items a second."""
    room = asyncio.Semaphore(LIMIT)
    found = [0] * size

    async def one(item: int) -> None:
        try:
            found[item] = await _same(item)
        finally:
            room.release()

    with Stopwatch(process_time) as watch:
        async with asyncio.TaskGroup() as calls:
            for item in range(size):
                await room.acquire()
                calls.create_task(one(item))
        total = sum(found)
    check("total", expected=size * (size - 1) // 2, found=total)
    return (watch.rate(size),)


async def task_run(size: int) -> tuple[float]:
    """Create a task and await it, one after the other; runs a second."""
    with Stopwatch(process_time) as watch:
        total = sum([await asyncio.create_task(_same(item)) for item in range(size)])
    check("total", expected=size * (size - 1) // 2, found=total)
    return (watch.rate(size),)

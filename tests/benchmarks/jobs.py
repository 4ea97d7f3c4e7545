"""Give work to a pool, and to tasks: the measured side of jobs.

Guarantees: the public doors only, default options, and each checks its result. The time is that of
the processor, so a neighbor on the machine costs nothing.

>>> import anyio
>>> rate, = anyio.run(pool_jobs, 20)
>>> rate > 0
True
"""

from __future__ import annotations

from time import process_time

import anyio

from actors import Actor, on
from supervision import Pool, PoolSpec, Tasks, TaskSupervisorSpec, serve
from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.loops import pause
from tests.benchmarks.messages import INCREASE, Increase, check

WORKERS = 8
CALLERS = 16
LIMIT = 16
"""So many calls of a map may run at the same time."""


class Worker(Actor[Increase]):
    """Give way once, then answer."""

    def __init__(self) -> None:
        self.let_others_run = pause()

    @on(Increase)
    async def increase(self, message: Increase) -> int:
        await self.let_others_run()
        return message.amount


async def pool_jobs(size: int) -> tuple[float]:
    """Have a pool do `size` jobs for callers that each wait for one at a time; jobs a second."""
    found: list[int] = []
    async with serve(PoolSpec("pool", Worker, size=WORKERS)) as application:
        pool = Pool[Increase](application.supervisor)

        async def call(number: int) -> None:
            found.append(sum([await pool.ask(INCREASE) for _ in range(number)]))

        each, rest = divmod(size, CALLERS)
        with Stopwatch(process_time) as watch:
            async with anyio.create_task_group() as callers:
                for number in range(CALLERS):
                    callers.start_soon(call, each + (number < rest))
    check("total", expected=size, found=sum(found))
    return (watch.rate(size),)


async def task_map(size: int) -> tuple[float]:
    """Map a coroutine function that gives way once over `size` items; items a second."""
    let_others_run = pause()

    async def same(item: int) -> int:
        await let_others_run()
        return item

    async with serve(TaskSupervisorSpec("jobs")) as application:
        tasks = Tasks(application.supervisor)
        with Stopwatch(process_time) as watch:
            async with tasks.map(same, range(size), limit=LIMIT) as results:
                total = sum([result async for result in results])
    check("total", expected=size * (size - 1) // 2, found=total)
    return (watch.rate(size),)


async def task_run(size: int) -> tuple[float]:
    """Run a coroutine function that gives way once, `size` times in a row; runs a second."""
    let_others_run = pause()

    async def same(item: int) -> int:
        await let_others_run()
        return item

    async with serve(TaskSupervisorSpec("jobs")) as application:
        tasks = Tasks(application.supervisor)
        with Stopwatch(process_time) as watch:
            total = sum([await tasks.run(same, item) for item in range(size)])
    check("total", expected=size * (size - 1) // 2, found=total)
    return (watch.rate(size),)

"""Pools: supervised workers that share one queue of jobs.

A `PoolSpec` among the children of a tree makes the pool, a `Pool` gives it work. Restarts, budgets
and backoffs of the workers are those of every supervisor; the pool adds the queue: who gets which
job, how many may wait and how long, what a crash means for the job in hand.

Guarantees: each asker gets exactly one answer; a worker has one job at a time; a crash fails no
other job than the one in that worker's hand.

A job's way, and the order in which to read: `handle` (`Pool.ask`), `dispatcher` (the actor that
takes and hands out), `jobs` (what is pending), `routing` and `decisions` (all that is decided,
without effects), and back. Beside it: `workers` and `resizing`; `spec` and `messages` are what the
room speaks in.

>>> import anyio
>>> from actors import Actor, Request, on
>>> from supervision import Pool, PoolSpec, serve
>>> class Square(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Squarer(Actor[Square]):
...     @on(Square)
...     def square(self, message: Square) -> int:
...         return message.number**2
>>> async def main() -> None:
...     spec = PoolSpec("squares", Squarer, size=2, routing="keyed", queue_limit=100)
...     async with serve(spec) as app:
...         pool = Pool[Square](app.supervisor)
...         print(await pool.ask(Square(7), key="seven"))
...         print((await pool.statistics()).taken)
>>> anyio.run(main)
49
1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.pool.handle import Pool
    from supervision.pool.messages import (
        JobExpired,
        NoWorkers,
        PoolDraining,
        PoolFull,
        PoolJob,
        PoolStatistics,
        WorkerStatistics,
    )
    from supervision.pool.routing import Routing
    from supervision.pool.spec import Discard, PoolSpec
else:
    __getattr__, __dir__ = lazy_door(
        "supervision.pool",
        {
            "supervision.pool.handle": "Pool",
            "supervision.pool.messages": (
                "JobExpired NoWorkers PoolDraining PoolFull PoolJob PoolStatistics WorkerStatistics"
            ),
            "supervision.pool.routing": "Routing",
            "supervision.pool.spec": "Discard PoolSpec",
        },
    )

__all__ = [
    "Discard",
    "JobExpired",
    "NoWorkers",
    "Pool",
    "PoolDraining",
    "PoolFull",
    "PoolJob",
    "PoolSpec",
    "PoolStatistics",
    "Routing",
    "WorkerStatistics",
]

"""Change the number of a pool's workers, one resize after the other.

Growing starts workers with the lowest numbers that are free, so that the keys of a worker that was
there before come back to it. Shrinking ends those with the highest numbers; each finishes the job
in its hand first. Meanwhile the pool goes on: whatever takes time is awaited beside it.

>>> import anyio
>>> from actors import Actor, Request, on
>>> from supervision import Pool, PoolSpec, serve
>>> class Ping(Request[None]): ...
>>> class Ponger(Actor[Ping]):
...     @on(Ping)
...     def ping(self, message: Ping) -> None: ...
>>> async def main() -> None:
...     async with serve(PoolSpec("pongers", Ponger, size=1)) as app:
...         pool = Pool[Ping](app.supervisor)
...         for size in (3, 2):
...             await pool.resize(size)
...             print([worker.id for worker in (await pool.statistics()).workers])
>>> anyio.run(main)
['worker-1', 'worker-2', 'worker-3']
['worker-1', 'worker-2']
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count, islice
from typing import Protocol, final

from actors import Reply
from supervision.pool_workers import Worker, Workers

__all__ = ["Aside", "Resizing"]


class Aside(Protocol):
    """Await something beside the pool, and go on in its own turn."""

    def __call__(
        self,
        work: Awaitable[None],
        then: Callable[[None], object],
        failed: Callable[[Exception], object],
        /,
    ) -> None:
        """Await `work`; then call `then` with its result, or `failed` with its error."""
        ...


@final
class Resizing:
    """Carry the resizes of one pool out.

    `aside` awaits what takes time; `placed` is told of each worker that gets no more jobs.
    """

    def __init__(self, workers: Workers, aside: Aside, placed: Callable[[Worker], None]) -> None:
        self._workers = workers
        self._aside = aside
        self._placed = placed
        self._waiting: deque[tuple[int, Reply[None]]] = deque()
        self._reply: Reply[None] | None = None
        self._surplus = 0

    def add(self, size: int, reply: Reply[None]) -> None:
        """Have a size set when the resizes before it are done; `reply` is answered then."""
        self._waiting.append((size, reply))
        self._next()

    def end(self, worker: Worker) -> None:
        """End a worker of the surplus, now that its hands are empty."""
        self._aside(self._workers.end(worker), lambda _: self._has_ended(worker), _ignored)

    def _next(self) -> None:
        if self._reply is not None or not self._waiting:
            return
        size, self._reply = self._waiting.popleft()
        numbers = sorted(self._workers.all)
        if len(numbers) > size:
            self._shrink([self._workers.all[number] for number in numbers[size:]])
        else:
            free = (number for number in count(1) if number not in self._workers.all)
            wanted = list(islice(free, size - len(numbers)))
            self._aside(self._workers.grow(wanted), lambda _: self._done(), self._failed)

    def _shrink(self, surplus: list[Worker]) -> None:
        self._surplus = len(surplus)
        for worker in surplus:
            worker.retiring = True
            self._placed(worker)
            if worker.job is None:
                self.end(worker)

    def _has_ended(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._surplus -= 1
        if not self._surplus:
            self._done()

    def _done(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.send(None)
        self._next()

    def _failed(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.fail(error)
        self._next()


def _ignored(error: Exception) -> None:
    """Do nothing: the supervisor of the workers has ended, and the pool is about to."""

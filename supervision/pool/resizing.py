"""Resizes of a pool, one after the other, while it works on.

To grow is to start workers, one after the other. To shrink is to give those with the highest
numbers no more jobs, and to end each when its hands are empty. Which those are is decided by
`size_change`; this carries it out, and never keeps the pool from its mail: what takes time is
piped, and comes back as a notice (`Grown`, `SurplusEnded`).

Guarantees: a resize begins when the one before it is done, so the last one decides; whoever asked
for it is answered then. When a worker does not start, those before it stay, and the asker hears
why.

>>> from supervision.pool.decisions import size_change
>>> size_change([1, 2, 3], 1).stop
(2, 3)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, final

from attrs import frozen

from actors import Context, Reply
from supervision.pool.decisions import size_change
from supervision.pool.messages import OwnNotice
from supervision.pool.workers import Worker, Workers

__all__ = ["Grown", "ResizeNotice", "Resizing", "SurplusEnded"]


@final
@frozen(eq=False)
class Grown(OwnNotice):
    """A growth that is over; `error` is why it ended early."""

    resizing: Resizing
    error: Exception | None


@final
@frozen(eq=False)
class SurplusEnded(OwnNotice):
    """A worker of the surplus that has ended; with an `error` the supervisor of all of them has."""

    resizing: Resizing
    worker: Worker
    error: Exception | None


ResizeNotice: TypeAlias = Grown | SurplusEnded
"""What a pool hears of its own resizes."""


@final
class Resizing:
    """The resizes of one incarnation of a pool.

    `retired` is called with each worker that gets no more jobs from now on.
    """

    def __init__(
        self, workers: Workers, context: Context[Any], retired: Callable[[Worker], None]
    ) -> None:
        self._workers = workers
        self._context = context
        self._retired = retired
        self._waiting: deque[tuple[int, Reply[None]]] = deque()
        self._reply: Reply[None] | None = None
        self._surplus = 0

    def add(self, size: int, reply: Reply[None]) -> None:
        """Have a size set when the resizes before it are done; `reply` is answered then."""
        self._waiting.append((size, reply))
        self._next()

    def grown(self, notice: Grown) -> None:
        """Go on after a growth."""
        self._done(notice.error)

    def end(self, worker: Worker) -> None:
        """End a worker of the surplus, now that its hands are empty."""
        self._context.pipe(
            self._workers.end(worker),
            into=lambda _: SurplusEnded(self, worker, None),
            failed=lambda error: SurplusEnded(self, worker, error),
        )

    def surplus_ended(self, notice: SurplusEnded) -> None:
        """Go on after the end of a worker of the surplus; the last one ends the resize."""
        if notice.error is not None:
            return  # the supervisor of the workers has ended, and the pool is about to
        self._workers.remove(notice.worker)
        self._surplus -= 1
        if not self._surplus:
            self._done(None)

    def _next(self) -> None:
        if self._reply is not None or not self._waiting:
            return
        size, self._reply = self._waiting.popleft()
        change = size_change(self._workers.all, size)
        if change.stop:
            self._shrink([self._workers.all[number] for number in change.stop])
        else:
            self._context.pipe(
                self._workers.grow(change.start),
                into=lambda _: Grown(self, None),
                failed=lambda error: Grown(self, error),
            )

    def _shrink(self, surplus: list[Worker]) -> None:
        self._surplus = len(surplus)
        for worker in surplus:
            worker.retiring = True
            self._retired(worker)
            if not worker.busy:
                self.end(worker)

    def _done(self, error: Exception | None) -> None:
        reply, self._reply = self._reply, None
        assert reply is not None
        if error is None:
            reply.send(None)
        else:
            reply.fail(error)
        self._next()

"""Keep account of the jobs that a pool has taken.

>>> ledger = Ledger()
>>> ledger.count("refused")
>>> counts = ledger.statistics(draining=False, workers=())
>>> counts.refused, counts.taken
(1, 0)
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any, Literal, TypeAlias, final

from actors import Reply, Timer
from supervision.keys import Key
from supervision.pool.messages import PoolJob, PoolStatistics, WorkerStatistics

__all__ = ["End", "Ledger", "Order", "Outcome"]


End: TypeAlias = Literal["done", "failed", "expired", "discarded", "withdrawn", "refused"]
"""What can become of a job, as in `PoolStatistics`."""


@final
class Outcome(Enum):
    """Tell how a job came back from a worker.

    `DONE`: answered. `CRASHED`: the worker ended. `AGAIN`: it ended, and the job has an attempt
    left. `FAILED`: the worker lives on, but there is no answer.
    """

    DONE = "done"
    CRASHED = "crashed"
    AGAIN = "again"
    FAILED = "failed"


@final
class Order:
    """Know one job that was taken, until its asker has the answer.

    `begun` counts how often it was handed out; `due` is when it expires, `timeout` seconds after it
    was taken; `crash` is how its last attempt ended.
    """

    __slots__ = (
        "attempts",
        "begun",
        "crash",
        "due",
        "in_hand",
        "job",
        "key",
        "number",
        "reply",
        "timeout",
        "timer",
    )

    def __init__(
        self, number: int, job: PoolJob[Any], reply: Reply[Any], key: Key | None, attempts: int
    ) -> None:
        self.number = number
        self.job = job
        self.reply: Reply[Any] | None = reply
        self.key = key
        self.attempts = attempts
        self.begun = 0
        self.crash: Exception | None = None
        self.in_hand = False
        self.timeout = 0.0
        self.due: float | None = None
        self.timer: Timer | None = None

    @property
    def settled(self) -> bool:
        """Tell whether it was answered."""
        return self.reply is None

    @property
    def wanted(self) -> bool:
        """Tell whether it is still to be done: it was only told, or its asker waits."""
        return self.reply is not None and (not self.job.asked or self.reply.wanted)

    def answer(self, value: object) -> None:
        """Give the asker the answer, if it has none yet."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.send(value)

    def fail(self, error: Exception) -> None:
        """Give the asker an error, if it has no answer yet."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.fail(error)

    def close(self) -> None:
        """Let go of the asker and of the clock."""
        self.reply = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@final
class Ledger:
    """Keep the jobs that are not finished, and count what became of the others.

    `retried` counts how often one was handed on.
    """

    def __init__(self) -> None:
        self.retried = 0
        self._orders: dict[int, Order] = {}
        self._numbers: dict[PoolJob[Any], int] = {}
        self._last = 0
        self._ends: Counter[End] = Counter()

    def enter(self, job: PoolJob[Any], reply: Reply[Any], key: Key | None, attempts: int) -> Order:
        """Take a job in; its number is higher than all before."""
        self._last += 1
        order = self._orders[self._last] = Order(self._last, job, reply, key, attempts)
        if job.asked:
            self._numbers[job] = order.number
        return order

    def finish(self, order: Order, end: End) -> None:
        """Let a job go, and count it."""
        del self._orders[order.number]
        self._numbers.pop(order.job, None)
        order.close()
        self._ends[end] += 1

    def count(self, end: End) -> None:
        """Count a job that was not taken in."""
        self._ends[end] += 1

    def find(self, job: PoolJob[Any]) -> Order | None:
        """Return what is known of a job that was asked and is not finished."""
        return self._orders.get(self._numbers.get(job, 0))

    def outside(self) -> list[Order]:
        """List the jobs that no worker has in hand."""
        return [order for order in self._orders.values() if not order.in_hand]

    def __getitem__(self, number: int) -> Order:
        return self._orders[number]

    def __contains__(self, order: Order) -> bool:
        return order.number in self._orders

    def __len__(self) -> int:
        return len(self._orders)

    def statistics(
        self, *, draining: bool, workers: tuple[WorkerStatistics, ...]
    ) -> PoolStatistics:
        """Return the counts, together with what is true now."""
        ends, queued = self._ends, len(self.outside())
        return PoolStatistics(
            size=len(workers),
            queued=queued,
            running=len(self) - queued,
            done=ends["done"],
            failed=ends["failed"],
            expired=ends["expired"],
            discarded=ends["discarded"],
            withdrawn=ends["withdrawn"],
            refused=ends["refused"],
            retried=self.retried,
            draining=draining,
            workers=workers,
        )

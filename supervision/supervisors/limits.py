"""How often a supervisor restarts its children, and how long it waits before.

`RestartLimits` brings together what one restart depends on: the supervisor's budget and the child's
own (`intensity`), the child's backoff, and the randomness for its jitter. It reads no clock: the
time is given.

Guarantees: an attempt is charged to one budget at most, and its crash is kept there alone, no
longer than it counts:

====================================  ======================================
a child                               its restarts are charged to
====================================  ======================================
with `max_restarts` of its own        its own budget
with a backoff and no `max_restarts`  none: it is tried for ever
any other                             that of its supervisor, as in OTP
====================================  ======================================

>>> import anyio
>>> from actors import ActorSystem, Crashed, Proc, task
>>> from supervision import Backoff, ChildSpec
>>> async def work(shutdown: object) -> None: ...
>>> class Owner(Proc[str]):
...     async def on_start(self) -> None:
...         pauses = Backoff(1.0, 9.0, jitter=False)
...         spec = ChildSpec("db", task(work), backoff=pauses, max_restarts=1)
...         record = ChildRecord(spec, self.context.child("db"))
...         limits = RestartLimits(3, 5.0)
...         for now in (100.0, 102.0):
...             limits.note(record, Crashed(KeyError("x")), now)
...             print(limits.spend(record, now).value, limits.pause(record, now - 99.0))
...         print(limits.exceeded(record, "/shop"))
...     async def run(self, shutdown: object) -> None: ...
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await system.spawn(Owner)
>>> anyio.run(main)
restart it 1.0
give up 2.0
/shop gave up: child db needed more than 1 restart in 5 s; last crash: KeyError: 'x'
"""

from __future__ import annotations

from random import Random
from typing import final

from actors import ExitReason
from supervision.errors import IntensityExceeded
from supervision.supervisors.child import ChildRecord
from supervision.supervisors.intensity import Budget, Intensity, Permit, exceeded, spend

__all__ = ["RestartLimits"]


@final
class RestartLimits:
    """The limits of one supervisor, for all its children together and for each by itself.

    `random` (default: a fresh one) is where backoffs without a seed take their jitter from.
    """

    __slots__ = ("_random", "_shared")

    def __init__(self, max_restarts: int, max_seconds: float, random: Random | None = None) -> None:
        self._shared = Budget(Intensity(max_restarts, max_seconds))
        self._random = Random() if random is None else random

    def charged(self, record: ChildRecord) -> Budget | None:
        """Return the budget that the restarts of a child are charged to; None: to none."""
        if record.budget is not None:
            return record.budget
        return self._shared if record.spec.backoff is None else None

    def note(self, record: ChildRecord, reason: ExitReason, now: float) -> None:
        """Keep the crash that makes a restart necessary."""
        budget = self.charged(record)
        if budget is not None:
            budget.note(reason, now)

    def spend(self, record: ChildRecord, now: float) -> Permit:
        """Count one attempt to restart a child."""
        budget = self.charged(record)
        return Permit.GRANTED if budget is None else spend(budget, record.spec.when_spent, now)

    def pause(self, record: ChildRecord, now: float) -> float | None:
        """Count one failure, and return how many seconds to wait; None without a backoff."""
        backoff = record.spec.backoff
        if backoff is None:
            return None
        healthy = now - record.ready_at
        record.failures = backoff.failures_after(record.failures, healthy) + 1
        if record.random is None:
            record.random = backoff.generator(record.child.ref.path) or self._random
        return backoff.delay(record.failures, record.random)

    def exceeded(
        self, record: ChildRecord, path: str, *, parked: bool = False
    ) -> IntensityExceeded:
        """Return the error for the budget that a child has spent: its own, or the supervisor's."""
        own = record.budget
        if own is not None:
            return exceeded(path, own, child=record.spec.id, parked=parked)
        return exceeded(path, self._shared)

    def resize(self, max_restarts: int, max_seconds: float) -> None:
        """Change the supervisor's budget; what was counted stays counted."""
        self._shared.resize(max_restarts, max_seconds)

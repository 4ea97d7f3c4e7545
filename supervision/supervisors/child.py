"""The record of one child: what its supervisor knows of it from its first start to its last.

A `ChildRecord` belongs to the address of a child, not to an incarnation: it is made when the child
is added and forgotten when the child is dropped. It decides nothing.

Guarantee: a retry that was taken back leaves no timer behind.

>>> from actors import CancellationToken, task
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> [shutdown_timeout(ChildSpec("db", task(work), shutdown=given)) for given in (5.0, "infinity")]
[5.0, None]
"""

from __future__ import annotations

from random import Random
from typing import Any, final

from actors import Child, Crashed, ExitReason, Timer
from supervision.errors import ChildStartFailed
from supervision.specs import BRUTAL_KILL, ChildSpec, ShutdownPolicy
from supervision.supervisors.intensity import own_budget
from supervision.supervisors.plan import ChildState, Member
from supervision.supervisors.requests import ChildInfo

__all__ = ["ChildRecord", "shutdown_timeout", "start_failed"]


@final
class ChildRecord:
    """One child: its spec, its address, its state, and what is due for it.

    `ticket` numbers the retry that is due, at `due`; one with another number is void. `failures`
    in a row are what a backoff grows with, `random` is where it takes its jitter from.
    """

    __slots__ = (
        "budget",
        "child",
        "due",
        "failures",
        "random",
        "ready_at",
        "restarts",
        "spec",
        "state",
        "ticket",
        "timer",
    )

    def __init__(self, spec: ChildSpec[Any], child: Child[Any]) -> None:
        self.spec = spec
        self.child = child
        self.state = ChildState.TERMINATED
        self.budget = own_budget(spec)
        self.restarts = 0
        self.failures = 0
        self.random: Random | None = None
        self.ready_at = 0.0
        self.ticket = 0
        self.due = 0.0
        self.timer: Timer | None = None

    def void(self) -> None:
        """Take back the retry that is due, if there is one, with its timer."""
        self.ticket = 0
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def stand_down(self) -> None:
        """Note that it neither runs nor is about to."""
        self.void()
        self.state = ChildState.TERMINATED

    def forgive(self) -> None:
        """Begin with an empty budget of its own, and without failures."""
        self.budget = own_budget(self.spec)
        self.failures = 0

    def adopt(self, spec: ChildSpec[Any]) -> None:
        """Go on by a changed spec; restarts that were counted stay counted."""
        if spec.backoff != self.spec.backoff:
            self.random = None
        self.spec = spec
        fresh = own_budget(spec)
        if self.budget is not None and fresh is not None:
            self.budget.resize(fresh.window.max_restarts, fresh.window.max_seconds)
        else:
            self.budget = fresh

    def info(self, now: float) -> ChildInfo:
        """Return what a supervisor shows of it."""
        failures, backoff = self.failures, self.spec.backoff
        if backoff is not None and self.state is ChildState.RUNNING:
            failures = backoff.failures_after(failures, now - self.ready_at)
        return ChildInfo(
            id=self.spec.id,
            ref=self.child.ref,
            state=self.state,
            restarts=self.restarts,
            kind=self.spec.kind,
            restart_in=max(0.0, self.due - now) if self.state is ChildState.RESTARTING else None,
            failures=failures,
        )

    @property
    def member(self) -> Member:
        """Return what the plan must know of it."""
        spec = self.spec
        return Member(spec.id, spec.restart, spec.significant, self.state)

    @property
    def shutdown_timeout(self) -> float | None:
        """Return how many seconds it has to stop; None means for ever."""
        return shutdown_timeout(self.spec)


def shutdown_timeout(spec: ChildSpec[Any]) -> float | None:
    """Return how many seconds a child has to stop; None means for ever."""
    if isinstance(spec.shutdown, ShutdownPolicy):
        return 0.0 if spec.shutdown is BRUTAL_KILL else None
    return spec.shutdown


def start_failed(id: str, reason: ExitReason) -> ChildStartFailed:
    """Return the error for a child that did not start; its crash is the cause."""
    error = ChildStartFailed(id, reason)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.error
    return error

"""Supervise children in an order: start them one after the other, restart by a strategy.

A `Supervisor` is an actor made of a `SupervisorSpec`. It starts its children in the order of the
spec, each ready before the next begins, and stops them in reverse order. When one ends, its
restart type says whether it comes back, and the strategy which siblings move with it.

============  ===========================================================================
strategy      when a child is restarted
============  ===========================================================================
one_for_one   it alone
one_for_all   all others are stopped in reverse order; then all are started in order
rest_for_one  the same for it and those that start after it
============  ===========================================================================

Guarantees: those of OTP's `supervisor`. When its budget is spent it stops what is left, in reverse
order, and exits with `Shutdown(IntensityExceeded(...))`.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec, WhichChildren
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> spec = SupervisorSpec("shop", [ChildSpec("db", task(work)), ChildSpec("web", task(work))])
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         shop = await system.spawn(lambda: Supervisor(spec), id="shop")
...         for child in await shop.ask(WhichChildren()):
...             print(child.ref.path, child.state)
>>> anyio.run(main)
/shop/db running
/shop/web running
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, final

from actors import ExitReason
from supervision.errors import SupervisionError
from supervision.event_types import SupervisorEnding
from supervision.specs import ChildSpec, Strategy, SupervisorSpec, check_child
from supervision.supervisors.base import BaseSupervisor
from supervision.supervisors.child import ChildRecord, start_failed
from supervision.supervisors.plan import (
    ChildState,
    Member,
    ends_supervisor,
    restart_round,
    stop_order,
    waiting_behind,
)
from supervision.supervisors.requests import SupervisorMessage

__all__ = ["Supervisor"]


@final
class Supervisor(BaseSupervisor[SupervisorMessage]):
    """The supervisor that runs a `SupervisorSpec`.

    `random` (default: a fresh one) is where backoffs without a seed take their jitter from. Its
    start raises ChildStartFailed when a child does not start; those before it are stopped first.
    Raises TypeError when `spec` is no SupervisorSpec.
    """

    def __init__(self, spec: SupervisorSpec, *, random: Random | None = None) -> None:
        if not isinstance(spec, SupervisorSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Supervisor wants a SupervisorSpec, not {spec!r}")
        super().__init__(spec.max_restarts, spec.max_seconds, random)
        self.spec = spec
        # The significant children that may be there, the last one to be looked at first: who is
        # gone is taken out until it is started again. None: to be gathered anew.
        self._lively: dict[ChildRecord, None] | None = None

    async def on_start(self) -> None:
        """Start the children in order, each ready before the next begins."""
        try:
            for spec in self.spec.children:
                failure = await self.start(self.add(spec))
                if failure is not None:
                    raise start_failed(spec.id, failure)
        except SupervisionError:
            # An error only: when the start is cut short, the engine stops what was started.
            await self.shut_down()
            raise

    async def stop_all(self) -> None:
        """Stop the children that run, in reverse order, each dead before the next is told."""
        for id in stop_order(self._members()):
            await self.stop(self.records[id])

    def own_spec(self) -> ChildSpec[Any]:
        """Return the spec that it runs by."""
        return self.spec

    def take_spec(self, spec: ChildSpec[Any]) -> None:
        """Go on by another one."""
        assert isinstance(spec, SupervisorSpec)
        self.spec = spec
        self._lively = None
        self.limits.resize(spec.max_restarts, spec.max_seconds)

    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse a child that this supervisor cannot have."""
        check_child(spec, parent=self.spec.id, auto_shutdown=self.spec.auto_shutdown)

    def ends_with(self, record: ChildRecord, reason: ExitReason) -> bool:
        """Tell whether this exit of a significant child ends the supervisor."""
        spec = record.spec
        ends = ends_supervisor(
            self.spec.auto_shutdown,
            self._one_significant(),
            restart=spec.restart,
            significant=spec.significant,
            reason=reason,
        )
        if ends:
            self.publish(SupervisorEnding(self.context.ref, spec.id))
        return ends

    def _one_significant(self) -> Iterator[Member]:
        """Give one significant child that is there, if any is; many that have gone cost nothing."""
        if self._lively is None:
            self._lively = dict.fromkeys(self.records.values())
        while self._lively:
            record, _ = self._lively.popitem()
            there = record.state in (ChildState.RUNNING, ChildState.RESTARTING)
            if there and record.spec.significant:
                self._lively[record] = None
                yield record.member
                return

    async def start(self, record: ChildRecord) -> ExitReason | None:
        """Start a child; returns why that failed, None when it is ready or was ignored."""
        if self._lively is not None:
            self._lively[record] = None
        return await super().start(record)

    async def restart(self, record: ChildRecord) -> None:
        """Restart a child with the siblings that its strategy moves.

        Serves the first attempt and every further one: the plan looks at the states as they are.
        """
        plan = restart_round(self.spec.strategy, self._members(), record.spec.id)
        for id in plan.stop:
            await self.stop(self.records[id])
        for id in plan.remove:
            self.drop(self.records[id], "a temporary child in a round of restarts")
        for id in plan.start:
            self.records[id].stand_down()
        await self._start_all(plan.start)

    async def go_on_without(self, record: ChildRecord) -> None:
        """Start the siblings that waited, in the middle of a round, for a child that is parked."""
        await self._start_all(waiting_behind(self.spec.strategy, self._members(), record.spec.id))

    async def _start_all(self, ids: tuple[str, ...]) -> None:
        for id in ids:
            moved = self.records[id]
            failure = await self.start(moved)
            if failure is not None:
                self.restart_failed(moved, failure)
                return
            if moved.state is ChildState.RUNNING:
                self.restarted(moved)

    def retry_voided(self) -> None:
        """Let the mail go of those who waited behind a restart that was taken back."""
        if self.spec.strategy is Strategy.ONE_FOR_ONE or self.is_restarting():
            return
        for record in self.records.values():
            if record.state is ChildState.TERMINATED:
                record.child.suspend("its restart was given up")

    def _members(self) -> Iterator[Member]:
        return (record.member for record in self.records.values())

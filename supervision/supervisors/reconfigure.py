"""Change a running supervisor: its own spec, and its children's, one step of `apply` at a time.

A supervisor hands `Inspect` and every `Change` over to its `Reconfiguration`. Each is handled like
any other request, in the order of the mailbox and between restarts.

Guarantees: each step looks at what is there and does only what is still missing, so a supervisor
that was restarted in between, from the new spec, is not disturbed; what a step was to start or stop
and did not is remembered, so that the next `apply` does it.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> from supervision import ChildSpec, Supervisor, SupervisorSpec
>>> from supervision.supervisors.internal import change, inspect
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> a, b = ChildSpec("a", task(work)), ChildSpec("b", task(work))
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         shop = await system.spawn(SupervisorSpec("shop", [a]).start, id="shop")
...         await change(shop, Reconfigure(SupervisorSpec("shop", [b, a]), frozenset(["b"])))
...         print([spec.id for spec, state in (await inspect(shop)).children])
...         await change(shop, BringUp(b))
...         await change(shop, Arrange())
...         print([spec.id for spec, state in (await inspect(shop)).children])
>>> anyio.run(main)
['a']
['b', 'a']
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, Protocol, final

from actors import ExitReason
from supervision.errors import ChildRestarting, ChildRunning
from supervision.specs import ChildSpec, Strategy, SupervisorSpec, renewal, same_tree
from supervision.supervisors.child import ChildRecord, start_failed
from supervision.supervisors.internal import Arrange, Branch, BringUp, Change, Reconfigure, Retire
from supervision.supervisors.plan import ChildState

__all__ = ["Reconfigurable", "Reconfiguration"]


class Reconfigurable(Protocol):
    """A supervisor, as far as it is needed here."""

    records: dict[str, ChildRecord]

    def own_spec(self) -> ChildSpec[Any]:
        """Return the spec that it runs by. Refused by a kind that cannot be changed."""
        ...

    def take_spec(self, spec: ChildSpec[Any]) -> None:
        """Go on by another one of the same type."""
        ...

    def adopt(self, record: ChildRecord, spec: ChildSpec[Any]) -> None:
        """Have a child go on by a changed spec."""
        ...

    def add(self, spec: ChildSpec[Any]) -> ChildRecord:
        """Give a spec an address. Raises ChildStartFailed when its name is taken."""
        ...

    def drop(self, record: ChildRecord, why: str) -> None:
        """Forget a child that does not run."""
        ...

    async def start(self, record: ChildRecord) -> ExitReason | None:
        """Start a child; returns why that failed, None when it is ready or was ignored."""
        ...

    async def stop(self, record: ChildRecord) -> None:
        """Stop a child and wait for its death."""
        ...

    def is_restarting(self) -> bool:
        """Tell whether any child is restarting."""
        ...

    def restarting(self) -> list[str]:
        """List the ids of the children that are restarting."""
        ...

    def retry_voided(self) -> None:
        """Do what follows when a pending restart was taken back."""
        ...


@final
class Reconfiguration:
    """The part of one supervisor that changes it, and remembers what a change left undone."""

    __slots__ = ("_supervisor", "_unstarted", "_unstopped")

    def __init__(self, supervisor: Reconfigurable) -> None:
        self._supervisor = supervisor
        self._unstarted: set[str] = set()
        self._unstopped: set[str] = set()

    def inspect(self) -> Branch:
        """Return what the supervisor runs by."""
        return Branch(
            self._supervisor.own_spec(),
            tuple((record.spec, record.state) for record in self._supervisor.records.values()),
            frozenset(self._unstarted),
            frozenset(self._unstopped),
        )

    async def carry_out(self, change: Change) -> None:
        """Do one step. Raises ChildStartFailed, or a refusal when it cannot be done any more."""
        match change:
            case Reconfigure():
                self._reconfigure(change)
            case Retire(id=id, spec=spec):
                await self._retire(id, spec)
            case BringUp(spec=spec):
                await self._bring_up(spec)
            case Arrange():
                self._arrange()
            case _:
                raise TypeError(f"{change!r} is no step of a change")

    def _reconfigure(self, change: Reconfigure) -> None:
        supervisor = self._supervisor
        supervisor.own_spec()
        supervisor.take_spec(change.spec)
        self._unstarted, self._unstopped = set(change.start), set(change.stop)
        for spec in _children(change.spec):
            record = supervisor.records.get(spec.id)
            if record is not None and spec.id not in change.start:
                supervisor.adopt(record, spec)
        self._arrange()

    async def _retire(self, id: str, spec: ChildSpec[Any] | None) -> None:
        supervisor = self._supervisor
        record = supervisor.records.get(id)
        if record is not None and (spec is None or not _is_it(record, spec)):
            voided = record.state is ChildState.RESTARTING
            if record.state is ChildState.RUNNING:
                await supervisor.stop(record)
            record.stand_down()
            if spec is None:
                supervisor.drop(record, "not in the new tree")
            else:
                self._renew(record, spec)
            if voided:
                supervisor.retry_voided()
        self._unstopped.discard(id)

    def _renew(self, record: ChildRecord, spec: ChildSpec[Any]) -> bool:
        """Have a child that is down start by another spec next; False if that needs a new address.

        From now on also a round of its siblings starts the new one.
        """
        again = renewal(record.spec, spec)
        if again is None or again.same_address:
            record.spec = spec
            record.forgive()
            return True
        self._supervisor.drop(record, again.why)
        return False

    async def _bring_up(self, spec: ChildSpec[Any]) -> None:
        supervisor = self._supervisor
        record = supervisor.records.get(spec.id)
        if record is not None and record.state in (ChildState.RUNNING, ChildState.RESTARTING):
            if not _is_it(record, spec):
                restarting = record.state is ChildState.RESTARTING
                raise ChildRestarting(spec.id) if restarting else ChildRunning(spec.id)
        else:
            known = record is not None and self._renew(record, spec)
            record = record if known and record is not None else supervisor.add(spec)
            if self._waits(spec.id):
                self._unstarted.discard(spec.id)
                return  # the round that is due starts it, in its turn
            failure = await supervisor.start(record)
            if failure is not None:
                if known:
                    record.child.suspend("its start failed")
                else:
                    supervisor.drop(record, "its start failed")
                raise start_failed(spec.id, failure)
        self._unstarted.discard(spec.id)

    def _waits(self, id: str) -> bool:
        """Tell whether a child has to wait for one before it that is still being restarted."""
        supervisor = self._supervisor
        spec = supervisor.own_spec()
        if not isinstance(spec, SupervisorSpec) or spec.strategy is Strategy.ONE_FOR_ONE:
            return False
        if not supervisor.is_restarting():
            return False
        if spec.strategy is Strategy.ONE_FOR_ALL:
            return True
        before = takewhile(lambda other: other != id, (child.id for child in spec.children))
        return not set(supervisor.restarting()).isdisjoint(before)

    def _arrange(self) -> None:
        records = self._supervisor.records
        declared = [
            spec.id for spec in _children(self._supervisor.own_spec()) if spec.id in records
        ]
        known = set(declared)
        order = [*declared, *(id for id in records if id not in known)]
        if order != list(records):
            for id in order:
                records[id] = records.pop(id)


def _is_it(record: ChildRecord, spec: ChildSpec[Any]) -> bool:
    """Tell whether a child has the new spec already, by a restart of its supervisor or a round."""
    return record.spec is spec or same_tree(record.spec, spec)


def _children(spec: ChildSpec[Any]) -> tuple[ChildSpec[Any], ...]:
    return spec.children if isinstance(spec, SupervisorSpec) else ()

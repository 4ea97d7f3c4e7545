"""Run n copies of one child, the partitions, and change n at run time.

A `PartitionSupervisor` is a supervisor whose children are partitions "0" to "n-1", all made of
one child spec; each is restarted alone. Which of them a key belongs to is `partition`'s matter.

Guarantees: a resize takes effect as a whole. When a new partition does not start, those started for
it are stopped again, and n stays. No new mail reaches those that are about to go.

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, Partitions, PartitionSupervisorSpec, serve
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     tree = PartitionSupervisorSpec("visits", ChildSpec("visits", task(work)), partitions=2)
...     async with serve(tree) as app:
...         visits = Partitions(app.supervisor)
...         await visits.resize(3)
...         print([ref.path for ref in visits.refs])
>>> anyio.run(main)
['/visits/0', '/visits/1', '/visits/2']
"""

from __future__ import annotations

import os
from random import Random
from typing import Any, final

from actors import Crashed, Ref, Reply, on
from supervision.errors import (
    ChildStartFailed,
    NoPartitions,
    PartitionsFixed,
    SpecError,
    SupervisionError,
)
from supervision.keys import partition_of
from supervision.specs import ChildSpec, PartitionSupervisorSpec
from supervision.supervisors.base import BaseSupervisor
from supervision.supervisors.child import start_failed
from supervision.supervisors.partition import (
    GetPartition,
    PartitionMessage,
    ResizePartitions,
    routes_at,
)
from supervision.supervisors.plan import ends_the_process, stop_order
from supervision.supervisors.requests import (
    AnyStartChild,
    DeleteChild,
    RestartChild,
    TerminateChild,
)

__all__ = ["PartitionSupervisor"]


@final
class PartitionSupervisor(BaseSupervisor[PartitionMessage]):
    """The supervisor that runs a `PartitionSupervisorSpec`.

    It takes what every supervisor takes, but that its children come and go with `ResizePartitions`
    alone: `StartChild`, `DeleteChild`, and `RestartChild` of a partition that a resize has stopped
    are refused with PartitionsFixed. `random` (default: a fresh one) is where backoffs take
    their jitter from. Its start raises ChildStartFailed when a partition does not start; those
    before it are stopped first. Raises TypeError when `spec` is no PartitionSupervisorSpec.
    """

    def __init__(self, spec: PartitionSupervisorSpec[Any], *, random: Random | None = None) -> None:
        if not isinstance(spec, PartitionSupervisorSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"PartitionSupervisor wants a PartitionSupervisorSpec, not {spec!r}")
        super().__init__(spec.max_restarts, spec.max_seconds, random)
        self.spec = spec

    async def on_start(self) -> None:
        """Start the partitions in order, each ready before the next begins."""
        self._routes = routes_at(self.context.ref)
        self._routes.refs = ()  # those of an earlier incarnation are gone for good
        size = self.spec.partitions
        numbers = range((os.cpu_count() or 1) if size is None else size)
        try:
            for number in numbers:
                await self._start_partition(number)
        except SupervisionError:
            # An error only: when the start is cut short, the engine stops what was started.
            await self.shut_down()
            raise
        self._open(numbers)

    async def stop_all(self) -> None:
        """Stop the partitions that run, the highest number first, each dead before the next."""
        for id in stop_order(record.member for record in self.records.values()):
            await self.stop(self.records[id])

    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse every child that is no partition."""
        raise PartitionsFixed(spec.id)

    # -- the number of partitions -----------------------------------------------------------------

    @on(ResizePartitions)
    async def resize(self, message: ResizePartitions, reply: Reply[None]) -> None:
        """Start what is missing, or stop what is too much."""
        now, wanted = len(self._routes.refs), message.partitions
        if wanted < now:
            self._routes.refs = self._routes.refs[:wanted]  # first: no new mail for those that go
            await self._shrink(wanted, now)
        elif wanted > now:
            try:
                await self._grow(now, wanted)
            except SupervisionError as error:
                reply.fail(error)  # a SpecError among them is no Refusal, but no crash either
                return
        reply.send(None)

    async def _grow(self, now: int, wanted: int) -> None:
        for number in range(now, wanted):
            try:
                await self._start_partition(number)
            except SupervisionError:
                await self._shrink(now, number)
                raise
        self._open(range(now, wanted))

    def _open(self, numbers: range) -> None:
        refs = (self.records[str(number)].child.ref for number in numbers)
        self._routes.refs = (*self._routes.refs, *refs)

    async def _start_partition(self, number: int) -> None:
        id = str(number)
        if id in self.records:
            await super().restart_child(RestartChild(id))
            return
        record = self.add(self._make(number))
        failure = await self.start(record)
        if failure is not None:
            self.drop(record, "its start failed")
            raise start_failed(id, failure)

    def _make(self, number: int) -> ChildSpec[Any]:
        try:
            return self.spec.make(number)
        except SpecError:
            raise
        except BaseException as error:
            # Nothing here waits, so whatever comes is the function's own.
            reason = Crashed(error)
            if ends_the_process(reason):
                raise
            raise ChildStartFailed(str(number), reason) from error

    async def _shrink(self, wanted: int, now: int) -> None:
        """Stop the partitions from `wanted` on; one that waits for its restart waits no more."""
        for number in reversed(range(wanted, now)):
            await self.terminate_child(TerminateChild(str(number)))

    # -- requests ---------------------------------------------------------------------------------

    @on(GetPartition)
    def get_partition(self, message: GetPartition) -> Ref[Any]:
        """Look up the partition of a key."""
        refs = self._routes.refs
        if not refs:
            raise NoPartitions(self.context.path)
        return refs[partition_of(message.key, len(refs))]

    async def start_child(self, message: AnyStartChild, reply: Reply[Ref[Any] | None]) -> None:
        """Refuse to start anything else."""
        raise PartitionsFixed(message.spec.id)

    async def restart_child(self, message: RestartChild) -> Ref[Any] | None:
        """Start a partition again that is not running."""
        self.find(message.id)
        if int(message.id) >= len(self._routes.refs):
            raise PartitionsFixed(message.id)
        return await super().restart_child(message)

    def delete_child(self, message: DeleteChild) -> None:
        """Refuse to make a hole."""
        self.find(message.id)
        raise PartitionsFixed(message.id)

"""Supervise children that come and go at run time.

A `DynamicSupervisor` starts with none. `StartChild` adds one; one that ends for good leaves it.
Each is restarted alone. When it stops, all are told at once, each with its own deadline. What one
child costs does not depend on how many there are.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> from supervision import ChildSpec, CountChildren, DynamicSupervisorSpec, StartChild
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         spec = DynamicSupervisorSpec("jobs", max_children=10)
...         jobs = await system.spawn(lambda: DynamicSupervisor(spec), id="jobs")
...         job = await jobs.ask(StartChild(ChildSpec("job-1", task(work))))
...         assert job is not None
...         print(job.path, (await jobs.ask(CountChildren())).active)
>>> anyio.run(main)
/jobs/job-1 1

The behavior is that of Elixir's DynamicSupervisor, but that children have ids.
"""

from __future__ import annotations

from random import Random
from typing import Any

import anyio

from supervision.errors import TooManyChildren
from supervision.event_types import ChildStopping
from supervision.specs import (
    BRUTAL_KILL,
    ChildSpec,
    DynamicSupervisorSpec,
    check_child,
)
from supervision.supervisors.base import BaseSupervisor
from supervision.supervisors.plan import ChildState
from supervision.supervisors.requests import SupervisorMessage

__all__ = ["DynamicSupervisor"]


# Not closed: a TaskSupervisor is one, too.
class DynamicSupervisor(BaseSupervisor[SupervisorMessage]):
    """The supervisor that runs a `DynamicSupervisorSpec`.

    `random` (default: a fresh one) is where backoffs without a seed take their jitter from. Raises
    TypeError when `spec` is no DynamicSupervisorSpec.
    """

    keeps_ended = False

    def __init__(self, spec: DynamicSupervisorSpec, *, random: Random | None = None) -> None:
        if not isinstance(spec, DynamicSupervisorSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"DynamicSupervisor wants a DynamicSupervisorSpec, not {spec!r}")
        super().__init__(spec.max_restarts, spec.max_seconds, random)
        self.spec = spec

    async def stop_all(self) -> None:
        """Tell all children to stop at once; wait until the last is dead."""
        began = anyio.current_time()
        running = [record for record in self.records.values() if record.state is ChildState.RUNNING]
        for record in running:
            self.publish(ChildStopping(record.child.ref, record.shutdown_timeout))
            if record.spec.shutdown is BRUTAL_KILL:
                record.child.ref.kill()
            else:
                record.child.tell_to_stop(record.shutdown_timeout)
        for record in running:
            if record.child.ref.is_alive:
                await record.child.ref.wait()
            self.note_stopped(record, record.child.reason, anyio.current_time() - began)

    def own_spec(self) -> ChildSpec[Any]:
        """Return the spec that it runs by."""
        return self.spec

    def take_spec(self, spec: ChildSpec[Any]) -> None:
        """Go on by another one."""
        assert isinstance(spec, DynamicSupervisorSpec)
        self.spec = spec
        self.limits.resize(spec.max_restarts, spec.max_seconds)

    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse a child that this supervisor cannot have."""
        check_child(spec, parent=self.spec.id, auto_shutdown=None)

    def check_room(self) -> None:
        """Refuse a child that this supervisor has no place for."""
        limit = self.spec.max_children
        if limit is not None and len(self.records) >= limit:
            raise TooManyChildren(limit)

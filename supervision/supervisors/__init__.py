"""Run the children of a spec: the supervisors, what they can be asked, and how they decide.

A supervisor is an ordinary actor that owns the addresses of its children. Deciding is apart from
doing: `plan`, `intensity` and `sight` are pure functions over frozen values, and what stands
above them carries the decisions out.

Guarantees: those of OTP's supervisors. A stop waits for death; a restart that fails never loops
inside a supervisor, so each request has its turn; nothing is charged to two incarnations.

Read `requests` first, it is what users see; then `base`, which follows a crash from the exit
to the restart, and `plan`, which says what an exit means. `supervisor`, `dynamic` and
`partition_supervisor` are the kinds. The parts that a supervisor is made of are `child` (the record
of one), `limits`, `hang_detector` and `reconfigure`; `partition` is the handle by which
keys find their partition, `internal` what supervisors tell themselves.

>>> import anyio
>>> from actors import ActorSystem, task
>>> from supervision import ChildSpec, SupervisorSpec
>>> async def work(shutdown: object) -> None:
...     await anyio.sleep_forever()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         shop = await system.spawn(SupervisorSpec("shop").start, id="shop")
...         await shop.ask(StartChild(ChildSpec("db", task(work), shutdown=0)))
...         await shop.ask(TerminateChild("db"))
...         for child in await shop.ask(WhichChildren()):
...             print(child.id, child.state)
>>> anyio.run(main)
db terminated
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.keys import Key, partition_of
    from supervision.supervisors.child import ChildRecord, shutdown_timeout, start_failed
    from supervision.supervisors.dynamic import DynamicSupervisor
    from supervision.supervisors.internal import (
        Arrange,
        Branch,
        BringUp,
        Change,
        Reconfigure,
        Retire,
        change,
        inspect,
    )
    from supervision.supervisors.partition import (
        GetPartition,
        PartitionMessage,
        Partitions,
        ResizePartitions,
    )
    from supervision.supervisors.partition_supervisor import PartitionSupervisor
    from supervision.supervisors.plan import ChildState
    from supervision.supervisors.requests import (
        ChildCounts,
        ChildInfo,
        CountChildren,
        DeleteChild,
        GetChild,
        GetChildSpec,
        RestartChild,
        StartChild,
        SupervisorMessage,
        TerminateChild,
        WhichChildren,
    )
    from supervision.supervisors.supervisor import Supervisor
else:
    __getattr__, __dir__ = lazy_door(
        "supervision.supervisors",
        {
            "supervision.keys": "Key partition_of",
            "supervision.supervisors.child": "ChildRecord shutdown_timeout start_failed",
            "supervision.supervisors.dynamic": "DynamicSupervisor",
            "supervision.supervisors.internal": (
                "Arrange Branch BringUp Change Reconfigure Retire change inspect"
            ),
            "supervision.supervisors.partition": (
                "GetPartition PartitionMessage Partitions ResizePartitions"
            ),
            "supervision.supervisors.partition_supervisor": "PartitionSupervisor",
            "supervision.supervisors.plan": "ChildState",
            "supervision.supervisors.requests": (
                "ChildCounts ChildInfo CountChildren DeleteChild GetChild GetChildSpec "
                "RestartChild StartChild SupervisorMessage TerminateChild WhichChildren"
            ),
            "supervision.supervisors.supervisor": "Supervisor",
        },
    )

__all__ = [
    "Arrange",
    "Branch",
    "BringUp",
    "Change",
    "ChildCounts",
    "ChildInfo",
    "ChildRecord",
    "ChildState",
    "CountChildren",
    "DeleteChild",
    "DynamicSupervisor",
    "GetChild",
    "GetChildSpec",
    "GetPartition",
    "Key",
    "PartitionMessage",
    "PartitionSupervisor",
    "Partitions",
    "Reconfigure",
    "ResizePartitions",
    "RestartChild",
    "Retire",
    "StartChild",
    "Supervisor",
    "SupervisorMessage",
    "TerminateChild",
    "WhichChildren",
    "change",
    "inspect",
    "partition_of",
    "shutdown_timeout",
    "start_failed",
]

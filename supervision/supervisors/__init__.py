"""Run the children of a spec: supervisors, their requests, and what they decide."""

from supervision.supervisors.child import Record, shutdown_timeout, start_failed
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
    Key,
    PartitionMessage,
    Partitions,
    ResizePartitions,
    partition_of,
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

__all__ = [
    "Arrange",
    "Branch",
    "BringUp",
    "Change",
    "ChildCounts",
    "ChildInfo",
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
    "Record",
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

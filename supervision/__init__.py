"""Start components in order, keep them running, and stop them in reverse order.

Erlang-style supervision on top of `actors`, for asyncio and trio. A tree is frozen data
(`SupervisorSpec`, `ChildSpec`); `run` makes a process of it, `serve` embeds it.

>>> import anyio
>>> from actors import CancellationToken, task
>>> async def report(shutdown: CancellationToken) -> None:
...     print("reporting")
...     await shutdown.wait()
...     print("last report")
>>> tree = SupervisorSpec(
...     "shop", [ChildSpec("report", task(report))], strategy=Strategy.REST_FOR_ONE
... )
>>> async def main() -> None:
...     async with serve(tree) as app:
...         await anyio.sleep(0.01)
...         print(app.find("report").path)
>>> anyio.run(main)
reporting
/shop/report
last report
"""

from supervision.application import Application, serve
from supervision.applying import ApplyReport, StepOutcome, StepReport
from supervision.backoff import Backoff
from supervision.blocking import BlockingToken, blocking
from supervision.changes import ReorderStep, StartStep, Step, StopStep, UpdateStep
from supervision.drawing import draw
from supervision.dynamic import DynamicSupervisor
from supervision.errors import (
    ChildExists,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    IntensityExceeded,
    NoPartitions,
    PartitionsFixed,
    ProcessFailed,
    SpecError,
    SupervisionError,
    TooManyChildren,
    TreeExited,
    Wedged,
)
from supervision.events import (
    ChildExited,
    ChildHung,
    ChildParked,
    ChildRestarted,
    ChildStopped,
    ChildStopping,
    LoopStalled,
    Next,
    ProcessOutput,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
    SupervisorStopping,
    ThreadAbandoned,
)
from supervision.logs import LogLines
from supervision.mapping import Failed, Outcome, Succeeded, TaskMap
from supervision.partition import (
    GetPartition,
    Key,
    PartitionMessage,
    Partitions,
    PartitionSupervisor,
    PartitionSupervisorSpec,
    ResizePartitions,
    partition_of,
)
from supervision.plan import ChildState
from supervision.pool import Pool
from supervision.pool_messages import (
    JobExpired,
    NoWorkers,
    PoolDraining,
    PoolFull,
    PoolJob,
    PoolStatistics,
    WorkerStatistics,
)
from supervision.pool_spec import Discard, PoolSpec
from supervision.reports import StoppedProc, StopReport
from supervision.requests import (
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
from supervision.routing import Routing
from supervision.running import run
from supervision.services import consumer, periodic
from supervision.specs import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisorSpec,
    Restart,
    ShutdownPolicy,
    Strategy,
    SupervisorSpec,
    WhenSpent,
    walk,
)
from supervision.stalls import LoopWatchdog
from supervision.subprocesses import subprocess
from supervision.supervisor import Supervisor
from supervision.tasks import Tasks, TaskSupervisor, TaskSupervisorSpec
from supervision.watchdog import Watchdog

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "Application",
    "ApplyReport",
    "AutoShutdown",
    "Backoff",
    "BlockingToken",
    "ChildCounts",
    "ChildExists",
    "ChildExited",
    "ChildHung",
    "ChildInfo",
    "ChildNotFound",
    "ChildParked",
    "ChildRestarted",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartFailed",
    "ChildState",
    "ChildStopped",
    "ChildStopping",
    "CountChildren",
    "DeleteChild",
    "Discard",
    "DynamicSupervisor",
    "DynamicSupervisorSpec",
    "Failed",
    "GetChild",
    "GetChildSpec",
    "GetPartition",
    "IntensityExceeded",
    "JobExpired",
    "Key",
    "LogLines",
    "LoopStalled",
    "LoopWatchdog",
    "Next",
    "NoPartitions",
    "NoWorkers",
    "Outcome",
    "PartitionMessage",
    "PartitionSupervisor",
    "PartitionSupervisorSpec",
    "Partitions",
    "PartitionsFixed",
    "Pool",
    "PoolDraining",
    "PoolFull",
    "PoolJob",
    "PoolSpec",
    "PoolStatistics",
    "ProcessFailed",
    "ProcessOutput",
    "ReorderStep",
    "ResizePartitions",
    "Restart",
    "RestartChild",
    "RestartFailed",
    "Routing",
    "ShutdownPolicy",
    "SpecError",
    "StartChild",
    "StartStep",
    "Step",
    "StepOutcome",
    "StepReport",
    "StopReport",
    "StopStep",
    "StoppedProc",
    "Strategy",
    "Succeeded",
    "SupervisionError",
    "Supervisor",
    "SupervisorEnding",
    "SupervisorGaveUp",
    "SupervisorMessage",
    "SupervisorSpec",
    "SupervisorStopping",
    "TaskMap",
    "TaskSupervisor",
    "TaskSupervisorSpec",
    "Tasks",
    "TerminateChild",
    "ThreadAbandoned",
    "TooManyChildren",
    "TreeExited",
    "UpdateStep",
    "Watchdog",
    "Wedged",
    "WhenSpent",
    "WhichChildren",
    "WorkerStatistics",
    "blocking",
    "consumer",
    "draw",
    "partition_of",
    "periodic",
    "run",
    "serve",
    "subprocess",
    "walk",
]

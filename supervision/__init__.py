"""Start components in order, keep them running, and stop them in reverse order.

Erlang-style supervision on top of `actors`, for asyncio and trio. A tree is frozen data
(`SupervisorSpec`, `ChildSpec`); `run` makes a process of it, `serve` embeds it.

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, Strategy, SupervisorSpec, serve
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

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.adapters import blocking, consumer, periodic, subprocess
    from supervision.application import Application, StopReport, serve
    from supervision.errors import (
        ChildExists,
        ChildNotFound,
        ChildRestarting,
        ChildRunning,
        ChildStartFailed,
        IntensityExceeded,
        SpecError,
        SupervisionError,
        TooManyChildren,
        TreeExited,
    )
    from supervision.events import LogLines, ProcessOutput
    from supervision.pool import Pool, PoolSpec
    from supervision.process import run
    from supervision.specs import (
        BRUTAL_KILL,
        INFINITY,
        AutoShutdown,
        Backoff,
        ChildSpec,
        DynamicSupervisorSpec,
        PartitionSupervisorSpec,
        Restart,
        Strategy,
        SupervisorSpec,
        TaskSupervisorSpec,
        Watchdog,
        WhenSpent,
        draw,
    )
    from supervision.supervisors import (
        ChildCounts,
        ChildInfo,
        ChildState,
        CountChildren,
        DeleteChild,
        DynamicSupervisor,
        GetChild,
        GetChildSpec,
        Partitions,
        RestartChild,
        StartChild,
        Supervisor,
        SupervisorMessage,
        TerminateChild,
        WhichChildren,
    )
    from supervision.tasks import Tasks
else:
    __getattr__, __dir__ = lazy_door(
        "supervision",
        {
            "supervision.adapters": "blocking consumer periodic subprocess",
            "supervision.application": "Application StopReport serve",
            "supervision.errors": (
                "ChildExists ChildNotFound ChildRestarting ChildRunning ChildStartFailed "
                "IntensityExceeded SpecError SupervisionError TooManyChildren "
                "TreeExited"
            ),
            "supervision.events": "LogLines ProcessOutput",
            "supervision.pool": "Pool PoolSpec",
            "supervision.process": "run",
            "supervision.specs": (
                "BRUTAL_KILL INFINITY AutoShutdown Backoff ChildSpec DynamicSupervisorSpec "
                "PartitionSupervisorSpec Restart Strategy SupervisorSpec TaskSupervisorSpec "
                "Watchdog WhenSpent draw"
            ),
            "supervision.supervisors": (
                "ChildCounts ChildInfo ChildState CountChildren DeleteChild DynamicSupervisor "
                "GetChild GetChildSpec Partitions RestartChild "
                "StartChild Supervisor SupervisorMessage TerminateChild WhichChildren"
            ),
            "supervision.tasks": "Tasks",
        },
    )

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "Application",
    "AutoShutdown",
    "Backoff",
    "ChildCounts",
    "ChildExists",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartFailed",
    "ChildState",
    "CountChildren",
    "DeleteChild",
    "DynamicSupervisor",
    "DynamicSupervisorSpec",
    "GetChild",
    "GetChildSpec",
    "IntensityExceeded",
    "LogLines",
    "PartitionSupervisorSpec",
    "Partitions",
    "Pool",
    "PoolSpec",
    "ProcessOutput",
    "Restart",
    "RestartChild",
    "SpecError",
    "StartChild",
    "StopReport",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "SupervisorMessage",
    "SupervisorSpec",
    "TaskSupervisorSpec",
    "Tasks",
    "TerminateChild",
    "TooManyChildren",
    "TreeExited",
    "Watchdog",
    "WhenSpent",
    "WhichChildren",
    "blocking",
    "consumer",
    "draw",
    "periodic",
    "run",
    "serve",
    "subprocess",
]

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
from supervision.backoff import Backoff
from supervision.drawing import draw
from supervision.dynamic import DynamicSupervisor
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
from supervision.events import (
    ChildExited,
    ChildRestarted,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)
from supervision.logs import LogLines
from supervision.plan import ChildState
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
from supervision.running import run
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
    walk,
)
from supervision.supervisor import Supervisor

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "Application",
    "AutoShutdown",
    "Backoff",
    "ChildCounts",
    "ChildExists",
    "ChildExited",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarted",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartFailed",
    "ChildState",
    "ChildStopped",
    "CountChildren",
    "DeleteChild",
    "DynamicSupervisor",
    "DynamicSupervisorSpec",
    "GetChild",
    "GetChildSpec",
    "IntensityExceeded",
    "LogLines",
    "Next",
    "Restart",
    "RestartChild",
    "RestartFailed",
    "ShutdownPolicy",
    "SpecError",
    "StartChild",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "SupervisorEnding",
    "SupervisorGaveUp",
    "SupervisorMessage",
    "SupervisorSpec",
    "TerminateChild",
    "TooManyChildren",
    "TreeExited",
    "WhichChildren",
    "draw",
    "run",
    "serve",
    "walk",
]

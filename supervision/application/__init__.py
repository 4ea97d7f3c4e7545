"""Serve a tree: start it, find in it, make it into another one, stop it, report how it stopped.

`serve` is for a tree inside a program of your own (`supervision.run` makes a process of one). The
words of this room each mean one thing: a *diff* lists the *steps* from the running tree to a new
one, `Application.apply` carries them out and returns an `ApplyReport`; a *recorder* listens to a
stop, and what it makes of it is a `StopReport`. It guarantees that a tree which is served is
gone when the block is left, and that its failure is raised there, once, with its causes. Read
`application.py` first.

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec, serve
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     async with serve(SupervisorSpec("shop", [ChildSpec("db", task(work))])) as app:
...         report = await app.stop()
...     print([proc.path for proc in report.stopped], report.went_well)
>>> anyio.run(main)
['/shop/db'] True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.application.application import Application, check_tree, serve, serve_in
    from supervision.application.apply import ApplyReport, StepOutcome, StepReport
    from supervision.application.steps import ReorderStep, StartStep, Step, StopStep, UpdateStep
    from supervision.application.stop_recorder import StopRecorder
    from supervision.application.stop_report import StoppedProc, StopReport, write_report
else:
    __getattr__, __dir__ = lazy_door(
        __name__,
        {
            "supervision.application.application": "Application check_tree serve serve_in",
            "supervision.application.apply": "ApplyReport StepOutcome StepReport",
            "supervision.application.steps": "ReorderStep StartStep Step StopStep UpdateStep",
            "supervision.application.stop_recorder": "StopRecorder",
            "supervision.application.stop_report": "StopReport StoppedProc write_report",
        },
    )

__all__ = [
    "Application",
    "ApplyReport",
    "ReorderStep",
    "StartStep",
    "Step",
    "StepOutcome",
    "StepReport",
    "StopRecorder",
    "StopReport",
    "StopStep",
    "StoppedProc",
    "UpdateStep",
    "check_tree",
    "serve",
    "serve_in",
    "write_report",
]

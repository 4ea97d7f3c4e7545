"""Make a process of a tree: signals, exit codes, the command line.

`run(tree)` is the whole life of a process: it serves the tree, stops it at SIGINT or SIGTERM within
a bounded time, writes the log, and leaves with an exit code. `main` is the console command
`super-visor`, which does that with a tree that is named in its arguments. It guarantees that the
process ends, whatever code blocks the event loop or a thread. Read `runner.py` first, then
`signals.py`, where the timetable of a stop is kept.

>>> from supervision import SupervisorSpec
>>> from supervision.process import run
>>> run(SupervisorSpec("shop"), backend="twisted")
Traceback (most recent call last):
    ...
ValueError: backend is 'asyncio', 'trio' or 'uvloop', not 'twisted'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.process.cli import main
    from supervision.process.runner import run
else:
    __getattr__, __dir__ = lazy_door(
        __name__,
        {
            "supervision.process.cli": "main",
            "supervision.process.runner": "run",
        },
    )

__all__ = [
    "main",
    "run",
]

"""Run a tree as a whole process: log lines, signals, an exit code.

`run(tree)` blocks until the tree has ended, and leaves the process. SIGINT and SIGTERM stop the
tree in order; a second one kills it; `grace` bounds the whole stop.

=========  ===================================================================
exit code  how it ended
=========  ===================================================================
0          in order: told to stop, or by itself (automatic shutdown)
1          gave up, failed to start, crashed, or not stopped within `grace`
130        killed by a second signal
=========  ===================================================================

>>> from actors import CancellationToken, task
>>> from supervision import AutoShutdown, ChildSpec, SupervisorSpec
>>> async def once(shutdown: CancellationToken) -> None:
...     pass
>>> tree = SupervisorSpec(
...     "job",
...     [ChildSpec("once", task(once), restart="transient", significant=True)],
...     auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
... )
>>> run(tree, log=False)
Traceback (most recent call last):
    ...
SystemExit: 0
"""

from __future__ import annotations

import math
import sys
from typing import Any, Literal, NoReturn, TypeAlias, final

import anyio
from anyio.abc import TaskGroup

from actors import ActorSystem
from supervision.application import check_tree, serve_in
from supervision.errors import ChildStartFailed, TreeExited
from supervision.logs import LogLines, say, tell, where
from supervision.signals import FORCED, Signals
from supervision.specs import ChildSpec

__all__ = ["BackendName", "loop_options", "run"]

BackendName: TypeAlias = Literal["asyncio", "trio", "uvloop"]
"""The event loops that `run` knows."""


def run(
    tree: ChildSpec[Any],
    *,
    backend: BackendName = "asyncio",
    grace: float = 30.0,
    log: bool = True,
) -> NoReturn:
    """Run a tree until it ends, and leave the process with its exit code (SystemExit).

    `backend`: "asyncio" (default), "trio" or "uvloop", of which the last two are extras to install.
    `grace` in seconds, default 30.0: how long stopping may take after the first signal.
    `log`, default True: write a line through loguru for each thing that happens in the tree; the
    reason for its end is logged in any case. Raises TypeError when `tree` is no supervisor's
    spec, ValueError for another backend or a bad grace.
    """
    check_tree(tree)
    if not (grace >= 0) or math.isinf(grace):
        raise ValueError(f"grace is a number of seconds >= 0, not {grace!r}")
    name, options = loop_options(backend)
    code = anyio.run(_main, tree, grace, log, backend=name, backend_options=options)
    sys.exit(code)


def loop_options(backend: str) -> tuple[str, dict[str, Any]]:
    """Return what `anyio.run` wants for a backend. Raises ValueError that says what is missing."""
    if backend not in ("asyncio", "trio", "uvloop"):
        raise ValueError(f"backend is 'asyncio', 'trio' or 'uvloop', not {backend!r}")
    if backend == "asyncio":
        return "asyncio", {}
    try:
        __import__(backend)
    except ImportError:
        raise ValueError(
            f"backend {backend!r} is not installed; install super-visor[{backend}]"
        ) from None
    return ("trio", {}) if backend == "trio" else ("asyncio", {"use_uvloop": True})


@final
class _Process:
    """Run one tree under signals, and work out the exit code."""

    def __init__(self, tree: ChildSpec[Any], grace: float, log: bool, signals: Signals) -> None:
        self.tree = tree
        self.grace = grace
        self.log = log
        self.signals = signals
        self.out_of_time = False
        self.fatal: BaseException | None = None

    async def main(self) -> int:
        """Serve the tree until it ends or is stopped; returns the exit code."""
        code = 1
        async with anyio.create_task_group() as tasks:
            code = await self._guarded(tasks)
            tasks.cancel_scope.cancel()
        if self.fatal is not None:
            raise self.fatal
        if self.signals.force.cancelled:
            return FORCED
        return 1 if self.out_of_time else code

    async def _guarded(self, tasks: TaskGroup) -> int:
        """Serve the tree; whatever it raises is said and becomes an exit code."""
        name = self.tree.id
        try:
            async with ActorSystem(name) as system:
                if self.log:
                    system.events.subscribe(LogLines())
                tasks.start_soon(self._watch, system)
                async with (
                    self.signals.stop.scope(),
                    serve_in(system, self.tree) as application,
                ):
                    reason = await application.wait()
                    self._say("INFO", f"ended by itself: {reason}")
            if self.signals.stop.cancelled and not self.out_of_time:
                self._say("INFO", "stopped")
        except ChildStartFailed as error:
            self._say("CRITICAL", f"failed to start: {error}{where(error.__cause__)}")
        except TreeExited as error:
            self._say("CRITICAL", str(error))
        except Exception as error:
            self._say("CRITICAL", f"failed: {tell(error)}")
        except (SystemExit, KeyboardInterrupt) as error:
            self.fatal = error
        else:
            return 0
        return 1

    async def _watch(self, system: ActorSystem) -> None:
        """Bound the stop: kill everything at the second signal, or when the grace is over."""
        signals = self.signals
        await signals.stop.wait()
        self._say("INFO", f"{signals.stop.reason}: stopping, for at most {self.grace:g} s")
        with anyio.move_on_after(self.grace):
            await signals.force.wait()
        if signals.force.cancelled:
            self._say("WARNING", f"{signals.force.reason} again: killing what is left")
        else:
            self.out_of_time = True
            self._say("ERROR", f"not stopped within {self.grace:g} s: killing what is left")
        system.kill()

    def _say(self, level: str, text: str) -> None:
        say(level, f"/{self.tree.id}", text)


async def _main(tree: ChildSpec[Any], grace: float, log: bool) -> int:
    with Signals() as signals:
        return await _Process(tree, grace, log, signals).main()

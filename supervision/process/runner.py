"""Run a tree as a whole process: log lines, signals, an exit code.

`run(tree)` blocks until the tree has ended, and leaves the process. SIGINT and SIGTERM stop the
tree in order; a second one kills it; `grace` bounds the whole stop, also of code that blocks. At
the end it logs how the stop went (a `StopReport`): a summary, and a line for each thing that went
wrong; a process that has to be ended by force names the procs that have not ended.

=========  ===================================================================
exit code  how it ended
=========  ===================================================================
0          in order: told to stop, or by itself (automatic shutdown)
1          gave up, failed to start, crashed, or not stopped within `grace`
70         its event loop stood still for `abort_after` seconds
130        killed by a second signal
=========  ===================================================================

Code in a proc that calls `sys.exit(code)` stops the tree in order; the process leaves with `code`.

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

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal, NoReturn, TypeAlias, final

import anyio

from actors import ActorSystem, Event, ProcInfo
from actors.seconds import check_seconds
from supervision.adapters import kill_programs
from supervision.application import StopRecorder, StopReport, check_tree, serve_in, write_report
from supervision.describe import where
from supervision.errors import ChildStartFailed, IntensityExceeded, TreeExited
from supervision.exit_codes import ENDED, FAILED, FORCED
from supervision.process.signals import Signals
from supervision.specs import ChildSpec
from supervision.telemetry import (
    LogLines,
    LoopWatchdog,
    check_stalls,
    compact_log,
    explain_error,
    say,
)

__all__ = ["BackendName", "loop_options", "run"]


BackendName: TypeAlias = Literal["asyncio", "trio", "uvloop"]
"""The event loops that `run` knows how to get."""


def run(
    tree: ChildSpec[Any],
    *,
    backend: BackendName = "asyncio",
    grace: float = 30.0,
    log: bool = True,
    observe: Sequence[Callable[[Event], None]] = (),
    carry: Iterable[ContextVar[Any]] = (),
    stall_after: float | None = 1.0,
    abort_after: float | None = None,
) -> NoReturn:
    """Run a tree until it ends, and leave the process with its exit code (SystemExit).

    `backend`: "asyncio" (default), "trio" or "uvloop", of which the last two are extras to install.
    `grace` in seconds, default 30.0: how long stopping may take after the first signal; what is
    left then is killed, and 2 s later the process is ended, whatever it is doing.
    `log`, default True: write a line through loguru for each thing that happens in the tree; the
    reason for its end is logged in any case. `observe`: event handlers that hear everything from
    the first start on, default none. `carry`: context variables that travel with each message,
    default none; see `ActorSystem`. `stall_after` in seconds, default 1.0: an event loop
    that stands still for so long gets a line that says where; None: nobody watches. `abort_after`
    in seconds, default None (never), at least `stall_after`: then the process is ended at once,
    with exit code 70. Raises TypeError when `tree` is no supervisor's spec, ValueError for
    another backend or numbers that cannot be meant. In a thread other than the main one
    it runs without signals, until the tree ends.
    """
    check_tree(tree)
    check_seconds("grace", grace)
    check_stalls(stall_after, abort_after)
    name, options = loop_options(backend)
    process = _Process(tree, log, observe, (stall_after, abort_after), carry)
    compact_log()
    if log:
        process.say("INFO", f"starts on {backend}, as process {os.getpid()}")
    with Signals(grace, process.say, f"/{tree.id}", process.farewell) as signals:
        anyio.run(process.main, signals, backend=name, backend_options=options)
        code = process.conclude(signals)
        signals.linger(_as_number(code))
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
    """One tree under signals, and the exit code that comes of it.

    `code` may be whatever `sys.exit` takes, since that is what a proc may have called.
    """

    def __init__(
        self,
        tree: ChildSpec[Any],
        log: bool,
        observe: Sequence[Callable[[Event], None]] = (),
        stalls: tuple[float | None, float | None] = (None, None),
        carry: Iterable[ContextVar[Any]] = (),
    ) -> None:
        self._own_system = ActorSystem(tree.id, carry=carry)
        self._tree = tree
        self._log = log
        self._observe = observe
        self._stalls = stalls
        self._code: int | str | None = FAILED
        self._level = "CRITICAL"
        self._end = "ended"
        self._error: BaseException | None = None  # if no line before the last one has had it
        self._asked_at: float | None = None
        self._recorder = StopRecorder(f"/{tree.id}")
        self._system: ActorSystem | None = None

    def say(self, level: str, text: str, error: BaseException | None = None) -> None:
        """Write a line about the tree as a whole."""
        say(level, f"/{self._tree.id}", text, error)

    async def main(self, signals: Signals) -> None:
        """Serve the tree until it ends or is stopped."""
        with signals.early():
            async with anyio.create_task_group() as tasks:
                system, scope = self._own_system, anyio.CancelScope()
                self._system = system
                tasks.start_soon(self._obey, signals, system, scope)
                await self._guarded(system, scope)
                signals.tree_is_over()
                tasks.cancel_scope.cancel()

    def conclude(self, signals: Signals) -> int | str | None:
        """Write how it ended; returns the exit code."""
        if signals.code:
            self._code = signals.code
            self._level = "CRITICAL" if self._code != FORCED else "WARNING"
            self._end = "killed"
        self._write_report(self._recorder.report)
        self.say(self._level, f"{self._end}; exit code {_as_number(self._code)}", self._error)
        return self._code

    def farewell(self) -> None:
        """Write how far the stop has come, from a thread, when the process is ended by force."""
        if self._system is not None:
            self._write_report(self._recorder.so_far(_snapshot(self._system)))

    def _write_report(self, report: StopReport | None) -> None:
        if report is None or not (report.stopped or report.left):
            return
        if self._log or not report.went_well:
            write_report(report, say)

    async def _guarded(self, system: ActorSystem, scope: anyio.CancelScope) -> None:
        """Serve the tree; whatever it raises becomes an exit code and a reason."""
        try:
            async with system:
                for handler in (*([LogLines()] if self._log else ()), *self._observe):
                    system.events.subscribe(handler)
                with self._watching(system), scope:
                    async with serve_in(system, self._tree, self._recorder) as application:
                        await application.wait()
        except ChildStartFailed as error:
            self._end = f"did not start: {_start_failure(error)}"
            self._error = None if self._log else error.__cause__
        except TreeExited as error:
            self._end = _tree_failure(error)
            self._error = None if self._log else error.__cause__
        except (SystemExit, KeyboardInterrupt) as error:
            self._code = error.code if isinstance(error, SystemExit) else FORCED
            self._level = "WARNING"
            self._end = f"told to exit from within by {explain_error(error)}"
        except (Exception, BaseExceptionGroup) as error:
            self._end = f"failed: {explain_error(error)}"
            self._error = error
        else:
            self._code = ENDED
            self._level = "INFO"
            self._end = self._orderly()

    def _watching(self, system: ActorSystem) -> AbstractContextManager[object]:
        """Watch for an event loop that stands still, if that is wanted."""
        stall_after, abort_after = self._stalls
        if stall_after is None:
            return nullcontext()
        return LoopWatchdog(
            system,
            stall_after,
            abort_after=abort_after,
            say=self._say_stall,
            farewell=kill_programs,
        )

    def _say_stall(self, level: str, text: str) -> None:
        if self._log or level == "CRITICAL":
            self.say(level, text)

    def _orderly(self) -> str:
        if self._asked_at is None:
            return "ended by itself"
        return f"stopped in {time.monotonic() - self._asked_at:.2f} s"

    async def _obey(self, signals: Signals, system: ActorSystem, scope: anyio.CancelScope) -> None:
        """Stop the tree at the first signal; kill it when that is due."""
        await signals.stop.wait()
        self._asked_at = time.monotonic()
        self._recorder.stop_begins()
        # Ends the wait in `_guarded`, so that `serve_in` and then the system are left: leaving the
        # system tells the root to stop and waits for it. `Application.stop` is not on this way.
        scope.cancel()
        await signals.force.wait()
        system.kill()


def _as_number(code: int | str | None) -> int:
    """Return the number that `sys.exit` leaves with: of a text it is 1, of None it is 0."""
    if code is None:
        return ENDED
    return code if isinstance(code, int) else FAILED


def _snapshot(system: ActorSystem) -> tuple[ProcInfo, ...]:
    """Look at the tree from another thread, while its own may go on."""
    for _ in range(10):
        try:
            return system.snapshot()
        except (RuntimeError, KeyError):
            time.sleep(0.01)  # it changed under our eyes
    return ()


def _start_failure(error: ChildStartFailed) -> str:
    innermost: BaseException = error
    while innermost.__cause__ is not None and isinstance(innermost, ChildStartFailed):
        innermost = innermost.__cause__
    return f"{error}{where(innermost)}"


def _tree_failure(error: TreeExited) -> str:
    gave_up = getattr(error.reason, "detail", None)
    if isinstance(gave_up, IntensityExceeded):
        last = where(gave_up.crashes[-1]) if gave_up.crashes else ""
        return str(gave_up).removeprefix(f"{gave_up.path} ") + last
    return f"{error.reason}{where(error.__cause__)}"

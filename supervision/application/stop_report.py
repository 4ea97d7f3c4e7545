"""Report how a tree was stopped: what did not stop in time, what was killed, what raised.

A `StopReport` is what `Application.stop` returns, and what `run` writes to the log at its end. It
has an entry for each proc below the root that ended while the tree was stopping, in the order of
death: children before their supervisor.

Guarantees: it covers every stop, whoever began it (a call, the end of the block, a signal, the tree
itself by giving up); it is complete when the root has ended, also when everything was killed in
the middle of it; an error raised on the way is in it exactly once.

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec, serve
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def deaf(shutdown: CancellationToken) -> None:
...     await anyio.sleep_forever()
>>> tree = SupervisorSpec(
...     "shop", [ChildSpec("db", task(work)), ChildSpec("web", task(deaf), shutdown=0.01)]
... )
>>> async def main() -> None:
...     async with serve(tree) as app:
...         report = await app.stop()
...     for proc in report.stopped:
...         print(proc.path, proc.reason, proc.in_time)
...     print(report.late == (report.stopped[0],), report.errors)
>>> anyio.run(main)
/shop/web killed False
/shop/db shutdown True
True ()

It costs nothing while the tree runs, but for a look at each event, and it takes time in proportion
to the number of procs that were stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import final

from attrs import frozen

from actors import Crashed, ExitReason, Killed, ProcInfo
from supervision.describe import one_line
from supervision.telemetry import explain_error, one_entry

__all__ = ["StopReport", "StoppedProc", "leaves", "lines_of", "write_report"]


MOST_NAMES = 20
"""So many procs that have not ended are named in one line."""

EARLY = 0.01
"""Seconds by which a timer may be early, as clocks are read here and there."""


@final
@frozen
class StoppedProc:
    """The end of one proc while its tree was stopping.

    - `path`: its place, like `/shop/workers/w1`.
    - `reason`: how it exited.
    - `expected`: whether that is what it was told to do.
    - `seconds`: from being told to stop until its end; None when it was never told, because it
      ended before its turn, or was killed with its supervisor, or belongs to another proc.
    - `timeout`: how many seconds it was given; None for no limit.
    - `errors`: what it raised on the way, in order.
    - `supervised`: False for what a proc that is no supervisor had started for itself.
    """

    path: str
    reason: ExitReason
    expected: bool
    seconds: float | None = None
    timeout: float | None = None
    errors: tuple[BaseException, ...] = ()
    supervised: bool = True

    @property
    def killed(self) -> bool:
        """Tell whether it was killed, at its deadline or otherwise."""
        return isinstance(self.reason, Killed)

    @property
    def in_time(self) -> bool:
        """Tell whether it ended without having to be killed for being late."""
        return not (
            self.killed
            and not self.expected
            and self.seconds is not None
            and self.timeout is not None
            and self.seconds >= self.timeout - EARLY
        )

    @property
    def ended_well(self) -> bool:
        """Tell whether it ended as it should, without raising anything."""
        return self.expected and not self.errors


@final
@frozen
class StopReport:
    """The stop of a tree, from its beginning to the end of the root.

    - `path`: the root.
    - `reason`: how the root exited; None as long as it has not ended.
    - `seconds`: how long it all took.
    - `stopped`: the procs below the root, in the order of their end.
    - `left`: the paths of what had not ended when this was written; empty, but for a process that
      was ended by force.

    `str` gives a summary and a line for each thing that went wrong.
    """

    path: str
    reason: ExitReason | None
    seconds: float
    stopped: tuple[StoppedProc, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def late(self) -> tuple[StoppedProc, ...]:
        """Return those that were killed at their deadlines."""
        return tuple(proc for proc in self.stopped if not proc.in_time)

    @property
    def killed(self) -> tuple[StoppedProc, ...]:
        """Return those that were killed, also those whose spec says so (`BRUTAL_KILL`)."""
        return tuple(proc for proc in self.stopped if proc.killed)

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """Return what was raised while stopping, in order."""
        return tuple(error for proc in self.stopped for error in proc.errors)

    @property
    def went_well(self) -> bool:
        """Tell whether all ended as they should, in time and without errors."""
        well = all(proc.ended_well for proc in self.stopped)
        return well and not self.left and not isinstance(self.reason, Killed | Crashed | None)

    @property
    def summary(self) -> str:
        """Return the whole in one line."""
        count = len(self.stopped)
        text = f"{count} proc{'' if count == 1 else 's'} stopped in {self.seconds:.2f} s"
        late, errors = len(self.late), len(self.errors)
        unasked = sum(proc.killed and not proc.expected for proc in self.stopped) - late
        counts = [
            f"{late} not in time" if late else "",
            f"{unasked} killed" if unasked else "",
            f"{errors} error{'' if errors == 1 else 's'}" if errors else "",
            f"{len(self.left)} not ended" if self.left else "",
        ]
        found = ", ".join(filter(None, counts))
        return f"{text}; {found}" if found else text + (", all well" if self.went_well else "")

    def __str__(self) -> str:
        return "\n".join(" ".join(one_entry(path, text)) for _, path, text in lines_of(self))


def lines_of(report: StopReport) -> Iterator[tuple[str, str, str]]:
    """Yield the lines of a report, each as level, path and text; the summary first."""
    level = "INFO" if report.went_well else "WARNING"
    yield level, report.path, report.summary
    for proc in report.stopped:
        yield from _lines_about(proc)
    if report.left:
        shown = ", ".join(report.left[:MOST_NAMES])
        more = len(report.left) - MOST_NAMES
        text = f"{shown} and {more} more" if more > 0 else shown
        yield "ERROR", report.path, f"not ended: {text}"


def _lines_about(proc: StoppedProc) -> Iterator[tuple[str, str, str]]:
    took = "" if proc.seconds is None else f" after {proc.seconds:.2f} s"
    if not proc.in_time:
        yield "WARNING", proc.path, f"did not stop within {proc.timeout:g} s, and was killed"
    elif proc.killed and not proc.expected:
        told = took or (" before it was told to stop" if proc.supervised else "")
        yield "WARNING", proc.path, f"was killed{told}"
    elif not proc.expected and not proc.errors:
        yield (
            "WARNING",
            proc.path,
            f"was to be stopped, but ended by itself ({one_line(proc.reason)})",
        )
    for error in proc.errors:
        yield "ERROR", proc.path, f"raised while stopping: {explain_error(error)}"


def leaves(roots: Sequence[ProcInfo]) -> tuple[str, ...]:
    """Return the paths of the live procs that wait for nobody below them, in order of start.

    Whoever has a live child waits for it; so these are the ones that hold the end up.
    """
    found: list[str] = []
    waiting = list(reversed(roots))
    while waiting:
        info = waiting.pop()
        below = [child for child in info.children if _lives(child)]
        if not below and _lives(info):
            found.append(info.path)
        waiting.extend(reversed(info.children))
    return tuple(found)


def _lives(info: ProcInfo) -> bool:
    return info.state != "down"


def write_report(report: StopReport, write: Callable[[str, str, str], None]) -> None:
    """Write the lines of a report; each gets level, path and text."""
    for level, path, text in lines_of(report):
        write(level, path, text)

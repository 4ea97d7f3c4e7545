"""Turn events into log lines that a person understands at night.

One line for each thing that happens, the path of the proc first: started, stopped, crashed (what it
was handling, where in your code, how often it was restarted, what its supervisor does next), did
not stop in time, parked, gave up, dead letter. `run` switches it on; anybody else subscribes it:

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         system.events.subscribe(LogLines(lambda level, path, text: print(level, path, text)))
...         await system.spawn(task(work), id="work")
>>> anyio.run(main)
INFO /work started
INFO /work stopped

Guarantees: what was said with one line is not said again in a second one. A crash is told when its
supervisor says what comes next, a failed start by the child that failed; dead letters can be many,
so of each kind the 1st, 10th, 100th and so on is logged.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, final

import anyio

from actors import (
    Crashed,
    DeadLetter,
    DeadLetterKind,
    Event,
    ExitReason,
    HandlerFailed,
    Killed,
    NoProc,
    Normal,
    ProcEnded,
    ProcFailedToStart,
    ProcReleased,
    ProcStarted,
    Shutdown,
    StopError,
)
from actors.texts import is_a
from supervision.describe import at, one_line, printable
from supervision.errors import ChildStartFailed, IntensityExceeded
from supervision.event_types import (
    ChildExited,
    ChildHung,
    ChildParked,
    ChildStopped,
    Next,
    ProcessOutput,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
    ThreadAbandoned,
)
from supervision.telemetry.explain import MOST_PARTS, explain_error
from supervision.telemetry.rush import Rushes
from supervision.telemetry.speaker import one_entry, say

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["LogLines", "Write", "compact_log"]


Write: TypeAlias = Callable[[str, str, str], None]
"""Takes a level, a path and a text."""

TRANSIENT = (
    "it is permanent, so it is started again whenever it returns; "
    "what may return is restart='transient'"
)
"""What is said once of a child that ended in order, and is started again."""

MOST_DEAD_LETTERS = 1000
"""How many kinds of dead letters are counted at a time; the oldest is forgotten."""


@final
class LogLines:
    """A subscriber that writes a line for each event that deserves one.

    `write` takes level, path and text; default: loguru, which gets the exceptions as well and,
    where it is as it comes, shorter lines.
    """

    tells_failures = True
    """Nobody else needs to tell of event handlers that fail."""

    def __init__(self, write: Write = say) -> None:
        self._sink = write
        self._began = False
        self._rushes = Rushes()
        # Who has ended, by owner: the owner is about to say what comes next; that makes one line.
        self._ended: dict[str, dict[str, _End]] = {}
        self._told: BaseException | None = None
        self._dead: dict[tuple[str, str, str], int] = {}

    def _write(self, level: str, path: str, text: str, error: BaseException | None = None) -> None:
        if self._sink is not say:
            self._sink(level, *one_entry(path, text))
            return
        if not self._began:
            self._began = True
            compact_log()
        say(level, path, text, error)

    def __call__(self, event: Event) -> None:
        """Write the line for an event, if it deserves one."""
        match event:
            case ProcStarted():
                self._started(event)
            case ProcEnded():
                self._proc_ended(event)
            case ProcReleased(ref=ref):
                # Its owner has said all that it is going to say, if it is one that says something.
                end = self._take(ref.path)
                if end is not None:
                    self._end(end)
            case HandlerFailed(error=error):
                text = "an event handler failed, the tree goes on; its next errors are not told"
                self._write("ERROR", "/", f"{text}: {explain_error(error)}", error)
            case ChildExited(ref=ref, reason=reason):
                end = self._take(ref.path) or _End(ref.path, reason)
                self._end(end, f"{_restarts(event)}; {_next(event)}")
                if _surprises(event):
                    self._write("INFO", ref.path, TRANSIENT)
            case ChildStopped():
                self._child_stopped(event)
            case ProcFailedToStart():
                self._failed_to_start(event)
            case ChildHung(ref=ref, error=error, seconds=seconds) if seconds:
                # The first time says nothing new: the child crashes with that error.
                text = f"still not dead {seconds:.1f} s after it was found to hang"
                self._write("WARNING", ref.path, f"{text}: {error.activity}{error.place}")
            case RestartFailed(ref=ref):
                text = f"could not be restarted; trying again {_delay(event.delay)}"
                self._write("WARNING", ref.path, text)
            case ChildParked(ref=ref, error=error):
                self._write("ERROR", ref.path, _parked(error))
            case SupervisorGaveUp(ref=ref, error=error):
                level = "ERROR" if _owner(ref.path) else "CRITICAL"
                self._write(level, ref.path, str(error).removeprefix(f"{ref.path} "))
            case SupervisorEnding(ref=ref, id=id):
                self._write("INFO", ref.path, f"shuts down, as significant child {id} has ended")
            case StopError(ref=ref, error=error):
                self._told = error
                text = f"raised while stopping: {explain_error(error)}"
                self._write("ERROR", ref.path, text, error)
            case DeadLetter():
                self._dead_letter(event)
            case ProcessOutput(ref=ref, stream=stream, line=line):
                self._write("INFO", ref.path, f"{stream}: {printable(line)}")
            case ThreadAbandoned(ref=ref, thread=thread, stack=stack):
                left = f"its thread {thread!r} has not ended and is left alone{at(stack)}"
                self._write("ERROR", ref.path, left)
            case _:
                pass

    def _started(self, event: ProcStarted) -> None:
        path = event.ref.path
        end = self._take(path)
        if end is not None:
            self._end(end)  # its owner restarts it without a word
        if event.incarnation > 1:
            self._write("INFO", path, f"started again (start {event.incarnation})")
        elif not self._rushes.hides(_owner(path), anyio.current_time()):
            self._write("INFO", path, "started")

    def _proc_ended(self, event: ProcEnded) -> None:
        end = _End(event.ref.path, event.reason, event.in_hand)
        end.told = isinstance(event.reason, Crashed) and event.reason.error is self._told
        self._told = None
        self._flush(end.path)
        if event.owned:
            self._ended.setdefault(_owner(end.path), {})[end.path] = end
        else:
            self._end(end)

    def _flush(self, owner: str) -> None:
        """Write of those below an owner that has ended, too, before it said what comes next."""
        for end in self._ended.pop(owner, {}).values():
            self._end(end)
        if counted := self._rushes.over(owner):
            self._write("INFO", owner, counted)

    def _take(self, path: str) -> _End | None:
        ended = self._ended.get(_owner(path), {})
        end = ended.pop(path, None)
        if not ended:
            self._ended.pop(_owner(path), None)
        return end

    def _child_stopped(self, event: ChildStopped) -> None:
        end = self._take(event.ref.path) or _End(event.ref.path, event.reason)
        took = f" after {event.seconds:.1f} s" if event.seconds >= 0.1 else ""
        match event.reason:
            case Killed() if not event.expected:
                self._end(end, f"{took}: did not stop in time")
            case Normal():
                self._write("INFO", end.path, f"stopped{took}")
            case Crashed() if not end.told:
                self._end(end, f"; it was being stopped{took.replace('after', 'for')}")
            case _:
                self._end(end, took)

    def _end(self, end: _End, then: str = "") -> None:
        match end.reason:
            case Crashed() if end.told:
                self._write("WARNING", end.path, f"stopped, with that error{then}")
            case Crashed(error):
                text = f"crashed{end.handling}: {explain_error(error)}{then}"
                self._write("ERROR", end.path, text, error)
            case Killed() | NoProc():
                self._write("WARNING", end.path, f"killed{end.handling}{then}")
            case Normal():
                self._in_order(end, f"{_how(end.reason)}{then}")
            case _:
                self._write("INFO", end.path, f"{_how(end.reason)}{then}")

    def _in_order(self, end: _End, text: str) -> None:
        counted = self._rushes.ended(_owner(end.path), anyio.current_time())
        if counted == "":
            self._write("INFO", end.path, text)
        elif counted:
            self._write("INFO", _owner(end.path) or "/", counted)

    def _failed_to_start(self, event: ProcFailedToStart) -> None:
        path = event.ref.path
        self._flush(path)
        match event.reason:
            case Crashed(error) if is_a(error, ChildStartFailed):
                # The child itself has said why.
                self._write("ERROR", path, f"did not start, because its child {error.path} did not")
            case Crashed(error):
                self._write("ERROR", path, f"did not start: {explain_error(error)}", error)
            case Killed():
                self._write("WARNING", path, "killed while it was starting")
            case _:
                self._write("INFO", path, "stopped while it was starting")

    def _dead_letter(self, event: DeadLetter) -> None:
        if event.why.kind is DeadLetterKind.IN_HAND:
            return  # told with the crash
        path, kind = event.ref.path, type(event.message).__name__
        key = (path, kind, str(event.why))
        count = self._dead[key] = self._dead.get(key, 0) + 1
        if len(self._dead) > MOST_DEAD_LETTERS:
            del self._dead[next(iter(self._dead))]
        if str(count).strip("0") == "1":
            so_far = f" ({count} so far)" if count > 1 else ""
            self._write("WARNING", path, f"dead letter {kind}: {event.why}{so_far}")


@final
class _End:
    """How a proc ended; `told` when its error has got a line already."""

    __slots__ = ("handling", "path", "reason", "told")

    def __init__(self, path: str, reason: ExitReason, in_hand: object = None) -> None:
        self.path = path
        self.reason = reason
        self.handling = "" if in_hand is None else f" while handling {type(in_hand).__name__}"
        self.told = False


def _owner(path: str) -> str:
    return path.rpartition("/")[0]


def _how(reason: ExitReason) -> str:
    match reason:
        case Shutdown(detail=None):
            return "stopped"
        case Shutdown(detail=detail) if is_a(detail, IntensityExceeded):
            return "stopped, having given up"
        case Shutdown(detail=detail):
            return f"stopped ({one_line(detail)})"
        case _:
            return f"ended ({one_line(reason)})"


def _surprises(event: ChildExited) -> bool:
    """Tell whether this is the first time that a permanent child has ended in order."""
    comes_back = event.next in (Next.RESTART, Next.WAIT)
    return comes_back and not event.restarts and isinstance(event.reason, Normal)


def _restarts(event: ChildExited) -> str:
    if not event.reason.is_abnormal and event.next in (Next.KEEP, Next.REMOVE):
        return ""
    return f"; {event.restarts} restart{'' if event.restarts == 1 else 's'} so far"


def _next(event: ChildExited) -> str:
    match event.next:
        case Next.RESTART | Next.WAIT:
            return f"restarting it {_delay(event.delay)}"
        case Next.GIVE_UP:
            return "no restarts are left, its supervisor gives up"
        case Next.PARK:
            return "its own restarts are spent"
        case Next.KEEP | Next.REMOVE:
            return "not restarted"


def _parked(error: IntensityExceeded) -> str:
    """Describe a child that stays down: what led there, and how it comes back."""
    # Poison mail gives the same crash again and again: once is enough.
    times = Counter(explain_error(crash) for crash in error.crashes)
    crashes = [text if count == 1 else f"{text} ({count} times)" for text, count in times.items()]
    if len(crashes) > MOST_PARTS:
        crashes = [f"{len(crashes) - MOST_PARTS} others", *crashes[-MOST_PARTS:]]
    led = f"; the crashes: {'; '.join(crashes)}" if crashes else ""
    needed = f"it needed more than {error.budget}"
    return f"parked and stays down: {needed}{led}; RestartChild({error.child!r}) revives it"


def _delay(seconds: float) -> str:
    if not seconds:
        return "now"
    return f"in {seconds:.1f} s" if seconds >= 1 else f"in {max(seconds * 1000, 1):.0f} ms"


# -- what the log looks like ----------------------------------------------------------------------

_STAMP = "<green>{time:YYYY-MM-DD HH:mm:ss.SSS}</green> | <level>{level: <8}</level> | "
_PLACE = "<cyan>{name}</cyan>:<cyan>{function}</cyan>:<cyan>{line}</cyan> - "
_TEXT = "<level>{message}</level>\n"


def _format(record: Record) -> str:
    """Leave out of the lines of this module what says nothing: that they come from here.

    Nor have they a traceback below them: what it says to a person is in the line.
    """
    if record["name"] == say.__module__:
        return _STAMP + _TEXT
    return _STAMP + _PLACE + _TEXT + "{exception}"


@final
class _Stderr:
    """Whatever `sys.stderr` is at the time of writing: it may be replaced meanwhile."""

    def write(self, message: str) -> None:
        sys.stderr.write(message)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def compact_log() -> None:
    """Leave the place in this package out of its own log lines; those of your code have theirs.

    Only where loguru is as it comes, with its own handler number 0, which is then replaced.
    Whatever you configured yourself stays as it is, also with LOGURU_FORMAT or LOGURU_AUTOINIT.
    """
    from loguru import logger  # now, so that the first line does not wait for it

    if not {"LOGURU_FORMAT", "LOGURU_AUTOINIT"} & os.environ.keys():
        with suppress(ValueError):
            logger.remove(0)  # raises when there is none
            logger.add(_Stderr(), format=_format)

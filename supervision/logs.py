"""Turn events into log lines that a person understands at night.

One line for each thing that happens, the path of the proc first: started, stopped, crashed (what it
was handling, where in your code, how often it was restarted, what its supervisor does next), did
not stop in time, gave up, dead letter. `run` switches it on; anybody else subscribes it:

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
INFO /work stopped: shutdown

Dead letters can be many: of each kind the 1st, 10th, 100th and so on is logged.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias, cast, final

import anyio
import attrs
from loguru import logger

import actors
from actors import (
    Crashed,
    DeadLetter,
    Event,
    ExitReason,
    Killed,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    StopError,
)
from supervision.errors import describe_error, describe_reason
from supervision.events import (
    ChildExited,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)

__all__ = ["LogLines", "Write", "say", "tell", "where"]

Write: TypeAlias = Callable[[str, str, str], None]
"""Take a level, a path and a text."""


def say(level: str, path: str, text: str) -> None:
    """Write one line through loguru; `path` is also bound as an extra of the record."""
    # Not with str.format: the text may hold braces of a message or an exception.
    logger.bind(path=path).log(level, "{} {}", path, text)


@final
class LogLines:
    """Subscribe this to an event stream; `write` (default: loguru) takes level, path and text."""

    def __init__(self, write: Write = say) -> None:
        self._write = write
        self._crashed: dict[str, ProcEnded] = {}
        self._dead: dict[tuple[str, str, str], int] = {}

    def __call__(self, event: Event) -> None:
        """Write the line for an event, if it deserves one."""
        match event:
            case ProcStarted():
                self._started(event)
            case ProcEnded():
                self._ended(event)
            case ChildExited():
                self._exited(event)
            case ChildStopped():
                self._stopped(event)
            case ProcFailedToStart(ref=ref, reason=reason):
                self._write("ERROR", ref.path, f"did not start: {_reason(reason)}")
            case RestartFailed(ref=ref):
                self._write("WARNING", ref.path, f"will be tried again{_delay(event.delay)}")
            case SupervisorGaveUp(ref=ref, error=error):
                self._write("CRITICAL", ref.path, str(error).removeprefix(f"{ref.path} "))
            case SupervisorEnding(ref=ref, id=id):
                self._write("INFO", ref.path, f"shuts down: significant child {id} has ended")
            case StopError(ref=ref, error=error):
                text = f"raised while stopping: {describe_error(error)}{where(error)}"
                self._write("ERROR", ref.path, text)
            case DeadLetter():
                self._dead_letter(event)
            case _:
                pass

    def _started(self, event: ProcStarted) -> None:
        again = f" again (start {event.incarnation})" if event.incarnation > 1 else ""
        self._write("INFO", event.ref.path, f"started{again}")

    def _ended(self, event: ProcEnded) -> None:
        path = event.ref.path
        for waiting in [key for key in self._crashed if key.startswith(path + "/")]:
            # Its supervisor ended before it could say what comes next.
            self._crash(self._crashed.pop(waiting), "")
        if event.owned:
            # Its supervisor is about to say what comes next; that makes one line.
            self._crashed[path] = event
        elif isinstance(event.reason, Crashed):
            self._crash(event, "")
        else:
            level = "WARNING" if event.reason.is_abnormal else "INFO"
            self._write(level, path, f"stopped: {event.reason}")

    def _exited(self, event: ChildExited) -> None:
        ended = self._crashed.pop(event.ref.path, None)
        then = f"; {_restarts(event.restarts)}; {_next(event)}"
        if ended is not None and isinstance(ended.reason, Crashed):
            self._crash(ended, then)
        else:
            level = "WARNING" if event.reason.is_abnormal else "INFO"
            self._write(level, event.ref.path, f"ended: {event.reason}{then}")

    def _stopped(self, event: ChildStopped) -> None:
        ended = self._crashed.pop(event.ref.path, None)
        took = f" after {event.seconds:.1f} s" if event.seconds >= 0.1 else ""
        if isinstance(event.reason, Crashed):
            crash = ended or ProcEnded(event.ref, event.reason)
            self._crash(crash, f"; while being stopped{took}")
        elif event.expected:
            self._write("INFO", event.ref.path, f"stopped: {event.reason}{took}")
        else:
            late = " (did not stop in time)" if isinstance(event.reason, Killed) else ""
            self._write("WARNING", event.ref.path, f"stopped: {event.reason}{late}{took}")

    def _crash(self, event: ProcEnded, then: str) -> None:
        handling = ""
        if event.in_hand is not None:
            handling = f" (handling {type(event.in_hand).__name__})"
        self._write("ERROR", event.ref.path, f"{_reason(event.reason, handling)}{then}")

    def _dead_letter(self, event: DeadLetter) -> None:
        path, kind = event.ref.path, type(event.message).__name__
        key = (path, kind, event.why)
        count = self._dead[key] = self._dead.get(key, 0) + 1
        if str(count).strip("0") == "1":
            so_far = f" ({count} so far)" if count > 1 else ""
            self._write("WARNING", path, f"dead letter {kind}: {event.why}{so_far}")


def _reason(reason: ExitReason, handling: str = "") -> str:
    if isinstance(reason, Crashed):
        return f"crashed: {describe_reason(reason)}{handling}{where(reason.error)}"
    return f"{reason}{handling}"


def _restarts(count: int) -> str:
    return "not restarted before" if not count else f"restarted {count} x before"


def _next(event: ChildExited) -> str:
    match event.next:
        case Next.RESTART:
            return "restarting it now"
        case Next.WAIT:
            return f"restarting it{_delay(event.delay)}"
        case Next.GIVE_UP:
            return "restart budget spent, its supervisor gives up"
        case Next.KEEP:
            return "leaving it ended"
        case Next.REMOVE:
            return "removing it"


def _delay(seconds: float) -> str:
    return f" in {seconds:.2g} s" if seconds else " now"


def tell(error: BaseException) -> str:
    """Tell an error in one line, a group with all that is in it."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return f"{group.message}: {'; '.join(tell(part) for part in group.exceptions)}"
    return f"{describe_error(error)}{where(error)}"


_NOT_THE_USERS = tuple(
    os.path.dirname(os.path.abspath(source)) + os.sep
    for source in (__file__, os.__file__, actors.__file__, anyio.__file__, attrs.__file__)
)


def where(error: BaseException | None) -> str:
    """Say where in the user's own code an error arose, the innermost call first; maybe nothing."""
    traceback_: TracebackType | None = None if error is None else error.__traceback__
    if traceback_ is None:
        return ""
    frames = traceback.extract_tb(traceback_)
    own = [frame for frame in frames if not _is_foreign(frame.filename)] or frames[-1:]
    calls = [
        f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}"
        for frame in reversed(own)
    ]
    return " at " + " < ".join(calls[:5])


def _is_foreign(filename: str) -> bool:
    return filename.startswith(("<frozen", *_NOT_THE_USERS))

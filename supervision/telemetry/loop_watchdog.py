"""Notice that the event loop stands still, and say which code blocks it.

While one handler calls `time.sleep`, or computes for a minute, nothing else in the process runs: no
other actor, no timer, no supervisor. So a thread keeps watch. Once for each stall it logs where
the loop's thread is; when it is over, how long it took. It can end the process instead.

================  ==========================================================================
when              what happens
================  ==========================================================================
`stall_after`     the blocking code is logged, once
the loop goes on  its length is logged, and published as `LoopStalled`
`abort_after`     the process is ended, with exit code 70 (only if you set it)
================  ==========================================================================

Guarantees: an idle loop is never woken, since the thread reads from the stack that it waits; a
process that was stopped (Ctrl-Z, a debugger's halt, a machine without time for it) is not taken for
a stall. The limit: code that never lets go of the GIL is seen when it has let go.

>>> import anyio, threading
>>> from actors import ActorSystem
>>> heard = threading.Event()
>>> def say(level: str, text: str) -> None:
...     print(level, text.partition(" 0.")[0])
...     heard.set()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         with LoopWatchdog(system, 0.05, say=say):
...             heard.wait(10)                              # blocks the loop until that is said
...             await anyio.sleep(0.01)
>>> anyio.run(main)
WARNING event loop blocked for
WARNING event loop goes on after
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from traceback import walk_stack
from types import CodeType, FrameType, TracebackType
from typing import Protocol, Self, final

from actors import EventStream, Place
from actors.seconds import check_seconds
from supervision.describe import at
from supervision.event_types import LoopStalled
from supervision.exit_codes import STALLED
from supervision.telemetry.speaker import SPEECH, Speak, Speaker, helper_thread, nobody

__all__ = ["LoopWatchdog", "check_stalls"]


LOOKS = 4
"""So many times within `stall_after` the thread looks."""


class _Backend(Protocol):
    """What is needed of an event loop."""

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool: ...


class _System(Protocol):
    """What is needed of an actor system."""

    @property
    def backend(self) -> _Backend: ...

    @property
    def events(self) -> EventStream: ...


def check_stalls(stall_after: float | None, abort_after: float | None) -> None:
    """Refuse limits that cannot be meant. Raises ValueError, TypeError."""
    for name, value in (("stall_after", stall_after), ("abort_after", abort_after)):
        check_seconds(name, value, zero=False, none=True)
    if abort_after is not None and (stall_after is None or abort_after < stall_after):
        raise ValueError(f"abort_after is at least stall_after, {stall_after!r}, not {abort_after}")


def _nothing() -> None:
    pass


@final
class LoopWatchdog:
    """A watch over the event loop that runs this block, from a thread, until the block is left.

    `system`: the actor system that publishes `LoopStalled`. `stall_after` in seconds, default
    1.0: a stall is noticed when it has lasted that long, or up to half of that later.
    `abort_after` in seconds, default None (never): how long one may last before the process is
    ended at once, with exit code 70; `farewell` (default: nothing) is called right before that.
    `say` takes a level and a text, default: nobody hears; it is called in a thread. Code that is
    halted in a debugger's prompt is a stall, too. On a loop other than those of asyncio, trio
    and uvloop, the loop is asked four times within `stall_after` whether it turns, also when it
    is idle. Raises ValueError for limits that cannot be meant.
    """

    def __init__(
        self,
        system: _System,
        stall_after: float = 1.0,
        *,
        abort_after: float | None = None,
        say: Speak = nobody,
        farewell: Callable[[], None] = _nothing,
    ) -> None:
        check_stalls(stall_after, abort_after)
        self._system = system
        self._stall_after = stall_after
        self._abort_after = abort_after
        self._speaker = Speaker(say)
        self._farewell = farewell
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._question: _Question | None = None
        self._loop: _LoopThread
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        self._loop = _LoopThread()
        self._thread = helper_thread(self._keep_watch, "loop watchdog")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(2 * SPEECH)

    # -- in the thread ----------------------------------------------------------------------------

    def _keep_watch(self) -> None:
        interval = self._stall_after / LOOKS
        clock = _Clock(2 * interval, self._loop.ident)
        while not self._over.wait(interval):
            self._look(clock.lap())
        if self._question is not None:
            self._conclude(self._question)

    def _look(self, elapsed: float) -> None:
        """Look once; `elapsed` are the seconds since the last look, as far as they count."""
        question = self._question
        if question is not None and question.ended_at is not None:
            self._conclude(question)
            question = self._question = None
        if question is None:
            if self._loop.waits():
                return
            if elapsed >= self._stall_after:
                self._was_held(elapsed)
                return
            question = self._question = _Question()
            self._system.backend.call_soon_threadsafe(partial(self._hear, question))
        else:
            question.waited += elapsed
        if question.waited >= self._stall_after:
            self._report(question)

    def _was_held(self, seconds: float) -> None:
        """Report a stall that is over: this thread could not run, as the loop's held the GIL."""
        stack = self._loop.stack()  # before anything lets the loop go on
        self._system.backend.call_soon_threadsafe(partial(self._publish, seconds, stack))
        self._speaker.say(
            "WARNING", f"event loop was blocked for {seconds:.1f} s{_whereabouts(stack)}"
        )

    def _report(self, question: _Question) -> None:
        """Report that the loop stands still, once; end the process when that is due."""
        waited = f"event loop blocked for {question.waited:.1f} s"
        if question.stack is None:
            stack = self._loop.stack()
            with self._lock:
                if question.ended_at is not None:
                    return
                question.stack = stack
            self._speaker.say("WARNING", waited + _whereabouts(stack))
        if self._abort_after is not None and question.waited >= self._abort_after:
            place = _whereabouts(self._loop.stack())
            self._speaker.say(
                "CRITICAL", f"{waited}{place}: ending the process, exit code {STALLED}"
            )
            self._farewell()
            os._exit(STALLED)

    def _conclude(self, question: _Question) -> None:
        """Report how long it took, if it was reported that it began."""
        if question.stack is not None:
            ended_at = question.ended_at or time.monotonic()  # left before it turned once more
            seconds = ended_at - question.asked_at
            self._speaker.say("WARNING", f"event loop goes on after {seconds:.1f} s")

    # -- in the loop ------------------------------------------------------------------------------

    def _hear(self, question: _Question) -> None:
        """Take the loop's answer, in its next turn: it turns."""
        with self._lock:
            question.ended_at = now = time.monotonic()
        if question.stack is not None:
            self._publish(now - question.asked_at, question.stack)

    def _publish(self, seconds: float, stack: list[tuple[CodeType, int]]) -> None:
        events = self._system.events
        if events.heard:
            places = (Place(code.co_filename, line, code.co_qualname) for code, line in stack)
            events.publish(LoopStalled(seconds, tuple(places)))


@final
class _Question:
    """What the loop is asked: whether it turns; `stack` is there once it was found not to."""

    __slots__ = ("asked_at", "ended_at", "stack", "waited")

    def __init__(self) -> None:
        self.asked_at = time.monotonic()
        self.ended_at: float | None = None
        self.waited = 0.0
        self.stack: list[tuple[CodeType, int]] | None = None


@final
class _Clock:
    """The time between two looks, as far as it can be charged to the loop.

    A gap longer than `most` means that this thread could not run. Either the loop's thread held the
    GIL, and then it worked all the while; or the whole process stood still: nobody's fault.
    """

    __slots__ = ("_clock", "_last", "_most", "_used")

    def __init__(self, most: float, ident: int) -> None:
        self._most = most
        get = getattr(time, "pthread_getcpuclockid", None)
        self._clock: int | None = None if get is None else get(ident)
        self._last, self._used = self._read()

    def lap(self) -> float:
        """Return the seconds since the last call that count."""
        last, used = self._last, self._used
        self._last, self._used = self._read()
        gap, worked = self._last - last, self._used - used
        return gap if worked > gap / 2 else min(gap, self._most)

    def _read(self) -> tuple[float, float]:
        worked = 0.0 if self._clock is None else time.clock_gettime(self._clock)
        return time.monotonic(), worked


# -- where the loop is ----------------------------------------------------------------------------

_NOT_CALLED = (
    inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


@final
class _LoopThread:
    """The thread that runs the loop, and its stack; made in that thread, inside of the loop.

    `_base` is the call that runs the loop for as long as it runs. What stands above it on the stack
    tells what the loop is doing: nothing, waiting for events, or code.
    """

    __slots__ = ("_base", "ident")

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self._base = _find_base(inspect.currentframe())

    def waits(self) -> bool:
        """Tell whether the loop waits for events; False in doubt."""
        names = [frame.f_code.co_name for frame in self._frames()]
        match names[::-1]:
            case []:
                return True  # uvloop, which waits without a frame of Python
            case ["_run_once", "select", *_] | ["get_events", *_]:
                return True  # asyncio, trio
            case _:
                return False

    def stack(self) -> list[tuple[CodeType, int]]:
        """Return what the loop is running, the outermost call first."""
        return [(frame.f_code, frame.f_lineno) for frame in self._frames()][::-1]

    def _frames(self) -> list[FrameType]:
        """Return the calls above the base, innermost first; all calls where there is no base."""
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        calls = walk_stack(frames.get(self.ident))
        return list(takewhile(lambda frame: frame is not self._base, (call for call, _ in calls)))


def _find_base(frame: FrameType | None) -> FrameType | None:
    """Find the call that runs the loop, seen from code inside of it; None if that has no such."""
    called = None
    while frame is not None:
        code = frame.f_code
        if code.co_qualname == "BaseEventLoop.run_forever" or (
            code.co_name == "run" and code.co_filename.endswith(_TRIO)
        ):
            return frame
        if called is None and not code.co_flags & _NOT_CALLED and code.co_filename != __file__:
            called = frame  # a loop of C, such as uvloop's: what called that
        frame = frame.f_back
    return called


_TRIO = os.path.join("trio", "_core", "_run.py")


def _whereabouts(stack: list[tuple[CodeType, int]]) -> str:
    """Describe where the loop is: in the user's own code if possible, and in what that called."""
    if not stack:
        return ""
    own, last = at(stack), at(stack[-1:])
    code, line = stack[-1]
    inner = f"{code.co_filename}:{line} in {code.co_qualname}"
    if not own:
        return f" at {inner}"
    return own if last and own.startswith(last) else f"{own} (inside of {inner})"

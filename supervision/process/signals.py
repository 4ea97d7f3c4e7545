"""Turn SIGINT and SIGTERM into cancellation tokens, for the root of a process only.

==================  ====================================================================
when                what happens
==================  ====================================================================
the first signal    `stop` is cancelled: the tree stops in order
the second signal   `force` is cancelled: everything is killed; exit code 130
`grace` has passed  the same without a second signal; exit code 1
2 s after that      the process is ended from outside of the loop, with that exit code
==================  ====================================================================

A thread keeps that timetable, so that neither a handler that blocks the event loop nor a worker
thread that never returns can keep the process alive. It hears of a signal from the C level,
before Python does: also a long call into C is no hiding place, as long as it lets go of the GIL.

>>> import anyio, os, signal
>>> async def main() -> str:
...     with Signals() as signals:
...         os.kill(os.getpid(), signal.SIGTERM)
...         await signals.stop.wait()
...         return str(signals.stop.reason)
>>> anyio.run(main)
'SIGTERM'
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import takewhile
from types import FrameType, TracebackType
from typing import Any, Self, final

from actors import CancellationToken
from supervision.adapters import kill_programs
from supervision.describe import at, is_engine
from supervision.exit_codes import FAILED, FORCED
from supervision.telemetry import Speak, Speaker, helper_thread, is_helper, nobody

__all__ = ["Signals"]


PATIENCE = 2.0
"""Seconds between the kill and the end of the process, whatever it is doing."""

# A signal is heard of in two ways, and neither is enough. C's handler writes the bare number of the
# signal into the wakeup descriptor, at once, whatever Python is doing; but that descriptor is one
# for the whole process, so it is ours only inside of the loop (`early`), and only until somebody
# else sets it. Python's handler always comes, but not before the main thread is between two steps
# of Python, which may be never. So both write into one socket, the latter with a mark, and the
# thread counts them apart: the n-th of one kind is news only if the other has not had n yet.
_FROM_PYTHON = 0x80
_END = 0  # no signal has this number: the block is over


@final
class Signals:
    """The owner of SIGINT and SIGTERM while the block runs; they are given back afterwards.

    `grace` in seconds, default 30.0. `say` (default: nobody) is told what is done, from a thread;
    `path` (default: nothing) stands before what can only be written to standard error. `farewell`
    (default: nothing) is called, from a thread, right before the process is ended by force.
    Outside of the main thread, where Python cannot handle signals, nothing is caught. In a
    forked process the signals have their former meaning.
    """

    def __init__(
        self,
        grace: float = 30.0,
        say: Speak = nobody,
        path: str = "",
        farewell: Callable[[], None] | None = None,
    ) -> None:
        self.stop = CancellationToken()
        self.force = CancellationToken()
        self.code = 0
        """What to leave with after a forced end, else 0; `linger` needs the real one."""
        self._grace = grace
        self._speaker = Speaker(say)
        self._path = path
        self._farewell = farewell
        self._before: dict[signal.Signals, Any] = {}
        self._thread: threading.Thread | None = None
        self._deadline = 0.0
        self._heard: Counter[int] = Counter()
        self._inbox, self._outbox = socket.socketpair()
        self._outbox.setblocking(False)
        # The loop's own wakeup descriptor, which gets every byte passed on.
        self._loops = -1
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._thread = helper_thread(self._keep_time, "signals")
            self._thread.start()
            _active.append(self)
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()
        if self._thread is not None and self in _active:  # not so in a forked process
            _active.remove(self)
            self._outbox.setblocking(True)
            self._outbox.send(bytes([_END]))
            self._thread.join()
        self._inbox.close()
        self._outbox.close()

    def give_back(self) -> None:
        """Restore the former meaning of the signals."""
        for number, handler in self._before.items():
            # None: a handler that was not set from Python and cannot be set from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def early(self) -> Generator[None]:
        """Hear of signals before Python does; enter this inside of the event loop.

        Python runs its handlers between two steps of the main thread, so not while that is in a
        call into C. What the loop itself wants to hear at this place is passed on to it.
        """
        if self._thread is None:
            yield
            return
        mine = self._outbox.fileno()
        self._loops = signal.set_wakeup_fd(mine, warn_on_full_buffer=False)
        try:
            yield
        finally:
            with self._lock:
                loops, self._loops = self._loops, -1
            current = signal.set_wakeup_fd(loops)
            if current != mine:
                # Somebody (loop.add_signal_handler) put his own in the place of ours since.
                signal.set_wakeup_fd(current)

    def linger(self, code: int) -> None:
        """Bound what comes after the tree, when a signal has asked for the end of the process.

        At its end Python waits for threads, however long they take. `code` is the exit code. It
        does nothing to a process that lives on, because somebody caught the SystemExit.
        """
        if self.stop.cancelled:
            self.code = code
            helper_thread(self._outlive, "signals").start()

    # -- in the signal handler --------------------------------------------------------------------

    def _caught(self, number: int, frame: FrameType | None) -> None:
        try:
            self._outbox.send(bytes([number | _FROM_PYTHON]))
        except OSError:
            pass  # full of signals that nobody has looked at yet: one more says nothing new

    # -- in the thread ----------------------------------------------------------------------------

    def _keep_time(self) -> None:
        """Keep the timetable: stop, kill, and end of the process."""
        name = self._next_signal(None)
        if not name:
            return
        self._deadline = time.monotonic() + self._grace
        bound = f"killed at a second signal, or after {self._grace:g} s"
        self._tell("INFO", f"told to stop by {name}; {bound}")
        self.stop.cancel(name)
        name = self._next_signal(self._deadline)
        if name == "":
            return
        self._deadline = time.monotonic() + PATIENCE
        if name is None:
            self.code = FAILED
            self._tell("ERROR", f"not stopped within {self._grace:g} s: killing what is left")
        else:
            self.code = FORCED
            self._tell("WARNING", f"told to end by a second signal, {name}: killing what is left")
        self.force.cancel(name or "grace")
        while (name := self._next_signal(self._deadline)) is not None:
            if name == "":
                return
        self._end(f"still not ended {PATIENCE:g} s after the kill")

    def _outlive(self) -> None:
        """End a process that does not leave, though its tree and its main thread have ended."""
        time.sleep(min(PATIENCE, max(0.0, self._deadline - time.monotonic())))
        if threading.main_thread().is_alive():
            return
        # Python is leaving and waits for threads that are not daemons.
        self._tell("WARNING", f"waits for threads that have not ended{_whereabouts()}")
        time.sleep(max(0.0, self._deadline - time.monotonic()))
        self._end(f"the tree has stopped, but not the process within {self._grace:g} s")

    def _end(self, why: str) -> None:
        """End the process here and now, whatever it is doing."""
        code = self.code or FAILED
        if self._farewell is not None:
            self._speaker.do(self._farewell)
        self._tell("CRITICAL", f"{why}{_whereabouts()}: ending the process, exit code {code}")
        kill_programs()  # or they would outlive this process
        os._exit(code)

    def _tell(self, level: str, text: str) -> None:
        """Have a line written; where no thread can be had, to standard error unless that blocks."""
        said = self._speaker.say(level, text)
        if not said and select.select([], [2], [], 0)[1]:
            os.write(2, f"{level} {self._path} {text}\n".encode(errors="replace"))

    def _next_signal(self, deadline: float | None) -> str | None:
        """Wait for a signal; returns its name, "" at the end of the block, None at the deadline."""
        while True:
            left = 3600.0 if deadline is None else min(deadline - time.monotonic(), 3600.0)
            self._inbox.settimeout(max(left, 0.001))
            try:
                byte = self._inbox.recv(1)[0]
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                continue
            if byte == _END:
                return ""
            if self._is_new(byte):
                return signal.Signals(byte & ~_FROM_PYTHON).name

    def _is_new(self, byte: int) -> bool:
        """Tell whether this is news, or was heard of before, in the other of the two ways."""
        number = byte & ~_FROM_PYTHON
        if not byte & _FROM_PYTHON:
            self._pass_on(byte)
        if number not in (signal.SIGINT, signal.SIGTERM):
            return False
        self._heard[byte] += 1
        return self._heard[byte] > self._heard[byte ^ _FROM_PYTHON]

    def _pass_on(self, byte: int) -> None:
        """Let the loop hear what it would have heard, had it kept its wakeup descriptor."""
        with self._lock:
            if self._loops >= 0:
                try:
                    os.write(self._loops, bytes([byte]))
                except OSError:
                    pass  # full: the loop is about to wake anyway


def _whereabouts() -> str:
    """Describe where in the user's own code each thread is now; "" when it is in none."""
    found: list[str] = []
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
    for thread in threading.enumerate():
        if is_helper(thread) or thread.ident not in frames:
            continue
        # From the innermost call out to where the engine called: what called the engine is over.
        calls = traceback.walk_stack(frames[thread.ident])
        steps = [(frame.f_code, line) for frame, line in calls]
        inner = takewhile(lambda step: not is_engine(step[0].co_filename), steps)
        place = at(list(inner)[::-1], of_libraries=False)
        if place or thread is not threading.main_thread():
            found.append(thread.name + place)
    return f" ({'; '.join(found)})" if found else ""


_active: list[Signals] = []
_masks: list[set[int]] = []


def _before_fork() -> None:
    # A signal that came between fork and _in_child would find the handlers of the parent.
    if _active:
        _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM)))


def _after_fork() -> None:
    if _masks:
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _in_child() -> None:
    # A child of fork has the handlers, but not the thread; and it would write into the socket of
    # its parent, so that ending a worker process would end the whole tree.
    if _active:
        signal.set_wakeup_fd(-1)
    while _active:
        _active.pop().give_back()
    _after_fork()


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)

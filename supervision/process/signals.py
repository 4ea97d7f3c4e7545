"""Turn the signals that end a process into cancellation tokens, for the root of a process only.

==================  ====================================================================
when                what happens
==================  ====================================================================
the first signal    `stop` is cancelled: the tree stops in order
the second signal   `force` is cancelled: everything is killed; exit code 130
`grace` has passed  the same without a second signal; exit code 1
2 s after that      the process is ended from outside of the loop, with that exit code
the tree has ended  the process has `grace` to leave, whoever or whatever asked for the end
==================  ====================================================================

SIGINT and SIGTERM are owned, whatever others do with them meanwhile: a library that handles one
for itself is heard of as well, and may pass on what it heard by raising it again. SIGHUP (the
terminal is gone) and SIGQUIT are for whoever wants them, and stop the tree when nobody does; a
SIGHUP never hurries a stop, since it is sent beside other signals. The same signal within 0.1 s
is the same keypress, which reached the process twice.

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

import math
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import takewhile
from types import FrameType, TracebackType
from typing import Any, Self, final

from actors import CancellationToken
from supervision.adapters import hear_of_children, kill_programs
from supervision.describe import at, is_engine
from supervision.exit_codes import FAILED, FORCED
from supervision.process.borrowing import Handler, Lease
from supervision.process.loading import end_at_once
from supervision.telemetry import Speak, Speaker, helper_thread, is_helper, nobody, one_entry

__all__ = ["Signals"]


PATIENCE = 2.0
"""Seconds between the kill and the end of the process, whatever it is doing."""

# A signal is heard of in two ways, and neither is enough. C's handler writes the bare number of the
# signal into the wakeup descriptor, at once, whatever Python is doing; but that descriptor is one
# for the whole process, so it is ours only inside of the loop (`early`). Python's handler always
# comes, unless somebody has borrowed it, but not before the main thread is between two steps
# of Python, which may be never. So both write into one socket, the latter with a mark, and the
# thread counts them apart: the n-th of one kind is news only if the other has not had n yet.
_FROM_PYTHON = 0x80
_END = 0  # no signal has this number: the block is over
_OVER = 0x7F  # nor this: the tree is over

TOGETHER = 0.1
"""Seconds within which the same signal again is the same one."""

_OWNED = (signal.SIGINT, signal.SIGTERM)
_SHARED = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGQUIT") if hasattr(signal, name))
_HANGUP = getattr(signal, "SIGHUP", None)


@final
class Signals:
    """The owner of the signals that end a process while the block runs; then it gives them back.

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
        self._before: dict[int, Any] = {}
        self._blocked: set[int] = set()
        self._thread: threading.Thread | None = None
        self._deadline = 0.0
        self._heard: Counter[int] = Counter()
        # How often others handled a signal; each may be passed on to us once.
        self._borrowed: Counter[int] = Counter()
        self._last: tuple[int, float] = (0, -math.inf)
        self._inbox, self._outbox = socket.socketpair()
        self._outbox.setblocking(False)
        self._lease: Lease | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._thread = helper_thread(self._keep_time, "signals")
            self._thread.start()
            _active.append(self)
            self._take()
        return self

    def _take(self) -> None:
        """Make the signals ours; those that were blocked by whoever started this come through."""
        _give_back_late()
        for number in (*_OWNED, *_SHARED):
            # Ignored by nohup, or handled by whoever calls `run`: that is to stay so.
            if number in _OWNED or signal.getsignal(number) in (signal.SIG_DFL, end_at_once):
                self._before[number] = signal.signal(number, self._caught)
        self._blocked = unblock(self._before)
        hear_of_children()

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
        if self._lease is not None:
            self._lease.end()
        if self._blocked:
            signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked)
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
        owned: dict[int, Handler] = dict.fromkeys(self._before, self._caught)
        with Lease(owned, self._outbox.fileno()) as self._lease:
            yield

    def tree_is_over(self) -> None:
        """Give what comes after the tree `grace`, unless a signal has set a deadline already."""
        if self._thread is not None:
            self._caught(_OVER, None)

    def linger(self, code: int) -> None:
        """Bound what comes after the block, and let no further signal change how this ends.

        At its end Python waits for threads, however long they take. `code` is the exit code. It
        does nothing to a process that lives on, because somebody caught the SystemExit: there, the
        next signal has its former meaning.
        """
        if self._thread is None:
            return
        self.code = code
        self._deadline = self._deadline or time.monotonic() + self._grace
        helper_thread(self._outlive, "signals").start()
        if self.stop.cancelled:
            _late.update(self._before)
            self._before = dict.fromkeys(self._before, _caught_late)

    # -- in the signal handler --------------------------------------------------------------------

    def _caught(self, number: int, frame: FrameType | None) -> None:
        mark = 0 if number == _OVER else _FROM_PYTHON
        try:
            self._outbox.send(bytes([number | mark]))
        except OSError:
            pass  # full of signals that nobody has looked at yet: one more says nothing new

    # -- in the thread ----------------------------------------------------------------------------

    def _keep_time(self) -> None:
        """Keep the timetable: stop, kill, and end of the process."""
        first = self._first_signal()
        if not first:
            return
        self._deadline = time.monotonic() + self._grace
        bound = f"killed at a second signal, or after {self._grace:g} s"
        self._tell("INFO", f"told to stop by {first}; {bound}")
        self.stop.cancel(first)
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

    def _first_signal(self) -> str:
        """Wait for the first signal, or the end of the block, which the end of the tree bounds."""
        name = self._next_signal(None)
        if name is None:
            self._deadline = time.monotonic() + self._grace
            name = self._next_signal(self._deadline)
        if name is None:
            self._end(f"the tree has ended, but not the process within {self._grace:g} s")
        return name or ""

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
            line = " ".join((level, *one_entry(self._path, text)))
            os.write(2, f"{line}\n".encode(errors="replace"))

    def _next_signal(self, deadline: float | None) -> str | None:
        """Wait for a signal; returns its name, "" at the end of the block, None at the deadline.

        Without a deadline the end of the tree sets one: then None is returned, too.
        """
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
            if byte == _OVER:
                if deadline is None:
                    return None
            elif self._is_new(byte):
                return signal.Signals(byte & ~_FROM_PYTHON).name

    def _is_new(self, byte: int) -> bool:
        """Tell whether this is news, or was heard of before, in the other of the two ways."""
        number = byte & ~_FROM_PYTHON
        if not byte & _FROM_PYTHON and self._lease is not None:
            self._lease.pass_on(byte)
        if number not in self._before:
            return False
        self._heard[byte] += 1
        if self._heard[byte] <= self._heard[byte ^ _FROM_PYTHON]:
            return False
        return self._is_meant(number) and not self._is_echo(number)

    def _is_meant(self, number: int) -> bool:
        """Tell whether a signal is for us: not another's, and not passed on by who had heard it."""
        if signal.getsignal(number) != self._caught:
            self._borrowed[number] += 1
            return number in _OWNED
        if self._borrowed[number] and number in _OWNED:
            # Servers raise again what they have handled, when they have stopped. Nothing tells that
            # from a signal that somebody sends in earnest, who will send another one.
            self._borrowed[number] -= 1
            return False
        return True

    def _is_echo(self, number: int) -> bool:
        """Tell whether this is the last signal once more, or a SIGHUP beside another one."""
        now = time.monotonic()
        last, when = self._last
        if last and (number == _HANGUP or (now - when < TOGETHER and last in (number, _HANGUP))):
            return True
        self._last = (number, now)
        return False


def unblock(numbers: Iterable[int]) -> set[int]:
    """Let signals through to this thread; returns those that were blocked."""
    if sys.platform == "win32":
        return set()
    wanted = set(numbers)
    return wanted & set(signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted))


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


# -- after the end --------------------------------------------------------------------------------

_late: dict[int, Any] = {}
"""The former handlers of signals that are not given back, since the process is about to leave."""


def _caught_late(number: int, frame: FrameType | None) -> None:
    """Do nothing when the process is leaving; else give the signals back, and this one too."""
    if isinstance(sys.exception(), SystemExit) or not threading.main_thread().is_alive():
        return
    _give_back_late()
    signal.raise_signal(number)


def _give_back_late() -> None:
    for number, handler in _late.items():
        if signal.getsignal(number) is _caught_late:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    _late.clear()


# -- in forked processes --------------------------------------------------------------------------

_active: list[Signals] = []
_masks: list[set[int]] = []


def _before_fork() -> None:
    # A signal that came between fork and _in_child would find the handlers of the parent.
    if _active:
        _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, (*_OWNED, *_SHARED)))


def _after_fork() -> None:
    if _masks:
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _in_child() -> None:
    # A child of fork has the handlers, but not the thread; and it would write into the socket of
    # its parent, so that ending a worker process would end the whole tree.
    if _active:
        while _active:
            _active.pop().give_back()
        signal.set_wakeup_fd(-1)
    _after_fork()


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)

"""Open a program in the state that it expects, and wait for its exit, alike on all backends.

A program inherits from its parent what nobody wants it to have: blocked and ignored signals, so
that it cannot be told to stop, and open descriptors. How much of that an event loop puts right
differs from loop to loop; so none is asked. `open_program` is a call of `subprocess.Popen`.

Guarantees: no signal is blocked or ignored in the program, and it has no descriptor but the three;
this process loses no signal by that; the process is reaped here, and by its number alone. An
ignored SIGCHLD, with which nobody could hear how a program ends, is made the default action.
(Dispositions can be changed by the main thread alone: elsewhere ignored signals are inherited.)

>>> import anyio
>>> async def main() -> None:
...     program = await open_program(["sh", "-c", "exit 3"])
...     print(await program.wait())
>>> anyio.run(main)
3
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from subprocess import DEVNULL, Popen
from types import FrameType
from typing import Any, final

import anyio
import anyio.to_thread

__all__ = ["Program", "hear_of_children", "open_program"]


@final
class Program:
    """A process that runs a program, in a session of its own, until it is reaped by `wait`."""

    def __init__(self, popen: Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit code, minus the number of the signal that ended it; None until then."""
        return self._popen.returncode

    async def wait(self) -> int:
        """Wait for the exit, and reap the process; cancelling it only ends the wait."""
        while (code := self._popen.poll()) is None:
            try:
                descriptor = os.pidfd_open(self.pid)
            except (AttributeError, OSError):
                # Not Linux, or an old one: a thread for each, not one of those that all share.
                alone = anyio.CapacityLimiter(1)
                await anyio.to_thread.run_sync(
                    self._popen.wait, abandon_on_cancel=True, limiter=alone
                )
                continue
            try:
                await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        return code


async def open_program(
    argv: Sequence[str],
    *,
    stdout: int | None = DEVNULL,
    stderr: int | None = DEVNULL,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Program:
    """Start a program; it takes the turn of the loop that fork and exec take, and never waits.

    Raises OSError, whose `filename` is what was missing, the program or the folder.
    """
    hear_of_children()
    with _clean_signals():
        # Its streams are descriptors or nothing, so there is nothing in it to close.
        popen = Popen[bytes](
            argv,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    return Program(popen)


def hear_of_children() -> None:
    """Make an ignored SIGCHLD the default action, or the exits of children could not be heard."""
    if sys.platform == "win32":
        return
    if _in_main_thread() and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@contextmanager
def _clean_signals() -> Generator[None]:
    """Let what is forked here have no signal blocked or ignored.

    A process forked inherits the mask of the thread that forks, and what is handled in Python is
    the default action after exec. What comes in that moment, because it is blocked no longer, is
    sent again when it is.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    ignored = {number for number in signal.valid_signals() if _is_ignored(number)}
    if not blocked and not ignored:
        yield
        return
    came: set[int] = set()

    def note(number: int, frame: FrameType | None) -> None:
        came.add(number)

    handlers: dict[int, Any] = {}
    if _in_main_thread():
        for number in blocked | ignored:
            # None is a handler that was not set from Python, and could not be set again.
            if number not in _UNTOUCHABLE and signal.getsignal(number) is not None:
                handlers[number] = signal.signal(number, note)
    through = blocked & set(handlers) if handlers else blocked - signal.sigpending()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, through)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)  # and what came has been noted
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came & blocked:
            os.kill(os.getpid(), number)


_UNTOUCHABLE = {signal.SIGKILL, signal.SIGSTOP}
_RESTORED = {
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ") if hasattr(signal, name)
}
"""What Python ignores itself, and Popen restores."""


def _is_ignored(number: int) -> bool:
    return number not in _RESTORED and signal.getsignal(number) is signal.SIG_IGN


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

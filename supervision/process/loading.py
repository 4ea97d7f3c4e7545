"""Obey signals while the target of a command line is imported, before `run` owns them.

The kernel ends a process at a signal that has no handler; but not the first process of a container,
for which it drops the signal, and not one that was started with the signal blocked or ignored.
`obey_while_loading` makes all of them alike: nothing runs yet that would have to be stopped, so the
process ends at once, whatever the import is doing.

>>> with obey_while_loading():
...     import json
>>> json.loads("[]")
[]
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from supervision.telemetry import helper_thread

__all__ = ["end_at_once", "obey_while_loading"]


_INIT = 1
"""The number of the first process."""

_NUMBERS = ("SIGTERM", "SIGHUP", "SIGQUIT")


@contextmanager
def obey_while_loading() -> Generator[None]:
    """End the process at SIGTERM, SIGHUP and SIGQUIT, as the kernel ends any other.

    The exit code is 128 + the signal's number where the kernel does not do it; there it goes on to
    be so until `Signals` take over. An ignored SIGHUP or SIGQUIT stays so, as under nohup. Does
    nothing on Windows, nor in another thread than the main one.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getpid() != _INIT:
        yield
        return
    with _as_init():
        yield


@contextmanager
def _as_init() -> Generator[None]:
    """Do what the kernel does not do for the first process."""
    numbers = [getattr(signal, name) for name in _NUMBERS]
    mine = {number for number in numbers if signal.getsignal(number) is signal.SIG_DFL}
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)

    def listen() -> None:
        # From the C level: an import may be in a call into C that takes its time.
        while byte := os.read(ear, 1):
            if byte[0] in mine:
                end_at_once(byte[0])
        os.close(ear)

    for number in mine:
        signal.signal(number, end_at_once)
    before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    helper_thread(listen, "loading").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(mouth)


def end_at_once(number: int, frame: FrameType | None = None) -> None:
    """End the process, as the default action of a signal does."""
    os._exit(128 + number)

"""Let others borrow the signals of a process without taking them away from its root.

Libraries handle SIGTERM for themselves while they run, and not all give back what they found:
asyncio's `remove_signal_handler` makes it the default action, which is the end of the process. Two
functions of `signal` therefore mean something else while a `Lease` holds:

=====================  ========================================================================
what others call       what it does
=====================  ========================================================================
`signal.signal`        the default action of an owned signal is its owner's handler; ignoring it
                       makes Python's handler deaf, while the C level goes on to hear
`set_wakeup_fd`        the owner's descriptor stays; theirs is whom each byte is passed on to
=====================  ========================================================================

Guarantees: the C level tells the owner of each signal that comes; whoever reads back what was there
before gets what he has set himself; afterwards both functions are Python's own again.

>>> import anyio, os, signal
>>> def mine(number: int, frame: object) -> None:
...     print(signal.Signals(number).name)
>>> async def main() -> None:
...     with Lease({signal.SIGTERM: mine}, write):
...         signal.signal(signal.SIGTERM, signal.SIG_DFL)
...         signal.raise_signal(signal.SIGTERM)
>>> read, write = os.pipe()
>>> os.set_blocking(write, False)
>>> before = signal.getsignal(signal.SIGTERM)
>>> anyio.run(main)
SIGTERM
>>> os.read(read, 1) == bytes([signal.SIGTERM])
True
>>> old = signal.signal(signal.SIGTERM, before)
>>> os.close(read), os.close(write)
(None, None)
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Final, Self, final

from anyio.lowlevel import current_token

__all__ = ["Handler", "Lease"]


Handler = Callable[[int, FrameType | None], Any]

_set_handler: Final = signal.signal
_set_wakeup: Final = signal.set_wakeup_fd
_DEFAULT: Final = (signal.SIG_DFL, signal.default_int_handler)


def _deaf(number: int, frame: FrameType | None) -> None:
    """Do nothing about a signal."""


def _let_signal_have(**functions: object) -> None:
    for name, function in functions.items():
        setattr(signal, name, function)


@final
class Lease:
    """The time in which others may borrow owned signals; for the main thread, inside of its loop.

    `owned` has the owner's handler of each signal, `mine` is his wakeup descriptor.
    """

    def __init__(self, owned: Mapping[int, Handler], mine: int) -> None:
        self._owned = owned
        self._mine = mine
        # Whoever had the descriptor, or set it since: he gets every byte passed on.
        self._theirs = -1
        self._lock = threading.Lock()
        self._loop: Any = None

    def __enter__(self) -> Self:
        self._theirs = _set_wakeup(self._mine, warn_on_full_buffer=False)
        _let_signal_have(signal=self._signal, set_wakeup_fd=self._set_wakeup_fd)
        self._watch_loop()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        with self._lock:
            theirs, self._theirs = self._theirs, -1
        current = _set_wakeup(theirs)
        if current != self._mine:
            # Somebody who knows C's functions (uvloop) put his own in the place of ours since.
            _set_wakeup(current)

    def end(self) -> None:
        """Make the two functions Python's own again."""
        _let_signal_have(signal=_set_handler, set_wakeup_fd=_set_wakeup)
        if self._loop is not None:
            del self._loop.remove_signal_handler
            self._loop = None

    def pass_on(self, byte: int) -> None:
        """Let the loop hear what it would have heard, had it kept its wakeup descriptor."""
        with self._lock:
            if self._theirs >= 0:
                try:
                    os.write(self._theirs, bytes([byte]))
                except OSError:
                    pass  # full: the loop is about to wake anyway

    def _signal(self, number: Any, handler: Any, /) -> Any:
        if number in self._owned:
            if handler in _DEFAULT:
                handler = self._owned[number]
            elif handler is signal.SIG_IGN:
                handler = _deaf
        return _set_handler(number, handler)

    def _set_wakeup_fd(self, fd: int, /, *, warn_on_full_buffer: bool = True) -> int:
        if threading.current_thread() is not threading.main_thread():
            return _set_wakeup(fd)  # which says what is wrong with that
        if fd != -1 and os.get_blocking(fd):
            raise ValueError(f"the fd {fd} must be in non-blocking mode")
        with self._lock:
            before, self._theirs = self._theirs, fd
        return before

    def _watch_loop(self) -> None:
        """See to it that a loop which does not go through Python's functions gives back, too."""
        token = current_token()
        loop: Any = getattr(token, "native_token", token)
        remove = getattr(loop, "remove_signal_handler", None)
        if remove is not None:
            loop.remove_signal_handler = partial(self._removed, remove)
            self._loop = loop

    def _removed(self, remove: Callable[[int], bool], number: int) -> bool:
        removed = remove(number)
        if number in self._owned and signal.getsignal(number) in _DEFAULT:
            _set_handler(number, self._owned[number])
        return removed

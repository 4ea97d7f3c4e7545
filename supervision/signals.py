"""Turn SIGINT and SIGTERM into cancellation tokens, for the root of a process only.

The first signal cancels `stop`: the tree stops in order. The second cancels `force`: everything is
killed. When even that is not obeyed within two seconds, because a handler blocks the event
loop, the process is ended from outside of the loop.

The signal handler does next to nothing: it puts the signal's number into a queue that is made for
that. A thread takes it from there, so that a blocked loop cannot keep it waiting.

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

import faulthandler
import os
import signal
import threading
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Self, final

from actors import CancellationToken

__all__ = ["FORCED", "Signals"]

FORCED = 130
"""The exit code of a process that a second signal ended: the shell's for Ctrl-C."""

PATIENCE = 2.0
"""Seconds between the second signal and the end of the process, whatever it is doing."""

_END = 0


@final
class Signals:
    """Own SIGINT and SIGTERM while the block runs; give them back afterwards.

    Outside of the main thread, where Python cannot handle signals, nothing is caught.
    """

    def __init__(self) -> None:
        self.stop = CancellationToken()
        self.force = CancellationToken()
        # SimpleQueue.put is reentrant: the one queue that a signal handler may use.
        self._queue: SimpleQueue[int] = SimpleQueue()
        self._before: dict[signal.Signals, Any] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._thread = threading.Thread(target=self._watch, name="signals", daemon=True)
            self._thread.start()
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._queue.put(_END)
        if self._thread is not None:
            self._thread.join()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._queue.put(number)

    def _watch(self) -> None:
        number = self._queue.get()
        if number == _END:
            return
        self.stop.cancel(signal.Signals(number).name)
        number = self._queue.get()
        if number == _END:
            return
        self.force.cancel(signal.Signals(number).name)
        try:
            while self._queue.get(timeout=PATIENCE) != _END:
                pass
        except Empty:
            # The loop does not turn. Say where it hangs, and end what cannot end itself.
            faulthandler.dump_traceback(all_threads=True)
            os._exit(FORCED)

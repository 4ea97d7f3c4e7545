"""Run code that blocks, in a thread that is told to stop.

`blocking(fn)` makes a child of a plain function: it runs in a thread of its own, and is given a
`BlockingToken`, on which it can wait as on a `threading.Event`.

- Told to stop, the child waits until `fn` returns, for as long as its `shutdown` allows.
- What `fn` raises is the child's crash, with the traceback of the thread.
- A thread cannot be killed. When the child is, its thread is left alone: the child ends, and the
  event `ThreadAbandoned` (in the log: an error) names the thread, and where it is. It is a daemon
  thread, so it does not keep the process from ending. What it raises later is written to
  standard error by `threading.excepthook`.

>>> import anyio
>>> from actors import ActorSystem
>>> def poll(shutdown: BlockingToken) -> None:
...     print("polling")
...     while not shutdown.wait(timeout=30):
...         print("polling again")
...     print("done:", shutdown.reason)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await system.spawn(blocking(poll))
...         await anyio.sleep(0.01)
>>> anyio.run(main)
polling
done: shutdown
"""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CodeType
from typing import Any, Never, final

from attrs import frozen

from actors import CancellationToken, Proc
from supervision.adapters.functions import name_of
from supervision.event_types import ThreadAbandoned

__all__ = ["Blocking", "BlockingToken", "blocking"]


@final
class BlockingToken:
    """What tells a thread that it is to stop; made by `blocking`."""

    __slots__ = ("_event", "_token")

    def __init__(self, token: CancellationToken) -> None:
        self._token = token
        self._event = threading.Event()
        token.on_cancel(self._event.set)

    @property
    def cancelled(self) -> bool:
        """Tell whether the child was told to stop, or has been given up."""
        return self._event.is_set()

    @property
    def reason(self) -> object:
        """Return why, None before."""
        return self._token.reason

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until it is to stop; False when `timeout` (in seconds) passed first.

        Default: no timeout. In place of `time.sleep` it makes a loop that can be stopped.
        """
        if timeout is not None:
            timeout = min(timeout, threading.TIMEOUT_MAX)
        return self._event.wait(timeout)

    def on_cancel(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call back once when it is to stop, at once if it already is; for what can be woken.

        `call` runs in the thread of the event loop and must neither wait nor raise: closing a
        socket, say, ends the `recv` that this thread is blocked in. Returns a function that takes
        the call back.
        """
        return self._token.on_cancel(call)


def blocking(fn: Callable[[BlockingToken], None]) -> Blocking:
    """Run `fn(shutdown)` in a thread of its own, until it returns or is told to stop.

    `fn` is a plain function that blocks. It has to look at its `BlockingToken` in time, or wait on
    it. It may call `anyio.run`, but not what belongs to the event loop of the tree; to send
    messages there, give it a `system.threadsafe(ref)`. Context variables are those of the child.

    Its return is a Normal exit, or Shutdown if it was told to stop; what it raises is a crash.
    Killed, the child ends at once, and its thread is abandoned: give it a `shutdown` that is
    long enough, or `INFINITY`. The child is ready when its thread is about to start.

    Raises TypeError when `fn` is not callable, or a coroutine function.
    """
    if not callable(fn):
        raise TypeError(f"blocking wants a function of a token, not {fn!r}")
    if inspect.iscoroutinefunction(fn):
        raise TypeError(f"{name_of(fn)} is a coroutine function; use task({name_of(fn)})")
    return Blocking(fn)


@final
@frozen(repr=False)
class Blocking:
    """A factory of procs that run one function in a thread; compares by the function."""

    fn: Callable[[BlockingToken], None]

    def __call__(self) -> Proc[Never]:
        """Make the proc of one incarnation."""
        return BlockingProc(self.fn)

    def __repr__(self) -> str:
        return f"blocking({name_of(self.fn)})"


@final
class BlockingProc(Proc[Never]):
    """One function in one thread, and the wait for it."""

    def __init__(self, fn: Callable[[BlockingToken], None]) -> None:
        self._fn = fn

    async def run(self, shutdown: CancellationToken) -> None:
        """Run the function in a new thread, and wait until it has returned."""
        work = _Work(self._fn, BlockingToken(shutdown))
        thread = threading.Thread(
            target=_context_of_thread().run,
            args=(work.run,),
            name=f"blocking {self.context.path}",
            daemon=True,
        )
        thread.start()
        try:
            await work.over.wait()
        finally:
            if work.abandon():
                self._report(thread)
            else:
                work.conclude()  # also when it was killed in the same turn: no error is lost

    def _report(self, thread: threading.Thread) -> None:
        events = self.context.system.events
        if events.heard:
            events.publish(ThreadAbandoned(self.context.ref, thread.name, _stack_of(thread)))


@final
class _Work:
    """What the thread does; the thread of the loop and its own both know of it, under a lock.

    Which of two things was first decides who hears of an error: the end of the function, then the
    child raises it; or the child's own end, which abandons the thread, then the thread does. `over`
    is cancelled at the end of the function: of what both threads can use, only a token wakes
    the event loop.
    """

    def __init__(self, fn: Callable[[BlockingToken], None], token: BlockingToken) -> None:
        self._fn = fn
        self._token = token
        self._lock = threading.Lock()
        self._ended = self._abandoned = False
        self._error: BaseException | None = None
        self.over = CancellationToken()

    def run(self) -> None:
        """Call the function; runs in the thread."""
        try:
            self._fn(self._token)
        except BaseException as error:
            if not self._end(error):
                raise  # nobody else is there any more to hear of it
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> bool:
        """Note the end of the function; returns False when nobody waits for it."""
        with self._lock:
            self._ended = True
            if self._abandoned:
                return False
            self._error = error
        self.over.cancel()
        return True

    def abandon(self) -> bool:
        """Give the function up; returns False when it has ended."""
        with self._lock:
            self._abandoned = not self._ended
            return self._abandoned

    def conclude(self) -> None:
        """Raise what the function has raised."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # no cycle through the traceback


def _context_of_thread() -> Context:
    """Return a copy of the context in which no event loop is running, so that one may be run."""
    context = copy_context()
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context


def _stack_of(thread: threading.Thread) -> tuple[tuple[CodeType, int], ...]:
    """Return where a thread is: code and line of each call, the outermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # pyright: ignore[reportPrivateUsage]
    if frame is None:
        return ()
    return tuple((step.f_code, line) for step, line in traceback.walk_stack(frame))[::-1]

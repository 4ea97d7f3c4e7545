"""Offer asyncio's event loop, or uvloop's, to the engine.

A `Waiter` is an asyncio future, a timer the loop's own. What is hard here is to interrupt user
code: asyncio delivers a cancellation once, and code that swallows it would live on.

>>> import anyio
>>> from actors.backends import Interrupted
>>> async def stubborn() -> None:
...     for _ in range(2):
...         try:
...             await anyio.sleep(3600)
...         except anyio.get_cancelled_exc_class():
...             print("swallowed")
...     await anyio.sleep(3600)
>>> async def main() -> None:
...     backend = AsyncioBackend()
...     over = anyio.Event()
...     async def run(task: InterruptibleTask) -> None:
...         try:
...             await task.guard(stubborn())
...         except Interrupted:
...             print("gone")
...         over.set()
...     task = backend.start(run, "stubborn")
...     await anyio.sleep(0.001)
...     task.interrupt()
...     await over.wait()
>>> anyio.run(main)
swallowed
swallowed
gone
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast, final

import anyio

from actors.backends.base import (
    Backend,
    Block,
    Interrupted,
    InterruptibleTask,
    Main,
    TimerHandle,
    Waiter,
)

__all__ = ["AsyncioBackend"]

T = TypeVar("T")

REDELIVER_FIRST = 0.001
REDELIVER_MOST = 0.1
"""Seconds until an interruption is delivered again, at first and at most."""

MOST_DELAY = 1e6
"""So many seconds uvloop is made to wait at once; it cannot be told any number."""

QUIET_TURNS = 3
"""So many turns of the loop without anything to do are taken for idleness."""


# Re-delivered cancellation. `interrupt` must get user code out of `guard`, on both loops alike.
# On trio a cancelled scope is a level: every await in it raises until the scope is left. asyncio
# cancels once, and code that swallows the one CancelledError (`except BaseException`, a library
# that retries) would live on, and a shutdown would wait for it. So the cancellation is delivered
# again, after 1 ms and then ever more rarely up to 10 times a second, until the code has left.
# Three things must not be harmed by that:
#
# - The engine's own waits inside of the guard (a child that is being stopped: `outlast`) are
#   sheltered: what they wait for must be waited for, and it would only cost turns to wake them.
# - What comes after `guard` in the same task: whatever was delivered is taken back with
#   `uncancel`, and a cancellation that was requested but not yet thrown is drawn at a bare yield
#   and dropped.
# - Cancellations from elsewhere, a timeout of the user's own: those are not ours and pass
#   through. Only when `hit` is set does CancelledError become Interrupted.


@types.coroutine
def _bare_yield() -> Generator[None, None, None]:
    yield


@final
class _AsyncioTask(InterruptibleTask):
    """A task of asyncio's. `_delivered` counts the cancellations that are to be taken back."""

    __slots__ = ("_delivered", "_inside", "_loop", "_redelivery")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inside = False
        self.hit = self.sheltered = False
        self._delivered = 0
        self._redelivery: asyncio.TimerHandle | None = None

    async def guard(self, work: Awaitable[T]) -> T:
        self._inside = True
        self.hit = False
        try:
            return await work
        except asyncio.CancelledError:
            if self.hit:
                raise Interrupted from None
            raise
        finally:
            self._inside = False
            if self.hit:
                await self._clean_up()

    async def _clean_up(self) -> None:
        """Leave no trace of the cancellation, or the next await of this task would get it."""
        if self._redelivery is not None:
            self._redelivery.cancel()
            self._redelivery = None
        try:
            await _bare_yield()
        except asyncio.CancelledError:
            pass  # the task cancelled itself and did not await since: here is where it lands
        task = self.task
        assert isinstance(task, asyncio.Task)
        while self._delivered:
            self._delivered -= 1
            task.uncancel()

    def interrupt(self) -> None:
        if self._inside and not self.hit:
            self.hit = True
            self._deliver(REDELIVER_FIRST)

    def _deliver(self, again: float) -> None:
        task = self.task
        assert isinstance(task, asyncio.Task)
        if self._inside and not task.done():
            if not self.sheltered:
                task.cancel()
                self._delivered += 1
            # asyncio cancels once; code that swallows it would live on. So: again, ever slower.
            self._redelivery = self._loop.call_later(
                again, self._deliver, min(again * 2, REDELIVER_MOST)
            )


@final
class _CoarseTimer:
    """A timer on a loop whose own may be early by a part of a millisecond or two.

    It calls when both clocks say so, the loop's and that of the system, whose base is the same.
    """

    __slots__ = ("_call", "_handle", "_loop", "_when")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, when: float, call: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._when = when
        self._call = call
        self._arm(0.0)

    def _arm(self, least: float) -> None:
        delay = self._when - time.monotonic()
        self._handle = self._loop.call_later(min(max(delay, least), MOST_DELAY), self._fire)

    def _fire(self) -> None:
        if min(self._loop.time(), time.monotonic()) < self._when:
            self._arm(0.001)  # early; the loop cannot wait for less
        else:
            self._call()

    def cancel(self) -> None:
        self._handle.cancel()


@final
class _AsyncioBlock(Block):
    """A cancel scope of anyio's that any task may leave, and that goes when its own task ends.

    anyio has its scopes left by those who entered them. So we leave it in the name of that task, by
    asyncio's hooks for those who run tasks. One that was kept by a task that has ended would
    be cancelled over and over again.
    """

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._host: asyncio.Task[Any] | None = None
        self._open = True

    def __enter__(self) -> Self:
        self._host = asyncio.current_task()
        self._scope.__enter__()
        if self._host is not None:
            self._host.add_done_callback(self._let_go)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        host = self._host
        if not self._open or host is not asyncio.current_task():
            self._let_go()
            return False
        self._open = False
        if host is not None:
            host.remove_done_callback(self._let_go)
        return bool(self._scope.__exit__(kind, error, traceback))

    def _let_go(self, _: object = None) -> None:
        host = self._host
        if not self._open or host is None:
            return
        self._open = False
        host.remove_done_callback(self._let_go)
        loop, present = host.get_loop(), asyncio.current_task()
        if present is not None:
            asyncio.tasks._leave_task(loop, present)
        asyncio.tasks._enter_task(loop, host)
        try:
            self._scope.__exit__(None, None, None)
        except RuntimeError:
            self._scope.shield = True  # the host is in a scope inside of it, and lives on there
        finally:
            asyncio.tasks._leave_task(loop, host)
            if present is not None:
                asyncio.tasks._enter_task(loop, present)

    def cancel(self) -> None:
        if self._open:
            self._scope.cancel()
        else:
            self.missed = True


@final
class AsyncioBackend(Backend):
    """One running loop of asyncio, or of uvloop."""

    name = "asyncio"

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # What create_future of asyncio's own loops does, without going through them.
        self.new_waiter = partial(asyncio.Future, loop=self._loop)
        # uvloop counts in milliseconds, of a time that stands still within a turn.
        self._coarse = type(self._loop).__module__.partition(".")[0] == "uvloop"
        self.now = time.monotonic if self._coarse else self._loop.time
        self.current_task = asyncio.current_task

    def call_at(self, when: float, call: Callable[[], None]) -> TimerHandle:
        if self._coarse:
            return _CoarseTimer(self._loop, when, call)
        return self._loop.call_at(when, call)

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True

    def start(self, main: Main, label: str, context: Context | None = None) -> InterruptibleTask:
        task = _AsyncioTask(self._loop)
        # Not loop.create_task: a task factory (uvicorn's, eager tasks) could run the first step
        # inside this call, before the caller has put the task where the engine looks for it.
        task.task = asyncio.Task(main(task), loop=self._loop, name=label, context=context)
        return task

    async def checkpoint(self) -> None:
        await _bare_yield()

    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        task: InterruptibleTask | None = None,
    ) -> bool:
        taken_in = False
        if task is not None:
            task.sheltered = True
        try:
            with anyio.CancelScope(shield=True):
                while True:
                    waiter = self._loop.create_future()
                    if not arm(waiter):
                        break
                    try:
                        await waiter
                        break
                    except asyncio.CancelledError:
                        taken_in = True
                        on_cancel()
        finally:
            if task is not None:
                task.sheltered = False
        return taken_in

    def block(self) -> Block:
        return _AsyncioBlock()

    def cancelled_error(self) -> type[BaseException]:
        return asyncio.CancelledError

    def coroutine_of(self, task: object) -> object:
        return None if task is None else cast("asyncio.Task[object]", task).get_coro()

    async def settle(self) -> None:
        # Not anyio.wait_all_tasks_blocked: on asyncio it sleeps between two looks, so time would
        # pass, and it does not see calls that are due in this turn.
        task = asyncio.current_task()
        assert task is not None
        _settling.add(task)
        try:
            quiet = 0
            while quiet < QUIET_TURNS:
                await asyncio.sleep(0)
                quiet = quiet + 1 if _is_idle(self._loop) else 0
        finally:
            _settling.discard(task)


_settling: set[asyncio.Task[Any]] = set()


def _is_idle(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether no task but those that settle has anything to do."""
    tasks = asyncio.all_tasks(loop)
    due = getattr(loop, "_ready", ())  # uvloop keeps its own to itself
    if len(due) >= len(_settling & tasks):
        return False
    return not any(_can_run(task) for task in tasks - _settling)


def _can_run(task: asyncio.Task[Any]) -> bool:
    waits_for: asyncio.Future[Any] | None = getattr(task, "_fut_waiter", None)
    return waits_for is None or waits_for.done()

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
import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from functools import partial
from typing import TypeVar, final

import anyio

from actors.backends.base import Backend, Interrupted, InterruptibleTask, Main, TimerHandle, Waiter

__all__ = ["AsyncioBackend"]

T = TypeVar("T")

REDELIVER_FIRST = 0.001
REDELIVER_MOST = 0.1


@types.coroutine
def _bare_yield() -> Generator[None, None, None]:
    yield


@final
class _AsyncioTask(InterruptibleTask):
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
class AsyncioBackend(Backend):
    name = "asyncio"

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # What create_future of asyncio's own loops does, without going through them.
        self.new_waiter = partial(asyncio.Future, loop=self._loop)
        self.now = self._loop.time
        self.current_task = asyncio.current_task

    def call_at(self, when: float, call: Callable[[], None]) -> TimerHandle:
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

    def cancelled_error(self) -> type[BaseException]:
        return asyncio.CancelledError

"""Offer trio's event loop to the engine.

A `Waiter` parks its task with `wait_task_rescheduled`; interrupting is a cancel scope of trio's
own. trio has no timers apart from tasks that sleep, and a task for each would be dear: so one
system task serves all timers of a backend, and exists only while one of them is pending.

>>> import anyio
>>> async def main() -> list[str]:
...     backend, fired = TrioBackend(), list[str]()
...     backend.call_at(backend.now() + 0.02, lambda: fired.append("second"))
...     backend.call_at(backend.now() + 0.01, lambda: fired.append("first"))
...     backend.call_at(backend.now() + 0.03, lambda: fired.append("never")).cancel()
...     await anyio.sleep(0.04)
...     return fired
>>> anyio.run(main, backend="trio")
['first', 'second']
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, final

from actors.backends.base import (
    Backend,
    Block,
    Interrupted,
    InterruptibleTask,
    Main,
    TimerHandle,
    Waiter,
)

if TYPE_CHECKING:
    import outcome
    import trio

__all__ = ["TrioBackend"]

T = TypeVar("T")


@final
class _TrioWaiter:
    """The place where one task waits. `_outcome` is an exception when the wait was given up."""

    __slots__ = ("_outcome", "_task", "_trio")

    def __init__(self, library: Any) -> None:
        self._trio = library
        self._task: trio.lowlevel.Task | None = None
        self._outcome: outcome.Outcome[Any] | BaseException | None = None

    def done(self) -> bool:
        return self._outcome is not None

    def set_result(self, result: object, /) -> None:
        self._wake(sys.modules["outcome"].Value(result))

    def set_exception(self, exception: BaseException, /) -> None:
        self._wake(sys.modules["outcome"].Error(exception))

    def _wake(self, result: outcome.Outcome[Any]) -> None:
        if self._outcome is not None:
            raise RuntimeError("this waiter was woken already")
        self._outcome = result
        if self._task is not None:
            self._trio.lowlevel.reschedule(self._task, result)

    def _give_up(self, _: object) -> object:
        self._outcome = InterruptedError()
        return self._trio.lowlevel.Abort.SUCCEEDED

    def __await__(self) -> Generator[Any, None, Any]:
        if self._outcome is None:
            lowlevel = self._trio.lowlevel
            self._task = lowlevel.current_task()
            parked: Any = lowlevel.wait_task_rescheduled(self._give_up)
            return (yield from _steps_of(parked))
        if isinstance(self._outcome, BaseException):
            raise RuntimeError("this waiter was given up already")
        return self._outcome.unwrap()


def _steps_of(awaitable: Awaitable[Any]) -> Generator[Any, None, Any]:
    return awaitable.__await__()


@final
class _TrioTask(InterruptibleTask):
    """A system task of trio's; its scope is there while it is in `guard`."""

    __slots__ = ("_scope", "_trio")

    def __init__(self, library: Any) -> None:
        self._trio = library
        self._scope: trio.CancelScope | None = None
        self.hit = self.sheltered = False

    async def guard(self, work: Awaitable[T]) -> T:
        self.hit = False
        try:
            with self._trio.CancelScope() as self._scope:
                return await work
        finally:
            self._scope = None
        raise Interrupted

    def interrupt(self) -> None:
        if self._scope is not None:
            self.hit = True
            self._scope.cancel()


@final
class _TrioCall:
    """A heap entry; cancelled entries stay until they are due or outnumber the live ones."""

    __slots__ = ("call", "number", "timers", "when")

    def __init__(
        self, when: float, number: int, call: Callable[[], None], timers: _TrioTimers
    ) -> None:
        self.when, self.number, self.timers = when, number, timers
        self.call: Callable[[], None] | None = call

    def __lt__(self, other: _TrioCall) -> bool:
        return (self.when, self.number) < (other.when, other.number)

    def cancel(self) -> None:
        if self.call is not None:
            self.call = None
            self.timers.forget()


@final
class _TrioTimers:
    """One task for all timers of a backend; it exists only while a timer is pending."""

    __slots__ = ("_cancelled", "_heap", "_number", "_running", "_scope", "_trio")

    def __init__(self, library: Any) -> None:
        self._trio = library
        self._heap: list[_TrioCall] = []
        self._number = self._cancelled = 0
        self._scope: trio.CancelScope | None = None
        self._running = False

    def add(self, when: float, call: Callable[[], None]) -> _TrioCall:
        self._number += 1
        entry = _TrioCall(when, self._number, call, self)
        heappush(self._heap, entry)
        if not self._running:
            self._running = True
            self._trio.lowlevel.spawn_system_task(self._run, name="actors timers")
        elif self._scope is not None and when < self._scope.deadline:
            self._scope.deadline = when
        return entry

    def forget(self) -> None:
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry.call is not None]
            heapify(self._heap)
            self._cancelled = 0
        if not self._heap and self._scope is not None:
            self._scope.deadline = -float("inf")

    async def _run(self) -> None:
        while self._heap:
            with self._trio.CancelScope(deadline=self._heap[0].when) as self._scope:
                await self._trio.sleep_forever()
            self._scope = None
            now, last = self._trio.current_time(), self._number
            # Cancelled ones at the head go, too: nobody is to be woken up, or kept, for them.
            while self._heap and (self._heap[0].when <= now or self._heap[0].call is None):
                if self._heap[0].number > last:
                    break  # made by one of these calls: others have their turn first
                call = heappop(self._heap).call
                if call is None:
                    self._cancelled -= 1
                else:
                    call()
        self._running = False


@final
class _TrioBlock(Block):
    """A cancel scope of trio's; it belongs to the task that entered it."""

    def __init__(self, library: Any) -> None:
        self._trio = library
        self._scope: trio.CancelScope = library.CancelScope()
        self._host: object = None

    def __enter__(self) -> Self:
        self._host = self._trio.lowlevel.current_task()
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._trio.lowlevel.current_task() is not self._host:
            raise RuntimeError(
                "entered in one task and left in another: trio's blocks belong to their tasks; "
                "keep a task that enters it, waits, and leaves it"
            )
        return bool(self._scope.__exit__(kind, error, traceback))

    def cancel(self) -> None:
        self._scope.cancel()


@final
class TrioBackend(Backend):
    """One run of trio."""

    name = "trio"

    def __init__(self) -> None:
        import trio

        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._timers = _TrioTimers(trio)
        self.new_waiter = self._make_waiter
        self.now = trio.current_time
        self.current_task = trio.lowlevel.current_task

    def _make_waiter(self) -> _TrioWaiter:
        return _TrioWaiter(self._trio)

    def call_at(self, when: float, call: Callable[[], None]) -> TimerHandle:
        return self._timers.add(when, call)

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        try:
            self._token.run_sync_soon(call)
        except self._trio.RunFinishedError:
            return False
        return True

    def start(self, main: Main, label: str, context: Context | None = None) -> InterruptibleTask:
        task = _TrioTask(self._trio)
        # A system task: the cancellation of whoever happens to spawn must not reach it. Its
        # context is the spawner's, as for any other task. trio closes such tasks only when the
        # main task has ended, and by then an actor system has been left.
        task.task = self._trio.lowlevel.spawn_system_task(
            main, task, name=label, context=copy_context() if context is None else context
        )
        return task

    async def checkpoint(self) -> None:
        await self._trio.lowlevel.checkpoint()

    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        task: InterruptibleTask | None = None,
    ) -> bool:
        with self._trio.CancelScope(shield=True):
            waiter = _TrioWaiter(self._trio)
            if arm(waiter):
                await waiter
        return False

    def block(self) -> Block:
        return _TrioBlock(self._trio)

    def cancelled_error(self) -> type[BaseException]:
        return self._trio.Cancelled

    def coroutine_of(self, task: object) -> object:
        return task.coro if isinstance(task, self._trio.lowlevel.Task) else None

    async def settle(self) -> None:
        # Imported only now, and not by `import trio`: users without trio have no such module.
        from trio.testing import wait_all_tasks_blocked

        # The virtual clock waits for idleness too; this wait comes first.
        await wait_all_tasks_blocked()

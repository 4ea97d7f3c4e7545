"""Hide everything that differs between asyncio and trio.

This is the one module that asks which event loop runs. It offers what the engine needs and no
more: start a task, interrupt the user code inside it, park and unpark one task, a cheap
one-shot timer, a call from another thread, a bare yield.

Why native: parking on `anyio.Event` and a cancel scope for each wait cost more than the
message that is waited for. A `Waiter` is an asyncio future, or the same four methods on trio's
`wait_task_rescheduled`. Everything is called from the loop's own thread, except
`call_soon_threadsafe`.

>>> import anyio
>>> async def main() -> str:
...     backend = current_backend()
...     waiter: Waiter[str] = backend.new_waiter()
...     backend.call_at(backend.now() + 0.001, lambda: waiter.set_result("woken"))
...     return await waiter
>>> anyio.run(main, backend="asyncio"), anyio.run(main, backend="trio")
('woken', 'woken')
"""

from __future__ import annotations

import asyncio
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, final

import anyio

if TYPE_CHECKING:
    import outcome
    import trio

__all__ = ["Backend", "Cage", "Clocked", "Interrupted", "Waiter", "Wakeable", "current_backend"]

T = TypeVar("T")
TContra = TypeVar("TContra", contravariant=True)

REDELIVER_FIRST = 0.001
REDELIVER_MOST = 0.1


class Interrupted(BaseException):
    """Leave `Cage.guard`: the code in it was interrupted by the engine, not by itself."""


class Wakeable(Protocol):
    """Be woken once by somebody who asks first whether that is still wanted."""

    def done(self) -> bool:
        """Tell whether it was woken or given up."""
        ...

    def set_result(self, result: None, /) -> None:
        """Be woken."""
        ...


class Waiter(Protocol[T]):
    """Park one task until it is woken once; the part of `asyncio.Future` that is needed.

    `done` is also true when the waiting task was cancelled, so whoever wakes asks it first.
    """

    def done(self) -> bool:
        """Tell whether it was woken or given up."""
        ...

    def set_result(self, result: T, /) -> None:
        """Wake the task with a value."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """Wake the task with an error, raised where it waits."""
        ...

    def __await__(self) -> Generator[Any, None, T]:
        """Wait; cancellation gives the waiter up."""
        ...


class Clocked(Protocol):
    """Stand for a call that is due later; `cancel` may come at any time and repeatedly."""

    def cancel(self) -> None:
        """Take the call back, if it was not made yet."""
        ...


class Cage(ABC):
    """Hold the task of one incarnation, so that user code in it can be interrupted.

    `hit` tells whether `interrupt` was called since the last `guard` began.
    """

    __slots__ = ("hit", "sheltered", "task")

    task: object
    hit: bool
    sheltered: bool

    @abstractmethod
    async def guard(self, work: Awaitable[T]) -> T:
        """Run user code; raises Interrupted when `interrupt` ended it."""

    @abstractmethod
    def interrupt(self) -> None:
        """Cancel what runs in `guard` until it has left; nothing when nothing runs there.

        Cancellation is level-triggered on both backends: code that swallows it is cancelled
        again at its next await.
        """


Main: TypeAlias = Callable[[Cage], Coroutine[Any, Any, None]]
"""The whole of a task, given its cage."""


class Backend(ABC):
    """Offer one running event loop to the engine."""

    name: str
    new_waiter: Callable[[], Waiter[Any]]
    now: Callable[[], float]
    current_task: Callable[[], object]

    @abstractmethod
    def call_at(self, when: float, call: Callable[[], None]) -> Clocked:
        """Call once at loop time `when` (seconds); never early."""

    @abstractmethod
    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        """Call in the loop's thread; safe from other threads and from signal handlers.

        Returns False, and calls nothing, when the loop has already closed.
        """

    @abstractmethod
    def start(self, main: Main, label: str, context: Context | None = None) -> Cage:
        """Start a task that no cancellation from outside reaches; `main` must not raise.

        It runs in `context`; default: a copy of the caller's.
        """

    @abstractmethod
    async def checkpoint(self) -> None:
        """Give way to the other ready tasks; on trio, whose order is shuffled, to some of them."""

    @abstractmethod
    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        cage: Cage | None = None,
    ) -> bool:
        """Wait for something that must be waited for, whatever cancellation comes.

        `arm` registers a waiter and returns False when there is nothing left to wait for.
        `on_cancel` is called for each cancellation that arrived meanwhile (asyncio only: on trio
        cancellation is a level and stays pending by itself). Returns whether one was taken
        in, which the caller then owes to its own caller. Inside the guard of `cage`, its
        interruption is not delivered again meanwhile.
        """

    def cancelled_error(self) -> type[BaseException]:
        """Return the exception class that stands for cancellation on this loop."""
        return anyio.get_cancelled_exc_class()


@types.coroutine
def _bare_yield() -> Generator[None, None, None]:
    yield


@final
class _AsyncioCage(Cage):
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
class _AsyncioBackend(Backend):
    name = "asyncio"

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # What create_future of asyncio's own loops does, without going through them.
        self.new_waiter = partial(asyncio.Future, loop=self._loop)
        self.now = self._loop.time
        self.current_task = asyncio.current_task

    def call_at(self, when: float, call: Callable[[], None]) -> Clocked:
        return self._loop.call_at(when, call)

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True

    def start(self, main: Main, label: str, context: Context | None = None) -> Cage:
        cage = _AsyncioCage(self._loop)
        # Not loop.create_task: a task factory (uvicorn's, eager tasks) could run the first step
        # inside this call, before the caller has put the cage where the engine looks for it.
        cage.task = asyncio.Task(main(cage), loop=self._loop, name=label, context=context)
        return cage

    async def checkpoint(self) -> None:
        await _bare_yield()

    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        cage: Cage | None = None,
    ) -> bool:
        taken_in = False
        if cage is not None:
            cage.sheltered = True
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
            if cage is not None:
                cage.sheltered = False
        return taken_in


@final
class _TrioWaiter:
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
class _TrioCage(Cage):
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
            now = self._trio.current_time()
            # Cancelled ones at the head go, too: nobody is to be woken up, or kept, for them.
            while self._heap and (self._heap[0].when <= now or self._heap[0].call is None):
                call = heappop(self._heap).call
                if call is None:
                    self._cancelled -= 1
                else:
                    call()
        self._running = False


@final
class _TrioBackend(Backend):
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

    def call_at(self, when: float, call: Callable[[], None]) -> Clocked:
        return self._timers.add(when, call)

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        try:
            self._token.run_sync_soon(call)
        except self._trio.RunFinishedError:
            return False
        return True

    def start(self, main: Main, label: str, context: Context | None = None) -> Cage:
        cage = _TrioCage(self._trio)
        # A system task: the cancellation of whoever happens to spawn must not reach it. Its
        # context is the spawner's, as for any other task.
        cage.task = self._trio.lowlevel.spawn_system_task(
            main, cage, name=label, context=context or copy_context()
        )
        return cage

    async def checkpoint(self) -> None:
        await self._trio.lowlevel.checkpoint()

    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        cage: Cage | None = None,
    ) -> bool:
        with self._trio.CancelScope(shield=True):
            waiter = _TrioWaiter(self._trio)
            if arm(waiter):
                await waiter
        return False


def current_backend() -> Backend:
    """Return the backend of the event loop that runs here.

    Raises RuntimeError when called outside of an event loop.
    """
    trio = sys.modules.get("trio")
    # Asked first, because trio in guest mode runs inside an asyncio loop. An old trio that somebody
    # else has imported, and that could not serve here, must not break asyncio programs.
    in_trio_run = None if trio is None else getattr(trio.lowlevel, "in_trio_run", None)
    if in_trio_run is not None and in_trio_run():
        return _TrioBackend()
    return _AsyncioBackend()

"""Say what the engine needs of an event loop, and no more.

Start a task, interrupt the user code inside it, park and unpark one task, a cheap one-shot timer, a
call from another thread, a bare yield. asyncio and trio each give it in a file of their own.

Why native: parking on `anyio.Event` and a cancel scope for each wait cost more than the
message that is waited for. A `Waiter` is an asyncio future, or the same four methods on trio's
`wait_task_rescheduled`. Everything is called from the loop's own thread, except
`call_soon_threadsafe`.

>>> import anyio
>>> from actors.backends import current_backend
>>> async def main() -> str:
...     backend: Backend = current_backend()
...     waiter: Waiter[str] = backend.new_waiter()
...     backend.call_at(backend.now() + 0.001, lambda: waiter.set_result("woken"))
...     return await waiter
>>> anyio.run(main, backend="asyncio"), anyio.run(main, backend="trio")
('woken', 'woken')
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

__all__ = [
    "Backend",
    "Block",
    "Interrupted",
    "InterruptibleTask",
    "Main",
    "TimerHandle",
    "Waiter",
    "Wakeable",
]

T = TypeVar("T")
TContra = TypeVar("TContra", contravariant=True)


class Interrupted(BaseException):
    """What `InterruptibleTask.guard` raises when the engine interrupted the code in it."""


class Wakeable(Protocol):
    """Somebody to be woken once, by one who asks first whether that is still wanted."""

    def done(self) -> bool:
        """Return whether it was woken or given up."""
        ...

    def set_result(self, result: None, /) -> None:
        """Wake it."""
        ...


class Waiter(Protocol[T]):
    """The place where one task waits to be woken once; what is needed of `asyncio.Future`.

    `done` is also true when the waiting task was cancelled, so whoever wakes asks it first.
    """

    def done(self) -> bool:
        """Return whether it was woken or given up."""
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


class TimerHandle(Protocol):
    """A call that is due later; `cancel` may come at any time and repeatedly."""

    def cancel(self) -> None:
        """Take the call back, if it was not made yet."""
        ...


class InterruptibleTask(ABC):
    """The task of one incarnation, whose user code can be interrupted.

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


class Block(ABC):
    """The block of a `with` statement, which can be cancelled from outside, as by a cancel scope.

    `missed`: it was to be cancelled, but there was no block any more: the task that entered it
    had ended, or gone on without it.
    """

    NOTE = (
        "it could not cancel the block that it was served in: the task that entered that has ended "
        "(as those of fixtures and of start hooks do)"
    )

    missed = False

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...

    @abstractmethod
    def cancel(self) -> None:
        """Cancel what runs in it; also before it is entered."""

    def annotate(self, error: BaseException) -> None:
        """Say on an error that the block did not hear of it, if that is so."""
        if self.missed:
            error.add_note(self.NOTE)


Main: TypeAlias = Callable[[InterruptibleTask], Coroutine[Any, Any, None]]
"""The whole of a task, given its task."""


class Backend(ABC):
    """One running event loop, as the engine uses it."""

    name: str
    new_waiter: Callable[[], Waiter[Any]]
    now: Callable[[], float]
    current_task: Callable[[], object]

    @abstractmethod
    def call_at(self, when: float, call: Callable[[], None]) -> TimerHandle:
        """Call once at loop time `when` (seconds); never early."""

    @abstractmethod
    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        """Call in the loop's thread; safe from other threads and from signal handlers.

        Returns False, and calls nothing, when the loop has already closed.
        """

    @abstractmethod
    def start(self, main: Main, label: str, context: Context | None = None) -> InterruptibleTask:
        """Start a task that no cancellation from outside reaches; `main` must not raise.

        It runs in `context`; default: a copy of the caller's.
        """

    @abstractmethod
    def block(self) -> Block:
        """Make a block; on asyncio it may be entered in one task and left in another."""

    def is_current(self, task: object) -> bool:
        """Return whether `task` runs now; False outside of the loop, where none does."""
        try:
            return self.current_task() is task
        except RuntimeError:
            return False

    @abstractmethod
    def checkpoint(self) -> Coroutine[Any, Any, None]:
        """Give way to the other ready tasks; on trio, whose order is shuffled, to some of them."""

    @abstractmethod
    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        task: InterruptibleTask | None = None,
    ) -> bool:
        """Wait for something that must be waited for, whatever cancellation comes.

        `arm` registers a waiter and returns False when there is nothing left to wait for.
        `on_cancel` is called for each cancellation that arrived meanwhile (asyncio only: on trio
        cancellation is a level and stays pending by itself). Returns whether one was taken
        in, which the caller then owes to its own caller. Inside the guard of `task`, its
        interruption is not delivered again meanwhile.
        """

    @abstractmethod
    def coroutine_of(self, task: object) -> object:
        """Return the coroutine that a task runs."""

    @abstractmethod
    async def settle(self) -> None:
        """Let every other task run until all of them wait: for time, for I/O, or for this one."""

    @abstractmethod
    def cancelled_error(self) -> type[BaseException]:
        """Return the exception class that stands for cancellation on this loop."""

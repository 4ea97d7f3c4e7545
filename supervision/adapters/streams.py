"""Make a child of a function that is called with each item of a source.

The source is anything for `async for`: a stream, an async generator, a client of a broker, maybe
within an async context manager. Each incarnation opens it anew and closes it at its end.

Guarantees: no item is taken that is not handled, but those in hand at a crash or a kill; told to
stop, the items in hand are finished first; an error in opening is a failed start.

>>> import anyio
>>> from supervision import ChildSpec, SupervisorSpec, serve
>>> send, receive = anyio.create_memory_object_stream[str](10)
>>> orders = ChildSpec("orders", consumer(lambda: receive, print), restart="transient")
>>> async def main() -> None:
...     async with serve(SupervisorSpec("shop", [orders])) as app:
...         with send:
...             await send.send("two pencils")
...         print(await app.find("orders").wait())
>>> anyio.run(main)
two pencils
normal
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Generic, Never, TypeAlias, TypeVar, cast, final

import anyio
import anyio.lowlevel
from attrs import frozen

from actors import CancellationToken, Proc
from supervision.adapters.functions import call, check_takes, name_of, only_error
from supervision.adapters.hosted import Hosted
from supervision.errors import SpecError

__all__ = ["Consumer", "consumer"]


T = TypeVar("T")

Opened: TypeAlias = AsyncIterable[T] | AbstractAsyncContextManager[AsyncIterable[T]]
"""What a source gives: something to iterate over, or a context manager that gives that."""


def consumer(
    source: Callable[[], Opened[T] | Awaitable[Opened[T]]],
    handler: Callable[[T], object],
    *,
    concurrency: int = 1,
) -> Consumer[T]:
    """Call `handler` with each item of a source, until that is exhausted or told to stop.

    - `source`: a factory, called anew for every incarnation, `def` or `async def`. It gives an
      async iterable (an anyio stream, an async generator, a client of a broker) or an async
      context manager that gives one. It is closed in the end, so it has to be a new one each
      time: `receive.clone` for a memory stream, say.
    - `handler`: `def` or `async def`, called with one item. A plain function must not block.
    - `concurrency`: how many items may be in hand at once, default 1: one after the other.

    The child is ready when the source is open; an error in opening it is a failed start. The source
    is closed at each end of the incarnation: `__aexit__` where there is one, else `aclose`. After a
    kill the closing is cancelled at its first wait, as any code in a cancelled task is.

    Told to stop, the child takes no further item, finishes those in hand, closes, and exits with
    Shutdown. The wait for the next item is cancelled then, which ends an async generator where it
    is: with several items in hand, what they need until they are done (a connection to acknowledge
    on) belongs into a context manager, which is left last. An exhausted source is a Normal exit.

    An error in the source or in `handler` is a crash; with several items in hand the others are
    cancelled then. The item in hand at a crash is not handed out again, unless the source does
    that. Each item that was handled is a sign of life (`context.beat`); a quiet source gives none.

    Raises TypeError when `source` or `handler` cannot be called so, SpecError when `concurrency`
    is not an int >= 1.
    """
    for what, given, arguments in (("source", source, ()), ("handler", handler, ("item",))):
        if not callable(given):
            raise TypeError(f"consumer: {what} is a function, not {given!r}")
        check_takes(f"consumer: {what}", given, *arguments)
    if type(concurrency) is not int or concurrency < 1:
        raise SpecError("consumer", "concurrency", f"{concurrency!r} is not an int >= 1")
    return Consumer(source, handler, concurrency)


@final
@frozen(repr=False)
class Consumer(Generic[T]):
    """A factory of procs that take the items of a source; compares by its options."""

    source: Callable[[], Opened[T] | Awaitable[Opened[T]]]
    handler: Callable[[T], object]
    concurrency: int

    def __call__(self) -> Proc[Never]:
        """Make the proc of one incarnation."""
        return ConsumerProc(self)

    def __repr__(self) -> str:
        several = f", concurrency={self.concurrency}" if self.concurrency > 1 else ""
        return f"consumer({name_of(self.source)}, {name_of(self.handler)}{several})"


@final
class _Over:
    """What stands where an item would stand, when there is none."""


@final
class ConsumerProc(Hosted, Generic[T]):
    """The taker of the items of one source, opened for one incarnation."""

    def __init__(self, service: Consumer[T]) -> None:
        super().__init__()
        self._service = service
        self._in_hand = 0
        self._room = anyio.Event()

    async def live(self, shutdown: CancellationToken) -> None:
        """Open the source, take its items, close it."""
        async with AsyncExitStack() as stack:
            items = await _open(self._service.source, stack)
            self.ready()
            if self._service.concurrency == 1:
                while not isinstance(item := await _next(items, shutdown), _Over):
                    await self._handle(item)
            else:
                await self._take_several(items, shutdown)

    async def _take_several(self, items: AsyncIterator[T], shutdown: CancellationToken) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                while await self._has_room(shutdown):
                    item = await _next(items, shutdown)
                    if isinstance(item, _Over):
                        break
                    self._in_hand += 1
                    tasks.start_soon(self._handle, item)
            return
        except BaseExceptionGroup as group:
            error = only_error(group)
        # Raised out here: it keeps its own cause and context.
        raise error

    async def _has_room(self, shutdown: CancellationToken) -> bool:
        """Wait until one more may be taken in hand; False when told to stop."""
        while self._in_hand >= self._service.concurrency and not shutdown.cancelled:
            self._room = anyio.Event()
            async with shutdown.scope():
                await self._room.wait()
        return not shutdown.cancelled

    async def _handle(self, item: T) -> None:
        await call(self._service.handler, item)
        self.context.beat()
        self._in_hand -= 1
        self._room.set()


async def _open(
    source: Callable[[], Opened[T] | Awaitable[Opened[T]]], stack: AsyncExitStack
) -> AsyncIterator[T]:
    """Open a source, and have the stack close all that has come of it."""
    opened: Any = source()
    # What can be entered or iterated over, too (clients like to be all in one), is not awaited.
    if inspect.isawaitable(opened) and not _is_open(opened):
        opened = await opened
    managed = hasattr(opened, "__aenter__")
    if managed:
        opened = await stack.enter_async_context(
            cast("AbstractAsyncContextManager[AsyncIterable[T]]", opened)
        )
    else:
        _close_with(stack, opened)
    if not hasattr(opened, "__aiter__"):
        raise TypeError(f"a source gives something for `async for`, but this gave {opened!r}")
    iterable = cast("AsyncIterable[T]", opened)
    iterator = aiter(iterable)
    # What a context manager gives is its own to close; but for a generator nobody else cares.
    if iterator is not iterable or (managed and inspect.isasyncgen(iterator)):
        _close_with(stack, iterator)
    return iterator


def _is_open(opened: object) -> bool:
    return hasattr(opened, "__aenter__") or hasattr(opened, "__aiter__")


def _close_with(stack: AsyncExitStack, opened: object) -> None:
    close = getattr(opened, "aclose", None)
    if close is not None:
        stack.push_async_callback(close)


async def _next(items: AsyncIterator[T], shutdown: CancellationToken) -> T | _Over:
    """Take one item; what has come when it is told to stop is taken in hand still."""
    item: T | _Over = _Over()
    async with shutdown.scope():
        # A source that never waits must not hold up the rest of the loop.
        await anyio.lowlevel.checkpoint()
        try:
            item = await anext(items)
        except StopAsyncIteration:
            pass
    return item

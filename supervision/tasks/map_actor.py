"""The actor behind a map: it reads the source, has the calls made and hands the results out.

Three things go on at the same time: the source is read (`_read`), each call is followed to its end
(`_follow`), and the consumer is answered (`next`). A semaphore holds them together: a place in it
is taken before an item is read, and given back when its result is handed out. So the source is
never read further than the consumer's appetite and the limit allow.

Guarantees: a result is handed out once; the source is closed in the task that read it, after the
last call is gone; a kill ends all three at once, and closes the source all the same.

>>> async def numbers() -> AsyncIterator[int]:
...     yield 1
...     yield 2
>>> async def main() -> None:
...     reader = ItemReader(numbers())
...     print(await reader.take(), await reader.take(), await reader.take() is END)
>>> anyio.run(main)
1 2 True
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar, final

import anyio
from attrs import frozen

from actors import Actor, CancellationToken, Ref, Reply, Request, on
from supervision.errors import TooManyChildren
from supervision.specs import ShutdownPolicy
from supervision.supervisors import SupervisorMessage
from supervision.tasks.outcomes import Failed, Outcome, ResultBuffer, Succeeded
from supervision.tasks.task import AwaitedTask, OwnedProc, new_id

__all__ = [
    "END",
    "Answer",
    "ClosableSource",
    "Exhausted",
    "ItemReader",
    "MapActor",
    "MapOptions",
    "NextResult",
    "Source",
    "SourceFailed",
]


A = TypeVar("A")
T = TypeVar("T")

Source: TypeAlias = Iterable[A] | AsyncIterable[A]
"""Where the items come from: anything that `for` or `async for` goes through."""


@final
@frozen
class MapOptions(Generic[A, T]):
    """What one call of `Tasks.map` was given; what each option means is said there."""

    supervisor: Ref[SupervisorMessage]
    function: Callable[[A], Awaitable[T]]
    name: str
    source: Source[A]
    limit: int
    ordered: bool
    outcomes: bool
    shutdown: float | ShutdownPolicy


# -- what the consumer asks, and gets --------------------------------------------------------------


@final
@frozen
class SourceFailed:
    """What follows the results when the source raised."""

    error: Exception


@final
@frozen
class Exhausted:
    """What follows the results when there is nothing more."""


@final
@frozen
class NextResult(Request["Answer"]):
    """The consumer's question for the next result."""


Answer: TypeAlias = Outcome[Any, Any] | SourceFailed | Exhausted
"""What the consumer gets."""


# -- the source ------------------------------------------------------------------------------------


class ClosableSource(ABC):
    """A source that ends with whoever reads it, as a generator does: another map."""

    __slots__ = ()

    @abstractmethod
    async def aclose(self) -> None:
        """End it, and wait until all of it is gone."""


END: Final = object()
"""What a source gives when it has nothing more."""


@final
class ItemReader:
    """A source of either kind, from which items are taken one at a time."""

    def __init__(self, source: Source[Any]) -> None:
        self._source = source
        self._iterator: AsyncIterator[Any] | Iterator[Any] | None = None

    async def take(self) -> Any:
        """Return the next item, `END` when there is none."""
        if self._iterator is None:
            if isinstance(self._source, AsyncIterable):
                self._iterator = aiter(self._source)
            else:
                self._iterator = iter(self._source)
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator, END)
        return next(self._iterator, END)

    async def close(self, seconds: float | None) -> None:
        """Close a generator, or another map; what else there may be belongs to somebody else."""
        found = self._source if self._iterator is None else self._iterator
        if isinstance(found, Generator):
            found.close()
        elif isinstance(found, AsyncGenerator | ClosableSource):
            with anyio.move_on_after(seconds, shield=True):
                await found.aclose()


@final
class MapActor(Actor[NextResult]):
    """The child that reads the source of a map and has its calls made.

    Told to stop, it cancels the calls, all at once, and when the last is gone it closes the source.
    """

    def __init__(
        self, options: MapOptions[Any, Any], owned: OwnedProc, dropped: CancellationToken
    ) -> None:
        self._options = options
        self._owned = owned
        self._dropped = dropped
        self._results = ResultBuffer(options.ordered)
        self._waiting: deque[Reply[Answer]] = deque()
        # What follows the results, as soon as that is known.
        self._last: SourceFailed | Exhausted | None = None
        self._stopping = False

    async def on_start(self) -> None:
        """Do not start what nobody waits for any more."""
        self._owned.begin(self.context.ref)

    async def run(self, shutdown: CancellationToken) -> None:
        """Answer the consumer, while the source is read and the calls are made."""
        self._room = anyio.Semaphore(self._options.limit)
        self._call_ended = anyio.Event()
        self._calls_gone = anyio.Event()
        self._reading = anyio.CancelScope()
        async with anyio.create_task_group() as reading:
            reading.start_soon(self._read)
            try:
                async with anyio.create_task_group() as calls:
                    calls.start_soon(self._watch_consumer)
                    self._calls = calls
                    await super().run(shutdown)
                    self._stopping = True
                    calls.cancel_scope.cancel()
            finally:
                self._stopping = True
                self._calls_gone.set()
                self._reading.cancel()

    async def _watch_consumer(self) -> None:
        await self._dropped.wait()
        self.context.stop()

    # -- reading ----------------------------------------------------------------------------------

    async def _read(self) -> None:
        items = ItemReader(self._options.source)
        try:
            with self._reading:
                await self._read_all(items)
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self._calls_gone.wait()
            finally:  # on asyncio, a kill breaks through the shield
                await items.close(self._owned.shutdown_timeout)

    async def _read_all(self, items: ItemReader) -> None:
        try:
            await self._take_all(items)
            self._last = self._last or Exhausted()
        except Exception as error:
            self._last = SourceFailed(error)
        self._deliver()

    async def _take_all(self, items: ItemReader) -> None:
        while True:
            await self._room.acquire()
            if self._last is not None:
                return  # a call has failed, and the map with it
            item = await items.take()
            if item is END:
                return
            place = self._results.begin()
            task: AwaitedTask[Any] = AwaitedTask(
                partial(self._options.function, item), self._options.shutdown
            )
            try:
                await self._start(task)
            except BaseException:
                self._results.withdraw()
                raise
            if self._stopping:
                await task.owned.give_up()
                return
            self._calls.start_soon(self._follow, place, item, task)

    async def _start(self, task: AwaitedTask[Any]) -> None:
        """Start a call; when there is no place for it, wait until one of the others has ended."""
        while True:
            self._call_ended = anyio.Event()
            try:
                return await task.start(self._options.supervisor, new_id(self._options.name))
            except TooManyChildren:
                if self._results.running == 1:
                    raise
            await self._call_ended.wait()

    async def _follow(self, place: int, item: object, task: AwaitedTask[Any]) -> None:
        try:
            self._results.settle(place, Succeeded(item, await task.result()))
        except Exception as error:
            self._results.settle(place, Failed(item, error))
            if not self._options.outcomes:
                self._last = self._last or Exhausted()
        self._call_ended.set()
        self._deliver()

    # -- answering --------------------------------------------------------------------------------

    @on(NextResult)
    def next(self, message: NextResult, reply: Reply[Answer]) -> None:
        """Answer as soon as there is something."""
        self._waiting.append(reply)
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting:
            outcome = self._results.pop()
            if outcome is not None:
                self._room.release()
                self._waiting.popleft().send(outcome)
            elif self._last is not None and self._results.none_left:
                self._waiting.popleft().send(self._last)
            else:
                return

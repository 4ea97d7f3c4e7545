"""The actor behind a map: it reads the source, has the calls made and hands the results out.

Three things go on at the same time: the source is read (`_read`), calls are made, by children that
take item after item and are followed to their end (`_follow`), and the consumer is answered
(`next`). A count of places holds them together: one is taken before an item is read, and given
back when its result is handed out. So the source is never read further than the consumer's
appetite and the limit allow.

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
from actors.brokering import takes_shortcuts
from supervision.errors import TooManyChildren
from supervision.specs import ShutdownPolicy
from supervision.supervisors import SupervisorMessage
from supervision.tasks.map_calls import Caller, CallerProc
from supervision.tasks.outcomes import Failed, Outcome, ResultBuffer
from supervision.tasks.task import OwnedProc, new_id

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
        self._room = options.limit
        self._news: anyio.Event | None = None
        self._idle: deque[Caller] = deque()
        self._callers = 0

    async def on_start(self) -> None:
        """Do not start what nobody waits for any more."""
        self._owned.begin(self.context.ref)
        if takes_shortcuts(self.context.ref):
            self._owned.look = self.pop

    async def run(self, shutdown: CancellationToken) -> None:
        """Answer the consumer, while the source is read and the calls are made."""
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
                self._owned.look = None
                self._idle.clear()
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
            while not self._room:
                await self._hear_news()
            self._room -= 1
            if self._last is not None:
                return  # a call has failed, and the map with it
            item = await items.take()
            if item is END:
                return
            place = self._results.begin()
            try:
                await self._give_out(place, item)
            except BaseException:
                self._results.withdraw()
                raise
            if self._stopping:
                return

    async def _give_out(self, place: int, item: object) -> None:
        """Have a call made by a child that is idle, or a new one; wait for it if there must be."""
        while True:
            while self._idle:
                caller = self._idle.popleft()
                if caller.idle:
                    caller.take(place, item)
                    return
            caller = Caller(self, self._options.function, self._options.shutdown)
            caller.take(place, item)
            make = partial(CallerProc, caller, self.context.ref)
            try:
                await caller.owned.start(self._options.supervisor, new_id(self._options.name), make)
            except TooManyChildren:
                if not self._callers:
                    raise
            else:
                if self._stopping:
                    await caller.owned.give_up()
                    return
                self._callers += 1
                self._calls.start_soon(self._follow, caller)
                return
            await self._hear_news()

    async def _hear_news(self) -> None:
        """Wait until there is more room, or a child that can make a call."""
        self._news = anyio.Event()
        await self._news.wait()

    def _tell_news(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _follow(self, caller: Caller) -> None:
        """Follow a child to its end."""
        ref = caller.owned.ref
        assert ref is not None
        try:
            reason = await ref.wait()
        except BaseException as interruption:
            await caller.owned.give_up_after(interruption)
            raise
        self._callers -= 1
        caller.ended(ref.path, reason)
        self._tell_news()

    def rest(self, caller: Caller) -> None:
        """Note that a child can make another call."""
        self._idle.append(caller)
        self._tell_news()

    def settle(self, place: int, outcome: Outcome[Any, Any]) -> None:
        """Take the outcome of a call."""
        self._results.settle(place, outcome)
        if isinstance(outcome, Failed) and not self._options.outcomes:
            self._last = self._last or Exhausted()
        self._deliver()

    # -- answering --------------------------------------------------------------------------------

    @on(NextResult)
    def next(self, message: NextResult, reply: Reply[Answer]) -> None:
        """Answer as soon as there is something."""
        self._waiting.append(reply)
        self._deliver()

    def pop(self) -> Outcome[Any, Any] | None:
        """Return the next result in the consumer's own turn, None when it is not there yet."""
        if self._waiting:
            return None
        outcome = self._results.pop()
        if outcome is not None:
            self._room += 1
            self._tell_news()
        return outcome

    def _deliver(self) -> None:
        while self._waiting:
            outcome = self._results.pop()
            if outcome is not None:
                self._room += 1
                self._tell_news()
                self._waiting.popleft().send(outcome)
            elif self._last is not None and self._results.none_left:
                self._waiting.popleft().send(self._last)
            else:
                return

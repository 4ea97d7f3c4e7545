"""Call a function on each item of a source, a bounded number at a time, as children.

`Tasks.map` returns a `TaskMap`, an async iterator over the results. Behind it stand a `Mapper`, the
child that reads the source, and one child for each call. The consumer asks the mapper for the
next result, so whatever ends the mapper ends the wait.

Guarantees:

- Of what was taken from the source, at most `limit` items have no result that was handed to the
  consumer. So no more than `limit` calls run at a time, and no more results than that wait.
- Results come in the order of the source, or with `ordered=False` as they are ready.
- When the consumer stops, in whatever way, the calls that are left are cancelled and the source is
  read no further. A source that is a generator is closed, in the task that read it, after the
  last call is gone.
- At the end of the iteration, and when `aclose` or `async with` is over, all of it is gone.

>>> import anyio
>>> from supervision import Tasks, TaskSupervisorSpec, serve
>>> async def square(number: int) -> int:
...     return number * number
>>> async def main() -> None:
...     async with serve(TaskSupervisorSpec("jobs")) as app:
...         async with Tasks(app.supervisor).map(square, range(100), limit=3) as squares:
...             async for found in squares:
...                 if found > 10:
...                     break
...                 print(found)
>>> anyio.run(main)
0
1
4
9

The model is Elixir's Task.Supervisor.async_stream.
"""

from __future__ import annotations

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
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar, cast, final

import anyio
from attrs import frozen

from actors import Actor, CancellationToken, Ref, Reply, Request, on
from supervision.errors import TooManyChildren
from supervision.specs import ShutdownPolicy
from supervision.supervisors import SupervisorMessage
from supervision.tasks.job import Claim, Job, new_id

__all__ = ["Failed", "MapPlan", "Mapper", "Outcome", "Source", "Succeeded", "TaskMap"]


A = TypeVar("A")
T = TypeVar("T")

Source: TypeAlias = Iterable[A] | AsyncIterable[A]
"""Where the items come from: anything that `for` or `async for` goes through."""


@final
@frozen
class Succeeded(Generic[A, T]):
    """Say what the call on `item` returned."""

    item: A
    value: T


@final
@frozen
class Failed(Generic[A]):
    """Say what the call on `item` raised."""

    item: A
    error: Exception


Outcome: TypeAlias = Succeeded[A, T] | Failed[A]
"""How one call of a map ended."""


@final
@frozen
class MapPlan(Generic[A, T]):
    """Describe a map; what each option means is said in `Tasks.map`."""

    supervisor: Ref[SupervisorMessage]
    function: Callable[[A], Awaitable[T]]
    name: str
    source: Source[A]
    limit: int
    ordered: bool
    outcomes: bool
    shutdown: float | ShutdownPolicy


# -- what the consumer has -------------------------------------------------------------------------


@final
@frozen
class _Broken:
    """Say that the source raised."""

    error: Exception


@final
@frozen
class _Over:
    """Say that there is nothing more."""


@final
@frozen
class _Next(Request["Outcome[Any, Any] | _Broken | _Over"]):
    """Ask for the next result."""


@final
class TaskMap(Generic[T]):
    """Iterate over the results of a map; made by `Tasks.map`. It begins with the first `anext`.

    To be used with `async with`, or in an `async for` of its own. Left early, what is left is
    cancelled: `async with` and `aclose` wait until it is gone. Without them it is told to go when
    the iterator is collected (in CPython at once after a `break` or an error, unless a variable
    holds it), and it goes meanwhile.

    `anext` raises what the call or the source raised, after all else is gone; ProcExited when the
    map or one of its calls was ended from elsewhere; the refusal when it could not be started;
    RuntimeError while another task waits in it. Cancelled, all is gone before the cancellation
    goes on. After any of these it is over.
    """

    __slots__ = ("__weakref__", "_busy", "_claim", "_dropped", "_over", "_plan")

    def __init__(self, plan: MapPlan[Any, Any]) -> None:
        self._plan = plan
        self._claim: Claim | None = None
        self._dropped = CancellationToken()
        self._busy = False
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._busy:
            raise RuntimeError("another task waits for the next result of this map already")
        if self._over:
            raise StopAsyncIteration
        self._busy = True
        try:
            answer = await self._ask()
            if isinstance(answer, Succeeded):
                return cast("T", answer if self._plan.outcomes else answer.value)
            if self._plan.outcomes and isinstance(answer, Failed):
                return cast("T", answer)
        except GeneratorExit:
            self._dropped.cancel()  # the coroutine is thrown away, and cannot wait
            raise
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._busy = False
        await self.aclose()
        if isinstance(answer, _Over):
            raise StopAsyncIteration
        if isinstance(answer.error, StopAsyncIteration):
            # It would look like the end to the consumer's `async for`.
            raise RuntimeError("the call raised StopAsyncIteration") from answer.error
        raise answer.error

    async def aclose(self) -> None:
        """Cancel what is left, close the source, and wait until all is gone; twice is once.

        Cancelled, it ends that first.
        """
        self._over = True
        claim = self._claim
        if claim is not None:
            # It has deadlines of its own: one for the calls, one for the source.
            await claim.give_up(for_ever=True)
        if claim is None or claim.ref is None:
            await _Items(self._plan.source).close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Only a token may be used here: the garbage collector runs in any thread.
        dropped = getattr(self, "_dropped", None)
        if dropped is not None:
            dropped.cancel()

    async def _ask(self) -> Outcome[Any, Any] | _Broken | _Over:
        plan = self._plan
        claim = self._claim
        if claim is None:
            claim = self._claim = Claim(plan.shutdown)
            make = partial(Mapper, plan, claim, self._dropped)
            await claim.start(plan.supervisor, new_id(f"map-{plan.name}"), make)
        mapper: Ref[_Next] | None = claim.ref
        assert mapper is not None
        return await mapper.ask(_Next(), timeout=None)


# -- what works for it -----------------------------------------------------------------------------

_END = object()


@final
class _Items:
    """Take items from a source of either kind, one at a time."""

    def __init__(self, source: Source[Any]) -> None:
        self._source = source
        self._iterator: AsyncIterator[Any] | Iterator[Any] | None = None

    async def take(self) -> Any:
        """Return the next item, `_END` when there is none."""
        if self._iterator is None:
            if isinstance(self._source, AsyncIterable):
                self._iterator = aiter(self._source)
            else:
                self._iterator = iter(self._source)
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator, _END)
        return next(self._iterator, _END)

    async def close(self, seconds: float | None) -> None:
        """Close a generator, or another map; what else there may be belongs to somebody else."""
        found = self._source if self._iterator is None else self._iterator
        if isinstance(found, Generator):
            found.close()
        elif isinstance(found, AsyncGenerator | TaskMap):
            with anyio.move_on_after(seconds, shield=True):
                await found.aclose()


@final
class _Results:
    """Put results into the order in which they are to be handed out."""

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self._early: dict[int, Outcome[Any, Any]] = {}
        self._settled = 0
        self._ready: deque[Outcome[Any, Any]] = deque()
        self.taken = 0
        self.running = 0

    def begin(self) -> int:
        """Give a place to one more item."""
        self.taken += 1
        self.running += 1
        return self.taken - 1

    def withdraw(self) -> None:
        """Take the last place back."""
        self.taken -= 1
        self.running -= 1

    def settle(self, place: int, outcome: Outcome[Any, Any]) -> None:
        """Note how a call ended."""
        self.running -= 1
        if not self._ordered:
            self._ready.append(outcome)
            return
        self._early[place] = outcome
        while self._settled in self._early:
            self._ready.append(self._early.pop(self._settled))
            self._settled += 1

    def pop(self) -> Outcome[Any, Any] | None:
        """Return the next result, None when it is not there yet."""
        return self._ready.popleft() if self._ready else None

    @property
    def none_left(self) -> bool:
        """Tell whether all results of what was taken have been handed out."""
        return not (self.running or self._ready or self._early)


@final
class Mapper(Actor[_Next]):
    """Be the child that reads the source of a map and has its calls made.

    Told to stop, it cancels the calls, all at once, and when the last is gone it closes the source.
    """

    def __init__(self, plan: MapPlan[Any, Any], claim: Claim, dropped: CancellationToken) -> None:
        self._plan = plan
        self._claim = claim
        self._dropped = dropped
        self._results = _Results(plan.ordered)
        self._waiting: deque[Reply[Outcome[Any, Any] | _Broken | _Over]] = deque()
        self._last: _Broken | _Over | None = None  # what follows the results, when that is known
        self._stopping = False

    async def on_start(self) -> None:
        """Do not start what nobody waits for any more."""
        self._claim.take(self.context.ref)

    async def run(self, shutdown: CancellationToken) -> None:
        """Answer the consumer, while the source is read and the calls are made."""
        self._room = anyio.Semaphore(self._plan.limit)
        self._ended = anyio.Event()
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
        items = _Items(self._plan.source)
        try:
            with self._reading:
                await self._read_all(items)
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self._calls_gone.wait()
            finally:  # on asyncio, a kill breaks through the shield
                await items.close(self._claim.shutdown_timeout)

    async def _read_all(self, items: _Items) -> None:
        try:
            await self._take_all(items)
            self._last = self._last or _Over()
        except Exception as error:
            self._last = _Broken(error)
        self._deliver()

    async def _take_all(self, items: _Items) -> None:
        while True:
            await self._room.acquire()
            if self._last is not None:
                return  # a call has failed, and the map with it
            item = await items.take()
            if item is _END:
                return
            place = self._results.begin()
            job: Job[Any] = Job(partial(self._plan.function, item), self._plan.shutdown)
            try:
                await self._start(job)
            except BaseException:
                self._results.withdraw()
                raise
            if self._stopping:
                await job.claim.give_up()
                return
            self._calls.start_soon(self._follow, place, item, job)

    async def _start(self, job: Job[Any]) -> None:
        """Start a call; when there is no place for it, wait until one of the others has ended."""
        while True:
            self._ended = anyio.Event()
            try:
                return await job.start(self._plan.supervisor, new_id(self._plan.name))
            except TooManyChildren:
                if self._results.running == 1:
                    raise
            await self._ended.wait()

    async def _follow(self, place: int, item: object, job: Job[Any]) -> None:
        try:
            self._results.settle(place, Succeeded(item, await job.result()))
        except Exception as error:
            self._results.settle(place, Failed(item, error))
            if not self._plan.outcomes:
                self._last = self._last or _Over()
        self._ended.set()
        self._deliver()

    # -- answering --------------------------------------------------------------------------------

    @on(_Next)
    def next(self, message: _Next, reply: Reply[Outcome[Any, Any] | _Broken | _Over]) -> None:
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

"""The children that make the calls of a map: each takes item after item, in a context of its own.

A call might have a child for itself, but to start and end one costs many times what a call does. So
a `CallerProc` makes one call after the other, and when a call ends it (it is killed, or
told to stop, or lets a cancellation out), the map puts another one in its place.

Guarantees: a call sees no context variable that another one has set. What ends the proc ends one
call alone. A proc without work leaves soon, and at once when its place is needed.

>>> import anyio
>>> from contextvars import ContextVar
>>> seen = ContextVar("seen", default=0)
>>> async def note(number: int) -> int:
...     before = seen.get()
...     seen.set(number)
...     await anyio.sleep(0)
...     return before
>>> async def main() -> None:
...     print(await in_context(note, 1, copy_context()), await in_context(note, 2, copy_context()))
>>> anyio.run(main)
0 0
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from inspect import iscoroutine
from typing import Any, Never, Protocol, TypeVar, final

from actors import AskTimeout, CancellationToken, Crashed, ExitReason, Proc, ProcExited, Request
from actors.brokering import Asking
from supervision.specs import ShutdownPolicy
from supervision.tasks.outcomes import Failed, Outcome, Succeeded
from supervision.tasks.task import OwnedProc

__all__ = ["LINGER", "Caller", "CallerProc", "in_context"]


T = TypeVar("T")

LINGER = 0.2
"""Seconds that a child of a map waits for its next item before it leaves."""


class Map(Protocol):
    """The map that a caller works for."""

    def settle(self, place: int, outcome: Outcome[Any, Any]) -> None:
        """Take the outcome of a call."""
        ...

    def rest(self, caller: Caller) -> None:
        """Note that a caller has nothing to do."""
        ...


@final
class NextItem(Request[tuple[int, object]]):
    """What a child of a map waits for."""


@final
class Caller:
    """One child of a map that makes calls; `place` is that of the item in its hand, -1 without.

    `owned` is its proc.
    """

    __slots__ = ("_asking", "_map", "function", "item", "owned", "place")

    def __init__(
        self, map: Map, function: Callable[[Any], Awaitable[Any]], shutdown: float | ShutdownPolicy
    ) -> None:
        self._map = map
        self._asking: Asking | None = None
        self.function = function
        self.owned = OwnedProc(shutdown)
        self.place = -1
        self.item: object = None

    def take(self, place: int, item: object) -> None:
        """Take an item in hand; the call is made when its proc has its turn."""
        self.place, self.item = place, item
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.send(None)

    @property
    def busy(self) -> bool:
        """Return whether it has an item in hand."""
        return self.place >= 0

    @property
    def idle(self) -> bool:
        """Return whether it waits for an item, and will take one."""
        return self._asking is not None and self._asking.wanted

    def leave(self) -> None:
        """Have it end, for it has nothing to do."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.expire()

    async def wait(self, map: Any) -> bool:
        """Wait for the next item; False when there is none for so long that it leaves."""
        self._asking = asking = Asking(map, NextItem, known=False)
        self._map.rest(self)
        try:
            await asking.answer(LINGER)
        except AskTimeout:
            return False
        return True

    async def call(self, context: Context) -> None:
        """Make the call on the item in hand."""
        place, item = self.place, self.item
        try:
            outcome: Outcome[Any, Any] = Succeeded(
                item, await in_context(self.function, item, context)
            )
        except Exception as error:
            if not self.owned.wanted:
                raise  # nobody else would ever hear of it
            outcome = Failed(item, error)
        self.place, self.item = -1, None
        self._map.settle(place, outcome)

    def ended(self, path: str, reason: ExitReason) -> None:
        """Settle the item in hand: the proc has ended over it."""
        place, item = self.place, self.item
        self.place, self.item = -1, None
        if place >= 0:
            error = ProcExited(path, reason)
            error.__cause__ = reason.error if isinstance(reason, Crashed) else None
            self._map.settle(place, Failed(item, error))


@final
class CallerProc(Proc[Never]):
    """The proc of a `Caller`; `map` is the ref of the map that it works for."""

    def __init__(self, caller: Caller, map: Any) -> None:
        self.caller = caller
        self.map = map

    async def on_start(self) -> None:
        """Do not start what nobody waits for any more."""
        self.caller.owned.begin(self.context.ref)

    async def run(self, shutdown: CancellationToken) -> None:
        """Make calls until nothing is left to do; told to stop, the call is cancelled."""
        caller, context = self.caller, copy_context()
        async with shutdown.scope():
            while caller.place >= 0 or await caller.wait(self.map):
                await caller.call(context.copy())
                if shutdown.cancelled:
                    return  # the call returned in spite of it


async def in_context(function: Callable[[Any], Awaitable[T]], item: Any, context: Context) -> T:
    """Call a function on an item, in a context; returns its result."""
    work = context.run(function, item)
    return await (_Steps(work, context) if iscoroutine(work) else work)


@final
class _Steps:
    """A coroutine each step of which is made in a context that is not the task's."""

    __slots__ = ("_context", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], context: Context) -> None:
        self._work = work
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        run, work = self._context.run, self._work
        send = work.send
        try:
            waits_for = run(send, None)
            while True:
                try:
                    received = yield waits_for
                except GeneratorExit:
                    run(work.close)
                    raise
                except BaseException as error:
                    waits_for = run(work.throw, error)
                else:
                    waits_for = run(send, received)
        except StopIteration as end:
            return end.value

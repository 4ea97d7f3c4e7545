"""Tell a proc that another one has ended, and hand it its inbox.

`Down` answers a monitor: one for each monitor, one-way, after all mail that the ended proc had sent
to the watcher. `Exited` answers a link or a child that ended; it is control and comes before
mail. `Received` is one item of an `inbox()`.

>>> import anyio
>>> from actors import Actor, ActorSystem, Normal, Ref, on, task
>>> async def brief(shutdown: object) -> None:
...     pass
>>> class Watch:
...     pass
>>> class Watcher(Actor[Watch]):
...     async def on_start(self) -> None:
...         self.brief = await self.context.spawn(task(brief), id="brief")
...     @on(Watch)
...     def watch(self, message: Watch) -> None:
...         self.context.monitor(self.brief)
...     def on_down(self, down: Down) -> None:
...         print(down.ref.path, "is down:", down.reason)
...         self.context.stop()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         watcher = await system.spawn(Watcher, id="watcher")
...         await anyio.sleep(0.01)
...         watcher.tell(Watch())
...         await watcher.wait()
>>> anyio.run(main)
/watcher/brief is down: no proc

The words, and one DOWN for each monitor, are Erlang's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from attrs import frozen

from actors.address import Address
from actors.exits import ExitReason
from actors.mail import Notice
from actors.messages import Reply
from actors.ref import Ref

__all__ = ["Down", "DownNotice", "Exited", "Monitor", "Received", "Watch", "Watcher"]

M_co = TypeVar("M_co", covariant=True)


@final
@frozen
class Down:
    """A monitored proc has ended; `reason` is NoProc if it was not running at all."""

    ref: Ref[Any]
    reason: ExitReason


@final
@frozen
class Exited:
    """A linked proc, or a child, has ended; `incarnation` counts its starts from 1."""

    ref: Ref[Any]
    reason: ExitReason
    incarnation: int


@final
@frozen
class Received(Generic[M_co]):
    """One message from an inbox; `reply` is None when it was told, not asked."""

    message: M_co
    reply: Reply[Any] | None


class Watcher(ABC):
    """One who is told once when a proc ends."""

    __slots__ = ()

    @abstractmethod
    def fire(self, reason: ExitReason) -> None:
        """Take the exit reason; must not raise."""


@final
class Monitor(Watcher):
    """One watch over one proc, made by `context.monitor`; `active` until its Down."""

    __slots__ = ("_watched", "_watcher", "active", "ref")

    def __init__(self, ref: Ref[Any], watched: Address, watcher: Address) -> None:
        self.ref = ref
        self.active = True
        self._watched = watched
        self._watcher = watcher

    @property
    def watched(self) -> Address:
        """Return the address that is watched; for the engine."""
        return self._watched

    def fire(self, reason: ExitReason) -> None:
        """Queue the Down, behind all that the ended proc has sent; for the engine."""
        if self.active:
            self._watcher.notify(DownNotice(self, reason))


@final
class Watch(Watcher):
    """One watch from outside of any proc, by a plain function; made by `ActorSystem.monitor`."""

    __slots__ = ("_call", "_watchers", "active", "ref")

    def __init__(
        self,
        ref: Ref[Any],
        call: Callable[[Down], None],
        watchers: dict[Watcher, None] | None,
    ) -> None:
        self.ref = ref
        self.active = True
        self._call = call
        self._watchers = watchers
        if watchers is not None:
            watchers[self] = None

    def cancel(self) -> None:
        """Watch no more; nothing happens the second time."""
        self.active = False
        if self._watchers is not None:
            self._watchers.pop(self, None)

    def fire(self, reason: ExitReason) -> None:
        """Call the function once; for the engine."""
        if self.active:
            self.active = False
            self._call(Down(self.ref, reason))


@final
class DownNotice(Notice):
    """A Down on its way; it is void when its monitor was taken back meanwhile."""

    __slots__ = ("monitor", "reason")

    def __init__(self, monitor: Monitor, reason: ExitReason) -> None:
        self.monitor = monitor
        self.reason = reason

    @property
    def down(self) -> Down:
        """Return what the watcher is told."""
        return Down(self.monitor.ref, self.reason)

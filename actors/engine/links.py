"""Bind incarnations to each other, and to time: links, monitors, timers, work on the side.

All of it belongs to one incarnation and is gone when that ends. A link is symmetric and there is at
most one for each pair; a monitor is one-way, stacks, and gives exactly one Down.

>>> import anyio
>>> from actors import Actor, ActorSystem, on
>>> class Fetch: ...
>>> class Fetched:
...     def __init__(self, text: str) -> None:
...         self.text = text
>>> async def slow() -> str:
...     await anyio.sleep(0.01)
...     return "page"
>>> class Browser(Actor[Fetch | Fetched]):
...     @on(Fetch)
...     def fetch(self, message: Fetch) -> None:
...         self.context.pipe(slow(), into=Fetched)
...     @on(Fetched)
...     def fetched(self, message: Fetched) -> None:
...         print("got", message.text)
...         self.context.stop()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         browser = await system.spawn(Browser)
...         browser.tell(Fetch())
...         await browser.wait()
>>> anyio.run(main)
got page

Links and monitors are Erlang's; `pipe` is Akka's pipeToSelf.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from actors.backends import Interrupted, InterruptibleTask, Waiter
from actors.engine.receiver import Reader
from actors.errors import LinkBroken, ended
from actors.exits import Crashed, ExitReason, NoProc
from actors.notices import Exited, Monitor, Watcher
from actors.ref import Ref, address_of, ref_of
from actors.timer import Timer, check_delay

__all__ = ["Bonded"]


class Bonded(Reader):
    """Be the part of an incarnation that knows other procs, and the clock."""

    __slots__ = ("_side", "_side_over", "last_beat", "links", "timers", "watchers")

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[Bonded, None] | None = None
        self.watchers: dict[Watcher, None] | None = None
        self.timers: dict[Timer, None] | None = None
        self.last_beat: float | None = None
        self._side: dict[InterruptibleTask, None] | None = None
        self._side_over: Waiter[None] | None = None

    # -- to be told by others; implemented above ---------------------------------------------

    def take_down(self, reason: ExitReason) -> None:
        """Interrupt this incarnation; it ends with `reason`."""
        raise NotImplementedError

    @property
    def lives(self) -> bool:
        """Tell whether it is starting or running, not stopping."""
        raise NotImplementedError

    @property
    def traps_exits(self) -> bool:
        """Tell whether its class defines `on_exit`."""
        return self.traits.traps_exits

    def hear_exit(self, exited: Exited) -> bool:
        """Be told that a linked proc or a child has ended; False when it is too late for that."""
        if not self.hears:
            return False
        if self.traps_exits:
            self.address.signal(exited)
        elif exited.reason.is_abnormal:
            error = LinkBroken(exited.ref.path, exited.reason)
            if isinstance(exited.reason, Crashed):
                error.__cause__ = exited.reason.error
            self.take_down(Crashed(error))
        return True

    # -- monitors -----------------------------------------------------------------------------

    def monitor(self, ref: Ref[Any]) -> Monitor:
        """Watch a proc."""
        self.check_not_ended()
        target = address_of(ref)
        monitor = Monitor(ref, target, self.address)
        if self.watching is None:
            self.watching = {}
        self.watching[monitor] = None
        other = target.occupant
        if other is None:
            monitor.fire(NoProc())
        else:
            assert isinstance(other, Bonded)
            if other.watchers is None:
                other.watchers = {}
            other.watchers[monitor] = None
        return monitor

    def demonitor(self, monitor: Monitor) -> None:
        """Watch no more."""
        monitor.active = False
        if self.watching is not None:
            self.watching.pop(monitor, None)
        other = monitor.watched.occupant
        if isinstance(other, Bonded) and other.watchers is not None:
            other.watchers.pop(monitor, None)

    # -- links --------------------------------------------------------------------------------

    def link(self, ref: Ref[Any]) -> None:
        """Share the fate of a proc."""
        self.check_not_ended()
        target = address_of(ref)
        other = target.occupant
        if other is self:
            return
        if isinstance(other, Bonded):
            if self.links is None:
                self.links = {}
            if other.links is None:
                other.links = {}
            self.links[other] = None
            other.links[self] = None
        elif self.traps_exits:
            self.address.signal(Exited(ref, NoProc(), target.incarnation))
        else:
            raise ended(target.path, NoProc())

    def unlink(self, ref: Ref[Any]) -> None:
        """Share it no more."""
        other = address_of(ref).occupant
        if isinstance(other, Bonded):
            if self.links is not None:
                self.links.pop(other, None)
            if other.links is not None:
                other.links.pop(self, None)

    # -- time ---------------------------------------------------------------------------------

    def send_later(self, delay: float, interval: float | None, message: object) -> Timer:
        """Send to itself, once or repeatedly."""
        self.check_not_ended()
        check_delay("delay" if interval is None else "interval", delay, zero=interval is None)
        self._admit(message)
        if self.timers is None:
            self.timers = {}
        backend = self.address.runtime.backend
        return Timer(backend, self.timers, delay, interval, partial(self._send_due, message))

    def _send_due(self, message: object) -> None:
        address = self.address
        # The clock cannot wait for room and has nobody to raise to: full means lost, and said.
        if address.simple or not address.full or address.overflow.drops:
            address.offer(message)
        else:
            address.refuse(message, "mailbox full when a timer was due")

    def _admit(self, message: object) -> None:
        accepts = self.address.accepts
        if type(message) not in accepts.types:
            accepts.admit(type(message), self.address.path)

    def beat(self) -> None:
        """Note a sign of life."""
        self.last_beat = self.address.runtime.backend.now()

    # -- work on the side ----------------------------------------------------------------------

    def pipe(
        self,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> None:
        """Await beside the proc; the result comes back as a message."""
        if not self.lives:
            _throw_away(awaitable)
        self.check_not_ended()
        if self._side is None:
            self._side = {}
        main = partial(self._run_aside, awaitable, into, failed)
        task = self.address.runtime.backend.start(main, f"{self.address.path} pipe")
        self._side[task] = None

    async def _run_aside(
        self,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
        task: InterruptibleTask,
    ) -> None:
        try:
            if not self.lives:
                _throw_away(awaitable)
                return
            message = await self._outcome(task, awaitable, into, failed)
            if message is not None:
                self._admit(message)
                if self.address.open:
                    self.address.put(message)
                else:
                    self.address.refuse(message, self.address.why)
        except Interrupted:
            pass
        except GeneratorExit:
            raise
        except BaseException as error:
            self.crash(error)
        finally:
            assert self._side is not None
            self._side.pop(task, None)
            if not self._side and self._side_over is not None:
                waiter, self._side_over = self._side_over, None
                if not waiter.done():
                    waiter.set_result(None)

    async def _outcome(
        self,
        task: InterruptibleTask,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> object:
        try:
            result = await task.guard(awaitable)
        except Exception as error:
            if failed is None:
                raise
            return None if task.hit else failed(error)
        return None if task.hit else into(result)

    async def end_side_work(self) -> None:
        """Cancel what was piped, and wait until it is gone."""
        for task in tuple(self._side or ()):
            task.interrupt()
        while self._side:
            await self.address.runtime.backend.outlast(self._arm_side, self.kill)

    def _arm_side(self, waiter: Waiter[None]) -> bool:
        self._side_over = waiter
        return bool(self._side)

    # -- the end ------------------------------------------------------------------------------

    def cut_bonds(self) -> None:
        """Give back what this incarnation held of others and of the clock."""
        for timer in tuple(self.timers or ()):
            timer.cancel()
        for monitor in tuple(self.watching or ()):
            self.demonitor(monitor)

    def announce(self, reason: ExitReason, owner: Bonded | None) -> bool:
        """Tell all who are bound to this incarnation that it ended; False when there was nobody."""
        if owner is None and not self.links and not self.watchers:
            return False
        exited = Exited(ref_of(self.address), reason, self.number)
        links, self.links = self.links, None
        watchers, self.watchers = self.watchers, None
        heard = bool(watchers)
        for other in links or ():
            if other.links is not None:
                other.links.pop(self, None)
            if other is not owner:
                heard |= other.hear_exit(exited)
        if owner is not None:
            heard |= owner.hear_exit(exited)
        for monitor in watchers or ():
            monitor.fire(reason)
        return heard


def _throw_away(awaitable: Awaitable[Any]) -> None:
    """Close what will never be awaited, so that Python does not warn of it."""
    close = getattr(awaitable, "close", None) or getattr(awaitable, "cancel", None)
    if close is not None:
        close()

"""Bind incarnations to each other: links, which share a fate, and monitors, which only hear of it.

All of it belongs to one incarnation and is gone when that ends. A link is symmetric and there is at
most one for each pair; a monitor is one-way, stacks, and gives exactly one Down.

>>> import anyio
>>> from actors import Actor, ActorSystem, CancellationToken, Down, Ref, on, task
>>> async def brief(shutdown: CancellationToken) -> None: ...
>>> class Nurse(Actor[Ref[object]]):
...     @on(Ref)
...     def care(self, patient: Ref[object]) -> None:
...         self.context.monitor(patient)
...     def on_down(self, down: Down) -> None:
...         print(down.ref.path, down.reason)
...         self.context.stop()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         nurse = await system.spawn(Nurse)
...         nurse.tell(await system.spawn(task(brief), id="patient"))
...         await nurse.wait()
>>> anyio.run(main)
/patient no proc

Links and monitors are Erlang's.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, final

from actors.address import Address
from actors.engine.life import Life
from actors.errors import LinkBroken, ended
from actors.exits import Crashed, NoProc
from actors.notices import Exited, Monitor, Watcher
from actors.ref import Ref, address_of

__all__ = ["Links", "hear_exit"]


class Linked(Life, Protocol):
    """One life of a proc, with its links."""

    @property
    def links(self) -> Links:
        """Return its links and monitors; made when they are first wanted."""
        ...


@final
class Links:
    """The part of an incarnation that knows other procs.

    `watchers` are those that watch this proc, from inside or outside of others.
    """

    __slots__ = ("_life", "_linked", "_watching", "watchers")

    def __init__(self, life: Linked) -> None:
        self._life = life
        self._linked: dict[Linked, None] = {}
        self._watching: dict[Monitor, None] = {}
        self.watchers: dict[Watcher, None] = {}

    @property
    def bound(self) -> bool:
        """Return whether anybody hears of the end of this proc."""
        return bool(self._linked or self.watchers)

    # -- monitors -----------------------------------------------------------------------------

    def monitor(self, ref: Ref[Any]) -> Monitor:
        """Watch a proc. One that does not run is down at once."""
        self._life.check_not_ended()
        target = address_of(ref)
        monitor = Monitor(ref, target, self._life.address)
        self._watching[monitor] = None
        other = _linked_at(target)
        if other is None:
            monitor.fire(NoProc())
        else:
            other.links.watchers[monitor] = None
        return monitor

    def demonitor(self, monitor: Monitor) -> None:
        """Watch no more."""
        self.forget(monitor)
        other = _linked_at(monitor.watched)
        if other is not None:
            other.links.watchers.pop(monitor, None)

    def forget(self, monitor: Monitor) -> None:
        """Forget a monitor whose Down has come, or is not wanted any more."""
        monitor.active = False
        self._watching.pop(monitor, None)

    # -- links --------------------------------------------------------------------------------

    def link(self, ref: Ref[Any]) -> None:
        """Share the fate of a proc. Raises ProcExited when none runs and exits are not trapped."""
        life = self._life
        life.check_not_ended()
        target = address_of(ref)
        other = _linked_at(target)
        if other is life:
            return
        if other is not None:
            self._linked[other] = None
            other.links._linked[life] = None
        elif life.traits.traps_exits:
            life.address.signal(Exited(ref, NoProc(), target.incarnation))
        else:
            raise ended(target.path, NoProc())

    def unlink(self, ref: Ref[Any]) -> None:
        """Share it no more."""
        other = _linked_at(address_of(ref))
        if other is not None:
            self._linked.pop(other, None)
            other.links._linked.pop(self._life, None)

    # -- the end ------------------------------------------------------------------------------

    def stop_watching(self) -> None:
        """Take back all monitors that this incarnation has."""
        for monitor in tuple(self._watching):
            self.demonitor(monitor)

    def announce(self, exited: Exited, owner: Life | None) -> bool:
        """Tell all who are bound to this incarnation that it ended; False when nobody hears it.

        First those that are linked, then its owner, then those that watch.
        """
        linked, self._linked = self._linked, {}
        watchers, self.watchers = self.watchers, {}
        heard = bool(watchers)
        for other in linked:
            other.links._linked.pop(self._life, None)
            if other is not owner:
                heard |= other.hear_exit(exited)
        if owner is not None:
            heard |= owner.hear_exit(exited)
        for watcher in watchers:
            watcher.fire(exited.reason)
        return heard


def hear_exit(life: Life, exited: Exited) -> bool:
    """Take the news that a linked proc or a child has ended; False when it is too late."""
    if not life.hears:
        return False
    if life.traits.traps_exits:
        life.address.signal(exited)
    elif exited.reason.is_abnormal:
        error = LinkBroken(exited.ref.path, exited.reason)
        if isinstance(exited.reason, Crashed):
            error.__cause__ = exited.reason.error
        life.take_down(Crashed(error))
    return True


def _linked_at(address: Address) -> Linked | None:
    return cast("Linked | None", address.occupant)

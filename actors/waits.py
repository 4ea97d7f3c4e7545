"""Know who waits for whom, so that nobody waits in a circle, or for one who is not coming.

A proc waits when its own task does: for an answer, for the end of another proc, for a start, for
room in a mailbox. Each wait is written down in the incarnation (`asking`, `asked`), and whoever is
about to wait follows these marks from proc to proc. When they lead back to it, an ask in the
circle fails with AskCycle: its own, at the call, or the last one of the others, when the
circle is closed by a wait for an end (a supervisor is asked to stop the asker).

Guarantees: the search ends, also when others wait in a circle that it only comes across; a proc
whose mail is read by another task of its own is no link, because that one can answer.

>>> import anyio
>>> from actors import Actor, ActorSystem, AskCycle, Ref, Request, on
>>> class Stop(Request[None]):
...     def __init__(self, whom: Ref[object]) -> None:
...         self.whom = whom
>>> class Keeper(Actor[Stop]):
...     @on(Stop)
...     async def stop(self, message: Stop) -> None:
...         await message.whom.shutdown()
>>> class Selfish(Actor[Ref[Stop]]):
...     @on(Ref)
...     async def leave(self, keeper: Ref[Stop]) -> None:
...         try:
...             await keeper.ask(Stop(self.context.ref))
...         except AskCycle as error:
...             print(error)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         keeper = await system.spawn(Keeper, id="keeper")
...         selfish = await system.spawn(Selfish, id="selfish")
...         selfish.tell(keeper)
...         print(await selfish.wait())
>>> anyio.run(main)
asking Stop would wait for ever: /selfish -> /keeper -> /selfish
shutdown
"""

from __future__ import annotations

from typing import Any, Protocol, final

from actors.address import Address, Occupant, current_occupant
from actors.backends import Waiter
from actors.errors import AskCycle, ended
from actors.exits import NoProc
from actors.mail import Wait
from actors.messages import Envelope

__all__ = [
    "Farewell",
    "Pause",
    "asker_of",
    "circle",
    "hurry",
    "pauses",
    "sender_of",
    "wait_is_over",
    "waits_for",
]


@final
class Pause:
    """A wait for something else than an answer."""

    __slots__ = ("_waiter",)

    def __init__(self, waiter: Waiter[Any]) -> None:
        self._waiter = waiter

    @property
    def settled(self) -> bool:
        """Return whether what was waited for is there."""
        return self._waiter.done()


NOBODY_THERE = NoProc()


@final
class Farewell:
    """The place where a proc that is leaving waits for the end of whom it asks.

    It stands among those who wait for that end, and what it gets it passes on to the ask.
    """

    __slots__ = ("_address", "_envelope")

    def __init__(self, address: Address, envelope: Envelope) -> None:
        self._address = address
        self._envelope = envelope

    def done(self) -> bool:
        """Return whether the ask has its answer."""
        return self._envelope.settled

    def set_result(self, result: object, /) -> None:
        """Fail the ask, because nobody is there any more to answer it."""
        self._address.fail(self._envelope, NOBODY_THERE)


class Waiting(Protocol):
    """One who waits, with the marks of that."""

    asking: Address | None
    asked: Wait | None
    farewell: tuple[Occupant, Farewell] | None


def circle(first: Occupant, address: Address, *, asks: bool) -> list[Occupant]:
    """Follow who waits for whom from `address` on; returns those who do when that ends at `first`.

    Else nothing. `asks` tells that `first` wants an answer from `address`, and not its end. It
    costs one look when whoever is there waits for nobody.
    """
    met: list[Occupant] = []
    target: Address | None = address
    seen: set[Occupant] | None = None
    while target is not None:
        occupant = target.occupant
        if occupant is None:
            return []
        asked = occupant.asked
        if occupant is not first and (asked is None or asked.settled):
            return []  # it has what it waited for, and only waits for its turn
        if asks and occupant.served_beside:
            return []
        if occupant is first:
            return met or [first]
        if seen is None:
            seen = set()
        elif occupant in seen:
            return []  # others are in a circle; this one only leads there
        seen.add(occupant)
        met.append(occupant)
        asks = type(asked) is Envelope
        target = occupant.asking
    return []


def asker_of(address: Address, kind: type) -> Occupant | None:
    """Return the proc that is about to wait for an answer, if one is.

    Raises AskCycle when it would wait in a circle; ProcExited when it is leaving, and nobody is
    there: what is to come to that address may come only when the asker has gone.
    """
    asker = current_occupant.get()
    if asker is None:
        return None
    if address.occupant is None and asker.leaving:
        # Not how the last incarnation ended: that one has never seen this request.
        raise ended(address.path, NOBODY_THERE, kind.__name__)
    if address.runtime.backend.current_task() is not asker.task:
        return None  # a task beside the proc's own: the proc itself goes on meanwhile
    if met := circle(asker, address, asks=True):
        raise _cycle(kind, asker, met)
    return asker


def sender_of(address: Address, waiter: Waiter[None]) -> tuple[Occupant | None, str]:
    """Note that the proc in whose own task we are waits for room at an address, if it may.

    Returns the proc, if there is one, and why there would never be room, "" if there may.
    """
    sender = current_occupant.get()
    if sender is None or address.runtime.backend.current_task() is not sender.task:
        return None, ""
    if circle(sender, address, asks=True):
        if sender.address is address:
            return sender, "it is the sender's own and would never empty"
        return sender, "whoever reads it waits for the sender, so it would never empty"
    sender.asking, sender.asked = address, Pause(waiter)
    return sender, ""


def waits_for(address: Address, waiter: Waiter[Any]) -> Occupant | None:
    """Note that the proc in whose own task we are waits for a start or an end; returns it.

    None when we are in no proc's own task. When that closes a circle, the last ask in it
    fails: it cannot be answered any more.
    """
    occupant = current_occupant.get()
    if occupant is None or address.runtime.backend.current_task() is not occupant.task:
        return None
    return pauses(occupant, address, waiter)


def pauses(occupant: Occupant, address: Address, waiter: Waiter[Any]) -> Occupant:
    """Note that the task of `occupant` waits for a start or an end, as `waits_for` does."""
    occupant.asking, occupant.asked = address, Pause(waiter)
    met = circle(occupant, address, asks=False)
    for index, asker in reversed(tuple(enumerate(met))):
        asked = asker.asked
        if asker is not occupant and type(asked) is Envelope:
            # From where it asks, once around.
            around = [*met[index + 1 :], occupant, *met[: index + 1]]
            asked.fail(_cycle(type(asked.message), asker, around[:-1]))
            break
    return occupant


def wait_is_over(life: Waiting) -> None:
    """Note that the task of a proc waits for nobody that is known."""
    if life.farewell is not None:
        asked, farewell = life.farewell
        asked.forget(farewell)
        life.farewell = None
    life.asking = life.asked = None


def hurry(life: Waiting) -> None:
    """Give up the wait of a proc that is leaving when nobody is there to answer, now or later."""
    address, envelope = life.asking, life.asked
    if address is None or type(envelope) is not Envelope or life.farewell is not None:
        return
    occupant = address.occupant
    if occupant is None:
        address.fail(envelope, NOBODY_THERE)
    else:
        farewell = Farewell(address, envelope)
        if occupant.on_end(farewell):
            life.farewell = occupant, farewell


def _cycle(kind: type, asker: Occupant, met: list[Occupant]) -> AskCycle:
    chain = [asker.address.path]
    chain += [occupant.address.path for occupant in met if occupant is not asker]
    return AskCycle(kind.__name__, (*chain, asker.address.path))

"""Set poison messages aside and go on: mail that crashes its receiver is not lost, and not retried.

The message in hand at a crash is gone with it. `on_undelivered` gets it, and can hand it to another
actor. What waits in the mailbox is handled by the next incarnation, so one bad order costs one
restart. The budget of the child's own sees to it that a mailbox full of them comes to an end.
"""

import anyio
from attrs import frozen

from actors import Actor, Name, Request, on
from supervision import ChildSpec, SupervisorSpec, WhenSpent, serve


@frozen
class Order:
    """An order, as it came in."""

    number: int
    pieces: str


@frozen
class TakeBack(Request[tuple[Order, ...]]):
    """Ask for all that was set aside, to look at it."""


class Quarantine(Actor[Order | TakeBack]):
    """Keep what crashed others. It does not look at it."""

    def __init__(self) -> None:
        self.kept: list[Order] = []

    @on(Order)
    def keep(self, message: Order) -> None:
        """Put it to the others."""
        self.kept.append(message)

    @on(TakeBack)
    def take_back(self, message: TakeBack) -> tuple[Order, ...]:
        """Give everything back."""
        kept, self.kept = tuple(self.kept), []
        return kept


QUARANTINE = Name[Order | TakeBack]("quarantine")


class Shop(Actor[Order]):
    """Carry orders out; some cannot be."""

    def on_undelivered(self, message: Order) -> None:
        """Set aside what was in hand at a crash, and what nobody will handle any more."""
        quarantine = self.context.system.whereis(QUARANTINE)
        if quarantine is not None:
            quarantine.tell(message)

    @on(Order)
    def carry_out(self, message: Order) -> None:
        """Crash when there is no telling how many pieces were ordered."""
        print(f"order {message.number}: {int(message.pieces)} pieces")


TREE = SupervisorSpec(
    "counter",
    [
        ChildSpec("quarantine", Quarantine, name=QUARANTINE),
        # At most ten bad orders a minute: then something else is wrong, and it stays down.
        ChildSpec("shop", Shop, max_restarts=10, max_seconds=60.0, when_spent=WhenSpent.PARK),
    ],
    max_restarts=100,
)


async def main() -> None:
    """Send good orders and bad ones, then look at what was set aside."""
    async with serve(TREE) as app:
        shop = app.find("shop")
        for number, pieces in enumerate(["3", "a dozen", "5", "some", "1"], start=1):
            shop.tell(Order(number, pieces))
        await anyio.sleep(0.01)
        for order in await app.find("quarantine").ask(TakeBack()):
            print("set aside:", order)


if __name__ == "__main__":
    anyio.run(main)

"""An actor: it is told things, it is asked things, and it sees one message at a time.

`tell` never waits. `ask` waits for the answer, and the type checker knows its type: an int for
`Total`. A `Refusal` is an answer, too: the asker gets it as an exception, the actor lives on.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, Refusal, Request, on


@frozen
class Add:
    """Add to the counter. Any class can be a message; frozen ones are the safest."""

    amount: int


@frozen
class Total(Request[int]):
    """Ask for the total."""


@frozen
class Take(Request[int]):
    """Ask for some of it; answered with what is left."""

    amount: int


class TooMuch(Refusal):
    """Refuse to give away more than there is."""


class Counter(Actor[Add | Total | Take]):
    """Count. The state needs no lock: nobody but the actor touches it."""

    def __init__(self) -> None:
        self.total = 0

    @on(Add)
    def add(self, message: Add) -> None:
        """Add."""
        self.total += message.amount

    @on(Total)
    def answer(self, message: Total) -> int:
        """Answer by returning."""
        return self.total

    @on(Take)
    async def take(self, message: Take) -> int:
        """Take, or refuse to; handlers may be `async def`."""
        if message.amount > self.total:
            raise TooMuch(f"{message.amount} of {self.total}")
        self.total -= message.amount
        return self.total


async def main() -> None:
    """Talk to a counter."""
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        for amount in range(1, 11):
            counter.tell(Add(amount))
        print("total:", await counter.ask(Total()))
        print("left:", await counter.ask(Take(50)))
        try:
            await counter.ask(Take(50))
        except TooMuch as refusal:
            print("refused:", refusal)
        print("still there:", await counter.ask(Total()))


if __name__ == "__main__":
    anyio.run(main)

"""Wait without being deaf: `pipe` brings a result back as a message, `stash` keeps mail for later.

The catalog loads its prices, which takes time. Meanwhile it goes on with its mail: it says that it
is loading, and puts aside what it cannot answer yet.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, Ref, Request, on


@frozen
class Price(Request[int]):
    """Ask for the price of something."""

    item: str


@frozen
class IsReady(Request[bool]):
    """Ask whether prices are known."""


@frozen
class Loaded:
    """Bring the result of the loading."""

    prices: dict[str, int]


async def load_prices() -> dict[str, int]:
    """Take a while."""
    await anyio.sleep(0.03)
    return {"lamp": 40, "chair": 75}


class Catalog(Actor[Price | IsReady | Loaded]):
    """Know prices, after a while."""

    prices: dict[str, int] | None = None

    async def on_start(self) -> None:
        """Begin to load, and be ready for mail at once."""
        self.context.pipe(load_prices(), into=Loaded)

    @on(Loaded)
    def loaded(self, message: Loaded) -> None:
        """Go on with what was put aside."""
        print("loaded, answering what waits:", self.context.ref.statistics().stashed)
        self.prices = message.prices
        self.context.unstash_all()

    @on(Price)
    def price(self, message: Price) -> int:
        """Answer, or put the question aside."""
        if self.prices is None:
            self.context.stash()
            return 0  # nobody's answer: the question comes again
        return self.prices[message.item]

    @on(IsReady)
    def is_ready(self, message: IsReady) -> bool:
        """Answer at any time."""
        return self.prices is not None


async def buy(catalog: Ref[Price], item: str, bill: dict[str, int]) -> None:
    """Ask for a price, however long it takes."""
    bill[item] = await catalog.ask(Price(item))


async def main() -> None:
    """Ask too early."""
    bill: dict[str, int] = {}
    async with ActorSystem() as system:
        catalog = await system.spawn(Catalog)
        async with anyio.create_task_group() as customers:
            for item in ("lamp", "chair"):
                customers.start_soon(buy, catalog, item, bill)
            print("ready:", await catalog.ask(IsReady()))
        print("ready:", await catalog.ask(IsReady()))
    print("the lamp costs", bill["lamp"], "and the chair", bill["chair"])


if __name__ == "__main__":
    anyio.run(main)

"""Messages to oneself, later: `send_after` once, `send_every` again and again.

A timer's message comes through the mailbox like any other, so a handler never runs beside another
one. Timers can be cancelled, and they die with the incarnation that set them.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, on


@frozen
class Tick:
    """Come every 20 milliseconds."""


@frozen
class Boil:
    """Come once."""


@frozen
class Burn:
    """Come never: it is cancelled in time."""


class Kettle(Actor[Tick | Boil | Burn]):
    """Watch the clock."""

    ticks = 0

    async def on_start(self) -> None:
        """Set the timers."""
        self.ticking = self.context.send_every(0.02, Tick())
        self.context.send_after(0.07, Boil())
        self.burning = self.context.send_after(0.5, Burn())

    @on(Tick)
    def tick(self, message: Tick) -> None:
        """Count."""
        self.ticks += 1
        print("tick", self.ticks)

    @on(Boil)
    def boil(self, message: Boil) -> None:
        """Stop the clock, and with it everything."""
        print("it boils")
        self.ticking.cancel()
        self.burning.cancel()
        print("still ticking:", self.ticking.active)
        self.context.stop()

    @on(Burn)
    def burn(self, message: Burn) -> None:
        """Be too late."""
        print("it burns")


async def main() -> None:
    """Wait for the kettle."""
    async with ActorSystem() as system:
        kettle = await system.spawn(Kettle)
        print("the kettle ended:", await kettle.wait())


if __name__ == "__main__":
    anyio.run(main)

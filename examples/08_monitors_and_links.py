"""Hear of the end of others: a monitor tells, a link takes along.

A monitor is one-way: one `Down` for each, and nothing else happens. A link is for two that share
their fate: an abnormal end of one is the end of the other, unless that one defines `on_exit`.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, AnyRef, Down, Exited, Request, on


@frozen
class Work:
    """Tell a worker how to end: "well" or in whatever other way."""

    how: str


@frozen
class Watch(Request[None]):
    """Ask somebody to watch a proc; answered when that is so."""

    proc: AnyRef


class Worker(Actor[Work]):
    """End as told."""

    @on(Work)
    def work(self, message: Work) -> None:
        """End."""
        if message.how != "well":
            raise RuntimeError(message.how)
        self.context.stop()


class Observer(Actor[Watch]):
    """Monitor whomever it is told."""

    @on(Watch)
    def watch(self, message: Watch) -> None:
        """Ask for one `Down`."""
        self.context.monitor(message.proc)

    def on_down(self, down: Down) -> None:
        """Hear that a proc has ended, and how."""
        print(f"observer: {down.ref.path} is down, {down.reason}")


class Partner(Actor[Watch]):
    """Share the fate of whomever it is told."""

    @on(Watch)
    def watch(self, message: Watch) -> None:
        """Link both."""
        self.context.link(message.proc)


class Survivor(Partner):
    """Be linked, too, but decide for itself: defining `on_exit` traps exits."""

    def on_exit(self, exited: Exited) -> None:
        """Hear of it instead of dying of it."""
        print(f"survivor: {exited.ref.path} ended, {exited.reason}")
        self.context.stop()


async def main() -> None:
    """End workers in different ways, and see who hears of it."""
    async with ActorSystem() as system:
        observer = await system.spawn(Observer, id="observer")

        first = await system.spawn(Worker, id="first")
        await observer.ask(Watch(first))
        first.tell(Work("well"))
        await first.wait()

        # The observer hears of the partner, the partner of nothing: it is gone with the second.
        second = await system.spawn(Worker, id="second")
        partner = await system.spawn(Partner, id="partner")
        await partner.ask(Watch(second))
        await observer.ask(Watch(partner))
        second.tell(Work("out of memory"))
        await partner.wait()
        observer.stop()  # after the mail that it has
        await observer.wait()

        third = await system.spawn(Worker, id="third")
        survivor = await system.spawn(Survivor, id="survivor")
        await survivor.ask(Watch(third))
        third.tell(Work("out of memory"))
        print("survivor: ended,", await survivor.wait())


if __name__ == "__main__":
    anyio.run(main)

"""Keep a fast sender from flooding a slow receiver: bounded mailboxes.

`send` waits for room; `tell` never waits, so it raises `MailboxFull` instead. Where the newest
counts more than the complete, a mailbox can drop: each loss is a dead letter, never a secret.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, DeadLetter, Event, Mailbox, MailboxFull, Overflow, on


@frozen
class Page:
    """One page to print."""

    number: int


class Printer(Actor[Page]):
    """Take 10 milliseconds for each page."""

    @on(Page)
    async def print_page(self, message: Page) -> None:
        """Print it."""
        await anyio.sleep(0.01)
        print(f"printed page {message.number}")


def on_event(event: Event) -> None:
    """Say what gets lost."""
    match event:
        case DeadLetter(message=Page(number=number), why=why):
            print(f"lost page {number}: {why}")
        case _:
            pass


async def wait_for_room(system: ActorSystem) -> None:
    """Send faster than it prints; never more than two pages wait."""
    printer = await system.spawn(Printer, mailbox=Mailbox(capacity=2))
    most = 0
    for number in range(1, 7):
        await printer.send(Page(number))
        most = max(most, printer.statistics().queued)
    print("most pages that ever waited:", most)
    try:
        for number in range(7, 10):
            printer.tell(Page(number))
    except MailboxFull as error:
        print(f"not taken: {error.message}, there is room for {error.capacity}")
    printer.stop()
    await printer.wait()


async def drop_the_oldest(system: ActorSystem) -> None:
    """Tell five pages at once; the last two are printed."""
    mailbox = Mailbox(capacity=2, overflow=Overflow.DROP_OLD)
    printer = await system.spawn(Printer, mailbox=mailbox)
    for number in range(1, 6):
        printer.tell(Page(number))
    printer.stop()
    await printer.wait()


async def main() -> None:
    """Try both."""
    async with ActorSystem() as system:
        system.events.subscribe(on_event)
        print("-- wait for room")
        await wait_for_room(system)
        print("-- drop the oldest")
        await drop_the_oldest(system)


if __name__ == "__main__":
    anyio.run(main)

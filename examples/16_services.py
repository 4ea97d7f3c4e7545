"""Plain functions as children: `periodic` calls one at a pace, `consumer` takes from a stream.

Neither needs a class. Told to stop, both finish the call in hand. What they raise is a crash, and
the supervisor does what the spec says: here the mailer is started again, and opens its queue anew.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio

from supervision import ChildSpec, SupervisorSpec, consumer, periodic, serve

WAITING = ["ada", "grace", "nobody", "alan"]
SENT: list[str] = []


async def letters() -> AsyncIterator[str]:
    """Give what waits in the queue, then wait for more, as a client of a broker does."""
    while WAITING:
        yield WAITING.pop(0)
    await anyio.sleep_forever()


@asynccontextmanager
async def connect() -> AsyncGenerator[AsyncIterator[str], None]:
    """Open the queue, and close it whatever happens."""
    print("queue: open")
    try:
        yield letters()
    finally:
        print("queue: closed")


async def send(letter: str) -> None:
    """Handle one item."""
    if letter == "nobody":
        raise LookupError("nobody lives there")
    print("mail to", letter)
    SENT.append(letter)


async def main() -> None:
    """Let the letters go; a third child looks every 10 ms whether they have gone."""
    all_sent = anyio.Event()

    def look() -> None:
        if not WAITING:
            all_sent.set()

    tree = SupervisorSpec(
        "post",
        [
            ChildSpec("mailer", consumer(connect, send)),
            ChildSpec("clock", periodic(look, every=0.01)),
        ],
    )
    async with serve(tree) as app:
        await all_sent.wait()
        print("-- sent:", ", ".join(SENT))
        print("-- starts of the mailer:", app.find("mailer").statistics().incarnation)
    print("-- stopped")


if __name__ == "__main__":
    anyio.run(main)

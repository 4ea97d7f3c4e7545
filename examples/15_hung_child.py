"""Wedged, not dead: a handler that waits for ever, and a proc that falls silent, are restarted.

A crash announces itself; a hang does not. A `Watchdog` in the child's spec turns a hang into a
crash whose error says where the code waits. It costs nothing per message: the supervisor looks
now and then. Limits are seconds or minutes in earnest; here they are short, so that there is
something to see.
"""

from collections.abc import Callable

import anyio
from attrs import frozen

from actors import Actor, CancellationToken, Event, Proc, ProcExited, Request, on
from supervision import ChildSpec, SupervisorSpec, Watchdog, serve
from supervision.events import ChildHung


@frozen
class Fetch(Request[str]):
    """Ask for a page."""

    url: str


class Browser(Actor[Fetch]):
    """Fetch pages; one server accepts the connection and never answers."""

    @on(Fetch)
    async def fetch(self, message: Fetch) -> str:
        """Answer with the page."""
        if "slow" in message.url:
            await self.read_response()
        return f"page of {message.url}"

    async def read_response(self) -> None:
        """Forget the timeout."""
        await anyio.sleep_forever()


class Counter(Proc[object]):
    """Count for ever, and promise to beat; it gets stuck the first time."""

    starts = 0

    async def run(self, shutdown: CancellationToken) -> None:
        """Beat at each step; the first incarnation waits for ever at its first one."""
        Counter.starts += 1
        while not shutdown.cancelled:
            self.context.beat()
            await anyio.sleep(0.02 if Counter.starts > 1 else float("inf"))


def tell_until(hung: Callable[[], None]) -> Callable[[Event], None]:
    """Print who hangs, without the numbers that differ from run to run."""

    def hear(event: Event) -> None:
        if isinstance(event, ChildHung):
            own = [place.function for place in event.error.stack if place.file == __file__]
            print(f"{event.error.path} hangs, {event.error.activity}: {' > '.join(own)}")
            hung()

    return hear


async def main() -> None:
    """Serve a child of each kind."""
    tree = SupervisorSpec(
        "web",
        [
            ChildSpec("browser", Browser, watchdog=Watchdog(handler=0.2)),
            ChildSpec("counter", Counter, watchdog=Watchdog(heartbeat=1.0)),
        ],
    )
    silent = anyio.Event()
    found: list[int] = []

    def hung() -> None:
        found.append(1)
        if len(found) == 2:
            silent.set()

    async with serve(tree, observe=[tell_until(hung)]) as app:
        browser = app.find("browser")
        try:
            print(await browser.ask(Fetch("slow.example"), timeout=30.0))
        except ProcExited as error:
            print("no page:", type(error.__cause__).__name__)
        print(await browser.ask(Fetch("quick.example")))
        await silent.wait()
        await anyio.sleep(0.1)
        print("counter lives:", app.find("counter").is_alive)


if __name__ == "__main__":
    anyio.run(main)

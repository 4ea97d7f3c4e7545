"""Two budgets: one customer's broken data parks that customer's importer, and nobody else's.

A supervisor has a budget of restarts for all its children together; when it is spent, it gives up.
A child can have one of its own instead, with a window as long as you like. Here it says `park`:
the child stays down, the others go on, and `RestartChild` brings it back when the data has been
repaired.
"""

from functools import partial

import anyio
from attrs import frozen

from actors import Actor, Event, Request, on
from supervision import (
    Backoff,
    ChildSpec,
    RestartChild,
    SupervisorSpec,
    WhenSpent,
    WhichChildren,
    serve,
)
from supervision.events import ChildParked


@frozen
class Import:
    """Tell an importer to read its customer's data."""


@frozen
class Rows(Request[int]):
    """Ask how many rows there are."""


DATA = {"ada": "3", "grace": "7 rows"}


class Importer(Actor[Import | Rows]):
    """Read the data of one customer."""

    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.rows = 0

    @on(Import)
    def read(self, message: Import) -> None:
        """Crash when the data is no number."""
        self.rows = int(DATA[self.customer])

    @on(Rows)
    def count(self, message: Rows) -> int:
        """Tell how many rows there are."""
        return self.rows


TREE = SupervisorSpec(
    "importers",
    [
        ChildSpec(
            customer,
            partial(Importer, customer),
            # The pauses are the same in each run, as they are drawn under a seed.
            backoff=Backoff(0.01, 0.02, seed=2026),
            max_restarts=2,
            max_seconds=3600.0,
            when_spent=WhenSpent.PARK,
        )
        for customer in DATA
    ],
)


def on_event(event: Event) -> None:
    """Say when a child is parked; the log of `run` does, too."""
    match event:
        case ChildParked(ref=ref, error=error):
            print(f"{ref.path} is parked: {len(error.crashes)} crashes, more than {error.budget}")
        case _:
            pass


async def main() -> None:
    """Import until one child is parked; repair the data; go on."""
    async with serve(TREE, observe=[on_event]) as app:
        ada, grace = app.find("ada"), app.find("grace")
        for _ in range(3):
            ada.tell(Import())
            grace.tell(Import())
            await anyio.sleep(0.03)
        for child in await app.supervisor.ask(WhichChildren()):
            print(f"{child.id}: {child.state}, restarts: {child.restarts}")
        print("ada has rows:", await ada.ask(Rows()))

        print("-- the data is repaired")
        DATA["grace"] = "7"
        await app.supervisor.ask(RestartChild("grace"))
        grace.tell(Import())
        print("grace has rows:", await grace.ask(Rows()))


if __name__ == "__main__":
    anyio.run(main)

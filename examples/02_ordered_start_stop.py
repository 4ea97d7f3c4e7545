"""Start in order, each ready before the next begins; stop in reverse order, each awaited.

The api may use the database in its `on_start`, and still in its `on_stop`: the database is started
before it and stopped after it. A supervisor is a proc like any other, so trees nest.
"""

from functools import partial
from typing import Never

import anyio

from actors import CancellationToken, ExitReason, Proc
from supervision import ChildSpec, SupervisorSpec, serve


class Service(Proc[Never]):
    """Run until told to stop, and say so. It takes no messages: `Never`."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds = seconds

    async def on_start(self) -> None:
        """Get ready; whoever comes next waits for that."""
        print(f"{self.name}: connecting")
        await anyio.sleep(self.seconds)
        print(f"{self.name}: ready")

    async def run(self, shutdown: CancellationToken) -> None:
        """Work until told to stop."""
        await shutdown.wait()

    async def on_stop(self, reason: ExitReason) -> None:
        """Tidy up; whoever came before waits for that."""
        await anyio.sleep(self.seconds)
        print(f"{self.name}: stopped ({reason})")


TREE = SupervisorSpec(
    "shop",
    [
        ChildSpec("database", partial(Service, "database", 0.03)),
        SupervisorSpec(
            "web",
            [
                ChildSpec("cache", partial(Service, "cache", 0.02)),
                ChildSpec("api", partial(Service, "api", 0.01)),
            ],
        ),
    ],
)


async def main() -> None:
    """Serve the tree for a moment."""
    async with serve(TREE) as app:
        print("-- all ready:", app.find("web/api").path)
    print("-- all stopped")


if __name__ == "__main__":
    anyio.run(main)

"""Rest for one: a crash moves the one that crashed and those that started after it.

For workers of which each depends on those before it. `a` knows nothing of `b` and is left alone;
`c` was built on the `b` that is gone, so it is built anew.
"""

from functools import partial

import anyio
from attrs import frozen

from actors import Actor, ExitReason, on
from supervision import ChildSpec, Strategy, SupervisorSpec, WhichChildren, serve


@frozen
class Break:
    """Tell a worker to crash."""


class Worker(Actor[Break]):
    """Say when it starts and how it ends."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def on_start(self) -> None:
        """Say that it starts."""
        print(f"{self.name} starts")

    async def on_stop(self, reason: ExitReason) -> None:
        """Say how it ends; a crash is no exception to that."""
        print(f"{self.name} ends, {reason}")

    @on(Break)
    def crash(self, message: Break) -> None:
        """Fail."""
        raise RuntimeError("broken")


TREE = SupervisorSpec(
    "pool",
    [ChildSpec(name, partial(Worker, name)) for name in ("a", "b", "c")],
    strategy=Strategy.REST_FOR_ONE,
)


async def main() -> None:
    """Crash the worker in the middle."""
    async with serve(TREE) as app:
        print("-- b crashes")
        b = app.find("b")
        b.tell(Break())
        await b.wait()
        # The supervisor answers when it is done with the crash.
        children = await app.supervisor.ask(WhichChildren())
        print("-- restarts:", ", ".join(f"{child.id} {child.restarts}" for child in children))
        print("-- stopping")


if __name__ == "__main__":
    anyio.run(main)

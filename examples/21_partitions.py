"""Partitions: four counters share the load, and each key is always counted by the same one.

A crash costs one partition what it had counted, and the others nothing. A resize moves keys to
other partitions; what those have counted before is not theirs to hand over.
"""

import anyio
from attrs import frozen

from actors import Actor, Request, on
from supervision import ChildSpec, Partitions, PartitionSupervisorSpec, SupervisorSpec, serve


@frozen
class Visit(Request[str]):
    """Count one visit; a visit of nobody is a mistake that crashes the counter."""

    user: str


class Counter(Actor[Visit]):
    """Count visits."""

    def __init__(self) -> None:
        self.visits: dict[str, int] = {}

    @on(Visit)
    def visit(self, message: Visit) -> str:
        """Count one."""
        if not message.user:
            raise ValueError("who?")
        count = self.visits[message.user] = self.visits.get(message.user, 0) + 1
        return f"{message.user}: visit {count}, counted by {self.context.path}"


async def main() -> None:
    """Count visits of some users."""
    counters = PartitionSupervisorSpec("counters", ChildSpec("counter", Counter), partitions=4)
    async with serve(SupervisorSpec("shop", [counters])) as app:
        visits = Partitions[Visit](app.find("counters"))
        for user in ("ada", "grace", "ada", "alan"):
            print(await visits.ask(user, Visit(user)))

        visits.tell("grace", Visit(""))  # crashes the counter that counts grace
        print(await visits.ask("grace", Visit("grace")))
        print(await visits.ask("ada", Visit("ada")))

        await visits.resize(2)
        print("partitions:", len(visits))
        print(await visits.ask("alan", Visit("alan")))


if __name__ == "__main__":
    anyio.run(main)

"""The tree of the chaos run: two hundred procs with options of all kinds, and ways to fail.

`grow` makes it, all at random, from the generator of its `World`; `worker` makes the spec of one
more worker, or of another version of it.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any, final

import anyio
from attrs import evolve, frozen

from actors import Actor, CancellationToken, ExitReason, Ignore, Mailbox, Name, Request, on
from supervision import (
    BRUTAL_KILL,
    Backoff,
    ChildSpec,
    DynamicSupervisorSpec,
    PartitionSupervisorSpec,
    PoolSpec,
    SupervisorSpec,
    Watchdog,
    WhenSpent,
)
from tests.kit.errors import Boom, No
from tests.supervision.chaos.rules import Beginning, Handled, Ignored, Numbered, Taken

__all__ = ["Fault", "Hand", "Message", "No", "Question", "World", "grow", "worker"]


@final
@frozen
class Fault:
    """Make a worker fail in one of the ways there are."""

    how: str


@final
@frozen
class Question(Request[int]):
    """Ask a worker for its incarnation, to be answered after a while, or not."""

    how: str


Message = Numbered | Fault | Question


class World:
    """Hold what the workers share: the next starts that fail, and who runs."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.starts: dict[str, list[str]] = {}
        self.running: Counter[str] = Counter()
        self.doubled: list[str] = []


class Hand(Actor[Message]):
    """Do what it is told, at its own pace, and stop in its own manner."""

    def __init__(self, world: World, manner: str, version: int = 0) -> None:
        self.world = world
        self.manner = manner
        self.version = version

    async def on_start(self) -> None:
        """Begin; fail when that is due."""
        context = self.context
        context.system.events.publish(Beginning(context.ref, context.incarnation))
        due = self.world.starts.get(context.path)
        how = due.pop() if due else ""
        if self.manner == "slow":
            await anyio.sleep(0.2)
        if how == "raise":
            raise Boom(f"start of {context.path}")
        if how == "ignore":
            context.system.events.publish(Ignored(context.ref))
            raise Ignore
        if how == "hang":
            await anyio.sleep(3.0)

    async def run(self, shutdown: CancellationToken) -> None:
        """Handle messages, and be the only one at this path who does."""
        path = self.context.path
        self.world.running[path] += 1
        if self.world.running[path] > 1:
            self.world.doubled.append(path)
        try:
            await super().run(shutdown)
        finally:
            self.world.running[path] -= 1

    async def on_stop(self, reason: ExitReason) -> None:
        """Take some time, or too much, or fail."""
        match self.manner:
            case "slow":
                await anyio.sleep(0.3)
            case "stubborn":
                await anyio.sleep_forever()
            case "clumsy":
                raise Boom(f"stop of {self.context.path}")
            case _:
                pass

    @on(Numbered)
    async def numbered(self, message: Numbered) -> None:
        """Work on it; now and then that is too much."""
        events, ref = self.context.system.events, self.context.ref
        events.publish(Taken(ref, message.number))
        if message.number % 7 == 0:
            await anyio.sleep(0.05)
        if message.number % 41 == 0:
            raise Boom(f"{message.number}")
        events.publish(Handled(ref, message.number))

    @on(Fault)
    async def fault(self, message: Fault) -> None:
        """Fail as asked."""
        match message.how:
            case "crash":
                raise Boom(self.context.path)
            case "leave":
                self.context.stop()
            case "hang":
                await anyio.sleep(20.0)
            case _:
                await anyio.sleep(0.5)

    @on(Question)
    async def question(self, message: Question) -> int:
        """Answer, late or never."""
        match message.how:
            case "crash":
                raise Boom(self.context.path)
            case "refuse":
                raise No
            case "late":
                await anyio.sleep(1.0)
            case _:
                pass
        return self.context.incarnation


# -- the tree --------------------------------------------------------------------------------------


def _options(random: Random, manner: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    options["restart"] = random.choice(["permanent"] * 6 + ["transient"] * 2 + ["temporary"])
    options["shutdown"] = 0.5 if manner == "stubborn" else random.choice([5.0, 1.0, BRUTAL_KILL])
    options["mailbox"] = Mailbox(on_restart=random.choice(["keep", "keep", "drop"]))
    if random.random() < 0.2:
        options["backoff"] = Backoff(0.1, 5.0, seed=random.randrange(1000))
    if random.random() < 0.3:
        options["watchdog"] = Watchdog(handler=4.0)
    if random.random() < 0.2:
        options["max_restarts"] = random.randrange(3)
        options["max_seconds"] = random.choice([10.0, 100.0])
        options["when_spent"] = random.choice([WhenSpent.PARK, WhenSpent.PARK, WhenSpent.ESCALATE])
    if random.random() < 0.2:
        options["start_timeout"] = 2.0
    return options


def worker(world: World, id: str, version: int = 0) -> ChildSpec[Any]:
    """Make the spec of a worker with options of its own."""
    random = world.random
    manner = random.choice(["quick"] * 6 + ["slow", "slow", "stubborn", "clumsy"])
    return ChildSpec(id, partial(Hand, world, manner, version), **_options(random, manner))


def _branch(world: World, id: str, strategy: Any, size: int, *below: ChildSpec[Any]) -> Any:
    workers: list[ChildSpec[Any]] = [worker(world, f"w{number}") for number in range(size)]
    workers[0] = evolve(workers[0], name=Name[Any](f"first-{world.random.randrange(10**9)}"))
    half = size // 2
    children = [*workers[:half], *below, *workers[half:]]
    return SupervisorSpec(
        id, children, strategy=strategy, max_restarts=world.random.choice([3, 5]), max_seconds=10.0
    )


def grow(world: World) -> SupervisorSpec:
    """Make a tree of about two hundred procs; its root has a budget that lasts."""
    sections: list[ChildSpec[Any]] = []
    for strategy in ("one_for_one", "one_for_all", "rest_for_one"):
        for number in range(3):
            inner = _branch(world, "inner", ("one_for_all", "rest_for_one")[number % 2], 5)
            sections.append(_branch(world, f"{strategy}-{number}", strategy, 13, inner))
    single = ChildSpec("w", partial(Hand, world, "quick"))
    sections += [
        DynamicSupervisorSpec("guests", max_children=25, max_restarts=4, max_seconds=10.0),
        PartitionSupervisorSpec("parts", single, partitions=6, max_restarts=4, max_seconds=10.0),
        PoolSpec("pool", single, size=6, max_restarts=4, max_seconds=10.0, attempts=2),
    ]
    return SupervisorSpec("top", sections, max_restarts=10_000, max_seconds=60.0)

"""Spawn and stop actors: the measured side of spawn and of memory.

Guarantees: the public door only, default options, and the result is checked.

>>> import anyio
>>> rate, = anyio.run(spawn_and_stop, 10)
>>> rate > 0
True
"""

from __future__ import annotations

from actors import Actor, ActorSystem, Normal, on
from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.messages import Add, check


class Idle(Actor[Add]):
    """Wait for messages that never come."""

    @on(Add)
    def add(self, message: Add) -> None:
        raise AssertionError("an idle actor got a message")


class Settled(Actor[Add]):
    """Handle a message and wait for the next."""

    @on(Add)
    def add(self, message: Add) -> None:
        pass


class Sleepy(Settled):
    """Do the same, and let go of the task soon."""

    hibernate_after = 0.01


async def spawn_and_stop(size: int) -> tuple[float]:
    """Spawn an actor, stop it, see it ended, one at a time; lives a second."""
    ended = 0
    async with ActorSystem() as system:
        with Stopwatch() as watch:
            for _ in range(size):
                ref = await system.spawn(Idle)
                ref.stop()
                ended += await ref.wait() == Normal()
    check("ended", expected=size, found=ended)
    return (watch.rate(size),)

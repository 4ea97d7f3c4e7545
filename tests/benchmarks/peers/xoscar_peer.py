"""Measure xoscar: actors called by method, in the main pool of one process.

Best known way: `ref.method(...)` for a round trip, `ref.method.tell(...)` without an answer;
all actors in one pool, so nothing is written to a socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import xoscar

from tests.benchmarks.messages import BALL, Add, Ball, Increase
from tests.benchmarks.peers import kit


class Counter(xoscar.Actor):  # type: ignore[misc]
    """Add up amounts."""

    def __init__(self) -> None:
        self.amount = 0

    def add(self, message: Add) -> None:
        self.amount += message.amount

    def increase(self, message: Increase) -> int:
        self.amount += message.amount
        return self.amount

    def total(self) -> int:
        return self.amount


class Player(xoscar.Actor):  # type: ignore[misc]
    """Return so many balls, and say so when one more comes in."""

    def meet(self, partner: Any, returns: int, finished: asyncio.Event) -> None:
        self.partner, self.returns, self.finished = partner, returns, finished

    async def hit(self, ball: Ball) -> None:
        if self.returns:
            self.returns -= 1
            await self.partner.hit.tell(ball)
        else:
            self.finished.set()


async def tell(address: str, size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    counter = await xoscar.create_actor(Counter, address=address)

    async def total() -> int:
        while (found := await counter.total()) < size:  # noqa: ASYNC110 - none to wait for
            # What was told runs in tasks of its own, behind the question.
            await asyncio.sleep(0)
        return int(found)

    return await kit.tells(size, counter.add.tell, total)


async def ask(address: str, size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    counter = await xoscar.create_actor(Counter, address=address)
    return await kit.asks(size, counter.increase)


async def ping_pong(address: str, size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = asyncio.Event()
    left = await xoscar.create_actor(Player, address=address)
    right = await xoscar.create_actor(Player, address=address)
    await left.meet(right, size - 1, finished)
    await right.meet(left, size, asyncio.Event())
    with kit.Stopwatch() as watch:
        await right.hit.tell(BALL)
        await asyncio.wait_for(finished.wait(), 60)
    return watch.rate(size)


async def spawn_stop(address: str, size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    with kit.Stopwatch() as watch:
        for _ in range(size):
            await xoscar.destroy_actor(await xoscar.create_actor(Counter, address=address))
    return watch.rate(size)


def run(program: Callable[[str, int], Awaitable[float]], size: int) -> float:
    """Run a program in a fresh pool."""

    async def main() -> float:
        pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
        async with pool:
            return await program(pool.external_address, size)

    return asyncio.run(main())


logging.disable(logging.CRITICAL)
kit.main(
    kit.all_of(run, tell, ask, ping_pong, spawn_stop), {"restart": "restarts processes, not actors"}
)

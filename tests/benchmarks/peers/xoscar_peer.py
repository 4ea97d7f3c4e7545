"""Measure xoscar: actors called by method, in the main pool of one process.

Best known way: `ref.method(...)` for a round trip, `ref.method.tell(...)` without an answer;
all actors in one pool, so nothing is written to a socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import xoscar

from tests.benchmarks.messages import BALL, INCREASE, Add, Ball, Increase, additions, check
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
    messages = additions(size)
    counter = await xoscar.create_actor(Counter, address=address)
    started = perf_counter()
    for message in messages:
        await counter.add.tell(message)
    total = await counter.total()
    while total < size:
        # What was told runs in tasks of its own, behind the question.
        await asyncio.sleep(0)
        total = await counter.total()
    seconds = perf_counter() - started
    check("total", expected=size, found=total)
    return size / seconds


async def ask(address: str, size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    counter = await xoscar.create_actor(Counter, address=address)
    total = 0
    started = perf_counter()
    for _ in range(size):
        total = await counter.increase(INCREASE)
    seconds = perf_counter() - started
    check("total", expected=size, found=total)
    return size / seconds


async def ping_pong(address: str, size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = asyncio.Event()
    left = await xoscar.create_actor(Player, address=address)
    right = await xoscar.create_actor(Player, address=address)
    await left.meet(right, size - 1, finished)
    await right.meet(left, size, asyncio.Event())
    started = perf_counter()
    await right.hit.tell(BALL)
    await asyncio.wait_for(finished.wait(), 60)
    return size / (perf_counter() - started)


async def spawn_stop(address: str, size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    started = perf_counter()
    for _ in range(size):
        await xoscar.destroy_actor(await xoscar.create_actor(Counter, address=address))
    return size / (perf_counter() - started)


def run(program: Callable[[str, int], Awaitable[float]]) -> kit.Program:
    """Run a program in a fresh pool."""

    async def main(size: int) -> float:
        pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
        async with pool:
            return await program(pool.external_address, size)

    return lambda size: asyncio.run(main(size))


logging.disable(logging.CRITICAL)
kit.main(
    {
        "tell": run(tell),
        "ask": run(ask),
        "ping_pong": run(ping_pong),
        "spawn_stop": run(spawn_stop),
    },
    {"restart": "restarts processes, not actors"},
)

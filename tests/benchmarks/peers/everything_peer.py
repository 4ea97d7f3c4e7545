"""Measure everything-is-an-actor: asyncio actors with one `on_receive` each.

Best known way: `tell` and `ask` on refs with a mailbox that has room for everything, so that no
sender waits; a child of a parent with `OneForOneStrategy` for restarts. A restart keeps the task
and replaces the instance. Its public package is called `actor_for_agents`.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Any

from actor_for_agents import Actor, ActorRef, ActorSystem, OneForOneStrategy

from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import BALL, INCREASE, Boom, additions, check
from tests.benchmarks.peers import kit

UNLIMITED = 1_000_000


class Counter(Actor[Any, int]):
    """Add up amounts."""

    async def on_started(self) -> None:
        self.total = 0

    async def on_receive(self, message: Any) -> int:
        if message is not None:
            self.total += message.amount
        return self.total


class Player(Actor[Any, None]):
    """Return so many balls, and say so when one more comes in."""

    async def on_receive(self, message: Any) -> None:
        if type(message) is tuple:
            self.partner, self.returns, self.finished = message
        elif self.returns:
            self.returns -= 1
            await self.partner.tell(message)
        else:
            self.finished.set()


class Log:
    """Outlive the incarnations and keep their times."""

    raised_at: float | None = None
    delays: list[float] = []  # noqa: RUF012 - an actor here takes no arguments
    ready: asyncio.Event
    worker: ActorRef[Any, Any]


class Worker(Actor[Any, None]):
    """Crash when told to."""

    async def on_started(self) -> None:
        if Log.raised_at is not None:
            Log.delays.append(perf_counter() - Log.raised_at)
        Log.ready.set()

    async def on_receive(self, message: Any) -> None:
        Log.raised_at = perf_counter()
        raise Boom


class Parent(Actor[Any, None]):
    """Supervise one worker."""

    def supervisor_strategy(self) -> OneForOneStrategy:
        return OneForOneStrategy(max_restarts=UNLIMITED)

    async def on_started(self) -> None:
        Log.worker = await self.context.spawn(Worker, "worker")


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    system = ActorSystem()
    counter = await system.spawn(Counter, "counter", mailbox_size=0)
    started = perf_counter()
    for message in messages:
        await counter.tell(message)
    total = await counter.ask(None, timeout=120.0)
    seconds = perf_counter() - started
    await system.shutdown()
    check("total", expected=size, found=total)
    return size / seconds


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    system = ActorSystem()
    counter = await system.spawn(Counter, "counter")
    total = 0
    started = perf_counter()
    for _ in range(size):
        total = await counter.ask(INCREASE)
    seconds = perf_counter() - started
    await system.shutdown()
    check("total", expected=size, found=total)
    return size / seconds


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    system, finished = ActorSystem(), asyncio.Event()
    left = await system.spawn(Player, "left")
    right = await system.spawn(Player, "right")
    await left.ask((right, size - 1, finished))
    await right.ask((left, size, asyncio.Event()))
    started = perf_counter()
    await right.tell(BALL)
    await finished.wait()
    seconds = perf_counter() - started
    await system.shutdown()
    return size / seconds


class Root(Actor[Any, None]):
    """Start children, which leave their parent when they end; a root's name is never free again."""

    async def on_receive(self, message: int) -> None:
        for _ in range(message):
            child = await self.context.spawn(Counter, "child")
            child.stop()
            await child.join()


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    system = ActorSystem()
    root = await system.spawn(Root, "root")
    started = perf_counter()
    await root.ask(size, timeout=120.0)
    seconds = perf_counter() - started
    await system.shutdown()
    return size / seconds


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    system = ActorSystem()
    Log.ready, Log.raised_at = asyncio.Event(), None
    Log.delays.clear()
    await system.spawn(Parent, "parent")
    for _ in range(size):
        Log.ready = asyncio.Event()
        await Log.worker.tell("crash")
        await Log.ready.wait()
    await system.shutdown()
    check("restarts", expected=size, found=len(Log.delays))
    return percentile(Log.delays, 50) * 1e6


logging.disable(logging.CRITICAL)
kit.main(
    {
        "tell": lambda size: asyncio.run(tell(size)),
        "ask": lambda size: asyncio.run(ask(size)),
        "ping_pong": lambda size: asyncio.run(ping_pong(size)),
        "spawn_stop": lambda size: asyncio.run(spawn_stop(size)),
        "restart": lambda size: asyncio.run(restart(size)),
    }
)

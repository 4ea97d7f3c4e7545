"""Measure everything-is-an-actor: asyncio actors with one `on_receive` each.

Best known way: `tell` and `ask` on refs with a mailbox that has room for everything, so that no
sender waits; a child of a parent with `OneForOneStrategy` for restarts. A restart keeps the task
and replaces the instance. Its public package is called `actor_for_agents`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from actor_for_agents import Actor, ActorRef, ActorSystem, OneForOneStrategy

from tests.benchmarks.messages import BALL, Boom
from tests.benchmarks.peers import kit


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


class Log(kit.Log):
    """Know the worker, too."""

    ready: asyncio.Event
    worker: ActorRef[Any, Any]


LOG = Log()  # an actor here takes no arguments


class Worker(Actor[Any, None]):
    """Crash when told to."""

    async def on_started(self) -> None:
        LOG.started()
        LOG.ready.set()

    async def on_receive(self, message: Any) -> None:
        LOG.crashing()
        raise Boom


class Parent(Actor[Any, None]):
    """Supervise one worker."""

    def supervisor_strategy(self) -> OneForOneStrategy:
        return OneForOneStrategy(max_restarts=kit.UNLIMITED)

    async def on_started(self) -> None:
        LOG.worker = await self.context.spawn(Worker, "worker")


@asynccontextmanager
async def running() -> AsyncGenerator[ActorSystem]:
    """Shut an actor system down at the end."""
    system = ActorSystem()
    yield system
    await system.shutdown()


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    async with running() as system:
        counter = await system.spawn(Counter, "counter", mailbox_size=0)
        return await kit.tells(size, counter.tell, partial(counter.ask, None, timeout=120.0))


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    async with running() as system:
        counter = await system.spawn(Counter, "counter")
        return await kit.asks(size, counter.ask)


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = asyncio.Event()
    async with running() as system:
        left = await system.spawn(Player, "left")
        right = await system.spawn(Player, "right")
        await left.ask((right, size - 1, finished))
        await right.ask((left, size, asyncio.Event()))
        with kit.Stopwatch() as watch:
            await right.tell(BALL)
            await finished.wait()
    return watch.rate(size)


class Root(Actor[Any, None]):
    """Start children, which leave their parent when they end; a root's name is never free again."""

    async def on_receive(self, message: int) -> None:
        for _ in range(message):
            child = await self.context.spawn(Counter, "child")
            child.stop()
            await child.join()


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    async with running() as system:
        root = await system.spawn(Root, "root")
        with kit.Stopwatch() as watch:
            await root.ask(size, timeout=120.0)
    return watch.rate(size)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    LOG.ready, LOG.raised_at = asyncio.Event(), None
    LOG.delays.clear()
    async with running() as system:
        await system.spawn(Parent, "parent")
        for _ in range(size):
            LOG.ready = asyncio.Event()
            await LOG.worker.tell("crash")
            await LOG.ready.wait()
    return LOG.median(size)


logging.disable(logging.CRITICAL)
kit.main(
    kit.all_of(
        lambda program, size: asyncio.run(program(size)), tell, ask, ping_pong, spawn_stop, restart
    )
)

"""Measure triotp: generic servers on trio, with `cast`, `call` and a supervisor.

Best known way: a generic server each, reached by its registered name. A server's callbacks are
looked up by attribute, so an object stands where its examples have a module. Its mailbox holds
no message: `cast` waits until the server takes it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
from triotp import gen_server, mailbox, supervisor

from tests.benchmarks.messages import BALL, Boom
from tests.benchmarks.peers import kit


class Counter:
    """Add up amounts; say when it is ready; stop when told to."""

    __name__ = "counter"

    def __init__(self) -> None:
        self.ready = trio.Event()

    async def init(self, _argument: Any) -> int:
        self.ready.set()
        return 0

    async def handle_call(self, message: Any, _caller: Any, state: int) -> tuple[Any, int]:
        if message is not None:
            state += message.amount
        return gen_server.Reply(state), state

    async def handle_cast(self, message: Any, state: int) -> tuple[Any, int]:
        if message == "stop":
            return gen_server.Stop(), state
        return gen_server.NoReply(), state + message.amount


class Player:
    """Return so many balls to its partner, and say so when one more comes in."""

    __name__ = "player"

    def __init__(self, partner: str, returns: int) -> None:
        self.partner, self.returns = partner, returns
        self.ready, self.finished = trio.Event(), trio.Event()

    async def init(self, _argument: Any) -> None:
        self.ready.set()

    async def handle_cast(self, message: Any, state: None) -> tuple[Any, None]:
        if self.returns:
            self.returns -= 1
            await gen_server.cast(self.partner, message)
        else:
            self.finished.set()
        return gen_server.NoReply(), state


class Worker:
    """Crash when told to; keep the times."""

    __name__ = "worker"

    def __init__(self) -> None:
        self.log = kit.Log()
        self.ready = trio.Event()

    async def init(self, _argument: Any) -> None:
        self.log.started()
        self.ready.set()

    async def handle_cast(self, _message: Any, _state: None) -> None:
        self.log.crashing()
        raise Boom

    async def terminate(self, _reason: Any, _state: None) -> None:
        pass


@asynccontextmanager
async def serving(**servers: Counter | Player) -> AsyncGenerator[None]:
    """Start generic servers, and stop them at the end."""
    mailbox._init()
    async with trio.open_nursery() as nursery:
        for name, server in servers.items():
            nursery.start_soon(gen_server.start, server, None, name)
            await server.ready.wait()
        yield
        nursery.cancel_scope.cancel()


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    async with serving(counter=Counter()):
        total = partial(gen_server.call, "counter", None)
        return await kit.tells(size, partial(gen_server.cast, "counter"), total)


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    async with serving(counter=Counter()):
        return await kit.asks(size, partial(gen_server.call, "counter", timeout=5.0))


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    left, right = Player("right", size - 1), Player("left", size)
    async with serving(left=left, right=right):
        with kit.Stopwatch() as watch:
            await gen_server.cast("right", BALL)
            await left.finished.wait()
    return watch.rate(size)


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    mailbox._init()
    ended = trio.Event()

    async def live(counter: Counter) -> None:
        await gen_server.start(counter, None, "counter")
        ended.set()

    async with trio.open_nursery() as nursery:
        with kit.Stopwatch() as watch:
            for _ in range(size):
                ended, counter = trio.Event(), Counter()
                nursery.start_soon(live, counter)
                await counter.ready.wait()
                await gen_server.cast("counter", "stop")
                await ended.wait()
    return watch.rate(size)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    mailbox._init()
    worker = Worker()
    spec = supervisor.child_spec(id="worker", task=gen_server.start, args=[worker, None, "worker"])
    limits = supervisor.options(max_restarts=kit.UNLIMITED, max_seconds=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.start, [spec], limits)
        await worker.ready.wait()
        for _ in range(size):
            worker.ready = trio.Event()
            await gen_server.cast("worker", "crash")
            await worker.ready.wait()
        nursery.cancel_scope.cancel()
    return worker.log.median(size)


logging.disable(logging.CRITICAL)
try:
    # What it logs at each restart goes through this package; no peer is measured by its logs.
    from logbook import NullHandler

    NullHandler().push_application()
except ImportError:
    pass

kit.main(kit.all_of(trio.run, tell, ask, ping_pong, spawn_stop, restart))

"""Measure triotp: generic servers on trio, with `cast`, `call` and a supervisor.

Best known way: a generic server each, reached by its registered name. A server's callbacks are
looked up by attribute, so an object stands where its examples have a module. Its mailbox holds
no message: `cast` waits until the server takes it.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

import trio
from triotp import gen_server, mailbox, supervisor

from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import BALL, INCREASE, Boom, additions, check
from tests.benchmarks.peers import kit

UNLIMITED = 1_000_000


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
        self.raised_at: float | None = None
        self.delays: list[float] = []
        self.ready = trio.Event()

    async def init(self, _argument: Any) -> None:
        if self.raised_at is not None:
            self.delays.append(perf_counter() - self.raised_at)
        self.ready.set()

    async def handle_cast(self, _message: Any, _state: None) -> None:
        self.raised_at = perf_counter()
        raise Boom

    async def terminate(self, _reason: Any, _state: None) -> None:
        pass


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    mailbox._init()
    messages = additions(size)
    counter = Counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, counter, None, "counter")
        await counter.ready.wait()
        started = perf_counter()
        for message in messages:
            await gen_server.cast("counter", message)
        total = await gen_server.call("counter", None)
        seconds = perf_counter() - started
        nursery.cancel_scope.cancel()
    check("total", expected=size, found=total)
    return size / seconds


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    mailbox._init()
    counter = Counter()
    total = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, counter, None, "counter")
        await counter.ready.wait()
        started = perf_counter()
        for _ in range(size):
            total = await gen_server.call("counter", INCREASE, timeout=5.0)
        seconds = perf_counter() - started
        nursery.cancel_scope.cancel()
    check("total", expected=size, found=total)
    return size / seconds


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    mailbox._init()
    left, right = Player("right", size - 1), Player("left", size)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, left, None, "left")
        nursery.start_soon(gen_server.start, right, None, "right")
        await left.ready.wait()
        await right.ready.wait()
        started = perf_counter()
        await gen_server.cast("right", BALL)
        await left.finished.wait()
        seconds = perf_counter() - started
        nursery.cancel_scope.cancel()
    return size / seconds


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    mailbox._init()
    ended = trio.Event()

    async def live(counter: Counter) -> None:
        await gen_server.start(counter, None, "counter")
        ended.set()

    async with trio.open_nursery() as nursery:
        started = perf_counter()
        for _ in range(size):
            ended, counter = trio.Event(), Counter()
            nursery.start_soon(live, counter)
            await counter.ready.wait()
            await gen_server.cast("counter", "stop")
            await ended.wait()
        seconds = perf_counter() - started
    return size / seconds


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    mailbox._init()
    worker = Worker()
    spec = supervisor.child_spec(id="worker", task=gen_server.start, args=[worker, None, "worker"])
    limits = supervisor.options(max_restarts=UNLIMITED, max_seconds=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.start, [spec], limits)
        await worker.ready.wait()
        for _ in range(size):
            worker.ready = trio.Event()
            await gen_server.cast("worker", "crash")
            await worker.ready.wait()
        nursery.cancel_scope.cancel()
    check("restarts", expected=size, found=len(worker.delays))
    return percentile(worker.delays, 50) * 1e6


logging.disable(logging.CRITICAL)
try:
    # What it logs at each restart goes through this package; no peer is measured by its logs.
    from logbook import NullHandler

    NullHandler().push_application()
except ImportError:
    pass

kit.main(
    {
        "tell": lambda size: trio.run(tell, size),
        "ask": lambda size: trio.run(ask, size),
        "ping_pong": lambda size: trio.run(ping_pong, size),
        "spawn_stop": lambda size: trio.run(spawn_stop, size),
        "restart": lambda size: trio.run(restart, size),
    }
)

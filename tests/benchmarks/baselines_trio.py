"""Write some workloads by hand in plain trio, as a second reference for trio's rows.

Guarantees: the same work and the same messages as the asyncio baselines. These are no
baselines themselves: every ratio against a target is taken against plain asyncio, and
these show how much of a trio row's distance is the loop's own.

>>> import trio
>>> rate, = trio.run(tell, 10)
>>> rate > 0
True
"""

from __future__ import annotations

import math

import trio

from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.messages import BALL, INCREASE, Add, Ball, Increase, additions, check


async def tell(size: int) -> tuple[float]:
    """Send `size` messages into a channel that one task consumes; messages a second."""
    messages = additions(size)
    send, receive = trio.open_memory_channel[Add](math.inf)
    total = 0

    async def consume() -> None:
        nonlocal total
        for _ in range(size):
            message = await receive.receive()
            total += message.amount

    with Stopwatch() as watch:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            await trio.lowlevel.checkpoint()
            watch.__enter__()  # again: the consumer is ready
            for message in messages:
                send.send_nowait(message)
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def ask(size: int) -> tuple[float]:
    """Send a request through one channel, its answer through another; trips a second."""
    send_request, receive_request = trio.open_memory_channel[Increase](1)
    send_reply, receive_reply = trio.open_memory_channel[int](1)
    total = 0

    async def answer() -> None:
        held = 0
        for _ in range(size):
            message = await receive_request.receive()
            held += message.amount
            send_reply.send_nowait(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        await trio.lowlevel.checkpoint()
        with Stopwatch() as watch:
            for _ in range(size):
                send_request.send_nowait(INCREASE)
                total = await receive_reply.receive()
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def ping_pong(size: int) -> tuple[float]:
    """Pass one object to and fro between two tasks with a channel each; trips a second."""
    send_there, receive_there = trio.open_memory_channel[Ball](1)
    send_back, receive_back = trio.open_memory_channel[Ball](1)
    ball = BALL

    async def return_each() -> None:
        for _ in range(size):
            send_back.send_nowait(await receive_there.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(return_each)
        await trio.lowlevel.checkpoint()
        with Stopwatch() as watch:
            for _ in range(size):
                send_there.send_nowait(ball)
                ball = await receive_back.receive()
    check("ball", expected=BALL, found=ball)
    return (watch.rate(size),)


async def live_and_stop(size: int) -> tuple[float]:
    """Start a task, see it ready, tell it to end, see it ended; lives a second."""
    lives = 0

    async def live(ready: trio.Event, stop: trio.Event, ended: trio.Event) -> None:
        nonlocal lives
        ready.set()
        await stop.wait()
        lives += 1
        ended.set()

    async with trio.open_nursery() as nursery:
        with Stopwatch() as watch:
            for _ in range(size):
                ready, stop, ended = trio.Event(), trio.Event(), trio.Event()
                nursery.start_soon(live, ready, stop, ended)
                await ready.wait()
                stop.set()
                await ended.wait()
    check("lives", expected=size, found=lives)
    return (watch.rate(size),)

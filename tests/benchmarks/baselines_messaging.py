"""Send messages by hand in plain asyncio, the way one would without a library.

Guarantees: a baseline does the work of its workload and nothing else: no handler
table, no deadline, no supervision, no end other than its last message. It handles the
same message objects and checks the same result. What it leaves out is exactly what
the actors add, so a ratio of 1 means that those come for free.

>>> import asyncio
>>> rate, = asyncio.run(tell(10))
>>> rate > 0
True
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.messages import (
    BALL,
    BURST,
    INCREASE,
    SENDERS,
    Add,
    Ball,
    Increase,
    additions,
    check,
    shares,
)

Consumer: TypeAlias = Callable[[Queue[Add], int], Coroutine[Any, Any, int]]
Asked: TypeAlias = Queue[tuple[Increase, Future[int]]]


async def tell(size: int) -> tuple[float]:
    """Put `size` messages into a queue that one task consumes; messages a second."""
    return await _tell(size, _consume)


async def tell_coroutine(size: int) -> tuple[float]:
    """Do as `tell`, the consumer awaiting a coroutine function for each message."""
    return await _tell(size, _consume_by_coroutine)


async def _tell(size: int, consume: Consumer) -> tuple[float]:
    messages = additions(size)
    queue: Queue[Add] = Queue()
    consumer = asyncio.create_task(consume(queue, size))
    await asyncio.sleep(0)
    with Stopwatch() as watch:
        for message in messages:
            queue.put_nowait(message)
        total = await consumer
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def _consume(queue: Queue[Add], number: int) -> int:
    total = 0
    for _ in range(number):
        message = await queue.get()
        total += message.amount
    return total


async def _consume_by_coroutine(queue: Queue[Add], number: int) -> int:
    total = 0

    async def handle(message: Add) -> None:
        nonlocal total
        total += message.amount

    for _ in range(number):
        await handle(await queue.get())
    return total


async def fan_in(size: int) -> tuple[float]:
    """Let many tasks fill one queue in bursts; messages a second."""
    share = shares(size)
    number = SENDERS * len(share)
    queue: Queue[Add] = Queue()
    consumer = asyncio.create_task(_consume(queue, number))
    await asyncio.sleep(0)
    with Stopwatch() as watch:
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(_put_in_bursts(queue, share))
        total = await consumer
    check("total", expected=number, found=total)
    return (watch.rate(number),)


async def _put_in_bursts(queue: Queue[Add], share: tuple[Add, ...]) -> None:
    for position, message in enumerate(share, 1):
        queue.put_nowait(message)
        if position % BURST == 0:
            await asyncio.sleep(0)


async def ask_by_futures(size: int) -> tuple[float]:
    """Hand a request over in one future and the answer back in another; trips a second."""
    return await _ask_by_futures(size, waits=False)


async def ask_waiting(size: int) -> tuple[float]:
    """Do the same, the server giving way before each answer."""
    return await _ask_by_futures(size, waits=True)


async def _ask_by_futures(size: int, *, waits: bool) -> tuple[float]:
    loop = asyncio.get_running_loop()
    inbox: Future[tuple[Increase, Future[int]]] = loop.create_future()

    async def answer() -> None:
        nonlocal inbox
        total = 0
        for _ in range(size):
            message, reply = await inbox
            inbox = loop.create_future()
            if waits:
                await asyncio.sleep(0)
            total += message.amount
            reply.set_result(total)

    server = asyncio.create_task(answer())
    await asyncio.sleep(0)
    total = 0
    with Stopwatch() as watch:
        for _ in range(size):
            reply: Future[int] = loop.create_future()
            inbox.set_result((INCREASE, reply))
            total = await reply
    await server
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def ask_by_queue(size: int, timeout: float | None = None) -> tuple[float]:
    """Queue the request, answer in a future; trips a second."""
    loop = asyncio.get_running_loop()
    queue: Asked = Queue()
    server = asyncio.create_task(_answer_from(queue, size))
    await asyncio.sleep(0)
    total = 0
    with Stopwatch() as watch:
        for _ in range(size):
            reply: Future[int] = loop.create_future()
            queue.put_nowait((INCREASE, reply))
            total = await (reply if timeout is None else asyncio.wait_for(reply, timeout))
    await server
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def ask_with_wait_for(size: int) -> tuple[float]:
    """Do the same, with a deadline of 5 s for each answer."""
    return await ask_by_queue(size, 5.0)


async def _answer_from(queue: Asked, number: int) -> None:
    total = 0
    for _ in range(number):
        message, reply = await queue.get()
        total += message.amount
        reply.set_result(total)


async def ping_pong_by_queues(size: int) -> tuple[float]:
    """Pass one object to and fro between two tasks with a queue each; trips a second."""
    left: Queue[Ball] = Queue()
    right: Queue[Ball] = Queue()
    partner = asyncio.create_task(_return_each(right, left, size))
    await asyncio.sleep(0)
    with Stopwatch() as watch:
        right.put_nowait(BALL)
        served = await _return_each(left, right, size - 1)
        last = await left.get()
    check("trips", expected=(size - 1, size), found=(served, await partner))
    check("ball", expected=BALL, found=last)
    return (watch.rate(size),)


async def _return_each(inbox: Queue[Ball], outbox: Queue[Ball], number: int) -> int:
    returned = 0
    for _ in range(number):
        outbox.put_nowait(await inbox.get())
        returned += 1
    return returned


async def ping_pong_by_futures(size: int) -> tuple[float]:
    """Pass one object to and fro between two tasks in bare futures; trips a second."""
    loop = asyncio.get_running_loop()
    there: Future[Ball] = loop.create_future()
    back: Future[Ball] = loop.create_future()

    async def return_each() -> None:
        nonlocal there
        for _ in range(size):
            ball = await there
            there = loop.create_future()
            back.set_result(ball)

    partner = asyncio.create_task(return_each())
    await asyncio.sleep(0)
    ball = BALL
    with Stopwatch() as watch:
        for _ in range(size):
            there.set_result(ball)
            ball = await back
            back = loop.create_future()
    await partner
    check("ball", expected=BALL, found=ball)
    return (watch.rate(size),)

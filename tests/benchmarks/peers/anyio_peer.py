"""Measure anyio's memory object streams: no actors, but what most people build them from.

Best known way: an unbounded stream with `send_nowait`; one stream there and one back for a
round trip; `TaskGroup.start` for a task that says when it is ready.
"""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel
from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskStatus

from tests.benchmarks.messages import BALL, INCREASE, Add, Ball, Increase, additions, check
from tests.benchmarks.peers import kit


async def tell(size: int) -> float:
    """Send `size` messages through one stream; messages a second."""
    messages = additions(size)
    send, receive = anyio.create_memory_object_stream[Add](math.inf)
    total = 0

    async def consume() -> None:
        nonlocal total
        async with receive:
            async for message in receive:
                total += message.amount
        finished.set()

    async with anyio.create_task_group() as tasks:
        finished = anyio.Event()
        tasks.start_soon(consume)
        await anyio.lowlevel.checkpoint()
        with kit.Stopwatch() as watch:
            for message in messages:
                send.send_nowait(message)
            send.close()
            await finished.wait()
    check("total", expected=size, found=total)
    return watch.rate(size)


async def ask(size: int) -> float:
    """Send requests through one stream, answers through another; trips a second."""
    send_request, requests = anyio.create_memory_object_stream[Increase](1)
    send_reply, replies = anyio.create_memory_object_stream[int](1)
    total = 0

    async def answer() -> None:
        held = 0
        with requests, send_reply:
            async for message in requests:
                held += message.amount
                send_reply.send_nowait(held)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        await anyio.lowlevel.checkpoint()
        with kit.Stopwatch() as watch:
            for _ in range(size):
                send_request.send_nowait(INCREASE)
                total = await replies.receive()
        send_request.close()
    replies.close()
    check("total", expected=size, found=total)
    return watch.rate(size)


async def ping_pong(size: int) -> float:
    """Pass a ball between two tasks; round trips a second."""
    to_left, left = anyio.create_memory_object_stream[Ball](1)
    to_right, right = anyio.create_memory_object_stream[Ball](1)

    async def play(
        inbox: ObjectReceiveStream[Ball], outbox: ObjectSendStream[Ball], number: int
    ) -> None:
        for _ in range(number):
            await outbox.send(await inbox.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play, right, to_left, size)
        await anyio.lowlevel.checkpoint()
        with kit.Stopwatch() as watch:
            to_right.send_nowait(BALL)
            await play(left, to_right, size - 1)
            last = await left.receive()
    for stream in (to_left, left, to_right, right):
        stream.close()
    check("ball", expected=BALL, found=last)
    return watch.rate(size)


async def spawn_stop(size: int) -> float:
    """Start a task, see it ready, end it, see it ended; lives a second."""
    ended = 0

    async def live(
        receive: ObjectReceiveStream[Add],
        finished: anyio.Event,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        nonlocal ended
        task_status.started()
        async with receive:
            async for _ in receive:
                pass
        ended += 1
        finished.set()

    async with anyio.create_task_group() as tasks:
        with kit.Stopwatch() as watch:
            for _ in range(size):
                send, receive = anyio.create_memory_object_stream[Add](math.inf)
                finished = anyio.Event()
                await tasks.start(live, receive, finished)
                send.close()
                await finished.wait()
    check("ended", expected=size, found=ended)
    return watch.rate(size)


kit.main(kit.all_of(anyio.run, tell, ask, ping_pong, spawn_stop), {"restart": "has no supervision"})

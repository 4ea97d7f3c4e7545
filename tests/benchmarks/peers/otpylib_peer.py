"""Measure otpylib: generic servers in processes of its own asyncio runtime.

Best known way: modules of the GEN_SERVER behavior, started with `gen_server.start` from inside a
process and reached by name, because `call` finds no others, and a module of the SUPERVISOR
behavior. No logger process is started, so what it logs goes nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from otpylib import atom, gen_server, process
from otpylib.module import GEN_SERVER, SUPERVISOR, OTPModule
from otpylib.runtime import reset_runtime, set_runtime
from otpylib.runtime.backends.asyncio_backend.backend import AsyncIOBackend
from otpylib.supervisor import ONE_FOR_ONE, PERMANENT, child_spec, options

from tests.benchmarks.messages import BALL, Boom, check
from tests.benchmarks.peers import kit

DOWN = atom.ensure("DOWN")
COUNTER, LEFT, RIGHT = "counter", "left", "right"


async def reply(self: Any, request: Any, from_pid: Any, state: Any) -> Any:
    """Answer nothing: a module must have all callbacks, also those that are never called."""
    return gen_server.Reply(None), state


async def ignore(self: Any, message: Any, state: Any) -> Any:
    """Take no notice of other mail."""
    return gen_server.NoReply(), state


async def end(self: Any, reason: Any, state: Any) -> None:
    """Do nothing at the end."""


class Counter(metaclass=OTPModule, behavior=GEN_SERVER, version="1.0.0"):
    """Add up amounts."""

    async def init(self, args: Any) -> int:
        return 0

    async def handle_call(self, request: Any, from_pid: Any, state: int) -> Any:
        if request is not None:
            state += request.amount
        return gen_server.Reply(state), state

    async def handle_cast(self, message: Any, state: int) -> Any:
        if message == "stop":
            return gen_server.Stop(), state
        return gen_server.NoReply(), state + message.amount

    handle_info, terminate = ignore, end


class Player(metaclass=OTPModule, behavior=GEN_SERVER, version="1.0.0"):
    """Return so many balls, and say so when one more comes in."""

    async def init(self, args: Any) -> Any:
        return list(args)

    handle_call = reply

    async def handle_cast(self, message: Any, state: Any) -> Any:
        partner, returns, finished = state
        if returns:
            state[1] -= 1
            await gen_server.cast(partner, message)
        else:
            finished.set()
        return gen_server.NoReply(), state

    handle_info, terminate = ignore, end


class Log(kit.Log):
    """Know the present incarnation of the worker, too."""

    ready: asyncio.Event
    worker: Any


class Worker(metaclass=OTPModule, behavior=GEN_SERVER, version="1.0.0"):
    """Crash when told to."""

    async def init(self, args: Any) -> Any:
        args.started()
        args.worker = process.self()
        args.ready.set()
        return args

    handle_call = reply

    async def handle_cast(self, message: Any, state: Any) -> Any:
        state.crashing()
        raise Boom

    handle_info, terminate = ignore, end


class Tree(metaclass=OTPModule, behavior=SUPERVISOR, version="1.0.0"):
    """Supervise one worker."""

    async def init(self, args: Any) -> Any:
        spec = child_spec(id="worker", module=Worker, args=args, restart=PERMANENT)
        limits = options(max_restarts=kit.UNLIMITED, max_seconds=1, strategy=ONE_FOR_ONE)
        return [spec], limits

    terminate = end


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    await gen_server.start(Counter, name=COUNTER)
    total = partial(gen_server.call, COUNTER, None, timeout=120.0)
    return await kit.tells(size, partial(gen_server.cast, COUNTER), total)


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    await gen_server.start(Counter, name=COUNTER)
    return await kit.asks(size, partial(gen_server.call, COUNTER, timeout=5.0))


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = asyncio.Event()
    await gen_server.start(Player, (RIGHT, size - 1, finished), name=LEFT)
    await gen_server.start(Player, (LEFT, size, asyncio.Event()), name=RIGHT)
    with kit.Stopwatch() as watch:
        await gen_server.cast(RIGHT, BALL)
        await finished.wait()
    return watch.rate(size)


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    with kit.Stopwatch() as watch:
        for _ in range(size):
            pid = await gen_server.start(Counter)
            await process.monitor(pid)
            await gen_server.cast(pid, "stop")
            message = await process.receive(timeout=5.0)
            check("message", expected=DOWN, found=message[0])
    return watch.rate(size)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    log = Log()
    log.ready = asyncio.Event()
    await Tree.start_link(init_arg=log)
    for _ in range(size):
        log.ready = asyncio.Event()
        await gen_server.cast(log.worker, "crash")
        try:
            await asyncio.wait_for(log.ready.wait(), 2.0)
        except TimeoutError:
            raise RuntimeError("a crashed child was not restarted within 2 s") from None
    return log.median(size)


def run(program: Callable[[int], Awaitable[float]], size: int) -> float:
    """Run a program in a process of a fresh runtime."""

    async def main() -> float:
        result: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        async def first() -> None:
            try:
                result.set_result(await program(size))
            except Exception as error:
                result.set_exception(error)

        backend = AsyncIOBackend()
        await backend.initialize()
        set_runtime(backend)
        await process.spawn(first)
        try:
            return await asyncio.wait_for(result, 100.0)
        finally:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            await backend.shutdown()
            reset_runtime()

    # It prints a line at every crash; no peer is measured by its logs.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return asyncio.run(main())


kit.main(kit.all_of(run, tell, ask, ping_pong, spawn_stop, restart))

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
from time import perf_counter
from typing import Any

from otpylib import atom, gen_server, process
from otpylib.module import GEN_SERVER, SUPERVISOR, OTPModule
from otpylib.runtime import reset_runtime, set_runtime
from otpylib.runtime.backends.asyncio_backend.backend import AsyncIOBackend
from otpylib.supervisor import ONE_FOR_ONE, PERMANENT, child_spec, options

from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import BALL, INCREASE, Boom, additions, check
from tests.benchmarks.peers import kit

UNLIMITED = 1_000_000
DOWN = atom.ensure("DOWN")
COUNTER, LEFT, RIGHT = "counter", "left", "right"


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

    async def handle_info(self, message: Any, state: int) -> Any:
        return gen_server.NoReply(), state

    async def terminate(self, reason: Any, state: int) -> None:
        pass


class Player(metaclass=OTPModule, behavior=GEN_SERVER, version="1.0.0"):
    """Return so many balls, and say so when one more comes in."""

    async def init(self, args: Any) -> Any:
        return list(args)

    async def handle_call(self, request: Any, from_pid: Any, state: Any) -> Any:
        return gen_server.Reply(None), state

    async def handle_cast(self, message: Any, state: Any) -> Any:
        partner, returns, finished = state
        if returns:
            state[1] -= 1
            await gen_server.cast(partner, message)
        else:
            finished.set()
        return gen_server.NoReply(), state

    async def handle_info(self, message: Any, state: Any) -> Any:
        return gen_server.NoReply(), state

    async def terminate(self, reason: Any, state: Any) -> None:
        pass


class Log:
    """Outlive the incarnations and keep their times."""

    def __init__(self) -> None:
        self.raised_at: float | None = None
        self.delays: list[float] = []
        self.ready = asyncio.Event()
        self.worker: Any = None


class Worker(metaclass=OTPModule, behavior=GEN_SERVER, version="1.0.0"):
    """Crash when told to."""

    async def init(self, args: Any) -> Any:
        if args.raised_at is not None:
            args.delays.append(perf_counter() - args.raised_at)
        args.worker = process.self()
        args.ready.set()
        return args

    async def handle_call(self, request: Any, from_pid: Any, state: Any) -> Any:
        return gen_server.Reply(None), state

    async def handle_cast(self, message: Any, state: Any) -> Any:
        state.raised_at = perf_counter()
        raise Boom

    async def handle_info(self, message: Any, state: Any) -> Any:
        return gen_server.NoReply(), state

    async def terminate(self, reason: Any, state: Any) -> None:
        pass


class Tree(metaclass=OTPModule, behavior=SUPERVISOR, version="1.0.0"):
    """Supervise one worker."""

    async def init(self, args: Any) -> Any:
        spec = child_spec(id="worker", module=Worker, args=args, restart=PERMANENT)
        limits = options(max_restarts=UNLIMITED, max_seconds=1, strategy=ONE_FOR_ONE)
        return [spec], limits

    async def terminate(self, reason: Any, state: Any) -> None:
        pass


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    await gen_server.start(Counter, name=COUNTER)
    started = perf_counter()
    for message in messages:
        await gen_server.cast(COUNTER, message)
    total = await gen_server.call(COUNTER, None, timeout=120.0)
    seconds = perf_counter() - started
    check("total", expected=size, found=total)
    return size / seconds


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    await gen_server.start(Counter, name=COUNTER)
    total = 0
    started = perf_counter()
    for _ in range(size):
        total = await gen_server.call(COUNTER, INCREASE, timeout=5.0)
    seconds = perf_counter() - started
    check("total", expected=size, found=total)
    return size / seconds


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = asyncio.Event()
    await gen_server.start(Player, (RIGHT, size - 1, finished), name=LEFT)
    await gen_server.start(Player, (LEFT, size, asyncio.Event()), name=RIGHT)
    started = perf_counter()
    await gen_server.cast(RIGHT, BALL)
    await finished.wait()
    return size / (perf_counter() - started)


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    started = perf_counter()
    for _ in range(size):
        pid = await gen_server.start(Counter)
        await process.monitor(pid)
        await gen_server.cast(pid, "stop")
        message = await process.receive(timeout=5.0)
        check("message", expected=DOWN, found=message[0])
    return size / (perf_counter() - started)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    log = Log()
    await Tree.start_link(init_arg=log)
    for _ in range(size):
        log.ready = asyncio.Event()
        await gen_server.cast(log.worker, "crash")
        try:
            await asyncio.wait_for(log.ready.wait(), 2.0)
        except TimeoutError:
            raise RuntimeError("a crashed child was not restarted within 2 s") from None
    check("restarts", expected=size, found=len(log.delays))
    return percentile(log.delays, 50) * 1e6


def run(program: Callable[[int], Awaitable[float]]) -> kit.Program:
    """Run a program in a process of a fresh runtime."""

    async def main(size: int) -> float:
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

    def silent(size: int) -> float:
        # It prints a line at every crash; no peer is measured by its logs.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            return asyncio.run(main(size))

    return silent


kit.main(
    {
        "tell": run(tell),
        "ask": run(ask),
        "ping_pong": run(ping_pong),
        "spawn_stop": run(spawn_stop),
        "restart": run(restart),
    }
)

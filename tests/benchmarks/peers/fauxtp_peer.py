"""Measure fauxtp: generic servers on anyio, with `cast`, `call` and a supervisor.

Best known way: `GenServer` with module-level `cast` and `call`; stopping by the cancel scope of
the handle. `start_link` does not wait for `init`, so the programs do.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import anyio
from fauxtp import PID, ChildSpec, GenServer, Supervisor, call, cast

from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import BALL, INCREASE, Boom, additions, check
from tests.benchmarks.peers import kit


class Counter(GenServer):
    """Add up amounts."""

    async def init(self) -> int:
        return 0

    async def handle_call(self, request: Any, from_ref: Any, state: int) -> tuple[int, int]:
        if request is not None:
            state += request.amount
        return state, state

    async def handle_cast(self, request: Any, state: int) -> int:
        return state + request.amount


class Player(GenServer):
    """Return so many balls, and say so when one more comes in."""

    def __init__(self, returns: int, finished: anyio.Event) -> None:
        super().__init__()
        self.returns, self.finished = returns, finished

    async def init(self) -> PID | None:
        return None

    async def handle_cast(self, request: Any, state: PID | None) -> PID | None:
        if isinstance(request, PID):
            return request
        if self.returns and state is not None:
            self.returns -= 1
            await cast(state, request)
        else:
            self.finished.set()
        return state


class Idle(GenServer):
    """Say when it is ready, and wait."""

    def __init__(self, ready: anyio.Event) -> None:
        super().__init__()
        self.ready = ready

    async def init(self) -> None:
        self.ready.set()


class Log:
    """Outlive the incarnations and keep their times."""

    def __init__(self) -> None:
        self.raised_at: float | None = None
        self.delays: list[float] = []
        self.ready = anyio.Event()
        self.worker: PID | None = None


class Worker(GenServer):
    """Crash when told to."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    async def init(self) -> None:
        if self.log.raised_at is not None:
            self.log.delays.append(perf_counter() - self.log.raised_at)
        self.log.worker = self.pid
        self.log.ready.set()

    async def handle_cast(self, request: Any, state: None) -> None:
        self.log.raised_at = perf_counter()
        raise Boom


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    async with anyio.create_task_group() as tasks:
        counter = await Counter.start(task_group=tasks)
        await call(counter, None)
        started = perf_counter()
        for message in messages:
            await cast(counter, message)
        total = await call(counter, None, timeout=120.0)
        seconds = perf_counter() - started
        tasks.cancel_scope.cancel()
    check("total", expected=size, found=total)
    return size / seconds


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    total = 0
    async with anyio.create_task_group() as tasks:
        counter = await Counter.start(task_group=tasks)
        await call(counter, None)
        started = perf_counter()
        for _ in range(size):
            total = await call(counter, INCREASE)
        seconds = perf_counter() - started
        tasks.cancel_scope.cancel()
    check("total", expected=size, found=total)
    return size / seconds


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = anyio.Event()
    async with anyio.create_task_group() as tasks:
        left = await Player.start(size - 1, finished, task_group=tasks)
        right = await Player.start(size, anyio.Event(), task_group=tasks)
        await cast(left, right)
        await cast(right, left)
        started = perf_counter()
        await cast(right, BALL)
        await finished.wait()
        seconds = perf_counter() - started
        tasks.cancel_scope.cancel()
    return size / seconds


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    ended = anyio.Event()

    async def on_exit(_pid: PID, _reason: str) -> None:
        ended.set()

    async with anyio.create_task_group() as tasks:
        started = perf_counter()
        for _ in range(size):
            ready, ended = anyio.Event(), anyio.Event()
            handle = await Idle.start_link(ready, task_group=tasks, on_exit=on_exit)
            await ready.wait()
            handle.cancel_scope.cancel()
            await ended.wait()
        seconds = perf_counter() - started
    return size / seconds


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    log = Log()
    async with anyio.create_task_group() as tasks:
        await Supervisor.start([ChildSpec(Worker, "worker", (log,))], task_group=tasks)
        await log.ready.wait()
        for _ in range(size):
            log.ready = anyio.Event()
            assert log.worker is not None
            await cast(log.worker, "crash")
            await log.ready.wait()
        tasks.cancel_scope.cancel()
    check("restarts", expected=size, found=len(log.delays))
    return percentile(log.delays, 50) * 1e6


kit.main(
    {
        "tell": lambda size: anyio.run(tell, size),
        "ask": lambda size: anyio.run(ask, size),
        "ping_pong": lambda size: anyio.run(ping_pong, size),
        "spawn_stop": lambda size: anyio.run(spawn_stop, size),
        "restart": lambda size: anyio.run(restart, size),
    }
)

"""Measure fauxtp: generic servers on anyio, with `cast`, `call` and a supervisor.

Best known way: `GenServer` with module-level `cast` and `call`; stopping by the cancel scope of
the handle. `start_link` does not wait for `init`, so the programs do.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
from fauxtp import PID, ChildSpec, GenServer, Supervisor, call, cast

from tests.benchmarks.messages import BALL, Boom
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


class Log(kit.Log):
    """Know the present incarnation of the worker, too."""

    ready: anyio.Event
    worker: PID


class Worker(GenServer):
    """Crash when told to."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    async def init(self) -> None:
        self.log.started()
        self.log.worker = self.pid
        self.log.ready.set()

    async def handle_cast(self, request: Any, state: None) -> None:
        self.log.crashing()
        raise Boom


async def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    async with anyio.create_task_group() as tasks:
        counter = await Counter.start(task_group=tasks)
        await call(counter, None)
        total = partial(call, counter, None, timeout=120.0)
        rate = await kit.tells(size, partial(cast, counter), total)
        tasks.cancel_scope.cancel()
    return rate


async def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    async with anyio.create_task_group() as tasks:
        counter = await Counter.start(task_group=tasks)
        await call(counter, None)
        rate = await kit.asks(size, partial(call, counter))
        tasks.cancel_scope.cancel()
    return rate


async def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = anyio.Event()
    async with anyio.create_task_group() as tasks:
        left = await Player.start(size - 1, finished, task_group=tasks)
        right = await Player.start(size, anyio.Event(), task_group=tasks)
        await cast(left, right)
        await cast(right, left)
        with kit.Stopwatch() as watch:
            await cast(right, BALL)
            await finished.wait()
        tasks.cancel_scope.cancel()
    return watch.rate(size)


async def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    ended = anyio.Event()

    async def on_exit(_pid: PID, _reason: str) -> None:
        ended.set()

    async with anyio.create_task_group() as tasks:
        with kit.Stopwatch() as watch:
            for _ in range(size):
                ready, ended = anyio.Event(), anyio.Event()
                handle = await Idle.start_link(ready, task_group=tasks, on_exit=on_exit)
                await ready.wait()
                handle.cancel_scope.cancel()
                await ended.wait()
    return watch.rate(size)


async def restart(size: int) -> float:
    """Crash a supervised actor again and again; p50 from raise to ready, in us."""
    log = Log()
    log.ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        await Supervisor.start([ChildSpec(Worker, "worker", (log,))], task_group=tasks)
        await log.ready.wait()
        for _ in range(size):
            log.ready = anyio.Event()
            await cast(log.worker, "crash")
            await log.ready.wait()
        tasks.cancel_scope.cancel()
    return log.median(size)


kit.main(kit.all_of(anyio.run, tell, ask, ping_pong, spawn_stop, restart))

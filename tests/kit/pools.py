"""A pool whose jobs are in the hand of the test: each waits until it is told how to end.

    async with Bench(size=2).serve() as bench:
        await bench.ask("ab")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        await bench.finish("a")
        await bench.crash("b")
        assert bench.results == {"a": "a done", "b": "crashed: b"}

What is awaited returns when nothing more happens. `begun` lists what was begun, in order, and
`results` what became of each job that was asked: the answer, or the error in words. Leaving `serve`
checks that every asker has got something, once, that nothing is in a worker's hand, and that no
task is left over.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from actors import Actor, DeadLetter, Event, ProcExited, Request, on
from actors.testing import settle
from supervision import Application, ChildSpec, Pool, PoolSpec, SupervisorSpec, TreeExited, serve
from supervision.pool import PoolStatistics
from tests.kit.errors import Boom, No
from tests.kit.stage import task_names


@frozen
class Hold(Request[str]):
    """Be a job that takes as long as the test wants it to."""

    name: str


class Gate:
    """Hold one job up."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.error: BaseException | None = None

    def open(self, error: BaseException | None = None) -> None:
        """Let the job go on, or raise."""
        self.error = error
        self.opened.set()


class Hand(Actor[Hold]):
    """Be a worker whose jobs the test decides about."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def on_start(self) -> None:
        """Wait, or raise, as the test wants it."""
        if self.bench.slow is not None:
            await self.bench.slow.wait()
        if self.bench.starts:
            error = self.bench.starts.popleft()
            if error is not None:
                raise error

    @on(Hold)
    async def hold(self, message: Hold) -> str:
        """Do one job."""
        bench, me = self.bench, self.context.path.rpartition("/")[2]
        gate = Gate()
        assert me not in bench.in_hand, "two jobs in one hand"
        bench.begun.append(message.name)
        bench.by.append((me, message.name))
        bench.in_hand[me] = message.name
        bench.gates.setdefault(message.name, []).append(gate)
        try:
            await gate.opened.wait()
        finally:
            del bench.in_hand[me]
            bench.gates[message.name].remove(gate)
        if gate.error is not None:
            raise gate.error
        return f"{message.name} done"


class Bench:
    """Serve a pool of such workers, ask it, and note what comes of it."""

    def __init__(self, *, worker: dict[str, Any] | None = None, **options: Any) -> None:
        template = ChildSpec("worker", partial(Hand, self), **(worker or {}))
        self.spec = PoolSpec("pool", template, **{"size": 2, **options})
        self.begun: list[str] = []
        self.by: list[tuple[str, str]] = []
        self.in_hand: dict[str, str] = {}
        self.gates: dict[str, list[Gate]] = {}
        self.results: dict[str, str] = {}
        self.errors: dict[str, BaseException] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.letters: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self.starts: deque[BaseException | None] = deque()
        self.slow: anyio.Event | None = None
        self.dies = False
        self.exited: TreeExited
        self.pool: Pool[Hold]
        self.app: Application
        self.tasks: TaskGroup

    @asynccontextmanager
    async def serve(self, **options: Any) -> AsyncGenerator[Bench, None]:
        """Serve the pool below a supervisor, whose options may be given.

        When `dies` is set, the tree may end by itself; `exited` says how.
        """
        before = Counter(task_names())
        tree = SupervisorSpec("top", [self.spec], **options)
        async with anyio.create_task_group() as self.tasks:
            try:
                async with serve(tree, observe=[self.hear]) as self.app:
                    self.pool = Pool(self.app.find("pool"))
                    yield self
            except TreeExited as error:
                if not self.dies:
                    raise
                self.exited = error
            await settle()
        assert set(self.results) == set(self.scopes), "an asker was forgotten"
        assert self.in_hand == {}
        assert not Counter(task_names()) - before, "tasks are left over"

    def hear(self, event: Event) -> None:
        """Note what happens."""
        self.events.append(event)
        match event:
            case DeadLetter(message=Hold(name=name), why=why):
                self.letters.append((name, str(why)))
            case _:
                pass

    # -- asking -----------------------------------------------------------------------------------

    def start_asking(self, name: str, **options: Any) -> None:
        """Ask in a task of its own."""
        self.scopes[name] = anyio.CancelScope()
        self.tasks.start_soon(partial(self._ask, name, **{"timeout": None, **options}))

    async def ask(self, names: Iterable[str], **options: Any) -> None:
        """Ask once for each name (a string: for each letter), in this order."""
        for name in names:
            self.start_asking(name, **options)
            await settle()  # the tasks of trio start in any order

    async def _ask(self, name: str, **options: Any) -> None:
        with self.scopes[name]:
            try:
                answer = await self.pool.ask(Hold(name), **options)
            except Exception as error:
                self.errors[name] = error
                self._note(name, spoken(error))
            else:
                self._note(name, answer)
            return
        self._note(name, "cancelled")

    def _note(self, name: str, result: str) -> None:
        assert name not in self.results, "an asker was answered twice"
        self.results[name] = result

    async def cancel(self, name: str) -> None:
        """Have an asker give up."""
        self.scopes[name].cancel()
        await settle()

    # -- deciding ---------------------------------------------------------------------------------

    def let_go(self, *names: str, error: type[Exception] | None = None) -> None:
        """Have jobs in hand end, with an error or without, and do not wait for it."""
        for name in names:
            self.gates[name][0].open(error and error(name))

    async def finish(self, *names: str) -> None:
        """Have jobs in hand answered, one after the other."""
        for name in names:
            self.let_go(name)
            await settle()

    async def crash(self, *names: str) -> None:
        """Have workers crash over the jobs in their hands."""
        self.let_go(*names, error=Boom)
        await settle()

    async def refuse(self, name: str) -> None:
        """Have a worker say no."""
        self.let_go(name, error=No)
        await settle()

    async def finish_all(self) -> None:
        """Have all jobs in hand answered at once."""
        self.let_go(*self.in_hand.values())
        await settle()

    async def kill(self, worker: str) -> None:
        """Kill a worker."""
        self.app.find(f"pool/workers/{worker}").kill()
        await settle()

    async def statistics(self) -> PoolStatistics:
        """Return the pool's counts."""
        return await self.pool.statistics()

    async def counts(self, *names: str) -> tuple[object, ...]:
        """Return some of the pool's counts."""
        statistics = await self.pool.statistics()
        return tuple(getattr(statistics, name) for name in names)


def spoken(error: BaseException) -> str:
    """Tell an error in the words of the tests."""
    match error:
        case ProcExited(__cause__=Boom() as boom):
            return f"crashed: {boom}"
        case ProcExited(reason=reason):
            return f"ended: {reason}"
        case _:
            return type(error).__name__

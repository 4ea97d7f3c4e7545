"""Keep the workers of a pool: start them, end them, and know which of them can work.

The restarts are the business of an ordinary dynamic supervisor, `workers`, the one child of the
pool. What becomes of a worker is heard on the event stream, in the very turn in which it happens;
so `Worker.up` is always the truth, also before the pool gets to hear of the change.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, Proc, task
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> class Pair(Proc[int]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         spec = PoolSpec("pair", task(work), size=2)
...         workers = Workers(spec, self.context, lambda worker, died: None, lambda error: None)
...         await workers.start()
...         print([worker.path for worker in workers.all.values() if worker.up])
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await (await system.spawn(Pair, id="pair")).wait()
>>> anyio.run(main)
['/pair/workers/worker-1', '/pair/workers/worker-2']
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import count, islice
from typing import Any, Protocol, final

import anyio

from actors import (
    Child,
    Context,
    Crashed,
    Event,
    Ignore,
    ProcEnded,
    ProcStarted,
    Ref,
    Reply,
    Subscription,
)
from supervision.errors import ChildNotFound, ChildStartFailed, IntensityExceeded
from supervision.event_types import (
    ChildExited,
    ChildParked,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorGaveUp,
)
from supervision.pool.messages import WorkerStatistics
from supervision.pool.spec import PoolSpec, workers_spec
from supervision.supervisors import (
    ChildState,
    DynamicSupervisor,
    StartChild,
    SupervisorMessage,
    TerminateChild,
    WhichChildren,
    start_failed,
)

__all__ = ["Aside", "Resizing", "Worker", "Workers"]


SOON = 0.001
"""Seconds between two looks at a restart that is due."""


@final
class Worker:
    """Know one worker, through all its incarnations.

    `up` tells that an incarnation is ready; `parked` that none will come by itself; `stopped` that
    none will come at all; `retiring` that it gets no more jobs. `doubt`: in so many seconds its
    restart is to be over, and it may turn out that it raised Ignore, and has left. `job` is the
    number of the one in its hand.
    """

    __slots__ = (
        "crashed",
        "done",
        "doubt",
        "id",
        "job",
        "number",
        "parked",
        "path",
        "ref",
        "retiring",
        "stopped",
        "up",
    )

    def __init__(self, number: int, id: str, path: str) -> None:
        self.number = number
        self.id = id
        self.path = path
        self.ref: Ref[Any] | None = None
        self.up = False
        self.parked = False
        self.retiring = False
        self.stopped = False
        self.doubt: float | None = None
        self.job: int | None = None
        self.done = 0
        self.crashed = 0

    @property
    def is_member(self) -> bool:
        """Tell whether jobs may go to it, now or when it has come back."""
        return not (self.parked or self.retiring)

    @property
    def can_work(self) -> bool:
        """Tell whether it could take a job now."""
        return self.up and self.job is None and self.is_member

    def statistics(self) -> WorkerStatistics:
        """Return what it did, as a frozen value."""
        if self.up:
            state = ChildState.RUNNING
        else:
            state = ChildState.PARKED if self.parked else ChildState.RESTARTING
        return WorkerStatistics(
            self.id, self.ref, state, self.job is not None, self.done, self.crashed
        )


@final
class Workers:
    """Be the workers of one incarnation of a pool.

    `changed` is called with a worker and whether it has just died, `gave_up` with the error of
    their supervisor; both in the turn in which it happens, so they should only take note.
    """

    def __init__(
        self,
        spec: PoolSpec[Any],
        context: Context[Any],
        changed: Callable[[Worker, bool], None],
        gave_up: Callable[[IntensityExceeded], None],
    ) -> None:
        self.all: dict[int, Worker] = {}
        self._spec = spec
        self._context = context
        self._changed = changed
        self._gave_up = gave_up
        self._by_path: dict[str, Worker] = {}
        self._supervisor: Child[SupervisorMessage] = context.child("workers", shutdown=None)
        self._subscription: Subscription | None = None

    @property
    def supervisor(self) -> Ref[SupervisorMessage]:
        """Return the supervisor that keeps them."""
        return self._supervisor.ref

    async def start(self) -> None:
        """Start the supervisor, then all workers, one after the other.

        Raises ChildStartFailed when one does not start, Ignore when none is needed.
        """
        spec = workers_spec(self._spec)
        self._subscription = self._context.system.events.subscribe(self._hear)
        try:
            await self._supervisor.start(lambda: DynamicSupervisor(spec))
            await self.grow(range(1, self._spec.size + 1))
            if not self.all:
                raise Ignore
        except ChildStartFailed as error:
            self._subscription.cancel()
            raise start_failed("workers", Crashed(error)) from error
        except BaseException:
            self._subscription.cancel()
            raise

    async def grow(self, numbers: Iterable[int]) -> None:
        """Start the workers of these numbers; one that raises Ignore is left out.

        Raises ChildStartFailed for the first one that does not start; those before it stay.
        """
        for number in numbers:
            spec = self._spec.worker_spec(number)
            worker = Worker(number, spec.id, f"{self.supervisor.path}/{spec.id}")
            # Known from the beginning, so that no event about it is missed.
            self.all[number] = self._by_path[worker.path] = worker
            try:
                ref = await self.supervisor.ask(StartChild(spec), timeout=None)
            except BaseException:
                self.remove(worker)
                raise
            if ref is None:
                self.remove(worker)

    async def end(self, worker: Worker) -> None:
        """Stop a worker for good and wait for its end; a pending restart is void."""
        try:
            await self.supervisor.ask(TerminateChild(worker.id), timeout=None)
        except ChildNotFound:
            pass  # it has left by itself

    async def has_left(self, worker: Worker, delay: float) -> bool:
        """Tell whether a worker is gone for good, once its restart, in `delay` seconds, is over."""
        await anyio.sleep(delay)
        while True:
            children = await self.supervisor.ask(WhichChildren(), timeout=None)
            state = {child.id: child for child in children}.get(worker.id)
            if state is None:
                return True
            if state.state is not ChildState.RESTARTING or (state.restart_in or 0.0) > SOON:
                return False  # it is up again, or there is to be another try, and a look after it
            await anyio.sleep(SOON)  # due, but the supervisor's timer has not had its turn

    async def stop(self) -> None:
        """Stop all of them, each after the job in its hand or at its deadline, and wait."""
        await self._supervisor.stop(None)

    def remove(self, worker: Worker) -> None:
        """Forget a worker."""
        worker.up = False
        if self.all.get(worker.number) is worker:
            del self.all[worker.number], self._by_path[worker.path]

    def _hear(self, event: Event) -> None:
        match event:
            case ProcStarted(ref=ref) if worker := self._by_path.get(ref.path):
                worker.ref, worker.up, worker.parked = ref, True, False
                self._changed(worker, False)
            case ProcEnded(ref=ref) if worker := self._by_path.get(ref.path):
                worker.up = False
                self._changed(worker, True)
            case ChildParked(ref=ref) if worker := self._by_path.get(ref.path):
                worker.parked = True
                self._changed(worker, False)
            case ChildStopped(ref=ref) if worker := self._by_path.get(ref.path):
                worker.stopped = True
                self._changed(worker, False)
            case (
                ChildExited(ref=ref, next=Next.RESTART | Next.WAIT, delay=delay)
                | RestartFailed(ref=ref, next=Next.RESTART | Next.WAIT, delay=delay)
            ) if worker := self._by_path.get(ref.path):
                worker.doubt = delay
                self._changed(worker, False)
            case SupervisorGaveUp(ref=ref, error=error) if ref == self.supervisor:
                self._gave_up(error)
            case ProcEnded(ref=ref) if ref == self._context.ref:
                self._let_go()  # the pool itself, in whatever way: killed it runs no code any more
            case _:
                pass

    def _let_go(self) -> None:
        if self._subscription is not None:
            self._subscription.cancel()


class Aside(Protocol):
    """Await something beside the pool, and go on in its own turn."""

    def __call__(
        self,
        work: Awaitable[None],
        then: Callable[[None], object],
        failed: Callable[[Exception], object],
        /,
    ) -> None:
        """Await `work`; then call `then` with its result, or `failed` with its error."""
        ...


@final
class Resizing:
    """Carry the resizes of one pool out.

    `aside` awaits what takes time; `placed` is told of each worker that gets no more jobs.
    """

    def __init__(self, workers: Workers, aside: Aside, placed: Callable[[Worker], None]) -> None:
        self._workers = workers
        self._aside = aside
        self._placed = placed
        self._waiting: deque[tuple[int, Reply[None]]] = deque()
        self._reply: Reply[None] | None = None
        self._surplus = 0

    def add(self, size: int, reply: Reply[None]) -> None:
        """Have a size set when the resizes before it are done; `reply` is answered then."""
        self._waiting.append((size, reply))
        self._next()

    def end(self, worker: Worker) -> None:
        """End a worker of the surplus, now that its hands are empty."""
        self._aside(self._workers.end(worker), lambda _: self._has_ended(worker), _ignored)

    def _next(self) -> None:
        if self._reply is not None or not self._waiting:
            return
        size, self._reply = self._waiting.popleft()
        numbers = sorted(self._workers.all)
        if len(numbers) > size:
            self._shrink([self._workers.all[number] for number in numbers[size:]])
        else:
            free = (number for number in count(1) if number not in self._workers.all)
            wanted = list(islice(free, size - len(numbers)))
            self._aside(self._workers.grow(wanted), lambda _: self._done(), self._failed)

    def _shrink(self, surplus: list[Worker]) -> None:
        self._surplus = len(surplus)
        for worker in surplus:
            worker.retiring = True
            self._placed(worker)
            if worker.job is None:
                self.end(worker)

    def _has_ended(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._surplus -= 1
        if not self._surplus:
            self._done()

    def _done(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.send(None)
        self._next()

    def _failed(self, error: Exception) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.fail(error)
        self._next()


def _ignored(error: Exception) -> None:
    """Do nothing: the supervisor of the workers has ended, and the pool is about to."""

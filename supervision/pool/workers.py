"""The workers of a pool: who they are, who is up, and how they are started and stopped.

Restarts are the business of an ordinary dynamic supervisor, `workers`, the one child of the pool:
budgets, backoffs, watchdogs and parking are as everywhere. `Workers` starts that one, and hears on
the event stream what becomes of each worker, in the very turn in which it happens. So `Worker.up`
is always true to the facts; the pool gets to know of each change through a notice in its mail, and
never has to ask.

=================  ============================  ============================================
event              what it makes of the worker   notice
=================  ============================  ============================================
ProcStarted        up                            `WorkerChanged`
ProcEnded          down                          `WorkerChanged`, died
ChildParked        parked                        `WorkerChanged`
ChildRemoved       gone for good                 `WorkerLeft`
SupervisorGaveUp                                 `WorkersGaveUp`
=================  ============================  ============================================

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, Proc, task
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> class Pair(Proc[int]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         spec = PoolSpec("pair", task(work), size=2)
...         workers = Workers(spec, self.context, lambda notice: print(type(notice).__name__))
...         await workers.start()
...         print([worker.path for worker in workers.all.values() if worker.up])
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await (await system.spawn(Pair, id="pair")).wait()
>>> anyio.run(main)
WorkerChanged
WorkerChanged
['/pair/workers/worker-1', '/pair/workers/worker-2']
WorkerChanged
WorkerChanged
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, final

from attrs import frozen

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
)
from supervision.errors import ChildNotFound, ChildStartFailed, IntensityExceeded
from supervision.event_types import ChildParked, ChildRemoved, SupervisorGaveUp
from supervision.pool.messages import OwnNotice, WorkerStatistics
from supervision.pool.spec import PoolSpec, workers_spec
from supervision.supervisors import (
    ChildState,
    CountChildren,
    DynamicSupervisor,
    StartChild,
    SupervisorMessage,
    TerminateChild,
    WhichChildren,
    start_failed,
)

__all__ = [
    "SupervisorAnswered",
    "Worker",
    "WorkerChanged",
    "WorkerLeft",
    "WorkerNotice",
    "Workers",
    "WorkersGaveUp",
]


@final
class Worker:
    """One worker, through all its incarnations.

    `up` tells that an incarnation is ready; `parked` that none will come by itself; `retiring` that
    it gets no more jobs, because it is too many; `busy` that it has a job in hand.
    """

    __slots__ = (
        "busy",
        "crashed",
        "done",
        "id",
        "number",
        "parked",
        "path",
        "ref",
        "retiring",
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
        self.busy = False
        self.done = 0
        self.crashed = 0

    def statistics(self) -> WorkerStatistics:
        """Return what it did, as a frozen value."""
        if self.up:
            state = ChildState.RUNNING
        else:
            state = ChildState.PARKED if self.parked else ChildState.RESTARTING
        return WorkerStatistics(self.id, self.ref, state, self.busy, self.done, self.crashed)


@final
@frozen(eq=False)
class WorkerChanged(OwnNotice):
    """A worker that came up, went down or was parked; `died`: its incarnation has ended."""

    worker: Worker
    died: bool = False


@final
@frozen(eq=False)
class WorkerLeft(OwnNotice):
    """A worker that its supervisor does not know any more: it was terminated, or not needed."""

    worker: Worker


@final
@frozen(eq=False)
class WorkersGaveUp(OwnNotice):
    """The end that is near: the budget of restarts of `workers` is spent."""

    workers: Workers
    error: IntensityExceeded


@final
@frozen(eq=False)
class SupervisorAnswered(OwnNotice):
    """What the supervisor of the workers answers to a question that was passed on to it."""

    reply: Reply[Any]
    answer: object
    error: Exception | None = None

    def pass_on(self) -> None:
        """Give it on to whoever wanted to know."""
        if self.error is None:
            self.reply.send(self.answer)
        else:
            self.reply.fail(self.error)


WorkerNotice: TypeAlias = WorkerChanged | WorkerLeft | WorkersGaveUp | SupervisorAnswered
"""What a pool hears of its workers."""


@final
class Workers:
    """The workers of one incarnation of a pool, by number in `all`.

    `tell` gets a notice of each change, in the turn in which that happens; it should only queue it.
    `ended` is called when the pool itself has ended, in whatever way; default: nothing is.
    """

    def __init__(
        self,
        spec: PoolSpec[Any],
        context: Context[Any],
        tell: Callable[[WorkerNotice], object],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.all: dict[int, Worker] = {}
        self._spec = spec
        self._context = context
        self._tell = tell
        self._ended = ended
        self._by_path: dict[str, Worker] = {}
        self._supervisor: Child[SupervisorMessage] = context.child("workers", shutdown=None)
        self._stop_hearing: Callable[[], None] | None = None

    @property
    def supervisor(self) -> Ref[SupervisorMessage]:
        """Return the supervisor that keeps them."""
        return self._supervisor.ref

    async def start(self) -> None:
        """Start the supervisor, then all workers, one after the other.

        Raises ChildStartFailed when one does not start, Ignore when none is needed.
        """
        spec = workers_spec(self._spec)
        self._stop_hearing = self._context.system.events.subscribe(self._hear).cancel
        try:
            await self._supervisor.start(lambda: DynamicSupervisor(spec))
            await self.grow(range(1, self._spec.size + 1))
            if not self.all:
                raise Ignore
        except ChildStartFailed as error:
            self._stop_hearing()
            raise start_failed("workers", Crashed(error)) from error
        except BaseException:
            self._stop_hearing()
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

    async def stop(self) -> None:
        """Stop all of them, each after the job in its hand or at its deadline, and wait."""
        await self._supervisor.stop(None)

    def ask_supervisor(self, question: WhichChildren | CountChildren, reply: Reply[Any]) -> None:
        """Have the supervisor answer; what it says comes as `SupervisorAnswered`."""
        supervisor: Ref[Any] = self.supervisor
        self._context.pipe(
            supervisor.ask(question, timeout=None),
            into=lambda answer: SupervisorAnswered(reply, answer),
            failed=lambda error: SupervisorAnswered(reply, None, error),
        )

    def remove(self, worker: Worker) -> None:
        """Forget a worker."""
        worker.up = False
        if self.all.get(worker.number) is worker:
            del self.all[worker.number], self._by_path[worker.path]

    def statistics(self) -> tuple[WorkerStatistics, ...]:
        """Return what each did, in the order of their numbers."""
        return tuple(self.all[number].statistics() for number in sorted(self.all))

    def _hear(self, event: Event) -> None:
        match event:
            case ProcStarted(ref=ref) if worker := self._by_path.get(ref.path):
                worker.ref, worker.up, worker.parked = ref, True, False
                self._tell(WorkerChanged(worker))
            case ProcEnded(ref=ref) if worker := self._by_path.get(ref.path):
                worker.up = False
                self._tell(WorkerChanged(worker, died=True))
            case ChildParked(ref=ref) if worker := self._by_path.get(ref.path):
                worker.parked = True
                self._tell(WorkerChanged(worker))
            case ChildRemoved(ref=ref) if worker := self._by_path.get(ref.path):
                self._tell(WorkerLeft(worker))
            case SupervisorGaveUp(ref=ref, error=error) if ref == self.supervisor:
                self._tell(WorkersGaveUp(self, error))
            case ProcEnded(ref=ref) if ref == self._context.ref:
                self._ended()
                self._let_go()  # the pool itself, in whatever way: killed it runs no code any more
            case _:
                pass

    def _let_go(self) -> None:
        if self._stop_hearing is not None:
            self._stop_hearing()

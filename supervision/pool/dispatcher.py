"""Run a `PoolSpec`: take jobs, keep them in one queue, hand them to workers, see to their end.

The `Dispatcher` is an actor that never waits for a worker. Below it an ordinary dynamic supervisor,
`workers`, keeps the workers; it alone decides about restarts. A job's way through this file, from
top to bottom:

==================  =====================================================================
`take`              the job comes: no `refusal`, a place in the schedule, maybe `overflow`
`_hand_out`         the schedule names a worker and a job; without an `obstacle` it begins
`came_back_well`    in the worker's turn the asker is answered; the worker is free again
`came_back`         an attempt has failed: the job is finished, or waits once more
==================  =====================================================================

Those who ask through a `Pool` have their job taken in their own turn (`take_at_once`), unless mail
waits: no job overtakes another. Where context variables travel with each message, all goes through
the mail, and each job is carried by a task beside the dispatcher (`_carry`).

What is to be done is said by pure functions (`decisions`, `routing`); here it is done.

Guarantees:

- A worker has at most one job in hand. Each asker is answered exactly once; each job is handed out
  at most as often as its `attempts` say.
- A worker that ends fails only the job in its hand. What is queued waits for those that live, or
  that come back: through restarts, backoffs, and for the worker of its key.
- When the workers' supervisor gives up, what waits fails at once, and the pool ends as that one
  ended. Told to stop, the pool fails what waits, and the workers finish what is in their hands,
  each within its shutdown time.
- What nobody asked for, and the pool has to give up, is a dead letter.

What the dispatcher tells itself can outlive it in the mail that the next incarnation gets. There it
is void: its job, worker or resize is none of that one's.

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> from supervision.pool.messages import CountJobs, PoolJob
>>> class Double(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Doubler(Actor[Double]):
...     @on(Double)
...     def double(self, message: Double) -> int:
...         return message.number * 2
>>> async def main() -> None:
...     spec = PoolSpec("doublers", Doubler, size=2)
...     async with ActorSystem() as system:
...         doublers = await system.spawn(lambda: Dispatcher(spec), id="doublers")
...         print(await doublers.ask(PoolJob(Double(21), asked=True)))
...         print((await doublers.ask(CountJobs())).done)
>>> anyio.run(main)
42
1

An asker is told of a worker's end as if it had asked it itself: by `ProcExited`, with the crash as
its cause.
"""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeAlias, cast, final

import anyio
from anyio.lowlevel import checkpoint

from actors import (
    Actor,
    CancellationToken,
    Crashed,
    DeadLetter,
    DeadLetterKind,
    DeadLetterReason,
    Exited,
    ExitReason,
    LinkBroken,
    ProcExited,
    Refusal,
    Reply,
    Request,
    Shutdown,
    on,
)
from actors.brokering import Asking, pass_on, takes_shortcuts
from actors.texts import is_a
from supervision.errors import SpecError
from supervision.keys import Key
from supervision.pool.decisions import (
    NotTaken,
    Obstacle,
    Outcome,
    Standing,
    is_drained,
    obstacle,
    refusal,
    standing,
)
from supervision.pool.desk import Attempt, desk_at
from supervision.pool.jobs import JobDue, JobReturned, JobTable, PendingJob
from supervision.pool.messages import (
    CountJobs,
    Drain,
    Forget,
    NoWorkers,
    PoolDraining,
    PoolJob,
    PoolMessage,
    PoolStatistics,
    Resize,
)
from supervision.pool.resizing import Grown, ResizeNotice, Resizing, SurplusEnded
from supervision.pool.routing import Schedule
from supervision.pool.spec import PoolSpec, check_size, key_of
from supervision.pool.workers import (
    SupervisorAnswered,
    Worker,
    WorkerChanged,
    WorkerLeft,
    WorkerNotice,
    Workers,
    WorkersGaveUp,
)
from supervision.supervisors import ChildCounts, ChildInfo, CountChildren, WhichChildren

__all__ = ["Dispatcher", "JobDue"]


_Notice: TypeAlias = JobReturned | JobDue | WorkerNotice | ResizeNotice


_ENDS = (GeneratorExit, KeyboardInterrupt, SystemExit)
"""What is no error of a job, but an end of more than that."""


@final
class Dispatcher(Actor[PoolMessage | _Notice]):
    """The actor behind a `Pool`. Its start raises ChildStartFailed when a worker does not start.

    Raises TypeError when `spec` is no PoolSpec.
    """

    def __init__(self, spec: PoolSpec[Any]) -> None:
        if not isinstance(spec, PoolSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Dispatcher wants a PoolSpec, not {spec!r}")
        self.spec = spec
        self._workers: Workers
        self._resizing: Resizing
        self._jobs: JobTable
        self._schedule = Schedule(spec.routing)
        self._carried = 0
        self._none_carried: anyio.Event | None = None
        self._ending: ExitReason | None = None
        self._drains: list[Reply[None]] = []
        self._draining = False
        self._at_once = False
        self._over = False

    # -- life -------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the workers, each ready before the next begins."""
        path, tell = self.context.path, self.context.ref.tell
        self._jobs = JobTable(self.spec, self._schedule, path, self._publish_letter)
        self._workers = Workers(self.spec, self.context, tell, self._gone)
        self._resizing = Resizing(self._workers, self.context, self._update)
        await self._workers.start()
        for worker in self._workers.all.values():
            self._place(worker)
        self._desk = desk_at(self.context.ref)
        self._at_once = takes_shortcuts(self.context.ref)
        if self._at_once:
            self._desk.taker = self

    async def run(self, shutdown: CancellationToken) -> None:
        """Dispatch until told to stop; then let the workers finish what they have in hand."""
        await super().run(shutdown)
        self._desk.taker = None  # what comes now is for the next incarnation
        await checkpoint()  # killed, it is to say nothing any more: those who wait hear of the kill
        self._fail_what_waits(self._ending or Shutdown())
        await self._workers.stop()
        if self._carried:
            # All that was in hand is decided; but whoever carries it may still need a turn.
            self._none_carried = anyio.Event()
            await self._none_carried.wait()

    def _gone(self) -> None:
        """Let go of those who asked at once: no mailbox knows of them."""
        desk = desk_at(self.context.ref)
        if desk.taker is self:
            desk.taker = None
        self._over = True
        self._jobs.abandon()

    def on_exit(self, exited: Exited) -> None:
        """End as the supervisor of the workers has ended."""
        if exited.ref != self._workers.supervisor:
            return
        if exited.reason.is_abnormal:
            cause = exited.reason.error if isinstance(exited.reason, Crashed) else None
            raise LinkBroken(exited.ref.path, exited.reason) from cause
        self._ending = exited.reason
        self.context.stop(exited.reason)

    @on(WorkersGaveUp)
    def gave_up(self, message: WorkersGaveUp) -> None:
        """Fail what waits: the supervisor of the workers stops them, and the pool will end."""
        if message.workers is self._workers:
            self._fail_what_waits(Shutdown(message.error))

    def _fail_what_waits(self, reason: ExitReason) -> None:
        """Take no more jobs, and fail those that no worker has in hand."""
        self._ending = reason
        self._jobs.fail_waiting(partial(self._ended, reason), f"its pool has ended ({reason})")
        self._see_whether_drained()

    def _ended(self, reason: ExitReason, request: Request[Any]) -> ProcExited:
        error = ProcExited(self.context.path, reason, type(request).__name__)
        if isinstance(reason, Shutdown) and is_a(reason.detail, BaseException):
            error.__cause__ = reason.detail
        return error

    # -- a job comes ------------------------------------------------------------------------------

    @on(PoolJob)
    def take(self, job: PoolJob[Any], reply: Reply[Any]) -> None:
        """Take a job, or refuse it."""
        if job.asked and not reply.wanted:
            return  # its asker gave up before we saw it
        key = key_of(self.spec, job.request, job.key)
        if is_a(key, Exception):
            self._jobs.refuse(job, reply, key)
        elif (reason := self._refusal()) is not None:
            self._jobs.refuse(job, reply, self._refusal_error(reason, job.request))
        else:
            pending = self._jobs.take(job, reply, cast("Key | None", key))
            self._hand_out()
            self._make_room(pending)
            self._set_timer(pending, job.job_timeout)

    def take_at_once(
        self,
        request: Request[Any],
        asking: Asking,
        attempts: int | None,
        job_timeout: float | None,
        key: Key | None,
    ) -> PendingJob | None:
        """Take a job in its asker's own turn, or refuse it."""
        found = key_of(self.spec, request, key)
        if is_a(found, Exception):
            self._jobs.refuse_asker(asking, found)
            return None
        if (reason := self._refusal()) is not None:
            self._jobs.refuse_asker(asking, self._refusal_error(reason, request))
            return None
        chosen = cast("Key | None", found)
        pending = self._jobs.take_in_hand(request, asking, chosen, attempts)
        number = self._schedule.take_free(chosen)
        if number is not None:
            self._begin(pending, self._workers.all[number])
        else:
            self._schedule.put(pending.number, chosen)
            if not self._schedule.is_busy:
                self._hand_out()
            self._make_room(pending)
        if job_timeout is not None or self.spec.job_timeout is not None:
            self._set_timer(pending, job_timeout)
        return pending

    def _refusal(self) -> NotTaken | None:
        ending, staffed = self._ending is not None, self._schedule.is_staffed
        return refusal(ending=ending, draining=self._draining, staffed=staffed)

    def _make_room(self, pending: PendingJob) -> None:
        if self.spec.queue_limit is not None:
            self._jobs.make_room(pending, self.spec.queue_limit)

    def _refusal_error(self, reason: NotTaken, request: Request[Any]) -> Exception:
        match reason:
            case NotTaken.ENDING:
                return self._ended(self._ending or Shutdown(), request)
            case NotTaken.DRAINING:
                return PoolDraining(self.context.path, type(request).__name__)
            case NotTaken.NO_WORKERS:
                return self._no_workers(request)

    def _no_workers(self, request: Request[Any]) -> NoWorkers:
        return NoWorkers(self.context.path, type(request).__name__)

    def _set_timer(self, pending: PendingJob, job_timeout: float | None) -> None:
        timeout = job_timeout or self.spec.job_timeout
        if timeout is not None and not pending.settled:
            pending.timeout = timeout
            pending.due = anyio.current_time() + timeout
            pending.timer = self.context.send_after(timeout, JobDue(pending))

    # -- a job goes out, and comes back -----------------------------------------------------------

    def _hand_out(self) -> None:
        """Hand out what can be handed out."""
        while (pair := self._schedule.next()) is not None:
            worker = self._workers.all[pair[0]]
            if not self._start(self._jobs.pending[pair[1]], worker):
                self._place(worker)  # it has still nothing to do
        if not self._schedule.is_staffed:
            self._jobs.fail_waiting(self._no_workers, "no worker is left in its pool")
        if self._drains:
            self._see_whether_drained()

    def _start(self, pending: PendingJob, worker: Worker) -> bool:
        """Begin a job; False when it is not to be begun any more."""
        # To ask for the time costs more than all the rest of this.
        now = 0.0 if pending.due is None else anyio.current_time()
        found = obstacle(wanted=pending.wanted, due=pending.due, now=now)
        if found is None:
            self._begin(pending, worker)
            return True
        if found is Obstacle.EXPIRED:
            self._jobs.expire(pending)
        else:
            self._jobs.withdraw(pending)
        return False

    def _begin(self, pending: PendingJob, worker: Worker) -> None:
        pending.begin()
        worker.busy = True
        if not self._at_once:
            self._beside(self._carry(pending, worker), pending, worker)
            return
        assert worker.ref is not None
        try:
            pass_on(worker.ref, pending.request, Attempt(self, pending, worker))
        except Exception as error:
            self.came_back_failed(pending, worker, error)

    def came_back_well(self, pending: PendingJob, worker: Worker, value: object) -> None:
        """Give the asker the answer, in the worker's turn; the worker is free for the next one."""
        pending.answer(value)
        self._returned(pending, worker)

    def came_back_failed(self, pending: PendingJob, worker: Worker, error: BaseException) -> None:
        """Decide what comes of a job without an answer; a refusal is an answer."""
        if is_a(error, Refusal):
            pending.fail(error)
            self._returned(pending, worker)
        elif self._over:
            pass  # its asker was told of the pool's own end
        elif is_a(error, _ENDS):
            self._beside(self._crash(error), pending, worker)
        else:
            outcome = self._failed(pending, worker, error)
            self.context.ref.tell(JobReturned(pending, worker, outcome))

    def _failed(self, pending: PendingJob, worker: Worker, error: BaseException) -> Outcome:
        return pending.attempt_failed(error, worker.path, ending=self._ending is not None)

    def _returned(self, pending: PendingJob, worker: Worker) -> None:
        if self._over:
            return
        if worker.retiring or self._drains:
            self.context.ref.tell(JobReturned(pending, worker, Outcome.DONE))
            return
        worker.busy = False
        worker.done += 1
        self._jobs.returned(pending, Outcome.DONE)
        if not worker.up or worker.parked or not self._has(worker):
            self._update(worker)
            return
        number = self._schedule.next_for(worker.number)
        if number is None:
            if len(self._schedule):
                self._hand_out()
        elif not self._start(self._jobs.pending[number], worker):
            self._update(worker)

    def _beside(
        self, work: Coroutine[Any, Any, Outcome], pending: PendingJob, worker: Worker
    ) -> None:
        self._carried += 1
        self.context.pipe(work, into=lambda outcome: JobReturned(pending, worker, outcome))

    async def _crash(self, error: BaseException) -> Outcome:
        """Crash with what is no error of a job: not in the turn of a worker."""
        try:
            raise error
        finally:
            self._set_down()

    def _set_down(self) -> None:
        self._carried -= 1
        if self._none_carried is not None and not self._carried:
            self._none_carried.set()

    async def _carry(self, pending: PendingJob, worker: Worker) -> Outcome:
        """Have a worker do a job, and answer its asker: beside the dispatcher, not in its turn."""
        try:
            assert worker.ref is not None
            answer = await worker.ref.ask(pending.request, timeout=None)
        except (*_ENDS, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as error:
            return self._failed(pending, worker, error)
        else:
            pending.answer(answer)
            return Outcome.DONE
        finally:
            self._set_down()

    @on(JobReturned)
    def came_back(self, message: JobReturned) -> None:
        """Finish the job, or have it wait again; the worker is free for the next one."""
        pending, worker, outcome = message.pending, message.worker, message.outcome
        worker.busy = False
        if outcome is Outcome.DONE:
            worker.done += 1
        elif outcome is not Outcome.FAILED:
            worker.crashed += 1
        self._jobs.returned(pending, outcome)
        if worker.retiring and self._has(worker):
            self._resizing.end(worker)
        self._update(worker)

    # -- a job goes before its time ---------------------------------------------------------------

    @on(Forget)
    def forget(self, message: Forget) -> None:
        """Take a job out that nobody waits for any more; one in hand goes on."""
        self.forget_at_once(self._jobs.find(message.job))

    def forget_at_once(self, pending: PendingJob | None) -> None:
        """Take a job out in the turn of the one who waits for it no more."""
        if pending is not None and pending in self._jobs and not pending.running:
            self._jobs.withdraw(pending)
            self._see_whether_drained()

    @on(JobDue)
    def due(self, message: JobDue) -> None:
        """Answer a job whose time is over; if it still waits, it is not begun any more."""
        if message.pending in self._jobs:
            self._jobs.expire(message.pending)
            self._see_whether_drained()

    def _publish_letter(self, request: Request[Any], why: str) -> None:
        """Publish a dead letter."""
        events = self.context.system.events
        if events.heard and getattr(type(request), "__dead_letter__", True):
            reason = DeadLetterReason(DeadLetterKind.GIVEN_UP, why)
            events.publish(DeadLetter(self.context.ref, request, reason))

    # -- workers come and go ----------------------------------------------------------------------

    @on(WorkerChanged)
    def worker_changed(self, message: WorkerChanged) -> None:
        """Have the schedule know that a worker is up, down or parked."""
        worker = message.worker
        if message.died and self._has(worker):
            self._schedule.release(worker.number)
        self._update(worker)

    @on(WorkerLeft)
    def worker_left(self, message: WorkerLeft) -> None:
        """Do without a worker; one of the surplus is the business of the resize."""
        worker = message.worker
        if self._has(worker) and not worker.retiring:
            self._workers.remove(worker)
            self._schedule.leave(worker.number)
            self._hand_out()

    def _has(self, worker: Worker) -> bool:
        return self._workers.all.get(worker.number) is worker

    def _update(self, worker: Worker) -> None:
        """Do what follows when something is different about a worker."""
        self._place(worker)
        self._hand_out()

    def _place(self, worker: Worker) -> None:
        """Have the schedule know of a worker what is true of it now."""
        number, schedule = worker.number, self._schedule
        if not self._has(worker):
            return
        match standing(
            up=worker.up, busy=worker.busy, parked=worker.parked, retiring=worker.retiring
        ):
            case Standing.FREE:
                schedule.join(number)
                schedule.rest(number)
            case Standing.AWAY:
                schedule.join(number)
                schedule.occupy(number)
            case Standing.OUT:
                schedule.leave(number)

    # -- resize, drain, statistics ----------------------------------------------------------------

    @on(Resize)
    def resize(self, message: Resize, reply: Reply[None]) -> None:
        """Change the number of workers; one resize after the other."""
        try:
            check_size(self.context.path, message.size)
        except SpecError as error:
            reply.fail(error)
            return
        self._resizing.add(message.size, reply)

    @on(Grown)
    def grown(self, message: Grown) -> None:
        """Go on with the next resize."""
        if message.resizing is self._resizing:
            self._resizing.grown(message)

    @on(SurplusEnded)
    def surplus_ended(self, message: SurplusEnded) -> None:
        """Go on with the resize that a worker was too many for."""
        if message.resizing is self._resizing:
            self._resizing.surplus_ended(message)

    @on(Drain)
    def drain(self, message: Drain, reply: Reply[None]) -> None:
        """Take no more jobs; answer when all are finished."""
        self._draining = True
        self._drains.append(reply)
        self._see_whether_drained()

    def _see_whether_drained(self) -> None:
        if not self._drains:
            return
        busy = (worker.busy for worker in self._workers.all.values())
        if is_drained(unfinished=len(self._jobs), busy=busy):
            drains, self._drains = self._drains, []
            for reply in drains:
                reply.send(None)

    @on(CountJobs)
    def count_jobs(self, message: CountJobs) -> PoolStatistics:
        """Count the jobs, and show the workers in the order of their numbers."""
        workers = self._workers.statistics()
        return self._jobs.statistics(draining=self._draining, workers=workers)

    @on(WhichChildren)
    def which_children(self, message: WhichChildren, reply: Reply[tuple[ChildInfo, ...]]) -> None:
        """List the workers, as their supervisor knows them."""
        self._workers.ask_supervisor(message, reply)

    @on(CountChildren)
    def count_children(self, message: CountChildren, reply: Reply[ChildCounts]) -> None:
        """Count the workers, as their supervisor knows them."""
        self._workers.ask_supervisor(message, reply)

    @on(SupervisorAnswered)
    def supervisor_answered(self, message: SupervisorAnswered) -> None:
        """Give the answer on to whoever wanted to know."""
        message.pass_on()

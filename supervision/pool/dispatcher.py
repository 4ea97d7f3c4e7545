"""Run a `PoolSpec`: take jobs, keep them in one queue, hand them to workers, see to their end.

The `Dispatcher` is an actor that never waits for a worker. Below it an ordinary dynamic supervisor,
`workers`, keeps the workers; it alone decides about restarts. A job in a worker's hand is carried
by a coroutine beside the dispatcher, which answers the asker itself and then reports back.

Guarantees:

- A worker has at most one job in hand. Each asker is answered exactly once; each job is handed out
  at most as often as its `attempts` say.
- A worker that ends fails only the job in its hand. What is queued waits for those that live, or
  that come back: through restarts, backoffs, and for the worker of its key.
- When the workers' supervisor gives up, what waits fails at once, and the pool ends as that one
  ended. Told to stop, the pool fails what waits, and the workers finish what is in their hands,
  each within its shutdown time.
- What nobody asked for, and the pool has to give up, is a dead letter.

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

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, TypeVar, final

import anyio
from anyio.lowlevel import checkpoint
from attrs import frozen

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
from supervision.errors import IntensityExceeded, SpecError
from supervision.keys import Key, check_key
from supervision.pool.jobs import End, Ledger, Order, Outcome
from supervision.pool.messages import (
    CountJobs,
    Drain,
    Forget,
    JobExpired,
    NoWorkers,
    PoolDraining,
    PoolFull,
    PoolJob,
    PoolMessage,
    PoolStatistics,
    Resize,
)
from supervision.pool.routing import Schedule
from supervision.pool.spec import Discard, PoolSpec, check_size
from supervision.pool.workers import Resizing, Worker, Workers
from supervision.supervisors import ChildCounts, ChildInfo, CountChildren, WhichChildren

__all__ = ["Dispatcher", "Own"]


T = TypeVar("T")


@final
@frozen(eq=False)
class Own:
    """Have a dispatcher do something in its own turn; it sends this to itself.

    Found by another incarnation than its `dispatcher`, it is void.
    """

    __dead_letter__: ClassVar[bool] = False

    dispatcher: Dispatcher
    call: Callable[[], object]


@final
class Dispatcher(Actor[PoolMessage | Own]):
    """Run a `PoolSpec`. Its start raises ChildStartFailed when a worker does not start.

    Raises TypeError when `spec` is no PoolSpec.
    """

    def __init__(self, spec: PoolSpec[Any]) -> None:
        if not isinstance(spec, PoolSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Dispatcher wants a PoolSpec, not {spec!r}")
        self.spec = spec
        self._workers: Workers
        self._resizing: Resizing
        self._schedule = Schedule(spec.routing)
        self._ledger = Ledger()
        self._hands = 0
        self._hands_empty: anyio.Event | None = None
        self._ending: ExitReason | None = None
        self._drains: list[Reply[None]] = []
        self._draining = False

    # -- life -------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the workers, each ready before the next begins."""
        self._workers = Workers(self.spec, self.context, self._worker_changed, self._gave_up)
        self._resizing = Resizing(self._workers, self._aside, self._retired)
        await self._workers.start()
        for worker in self._workers.all.values():
            self._place(worker)

    async def run(self, shutdown: CancellationToken) -> None:
        """Dispatch until told to stop; then let the workers finish what they have in hand."""
        await super().run(shutdown)
        await checkpoint()  # killed, it is to say nothing any more: those who wait hear of the kill
        self._fail_what_waits(self._ending or Shutdown())
        await self._workers.stop()
        if self._hands:
            # All that was in hand is decided; but whoever carries it may still need a turn.
            self._hands_empty = anyio.Event()
            await self._hands_empty.wait()

    def on_exit(self, exited: Exited) -> None:
        """End as the supervisor of the workers has ended."""
        if exited.ref != self._workers.supervisor:
            return
        if exited.reason.is_abnormal:
            cause = exited.reason.error if isinstance(exited.reason, Crashed) else None
            raise LinkBroken(exited.ref.path, exited.reason) from cause
        self._ending = exited.reason
        self.context.stop(exited.reason)

    @on(Own)
    def do(self, message: Own) -> None:
        """Do what this incarnation wanted to do in its own turn."""
        if message.dispatcher is self:
            message.call()

    def _soon(self, call: Callable[[], object]) -> None:
        self.context.ref.tell(Own(self, call))

    def _aside(
        self,
        work: Awaitable[T],
        then: Callable[[T], object],
        failed: Callable[[Exception], object],
    ) -> None:
        """Await something beside the mail, and go on in a turn of its own."""
        self.context.pipe(
            work,
            into=lambda result: Own(self, partial(then, result)),
            failed=lambda error: Own(self, partial(failed, error)),
        )

    def _gave_up(self, error: IntensityExceeded) -> None:
        self._soon(partial(self._fail_what_waits, Shutdown(error)))

    def _fail_what_waits(self, reason: ExitReason) -> None:
        """Take no more jobs, and fail those that no worker has in hand."""
        self._ending = reason
        for order in self._ledger.outside():
            self._give_up(order, self._ended(order.job), "failed", f"its pool has ended ({reason})")

    def _ended(self, job: PoolJob[Any]) -> ProcExited:
        reason = self._ending or Shutdown()
        error = ProcExited(self.context.path, reason, type(job.request).__name__)
        if isinstance(reason, Shutdown) and isinstance(reason.detail, BaseException):
            error.__cause__ = reason.detail
        return error

    # -- jobs come --------------------------------------------------------------------------------

    @on(PoolJob)
    def take(self, job: PoolJob[Any], reply: Reply[Any]) -> None:
        """Take a job, or refuse it."""
        if job.asked and not reply.wanted:
            return  # its asker gave up before we saw it
        try:
            key = self._key(job)
        except Exception as error:
            # The key is made by code of the user's own: it fails this job, and nothing else.
            self._refuse(job, reply, error)
            return
        refusal = self._refusal(job)
        if refusal is not None:
            self._refuse(job, reply, refusal)
            return
        order = self._ledger.enter(job, reply, key, job.attempts or self.spec.attempts)
        self._schedule.put(order.number, key)
        self._dispatch()
        limit = self.spec.queue_limit
        if limit is not None and len(self._schedule) > limit and order.number in self._schedule:
            self._make_room(order, limit)
        self._set_timer(order)

    def _key(self, job: PoolJob[Any]) -> Key | None:
        if job.key is not None:
            return check_key(job.key)
        return None if self.spec.key is None else check_key(self.spec.key(job.request))

    def _refusal(self, job: PoolJob[Any]) -> Exception | None:
        path, message = self.context.path, type(job.request).__name__
        if self._ending is not None:
            return self._ended(job)
        if self._draining:
            return PoolDraining(path, message)
        return None if self._schedule.is_staffed else NoWorkers(path, message)

    def _refuse(self, job: PoolJob[Any], reply: Reply[Any], error: Exception) -> None:
        self._ledger.count("refused")
        reply.fail(error)
        if not job.asked:
            self._publish_letter(job.request, str(error))

    def _make_room(self, newcomer: Order, limit: int) -> None:
        """Give one job up, now that more wait than may."""
        victim: int | None = None
        if self.spec.discard is Discard.OLDEST:
            victim = self._schedule.oldest()
        elif self.spec.discard is Discard.NEWEST:
            victim = self._schedule.newest(but=newcomer.number)
        order = newcomer if victim is None else self._ledger[victim]
        discarded = order is not newcomer
        message = type(order.job.request).__name__
        error = PoolFull(self.context.path, message, limit, discarded=discarded)
        count: End = "discarded" if discarded else "refused"
        letter = True if discarded else None
        self._give_up(order, error, count, "the queue of its pool is full", letter=letter)

    def _set_timer(self, order: Order) -> None:
        timeout = order.job.job_timeout or self.spec.job_timeout
        if timeout is not None and not order.settled:
            order.timeout = timeout
            order.due = anyio.current_time() + timeout
            reminder = Own(self, partial(self._expire, order))
            order.timer = self.context.send_after(timeout, reminder)

    # -- jobs go ----------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Hand out what can be handed out."""
        while (pair := self._schedule.next()) is not None:
            worker, order = self._workers.all[pair[0]], self._ledger[pair[1]]
            if not order.wanted:
                self._withdraw(order)
            elif order.due is not None and anyio.current_time() >= order.due:
                self._expire(order)
            else:
                order.begun += 1
                order.in_hand = True
                worker.job = order.number
                self._hands += 1
                self.context.pipe(self._carry(order, worker), into=partial(Own, self))
                continue
            self._place(worker)
        if not self._schedule.is_staffed:
            self._fail_what_is_hopeless()

    async def _carry(self, order: Order, worker: Worker) -> Callable[[], object]:
        """Have a worker do a job, and answer; returns what the dispatcher is to do then."""
        outcome = Outcome.FAILED
        try:
            assert worker.ref is not None
            try:
                answer = await worker.ref.ask(order.job.request, timeout=None)
            except Exception as error:
                outcome = self._judge(order, worker, error)
            else:
                order.answer(answer)
                outcome = Outcome.DONE
        finally:
            self._hands -= 1
            if self._hands_empty is not None and not self._hands:
                self._hands_empty.set()
        return partial(self._came_back, order, worker, outcome)

    def _judge(self, order: Order, worker: Worker, error: Exception) -> Outcome:
        """Tell what an error makes of a job; its asker gets it unless there is another attempt."""
        crashed = isinstance(error, ProcExited) and error.path == worker.path
        if crashed and order.wanted and order.begun < order.attempts and self._ending is None:
            order.in_hand = False
            order.crash = error
            return Outcome.AGAIN
        order.fail(error)
        if crashed:
            return Outcome.CRASHED
        return Outcome.DONE if isinstance(error, Refusal) else Outcome.FAILED

    def _came_back(self, order: Order, worker: Worker, outcome: Outcome) -> None:
        order.in_hand = False
        worker.job = None
        if outcome is Outcome.DONE:
            worker.done += 1
        elif outcome is not Outcome.FAILED:
            worker.crashed += 1
        if order in self._ledger:  # else it has expired meanwhile, or was given up
            if outcome is Outcome.AGAIN:
                self._ledger.retried += 1
                self._schedule.put(order.number, order.key)
            else:
                self._finish(order, "done" if outcome is Outcome.DONE else "failed")
        if worker.retiring:
            self._resizing.end(worker)
        self._place(worker)
        self._dispatch()
        self._see_whether_drained()

    @on(Forget)
    def forget(self, message: Forget) -> None:
        """Take a job out that nobody waits for any more; one in hand goes on."""
        order = self._ledger.find(message.job)
        if order is not None and not order.in_hand:
            self._withdraw(order)

    def _expire(self, order: Order) -> None:
        """Answer a job whose time is over; if it still waits, it is not begun any more."""
        if order not in self._ledger:
            return
        error = JobExpired(
            self.context.path,
            type(order.job.request).__name__,
            order.timeout,
            begun=order.in_hand,
        )
        told = not order.job.asked and not order.in_hand
        self._give_up(order, error, "expired", "it expired", letter=told)

    def _withdraw(self, order: Order) -> None:
        self._schedule.take_out(order.number)
        self._finish(order, "withdrawn")

    def _give_up(
        self,
        order: Order,
        error: Exception,
        count: End,
        why: str,
        *,
        letter: bool | None = None,
    ) -> None:
        """Have a job done with that no worker will do; told or discarded it is a dead letter."""
        self._schedule.take_out(order.number)
        if error.__cause__ is None:
            error.__cause__ = order.crash
        order.fail(error)
        if letter or (letter is None and not order.job.asked):
            self._publish_letter(order.job.request, why)
        self._finish(order, count)

    def _finish(self, order: Order, end: End) -> None:
        self._ledger.finish(order, end)
        self._see_whether_drained()

    def _publish_letter(self, request: Request[Any], why: str) -> None:
        events = self.context.system.events
        if events.heard and getattr(type(request), "__dead_letter__", True):
            reason = DeadLetterReason(DeadLetterKind.GIVEN_UP, why)
            events.publish(DeadLetter(self.context.ref, request, reason))

    # -- workers ----------------------------------------------------------------------------------

    def _worker_changed(self, worker: Worker, died: bool) -> None:
        self._soon(partial(self._look, worker, died))

    def _look(self, worker: Worker, died: bool) -> None:
        if died:
            self._schedule.release(worker.number)
        if worker.stopped:
            self._leave_if(worker, True)  # by somebody else; we know of those that we end
        elif worker.doubt is not None and not worker.retiring and self._ending is None:
            doubt, worker.doubt = worker.doubt, None
            left = partial(self._leave_if, worker)
            self._aside(self._workers.has_left(worker, doubt), left, _ignored)
        self._place(worker)
        self._dispatch()

    def _place(self, worker: Worker) -> None:
        """Have the schedule know of a worker what is true of it now."""
        number = worker.number
        if self._workers.all.get(number) is not worker:
            return
        if not worker.is_member:
            self._schedule.leave(number)
            return
        self._schedule.join(number)
        if worker.can_work:
            self._schedule.rest(number)
        else:
            self._schedule.occupy(number)

    def _leave_if(self, worker: Worker, left: bool) -> None:
        if left and not worker.retiring and self._workers.all.get(worker.number) is worker:
            self._schedule.leave(worker.number)
            self._workers.remove(worker)
            self._dispatch()

    def _retired(self, worker: Worker) -> None:
        """Let those that stay have what waited for a worker of the surplus."""
        self._place(worker)
        self._dispatch()

    def _fail_what_is_hopeless(self) -> None:
        """Fail what waits, now that no worker is left that could come back by itself."""
        for order in self._ledger.outside():
            error = NoWorkers(self.context.path, type(order.job.request).__name__)
            self._give_up(order, error, "failed", "no worker is left in its pool")

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

    @on(Drain)
    def drain(self, message: Drain, reply: Reply[None]) -> None:
        """Take no more jobs; answer when all are finished."""
        self._draining = True
        self._drains.append(reply)
        self._see_whether_drained()

    def _see_whether_drained(self) -> None:
        if not self._drains or len(self._ledger):
            return
        if all(worker.job is None for worker in self._workers.all.values()):
            drains, self._drains = self._drains, []
            for reply in drains:
                reply.send(None)

    @on(CountJobs)
    def count_jobs(self, message: CountJobs) -> PoolStatistics:
        """Count the jobs, and show the workers in the order of their numbers."""
        workers = [self._workers.all[number] for number in sorted(self._workers.all)]
        return self._ledger.statistics(
            draining=self._draining,
            workers=tuple(worker.statistics() for worker in workers),
        )

    @on(WhichChildren)
    def which_children(self, message: WhichChildren, reply: Reply[tuple[ChildInfo, ...]]) -> None:
        """List the workers, as their supervisor knows them."""
        listing = self._workers.supervisor.ask(message, timeout=None)
        self._aside(listing, reply.send, reply.fail)

    @on(CountChildren)
    def count_children(self, message: CountChildren, reply: Reply[ChildCounts]) -> None:
        """Count the workers, as their supervisor knows them."""
        counting = self._workers.supervisor.ask(message, timeout=None)
        self._aside(counting, reply.send, reply.fail)


def _ignored(error: Exception) -> None:
    """Do nothing: the supervisor of the workers has ended, and the pool is about to."""

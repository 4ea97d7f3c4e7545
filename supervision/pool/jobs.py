"""The jobs that a pool has taken, from when they come until they are finished.

A `PendingJob` is one of them: the request, its asker, its clock. The `JobTable` has all that are
not finished, and every way in which one can end; so here each asker gets what it has not got from
a worker, each job is counted, and what nobody hears of otherwise becomes a dead letter.

Guarantees: the numbers grow in the order in which the jobs came; each asker is answered at most
once; a job that is finished leaves no timer behind.

>>> from typing import Any
>>> from actors import Actor, ActorSystem, Request, on
>>> import anyio
>>> from supervision.pool.routing import Routing
>>> class Render(Request[str]): ...
>>> class Renderer(Actor[Render]):
...     @on(Render)
...     def render(self, message: Render) -> str: return ""
>>> class Queue(Actor[PoolJob[Any]]):
...     def __init__(self) -> None:
...         spec = PoolSpec("render", Renderer, size=1, queue_limit=1)
...         schedule = Schedule(Routing.LEAST_LOADED)
...         self.table = JobTable(spec, schedule, "/render", lambda request, why: print(why))
...     @on(PoolJob)
...     def take(self, job: PoolJob[Any], reply: Reply[Any]) -> None:
...         self.table.make_room(self.table.take(job, reply, None), limit=1)
...         counts = self.table.statistics(draining=False, workers=())
...         print(counts.queued, counts.refused)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         queue = await system.spawn(Queue)
...         for _ in range(2):
...             queue.tell(PoolJob(Render()))
...         queue.stop()
...         await queue.wait()
>>> anyio.run(main)
1 0
the queue of its pool is full
1 1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from actors import ProcExited, Reply, Request, Timer
from actors.brokering import Asking
from actors.texts import answer_of, is_a
from supervision.describe import one_line
from supervision.keys import Key
from supervision.pool.decisions import Outcome, attempt_outcome, is_missed, overflow
from supervision.pool.messages import (
    JobExpired,
    OwnNotice,
    PoolFull,
    PoolJob,
    PoolStatistics,
    WorkerStatistics,
)
from supervision.pool.routing import Schedule
from supervision.pool.spec import PoolSpec
from supervision.pool.workers import Worker

__all__ = ["End", "JobDue", "JobReturned", "JobTable", "PendingJob"]


End: TypeAlias = Literal["done", "failed", "expired", "discarded", "withdrawn", "refused"]
"""What can become of a job, as in `PoolStatistics`."""


@final
class PendingJob:
    """One job that was taken, until it is finished.

    `asked` tells that somebody waits for its answer. `begun` counts its attempts, of which it has
    `attempts` in all; `running` tells that a worker has it in hand; `due` is when it expires,
    `timeout` seconds after it was taken; `crash` is how its last attempt ended.
    """

    __slots__ = (
        "asked",
        "attempts",
        "begun",
        "crash",
        "due",
        "job",
        "key",
        "number",
        "reply",
        "request",
        "running",
        "timeout",
        "timer",
    )

    def __init__(
        self,
        number: int,
        job: PoolJob[Any] | Request[Any],
        reply: Reply[Any] | Asking,
        key: Key | None,
        attempts: int,
    ) -> None:
        self.number = number
        self.reply: Reply[Any] | Asking | None = reply
        if isinstance(job, PoolJob):  # it came by mail
            self.job: PoolJob[Any] | None = job
            self.request, self.asked = job.request, job.asked
        else:
            self.job, self.request, self.asked = None, job, True
        self.key = key
        self.attempts = attempts
        self.begun = 0
        self.crash: Exception | None = None
        self.running = False
        self.timeout = 0.0
        self.due: float | None = None
        self.timer: Timer | None = None

    @property
    def request_name(self) -> str:
        """Return the name of the request's type, as errors give it."""
        return type(self.request).__name__

    @property
    def settled(self) -> bool:
        """Tell whether it was answered."""
        return self.reply is None

    @property
    def wanted(self) -> bool:
        """Tell whether it is still to be done: it was only told, or its asker waits."""
        return self.reply is not None and (not self.asked or self.reply.wanted)

    def begin(self) -> None:
        """Go into a worker's hand."""
        self.begun += 1
        self.running = True

    def attempt_failed(self, error: BaseException, path: str, *, ending: bool) -> Outcome:
        """Give the asker the error, unless there is another attempt; see `attempt_outcome`.

        `path`: of the worker that tried.
        """
        if not is_a(error, Exception):  # an answer, too; but nobody waits for one of its class
            error = answer_of(error)
        outcome = attempt_outcome(
            error,
            crashed=is_a(error, ProcExited) and error.path == path,
            attempts_left=self.attempts - self.begun,
            wanted=self.wanted,
            ending=ending,
        )
        if outcome is Outcome.AGAIN:
            self.running = False  # at once: a pool that ends now fails what is in no hand
            self.crash = error
        else:
            self.fail(error)
        return outcome

    def answer(self, value: object) -> None:
        """Give the asker the answer, if it has none yet."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.send(value)

    def fail(self, error: Exception) -> None:
        """Give the asker an error, if it has no answer yet."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.fail(error)

    def pool_ended(self) -> None:
        """Tell an asker who asked at once that the pool has ended; the engine tells the others."""
        reply, self.reply = self.reply, None
        if isinstance(reply, Asking):
            reply.ended()

    def close(self) -> None:
        """Let go of the asker and of the clock."""
        self.reply = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@final
@frozen(eq=False)
class JobReturned(OwnNotice):
    """A job that is back from a worker, in whatever way."""

    pending: PendingJob
    worker: Worker
    outcome: Outcome


@final
@frozen(eq=False)
class JobDue(OwnNotice):
    """A job whose time is over."""

    pending: PendingJob


@final
class JobTable:
    """The jobs of one pool that are not finished, by number in `pending`; counts of the others.

    Those that wait are in the `schedule`, too. `publish_letter` makes a dead letter of a request,
    with the reason in words; `path` is the pool's, for errors. `retried` counts how often a job
    was handed on.
    """

    def __init__(
        self,
        spec: PoolSpec[Any],
        schedule: Schedule,
        path: str,
        publish_letter: Callable[[Request[Any], str], object],
    ) -> None:
        self.pending: dict[int, PendingJob] = {}
        self.retried = 0
        self._spec = spec
        self._schedule = schedule
        self._path = path
        self._publish_letter = publish_letter
        self._numbers: dict[PoolJob[Any], int] = {}
        self._last = 0
        self._ends: Counter[End] = Counter()

    # -- coming -----------------------------------------------------------------------------------

    def take(self, job: PoolJob[Any], reply: Reply[Any], key: Key | None) -> PendingJob:
        """Take a job in, and have it wait; its number is higher than all before."""
        pending = self.take_in_hand(job, reply, key, job.attempts)
        if job.asked:
            self._numbers[job] = pending.number
        self._schedule.put(pending.number, key)
        return pending

    def take_in_hand(
        self,
        job: PoolJob[Any] | Request[Any],
        reply: Reply[Any] | Asking,
        key: Key | None,
        attempts: int | None,
    ) -> PendingJob:
        """Take a job in for which a worker was found, or a place; its number is the highest."""
        self._last += 1
        attempts = attempts or self._spec.attempts
        pending = self.pending[self._last] = PendingJob(self._last, job, reply, key, attempts)
        return pending

    def refuse(self, job: PoolJob[Any], reply: Reply[Any], error: Exception) -> None:
        """Do not take a job in."""
        self.refuse_asker(reply, error)
        if not job.asked:
            self._publish_letter(job.request, one_line(error))

    def refuse_asker(self, reply: Reply[Any] | Asking, error: Exception) -> None:
        """Do not take the job of somebody who waits."""
        self._ends["refused"] += 1
        reply.fail(error)

    def make_room(self, newcomer: PendingJob, limit: int) -> None:
        """Give one job up when more wait than `limit`."""
        number = overflow(self._schedule, newcomer.number, limit, self._spec.discard)
        if number is not None:
            pending = self.pending[number]
            discarded = pending is not newcomer
            error = PoolFull(self._path, pending.request_name, limit, discarded=discarded)
            end: End = "discarded" if discarded else "refused"
            self._give_up(pending, error, end, "the queue of its pool is full")

    # -- ending -----------------------------------------------------------------------------------

    def returned(self, pending: PendingJob, outcome: Outcome) -> None:
        """Finish a job that is back from a worker, or have it wait once more, in its old place."""
        pending.running = False
        if pending not in self:
            return  # it has expired meanwhile
        if outcome is Outcome.DONE:
            self.finish(pending, "done")
        elif outcome is Outcome.AGAIN:
            self.retried += 1
            self._schedule.put(pending.number, pending.key)
        else:
            self.finish(pending, "failed")

    def finish(self, pending: PendingJob, end: End) -> None:
        """Let a job go that does not wait any more, and count it."""
        del self.pending[pending.number]
        if pending.job is not None:
            self._numbers.pop(pending.job, None)
        pending.close()
        self._ends[end] += 1

    def withdraw(self, pending: PendingJob) -> None:
        """Take a job out that nobody wants."""
        self._schedule.take_out(pending.number)
        self.finish(pending, "withdrawn")

    def expire(self, pending: PendingJob) -> None:
        """Answer a job whose time is over; if it still waits, it is not begun any more."""
        error = JobExpired(self._path, pending.request_name, pending.timeout, begun=pending.running)
        self._give_up(pending, error, "expired", "it expired")

    def fail_waiting(self, error_for: Callable[[Request[Any]], Exception], why: str) -> None:
        """Fail all jobs that no worker has in hand."""
        for pending in self._not_running():
            self._give_up(pending, error_for(pending.request), "failed", why)

    def _give_up(self, pending: PendingJob, error: Exception, end: End, why: str) -> None:
        """Have a job done with that no worker will do."""
        if error.__cause__ is None:
            error.__cause__ = pending.crash
        pending.fail(error)
        discarded = end == "discarded"
        if is_missed(asked=pending.asked, running=pending.running, discarded=discarded):
            self._publish_letter(pending.request, why)
        self._schedule.take_out(pending.number)
        self.finish(pending, end)

    def abandon(self) -> None:
        """Let all jobs go, now that the pool has ended."""
        for pending in self.pending.values():
            pending.pool_ended()
        self.pending.clear()

    # -- looking ----------------------------------------------------------------------------------

    def find(self, job: PoolJob[Any]) -> PendingJob | None:
        """Return what is known of a job that was asked and is not finished."""
        return self.pending.get(self._numbers.get(job, 0))

    def __contains__(self, pending: PendingJob) -> bool:
        return self.pending.get(pending.number) is pending

    def __len__(self) -> int:
        return len(self.pending)

    def _not_running(self) -> list[PendingJob]:
        return [pending for pending in self.pending.values() if not pending.running]

    def statistics(
        self, *, draining: bool, workers: tuple[WorkerStatistics, ...]
    ) -> PoolStatistics:
        """Return the counts, together with what is true now."""
        ends, queued = self._ends, len(self._not_running())
        return PoolStatistics(
            size=len(workers),
            queued=queued,
            running=len(self) - queued,
            done=ends["done"],
            failed=ends["failed"],
            expired=ends["expired"],
            discarded=ends["discarded"],
            withdrawn=ends["withdrawn"],
            refused=ends["refused"],
            retried=self.retried,
            draining=draining,
            workers=workers,
        )

"""The messages of a pool: what it is told and asked, what it answers with, what it counts.

A `PoolJob` wraps the request that a worker is to answer, and says how the pool is to treat it. It
is made by `Pool.ask` and `Pool.tell`; users meet it in the name of a pool,
`Name[PoolJob[Render]]("render")`.

==============  ===========================================================================
refusal         when the asker gets it
==============  ===========================================================================
PoolFull        at once, when as many wait as `queue_limit` allows; or later, when it had
                to make room for another (`discard`)
PoolDraining    at once, after `drain`
NoWorkers       at once, when every worker is down for good: parked or terminated
JobExpired      when its `job_timeout` is over, whether it has begun by then or not
==============  ===========================================================================

>>> error = JobExpired("/site/render", "Render", 2.0, begun=False)
>>> print(error)
/site/render: Render expired: not answered within 2 s, never begun
>>> isinstance(error, Refusal), isinstance(error, TimeoutError)
(True, True)
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, final

from attrs import field, frozen

from actors import Ref, Refusal, Request
from supervision.errors import SupervisionError
from supervision.keys import Key
from supervision.supervisors import ChildState, CountChildren, WhichChildren

__all__ = [
    "CountJobs",
    "Drain",
    "Forget",
    "JobExpired",
    "NoWorkers",
    "OwnNotice",
    "PoolDraining",
    "PoolFull",
    "PoolJob",
    "PoolMessage",
    "PoolStatistics",
    "Resize",
    "WorkerStatistics",
]


M = TypeVar("M")


class _PoolRefusal(SupervisionError, Refusal):
    """What a pool answers with instead of a worker; `path` is the pool, `message` the request."""

    def __init__(self, path: str, message: str, text: str) -> None:
        super().__init__(f"{path}: {message} {text}")
        self.path = path
        self.message = message


@final
class PoolFull(_PoolRefusal):
    """The refusal of a job because as many wait as `limit` allows; or of one that had waited."""

    def __init__(self, path: str, message: str, limit: int, *, discarded: bool = False) -> None:
        what = "discarded to make room for another" if discarded else "not taken"
        super().__init__(path, message, f"{what}: the queue is full ({limit})")
        self.limit = limit
        self.discarded = discarded


@final
class PoolDraining(_PoolRefusal):
    """The refusal of a job because the pool finishes what it has and takes no more."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message, "not taken: the pool is draining")


@final
class NoWorkers(_PoolRefusal):
    """The refusal of a job because no worker is left that could come back by itself."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message, "not done: every worker is parked or terminated")


@final
class JobExpired(_PoolRefusal, TimeoutError):
    """The answer to a job whose time is over; if it has not `begun`, it never will."""

    def __init__(self, path: str, message: str, timeout: float, *, begun: bool) -> None:
        what = "begun, its answer is dropped" if begun else "never begun"
        super().__init__(path, message, f"expired: not answered within {timeout:g} s, {what}")
        self.timeout = timeout
        self.begun = begun


@final
@frozen(eq=False)
class PoolJob(Request[Any], Generic[M]):
    """A request that a worker is to answer; made by the methods of `Pool`.

    `attempts`, `job_timeout` and `key` are as in `Pool.ask`. `asked` tells that somebody waits for
    the answer. Two jobs are never equal, whatever they hold.
    """

    request: Request[Any]
    attempts: int | None = None
    job_timeout: float | None = None
    key: Key | None = None
    asked: bool = False


@final
@frozen
class Resize(Request[None]):
    """The wish for `size` workers; answered when they are there, or the surplus has ended."""

    size: int


@final
@frozen
class Drain(Request[None]):
    """The end of taking jobs; answered when all that were taken are finished."""


@final
@frozen
class CountJobs(Request["PoolStatistics"]):
    """A question for the counts of a pool."""


@final
@frozen
class Forget:
    """Word to a pool that nobody waits for the answer to a job any more."""

    __dead_letter__: ClassVar[bool] = False

    job: PoolJob[Any]


class OwnNotice:
    """What a pool tells itself: of no use to anybody else, so never a dead letter."""

    __slots__ = ()
    __dead_letter__: ClassVar[bool] = False


@final
@frozen
class WorkerStatistics:
    """What one worker did, in all its incarnations.

    `busy` tells that it has a job in hand. `done` are those that it answered, `crashed` those that
    it ended with. `state` is RUNNING, RESTARTING (also while a backoff lasts) or PARKED.
    """

    id: str
    ref: Ref[Any] | None
    state: ChildState
    busy: bool
    done: int
    crashed: int


@final
@frozen
class PoolStatistics:
    """The counts of a pool, since it was started.

    Each job that was taken is in exactly one of these: `queued`, `running` (in a worker's hand),
    `done` (answered by a worker, be it with a refusal), `failed` (its last attempt crashed a
    worker, or it could not be done), `expired`, `discarded` (it made room for another), `withdrawn`
    (its asker gave up before it began). So `taken` is their sum. `refused` jobs were not taken.
    `retried` counts how often a job was handed on after a crash; `size` the workers.

    >>> PoolStatistics(size=4, done=7, failed=1).taken
    8
    """

    size: int
    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    expired: int = 0
    discarded: int = 0
    withdrawn: int = 0
    refused: int = 0
    retried: int = 0
    draining: bool = False
    workers: tuple[WorkerStatistics, ...] = field(default=(), kw_only=True)

    @property
    def taken(self) -> int:
        """Return how many jobs were taken."""
        finished = self.done + self.failed + self.expired + self.discarded + self.withdrawn
        return self.queued + self.running + finished


PoolMessage: TypeAlias = (
    PoolJob[Any] | Resize | Drain | CountJobs | WhichChildren | CountChildren | Forget
)
"""What may be sent to a pool; what it tells itself comes on top."""

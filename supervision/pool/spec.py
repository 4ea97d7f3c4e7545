"""The spec of a pool: so many workers of one kind, supervised, behind one queue.

A `PoolSpec` is a supervisor's spec like the others: it stands among the children of a
`SupervisorSpec`, or is served by itself. What it describes is reached through `Pool`.

>>> from actors import Actor, Request, on
>>> class Double(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Doubler(Actor[Double]):
...     @on(Double)
...     def double(self, message: Double) -> int:
...         return message.number * 2
>>> spec = PoolSpec("doublers", Doubler, size=4, routing="keyed", queue_limit=100)
>>> spec.template
ChildSpec('worker', Doubler)
>>> spec
PoolSpec('doublers', Doubler, size=4, routing=Routing.KEYED, queue_limit=100)
>>> PoolSpec("doublers", Doubler, size=0)
Traceback (most recent call last):
    ...
supervision.errors.SpecError: doublers: size: 0 is not positive; give an int >= 1
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast, final

from attrs import evolve, field, frozen

from actors import Name, Proc, Request
from actors.texts import is_a
from supervision.describe import describe_error
from supervision.errors import SpecError
from supervision.keys import Key, check_key
from supervision.pool.messages import PoolJob
from supervision.pool.routing import Routing
from supervision.specs import (
    AnySupervisorSpec,
    ChildSpec,
    DynamicSupervisorSpec,
    Restart,
    check_count,
    check_seconds,
    check_word,
)

__all__ = ["Discard", "PoolSpec", "check_size", "key_of", "workers_spec"]


M = TypeVar("M")


@final
class Discard(StrEnum):
    """The job that is not done when one more comes than `queue_limit` lets wait.

    `REFUSE`: the one that comes. `OLDEST`: the one that has waited longest. `NEWEST`: of those that
    wait, the one that came last; the one that comes takes its place.
    """

    REFUSE = "refuse"
    OLDEST = "oldest"
    NEWEST = "newest"

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


def _as_routing(
    value: Routing | Literal["round_robin", "least_loaded", "keyed", "sticky"],
) -> Routing:
    # A wrong word is let through; the checks report it, only they know the path.
    return Routing(value) if value in list(Routing) else cast("Routing", value)


def _as_discard(value: Discard | Literal["refuse", "oldest", "newest"]) -> Discard:
    return Discard(value) if value in list(Discard) else cast("Discard", value)


@final
@frozen(repr=False)
class PoolSpec(AnySupervisorSpec, Generic[M]):
    """A supervisor of `size` workers that share one queue of jobs.

    - `worker`: a factory, as `start` of a `ChildSpec`; or a whole `ChildSpec`, for its shutdown
      time, backoff, own budget and so on: each worker is one of these, with a number behind its id
      (`worker-1`). It stays permanent, and has no name.
    - `size`: how many workers, at least 1; `Pool.resize` changes it.
    - `routing`: which worker gets a job, default `Routing.LEAST_LOADED`.
    - `key`: a function from a request to its key, for the routings `keyed` and `sticky`; default
      None: jobs have the key that `Pool.ask` gives them.
    - `queue_limit`: how many jobs may wait, at least 0, beside those in the workers' hands; default
      None: no limit. `discard` says what happens to one more, default `Discard.REFUSE`.
    - `job_timeout`: seconds from when the pool takes a job until it is to be answered, default
      None: no limit. Past it the asker gets `JobExpired`; a job that still waits is not run.
    - `attempts`: how many workers may crash over a job before its asker is told, default 1.
    - `max_restarts`, `max_seconds`: the budget of restarts for all workers together, default 3 in
      5.0 seconds; one more and the pool gives up, and all its askers fail.

    The rest is as in `SupervisorSpec`. Raises `SpecError` when an option has a wrong type or value,
    or when `worker` cannot be the spec of a worker.
    """

    run_by = "supervision.pool.dispatcher:Dispatcher"

    worker: ChildSpec[M] | Callable[[], Proc[M]]
    name: Name[PoolJob[M]] | None = field(default=None, kw_only=True)
    size: int = field(kw_only=True)
    routing: Routing = field(default=Routing.LEAST_LOADED, converter=_as_routing, kw_only=True)
    key: Callable[[M], Key] | None = field(default=None, kw_only=True)
    queue_limit: int | None = field(default=None, kw_only=True)
    discard: Discard = field(default=Discard.REFUSE, converter=_as_discard, kw_only=True)
    job_timeout: float | None = field(default=None, kw_only=True)
    attempts: int = field(default=1, kw_only=True)

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return f"pool of {self.size}"

    def __attrs_post_init__(self) -> None:
        """Check the supervisor's options first, then the workers' spec, then the pool's own."""
        super().__attrs_post_init__()
        _check_worker(self.id, self.template)
        check_size(self.id, self.size)
        check_word(self.id, "routing", Routing, self.routing)
        if self.key is not None and not callable(self.key):
            problem = f"{self.key!r} is not callable; give a function from a request to its key"
            raise SpecError(self.id, "key", problem)
        if self.queue_limit is not None:
            check_count(self.id, "queue_limit", self.queue_limit, least=0)
        check_word(self.id, "discard", Discard, self.discard)
        if self.job_timeout is not None:
            check_seconds(self.id, "job_timeout", self.job_timeout, "seconds > 0 or None")
        check_count(self.id, "attempts", self.attempts, least=1)

    @property
    def template(self) -> ChildSpec[M]:
        """Return what every worker's spec is made of. Raises SpecError when there can be none."""
        worker = self.worker
        if _is_spec(worker):
            return worker
        try:
            return ChildSpec("worker", cast("Callable[[], Proc[M]]", worker))
        except SpecError as error:
            raise SpecError(self.id, "worker", error.problem) from None

    def worker_spec(self, number: int) -> ChildSpec[M]:
        """Return the spec of one worker; `number` counts from 1."""
        template = self.template
        return evolve(template, id=f"{template.id}-{number}")


def workers_spec(spec: PoolSpec[Any]) -> DynamicSupervisorSpec:
    """Return the spec of the supervisor that keeps a pool's workers."""
    return DynamicSupervisorSpec(
        "workers", max_restarts=spec.max_restarts, max_seconds=spec.max_seconds
    )


def check_size(path: str, size: object) -> None:
    """Check a number of workers. Raises SpecError when it is not an int >= 1."""
    check_count(path, "size", size, least=1)


def _is_spec(worker: ChildSpec[M] | Callable[[], Proc[M]]) -> TypeGuard[ChildSpec[M]]:
    return isinstance(worker, ChildSpec)


def _check_worker(path: str, worker: ChildSpec[Any]) -> None:
    place = f"{path}/{worker.id}"
    if worker.kind != "worker":
        raise SpecError(path, "worker", f"{worker.id!r} is a supervisor; give a worker's spec")
    if worker.restart is not Restart.PERMANENT:
        problem = "the workers of a pool are permanent, its size is kept; leave it out"
        raise SpecError(place, "restart", problem)
    if worker.name is not None:
        problem = "all workers would have the same; give the name to the pool"
        raise SpecError(place, "name", problem)


def key_of(spec: PoolSpec[Any], request: Request[Any], key: Key | None) -> Key | Exception | None:
    """Return the key of a job, given or made as the spec says, or why it has none that can be."""
    make = spec.key
    if key is None and make is None:
        return None
    try:
        return check_key(make(request) if key is None and make is not None else key)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # The key is made by code of the user's own: it fails this job, and nothing else.
        no_key = TypeError(f"no key: {describe_error(error)}")
        return error if is_a(error, Exception) else no_key

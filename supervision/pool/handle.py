"""The handle of a pool: how work is given to supervised workers behind one queue.

A `PoolSpec` in a tree makes the pool; a `Pool` is how it is used. It wraps the ref of the pool,
costs nothing to make, and can be sent inside messages:

- `Pool[Render](app.find("render"))`, or `Pool[Render](app.supervisor)` when the pool itself is
  served: where the type of the requests is said;
- `Pool(ref)` with the ref that a typed `Name[PoolJob[Render]]` gives: it is known.

A job is a request, answered by whichever worker gets it, and its answer comes back typed. A plain
message is no job, for nobody could tell when a worker is done with it.

===============  =========================================================================
choosing         take
===============  =========================================================================
`least_loaded`   when any worker will do (the default): the one that has rested longest
`round_robin`    when the order in which the workers take turns is to be seen
`keyed`          when a worker keeps something for each key: the key always has the same one
`sticky`         the same, where no key may wait while its worker comes back
===============  =========================================================================

>>> import anyio
>>> from actors import Actor, Request, on
>>> from supervision import PoolSpec, serve
>>> class Render(Request[str]):
...     def __init__(self, page: str) -> None:
...         self.page = page
>>> class Renderer(Actor[Render]):
...     @on(Render)
...     async def render(self, message: Render) -> str:
...         await anyio.sleep(0.01)
...         return f"<h1>{message.page}</h1>"
>>> async def main() -> None:
...     async with serve(PoolSpec("render", Renderer, size=4)) as app:
...         pool = Pool[Render](app.supervisor)
...         print(await pool.ask(Render("home")))
...         await pool.drain()
...         print((await pool.statistics()).done)
>>> anyio.run(main)
<h1>home</h1>
1

Pools of supervised workers are known from Erlang's poolboy and Akka's routers; the two ways of
binding a key to a worker from consistent hashing and from sticky sessions.
"""

from __future__ import annotations

from math import inf
from typing import Any, Generic, TypeGuard, TypeVar, cast, final

from anyio import current_effective_deadline
from anyio.lowlevel import checkpoint

from actors import AskTimeout, ProcExited, Question, Ref, Request
from actors.brokering import Asking, has_mail
from actors.seconds import check_seconds
from supervision.keys import Key, check_key
from supervision.pool.desk import desk_at
from supervision.pool.messages import CountJobs, Drain, Forget, PoolJob, PoolStatistics, Resize
from supervision.pool.spec import check_size
from supervision.supervisors import SupervisorMessage

__all__ = ["Pool"]


M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


@final
class Pool(Generic[M_contra]):
    """The way to a pool whose workers answer requests of type `M`; equal when it is the same pool.

    `ref`, its address, survives restarts. Raises TypeError when it is no ref.
    """

    __slots__ = ("_desk", "_ref")

    _ref: Ref[Any]

    def __init__(self, ref: Ref[PoolJob[M_contra]] | Ref[SupervisorMessage]) -> None:
        if not isinstance(ref, Ref):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a Pool wants the ref of a pool, not {ref!r}")
        self._ref = ref
        self._desk = desk_at(ref)

    @property
    def ref(self) -> Ref[Any]:
        """Return the address of the pool."""
        return self._ref

    @property
    def path(self) -> str:
        """Return the pool's place in the tree."""
        return self.ref.path

    async def ask(
        self,
        request: Question[M_contra, R],
        *,
        timeout: float | None = 5.0,
        attempts: int | None = None,
        job_timeout: float | None = None,
        key: Key | None = None,
    ) -> R:
        """Have a worker answer a request, and wait for the answer.

        `timeout` is in seconds, default 5.0, None for no limit. `attempts`, default that of the
        spec: so many workers may crash over this job, in all, before it fails. `job_timeout` in
        seconds, default that of the spec: past it the job is answered with JobExpired, and no
        longer begun. `key`, default what the spec's `key` makes of the request: for the routings
        `keyed` and `sticky`.

        Raises the refusal that the worker answers with; ProcExited when a worker ended with the job
        in its hand, and its crash is the cause; ProcExited, too, when the pool ends or gives
        up; AskTimeout, JobExpired, PoolFull, PoolDraining, NoWorkers; TypeError for what is no
        request or no key, ValueError for a number that cannot be meant. Cancelled, or timed
        out, the job is taken out if it still waits; if a worker has begun, its answer is
        dropped. A worker that asks its own pool may wait for itself.
        """
        if not (isinstance(request, Request) and attempts is job_timeout is key is None):
            _check(request, attempts, job_timeout, key)
        question = cast("Request[Any]", request)
        taker = self._desk.taker
        if taker is None or has_mail(self._ref):
            job = PoolJob[Any](question, attempts, job_timeout, key, asked=True)
            return cast("R", await self._ask_by_mail(job, timeout))
        if timeout is not None:
            check_seconds("a timeout", timeout, none=True)
        if current_effective_deadline() == -inf:
            await checkpoint()  # cancelled already: nothing is asked
        kind: Any = type(question)
        asking = Asking(self._ref, kind)
        pending = taker.take_at_once(question, asking, attempts, job_timeout, key)
        try:
            return cast("R", await asking.answer(timeout))
        except GeneratorExit:
            raise  # thrown away together with its event loop
        except BaseException:
            taker.forget_at_once(pending)
            raise

    async def _ask_by_mail(self, job: PoolJob[Any], timeout: float | None) -> Any:
        try:
            return await self.ref.ask(job, timeout=timeout)
        except AskTimeout as error:
            if not self._is_own(error):
                raise
            self.ref.tell(Forget(job))
            raise AskTimeout(self.path, type(job.request).__name__, error.timeout) from None
        except ProcExited as error:
            if not self._is_own(error):
                raise
            named = ProcExited(self.path, error.reason, type(job.request).__name__)
            raise named from error.__cause__
        except (Exception, GeneratorExit):
            raise  # answered; or thrown away together with its event loop
        except BaseException:
            self.ref.tell(Forget(job))
            raise

    def tell(
        self,
        request: Question[M_contra, object],
        *,
        attempts: int | None = None,
        job_timeout: float | None = None,
        key: Key | None = None,
    ) -> None:
        """Have a worker handle a request, and go on; its answer is dropped. Never waits.

        The options are as in `ask`. A job that the pool does not take, or gives up, is a dead
        letter. Raises TypeError for what is no request or no key, ValueError for a number
        that cannot be meant.
        """
        _check(request, attempts, job_timeout, key)
        question: Any = request
        self.ref.tell(PoolJob[Any](question, attempts, job_timeout, key))

    async def resize(self, size: int, *, timeout: float | None = None) -> None:
        """Change the number of workers, and wait until that is done.

        Growing starts workers, one after the other; when one does not start, those before it stay
        and ChildStartFailed is raised. Shrinking ends those with the highest numbers, each after
        the job in its hand. One resize follows the other. `timeout` in seconds, default None: no
        limit. Raises SpecError unless `size` is an int >= 1; AskTimeout, ProcExited. Cancelled
        or timed out, the resize goes on.
        """
        check_size(self.path, size)
        await self.ref.ask(Resize(size), timeout=timeout)

    async def drain(self, *, timeout: float | None = None) -> None:
        """Take no more jobs, and wait until all that were taken are finished.

        What comes is refused with PoolDraining from now on, until the pool is restarted.
        `timeout` in seconds, default None: no limit. Raises AskTimeout, ProcExited. Cancelled or
        timed out, the pool drains on.
        """
        await self.ref.ask(Drain(), timeout=timeout)

    async def statistics(self) -> PoolStatistics:
        """Return the counts of jobs, and what each worker did. Raises ProcExited."""
        return await self.ref.ask(CountJobs())

    def __eq__(self, other: object) -> bool:
        return _is_pool(other) and self._ref == other.ref

    def __hash__(self) -> int:
        return hash(self._ref)

    def __repr__(self) -> str:
        return f"<Pool {self.path}>"

    def _is_own(self, error: AskTimeout | ProcExited) -> bool:
        """Tell whether an error of the engine is about the job; users know the request in it."""
        return error.path == self.path and error.message == PoolJob.__name__


def _check(
    request: object, attempts: int | None, job_timeout: float | None, key: Key | None
) -> None:
    """Refuse what cannot be meant."""
    if not isinstance(request, Request):
        raise TypeError(f"the jobs of a pool are Requests, and {request!r} is none")
    if attempts is not None and not (_is_count(attempts) and attempts >= 1):
        raise ValueError(f"attempts is an int >= 1, not {attempts!r}")
    if job_timeout is not None and not 0 < job_timeout < float("inf"):
        raise ValueError(f"job_timeout is a finite number of seconds > 0, not {job_timeout!r}")
    if key is not None:
        check_key(key)


def _is_pool(value: object) -> TypeGuard[Pool[Any]]:
    return isinstance(value, Pool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

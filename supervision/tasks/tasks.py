"""One-off coroutines under supervision: awaited, fire-and-forget, or one for each item.

A `TaskSupervisor` is a dynamic supervisor whose children are calls of coroutine functions. `Tasks`
is the handle by which they are made:

==================  ==============================  ==============================================
call                who hears how it ended          when the caller is cancelled
==================  ==============================  ==============================================
`tasks.run(f, x)`   the caller: result, or error    the task is cancelled, and gone first
`tasks.start(f)`    the log: a crash is one line    nothing: it has a life of its own
`tasks.map(f, xs)`  the consumer, item after item   what is left is cancelled, and gone first
==================  ==============================  ==============================================

Guarantees:

- Nothing outlives the supervisor. When it stops, all tasks are cancelled at once, each gets its
  shutdown time (default 5.0 seconds) to tidy up, then it is killed.
- When a task is killed, or the supervisor ends, its caller gets ProcExited; nobody waits for
  ever.
- The error of an awaited task does not touch the supervisor, that of a temporary one neither.

>>> import anyio
>>> from supervision import serve
>>> async def fetch(page: int) -> str:
...     await anyio.sleep(0.01)
...     return f"page {page}"
>>> async def main() -> None:
...     async with serve(TaskSupervisorSpec("jobs", max_tasks=10)) as app:
...         tasks = Tasks(app.supervisor)
...         print(await tasks.run(fetch, 1))
...         async with tasks.map(fetch, range(2, 4), limit=2) as pages:
...             async for page in pages:
...                 print(page)
>>> anyio.run(main)
page 1
page 2
page 3

The model is Elixir's Task.Supervisor; `map` is its async_stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from functools import partial
from random import Random
from typing import Any, Literal, Never, ParamSpec, TypeVar, TypeVarTuple, cast, final, overload

from attrs import Attribute, field, frozen

from actors import Ref
from supervision.errors import TooManyChildren
from supervision.specs import (
    ChildSpec,
    DynamicSupervisorSpec,
    Restart,
    ShutdownPolicy,
    TaskSupervisorSpec,
)
from supervision.supervisors import ChildRecord, DynamicSupervisor, StartChild, SupervisorMessage
from supervision.tasks.map import TaskMap
from supervision.tasks.map_actor import MapActor, MapOptions, Source
from supervision.tasks.map_calls import Caller, CallerProc
from supervision.tasks.outcomes import Outcome
from supervision.tasks.task import AwaitedTask, BackgroundTaskProc, check_function, new_id

__all__ = ["TaskSupervisor", "Tasks"]


A = TypeVar("A")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
P = ParamSpec("P")


@final
class TaskSupervisor(DynamicSupervisor):
    """The actor behind a `TaskSupervisorSpec`.

    It takes what every dynamic supervisor takes. `random` (default: a fresh one) is where backoffs
    take their jitter from. Raises TypeError when `spec` is no TaskSupervisorSpec.
    """

    def __init__(self, spec: TaskSupervisorSpec, *, random: Random | None = None) -> None:
        if not isinstance(spec, TaskSupervisorSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"TaskSupervisor wants a TaskSupervisorSpec, not {spec!r}")
        budget = DynamicSupervisorSpec(
            spec.id, max_restarts=spec.max_restarts, max_seconds=spec.max_seconds
        )
        super().__init__(budget, random=random)
        self._limit = spec.max_tasks
        self._maps = 0

    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse a task that there is no place for."""
        super().check(spec)
        limit = self._limit
        if limit is None or _is_map(spec) or len(self.records) - self._maps < limit:
            return
        # A child of a map that has no call in hand has to make room.
        leaving = 0
        for record in self.records.values():
            caller = _caller_of(record.spec)
            if caller is not None and not caller.busy:
                leaving += 1
                if caller.idle:
                    caller.leave()
                    break
        if len(self.records) - self._maps - leaving >= limit:
            raise TooManyChildren(limit, "max_tasks")

    def add(self, spec: ChildSpec[Any]) -> ChildRecord:
        """Give a task an address."""
        record = super().add(spec)
        self._maps += _is_map(spec)
        return record

    def drop(self, record: ChildRecord, why: str) -> None:
        """Forget a task that has ended."""
        super().drop(record, why)
        self._maps -= _is_map(record.spec)


def _is_map(spec: ChildSpec[Any]) -> bool:
    return getattr(spec.start, "func", None) is MapActor


def _caller_of(spec: ChildSpec[Any]) -> Caller | None:
    """Return who makes calls of a map in a child, if it is one for that."""
    if getattr(spec.start, "func", None) is not CallerProc:
        return None
    caller: Caller = cast("Any", spec.start).args[0]
    return caller


def _check_ref(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Ref):
        raise TypeError(f"Tasks wants the Ref of a supervisor, not {value!r}")


@final
@frozen
class Tasks:
    """The way to start tasks under a supervisor.

    Made of the ref of a task supervisor, or of any dynamic one. `shutdown` is what each task gets
    to end when it is cancelled or told to stop: seconds, default 5.0, `INFINITY` or `BRUTAL_KILL`.
    Being told to stop cancels a task. The arguments of `start` are positional; use
    `functools.partial` for others. A task runs in its own context: it does not see the context
    variables of its caller. All calls raise TypeError when the function is not callable,
    TooManyChildren when `max_tasks` are there already, and ProcExited when the supervisor has ended
    or ends.
    """

    supervisor: Ref[SupervisorMessage] = field(validator=_check_ref)
    shutdown: float | ShutdownPolicy = field(default=5.0, kw_only=True)

    async def run(
        self, function: Callable[P, Awaitable[T]], *arguments: P.args, **options: P.kwargs
    ) -> T:
        """Run a function as a task and wait until it is gone; returns its result.

        Raises what the function raised; ProcExited when the task was killed or told to stop by
        somebody else, and returned nothing. There is no limit of time: wrap it in
        `anyio.fail_after`. Cancelled, the task is cancelled and gone before the cancellation
        goes on; what it raises then is its crash, which is logged.
        """
        name = check_function("run", function)
        task: AwaitedTask[T] = AwaitedTask(partial(function, *arguments, **options), self.shutdown)
        await task.start(self.supervisor, new_id(name))
        return await task.result()

    async def start(
        self,
        function: Callable[[*Ts], Awaitable[object]],
        *arguments: *Ts,
        restart: Restart | Literal["permanent", "transient", "temporary"] = Restart.TEMPORARY,
        id: str | None = None,
    ) -> Ref[Never]:
        """Start a task that nobody waits for; returns the ref by which it can be stopped.

        `restart`: default temporary, so that a crash is an event and a log line, and that is all;
        "transient" has it restarted then, on the supervisor's budget. `id`: default made up from
        the function's name. Raises ChildExists when it is taken. Cancelled while the supervisor
        is busy, it may start or not.
        """
        name = check_function("start", function)
        make = partial(BackgroundTaskProc, partial(function, *arguments))
        spec = ChildSpec(
            new_id(name) if id is None else id, make, restart=restart, shutdown=self.shutdown
        )
        started = await self.supervisor.ask(StartChild(spec), timeout=None)
        assert started is not None
        return started

    @overload
    def map(
        self,
        function: Callable[[A], Awaitable[T]],
        source: Source[A],
        *,
        limit: int,
        ordered: bool = True,
        outcomes: Literal[False] = False,
    ) -> TaskMap[T]: ...

    @overload
    def map(
        self,
        function: Callable[[A], Awaitable[T]],
        source: Source[A],
        *,
        limit: int,
        ordered: bool = True,
        outcomes: Literal[True],
    ) -> TaskMap[Outcome[A, T]]: ...

    def map(
        self,
        function: Callable[[A], Awaitable[Any]],
        source: Source[A],
        *,
        limit: int,
        ordered: bool = True,
        outcomes: bool = False,
    ) -> TaskMap[Any]:
        """Call a function on each item of a source, at most `limit` at a time.

        Returns an async iterator over the results; nothing happens before it is first asked.
        `ordered` (default True): in the order of the source; else as they are ready. Not more
        than `limit` items are taken from the source that have not come out as results.

        An error of one call is raised at its place, after the results before it; the source is
        read no further, what is left is cancelled. With `outcomes=True` (default False) each
        result is `Succeeded(item, value)` or `Failed(item, error)` instead, and the map goes on.
        An error of the source is raised after the results of what it gave, with either.

        When the supervisor has no place for a call, the map goes on with those that it has; when
        it has none, TooManyChildren is raised. Raises ValueError when `limit` is less than 1,
        TypeError when `source` is not iterable. How it is left early is said in `TaskMap`.
        """
        name = check_function("map", function)
        if isinstance(limit, bool) or not isinstance(limit, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"limit is an int >= 1, not {limit!r}")
        if limit < 1:
            raise ValueError(f"limit is an int >= 1, not {limit!r}")
        if not isinstance(source, Iterable | AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"map wants an iterable or async iterable source, not {source!r}")
        return TaskMap(
            MapOptions(
                self.supervisor, function, name, source, limit, ordered, outcomes, self.shutdown
            )
        )

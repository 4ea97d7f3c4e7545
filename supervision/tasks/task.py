"""One task: a coroutine function that is run as a child of a supervisor.

What `tasks` and `map` have in common. An `AwaitedTask` is run on behalf of somebody who waits for
its result, a `BackgroundTaskProc` on behalf of nobody. Both are ordinary procs, so that they have a
path, can be listed, stopped and killed. Being told to stop cancels their function.

Guarantees for an `AwaitedTask`:

- What its function returns or raises reaches the one who waits, and nobody else; the proc itself
  ends well. What ends it otherwise (a kill, its supervisor's end) reaches them as ProcExited.
- When the one who waits is cancelled, the function is cancelled, and gone, before the cancellation
  goes on. An error that it raises then is the proc's crash: it is reported by its supervisor.
- It never begins when it was given up before.

The hard part is the last one. Between the request to start a task and the answer, its owner may be
cancelled, at a moment when nobody can tell whether the proc is there. So owner and proc share an
`OwnedProc`: the proc shows itself there when it begins to start, and does not start when it reads
that it is not wanted; the owner stops what it finds there, and waits until it is gone. Whoever of
the two comes second sees what the first has done.

>>> import anyio
>>> from actors import ActorSystem
>>> from supervision import DynamicSupervisor, DynamicSupervisorSpec
>>> async def double(number: int) -> int:
...     return 2 * number
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         spec = DynamicSupervisorSpec("jobs")
...         jobs = await system.spawn(lambda: DynamicSupervisor(spec), id="jobs")
...         task = AwaitedTask(partial(double, 21), 5.0)
...         await task.start(jobs, "double")
...         print(await task.result())
>>> anyio.run(main)
42
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutine
from itertools import count
from typing import Any, Generic, Never, TypeVar, cast, final

import anyio

from actors import CancellationToken, Crashed, Ignore, Proc, ProcExited, Ref
from supervision.specs import ChildSpec, Restart, ShutdownPolicy
from supervision.supervisors import StartChild, SupervisorMessage, shutdown_timeout

__all__ = ["AwaitedTask", "BackgroundTaskProc", "OwnedProc", "check_function", "new_id"]


T = TypeVar("T")

_numbers = count(1)


def new_id(name: str) -> str:
    """Make an id that no other task of this process has."""
    return f"{name}-{next(_numbers)}"


def check_function(caller: str, function: object) -> str:
    """Check that a function can be called; returns a name for its task. Raises TypeError."""
    if iscoroutine(function):
        function.close()  # or Python warns of one that was never awaited
        name = function.__name__
        raise TypeError(f"{caller} wants a coroutine function; give {name}, without calling it")
    if not callable(function):
        raise TypeError(f"{caller} wants a coroutine function, not {function!r}")
    while isinstance(function, partial):
        function = cast("partial[Any]", function).func
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() else "task"


@final
class OwnedProc:
    """A proc that is started for an owner, who may give it up at any time.

    `ref` is there from the moment when it begins to start; `wanted` until it is given up. `look`
    is a way to what it has ready, without asking it, while there is one.
    """

    __slots__ = ("look", "ref", "shutdown", "shutdown_timeout", "wanted")

    def __init__(self, shutdown: float | ShutdownPolicy) -> None:
        self.shutdown = shutdown
        self.shutdown_timeout: float | None = None
        self.wanted = True
        self.ref: Ref[Any] | None = None
        self.look: Callable[[], Any] | None = None

    def begin(self, ref: Ref[Any]) -> None:
        """Note the proc, which calls this itself. Raises Ignore when it is not wanted any more."""
        if not self.wanted:
            raise Ignore
        self.ref = ref

    async def start(
        self, supervisor: Ref[SupervisorMessage], id: str, make: Callable[[], Proc[Any]]
    ) -> Ref[Any]:
        """Start the proc, temporary; raises what the supervisor refuses it with.

        Cancelled, it is not started, or gone again before the cancellation goes on.
        """
        spec = ChildSpec(id, make, restart=Restart.TEMPORARY, shutdown=self.shutdown)
        self.shutdown_timeout = shutdown_timeout(spec)
        self.wanted = True
        try:
            await supervisor.ask(StartChild(spec), timeout=None)
            assert self.ref is not None
            return self.ref
        except BaseException as error:
            await self.give_up_after(error)
            raise

    async def give_up_after(self, error: BaseException) -> None:
        """Give up because of an error; without waiting, where a coroutine is thrown away."""
        if not isinstance(error, GeneratorExit):
            await self.give_up()
        else:
            self.wanted = False
            if self.ref is not None:
                self.ref.stop()

    async def give_up(self, *, for_ever: bool = False) -> None:
        """Stop the proc and wait until it is gone; if it has not started, it never will.

        `for_ever` (default False): it is not killed at the end of its shutdown time.
        """
        self.wanted = False
        if self.ref is not None and self.ref.is_alive:
            with anyio.CancelScope(shield=True):
                await self.ref.shutdown(None if for_ever else self.shutdown_timeout)


@final
class AwaitedTask(Generic[T]):
    """A function that is run for somebody who waits for its result.

    `shutdown`: what it gets to end when it is cancelled, as in `ChildSpec`.
    """

    __slots__ = ("_error", "_function", "_result", "owned")

    def __init__(
        self, function: Callable[[], Awaitable[T]], shutdown: float | ShutdownPolicy
    ) -> None:
        self.owned = OwnedProc(shutdown)
        self._function: Callable[[], Awaitable[T]] | None = function
        self._result: tuple[T] | None = None
        self._error: Exception | None = None

    async def start(self, supervisor: Ref[SupervisorMessage], id: str) -> None:
        """Start it; see `OwnedProc.start`."""
        await self.owned.start(supervisor, id, partial(AwaitedTaskProc, self))

    async def result(self) -> T:
        """Wait until it is gone; returns what it returned, raises what it raised.

        Raises ProcExited when it was ended from elsewhere. Cancelled, it is gone first.
        """
        ref = self.owned.ref
        assert ref is not None
        try:
            reason = await ref.wait()
        except BaseException as interruption:
            await self.owned.give_up_after(interruption)
            raise
        if self._result is not None:
            return self._result[0]
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            cause = reason.error if isinstance(reason, Crashed) else None
            raise ProcExited(ref.path, reason) from cause
        finally:
            del error  # no cycle through the traceback

    async def perform(self) -> None:
        """Run the function, in its proc."""
        function, self._function = self._function, None
        assert function is not None
        try:
            self._result = (await function(),)
        except Exception as error:
            if not self.owned.wanted:
                raise  # nobody else would ever hear of it
            self._error = error


@final
class AwaitedTaskProc(Proc[Never]):
    """The proc of an `AwaitedTask`."""

    def __init__(self, task: AwaitedTask[Any]) -> None:
        self.task = task

    async def on_start(self) -> None:
        """Do not start what nobody waits for any more."""
        self.task.owned.begin(self.context.ref)

    async def run(self, shutdown: CancellationToken) -> None:
        """Run the function; it is cancelled when this proc is told to stop."""
        async with shutdown.scope():
            await self.task.perform()


@final
class BackgroundTaskProc(Proc[Never]):
    """The proc of a function whose result nobody waits for; its crash is a crash."""

    def __init__(self, function: Callable[[], Awaitable[object]]) -> None:
        self.function = function

    async def run(self, shutdown: CancellationToken) -> None:
        """Run the function; it is cancelled when this proc is told to stop."""
        async with shutdown.scope():
            await self.function()

"""Make a proc of a plain coroutine function.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken
>>> async def report(shutdown: CancellationToken) -> None:
...     print("reporting")
...     await shutdown.wait()
>>> task(report)
task(report)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         reporter = await system.spawn(task(report), id="reporter")
...         print(await reporter.shutdown())
>>> anyio.run(main)
reporting
shutdown
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Never, final

from actors.cancellation import CancellationToken
from actors.context import Proc
from actors.shapes import check_shape

__all__ = ["TaskFactory", "TaskProc", "task"]


@final
class TaskProc(Proc[Never]):
    """A plain coroutine function as a proc."""

    def __init__(self, function: Callable[[CancellationToken], Awaitable[None]]) -> None:
        self.function = function

    async def run(self, shutdown: CancellationToken) -> None:
        """Await the function; its end is the end of the proc."""
        await self.function(shutdown)


@final
class TaskFactory:
    """A factory of procs of one coroutine function; compares by the function."""

    __slots__ = ("_function", "__name__")

    def __init__(self, function: Callable[[CancellationToken], Awaitable[None]]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", "task")

    def __call__(self) -> Proc[Never]:
        """Make a new proc."""
        return TaskProc(self._function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskFactory) and self._function == other._function

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return f"task({self.__name__})"


def task(function: Callable[[CancellationToken], Awaitable[None]]) -> TaskFactory:
    """Make a proc factory of a plain `async def f(shutdown)`.

    Such a proc takes no messages, is ready as soon as it runs, and ends when `f` returns. Raises
    TypeError when `function` cannot be called with one token, or awaited.
    """
    if not callable(function):
        raise TypeError(f"task wants a coroutine function of one token, not {function!r}")
    name = getattr(function, "__qualname__", "f")
    check_shape(f"task({name})", function, ("token",), awaited=True)
    return TaskFactory(function)

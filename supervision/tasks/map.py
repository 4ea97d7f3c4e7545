"""Call a function on each item of a source, a bounded number at a time, as children.

`Tasks.map` returns a `TaskMap`, an async iterator over the results. Behind it stand a `MapActor`,
the child that reads the source, and one child for each call. The consumer asks that actor for the
next result, so whatever ends the actor ends the wait.

Guarantees:

- Of what was taken from the source, at most `limit` items have no result that was handed to the
  consumer. So no more than `limit` calls run at a time, and no more results than that wait.
- Results come in the order of the source, or with `ordered=False` as they are ready.
- When the consumer stops, in whatever way, the calls that are left are cancelled and the source is
  read no further. A source that is a generator is closed, in the task that read it, after the
  last call is gone.
- At the end of the iteration, and when `aclose` or `async with` is over, all of it is gone.

>>> import anyio
>>> from supervision import Tasks, TaskSupervisorSpec, serve
>>> async def square(number: int) -> int:
...     return number * number
>>> async def main() -> None:
...     async with serve(TaskSupervisorSpec("jobs")) as app:
...         async with Tasks(app.supervisor).map(square, range(100), limit=3) as squares:
...             async for found in squares:
...                 if found > 10:
...                     break
...                 print(found)
>>> anyio.run(main)
0
1
4
9

The model is Elixir's Task.Supervisor.async_stream.
"""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, final

from actors import CancellationToken, Ref
from actors.texts import is_a
from supervision.tasks.map_actor import (
    Answer,
    ClosableSource,
    Exhausted,
    ItemReader,
    MapActor,
    MapOptions,
    NextResult,
)
from supervision.tasks.outcomes import Failed, Succeeded
from supervision.tasks.task import OwnedProc, new_id

__all__ = ["TaskMap"]


T = TypeVar("T")


@final
class TaskMap(ClosableSource, Generic[T]):
    """The results of a map, one after the other; made by `Tasks.map`. `anext` begins it.

    To be used with `async with`, or in an `async for` of its own. Left early, what is left is
    cancelled: `async with` and `aclose` wait until it is gone. Without them it is told to go when
    the iterator is collected (in CPython at once after a `break` or an error, unless a variable
    holds it), and it goes meanwhile.

    `anext` raises what the call or the source raised, after all else is gone; ProcExited when the
    map or one of its calls was ended from elsewhere; the refusal when it could not be started;
    RuntimeError while another task waits in it. Cancelled, all is gone before the cancellation
    goes on. After any of these it is over.
    """

    __slots__ = ("__weakref__", "_busy", "_owned", "_dropped", "_over", "_options")

    def __init__(self, options: MapOptions[Any, Any]) -> None:
        self._options = options
        self._owned: OwnedProc | None = None
        self._dropped = CancellationToken()
        self._busy = False
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._busy:
            raise RuntimeError("another task waits for the next result of this map already")
        if self._over:
            raise StopAsyncIteration
        owned = self._owned
        if owned is not None and owned.look is not None:
            found: Answer | None = owned.look()
            if isinstance(found, Succeeded):
                return cast("T", found if self._options.outcomes else found.value)
        else:
            found = None
        self._busy = True
        try:
            answer = await self._ask() if found is None else found
            if isinstance(answer, Succeeded):
                return cast("T", answer if self._options.outcomes else answer.value)
            if self._options.outcomes and isinstance(answer, Failed):
                return cast("T", answer)
        except GeneratorExit:
            self._dropped.cancel()  # the coroutine is thrown away, and cannot wait
            raise
        except BaseException:
            await self.aclose()
            raise
        finally:
            self._busy = False
        await self.aclose()
        if isinstance(answer, Exhausted):
            raise StopAsyncIteration
        if is_a(answer.error, StopAsyncIteration):
            # It would look like the end to the consumer's `async for`.
            raise RuntimeError("the call raised StopAsyncIteration") from answer.error
        raise answer.error

    async def aclose(self) -> None:
        """Cancel what is left, close the source, and wait until all is gone; twice is once.

        Cancelled, it ends that first.
        """
        self._over = True
        owned = self._owned
        if owned is not None:
            # It has deadlines of its own: one for the calls, one for the source.
            await owned.give_up(for_ever=True)
        if owned is None or owned.ref is None:
            await ItemReader(self._options.source).close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Only a token may be used here: the garbage collector runs in any thread.
        dropped = getattr(self, "_dropped", None)
        if dropped is not None:
            dropped.cancel()

    async def _ask(self) -> Answer:
        options = self._options
        owned = self._owned
        if owned is None:
            owned = self._owned = OwnedProc(options.shutdown)
            make = partial(MapActor, options, owned, self._dropped)
            await owned.start(options.supervisor, new_id(f"map-{options.name}"), make)
        actor: Ref[NextResult] | None = owned.ref
        assert actor is not None
        return await actor.ask(NextResult(), timeout=None)

"""Look at a proc from outside: what it is busy with, for how long, and where in its code it is.

Nothing is noted for this while messages are handled: an incarnation that waits inside of a handler
is a chain of suspended coroutines, and whoever wants to know walks along it. So watching costs
only the one who watches, and only when it looks. It is for calls from the loop's own thread,
while the proc that is looked at is suspended, which it always is when another one runs.

>>> import anyio
>>> from actors import ActorSystem, Child, Exited, Proc, CancellationToken
>>> async def hang() -> None:
...     await anyio.sleep_forever()
>>> class Hanging(Proc[str]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         self.context.beat()
...         await hang()
>>> class Owner(Proc[object]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         child: Child[str] = self.context.child("hanging")
...         await child.start(Hanging)
...         await anyio.sleep(0.01)
...         print([place.function for place in child.stack()][:2])
...         child.fail(TimeoutError("no answer"))
...         print(await child.ref.wait())
...     def on_exit(self, exited: Exited) -> None:
...         pass
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         owner = await system.spawn(Owner)
...         await owner.wait()
>>> anyio.run(main)
['Hanging.run', 'hang']
crashed: TimeoutError: no answer

That a suspended task can be read from its coroutines is what trio's `Task.iter_await_frames` shows.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    GeneratorType,
    TracebackType,
)
from typing import Any, TypeAlias, TypeGuard, cast, final

from attrs import frozen

__all__ = ["Place", "Step", "Vitals", "places", "steps_of", "traceback_of"]

Step: TypeAlias = (
    "CoroutineType[Any, Any, Any] | GeneratorType[Any, Any, Any] | AsyncGeneratorType[Any, Any]"
)
"""One suspended call: it has a frame, and awaits the next one."""


@final
@frozen
class Place:
    """One entry of a stack: a file, the line reached in it, and the function."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@final
@frozen
class Vitals:
    """What an incarnation is doing at this moment.

    `incarnation` counts from 1. `work` stands for the piece of work that it is busy with: a
    handler, a hook (`on_down`, `on_exit`, `on_stop`), or one turn of a loop over its inbox. As
    long as two looks see an equal `work`, it is the same piece; None when it waits for mail, or
    is no actor and reads no inbox. To keep it costs a finished coroutine at the most. `activity`
    tells the same in words, "" for None. `last_beat` is the loop time of the last
    `context.beat()`, None when there was none. `stopping` tells that its body is over: its
    children are being stopped, or its `on_stop` runs.
    """

    incarnation: int
    work: object
    activity: str
    last_beat: float | None
    stopping: bool


def steps_of(coroutine: object) -> Iterator[Step]:
    """Walk along the suspended calls of a coroutine, outermost first. Empty when it has ended."""
    step = coroutine
    seen: set[int] = set()
    # What an iterator of somebody's own holds may lead back.
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        if _is_step(step):
            yield step
        step = _awaited(step)


def _awaited(step: object) -> object:
    if isinstance(step, CoroutineType):
        return step.cr_await
    if isinstance(step, GeneratorType):
        return cast("GeneratorType[object, Any, Any]", step).gi_yieldfrom
    if isinstance(step, AsyncGeneratorType):
        return step.ag_await
    # An iterator of the interpreter's own (`async for`, `__await__` of a coroutine) that does not
    # say what it runs; or a future, which runs nothing and holds none of these.
    return next((held for held in gc.get_referents(step) if _is_step(held)), None)


def _is_step(value: object) -> TypeGuard[Step]:
    return isinstance(value, CoroutineType | GeneratorType | AsyncGeneratorType)


def _frame(step: Step) -> FrameType | None:
    if isinstance(step, CoroutineType):
        return step.cr_frame
    return step.gi_frame if isinstance(step, GeneratorType) else step.ag_frame


def code_of(step: Step) -> CodeType:
    """Return the code of a suspended call."""
    if isinstance(step, CoroutineType):
        return step.cr_code
    return step.gi_code if isinstance(step, GeneratorType) else step.ag_code


def places(steps: Iterable[Step]) -> tuple[Place, ...]:
    """Return where suspended calls are."""
    frames = [frame for step in steps if (frame := _frame(step)) is not None]
    return tuple(
        Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        for frame in frames
    )


def traceback_of(steps: Iterable[Step]) -> TracebackType | None:
    """Make the traceback that an error raised there would have; None for no steps."""
    frames = [frame for step in steps if (frame := _frame(step)) is not None]
    found: TracebackType | None = None
    for frame in reversed(frames):
        found = TracebackType(found, frame, frame.f_lasti, frame.f_lineno)
    return found

"""The procs that a `Stage` of `stage.py` puts into its trees: they do what their script says.

A script has one step for each start, and one for the stop; a worker also does what an `Act` asks of
it. Everything is written into the stage's diary.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
from attrs import frozen

from actors import Actor, CancellationToken, ExitReason, Ignore, Request, on

if TYPE_CHECKING:
    from tests.kit.stage import Stage

Script = Callable[["Worker"], Awaitable[object] | object]
Step = None | float | BaseException | Script
"""What a scripted hook does: nothing, sleep, raise, or call a function of the worker."""


@frozen
class Act:
    """Make a worker call a function of itself."""

    what: Script


@frozen
class Note:
    """Make a worker write something down."""

    text: str


@frozen
class Life(Request[int]):
    """Ask a worker which incarnation it is."""


class Worker(Actor[Act | Note | Life]):
    """Do what the script of its stage says, and leave a trace."""

    def __init__(self, stage: Stage, id: str) -> None:
        self.stage = stage
        self.id = id

    async def on_start(self) -> None:
        """Follow the next step of the start script."""
        self.stage.refs[self.id] = self.context.ref
        steps = self.stage.starts.get(self.id)
        with self.stage.inside(self.id, "start"):
            try:
                await self._follow(steps.popleft() if steps else None)
            except Ignore:
                self.stage.write("~", self.context.path)
                raise

    async def run(self, shutdown: CancellationToken) -> None:
        """Handle messages inside a marked section."""
        with self.stage.inside(self.id, "run"):
            await super().run(shutdown)

    async def on_stop(self, reason: ExitReason) -> None:
        """Follow the stop script."""
        self.stage.reasons.append((self.id, reason))
        with self.stage.inside(self.id, "stop"):
            await self._follow(self.stage.stops.get(self.id))

    @on(Act)
    async def act(self, message: Act) -> None:
        """Call the function."""
        await self._follow(message.what)

    @on(Note)
    def note(self, message: Note) -> None:
        """Write it down, with the incarnation that did."""
        self.stage.notes.append((self.id, self.context.incarnation, message.text))

    @on(Life)
    def life(self, message: Life) -> int:
        """Answer with the incarnation's number."""
        return self.context.incarnation

    async def _follow(self, step: Step) -> None:
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, float | int):
            await anyio.sleep(step)
        elif step is not None:
            result = step(self)
            if inspect.isawaitable(result):
                await result


class Gate(Worker):
    """Keep a supervisor busy while it starts, then be ignored."""

    async def on_start(self) -> None:
        """Wait, then bow out."""
        await anyio.sleep(1.0)
        raise Ignore


def forever(worker: Worker) -> Awaitable[object]:
    """Hang, until interrupted."""
    return anyio.sleep_forever()

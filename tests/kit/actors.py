"""What the tests of procs share: actors that do what they are told, and what is raised at the end.

>>> import anyio
>>> from actors import ActorSystem
>>> async def main() -> None:
...     with raising(BaseExceptionGroup) as raised:
...         async with ActorSystem() as system:
...             doer = await pair(system)
...             await doer.do(fail)
...     print(raised.texts)
>>> anyio.run(main)
['broken']
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Down,
    Exited,
    ExitReason,
    Proc,
    Ref,
    Reply,
    Request,
    on,
)
from actors.testing import settle


@frozen
class Do:
    """Run a function inside of the actor, with the actor."""

    what: Callable[[Any], object]


@frozen
class Ask(Request[object]):
    """Run a function inside of the actor, and answer with what it returns."""

    what: Callable[[Any], object]


@frozen
class Plain(Request[Any]):
    """Run a function inside of the actor, and answer at once with what it returns."""

    what: Callable[[Any], object]


@frozen
class Later(Request[Any]):
    """Run a function inside of the actor, with the actor and the reply."""

    what: Callable[[Any, Reply[Any]], object]


@frozen
class Note:
    """Be something to write down."""

    text: object


class Doer(Actor[Do | Ask | Plain | Later | Note]):
    """Do what it is told, and write down what it hears; it traps no exits."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log: list[Any] = [] if log is None else log

    @on(Do)
    async def do(self, message: Do) -> None:
        """Do something; wait for it if it is a coroutine."""
        await run(message.what(self))

    @on(Ask)
    async def answer(self, message: Ask) -> object:
        """Do something and answer."""
        return await run(message.what(self))

    @on(Plain)
    def answer_at_once(self, message: Plain) -> object:
        """Do something and answer."""
        return message.what(self)

    @on(Later)
    async def answer_later(self, message: Later, reply: Reply[Any]) -> None:
        """Do something with the reply."""
        await run(message.what(self, reply))

    @on(Note)
    def note(self, message: Note) -> None:
        """Write down."""
        self.log.append(message.text)

    def on_down(self, down: Down) -> None:
        """Write down."""
        self.log.append(down)


class Trapper(Doer):
    """Trap exits, too."""

    def on_exit(self, exited: Exited) -> None:
        """Write down."""
        self.log.append(exited)


async def run(result: Any) -> Any:
    """Wait for what is to be awaited; returns what comes of it."""
    return await result if hasattr(result, "__await__") else result


class Pair:
    """Hold an actor and its ref."""

    def __init__(self, actor: Any, ref: Ref[Any]) -> None:
        self.actor, self.ref = actor, ref
        self.log: list[object] = actor.log

    async def do(self, what: Callable[[Any], object]) -> None:
        """Run a function inside of the actor, until all is quiet."""
        self.ref.tell(Do(what))
        await settle()


async def pair(system: ActorSystem, cls: type[Doer] = Doer, **options: Any) -> Pair:
    """Start an actor."""
    actor = cls()
    return Pair(actor, await system.spawn(lambda: actor, **options))


@asynccontextmanager
async def spawned(start: Callable[[], Proc[Any]], **options: Any) -> AsyncGenerator[Ref[Any]]:
    """Spawn a proc in a system of its own; its crash is for the test to look at."""
    async with ActorSystem() as system:
        ref = await system.spawn(start, **options)
        system.monitor(ref, lambda down: None)
        yield ref


@asynccontextmanager
async def lossy(unheard: list[BaseException]) -> AsyncGenerator[ActorSystem, None]:
    """Run a system in which crashes are nobody's; they are collected."""
    try:
        async with ActorSystem() as system:
            yield system
    except* Exception as group:
        unheard.extend(group.exceptions)


def given(proc: Proc[Any]) -> Callable[[], Proc[Any]]:
    """Make a factory of one proc that exists already."""
    return lambda: proc


async def forever(shutdown: CancellationToken) -> None:
    """Run until told to stop."""
    await shutdown


def fail(_: object = None) -> None:
    """Crash."""
    raise ValueError("broken")


class Life(Proc[str]):
    """Log every step; `does` says what some steps do beside."""

    def __init__(self, log: list[object], **does: Callable[[Life], Awaitable[None]]) -> None:
        self.log = log
        self.does = does

    async def _step(self, step: str) -> None:
        self.log.append(step)
        if step in self.does:
            await self.does[step](self)

    async def on_start(self) -> None:
        """Take the first step."""
        await self._step("start")

    async def run(self, shutdown: CancellationToken) -> None:
        """Take the second step."""
        await self._step("run")

    async def on_stop(self, reason: ExitReason) -> None:
        """Take the last step."""
        self.log.append(reason)
        await self._step("stop")


async def crash(_: object) -> None:
    """Crash."""
    raise ValueError("broken")


async def sleep(_: object) -> None:
    """Wait for ever."""
    await anyio.sleep_forever()


async def obey(life: Life) -> None:
    """Wait for the token."""
    await life.context.shutdown


class Raised:
    """Hold what was raised."""

    error: BaseException

    @property
    def errors(self) -> list[BaseException]:
        """Return the exceptions in the group that was raised."""
        assert isinstance(self.error, BaseExceptionGroup)
        return list(self.error.exceptions)

    @property
    def texts(self) -> list[str]:
        """Return their texts."""
        return [str(error) for error in self.errors]


@contextmanager
def raising(kind: type[BaseException]) -> Iterator[Raised]:
    """Expect the block to raise, as it is left; the block may be of any length.

    Unlike pytest's own, it tells SystemExit in a group from SystemExit itself.
    """
    raised = Raised()
    try:
        yield raised
    except BaseException as error:
        if not isinstance(error, kind):
            raise AssertionError(f"{kind.__name__} was expected, not {error!r}") from None
        raised.error = error
    else:
        raise AssertionError(f"{kind.__name__} was expected, and nothing was raised")

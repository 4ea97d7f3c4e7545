"""Tests of coroutine handlers that cannot wait, and are run in the asker's turn like functions.

Every test runs with and without fast paths, and must say the same both ways.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import Actor, ActorSystem, ProcExited, Request, on
from actors.testing import without_fast_paths
from tests.kit.actors import lossy
from tests.kit.errors import No
from tests.kit.inline import speed  # noqa: F401 - the fixture

pytestmark = [pytest.mark.usefixtures("speed"), pytest.mark.dead_letters]


@frozen
class Now(Request[Any]):
    """Ask for what a plain function returns, by a coroutine that has nothing to wait for."""

    what: Callable[[Any], Any]


@frozen
class Soon(Now):
    """Ask for it by a coroutine that could wait, but does not."""


class Swift(Actor[Now | Soon]):
    """Answer by coroutines."""

    @on(Now)
    async def now(self, message: Now) -> Any:
        """Answer."""
        return message.what(self)

    @on(Soon)
    async def soon(self, message: Soon) -> Any:
        """Answer."""
        if message.what is None:
            await anyio.sleep(1)
        return message.what(self)


async def turns_until(answer: Awaitable[Any]) -> int:
    """Count the turns of the event loop that others had until the answer was there."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await anyio.lowlevel.checkpoint()
        before = turns
        await answer
        taken = turns - before
        tasks.cancel_scope.cancel()
    return taken


async def test_a_coroutine_that_cannot_wait_is_as_quick_as_a_function(speed: str) -> None:  # noqa: F811
    """It is run in the asker's turn; one with an `await` in it has a turn of its own."""
    async with ActorSystem() as system:
        ref = await system.spawn(Swift)
        await ref.ask(Now(repr))
        assert await ref.ask(Now(lambda swift: 42)) == 42
        assert (await turns_until(ref.ask(Now(repr))) == 0) == (speed == "fast")
        assert await turns_until(ref.ask(Soon(repr))) > 0


async def test_fast_paths_are_back_after_a_test_without_them(speed: str) -> None:  # noqa: F811
    """Whatever a block without fast paths raises, what comes after it is as fast as before."""
    turns: list[int] = []

    async def measure() -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Swift)
            await ref.ask(Now(repr))
            turns.append(await turns_until(ref.ask(Now(repr))))

    await measure()
    with suppress(No), without_fast_paths():
        await measure()
        raise No("something")
    await measure()
    fast = speed == "fast"
    assert [count == 0 for count in turns] == [fast, False, fast]


async def test_an_answer_that_is_work_is_not_done(speed: str) -> None:  # noqa: F811
    """A coroutine handler may answer with a coroutine: the asker gets that, and awaits it."""
    async with ActorSystem() as system:
        ref = await system.spawn(Swift)

        async def work() -> str:
            return "done by the asker"

        assert await (await ref.ask(Now(lambda swift: work()))) == "done by the asker"


@pytest.mark.parametrize("kind", [Now, Soon])
async def test_what_it_raises_is_the_actors(kind: type[Now]) -> None:
    """A Refusal is the answer; anything else crashes the actor, in one way with or without wait."""
    unheard: list[BaseException] = []
    async with lossy(unheard) as system:
        ref = await system.spawn(Swift)

        def refuse(swift: Swift) -> None:
            raise No("never")

        def stop(swift: Swift) -> None:
            raise StopIteration("over")

        with pytest.raises(No):
            await ref.ask(kind(refuse))
        with pytest.raises(ProcExited) as caught:
            await ref.ask(kind(stop))
    assert unheard == []
    crash = caught.value.__cause__
    assert isinstance(crash, RuntimeError)
    assert isinstance(crash.__cause__, StopIteration)


async def test_a_handler_behind_a_decorator() -> None:
    """A handler behind a decorator is awaited, whatever it looks like."""

    def decorated(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def around(self: Any, message: Any) -> Any:
            return (await method(self, message)) + 1

        return around

    class Decorated(Actor[Now]):
        @on(Now)
        @decorated
        async def now(self, message: Now) -> Any:
            return message.what(self)

    async with ActorSystem() as system:
        ref = await system.spawn(Decorated)
        for _ in range(3):
            assert await ref.ask(Now(lambda swift: 41)) == 42

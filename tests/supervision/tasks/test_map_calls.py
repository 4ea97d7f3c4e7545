"""The children of a map that take item after item: each call is as if it had one for itself."""

from __future__ import annotations

from contextlib import nullcontext
from contextvars import ContextVar

import anyio
import pytest

from actors import Killed, ProcExited
from actors.testing import settle, without_fast_paths
from supervision import WhichChildren
from supervision.tasks import Failed, Succeeded
from supervision.tasks.map_calls import LINGER
from tests.kit.tasks import World

SEEN = ContextVar("SEEN", default=-1)


@pytest.mark.parametrize("fast", [True, False])
async def test_a_call_sees_no_variable_of_another(fast: bool) -> None:
    """What a call sets in its context is its own, behind a wait and in tasks that it starts too."""
    found: list[int] = []

    async def look() -> None:
        found.append(SEEN.get())

    async def call(item: int) -> int:
        before = SEEN.get()
        SEEN.set(item)
        await anyio.sleep(0.01)
        async with anyio.create_task_group() as group:
            group.start_soon(look)
        assert SEEN.get() == item
        return before

    with nullcontext() if fast else without_fast_paths():
        async with World().serve() as world:
            assert await world.collect(world.tasks.map(call, range(9), limit=2)) == [-1] * 9
    assert sorted(found) == list(range(9))


async def test_a_child_makes_many_calls() -> None:
    """A map of many items has not more children than its limit."""
    paths: set[str] = set()
    async with World().serve() as world:

        async def call(item: int) -> int:
            for info in await world.app.supervisor.ask(WhichChildren()):
                paths.add(info.id)
            return item

        assert await world.collect(world.tasks.map(call, range(50), limit=3)) == list(range(50))
    assert len(paths) <= 4  # the map's own child is one


async def test_a_child_that_is_killed_is_replaced() -> None:
    """A kill costs the call in hand alone: the map goes on, with another child in the place."""
    world = World()

    async def call(item: int) -> int:
        if item == 1:
            infos = await world.app.supervisor.ask(WhichChildren())
            next(info for info in infos if info.id.startswith("call")).ref.kill()
            await anyio.sleep(1)
        return item

    async with world.serve():
        results = world.tasks.map(call, range(4), limit=1, outcomes=True)
        first, second, *rest = [outcome async for outcome in results]
    assert first == Succeeded(0, 0)
    assert isinstance(second, Failed)
    assert isinstance(second.error, ProcExited)
    assert second.error.reason == Killed()
    assert rest == [Succeeded(2, 2), Succeeded(3, 3)]


async def test_a_child_without_a_call_makes_room() -> None:
    """A child of a map that waits for an item takes no place of `max_tasks`, and leaves soon."""

    async def call(item: int) -> int:
        return item

    async with World().serve(max_tasks=1) as world:
        async with world.tasks.map(call, world.slowly(3, 10.0), limit=1) as results:
            assert await anext(results) == 0
            task = await world.tasks.start(anyio.sleep, 5)  # there is room
            await task.wait()
            assert await anext(results) == 1
            await anyio.sleep(2 * LINGER)
            assert await world.ids() == ["map-call"]
        await settle()


async def test_a_function_may_return_any_awaitable() -> None:
    """What a mapped function returns is awaited, coroutine or not; what cannot be is an error."""

    class Ready:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield from ()
            return 7

    async with World().serve() as world:
        assert await world.collect(world.tasks.map(lambda _: Ready(), [1], limit=1)) == [7]
        with pytest.raises(TypeError):
            await world.collect(world.tasks.map(lambda _: 5, [1], limit=1))  # type: ignore[call-overload]

"""Tests of `Tasks.map`: the order of its results, its bounds, and its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from actors import Killed, ProcExited
from actors.testing import settle
from supervision import WhichChildren
from supervision.tasks import Failed, Succeeded
from tests.kit.errors import Boom
from tests.kit.tasks import EachSource, World, each_source

# -- the results -----------------------------------------------------------------------------------


@each_source
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_results_are_in_order_and_bounded(
    source: EachSource, limit: int, ordered: bool
) -> None:
    """Results stand in their order, and calls and the source are never further than the limit."""
    async with World().serve() as world:
        results = world.tasks.map(world.call, source(world, 12), limit=limit, ordered=ordered)
        found = await world.collect(results)
    assert (found if ordered else sorted(found)) == [item * item for item in range(12)]
    assert world.most <= limit
    assert world.furthest <= limit + 1  # one result may be on its way to the consumer


async def test_a_slow_source_holds_no_result_up() -> None:
    """A result is handed out as soon as it is there, also while the source lets wait."""
    world = World()

    async def source() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep(1000)
        yield 2

    async with world.serve(), world.tasks.map(world.call, source(), limit=3) as results:
        began = anyio.current_time()
        assert await anext(results) == 1
        assert anyio.current_time() - began == pytest.approx(3)


async def test_nothing_begins_before_it_is_asked() -> None:
    """A map that nobody iterates takes nothing from its source, and closes it when it is closed."""
    async with World().serve() as world:
        results = world.tasks.map(world.call, world.plain(5), limit=2)
        await settle()
        assert (world.taken, await world.ids()) == ([], [])
        await results.aclose()
        assert [result async for result in results] == []
        assert world.taken == []


@pytest.mark.parametrize("items", [[], [0, 1]])
async def test_when_it_is_over_it_stays_over(items: list[int]) -> None:
    """After the end no child is left, without any closing, and `anext` ends again and again."""
    async with World().serve() as world:
        results = world.tasks.map(world.call, items, limit=2)
        assert [result async for result in results] == items
        assert await world.app.supervisor.ask(WhichChildren()) == ()
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(results)
        await results.aclose()


async def test_maps_can_be_chained() -> None:
    """One map can be the source of another, and is closed with it."""
    async with World().serve() as world:
        squares = world.tasks.map(world.call, world.plain(99), limit=2)
        async with world.tasks.map(world.call, squares, limit=2) as results:
            assert await anext(results) == 0
            assert await anext(results) == 1
        assert await world.ids() == []
        assert world.closed == 1


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_an_error_is_raised_at_its_place(ordered: bool) -> None:
    """The error of one call is raised after the results before it, and the rest is cancelled."""
    world = World()
    found: list[int] = []
    async with world.serve():
        results = world.tasks.map(world.call, world.slowly(99), limit=4, ordered=ordered)
        with pytest.raises(Boom):  # noqa: PT012
            async for result in results:
                found.append(result)
        assert world.running == 0
        assert world.closed == 1
        assert await world.ids() == []
        with pytest.raises(StopAsyncIteration):
            await anext(results)
    if ordered:
        assert found == [item * item for item in range(13)]
    assert len(world.taken) <= 13 + 4 + 1


async def test_a_failed_map_reads_no_further() -> None:
    """After an error nothing more is taken from the source, even if the consumer is slow."""
    world = World()

    async def call(item: int) -> int:
        if item == 1:
            await anyio.sleep(1)
            raise Boom
        await anyio.sleep(10)
        return item

    async with world.serve(), world.tasks.map(call, world.plain(99), limit=3) as results:
        assert await anext(results) == 0
        await anyio.sleep(100)
        assert world.taken == [0, 1, 2]
        with pytest.raises(Boom):
            await anext(results)


async def test_outcomes_go_on_after_an_error() -> None:
    """With `outcomes=True` an error is a value, and the map goes on."""
    async with World().serve() as world:
        outcomes = world.tasks.map(world.call, [12, 13, 14], limit=2, outcomes=True)
        first, second, third = [outcome async for outcome in outcomes]
    assert (first, third) == (Succeeded(12, 144), Succeeded(14, 196))
    assert isinstance(second, Failed)
    assert second.item == 13
    assert isinstance(second.error, Boom)


@pytest.mark.parametrize("outcomes", [True, False])
@pytest.mark.parametrize("given", [(1, 2), ()])
async def test_an_error_of_the_source_comes_last(outcomes: bool, given: tuple[int, ...]) -> None:
    """What the source raises, or its `__iter__`, comes after the results of what it gave."""
    world = World()

    class Source:
        def __iter__(self) -> Iterator[int]:
            if not given:
                raise Boom("source")
            return self.items()

        def items(self) -> Iterator[int]:
            yield from given
            raise Boom("source")

    found: list[object] = []
    async with world.serve():
        with pytest.raises(Boom, match="source"):  # noqa: PT012
            async for result in world.tasks.map(world.call, Source(), limit=9, outcomes=outcomes):  # type: ignore[call-overload]
                found.append(result)
    assert len(found) == len(given)


async def test_a_call_cannot_end_the_iteration() -> None:
    """A call that raises StopAsyncIteration is an error, not the end."""

    async def call(item: int) -> int:
        raise StopAsyncIteration

    async with World().serve() as world:
        with pytest.raises(RuntimeError, match="StopAsyncIteration"):
            await anext(world.tasks.map(call, [1], limit=1))


async def test_a_killed_call_is_an_error_at_its_place() -> None:
    """A call that somebody kills is a ProcExited for the consumer."""
    world = World()
    world.tidy = 0
    async with world.serve(), anyio.create_task_group() as group:

        async def consume() -> None:
            with pytest.raises(ProcExited) as caught:
                await world.collect(world.tasks.map(world.hang, [1, 2], limit=2))
            assert caught.value.reason == Killed()

        group.start_soon(consume)
        await settle()
        infos = await world.app.supervisor.ask(WhichChildren())
        next(info for info in infos if info.id.startswith("hang")).ref.kill()


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "3"])
async def test_a_limit_is_a_number_from_one(wrong: Any) -> None:
    """A limit that cannot be meant is an error where it is written."""
    async with World().serve() as world:
        with pytest.raises((TypeError, ValueError), match="limit is an int >= 1"):
            world.tasks.map(World().call, [], limit=wrong)
        with pytest.raises(TypeError, match="iterable"):
            world.tasks.map(World().call, 5, limit=1)  # type: ignore[call-overload]


async def test_two_consumers_of_one_map_are_one_too_many() -> None:
    """A second task that waits in the same map gets RuntimeError, and the first goes on."""
    async with World().serve() as world, anyio.create_task_group() as group:
        results = world.tasks.map(world.call, [1], limit=1)

        async def second() -> None:
            with pytest.raises(RuntimeError, match="another task"):
                await anext(results)

        group.start_soon(second)
        assert await anext(results) == 1
        await results.aclose()

"""Tests of `Tasks.map` when its consumer, or its supervisor, stops: nothing is left."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from typing import Never

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorSystem, CancellationToken, Crashed, Proc, ProcEnded, ProcExited
from actors.testing import Recorder, settle
from supervision import (
    Supervisor,
    SupervisorSpec,
    Tasks,
    TaskSupervisorSpec,
    TooManyChildren,
    WhichChildren,
)
from supervision.tasks import TaskMap
from tests.kit.errors import Boom
from tests.kit.tasks import World

# -- leaving early ---------------------------------------------------------------------------------


async def test_all_calls_are_cancelled_at_once() -> None:
    """What is left is cancelled together: three calls that need a second go within one."""
    async with World().serve() as world:
        began = anyio.current_time()
        with anyio.move_on_after(5):
            await world.collect(world.tasks.map(world.hang, world.slowly(99), limit=3))
        assert anyio.current_time() - began == pytest.approx(6)
        assert await world.app.supervisor.ask(WhichChildren()) == ()
        assert (world.running, world.closed) == (0, 1)


@pytest.mark.parametrize("error", [True, False])
async def test_an_iteration_that_is_left_cancels_what_is_left(error: bool) -> None:
    """A `break` or an error in a plain `async for` tells what is left to go, and it goes."""
    async with World().serve() as world:
        with suppress(Boom):
            async for _ in world.tasks.map(world.call, world.slowly(99), limit=4):
                if error:
                    raise Boom
                break
        await anyio.sleep(0.01)
        assert world.running == 0
        assert world.closed == 1
        assert await world.ids() == []


@pytest.mark.real_time
async def test_a_map_that_is_collected_in_another_thread_goes() -> None:
    """A map that the garbage collector finds, in whatever thread, is cancelled."""
    world = World()

    async def call(item: int) -> int:
        return item

    async with world.serve():
        results = world.tasks.map(call, world.slowly(99, 0.0), limit=2)
        await anext(results)
        cycle: list[object] = [results]
        cycle.append(cycle)
        del results, cycle
        infos = await world.app.supervisor.ask(WhichChildren())
        (mapper,) = [info.ref for info in infos if info.id.startswith("map")]
        await anyio.to_thread.run_sync(gc.collect)
        with anyio.fail_after(10):
            await mapper.wait()
        assert (world.running, world.closed) == (0, 1)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_consumer_may_be_cancelled_in_any_turn(turns: int, native: bool) -> None:
    """In whichever turn the consumer is cancelled, nothing is left when it is gone."""
    world = World()
    native &= anyio.get_cancelled_exc_class() is asyncio.CancelledError
    async with world.serve():
        results = world.tasks.map(world.hang, world.slowly(99, 0.0), limit=3)
        async with anyio.create_task_group() as group:
            if native:
                consumer = asyncio.create_task(world.collect(results))
            else:
                group.start_soon(world.collect, results)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            if native:
                consumer.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await consumer
            group.cancel_scope.cancel()
        assert world.running == 0
        assert world.closed == (1 if world.taken else world.closed)
        begun = len(world.begun)
        await settle()
        assert len(world.begun) == begun


@given(
    items=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.sampled_from([False, False, True])),
        max_size=10,
    ),
    limit=st.integers(1, 5),
    ordered=st.booleans(),
    ending=st.sampled_from(["break", "raise", "cancel", "drop"]),
    after=st.integers(0, 8),
    pause=st.sampled_from([0.0, 0.25, 1.5]),
)
async def test_however_a_map_ends_nothing_is_left(
    items: list[tuple[float, bool]],
    limit: int,
    ordered: bool,
    ending: str,
    after: int,
    pause: float,
) -> None:
    """However a map fails and its consumer goes, all was in order and nothing is left."""
    world = World()
    found: list[int] = []

    async def call(place: int) -> int:
        seconds, fails = items[place]
        world.begun.append(place)
        world.most = max(world.most, world.running)
        try:
            await anyio.sleep(seconds)
            if fails:
                raise Boom
            return place
        finally:
            world.gone.append(place)

    async def consume(results: TaskMap[int]) -> None:
        async for place in results:
            found.append(place)
            world.out += 1
            await anyio.sleep(pause)
            if len(found) == after and ending in ("break", "drop"):
                return
            if len(found) == after and ending == "raise":
                raise ZeroDivisionError

    async with world.serve():
        results = world.tasks.map(call, world.slowly(len(items), 0.1), limit=limit, ordered=ordered)
        with suppress(Boom, ZeroDivisionError), anyio.move_on_after(after / 3) as scope:
            if ending != "cancel":
                scope.deadline = math.inf
            if ending == "drop":
                await consume(results)
            else:
                async with results:
                    await consume(results)
        if ending != "drop":
            assert world.running == 0
        del results
        await anyio.sleep(0.01)
        assert world.running == 0
        assert world.closed <= 1
        assert world.closed or not world.taken
    if ordered:
        assert found == list(range(len(found)))
    assert len(set(found)) == len(found)
    assert not any(items[place][1] for place in found)
    assert world.most <= limit
    assert world.furthest <= limit + 1  # one result may be on its way to the consumer


@pytest.mark.parametrize("block", [True, False], ids=["with a block", "without"])
@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_the_end_of_a_consuming_proc_cancels_what_is_left(how: str, block: bool) -> None:
    """A proc that is killed or stopped while it consumes a map takes all of it along."""
    world = World()
    world.tidy = 0

    class Consumer(Proc[Never]):
        async def run(self, shutdown: CancellationToken) -> None:
            async with shutdown.scope():
                results = world.tasks.map(world.hang, world.slowly(99, 0.0), limit=3)
                if block:
                    await world.collect(results)
                else:
                    async for _ in results:
                        pass

    async with world.serve():
        consumer = await world.app.system.spawn(Consumer)
        await settle()
        assert world.running == 3
        if how == "kill":
            consumer.kill()
        await consumer.shutdown()
        await settle()
        assert (world.running, world.closed) == (0, 1)


async def test_a_thousand_items_leave_nothing_in_memory() -> None:
    """When a map is over, nothing of its calls is kept alive."""
    found: list[weakref.ref[World]] = []

    async def call(item: int) -> World:
        big = World()
        found.append(weakref.ref(big))
        return big

    async with World().serve() as world:
        async for _ in world.tasks.map(call, range(1000), limit=10):
            pass
        del _
        await settle()
        gc.collect()
        assert len(found) == 1000
        assert [ref for ref in found if ref() is not None] == []


async def test_a_source_that_hangs_when_closed_is_left_in_time() -> None:
    """Closing the source has the shutdown time of a task, and then is cut short."""

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await anyio.sleep(1000)

    async with World().serve() as world:
        results = world.tasks.map(world.call, source(), limit=1)
        assert await anext(results) == 1
        began = anyio.current_time()
        await results.aclose()
        assert anyio.current_time() - began == pytest.approx(5)


async def test_an_error_in_closing_the_source_is_told() -> None:
    """What a source raises when it is closed is the crash of the map's own child."""

    def source() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            raise Boom("closing")

    async with World().serve() as world:
        with Recorder(world.app.system, ProcEnded) as recorder:
            await world.collect(world.tasks.map(world.call, source(), limit=2), most=1)
        (ended,) = [event for event in recorder.events if event.ref.path.startswith("/jobs/map")]
        assert isinstance(ended.reason, Crashed)


@pytest.mark.parametrize("refused", [True, False])
async def test_a_source_is_closed_also_when_the_map_never_began(refused: bool) -> None:
    """A generator that was read from before is closed with a map that has taken nothing."""
    world = World()
    source = world.slowly(9)
    assert await anext(source) == 0
    async with world.serve():
        if refused:
            gone = await world.app.system.spawn(partial(Supervisor, SupervisorSpec("x")))
            await gone.shutdown()
            world.tasks = Tasks(gone)
        results = world.tasks.map(world.call, source, limit=2)
        if refused:
            with pytest.raises(ProcExited):
                await anext(results)
        else:
            await results.aclose()
        assert (world.closed, world.taken) == (1, [0])


async def test_a_stream_that_was_opened_elsewhere_stays_open() -> None:
    """Only generators are closed: what else can be iterated belongs to who opened it."""
    send, receive = anyio.create_memory_object_stream[int](9)
    world = World()
    async with send, receive, world.serve():
        for item in range(5):
            send.send_nowait(item)
        assert await world.collect(world.tasks.map(world.call, receive, limit=2), most=1) == [0]
        assert receive.receive_nowait() > 0


# -- the supervisor --------------------------------------------------------------------------------


@pytest.mark.dead_letters
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_the_end_of_the_supervisor_ends_the_map(how: str, turns: int) -> None:
    """A consumer whose supervisor ends gets ProcExited, and nothing is left."""
    world = World()
    world.tidy = 0
    ended: list[ProcExited] = []
    async with ActorSystem() as system:
        tree = SupervisorSpec("top", [TaskSupervisorSpec("jobs", restart="temporary")])
        await system.spawn(lambda: Supervisor(tree), id="top")
        jobs = system.find("/top/jobs")
        assert jobs is not None

        async def consume() -> None:
            try:
                await world.collect(Tasks(jobs).map(world.hang, world.plain(99), limit=3))
            except ProcExited as error:
                ended.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            if how == "kill":
                jobs.kill()
            await jobs.shutdown()
            assert world.running == 0
        assert len(ended) == 1
        assert world.running == 0
        assert world.closed == (1 if world.taken else 0)


async def test_a_full_supervisor_makes_a_map_slower() -> None:
    """A map goes on with the places that there are, and is refused when there is none."""
    async with World().serve(max_tasks=2) as world:
        first = await world.tasks.start(anyio.sleep, 1000)
        assert await world.collect(world.tasks.map(world.call, range(5), limit=4)) == [
            0,
            1,
            4,
            9,
            16,
        ]
        assert world.most == 1
        second = await world.tasks.start(anyio.sleep, 1000)
        with pytest.raises(TooManyChildren, match="max_tasks=2"):
            await world.collect(world.tasks.map(world.call, range(5), limit=4))
        await first.shutdown()
        await second.shutdown()


async def test_a_map_itself_takes_no_place() -> None:
    """`max_tasks` counts the calls of a map alone, while they run, and the map itself never."""
    async with World().serve(max_tasks=1) as world:
        for _ in range(3):
            assert await world.collect(world.tasks.map(world.call, range(2), limit=1)) == [0, 1]
        await settle()
        ref = await world.tasks.start(anyio.sleep, 1000)
        with pytest.raises(TooManyChildren):
            await world.tasks.start(anyio.sleep, 1000)
        await ref.shutdown()

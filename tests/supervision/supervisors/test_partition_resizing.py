"""Tests of `ResizePartitions`: growing and shrinking, at any moment."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorSystem, Ignore, ProcExited
from actors.testing import settle
from supervision import (
    Backoff,
    ChildNotFound,
    ChildStartFailed,
    ChildState,
    GetChild,
    GetChildSpec,
    Partitions,
    PartitionSupervisorSpec,
    RestartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.errors import NoPartitions
from supervision.supervisors import GetPartition
from tests.kit.errors import Boom
from tests.kit.partitions import handle, serving, spec
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note

pytestmark = pytest.mark.dead_letters

TEN_SECONDS = Backoff(10.0, 10.0, jitter=False)

# -- resizing --------------------------------------------------------------------------------------


async def test_growing_starts_what_is_missing_in_order() -> None:
    """Growing starts the missing partitions in order, and routes to them when all are ready."""
    async with (
        serving(1, starts={2: [10.0]}) as (stage, partitions),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partitions.resize, 4)
        await anyio.sleep(1)
        assert len(partitions) == 1
        await anyio.sleep(20)
        assert stage.take() == ["+0", "+1", "+2", "+3"]
        assert [ref.path for ref in partitions.refs] == ["/top/0", "/top/1", "/top/2", "/top/3"]
    assert stage.take() == ["-3", "-2", "-1", "-0"]


async def test_shrinking_stops_the_top_in_reverse_order() -> None:
    """Shrinking stops the highest numbers first, one after the other, and keeps their specs."""
    async with (
        serving(4, stops={3: 1.0, 2: 1.0}) as (stage, partitions),
        anyio.create_task_group() as tasks,
    ):
        stage.take()
        tasks.start_soon(partitions.resize, 1)
        await settle()
        assert len(partitions) == 1, "nothing more is sent to those that go"
        await anyio.sleep(10)
        assert stage.take() == ["-3", "-2", "-1"]
        assert list((await stage.states()).values()) == ["running", *["terminated"] * 3]
        assert (await stage.top.ask(GetChildSpec("3"))).id == "3"


async def test_what_comes_back_has_its_old_address() -> None:
    """A partition that comes back with a growth is a new incarnation at the old address."""
    async with serving(2) as (stage, partitions):
        old = partitions.ref(1)
        await partitions.resize(1)
        assert not old.is_alive
        assert partitions.ref(1) == partitions.ref(0)
        old.tell(Note("lost"))
        assert stage.take_dead() == [("lost", "terminated")]
        await partitions.resize(2)
        assert partitions.ref(1) == old
        assert await old.ask(Life()) == 2


async def test_to_zero_and_back() -> None:
    """Without partitions nothing can be routed, until there are some again."""
    async with serving(2) as (stage, partitions):
        await partitions.resize(0)
        for route in (partitions.ref, partial(partitions.tell, message=Note("x"))):
            with pytest.raises(NoPartitions):
                route("ada")
        with pytest.raises(NoPartitions):
            await stage.top.ask(GetPartition("ada"))  # type: ignore[arg-type]
        await partitions.resize(0)
        await partitions.resize(2)
        assert await partitions.ask("ada", Life()) == 2


async def test_a_growth_that_fails_leaves_all_as_it_was() -> None:
    """When a new partition does not start, those started for it are stopped, and n stays."""
    async with serving(1, starts={3: [Boom(), None]}, max_restarts=0) as (stage, partitions):
        stage.take()
        with pytest.raises(ChildStartFailed, match="3 failed to start: Boom"):
            await partitions.resize(5)
        assert stage.take() == ["+1", "+2", "!3", "-2", "-1"]
        assert len(partitions) == 1
        with pytest.raises(ChildNotFound):
            await stage.top.ask(GetChild("3"))
        await partitions.resize(4)
        assert len(partitions) == 4


async def test_a_partition_that_does_not_come_back_leaves_all_as_it_was() -> None:
    """When an old partition does not start again, the growth fails, and its spec is kept."""
    async with serving(3, starts={2: [None, Boom(), None]}) as (stage, partitions):
        await partitions.resize(1)
        stage.take()
        with pytest.raises(ChildStartFailed):
            await partitions.resize(3)
        assert stage.take() == ["+1", "!2", "-1"]
        assert len(partitions) == 1
        await partitions.resize(3)
        assert await partitions.ask(2, Life()) == 3


async def test_a_partition_may_be_ignored() -> None:
    """A partition that is not needed has its place, but no proc, until it is started."""
    async with serving(2, starts={1: [Ignore()]}) as (stage, partitions):
        assert len(partitions) == 2
        with pytest.raises(ProcExited):
            await partitions.ask(1, Life())
        await stage.top.ask(RestartChild("1"))
        assert await partitions.ask(1, Life()) == 2


# -- resizing in the middle of something -----------------------------------------------------------


async def test_shrinking_takes_a_pending_restart_back() -> None:
    """A partition that waits for its restart when it is to go does not come back."""
    async with serving(2, child={"backoff": TEN_SECONDS}) as (stage, partitions):
        stage.crash("1")
        await settle()
        assert (await stage.states())["1"] == "restarting"
        stage.take()
        await partitions.resize(1)
        await anyio.sleep(100)
        assert stage.take() == []
        assert (await stage.states())["1"] == "terminated"
        await partitions.resize(2)
        await anyio.sleep(100)
        assert stage.take() == ["+1"]


async def test_growing_leaves_a_pending_restart_alone() -> None:
    """A partition that stays and waits for its restart is started when that is due, once."""
    stage = Stage()
    async with stage.serve(spec(stage, 2, child={"backoff": TEN_SECONDS})):
        stage.crash("1")
        await settle()
        stage.take()
        await handle(stage).resize(3)
        assert stage.take() == ["+2"]
        await anyio.sleep(11)
        assert stage.take() == ["+1"]


@pytest.mark.parametrize("first", ["crash", "resize"])
async def test_a_crash_at_the_moment_of_a_resize_is_handled_once(first: str) -> None:
    """A partition that crashes as it is to go is gone, whichever comes first."""
    async with serving(3) as (stage, partitions):
        async with anyio.create_task_group() as tasks:
            if first == "resize":
                tasks.start_soon(partitions.resize, 1)
                await anyio.lowlevel.checkpoint()
            stage.refs["2"].kill()
            stage.crash("1")
            if first == "crash":
                tasks.start_soon(partitions.resize, 1)
        await anyio.sleep(10)
        states = await stage.states()
        assert states == {"0": "running", "1": "terminated", "2": "terminated"}
        await partitions.resize(3)
        assert list((await stage.states()).values()) == ["running"] * 3


async def test_crashes_that_wait_behind_a_resize_are_not_mistaken() -> None:
    """An exit of an old incarnation that is read after shrink and growth moves nothing."""
    async with (
        serving(3, stops={2: 5.0}, max_restarts=0) as (stage, partitions),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(partitions.resize, 1)  # busy with the stop of 2
        await settle()
        tasks.start_soon(partitions.resize, 3)
        stage.refs["1"].kill()
        await anyio.sleep(20)
        assert list((await stage.states()).values()) == ["running"] * 3
        assert [info.restarts for info in await stage.infos()] == [0, 0, 0]


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("size", [0, 6])
@pytest.mark.parametrize("turns", range(0, 24, 3))
async def test_the_end_may_come_in_the_middle_of_a_resize(how: str, size: int, turns: int) -> None:
    """Whenever the supervisor ends during a resize, all partitions are gone, and it is answered."""
    stage = Stage()
    ended: list[str] = []
    async with ActorSystem() as system:
        system.events.subscribe(stage.hear)
        made = PartitionSupervisorSpec("p", spec(stage, 3).child, partitions=3, restart="temporary")
        await system.spawn(SupervisorSpec("top", [made]).start, id="top")
        top: Any = system.find("/top/p")

        async def resize() -> None:
            try:
                await Partitions[Any](top).resize(size)
                ended.append("done")
            except ProcExited:
                ended.append("exited")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(resize)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            if how == "kill":
                top.kill()
            await top.shutdown()
        assert len(ended) == 1
        assert not any(stage.is_inside(str(number), "run") for number in range(6))


@given(
    st.lists(
        st.tuples(st.sampled_from(["resize", "crash", "terminate", "restart"]), st.integers(0, 5)),
        max_size=12,
    ),
    st.booleans(),
)
async def test_any_resizes_and_crashes_end_well(script: list[tuple[str, int]], hasty: bool) -> None:
    """Whatever is resized and crashes, those below n run that nobody stopped."""
    stage = Stage()
    down: set[int] = set()
    size = 3
    async with stage.serve(spec(stage, size, max_restarts=1000)):
        partitions = handle(stage)
        for what, number in script:
            if what == "resize":
                await partitions.resize(number)
                down = {found for found in down if found < min(size, number)}
                size = number
            elif number >= size:
                continue
            elif what == "crash" and number not in down:
                stage.refs[str(number)].kill()
            elif what == "terminate":
                await stage.top.ask(TerminateChild(str(number)))
                down.add(number)
            elif what == "restart" and number in down:
                await stage.top.ask(RestartChild(str(number)))
                down.discard(number)
            if not hasty:
                await settle()
        await settle()
        assert len(partitions) == size
        running = {info.id for info in await stage.infos() if info.state is ChildState.RUNNING}
        assert running == {str(number) for number in range(size) if number not in down}
        for number in range(size):
            assert partitions.ref(number).path == f"/top/{number}"

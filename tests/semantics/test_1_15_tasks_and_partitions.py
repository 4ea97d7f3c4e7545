"""Elixir 1.15.3 and 1.15.4: one-off tasks, and partitions."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Never

import anyio
import pytest

from actors import (
    Actor,
    CancellationToken,
    Crashed,
    DeadLetter,
    Killed,
    Proc,
    ProcExited,
    Request,
    on,
    task,
)
from actors.testing import settle
from supervision import (
    ChildSpec,
    ChildState,
    CountChildren,
    DynamicSupervisorSpec,
    GetChildSpec,
    Partitions,
    PartitionSupervisorSpec,
    Restart,
    Tasks,
    TaskSupervisorSpec,
    TooManyChildren,
    WhichChildren,
    serve,
)
from supervision.events import ChildExited, Next
from supervision.supervisors import partition_of
from tests.kit.errors import Boom


async def echo(value: int) -> int:
    """Return what it was given, after a while."""
    await anyio.sleep(1)
    return value


async def fail() -> None:
    """Fail."""
    raise Boom


class Caller(Proc[Never]):
    """Wait for a task."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait for one that never ends."""
        await self.tasks.run(anyio.sleep_forever)


# -- 1.15.3, tasks ---------------------------------------------------------------------------------


async def test_1_15_3_a_task_is_temporary_and_has_five_seconds() -> None:
    """A task is a temporary child with a shutdown time of five seconds, unless said otherwise."""
    async with serve(TaskSupervisorSpec("jobs")) as app:
        tasks = Tasks(app.supervisor)
        await tasks.start(anyio.sleep_forever, id="a")
        await tasks.start(anyio.sleep_forever, id="b", restart="transient")
        a = await app.supervisor.ask(GetChildSpec("a"))
        b = await app.supervisor.ask(GetChildSpec("b"))
        assert (a.restart, a.shutdown) == (Restart.TEMPORARY, 5.0)
        assert (b.restart, b.shutdown) == (Restart.TRANSIENT, 5.0)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_1_15_3_the_end_of_the_caller_ends_its_task(how: str) -> None:
    """An awaited task is linked to its caller: it ends with a caller that is killed or stopped."""
    async with serve(TaskSupervisorSpec("jobs")) as app:
        caller = await app.system.spawn(partial(Caller, Tasks(app.supervisor)))
        await settle()
        assert (await app.supervisor.ask(CountChildren())).active == 1
        if how == "kill":
            caller.kill()
        else:
            await caller.shutdown(1.0)
        await settle()
        assert (await app.supervisor.ask(CountChildren())).specs == 0


async def test_1_15_3_an_abnormal_task_ends_the_wait_with_its_reason() -> None:
    """Waiting for a task that crashed raises its error, and for one that was killed, its reason."""
    async with serve(TaskSupervisorSpec("jobs")) as app, anyio.create_task_group() as group:
        tasks = Tasks(app.supervisor)
        with pytest.raises(Boom):
            await tasks.run(fail)

        async def killed() -> None:
            with pytest.raises(ProcExited) as caught:
                await tasks.run(anyio.sleep_forever)
            assert caught.value.reason == Killed()

        group.start_soon(killed)
        await settle()
        (info,) = await app.supervisor.ask(WhichChildren())
        info.ref.kill()


async def test_1_15_3_a_timeout_ends_the_task_and_drops_its_result(
    dead_letters: list[DeadLetter],
) -> None:
    """A caller whose time is up goes on without the task, and no late result reaches it."""
    async with serve(TaskSupervisorSpec("jobs")) as app:
        tasks = Tasks(app.supervisor)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.5):
                await tasks.run(echo, 1)
        assert (await app.supervisor.ask(CountChildren())).specs == 0
        assert await tasks.run(echo, 2) == 2
    assert dead_letters == []


async def test_1_15_3_start_child_is_fire_and_forget() -> None:
    """A started task is linked to nobody: it outlives its caller, and its crash is only told."""
    heard: list[ChildExited] = []

    def hear(event: object) -> None:
        if isinstance(event, ChildExited):
            heard.append(event)

    async with serve(TaskSupervisorSpec("jobs", max_restarts=0), observe=[hear]) as app:
        tasks = Tasks(app.supervisor)
        async with anyio.create_task_group() as group:
            group.start_soon(tasks.start, anyio.sleep_forever)
            await settle()
            group.cancel_scope.cancel()
        await tasks.start(fail)
        await settle()
        assert (await app.supervisor.ask(CountChildren())).active == 1
        (event,) = heard
        assert event.next is Next.REMOVE
        assert isinstance(event.reason, Crashed)


async def test_1_15_3_a_full_supervisor_refuses() -> None:
    """Awaited and started tasks alike raise when the limit is reached."""
    async with serve(TaskSupervisorSpec("jobs", max_tasks=0)) as app:
        tasks = Tasks(app.supervisor)
        with pytest.raises(TooManyChildren):
            await tasks.run(echo, 1)
        with pytest.raises(TooManyChildren):
            await tasks.start(echo, 1)
        with pytest.raises(TooManyChildren):
            await anext(tasks.map(echo, [1], limit=1))


async def test_1_15_3_a_dynamic_supervisor_runs_tasks() -> None:
    """A task supervisor is a dynamic supervisor with other defaults."""
    async with serve(DynamicSupervisorSpec("jobs")) as app:
        assert await Tasks(app.supervisor).run(echo, 7) == 7


@pytest.mark.parametrize("ordered", [True, False])
async def test_1_15_3_a_stream_is_bounded_and_ordered(ordered: bool) -> None:
    """A stream of tasks never runs more than its limit, and its results are in order by default."""
    running, most = 0, 0

    async def wait(seconds: float) -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(seconds)
        running -= 1
        return seconds

    async with serve(TaskSupervisorSpec("jobs")) as app:
        stream = Tasks(app.supervisor).map(wait, [3, 1, 2.5, 1.5], limit=2, ordered=ordered)
        found = [seconds async for seconds in stream]
    assert found == ([3, 1, 2.5, 1.5] if ordered else [1, 3, 2.5, 1.5])
    assert most == 2


async def test_1_15_3_a_stream_that_is_left_ends_its_tasks(dead_letters: list[DeadLetter]) -> None:
    """When its consumer stops, a stream kills what is left, and leaks no task and no message."""
    gone: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            for item in range(100):
                yield item
        finally:
            gone.append("source")

    async def work(item: int) -> int:
        if item == 0:
            return 0
        try:
            await anyio.sleep_forever()
        finally:
            gone.append("task")
        return item

    async with serve(TaskSupervisorSpec("jobs")) as app:
        async for _ in Tasks(app.supervisor).map(work, source(), limit=3):
            await settle()
            break
        await settle()
        assert gone == ["task", "task", "task", "source"]
        assert await app.supervisor.ask(WhichChildren()) == ()
    assert dead_letters == []


# -- 1.15.4, partitions ----------------------------------------------------------------------------


class Who(Request[str]):
    """Ask a partition who it is."""


class Named(Actor[Who]):
    """Know its name."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    @on(Who)
    def who(self, message: Who) -> str:
        """Say it."""
        return self.name or self.context.path


async def work(shutdown: CancellationToken) -> None:
    """Wait for the end."""
    await shutdown.wait()


async def states(app: Any) -> list[tuple[str, ChildState]]:
    """List the partitions with their states."""
    return [(info.id, info.state) for info in await app.supervisor.ask(WhichChildren())]


async def test_1_15_4_partitions_are_copies_with_numbers() -> None:
    """N copies of one spec run under the ids 0 to N-1, by default one for each processor."""
    child = ChildSpec("work", task(work))
    async with serve(PartitionSupervisorSpec("p", child, partitions=3)) as app:
        assert await states(app) == [(id, ChildState.RUNNING) for id in "012"]
    async with serve(PartitionSupervisorSpec("p", child)) as app:
        assert len(await states(app)) == (os.cpu_count() or 1)


@pytest.mark.parametrize("key", [0, 1, -1, 7, -7, 2**80])
async def test_1_15_4_an_int_is_routed_by_its_remainder(key: int) -> None:
    """An int key goes to the partition of the remainder of its absolute value."""
    child = ChildSpec("named", Named)
    async with serve(PartitionSupervisorSpec("p", child, partitions=4)) as app:
        assert await Partitions[Who](app.supervisor).ask(key, Who()) == f"/p/{abs(key) % 4}"


async def test_1_15_4_other_keys_are_routed_by_a_hash() -> None:
    """A text or bytes go to a partition by their hash, always to the same one."""
    child = ChildSpec("named", Named)
    async with serve(PartitionSupervisorSpec("p", child, partitions=4)) as app:
        partitions = Partitions[Who](app.supervisor)
        keys = [f"user-{number}" for number in range(100)]
        found = {await partitions.ask(key, Who()) for key in keys}
        assert found == {"/p/0", "/p/1", "/p/2", "/p/3"}
        for key in keys:
            assert await partitions.ask(key, Who()) == f"/p/{partition_of(key, 4)}"


async def test_1_15_4_partitions_may_differ_in_their_arguments() -> None:
    """A function of the number makes each partition's spec."""

    def make(number: int) -> ChildSpec[Who]:
        return ChildSpec("named", partial(Named, f"number {number}"))

    async with serve(PartitionSupervisorSpec("p", make, partitions=2)) as app:
        partitions = Partitions[Who](app.supervisor)
        assert [await partitions.ask(key, Who()) for key in range(2)] == ["number 0", "number 1"]


async def test_1_15_4_a_resize_stops_and_restarts_the_top() -> None:
    """A resize terminates the highest ids, keeps their specs, and restarts them to grow."""
    child = ChildSpec("work", task(work))
    async with serve(PartitionSupervisorSpec("p", child, partitions=3)) as app:
        partitions = Partitions[Never](app.supervisor)
        await partitions.resize(1)
        assert [state.value for _, state in await states(app)] == [
            "running",
            "terminated",
            "terminated",
        ]
        await partitions.resize(0)
        assert (await app.supervisor.ask(CountChildren())).active == 0
        await partitions.resize(3)
        assert await states(app) == [(id, ChildState.RUNNING) for id in "012"]

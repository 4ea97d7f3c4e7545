"""Tests of `Tasks.start`, of limits and mistakes, and of the end of a `TaskSupervisor`."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import ActorSystem, ProcExited, Shutdown
from actors.testing import settle
from supervision import (
    ChildExists,
    CountChildren,
    DynamicSupervisorSpec,
    SpecError,
    Supervisor,
    SupervisorSpec,
    Tasks,
    TaskSupervisor,
    TaskSupervisorSpec,
    TooManyChildren,
)
from tests.supervision.calls import Boom, Diary, double, hang, ids, serving

# -- fire and forget -------------------------------------------------------------------------------


async def test_start_does_not_wait() -> None:
    """A task that is started runs on its own, and its ref can stop it."""
    diary: Diary = []
    async with serving() as (app, tasks):
        ref = await tasks.start(hang, diary)
        await settle()
        assert await ids(app) == ["hang"]
        assert await ref.shutdown() == Shutdown()
        assert diary == ["hang begins", "hang is gone"]
        await settle()
        assert await ids(app) == []


async def test_a_transient_task_is_restarted() -> None:
    """A transient task is called again after a crash, and leaves when it has returned."""
    calls: list[int] = []

    async def flaky(argument: int) -> None:
        calls.append(argument)
        if len(calls) < 3:
            raise Boom

    async with serving() as (app, tasks):
        await tasks.start(flaky, 7, restart="transient")
        await settle()
        assert calls == [7, 7, 7]
        assert await ids(app) == []


async def test_an_id_is_taken_once() -> None:
    """A task can be given an id, and a second one with it is refused while the first is there."""
    async with serving() as (app, tasks):
        ref = await tasks.start(anyio.sleep, 10, id="nightly")
        assert ref.path == "/jobs/nightly"
        with pytest.raises(ChildExists):
            await tasks.start(anyio.sleep, 10, id="nightly")
        await ref.wait()
        await tasks.start(anyio.sleep, 10, id="nightly")
        assert (await app.supervisor.ask(CountChildren())).active == 1


# -- limits, and mistakes --------------------------------------------------------------------------


async def test_too_many_tasks_are_refused() -> None:
    """A task beyond `max_tasks` is refused in its caller, and there is room again after an end."""
    async with serving(max_tasks=2) as (_, tasks):
        first = await tasks.start(anyio.sleep, 1)
        await tasks.start(anyio.sleep, 2)
        for call in (tasks.run(double, 1), tasks.start(anyio.sleep, 1)):
            with pytest.raises(TooManyChildren, match="max_tasks=2"):
                await call
        await first.wait()
        assert await tasks.run(double, 1) == 2
        assert await tasks.run(double, 2) == 4


@pytest.mark.parametrize("wrong", [None, "double"])
async def test_what_is_no_function_is_refused_at_the_door(wrong: Any) -> None:
    """Each call raises TypeError for what cannot be called, and names itself."""
    async with serving() as (_, tasks):
        with pytest.raises(TypeError, match="run wants a coroutine function"):
            await tasks.run(wrong)
        with pytest.raises(TypeError, match="start wants a coroutine function"):
            await tasks.start(wrong)
        with pytest.raises(TypeError, match="map wants a coroutine function"):
            tasks.map(wrong, [], limit=1)


async def test_what_is_no_coroutine_function_fails_in_its_caller() -> None:
    """A coroutine in place of its function, or a plain function, is a TypeError of the call."""
    async with serving() as (_, tasks):
        with pytest.raises(TypeError, match="give double, without calling it"):
            await tasks.run(double(1))  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await tasks.run(lambda: 5)  # type: ignore[arg-type, return-value]


def test_specs_and_handles_check_what_they_are_given() -> None:
    """A wrong option raises where it is written."""
    with pytest.raises(SpecError, match="jobs: max_tasks: -1 is negative"):
        TaskSupervisorSpec("jobs", max_tasks=-1)
    with pytest.raises(SpecError, match="jobs: max_tasks: '3' is not an int"):
        TaskSupervisorSpec("jobs", max_tasks="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Tasks wants the Ref"):
        Tasks("jobs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TaskSupervisor wants a TaskSupervisorSpec"):
        TaskSupervisor(DynamicSupervisorSpec("jobs"))  # type: ignore[arg-type]
    spec = TaskSupervisorSpec("jobs", max_tasks=3)
    assert repr(spec) == "TaskSupervisorSpec('jobs', max_tasks=3)"
    assert spec.kind == "supervisor"


# -- the end ---------------------------------------------------------------------------------------


async def test_all_are_stopped_at_once() -> None:
    """When the supervisor stops, all tasks are cancelled at once, and each gets its time."""
    diary: Diary = []
    async with serving() as (_, tasks):
        for name in "abc":
            await tasks.start(hang, diary, 3.0, name)
        await settle()
        began = anyio.current_time()
    assert sorted(diary[3:]) == ["a is gone", "b is gone", "c is gone"]
    assert anyio.current_time() - began == pytest.approx(3)


@pytest.mark.dead_letters  # the request that nobody could answer any more
@pytest.mark.parametrize("how", ["shutdown", "kill", "stop"])
async def test_callers_hear_of_the_supervisors_end(how: str) -> None:
    """Callers whose supervisor is stopped or killed get ProcExited, and no task is left."""
    diary: Diary = []
    ended: list[type[Exception]] = []
    async with ActorSystem() as system:
        spec = SupervisorSpec("top", [TaskSupervisorSpec("jobs", restart="temporary")])
        await system.spawn(lambda: Supervisor(spec), id="top")
        jobs = system.find("/top/jobs")
        assert jobs is not None
        tasks = Tasks(jobs)

        async def call() -> None:
            try:
                await tasks.run(hang, diary)
            except ProcExited as error:
                ended.append(type(error))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
            await settle()
            group.start_soon(call)  # this one is still being started
            if how == "kill":
                jobs.kill()
            elif how == "stop":
                jobs.stop()
            else:
                await jobs.shutdown()
        assert ended == [ProcExited] * 4
        assert diary.count("hang begins") == diary.count("hang is gone")
        with pytest.raises(ProcExited):
            await tasks.run(hang, diary)
        with pytest.raises(ProcExited):
            await tasks.start(hang, diary)

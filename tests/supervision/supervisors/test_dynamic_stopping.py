"""Tests of how a `DynamicSupervisor` stops its children, and gives up."""

import anyio
import pytest

from actors import Killed, Shutdown
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    DynamicSupervisorSpec,
    IntensityExceeded,
    StartChild,
    SupervisorSpec,
)
from supervision.events import ChildStopped
from tests.supervision.kit import Boom, Stage

pytestmark = pytest.mark.dead_letters


def dynamic(**options: object) -> DynamicSupervisorSpec:
    """Make the spec of a dynamic supervisor at the root."""
    return DynamicSupervisorSpec("top", **options)  # type: ignore[arg-type]


async def add(stage: Stage, ids: str, **options: object) -> None:
    """Start children at run time."""
    for id in ids:
        await stage.top.ask(StartChild(stage.child(id, **options)))  # type: ignore[arg-type]


async def test_all_children_are_told_to_stop_at_once() -> None:
    """It stops its children together: the time is that of the slowest, not the sum."""
    stage = Stage()
    async with stage.serve(dynamic()):
        await add(stage, "abc", stop=3.0, shutdown=10.0)
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(3.0)


async def test_each_child_has_its_own_deadline() -> None:
    """Each child is killed at the end of its own shutdown value, and all deaths are awaited."""
    stage = Stage()
    async with stage.serve(dynamic()):
        await add(stage, "a", stop=100.0, shutdown=2.0)
        await add(stage, "b", stop=100.0, shutdown=4.0)
        await add(stage, "c", stop=100.0, shutdown=BRUTAL_KILL)
        await add(stage, "d", stop=6.0, shutdown=INFINITY)
        await add(stage, "e", stop=Boom("while stopping"))
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(6.0)
    reasons = {event.ref.path[-1]: event for event in stage.told(ChildStopped)}
    assert {id: str(event.reason) for id, event in reasons.items()} == {
        "a": "killed",
        "b": "killed",
        "c": "killed",
        "d": "shutdown",
        "e": "crashed: Boom: while stopping",
    }
    assert [reasons[id].expected for id in "abcde"] == [False, False, True, True, False]


async def test_the_budget_is_shared_and_giving_up_stops_all() -> None:
    """All children share one budget; beyond it the supervisor stops them all and ends."""
    stage = Stage()
    async with stage.dying(dynamic(max_restarts=2)) as app:
        await add(stage, "abc")
        for id in "abc":
            stage.crash(id)
            await settle()
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert len(stage.exited.reason.detail.crashes) == 3
    assert sorted(stage.take()[-2:]) == ["-a", "-b"]


async def test_errors_while_giving_up_reach_the_caller() -> None:
    """What is raised while it gives up stands in the group that the caller sees."""
    stage = Stage()
    async with stage.dying(dynamic(max_restarts=0)) as app:
        await add(stage, "a")
        await add(stage, "b", stop=Boom("b"))
        stage.crash("a")
        await app.wait()
    assert isinstance(stage.exited.__cause__, BaseExceptionGroup)
    assert [str(error) for error in stage.exited.__cause__.exceptions] == ["a", "b"]


async def test_failed_restarts_are_tried_again_and_counted() -> None:
    """A restart that fails is tried again through the mailbox; each attempt counts."""
    stage = Stage()
    async with stage.dying(dynamic(max_restarts=3)) as app:
        await add(stage, "a", start=[None, *(Boom() for _ in range(9))])
        stage.crash("a")
        await app.wait()
    assert stage.take() == ["+a", "-a", "!a", "!a", "!a"]


async def test_a_killed_dynamic_supervisor_leaves_no_orphan() -> None:
    """A dynamic supervisor that is killed is announced after all its children are gone."""
    stage = Stage()
    inner = DynamicSupervisorSpec("jobs", restart="temporary")
    async with stage.serve(SupervisorSpec("top", [inner])) as app:
        jobs = app.find("jobs")
        for id in "abc":
            await jobs.ask(StartChild(stage.child(id, stop=50.0, shutdown=INFINITY)))
        stage.take()
        jobs.kill()
        assert await jobs.wait() == Killed()
        trace = stage.take()
        assert sorted(trace[:3]) == ["-jobs/a", "-jobs/b", "-jobs/c"]
        assert trace[3:] == ["-jobs"]

"""Tests of parked children: what they are, what is asked about them, and at what moment."""

import anyio
import pytest

from actors import Name, ProcExited
from actors.testing import settle
from supervision import (
    Backoff,
    ChildCounts,
    ChildExists,
    ChildNotFound,
    ChildStartFailed,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChild,
    RestartChild,
    StartChild,
    TerminateChild,
    TooManyChildren,
)
from supervision.events import ChildParked
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Act, Life, Note

pytestmark = pytest.mark.dead_letters

ROUNDS = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
PARKING = {"max_restarts": 0, "when_spent": "park"}
NAME = Name[Act | Note | Life]("worker")


# -- what parked means -------------------------------------------------------------------------


@ROUNDS
async def test_parking_touches_no_sibling(strategy: str) -> None:
    """Under every strategy the siblings of a child that is parked go on as if nothing happened."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", **PARKING), stage.child("c")]
    async with stage.serve(children, strategy=strategy):
        stage.take()
        stage.crash("b")
        await settle()
        assert stage.take() == ["-b"]
        assert await stage.states() == {"a": "running", "b": "parked", "c": "running"}
        assert await stage.top.ask(CountChildren()) == ChildCounts(3, 2, 0, 3)


async def test_asks_of_a_parked_child_fail_at_once() -> None:
    """Requests that wait when a child is parked fail at once, and so do all that come later."""
    stage = Stage()
    async with stage.serve([stage.child("a", **PARKING)]):

        async def ask() -> None:
            began = anyio.current_time()
            with pytest.raises(
                ProcExited, match=r"^/top/a ended before it answered Life"
            ) as caught:
                await stage.refs["a"].ask(Life(), timeout=None)
            assert isinstance(caught.value.__cause__, Boom)
            assert anyio.current_time() == began

        stage.crash("a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
        with pytest.raises(ProcExited):
            await stage.refs["a"].ask(Life())
        assert stage.take_dead() == [("Life", "parked")], "the one that waited"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_round_leaves_a_parked_child_down(strategy: str) -> None:
    """Rounds of its siblings go past a parked child; only `RestartChild` brings it back."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", **PARKING), stage.child("c")]
    async with stage.serve(children, strategy=strategy, max_restarts=9):
        stage.crash("b")
        await settle()
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-c", "+a", "+c"]
        await stage.top.ask(RestartChild("b"))
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-c", "-b", "+a", "+b", "+c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_the_rest_of_a_round_goes_on_without_a_child_that_parks_in_it(strategy: str) -> None:
    """Those who waited behind a restart that failed are started when that child is parked."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", start=[None, Boom("no")], **PARKING),
        stage.child("c"),
        stage.child("d"),
    ]
    async with stage.serve(children, strategy=strategy, max_restarts=9):
        stage.refs["c"].tell(Note("before"))
        await settle()
        stage.take()
        stage.crash("a")
        stage.refs["d"].tell(Note("for the next"))
        await settle()
        assert stage.take() == ["-a", "-d", "-c", "-b", "+a", "!b", "+c", "+d"]
        assert list((await stage.states()).values()) == ["running", "parked", "running", "running"]
    assert stage.notes == [("c", 1, "before"), ("d", 1, "for the next")]


async def test_the_rest_of_a_round_may_fail_in_its_turn() -> None:
    """A sibling that fails when the round goes on without a parked child is retried as ever."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", start=[None, Boom("no")], **PARKING),
        stage.child("c", start=[None, Boom("not yet")]),
        stage.child("d"),
    ]
    async with stage.serve(children, strategy="rest_for_one", max_restarts=9):
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-d", "-c", "-b", "+a", "!b", "!c", "+c", "+d"]


async def test_a_parked_child_frees_its_name() -> None:
    """The name of a parked child may be taken by another; then it cannot be revived."""
    stage = Stage()
    async with stage.serve([stage.child("a", name=NAME, **PARKING)]) as app:
        stage.crash("a")
        await settle()
        assert app.system.whereis(NAME) is None
        await stage.top.ask(StartChild(stage.child("b", name=NAME)))
        with pytest.raises(ChildStartFailed, match="is taken by /top/b"):
            await stage.top.ask(RestartChild("a"))
        assert await stage.states() == {"a": "parked", "b": "running"}


# -- requests ----------------------------------------------------------------------------------


async def test_restart_child_revives_with_an_empty_budget() -> None:
    """A child that was revived has all its restarts again, and its mail comes again."""
    stage = Stage()
    async with stage.serve([stage.child("a", max_restarts=1, when_spent="park")], max_restarts=9):
        await stage.crash_often("a", 2)
        assert await stage.top.ask(RestartChild("a")) == stage.refs["a"]
        assert await stage.refs["a"].ask(Life()) == 3
        await stage.crash_often("a", 1)
        assert await stage.states() == {"a": "running"}
        await stage.crash_often("a", 1)
        assert await stage.states() == {"a": "parked"}
        assert [info.restarts for info in await stage.infos()] == [2]


async def test_a_revival_that_fails_leaves_the_child_parked() -> None:
    """When the start fails, `RestartChild` says so; the child stays parked, its mail refused."""
    stage = Stage()
    children = [stage.child("a", **PARKING), stage.child("b")]
    async with stage.serve(children, strategy="one_for_all", max_restarts=9):
        stage.crash("a")
        await settle()
        stage.starts["a"].append(Boom("still broken"))
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: Boom: still broken$"):
            await stage.top.ask(RestartChild("a"))
        assert await stage.states() == {"a": "parked", "b": "running"}
        stage.refs["a"].tell(Note("x"))
        assert stage.take_dead() == [("x", "parked")]
        stage.take()
        stage.crash("b")
        await settle()
        assert stage.take() == ["-b", "+b"]
        assert await stage.top.ask(RestartChild("a")) == stage.refs["a"]


async def test_what_else_can_be_asked_about_a_parked_child() -> None:
    """It is found, it blocks its id, it can be terminated and deleted; each does what it says."""
    stage = Stage()
    async with stage.serve([stage.child("a", **PARKING)]) as app:
        stage.crash("a")
        await settle()
        assert await stage.top.ask(GetChild("a")) == app.find("a")
        with pytest.raises(ChildExists, match="already present but not running"):
            await stage.top.ask(StartChild(stage.child("a")))
        (info,) = await stage.infos()
        assert (info.restart_in, info.restarts) == (None, 0)
        await stage.top.ask(TerminateChild("a"))
        assert await stage.states() == {"a": "terminated"}
        await stage.top.ask(RestartChild("a"))
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "parked"}
        await stage.top.ask(DeleteChild("a"))
        with pytest.raises(ChildNotFound):
            await stage.top.ask(RestartChild("a"))
        assert await stage.top.ask(StartChild(stage.child("a"))) is not None


async def test_a_dynamic_supervisor_keeps_a_parked_child() -> None:
    """In a dynamic supervisor it stays, takes up a place, and is revived or removed by request."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top", max_children=2)):
        for id in "ab":
            await stage.top.ask(StartChild(stage.child(id, **PARKING)))
            stage.crash(id)
            await settle()
        assert await stage.states() == {"a": "parked", "b": "parked"}
        with pytest.raises(TooManyChildren):
            await stage.top.ask(StartChild(stage.child("c")))
        stage.starts["a"].append(Boom("not yet"))
        with pytest.raises(ChildStartFailed):
            await stage.top.ask(RestartChild("a"))
        assert await stage.states() == {"a": "parked", "b": "parked"}
        assert await stage.top.ask(RestartChild("a")) == stage.refs["a"]
        await stage.top.ask(TerminateChild("b"))
        assert await stage.states() == {"a": "running"}
        await stage.top.ask(StartChild(stage.child("c")))


# -- automatic shutdown ------------------------------------------------------------------------


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
async def test_parking_ends_no_supervisor(auto_shutdown: str) -> None:
    """That a significant child is parked triggers no automatic shutdown, even of the last one."""
    stage = Stage()
    child = stage.child("a", restart="transient", significant=True, **PARKING)
    async with stage.serve([child, stage.child("b")], auto_shutdown=auto_shutdown) as app:
        stage.crash("a")
        await settle()
        assert app.supervisor.is_alive
        assert await stage.states() == {"a": "parked", "b": "running"}


# -- at the wrong moment -----------------------------------------------------------------------


async def test_parking_with_a_backoff_leaves_no_restart_behind() -> None:
    """A child with backoff and budget waits between its restarts; then nothing is pending."""
    stage = Stage()
    child = stage.child(
        "a",
        backoff=Backoff(10.0, 10.0, jitter=False),
        max_restarts=2,
        max_seconds=100.0,
        when_spent="park",
    )
    async with stage.serve([child], max_restarts=1):
        for _ in range(2):
            await stage.crash_often("a", 1, every=11.0)
        stage.crash("a")
        await anyio.sleep(50.0)
        assert stage.take() == ["+a", "-a", "+a", "-a", "+a", "-a"]
        (info,) = await stage.infos()
        assert (str(info.state), info.restart_in, info.failures) == ("parked", None, 2)
        await stage.top.ask(RestartChild("a"))
        (info,) = await stage.infos()
        assert info.failures == 0


@pytest.mark.parametrize("first", ["exit", "stop"])
async def test_what_comes_first_counts(first: str) -> None:
    """A child whose exit was there before the stop is parked; after it, no child is."""
    stage = Stage()
    children = [stage.child("a", **PARKING), stage.child("b")]
    async with stage.serving(children) as app, stage.busy():
        if first == "exit":
            stage.crash("a")
            await settle()
        stage.tasks.start_soon(app.supervisor.shutdown)
        await settle()
        if first == "stop":
            stage.crash("a")
    assert len(stage.told(ChildParked)) == (first == "exit")
    assert stage.take() == ["+a", "+b", "-a", "-b"]

"""Tests of the restart budget of a running supervisor, and of giving up."""

import anyio
import pytest

from actors import Crashed, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import (
    ChildStartFailed,
    IntensityExceeded,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import ChildExited, ChildStopped, Next, SupervisorGaveUp
from tests.supervision.kit import Boom, Stage

pytestmark = pytest.mark.dead_letters


async def crash_often(stage: Stage, id: str, times: int) -> None:
    """Crash a child so many times, each time after it is up again."""
    for _ in range(times):
        stage.crash(id)
        await settle()


@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_exactly_max_restarts_are_allowed(allowed: int) -> None:
    """So many restarts in the window are made as the budget allows, and the next is not."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=allowed) as app:
        await crash_often(stage, "a", allowed)
        assert await stage.states() == {"a": "running"}
        stage.crash("a")
        await app.wait()
    assert stage.take() == ["+a", *["-a", "+a"] * allowed, "-a"]


async def test_the_budget_is_shared_by_all_children() -> None:
    """A supervisor keeps one list of restarts for all its children together."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), max_restarts=2) as app:
        for id in "abc":
            stage.crash(id)
            await settle()
        await app.wait()
    assert stage.take() == ["+a", "+b", "+c", "-a", "+a", "-b", "+b", "-c", "-b", "-a"]


async def test_only_age_removes_a_restart() -> None:
    """A restart is forgotten when it is older than the window, and never by success."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=2, max_seconds=10.0) as app:
        for _ in range(5):
            await crash_often(stage, "a", 1)
            await anyio.sleep(5.5)
        assert await stage.states() == {"a": "running"}
        await crash_often(stage, "a", 2)
        await app.wait()


async def test_a_restart_counts_at_the_very_end_of_its_window() -> None:
    """A restart exactly `max_seconds` ago still counts; one a moment older does not."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=1, max_seconds=4.0):
        await crash_often(stage, "a", 1)
        await anyio.sleep(4.25)
        await crash_often(stage, "a", 1)
        assert await stage.states() == {"a": "running"}
    async with stage.dying([stage.child("a")], max_restarts=1, max_seconds=4.0) as app:
        await crash_often(stage, "a", 1)
        await anyio.sleep(4.0)
        await crash_often(stage, "a", 1)
        await app.wait()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_giving_up_stops_the_others_in_reverse_order(strategy: str) -> None:
    """The attempt that exceeds the budget moves no sibling: the others stop in reverse order."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), strategy=strategy, max_restarts=0) as app:
        stage.take()
        stage.crash("b")
        await app.wait()
    assert stage.take() == ["-b", "-c", "-a"]
    assert [event.next for event in stage.told(ChildExited)] == [Next.GIVE_UP]


async def test_giving_up_is_no_abnormal_exit() -> None:
    """A supervisor that gave up exits with `Shutdown`, carrying the crashes that led there."""
    stage = Stage()
    errors = [Boom("one"), Boom("two"), Boom("three")]
    async with stage.dying([stage.child("a")], max_restarts=2, max_seconds=7.5) as app:
        for error in errors:
            stage.crash("a", error)
            await settle()
        await app.wait()
    reason = stage.exited.reason
    assert not reason.is_abnormal
    assert isinstance(reason, Shutdown)
    assert isinstance(reason.detail, IntensityExceeded)
    assert list(reason.detail.crashes) == errors
    assert (reason.detail.max_restarts, reason.detail.max_seconds) == (2, 7.5)
    assert str(reason.detail) == (
        "/top gave up: more than 2 restarts in 7.5 s; last crash: Boom: three"
    )
    assert reason.detail.__cause__ is errors[-1]


async def test_the_error_of_serve_has_the_crashes_as_its_cause() -> None:
    """`TreeExited` has the crash as its cause, or the group of all crashes in order."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.crash("a", alone := Boom("alone"))
        await app.wait()
    assert stage.exited.__cause__ is alone
    assert str(stage.exited).startswith("top exited: shutdown (/top gave up: more than 0 restarts")
    async with stage.dying([stage.child("a")], max_restarts=1) as app:
        for text in ("one", "two"):
            stage.crash("a", Boom(text))
            await settle()
        await app.wait()
    group = stage.exited.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["one", "two"]


@pytest.mark.parametrize("reason", [Normal(), Killed()], ids=str)
async def test_giving_up_without_errors_has_no_crashes(reason: Normal | Killed) -> None:
    """When every restart followed an exit without an error, `crashes` is empty."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.end("a", reason)
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    gave_up = stage.exited.reason.detail
    assert isinstance(gave_up, IntensityExceeded)
    assert gave_up.crashes == ()
    assert stage.exited.__cause__ is gave_up


async def test_crashes_are_those_of_the_window() -> None:
    """A crash whose restart has left the window is not among those that used the budget up."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=1) as app:
        stage.crash("a", Boom("long ago"))
        await anyio.sleep(100.0)
        for _ in range(2):
            stage.end("a")
            await settle()
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert stage.exited.reason.detail.crashes == ()


async def test_failed_attempts_count() -> None:
    """With a budget of 3 and a start that always fails there are 3 attempts, then the end."""
    stage = Stage()
    starts = [None, *(Boom(str(number)) for number in range(10))]
    async with stage.dying([stage.child("a", start=starts)], max_restarts=3) as app:
        stage.crash("a")
        await app.wait()
    assert stage.take() == ["+a", "-a", "!a", "!a", "!a"]
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert [str(error) for error in stage.exited.reason.detail.crashes] == ["a", "0", "1", "2"]
    assert len(stage.told(SupervisorGaveUp)) == 1


async def test_giving_up_in_the_middle_of_retries_stops_what_is_up() -> None:
    """When the budget ends between attempts, whatever the round has started is stopped."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", start=[None, Boom("1"), Boom("2")]),
        stage.child("c"),
    ]
    async with stage.dying(children, strategy="one_for_all", max_restarts=2) as app:
        stage.take()
        stage.crash("c")
        await app.wait()
    assert stage.take() == ["-c", "-b", "-a", "+a", "!b", "-a", "+a", "!b", "-a"]


async def test_what_does_not_count() -> None:
    """First starts, requests to start (also failed ones) and terminations are not counted."""
    stage = Stage()
    children = [stage.child("a"), stage.child("t", restart="temporary")]
    async with stage.serve(children, max_restarts=0):
        stage.crash("t")
        await settle()
        for number in range(3):
            await stage.top.ask(StartChild(stage.child(f"more-{number}")))
        with pytest.raises(ChildStartFailed):
            await stage.top.ask(StartChild(stage.child("bad", start=[Boom()])))
        await stage.top.ask(TerminateChild("a"))
        stage.starts["a"].append(Boom())
        with pytest.raises(ChildStartFailed):
            await stage.top.ask(RestartChild("a"))
        await stage.top.ask(RestartChild("a"))
        assert (await stage.states())["a"] == "running"
    assert stage.told(SupervisorGaveUp) == []


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_a_supervisor_that_gave_up_is_not_restarted_unless_permanent(restart: str) -> None:
    """A transient or temporary supervisor that gave up has ended well for its parent."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=0, restart=restart)
    async with stage.serve([stage.child("a"), inner], max_restarts=0):
        stage.take()
        stage.crash("x")
        await settle()
        assert stage.take() == ["-in/x", "-in/y", "-in"]
        kept = {"in": "terminated"} if restart == "transient" else {}
        assert await stage.states() == {"a": "running", **kept}


async def test_a_permanent_supervisor_that_gave_up_is_restarted_and_counted() -> None:
    """A permanent supervisor that gave up comes back whole, with an empty list of restarts."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=1)
    async with stage.dying([inner], max_restarts=1) as app:
        stage.take()
        await crash_often(stage, "x", 2)
        assert stage.take() == [
            "-in/x",
            "+in/x",
            "-in/x",
            "-in/y",
            "-in",
            "+in/x",
            "+in/y",
            "+in",
        ]
        await crash_often(stage, "x", 1)
        assert await stage.states(app.find("in")) == {"x": "running", "y": "running"}
        await crash_often(stage, "x", 1)
        await app.wait()
    # Two levels of one restart each: the product of the budgets.
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert {str(error) for error in stage.exited.reason.detail.crashes} == {"x"}


async def test_errors_while_giving_up_are_in_the_group() -> None:
    """Errors raised while the others are stopped stand behind the crash in the caller's group."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), max_restarts=0) as app:
        stage.stops["a"] = Boom("stopping a")
        stage.stops["c"] = Boom("stopping c")
        stage.crash("b", Boom("first"))
        await app.wait()
    group = stage.exited.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["first", "stopping c", "stopping a"]
    assert stage.take() == ["+a", "+b", "+c", "-b", "-c", "-a"]


async def test_a_supervisor_gives_up_once_and_loses_no_crash() -> None:
    """An exit that waits behind the one that ended the budget is told with the rest."""
    stage = Stage()
    async with stage.dying(stage.children("ab"), max_restarts=0) as app:
        async with stage.busy():
            for id in "ab":
                stage.crash(id)
                await settle()
        await app.wait()
    assert len(stage.told(SupervisorGaveUp)) == 1
    assert [event.ref.path for event in stage.told(ChildExited)] == ["/top/a"]
    assert [event.ref.path for event in stage.told(ChildStopped)] == ["/top/b"]
    group = stage.exited.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["a", "b"]


async def test_the_end_is_crashed_when_a_killed_child_exceeds_the_budget() -> None:
    """A kill counts as any restart, so that killing too often ends the supervisor."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=1) as app:
        stage.refs["a"].kill()
        await settle()
        stage.crash("a", Boom("after the kill"))
        await app.wait()
    assert isinstance(stage.exited.__cause__, Boom)
    assert not isinstance(stage.exited.reason, Crashed)

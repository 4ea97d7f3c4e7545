"""OTP 1.5: how many restarts a supervisor makes in how much time, and how it gives up."""

from __future__ import annotations

import anyio
import pytest

from actors import Ignore, Shutdown
from actors.testing import settle
from supervision import IntensityExceeded, RestartChild, StartChild, SupervisorSpec, TerminateChild
from supervision.events import ChildExited, SupervisorGaveUp
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    STRATEGIES,
    answer_to,
    crash_times,
    die_together,
    end_of,
    ends,
    exits,
    starts,
    stopped,
    supervisor,
)

pytestmark = pytest.mark.dead_letters


def gave_up(stage: Stage) -> IntensityExceeded:
    """Return what the root supervisor said when it gave up."""
    reason = stage.exited.reason
    assert isinstance(reason, Shutdown)
    assert isinstance(reason.detail, IntensityExceeded)
    return reason.detail


@pytest.mark.parametrize("strategy", [*STRATEGIES, "dynamic"])
async def test_1_5_1_all_children_share_one_list(strategy: str) -> None:
    """The restarts of all children count together."""
    stage = Stage()
    async with stage.dying(supervisor(strategy, max_restarts=2)) as app:
        for id in "abc":
            await stage.top.ask(StartChild(stage.child(id)))
        for id in "ab":
            await crash_times(stage, id, 1)
        assert set((await stage.states()).values()) == {"running"}
        stage.take()
        stage.crash("c")
        await end_of(app)
    trace = stage.take()
    assert (sorted(trace) if strategy == "dynamic" else trace[::-1]) == ends("abc")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("allowed", [0, 1, 2, 5])
async def test_1_5_2_exactly_so_many_restarts_are_allowed(allowed: int, strategy: str) -> None:
    """As many restarts as the intensity says are made in the window, and the next is not."""
    stage = Stage()
    async with stage.dying([stage.child("a")], strategy=strategy, max_restarts=allowed) as app:
        await crash_times(stage, "a", allowed)
        assert await stage.states() == {"a": "running"}
        stage.crash("a")
        await end_of(app)
    assert stage.take() == ["+a", *["-a", "+a"] * allowed, "-a"]


async def test_1_5_2_an_attempt_is_dated_before_it_stops_anybody() -> None:
    """A restart has the time of its beginning, however long its siblings take to stop."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("b", shutdown=9.0)]
    async with stage.serve(tree, strategy="one_for_all", max_restarts=1, max_seconds=4.0):
        stage.stops["b"] = 3.0
        stage.crash("a")
        await anyio.sleep(3.5)
        stage.stops["b"] = None
        assert stage.take() == [*starts("ab"), *ends("ab"), *starts("ab")]
        await anyio.sleep(1.0)
        stage.crash("a")  # 4.5 s after the first crash, 1.5 s after the stop it led to
        await settle()
        assert await stage.states() == {"a": "running", "b": "running"}


async def test_1_5_3_the_clock_is_not_rounded() -> None:
    """A restart exactly as old as the period still counts, and one a moment older does not."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=1, max_seconds=4.0):
        await crash_times(stage, "a", 1)
        await anyio.sleep(4.125)
        await crash_times(stage, "a", 1)
        assert await stage.states() == {"a": "running"}
    async with stage.dying([stage.child("a")], max_restarts=1, max_seconds=4.0) as app:
        await crash_times(stage, "a", 1)
        await anyio.sleep(4.0)
        stage.crash("a")
        await end_of(app)


@pytest.mark.parametrize("strategy", [*STRATEGIES, "dynamic"])
async def test_1_5_4_failed_attempts_count(strategy: str) -> None:
    """With an intensity of 3 and a start that always fails there are 3 attempts, then the end."""
    stage = Stage()
    fails = [None, *(Boom(str(number)) for number in range(9))]
    async with stage.dying(supervisor(strategy, max_restarts=3)) as app:
        await stage.top.ask(StartChild(stage.child("a", start=fails)))
        stage.crash("a")
        await end_of(app)
    assert stage.take() == ["+a", "-a", "!a", "!a", "!a"]
    assert [str(error) for error in gave_up(stage).crashes] == ["a", "0", "1", "2"]


async def test_1_5_4_each_attempt_counts_once() -> None:
    """Two failed attempts and a good one are three restarts, and no more."""
    stage = Stage()
    tree = [stage.child("a", start=[None, Boom(), Boom()])]
    async with stage.dying(tree, max_restarts=3) as app:
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a", "-a", "!a", "!a", "+a"]
        stage.crash("a")
        await end_of(app)


async def test_1_5_5_requests_and_first_starts_do_not_count() -> None:
    """First starts and the requests of management do not count, also when they fail."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), max_restarts=1):
        for number in range(5):
            assert await answer_to(stage.top, StartChild(stage.child(f"more-{number}")))
        for start in (Boom(), Ignore()):
            await answer_to(stage.top, StartChild(stage.child("bad", start=[start])))
        stage.starts["a"].extend([Boom(), Ignore(), None])
        await stage.top.ask(TerminateChild("a"))
        answers = [await answer_to(stage.top, RestartChild("a")) for _ in range(3)]
        assert answers == ["ChildStartFailed", "None", "/top/a"]
        stage.crash("a")  # the first restart that counts
        await settle()
        assert (await stage.states())["a"] == "running"
    assert stage.told(SupervisorGaveUp) == []


async def test_1_5_6_only_age_removes_a_restart() -> None:
    """However long a child is well within the period, its restart counts; each ages by itself."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=2, max_seconds=10.0) as app:
        for pause in (8.0, 4.0, 9.0):  # restarts at 0, 8, 12, 21 s: never three in ten seconds
            await crash_times(stage, "a", 1)
            await anyio.sleep(pause)
        await crash_times(stage, "a", 1)
        assert await stage.states() == {"a": "running"}
        await anyio.sleep(0.5)
        stage.crash("a")  # 21.5 s: those at 12 and 21 s count
        await end_of(app)
    assert [event.restarts for event in stage.told(ChildExited)] == [0, 1, 2, 3, 4]


async def test_1_5_6_a_restarted_supervisor_begins_with_an_empty_list() -> None:
    """A supervisor that is restarted has forgotten the restarts of its former life."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")], max_restarts=2)
    async with stage.serve([inner], max_restarts=2) as app:
        await crash_times(stage, "x", 2)
        app.find("in").kill()
        await settle()
        stage.take()
        await crash_times(stage, "x", 2)
        assert stage.take() == ["-in/x", "+in/x"] * 2
        await crash_times(stage, "x", 1)
        assert stage.take() == ["-in/x", "-in", "+in/x", "+in"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("id", "abc")
async def test_1_5_7_giving_up_stops_all_others_in_reverse_order(strategy: str, id: str) -> None:
    """When it gives up, the child that died is not touched, and the others stop in reverse."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), strategy=strategy, max_restarts=0) as app:
        stage.take()
        stage.crash(id)
        await end_of(app)
    others = "cba".replace(id, "")
    assert stage.take() == ends(id + others)
    assert list(stopped(stage)) == list(others)
    assert all(expected for _, expected in stopped(stage).values())


async def test_1_5_7_a_supervisor_that_gave_up_exits_with_shutdown() -> None:
    """Giving up is an exit `Shutdown`, which carries the crashes, and is reported once."""
    stage = Stage()
    errors = [Boom("one"), Boom("two")]
    async with stage.dying(stage.children("ab"), max_restarts=1, max_seconds=7.5) as app:
        for error in errors:
            stage.crash("a", error)
            await settle()
        await end_of(app)
    assert not stage.exited.reason.is_abnormal
    exceeded = gave_up(stage)
    assert (exceeded.max_restarts, exceeded.max_seconds) == (1, 7.5)
    assert list(exceeded.crashes) == errors
    assert [event.error for event in stage.told(SupervisorGaveUp)] == [exceeded]


async def test_1_5_7_an_exit_that_waits_behind_the_end_is_not_handled() -> None:
    """A child that died behind the one that ended it all is taken in as it stops, and told of."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), max_restarts=0) as app:
        await die_together(stage, "ab")
        await end_of(app)
    assert exits(stage) == ["a: give up"]
    assert stopped(stage) == {"c": ("shutdown", True), "b": ("crashed: Boom: b", False)}
    group = stage.exited.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["a", "b"]
    assert stage.take() == [*starts("abc"), *ends("abc")]


async def test_1_5_8_budgets_multiply() -> None:
    """A permanent supervisor that gave up costs its parent one restart: the budgets multiply."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=2)
    async with stage.dying([inner], max_restarts=2) as app:
        stage.take()
        # (2 + 1) * (2 + 1) crashes end it all, and not one less.
        await crash_times(stage, "x", 8)
        assert await stage.states(app.find("in")) == {"x": "running", "y": "running"}
        again = ["-in/x", "-in/y", "-in", "+in/x", "+in/y", "+in"]
        once = [*["-in/x", "+in/x"] * 2, *again]
        assert stage.take() == [*once, *once, *["-in/x", "+in/x"] * 2]
        stage.crash("x")
        await end_of(app)
    assert stage.take() == ["-in/x", "-in/y", "-in"]


@pytest.mark.parametrize(
    ("strategy", "trace"),
    [
        ("one_for_one", ["-b", "!b", "!b", "-d", "-c", "-a"]),
        ("one_for_all", ["-b", *ends("dca"), "+a", "!b", "-a", "+a", "!b", "-a"]),
        ("rest_for_one", ["-b", *ends("dc"), "!b", "!b", "-a"]),
    ],
)
async def test_1_5_9_giving_up_between_retries_stops_what_is_up(
    strategy: str, trace: list[str]
) -> None:
    """A supervisor that gives up while it retries stops that part of the round that is up."""
    stage = Stage()
    tree = [
        stage.child("a"),
        stage.child("b", start=[None, *(Boom() for _ in range(9))]),
        *stage.children("cd"),
    ]
    async with stage.dying(tree, strategy=strategy, max_restarts=2) as app:
        stage.take()
        stage.crash("b")
        await end_of(app)
    assert stage.take() == trace
    assert not stage.exited.reason.is_abnormal

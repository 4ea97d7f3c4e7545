"""What re-implementations of OTP get wrong, 14 to 22 and 30: requests, ends, and starts cut short.

Each test is aimed at one mistake, as in `test_mistakes.py`.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Ignore, Normal, Ref, Shutdown
from supervision import (
    ChildExists,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import SupervisorEnding
from tests.semantics.kit import (
    ROUNDS,
    STRATEGIES,
    Boom,
    Stage,
    answer_to,
    crash_times,
    end_of,
    failing_after,
    retries_done,
    settle,
)

pytestmark = pytest.mark.dead_letters


async def test_mistake_14_a_failed_start_child_leaves_no_spec_behind() -> None:
    """A child whose first start fails is unknown afterwards, and no round starts it."""
    stage = Stage()
    async with stage.serve(stage.children("a"), strategy="one_for_all"):
        start = StartChild(stage.child("n", start=[Boom()]))
        assert await answer_to(stage.top, start) == "ChildStartFailed"
        assert await answer_to(stage.top, DeleteChild("n")) == "ChildNotFound"
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "!n", "-a", "+a"]


async def test_mistake_14_a_failed_restart_child_neither_removes_nor_retries() -> None:
    """A child that does not start again by request stays known, down, and is left in peace."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, Boom()])], max_restarts=0):
        await stage.top.ask(TerminateChild("a"))
        assert await answer_to(stage.top, RestartChild("a")) == "ChildStartFailed"
        await anyio.sleep(60.0)
        assert await stage.states() == {"a": "terminated"}
        assert stage.take() == ["+a", "-a", "!a"]
        assert await answer_to(stage.top, RestartChild("a")) == "/top/a"


async def test_mistake_15_a_restarting_child_is_neither_running_nor_deletable() -> None:
    """While a child is restarting it is not active, not there twice, and not to be deleted."""
    stage = Stage()
    answers: list[str] = []
    again = StartChild(stage.child("a"))
    fail = failing_after(stage, answers, again, RestartChild("a"), DeleteChild("a"))
    async with stage.serving([stage.child("a", start=[None, fail])]) as app:
        with pytest.raises(ChildExists) as started:
            await stage.top.ask(again)
        assert started.value.ref == app.find("a")
        stage.crash("a")
        await retries_done()
        assert answers == ["ChildExists", "ChildRestarting", "ChildRestarting"]
        await stage.top.ask(TerminateChild("a"))
        with pytest.raises(ChildExists) as present:
            await stage.top.ask(again)
        assert present.value.ref is None


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_mistake_16_terminating_a_restarting_child_cancels_its_retry(kind: Any) -> None:
    """A child that is terminated between two attempts to start it is not tried again."""
    stage = Stage()
    async with stage.serving(kind("top", max_restarts=50)):
        fail = failing_after(stage, [], TerminateChild("a"))
        await stage.top.ask(StartChild(stage.child("a", start=[None, fail])))
        stage.crash("a")
        await anyio.sleep(60.0)
        assert stage.take() == ["+a", "-a", "!a"]
        assert (await stage.top.ask(CountChildren())).active == 0


@pytest.mark.parametrize("setting", ["any_significant", "all_significant"])
async def test_mistake_17_only_own_exits_of_significant_children_end_their_supervisor(
    setting: str,
) -> None:
    """Neither `TerminateChild` nor a round that stops significant children ends the supervisor."""
    stage = Stage()
    s, t = stage.children("st", restart="temporary", significant=True)
    tree = [stage.child("a"), s, t]
    async with stage.serve(tree, strategy="one_for_all", auto_shutdown=setting):
        await stage.top.ask(TerminateChild("s"))
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running"}
    assert stage.told(SupervisorEnding) == []


async def test_mistake_17_who_restarts_is_there_and_who_was_ignored_is_not() -> None:
    """`all_significant` waits for a child that is restarting, and for none that ignored."""
    stage = Stage()
    s, t, i = stage.children("sti", restart="transient", significant=True)
    stage.starts["i"].append(Ignore())
    stage.starts["s"].extend([None, failing_after(stage, [], then=lambda _: stage.end("t"))])
    async with stage.serving([s, t, i], auto_shutdown="all_significant") as app:
        stage.crash("s")
        await retries_done()
        assert await stage.states() == {"s": "running", "t": "terminated", "i": "terminated"}
        stage.end("s")
        assert await end_of(app) == Shutdown()


async def test_mistake_18_a_supervisor_that_gave_up_exits_orderly() -> None:
    """The exit of a supervisor that gave up is `Shutdown`: no transient parent restarts it."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")], max_restarts=0, restart="transient")
    async with stage.serve([inner], max_restarts=5) as app:
        ref = app.find("in")
        stage.take()
        stage.crash("x")
        assert isinstance(await ref.wait(), Shutdown)
        await anyio.sleep(60.0)
        assert await stage.states() == {"in": "terminated"}
        assert stage.take() == ["-in/x", "-in"]


async def test_mistake_19_a_restarted_supervisor_begins_anew() -> None:
    """A supervisor that is restarted has neither its added children nor its old restart list."""
    stage = Stage()
    async with stage.serve([SupervisorSpec("in", [stage.child("x")], max_restarts=1)]) as app:
        await app.find("in").ask(StartChild(stage.child("n")))
        await crash_times(stage, "x", 1)
        app.find("in").kill()
        await settle()
        assert await stage.states(app.find("in")) == {"x": "running"}
        stage.take()
        await crash_times(stage, "x", 1)
        assert stage.take() == ["-in/x", "+in/x"]


@pytest.mark.parametrize("how", ["stop", "detail", "crash"])
async def test_mistake_20_children_are_told_to_stop_with_a_plain_shutdown(how: str) -> None:
    """The reason for which a supervisor ends is not passed down: its children get `Shutdown()`."""
    stage = Stage()
    s = stage.child("s", restart="temporary", significant=True)
    inner = SupervisorSpec(
        "in", [stage.child("x"), s], auto_shutdown="any_significant", restart="temporary"
    )
    async with stage.serve([inner]) as app:
        match how:
            case "stop":
                app.find("in").stop()
            case "detail":
                stage.end("s", Shutdown("detail"))
            case _:
                stage.crash("s")
        await settle()
    assert [reason for id, reason in stage.reasons if id == "x"] == [Shutdown()]


# -- 21: starts that are cut short -----------------------------------------------------------------

MOMENTS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
"""Each await of a start of four seconds is hit in its middle, and at its very end."""


def slow_tree(stage: Stage) -> list[Any]:
    """Make a tree whose workers take one second each to start."""
    a, x, y, b = stage.children("axyb", start=[1.0, 1.0])
    return [a, SupervisorSpec("in", [x, y]), b]


def runs_code(stage: Stage) -> bool:
    """Tell whether any code of a worker is running."""
    hooks = ("start", "run", "stop")
    return any(stage.is_inside(id, hook) for id in "axyb" for hook in hooks)


BACK = ["b", "in/y", "in/x", "in", "a"]
"""In this order a slow tree is stopped, as far as it got."""


def check_taken_back(stage: Stage) -> None:
    """Check that all that got ready has ended, in reverse order, and was asked to."""
    trace = [entry for entry in stage.take() if entry[0] != "!"]
    up = [entry[1:] for entry in trace if entry[0] == "+"]
    gone = [id for id in BACK if id in up]
    assert trace == [*(f"+{id}" for id in up), *(f"-{id}" for id in gone)]
    workers = [id.rpartition("/")[2] for id in gone if id != "in"]
    assert stage.reasons == [(id, Shutdown()) for id in workers]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_mistake_21_a_start_that_is_cancelled_leaves_nothing_half_started(
    moment: float,
) -> None:
    """Cancelled at any await of the start, what was started is stopped in reverse order."""
    stage = Stage()
    with anyio.move_on_after(moment):
        async with stage.serve(slow_tree(stage)):
            await anyio.sleep_forever()
    check_taken_back(stage)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["shutdown", "kill"])
async def test_mistake_21_a_supervisor_that_must_end_while_it_starts_children(
    how: str, moment: float
) -> None:
    """Told to stop, it finishes the start in hand first, as in OTP; killed, it takes all along."""
    stage = Stage()
    below = SupervisorSpec("sub", slow_tree(stage))
    async with stage.serving([SupervisorSpec("host", restart="temporary")]) as app:
        host: Ref[Any] = app.find("host")
        stage.losable += (StartChild,)
        stage.tasks.start_soon(answer_to, host, StartChild(below))
        await settle()
        await anyio.sleep(moment)
        began = anyio.current_time()
        if how == "kill":
            host.kill()
        else:
            await host.shutdown(None)
        await host.wait()
        assert anyio.current_time() == began + (0.0 if how == "kill" else 4.0 - moment)
        trace = [entry for entry in stage.take() if "sub/" in entry]
        up = [entry[1:] for entry in trace if entry[0] == "+"]
        assert "host/sub/b" not in up or how == "shutdown" or moment >= 4.0
        assert sorted(entry[1:] for entry in trace if entry[0] == "-") == sorted(up)
        if how == "shutdown":
            assert [id for id, _ in stage.reasons] == ["b", "y", "x", "a"]
        assert not runs_code(stage)


@pytest.mark.parametrize("moment", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("strategy", ROUNDS)
@pytest.mark.parametrize("how", ["shutdown", "kill"])
async def test_mistake_21_a_supervisor_that_must_end_in_a_round(
    how: str, strategy: Any, moment: float
) -> None:
    """Told to stop in a round of restarts, it finishes that and stops all; killed, it does not."""
    stage = Stage()
    tree = [stage.child("a", start=[None, 1.0]), stage.child("b", start=[None, 1.0])]
    inner: Any = SupervisorSpec("in", tree, strategy=strategy, restart="temporary")
    async with stage.serve([inner]) as app:
        ref = app.find("in")
        stage.take()
        stage.crash("a")
        await settle()
        await anyio.sleep(moment)
        if how == "kill":
            ref.kill()
        else:
            await ref.shutdown(None)
        await ref.wait()
        trace = [entry for entry in stage.take() if entry[0] != "!"]
        assert not runs_code(stage)
    assert sorted(trace[:2]) == ["-in/a", "-in/b"]
    if how == "shutdown":
        assert trace[2:] == ["+in/a", "+in/b", "-in/b", "-in/a", "-in"]
    else:
        up = [entry[1:] for entry in trace if entry[0] == "+"]
        assert up == ["in/a", "in/b"][: len(up)]
        assert abs(len(up) - moment) <= 1.0  # whoever is due in this very moment may be ready
        assert trace[-1] == "-in"
        assert sorted(trace[2:-1]) == [*(f"+{id}" for id in up), *(f"-{id}" for id in up)]


# -- 22 and 30 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("period", [0.1, 1.0, 4.7])
async def test_mistake_22_a_restart_as_old_as_the_period_still_counts(
    period: float, strategy: str
) -> None:
    """A restart exactly as old as the period counts, and one a little older does not."""
    stage = Stage()
    options: dict[str, Any] = {"strategy": strategy, "max_restarts": 1, "max_seconds": period}
    async with stage.serve(stage.children("a"), **options):
        await crash_times(stage, "a", 1)
        await anyio.sleep(period + 0.001)
        await crash_times(stage, "a", 1)
        assert await stage.states() == {"a": "running"}
    async with stage.dying(stage.children("a"), **options) as app:
        first = anyio.current_time()
        await crash_times(stage, "a", 1)
        await anyio.sleep(first + period - anyio.current_time())
        stage.crash("a")
        await end_of(app)


async def test_mistake_30_restarting_children_count_in_the_limit() -> None:
    """A dynamic child between two attempts to start it keeps its place under `max_children`."""
    stage = Stage()
    answers: list[str] = []
    async with stage.serving(DynamicSupervisorSpec("top", max_children=1)):
        fail = failing_after(stage, answers, StartChild(stage.child("n")))
        await stage.top.ask(StartChild(stage.child("a", start=[None, fail])))
        stage.crash("a")
        await retries_done()
        assert answers == ["TooManyChildren"]
        assert await stage.states() == {"a": "running"}


async def test_mistake_30_an_ignored_restart_is_not_tried_for_ever() -> None:
    """A dynamic child that ignores its restart is gone, and its place is free."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top", max_children=1)):
        await stage.top.ask(StartChild(stage.child("a", start=[None, Ignore()])))
        stage.end("a", Normal())
        await anyio.sleep(60.0)
        assert stage.take() == ["+a", "-a", "~a"]
        assert await answer_to(stage.top, StartChild(stage.child("n"))) == "/top/n"

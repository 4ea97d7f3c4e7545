"""Tests of stop reports: what did not stop in time, what was killed, what raised, in order."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from actors import CancellationToken, Crashed, Killed, Normal, Proc, ProcExited, Shutdown, task
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    Application,
    ChildSpec,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    StartChild,
    StopReport,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from supervision.application import StoppedProc
from supervision.application.stop_report import lines_of
from tests.kit.applications import paths, proc, top
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import forever

pytestmark = pytest.mark.dead_letters  # what crashes a worker is one

# -- Application.stop ----------------------------------------------------------------------------


async def test_stop_stops_in_order_and_reports() -> None:
    """The tree stops in reverse order, now; each child is in the report with how long it took."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", stop=2.0), stage.child("c", stop=1.0)]
    async with stage.serve(children) as app:
        stage.take()
        report = await app.stop()
        assert stage.take() == ["-c", "-b", "-a"]
        assert report.reason == Shutdown()
        assert report.seconds == 3.0
        assert report.path == "/top"
        assert report.stopped == (
            StoppedProc("/top/c", Shutdown(), True, 1.0, 5.0),
            StoppedProc("/top/b", Shutdown(), True, 2.0, 5.0),
            StoppedProc("/top/a", Shutdown(), True, 0.0, 5.0),
        )
        assert report.went_well
        assert (report.late, report.killed, report.errors, report.left) == ((), (), (), ())
        assert str(report) == "/top 3 procs stopped in 3.00 s, all well"
        assert await app.wait() == Shutdown()
        await anyio.sleep(1.0)  # the block goes on
    assert app.report is report


async def test_a_second_stop_gives_the_same_report() -> None:
    """Called again, at the same time or after the end, `stop` gives the very same report."""
    stage = Stage()
    found: list[StopReport] = []

    async def stop() -> None:
        found.append(await stage.app.stop())

    async with stage.serving([stage.child("a", stop=1.0)]) as app:
        for _ in range(3):
            stage.tasks.start_soon(stop)
        await anyio.sleep(0.5)
        assert app.report is None
        await anyio.sleep(1.5)
        await stop()
    assert len(found) == 4
    assert all(report is found[0] for report in found)
    assert found[0].seconds == 1.0
    assert await app.stop() is found[0]


@pytest.mark.parametrize("after", [0.0, 1.0])
async def test_a_cancelled_stop_goes_on(after: float) -> None:
    """Cancelling the call, even at once, ends only the wait; the stop goes on, with its report."""
    stage = Stage()
    async with stage.serve([stage.child("a"), stage.child("b", stop=2.0)]) as app:
        with anyio.move_on_after(after) as scope:
            await app.stop()
        assert scope.cancelled_caught
        await app.wait()
        assert app.report is not None
        assert app.report.seconds == 2.0
        assert paths(app.report) == ["b", "a"]


async def test_the_end_of_the_block_leaves_a_report() -> None:
    """However the block is left, the report is there afterwards."""
    stage = Stage()
    async with stage.serve([stage.child("a", stop=1.0)]) as app:
        pass
    assert paths(app.report) == ["a"]
    with pytest.raises(KeyError):
        async with stage.serve([stage.child("a", stop=1.0)]) as app:
            raise KeyError
    assert paths(app.report) == ["a"]
    with anyio.CancelScope() as scope:
        async with stage.serve([stage.child("a", stop=1.0)]) as app:
            scope.cancel()
            await anyio.sleep(1.0)
    assert paths(app.report) == ["a"]
    assert app.report is not None
    assert app.report.seconds == 1.0


async def test_a_proc_of_the_tree_that_waits_for_the_stop_is_late() -> None:
    """A proc that waits for the end of its own tree is killed at its deadline, and reported."""
    stage = Stage()

    async def wait(shutdown: CancellationToken) -> None:
        await stage.app.stop()

    async with stage.serve([stage.child("a")]) as app:
        await app.supervisor.ask(StartChild(ChildSpec("s", task(wait), restart="temporary")))
        await app.wait()
        assert not proc(app.report, "s").in_time
        assert proc(app.report, "a").in_time


# -- what went wrong -----------------------------------------------------------------------------


async def test_those_who_do_not_stop_in_time() -> None:
    """A child that is killed at its deadline is late; the others are not, however slow."""
    stage = Stage()
    children = [
        stage.child("a", stop=forever, shutdown=2.0),
        stage.child("b", stop=9.0, shutdown=10.0),
        stage.child("c", stop=forever, shutdown=0),
    ]
    async with stage.serve(children) as app:
        report = await app.stop()
    assert paths(report) == ["c", "b", "a"]
    assert [entry.in_time for entry in report.stopped] == [False, True, False]
    assert report.late == (proc(report, "c"), proc(report, "a"))
    assert report.killed == report.late
    assert proc(report, "a") == StoppedProc("/top/a", Killed(), False, 2.0, 2.0)
    assert not report.went_well
    assert str(report).splitlines() == [
        "/top 3 procs stopped in 11.00 s; 2 not in time",
        "/top/c did not stop within 0 s, and was killed",
        "/top/a did not stop within 2 s, and was killed",
    ]


async def test_a_brutal_kill_is_expected() -> None:
    """A child that is to be killed is in the report as killed, but nothing went wrong."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=BRUTAL_KILL, stop=forever)]) as app:
        report = await app.stop()
    assert proc(report, "a") == StoppedProc("/top/a", Killed(), True, 0.0, 0.0)
    assert report.killed
    assert report.went_well


async def test_errors_raised_while_stopping_are_in_order() -> None:
    """What children raise while they stop is in the report, each error once, in order."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("b", stop=Boom("b")), stage.child("c")])
    async with stage.serve([stage.child("a", stop=Boom("a")), inner]) as app:
        report = await app.stop()
    assert [str(error) for error in report.errors] == ["b", "a"]
    badly = [entry.path for entry in report.stopped if not entry.ended_well]
    assert badly == ["/top/in/b", "/top/a"]
    first, *rest = list(lines_of(report))
    assert first == ("WARNING", "/top", "4 procs stopped in 0.00 s; 2 errors")
    assert [(level, path) for level, path, _ in rest] == [("ERROR", path) for path in badly]
    assert all(text.startswith("raised while stopping: Boom: ") for _, _, text in rest)


async def test_an_error_on_the_way_to_being_killed_is_not_lost() -> None:
    """A child that raises when it is killed at its deadline is late, and has an error."""

    async def late(worker: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom("in finally")

    stage = Stage()
    async with stage.serve([stage.child("a", stop=late, shutdown=1.0)]) as app:
        report = await app.stop()
    (entry,) = report.stopped
    assert not entry.in_time
    assert [str(error) for error in entry.errors] == ["in finally"]


async def test_a_child_that_is_dead_already_when_its_turn_comes() -> None:
    """A child that crashes by itself while others are stopped is reported as it ended."""
    stage = Stage()

    def crash_a(worker: object) -> None:
        stage.crash("a")
        stage.end("b", Normal())

    async def slowly(worker: object) -> None:
        crash_a(worker)
        await anyio.sleep(1.0)

    children = [stage.child("a"), stage.child("b"), stage.child("c", stop=slowly)]
    async with stage.serve(children) as app:
        report = await app.stop()
    assert sorted(paths(report)[:2]) == ["a", "b"]
    assert isinstance(proc(report, "a").reason, Crashed)
    assert not proc(report, "a").expected
    assert [str(error) for error in report.errors] == ["a"]
    assert proc(report, "b").reason == Normal()
    assert "/top/b was to be stopped, but ended by itself (normal)" in str(report)
    assert paths(report)[2] == "c"


# -- who is in it --------------------------------------------------------------------------------


async def test_nested_trees_come_child_first() -> None:
    """A subtree is in the report in the order of death: its children, then itself."""
    stage = Stage()
    deep = SupervisorSpec("deep", [stage.child("c")])
    inner = SupervisorSpec("in", [stage.child("b"), deep])
    async with stage.serve([stage.child("a"), inner, stage.child("d")]) as app:
        report = await app.stop()
    assert paths(report) == ["d", "in/deep/c", "in/deep", "in/b", "in", "a"]
    assert report.went_well


async def test_durations_of_dynamic_children_are_their_own() -> None:
    """Children that stop all at once have each its own duration, in the order of death."""
    stage = Stage()
    async with stage.serve([stage.child("a"), DynamicSupervisorSpec("jobs")]) as app:
        for id, seconds in [("x", 3.0), ("y", 1.0), ("z", 2.0)]:
            await app.find("jobs").ask(StartChild(stage.child(id, stop=seconds, shutdown=2.5)))
        report = await app.stop()
    assert paths(report) == ["jobs/y", "jobs/z", "jobs/x", "jobs", "a"]
    assert [entry.seconds for entry in report.stopped] == [1.0, 2.0, 2.5, 2.5, 0.0]
    assert [entry.path for entry in report.late] == ["/top/jobs/x"]


async def test_a_procs_own_children_are_in_it() -> None:
    """What a worker started itself ends with it, and is in the report."""

    class Parent(Proc[object]):
        async def on_start(self) -> None:
            await self.context.spawn(task(wait_to_stop), id="own")
            await self.context.spawn(task(_ignore), id="deaf", shutdown=0.5)

        async def run(self, shutdown: CancellationToken) -> None:
            await shutdown.wait()

    async with serve(top(ChildSpec("p", Parent))) as app:
        report = await app.stop()
    assert paths(report) == ["p/deaf", "p/own", "p"]
    assert proc(report, "p/deaf").killed
    assert proc(report, "p/own").seconds is None
    assert "/top/p/deaf was killed before it was told to stop" not in str(report)
    assert "/top/p/deaf was killed" in str(report)


async def wait_to_stop(shutdown: CancellationToken) -> None:
    """Do nothing until told to stop."""
    await shutdown.wait()


async def _ignore(shutdown: CancellationToken) -> None:
    await anyio.sleep_forever()


async def test_what_was_stopped_earlier_is_not_in_it() -> None:
    """Rounds, terminations and ends of the past are history; what came back is in it once."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("b", stop=Boom("b")), stage.child("c")])
    children = [
        stage.child("a", restart="transient"),
        inner,
        stage.child("d", stop=Boom("d")),
        stage.child("t", restart="temporary"),
    ]
    async with stage.serve(children, strategy="rest_for_one", max_restarts=9) as app:
        stage.crash("a")
        await settle()
        app.find("in").kill()
        await settle()
        await app.supervisor.ask(TerminateChild("in"))
        await app.supervisor.ask(TerminateChild("d"))
        await app.supervisor.ask(RestartChild("d"))
        stage.end("a")
        await settle()
        report = await app.stop()
    assert paths(report) == ["d"]
    assert [str(error) for error in report.errors] == ["d"]


async def test_a_stop_that_comes_in_the_middle_of_a_round() -> None:
    """What a round stops and starts again before the stop is obeyed is in the report once."""
    errors = iter([Boom("in the round")])

    def once(worker: object) -> None:
        for error in errors:
            raise error

    stage = Stage()
    children = [stage.child("a"), stage.child("b", stop=once), stage.child("c", stop=1.0)]
    async with stage.serve(children, strategy="one_for_all") as app:
        stage.crash("a")
        await anyio.sleep(0.5)
        report = await app.stop()
    assert paths(report) == ["c", "b", "a"]
    assert report.went_well
    assert report.seconds == 1.5


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
async def test_a_supervisor_that_gave_up_and_did_not_take_all_along_is_history(
    restart: str,
) -> None:
    """What was stopped below a supervisor that was let go or came back is not in the report."""
    errors = iter([Boom("before")])

    def once(worker: object) -> None:
        for error in errors:
            raise error

    stage = Stage()
    below = [stage.child("b", stop=once), stage.child("c")]
    inner = SupervisorSpec("in", below, max_restarts=0, restart=restart)  # type: ignore[arg-type]
    async with stage.serve([stage.child("a"), inner]) as app:
        stage.crash("c")
        await settle()
        report = await app.stop()
    assert paths(report) == (["a"] if restart == "temporary" else ["in/c", "in/b", "in", "a"])
    assert report.went_well


async def test_the_time_counts_from_the_end_of_the_block() -> None:
    """What the root has still to finish when the block is left is part of the stop."""
    stage = Stage()
    stage.losable += (StartChild,)
    async with stage.serving([stage.child("a")]) as app:
        slow = StartChild(stage.child("b", start=[2.0]))
        stage.tasks.start_soon(_ask_in_vain, app, slow)
        await settle()
    assert app.report is not None
    assert app.report.seconds == 2.0


async def _ask_in_vain(app: Application, request: StartChild[Any]) -> None:
    with suppress(ProcExited):
        await app.supervisor.ask(request)


async def test_a_round_that_is_cut_short_by_the_stop() -> None:
    """What a round had stopped and not started again when the stop came is in the report."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", start=[None, Boom(), Boom()]), stage.child("c")]
    options: dict[str, Any] = {"strategy": "one_for_all", "max_restarts": 1}
    async with stage.dying(children, **options) as app:
        stage.crash("a")
        await anyio.sleep_forever()
    report = app.report
    assert paths(report) == ["a"]
    assert report is not None
    assert isinstance(report.reason, Shutdown)
    assert isinstance(report.reason.detail, IntensityExceeded)

"""Tests of stop reports of trees that end by themselves, of events, of cost, of bad moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from actors import ActorSystem, CancellationToken, Killed, ProcEnded, Shutdown, task
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    Application,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    StartChild,
    StopReport,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
    serve,
)
from supervision.application import StoppedProc
from supervision.application.application import serve_in
from supervision.application.stop_recorder import StopRecorder
from supervision.application.stop_report import leaves, lines_of
from supervision.events import ChildStopped, ChildStopping, SupervisorStopping
from tests.kit.applications import paths, proc, top
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import forever

pytestmark = pytest.mark.dead_letters  # what crashes a worker is one


# -- the tree ends by itself ---------------------------------------------------------------------


async def test_a_tree_that_gives_up_leaves_a_report() -> None:
    """The report of a tree that gave up covers the stop that followed, with its errors."""
    stage = Stage()
    children = [stage.child("a", stop=Boom("a")), stage.child("b"), stage.child("c", stop=1.0)]
    async with stage.dying(children, max_restarts=0) as app:
        stage.crash("b")
        await anyio.sleep_forever()
    report = app.report
    assert paths(report) == ["c", "a"]
    assert report is not None
    assert report.seconds == 1.0
    assert [str(error) for error in report.errors] == ["a"]
    assert isinstance(report.reason, Shutdown)
    assert isinstance(report.reason.detail, IntensityExceeded)
    assert await app.stop() is report


async def test_a_nested_supervisor_that_gave_up_is_part_of_it() -> None:
    """What stopped below a supervisor whose end brought the root down is in the report, too."""
    stage = Stage()
    inner = SupervisorSpec(
        "in", [stage.child("b", stop=Boom("b")), stage.child("c")], max_restarts=0
    )
    async with stage.dying([stage.child("a"), inner], max_restarts=0) as app:
        stage.crash("c")
        await anyio.sleep_forever()
    assert paths(app.report) == ["in/b", "a"]


async def test_a_root_that_is_killed_takes_all_along() -> None:
    """When the root is killed, everything that died with it is in the report, killed."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("b")])
    async with stage.dying([stage.child("a"), inner]) as app:
        app.supervisor.kill()
        await anyio.sleep_forever()
    report = app.report
    assert report is not None
    assert report.reason == Killed()
    assert sorted(paths(report)) == ["a", "in", "in/b"]
    assert paths(report).index("in/b") < paths(report).index("in")
    assert all(entry.killed and not entry.expected for entry in report.stopped)
    assert report.late == ()
    assert "/top/a was killed before it was told to stop" in str(report)


async def test_a_stop_that_is_overtaken_by_a_kill() -> None:
    """Killed in the middle of a stop: who was told and who was not can be told apart."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", stop=forever, shutdown=INFINITY),
        stage.child("c"),
    ]
    async with stage.serving(children) as app:
        stage.tasks.start_soon(app.stop)
        await anyio.sleep(3.0)
        app.system.kill()
        await app.wait()
        await settle()
    report = app.report
    assert report is not None
    assert proc(report, "c").ended_well
    assert proc(report, "b") == StoppedProc("/top/b", Killed(), False, 3.0, None)
    assert proc(report, "a") == StoppedProc("/top/a", Killed(), False, None, None)
    summary, *killed = str(report).splitlines()
    assert summary == "/top 3 procs stopped in 3.00 s; 2 killed"
    assert sorted(killed) == [
        "/top/a was killed before it was told to stop",
        "/top/b was killed after 3.00 s",
    ]


@pytest.mark.parametrize("shutdown", [1.0, BRUTAL_KILL])
async def test_a_root_with_a_deadline(shutdown: Any) -> None:
    """A root that is killed at its own deadline by `stop` is reported; nothing is raised."""
    stage = Stage()
    spec = top(stage.child("a", stop=forever, shutdown=INFINITY), shutdown=shutdown)
    async with stage.serve(spec) as app:
        report = await app.stop()
        assert report.reason == Killed()
        assert not report.went_well
        assert proc(report, "a").killed


async def test_a_tree_that_cannot_start_is_recorded() -> None:
    """What a failed start leaves behind is stopped, and that is recorded."""
    stage = Stage()
    spec = top(
        stage.child("a", stop=Boom("a")),
        SupervisorSpec("in", [stage.child("b"), stage.child("c", start=[Boom("c")])]),
    )
    recorder = StopRecorder("/top")
    with pytest.raises(ChildStartFailed) as caught:
        async with ActorSystem() as system, serve_in(system, spec, recorder):
            pytest.fail("started")
    assert paths(recorder.report) == ["in/b", "a"]
    assert isinstance(caught.value.__cause__, BaseExceptionGroup)


async def test_two_trees_in_one_system_have_a_report_each() -> None:
    """A report has what is below its own root, and nothing else."""
    stage = Stage()
    async with ActorSystem() as system:
        one = SupervisorSpec("top", [stage.child("a")])
        two = SupervisorSpec("topper", [stage.child("b")])
        async with serve_in(system, one) as first, serve_in(system, two) as second:
            pass
    assert paths(first.report) == ["a"]
    assert [entry.path for entry in second.report.stopped] == ["/topper/b"]  # type: ignore[union-attr]


# -- events, cost, text --------------------------------------------------------------------------


async def test_the_events_of_a_stop() -> None:
    """A supervisor says that it stops, whom it tells, with how much time, and who has stopped."""
    stage = Stage()
    heard: list[object] = []
    kinds = (SupervisorStopping, ChildStopping, ChildStopped, ProcEnded)
    async with stage.serve([stage.child("a", shutdown=2.0), DynamicSupervisorSpec("d")]) as app:
        app.system.events.subscribe(heard.append)
        await app.find("d").ask(StartChild(stage.child("x", shutdown=INFINITY)))
        await app.stop()
    lines = [
        f"{type(event).__name__} {event.ref.path}" for event in heard if isinstance(event, kinds)
    ]
    assert lines == [
        *["SupervisorStopping /top", "ChildStopping /top/d", "SupervisorStopping /top/d"],
        *["ChildStopping /top/d/x", "ProcEnded /top/d/x", "ChildStopped /top/d/x"],
        *["ProcEnded /top/d", "ChildStopped /top/d"],
        *["ChildStopping /top/a", "ProcEnded /top/a", "ChildStopped /top/a", "ProcEnded /top"],
    ]
    times = [event.timeout for event in heard if isinstance(event, ChildStopping)]
    assert times == [None, None, 2.0]


async def test_nothing_piles_up_while_the_tree_runs() -> None:
    """Crashes, rounds, terminations and own children leave nothing in the recorder."""
    stage = Stage()
    recorder = StopRecorder("/top")
    spec = top(
        SupervisorSpec("in", [stage.child("b", stop=Boom())], max_restarts=99),
        stage.child("a"),
        DynamicSupervisorSpec("d", max_restarts=99),
        max_restarts=99,
        strategy="one_for_all",
    )
    async with ActorSystem() as system:
        system.events.subscribe(stage.hear)
        async with serve_in(system, spec, recorder) as app:
            for turn in range(5):
                stage.crash("a")
                stage.crash("b")
                await settle()
                app.find("in").kill()
                await settle()
                await app.find("d").ask(StartChild(stage.child(f"x{turn}")))
                stage.crash(f"x{turn}")
                await settle()
                await app.find("d").ask(TerminateChild(f"x{turn}"))
                await app.supervisor.ask(TerminateChild("in"))
                await app.supervisor.ask(RestartChild("in"))
            assert not recorder._open
            assert not recorder._unsaid
            assert recorder._stopping is None
    assert sorted(paths(recorder.report)) == ["a", "d", "in", "in/b"]


def test_only_the_innermost_are_named() -> None:
    """Those who wait for nobody hold the end up; the line names the first, and counts the rest."""
    left = tuple(f"/top/{number}" for number in range(23))
    report = StopReport("/top", None, 30.0, (), left)
    _, (level, path, text) = lines_of(report)
    assert (level, path) == ("ERROR", "/top")
    assert text.startswith("not ended: /top/0, /top/1, ")
    assert text.endswith("/top/19 and 3 more")
    assert report.summary == "0 procs stopped in 30.00 s; 23 not ended"
    assert not report.went_well


async def test_the_leaves_of_a_live_tree() -> None:
    """Of a live tree those are named that have no live child."""
    stage = Stage()
    spec = top(
        stage.child("a"), SupervisorSpec("in", [stage.child("b"), DynamicSupervisorSpec("d")])
    )
    async with stage.serve(spec) as app:
        await app.supervisor.ask(TerminateChild("a"))
        assert leaves(app.system.snapshot()) == ("/top/in/b", "/top/in/d")


@pytest.mark.parametrize("strike", ["stop", "kill", "cancel", "leave"])
@pytest.mark.parametrize("when", [0.0, 0.5, 1.0, 1.5, 2.5])
async def test_whatever_lands_in_a_stop(strike: str, when: float) -> None:
    """A second stop, a kill, a cancellation at any moment: everybody is in the report once."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("b", stop=1.0), stage.child("c", stop=1.0)])
    strikes: dict[str, Callable[[Application], Any]] = {
        "stop": lambda app: stage.tasks.start_soon(app.stop),
        "kill": lambda app: app.system.kill(),
        "cancel": lambda app: scope.cancel(),
        "leave": lambda app: None,
    }
    with anyio.CancelScope() as scope:
        async with stage.serving([stage.child("a"), inner]) as app:
            stage.tasks.start_soon(partial(_stop_quietly, app))
            await anyio.sleep(when)
            strikes[strike](app)
            if strike in ("stop", "kill"):
                await app.wait()
    report = app.report
    assert sorted(paths(report)) == ["a", "in", "in/b", "in/c"]
    assert len(paths(report)) == 4


async def _stop_quietly(app: Application) -> None:
    try:
        await app.stop()
    except TreeExited:
        pass


async def test_the_reason_of_the_stop_reaches_on_stop() -> None:
    """Children are stopped with `Shutdown`, as ever."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        await app.stop()
    assert stage.reasons == [("a", Shutdown())]


async def test_a_crash_before_the_tree_is_up_is_no_error_of_its_stop() -> None:
    """A child that crashes in its first moment, and spends the budget so, has crashed only."""

    async def fail(shutdown: CancellationToken) -> None:
        raise Boom("at once")

    spec = SupervisorSpec("top", [ChildSpec("x", task(fail))], max_restarts=0)
    app = None
    with pytest.raises(TreeExited) as caught:
        async with serve(spec) as app:
            await anyio.sleep(1)
    assert str(caught.value.__cause__) == "at once"
    assert app is not None
    assert app.report is not None
    assert app.report.errors == ()

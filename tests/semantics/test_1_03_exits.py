"""OTP 1.3: what a supervisor does with a child that exits by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors import Crashed, Exited, ExitReason, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import (
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import LogLines
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    ROUNDS,
    STRATEGIES,
    crash_times,
    die_together,
    end_of,
    ends,
    exits,
    starts,
)
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters

GOOD: list[ExitReason] = [Normal(), Shutdown(), Shutdown("T")]
BAD: list[ExitReason] = [Crashed(Boom("bad")), Killed()]
RESTARTS = ["permanent", "transient", "temporary"]


def what_comes_next(restart: str, reason: ExitReason) -> str:
    """Look the table of the section up: what becomes of a child that exits so."""
    if restart == "temporary":
        return "removed"
    return "restarted" if restart == "permanent" or reason.is_abnormal else "kept"


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
@pytest.mark.parametrize("restart", RESTARTS)
async def test_1_3_0_restart_type_and_reason_decide(restart: str, reason: ExitReason) -> None:
    """A child is restarted, kept without a proc, or removed, by its restart type and reason."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart=restart), stage.child("b")]):
        stage.end("a", reason)
        await settle()
        match what_comes_next(restart, reason):
            case "restarted":
                assert stage.take() == ["+a", "+b", "-a", "+a"]
                assert await stage.states() == {"a": "running", "b": "running"}
            case "kept":
                assert stage.take() == ["+a", "+b", "-a"]
                assert await stage.states() == {"a": "terminated", "b": "running"}
                await stage.top.ask(RestartChild("a"))
                assert stage.take() == ["+a"]
            case _:
                assert stage.take() == ["+a", "+b", "-a"]
                assert await stage.states() == {"b": "running"}


@pytest.mark.parametrize("detail", ["T", 7, Boom("inside"), {"why": "deploy"}], ids=repr)
async def test_1_3_1_a_shutdown_with_detail_is_as_good_as_one_without(detail: object) -> None:
    """A `Shutdown` is an orderly end whatever its detail, also an exception."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient")], max_restarts=0):
        stage.end("a", Shutdown(detail))
        await settle()
        assert await stage.states() == {"a": "terminated"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("restart", "reason"),
    [
        *(("temporary", reason) for reason in [*GOOD, *BAD]),
        *(("transient", reason) for reason in GOOD),
    ],
    ids=str,
)
async def test_1_3_2_exits_without_restart_touch_no_sibling(
    strategy: str, restart: str, reason: ExitReason
) -> None:
    """An exit of a temporary child, or a good one of a transient, moves and counts nothing."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("x", restart=restart), stage.child("b")]
    async with stage.serve(tree, strategy=strategy, max_restarts=0):
        stage.end("x", reason)
        await settle()
        assert stage.take() == [*starts("axb"), "-x"]
        states = await stage.states()
        assert (states["a"], states["b"]) == ("running", "running")


@pytest.mark.parametrize("reason", GOOD, ids=str)
@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_3_3_a_permanent_child_that_ends_well_triggers_the_strategy(
    strategy: str, reason: ExitReason
) -> None:
    """A permanent child that ends normally triggers the full strategy and counts."""
    stage = Stage()
    async with stage.dying(stage.children("abc"), strategy=strategy, max_restarts=1) as app:
        stage.end("b", reason)
        await settle()
        others = "ca" if strategy == "one_for_all" else "c"
        back = "abc" if strategy == "one_for_all" else "bc"
        assert stage.take() == [*starts("abc"), "-b", *ends(others), *starts(back)]
        stage.end("b", reason)
        await end_of(app)
    assert stage.take() == ends("bca")


class Stranger(Worker):
    """Link itself to the supervisor, without being its child."""

    async def on_start(self) -> None:
        """Link, then do what a worker does."""
        await super().on_start()
        self.context.link(self.stage.top)

    def on_exit(self, exited: Exited) -> None:
        """Survive the supervisor."""


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
async def test_1_3_4_the_exit_of_a_stranger_is_ignored(reason: ExitReason) -> None:
    """The exit of a proc that is no child is ignored, also when it is linked."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0, strategy="one_for_all") as app:
        await app.system.spawn(partial(Stranger, stage, "stranger"))
        stage.end("stranger", reason)
        await settle()
        assert not stage.refs["stranger"].is_alive
        assert await stage.states() == {"a": "running"}
        assert [entry for entry in stage.take() if entry.endswith("a")] == ["+a"]


async def test_1_3_4_the_exit_of_an_old_incarnation_is_ignored() -> None:
    """An exit of a proc that was replaced before it was handled does nothing to the new one."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=1):
        await die_together(stage, "abc")
        assert stage.take() == [*starts("abc"), *ends("abc"), *starts("abc")]
        assert [info.restarts for info in await stage.infos()] == [1, 1, 1]
    assert exits(stage) == ["a: restart"]


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_1_3_4_the_exit_of_a_terminated_child_is_ignored(
    kind: type[SupervisorSpec | DynamicSupervisorSpec], restart: str
) -> None:
    """A child that crashes while it is terminated does nothing to the one started after it."""
    stage = Stage()
    async with stage.serve(kind("top", max_restarts=0)):
        spec = stage.child("a", restart=restart, stop=Boom("while it is terminated"))
        await stage.top.ask(StartChild(spec))
        await stage.top.ask(TerminateChild("a"))
        stage.stops["a"] = None
        kept = kind is SupervisorSpec and restart == "permanent"
        await stage.top.ask(RestartChild("a") if kept else StartChild(spec))
        await settle()
        assert stage.take() == ["+a", "-a", "+a"]
        assert await stage.states() == {"a": "running"}
    assert exits(stage) == []


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_3_5_a_transient_supervisor_that_gave_up_stays_down(restart: Any) -> None:
    """A supervisor that gives up ends with `Shutdown`, so a transient one is not restarted."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=1, restart=restart)
    async with stage.serve([stage.child("a"), inner], max_restarts=0, strategy="one_for_all"):
        stage.take()
        await crash_times(stage, "x", 2)
        assert stage.take() == ["-in/x", "+in/x", "-in/x", "-in/y", "-in"]
        kept = {"in": "terminated"} if restart == "transient" else {}
        assert await stage.states() == {"a": "running", **kept}


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
@pytest.mark.parametrize("restart", RESTARTS)
async def test_1_3_6_exits_are_reported(restart: str, reason: ExitReason) -> None:
    """Each own exit is reported with what comes next, and logged loudly when it is abnormal."""
    stage = Stage()
    lines: list[str] = []

    def write(level: str, path: str, text: str) -> None:
        if path == "/top/a":
            lines.append(f"{level} {text}")

    async with stage.serve([stage.child("a", restart=restart)]) as app:
        app.system.events.subscribe(LogLines(write))
        stage.end("a", reason)
        await settle()
        (line, *_) = lines
    next = what_comes_next(restart, reason)
    said = {"restarted": "restart", "kept": "leave it ended", "removed": "remove it"}[next]
    assert exits(stage) == [f"a: {said}"]
    loud = {"crashed: Boom: bad": "ERROR", "killed": "WARNING"}
    assert line.startswith(loud.get(str(reason), "INFO"))
    assert ("restarting it now" if next == "restarted" else "not restarted") in line

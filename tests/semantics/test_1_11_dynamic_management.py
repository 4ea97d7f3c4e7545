"""OTP 1.11: what a dynamic supervisor can be asked to do with its children."""

from __future__ import annotations

from typing import Any

import pytest

from actors import Crashed, ExitReason, Ignore, Killed, Normal, Ref, Shutdown
from actors.testing import settle
from supervision import (
    ChildCounts,
    ChildExists,
    ChildStartFailed,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChildSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    add,
    answer_to,
    dynamic,
    ends,
    exits,
    failing_after,
    retries_done,
    starts,
)

pytestmark = pytest.mark.dead_letters


async def test_1_11_1_start_child_answers_with_the_child() -> None:
    """`StartChild` gives the child, None when it ignored, and the reason when it failed."""
    stage = Stage()
    boom = Boom("c")
    async with stage.serve(dynamic(max_restarts=0)) as app:
        assert await add(stage, "a") == app.find("a")
        assert await add(stage, "b", start=[Ignore()]) is None
        with pytest.raises(ChildStartFailed) as failed:
            await add(stage, "c", start=[boom])
        assert (failed.value.id, failed.value.reason) == ("c", Crashed(boom))
        with pytest.raises(ChildExists) as exists:
            await add(stage, "a")
        assert exists.value.ref == app.find("a")
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a", "~b", "!c"]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_11_1_terminate_child_removes_it(restart: str) -> None:
    """`TerminateChild` stops a child, which is gone then, whatever its restart type."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=0)):
        for id in "ab":
            await add(stage, id, restart=restart)
        assert await answer_to(stage.top, TerminateChild("a")) == "None"
        assert await stage.states() == {"b": "running"}
        assert await answer_to(stage.top, TerminateChild("a")) == "ChildNotFound"
        assert stage.take() == [*starts("ab"), *ends("a")]
        assert await answer_to(stage.top, StartChild(stage.child("a"))) == "/top/a"


async def test_1_11_1_a_child_is_addressed_by_its_id() -> None:
    """A ref is no id, be it of a child or of a stranger, alive or dead."""
    stage = Stage()
    async with stage.serve([DynamicSupervisorSpec("dyn"), stage.child("z")]) as app:
        dyn: Ref[Any] = app.find("dyn")
        ref = await dyn.ask(StartChild(stage.child("a")))
        unknown: Any
        for unknown in (ref, app.find("z"), "z", "/top/dyn/a"):
            assert await answer_to(dyn, TerminateChild(unknown)) == "ChildNotFound"
        assert await stage.states(dyn) == {"a": "running"}
        assert stage.take() == ["+dyn", "+z", "+dyn/a"]


async def test_1_11_1_there_is_nothing_to_restart_or_delete() -> None:
    """Children that run are neither restarted nor deleted, and one that does not run is gone."""
    stage = Stage()
    answers: list[str] = []
    fail = failing_after(stage, answers, RestartChild("a"), DeleteChild("a"))
    async with stage.serving(dynamic()):
        await add(stage, "a", start=[None, fail])
        for request, answer in (
            (RestartChild("a"), "ChildRunning"),
            (DeleteChild("a"), "ChildRunning"),
            (RestartChild("ghost"), "ChildNotFound"),
            (DeleteChild("ghost"), "ChildNotFound"),
        ):
            assert await answer_to(stage.top, request) == answer
        stage.crash("a")
        await retries_done()
        assert answers == ["ChildRestarting"] * 2
        assert stage.take() == ["+a", "-a", "!a", "+a"]


async def test_1_11_1_the_children_are_listed_and_counted() -> None:
    """Each child counts as one spec, by its own kind; it is listed with its id."""
    stage = Stage()
    answers: list[str] = []
    async with stage.serving(dynamic()) as app:
        fail = failing_after(stage, answers, CountChildren())
        for id in "ab":
            await add(stage, id)
        await add(stage, "r", start=[None, fail])
        below = SupervisorSpec("in", stage.children("xy"))
        await stage.top.ask(StartChild(below))
        infos = await stage.infos()
        assert [(info.id, info.ref, info.kind) for info in infos] == [
            *((id, app.find(id), "worker") for id in "abr"),
            ("in", app.find("in"), "supervisor"),
        ]
        assert await stage.top.ask(CountChildren()) == ChildCounts(4, 4, 1, 3)
        assert await stage.top.ask(GetChildSpec("in")) == below
        stage.crash("r")
        await retries_done()
        assert answers == [str(ChildCounts(4, 3, 1, 3))]


@pytest.mark.parametrize(
    ("restart", "reason"),
    [
        *(("transient", reason) for reason in (Normal(), Shutdown(), Shutdown("T"))),
        *(("temporary", reason) for reason in (Normal(), Shutdown(), Crashed(Boom()), Killed())),
    ],
    ids=str,
)
async def test_1_11_2_a_child_that_ended_for_good_is_removed(
    restart: str, reason: ExitReason
) -> None:
    """A dynamic child that is not to be restarted leaves nothing behind, and its id is free."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=0)) as app:
        await add(stage, "a", restart=restart)
        stage.end("a", reason)
        await settle()
        assert exits(stage) == ["a: remove it"]
        assert await stage.states() == {}
        assert await stage.top.ask(CountChildren()) == ChildCounts(0, 0, 0, 0)
        assert app.system.find("/top/a") is None
        assert await answer_to(stage.top, RestartChild("a")) == "ChildNotFound"
        assert await add(stage, "a") == app.find("a")

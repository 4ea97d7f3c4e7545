"""Elixir 1.15.2: what its DynamicSupervisor adds to OTP's simple_one_for_one."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from actors import Crashed, Ignore
from actors.testing import settle
from supervision import (
    ChildCounts,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DynamicSupervisorSpec,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import add, answer_to, dynamic, end_of, failing_after, retries_done
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_15_2_nobody_is_significant(restart: str) -> None:
    """A significant child is refused, and the supervisor is unharmed."""
    stage = Stage()
    async with stage.serve(dynamic()):
        with pytest.raises(SpecError, match="significant"):
            await add(stage, "s", restart=restart, significant=True)
        assert await stage.states() == {}
        assert await add(stage, "a") is not None


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_1_15_2_there_are_never_more_than_the_limit(limit: int) -> None:
    """With `max_children` one more is refused before its start, until one has left."""
    stage = Stage()
    async with stage.serve(dynamic(max_children=limit)):
        for number in range(limit):
            await add(stage, f"c{number}", restart="temporary")
        stage.take()
        full = StartChild(stage.child("n"))
        assert await answer_to(stage.top, full) == "TooManyChildren"
        assert stage.take() == []
        if limit:
            assert await answer_to(stage.top, StartChild(stage.child("c0"))) == "ChildExists"
            stage.end("c0")
            await settle()
            assert await answer_to(stage.top, full) == "/top/n"
            assert await answer_to(stage.top, StartChild(stage.child("m"))) == "TooManyChildren"


async def test_1_15_2_restarting_children_count() -> None:
    """A child between two attempts to start it takes up its place."""
    stage = Stage()
    answers: list[str] = []
    async with stage.serving(dynamic(max_children=2)):
        more = StartChild(stage.child("n"))
        fail = failing_after(stage, answers, more, TerminateChild("a"), more)
        await add(stage, "a", start=[None, fail])
        await add(stage, "b")
        stage.crash("a")
        await retries_done()
        assert answers == ["TooManyChildren", "None", "/top/n"]
        assert await stage.states() == {"b": "running", "n": "running"}


@pytest.mark.parametrize("how", ["failed", "ignored"])
async def test_1_15_2_what_did_not_start_takes_no_place(how: str) -> None:
    """A start that fails or is ignored leaves its place to the next."""
    stage = Stage()
    async with stage.serve(dynamic(max_children=1)):
        start = [Boom() if how == "failed" else Ignore()]
        answer = await answer_to(stage.top, StartChild(stage.child("a", start=start)))
        assert answer == ("ChildStartFailed" if how == "failed" else "None")
        assert await stage.states() == {}
        assert await add(stage, "b") is not None


async def test_1_15_2_each_child_has_a_spec_of_its_own() -> None:
    """Any spec will do for each child, a supervisor's too; each counts as one."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=1)) as app:
        await add(stage, "w", restart="transient", shutdown=1.5)
        await stage.top.ask(StartChild(SupervisorSpec("in", stage.children("xy"))))
        await stage.top.ask(StartChild(DynamicSupervisorSpec("dyn")))
        assert await stage.top.ask(CountChildren()) == ChildCounts(3, 3, 2, 1)
        stage.crash("w")
        await settle()
        stage.end("w")
        await settle()
        assert await stage.states() == {"in": "running", "dyn": "running"}
        assert app.find("in/y").is_alive


@pytest.mark.parametrize("fails", [0, 2])
async def test_1_15_2_a_child_that_ignores_its_restart_is_dropped(fails: int) -> None:
    """An ignored restart, the first or a retry, drops the child for good, its budget in order."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=fails + 1)):
        await add(stage, "a", start=[None, *(Boom() for _ in range(fails)), Ignore()])
        stage.crash("a")
        await anyio.sleep(60.0)
        assert await stage.states() == {}
        assert stage.take() == ["+a", "-a", *["!a"] * fails, "~a"]
        assert await add(stage, "a") is not None


class Broken(Worker):
    """Fail while it is made."""

    def __init__(self, error: BaseException) -> None:
        raise error


@pytest.mark.parametrize("where", ["factory", "start"])
@pytest.mark.parametrize("error", [Boom("n"), LookupError("n"), ExceptionGroup("n", [Boom()])])
async def test_1_15_2_errors_at_the_start_are_answers(error: Exception, where: str) -> None:
    """Whatever a start raises is the answer to who asked for it, and harms nobody."""
    stage = Stage()
    spec = stage.child("n", start=[error])
    if where == "factory":
        spec = ChildSpec("n", partial(Broken, error))
    async with stage.serve(dynamic(max_restarts=0)):
        await add(stage, "a")
        with pytest.raises(ChildStartFailed) as caught:
            await stage.top.ask(StartChild(spec))
        assert caught.value.reason == Crashed(error)
        assert await stage.states() == {"a": "running"}


async def test_1_15_2_giving_up_stops_all_at_once() -> None:
    """When its budget is spent, the others stop at once as well, and it exits with `Shutdown`."""
    stage = Stage()
    async with stage.dying(dynamic(max_restarts=0)) as app:
        for id in "abcd":
            await add(stage, id, stop=2.0)
        stage.stops["a"] = None
        began = anyio.current_time()
        stage.crash("a")
        await end_of(app)
        assert anyio.current_time() == pytest.approx(began + 2.0)
    assert not stage.exited.reason.is_abnormal

"""Elixir 1.15.2: what its DynamicSupervisor adds to OTP's simple_one_for_one."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from actors import Crashed, Ignore, Ref
from supervision import (
    BRUTAL_KILL,
    ChildCounts,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DynamicSupervisorSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from tests.semantics.kit import (
    Boom,
    Stage,
    Worker,
    answer_to,
    crash_times,
    end_of,
    failing_after,
    forever,
    retries_done,
    settle,
    starts,
)

pytestmark = pytest.mark.dead_letters


def dynamic(**options: Any) -> DynamicSupervisorSpec:
    """Make a dynamic supervisor."""
    return DynamicSupervisorSpec("top", **options)


async def add(stage: Stage, id: str, **options: Any) -> Ref[Any] | None:
    """Start one more child."""
    return await stage.top.ask(StartChild(stage.child(id, **options)), timeout=None)


@pytest.mark.parametrize("option", ["strategy", "auto_shutdown", "children"])
def test_1_15_2_it_has_one_strategy_and_no_auto_shutdown(option: str) -> None:
    """There is nothing to choose but the budget and the limit."""
    values = {"strategy": "one_for_one", "auto_shutdown": "never", "children": ()}
    with pytest.raises(TypeError, match=option):
        dynamic(**{option: values[option]})


async def test_1_15_2_each_child_is_restarted_alone() -> None:
    """Its strategy is one_for_one: the restart of one child moves no other."""
    stage = Stage()
    async with stage.serve(dynamic()):
        for id in "abc":
            await add(stage, id)
        await crash_times(stage, "b", 1)
        assert stage.take() == [*starts("abc"), "-b", "+b"]


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
            stage.end("c0")
            await settle()
            assert await answer_to(stage.top, full) == "/top/n"
            assert await answer_to(stage.top, StartChild(stage.child("m"))) == "TooManyChildren"


async def test_1_15_2_without_a_limit_there_may_be_any_number() -> None:
    """By default there is no limit."""
    stage = Stage()
    async with stage.serve(dynamic()):
        for number in range(200):
            assert await add(stage, f"c{number}") is not None


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


async def test_1_15_2_each_restart_has_the_arguments_of_the_first_start() -> None:
    """What a factory was given stands for each incarnation of its child."""
    stage = Stage()
    made: list[tuple[str, int]] = []

    class Numbered(Worker):
        def __init__(self, shared: str, number: int) -> None:
            super().__init__(stage, f"c{number}")
            made.append((shared, number))

    factory = partial(Numbered, "shared")  # in the place of Elixir's extra arguments
    async with stage.serve(dynamic()):
        for number in range(2):
            await stage.top.ask(StartChild(ChildSpec(f"c{number}", partial(factory, number))))
        await crash_times(stage, "c1", 2)
        assert made == [("shared", 0), *[("shared", 1)] * 3]


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


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_15_2_a_child_that_ignores_its_start_is_none(restart: str) -> None:
    """An ignored start is answered with None, and no child is kept."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=0)):
        assert await add(stage, "a", restart=restart, start=[Ignore()]) is None
        assert await stage.top.ask(CountChildren()) == ChildCounts(0, 0, 0, 0)
        assert await answer_to(stage.top, RestartChild("a")) == "ChildNotFound"


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


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_15_2_terminating_an_unknown_child_is_refused(restart: str) -> None:
    """`TerminateChild` knows only children that are there: not one that is gone, nor twice one."""
    stage = Stage()
    async with stage.serve(dynamic()):
        await add(stage, "a", restart=restart)
        answers = [await answer_to(stage.top, TerminateChild(id)) for id in ("a", "a", "ghost")]
        assert answers == ["None", "ChildNotFound", "ChildNotFound"]


async def test_1_15_2_a_restarting_child_can_be_terminated() -> None:
    """A child that is restarting is terminated by the id that it had, and not tried again."""
    stage = Stage()
    answers: list[str] = []
    async with stage.serving(dynamic(max_restarts=1)):
        await add(stage, "a", start=[None, failing_after(stage, answers, TerminateChild("a"))])
        stage.crash("a")
        await retries_done()
        assert answers == ["None"]
        assert stage.take() == ["+a", "-a", "!a"]
        assert await stage.states() == {}


async def test_1_15_2_a_spec_is_checked_before_the_supervisor_is_asked() -> None:
    """What is no good spec fails at its sender, while the supervisor is busy with others."""
    stage = Stage()
    nothing: Any = "db"
    async with stage.serve(dynamic()), stage.busy():
        began = anyio.current_time()
        with pytest.raises(SpecError):
            StartChild(nothing)
        with pytest.raises(SpecError):
            stage.child("n", shutdown=-1.0)
        assert anyio.current_time() == began


async def test_1_15_2_its_children_stop_at_once_each_in_its_own_time() -> None:
    """All are told to stop together, and each has its own shutdown value, then it is killed."""
    stage = Stage()
    times = {"a": 3.0, "b": 1.0, "c": 2.0}
    ended: dict[str, float] = {}
    async with stage.serve([DynamicSupervisorSpec("dyn")]) as app:
        dyn: Ref[Any] = app.find("dyn")
        for id, shutdown in times.items():
            await dyn.ask(StartChild(stage.child(id, stop=forever, shutdown=shutdown)))
        await dyn.ask(StartChild(stage.child("k", stop=forever, shutdown=BRUTAL_KILL)))
        await dyn.ask(StartChild(stage.child("q", stop=0.5, shutdown=9.0)))
        began = anyio.current_time()

        async def time(id: str, ref: Ref[Any]) -> None:
            await ref.wait()
            ended[id] = round(anyio.current_time() - began, 3)

        async with anyio.create_task_group() as tasks:
            for id in "abckq":
                tasks.start_soon(time, id, stage.refs[id])
            await settle()
            await stage.top.ask(TerminateChild("dyn"), timeout=None)
        assert ended == {**times, "k": 0.0, "q": 0.5}
        assert "k" not in dict(stage.reasons)  # killed, not asked
        assert anyio.current_time() == pytest.approx(began + 3.0)


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

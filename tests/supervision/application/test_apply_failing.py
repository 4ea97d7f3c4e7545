"""Tests of `Application.apply` when it fails, is cancelled, or meets any tree at all."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Ignore, Name, ProcExited
from actors.testing import settle
from supervision import (
    Application,
    ChildSpec,
    ChildStartFailed,
    RestartChild,
    Strategy,
    SupervisorSpec,
)
from supervision.application import ApplyReport
from tests.kit.applications import Other, Spec, apply, life, other, top
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Worker

# What crashes a worker, or was in the hand of a supervisor that was killed, is a dead letter.
pytestmark = pytest.mark.dead_letters


# -- failures ------------------------------------------------------------------------------------


async def test_a_start_that_fails_leaves_the_rest_as_it_is() -> None:
    """Under one_for_one the others are started; the report has the error, a next call retries."""
    stage = Stage()
    a, b = stage.child("a"), stage.child("b", start=[None, Boom("b"), None])
    c, d = stage.child("c", start=[Boom("c")]), stage.child("d")
    new = top(other(a), other(b), c, d)
    async with stage.serve(top(a, b)) as app:
        stage.take()
        report = await app.apply(new)
        assert stage.take() == ["-b", "-a", "+a", "!b", "!c", "+d"]
        assert not report.went_well
        assert [(step.path, type(error)) for step, error in report.failed] == [
            ("/top/b", ChildStartFailed),
            ("/top/c", ChildStartFailed),
        ]
        assert [step.path for step in report.done] == ["/top/b", "/top/a", "/top/a", "/top/d"]
        assert str(report).splitlines() == [
            "/top changed in part: of 6 steps, 2 failed and 0 were left out",
            "done: stop /top/b: its start changed",
            "done: stop /top/a: its start changed",
            "done: start /top/a: its start changed",
            "failed: start /top/b: its start changed"
            " (ChildStartFailed: b failed to start: Boom: b)",
            "failed: start /top/c: new (ChildStartFailed: c failed to start: Boom: c)",
            "done: start /top/d: new",
        ]
        assert await stage.states() == {"a": "running", "b": "terminated", "d": "running"}
        assert await apply(stage, new) == ["start /top/b: was not started yet", "start /top/c: new"]
        assert list(await stage.states()) == ["a", "b", "c", "d"]
        assert await apply(stage, new) == []


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_those_who_need_it_are_left_out(strategy: str) -> None:
    """Under the other strategies later starts are left out after one that failed."""
    stage = Stage()
    a, b = stage.child("a", start=[None, Boom("a")]), stage.child("b")
    inner = SupervisorSpec("in", stage.children("c"))
    grown = SupervisorSpec("in", stage.children("cd"))
    new = top(other(a), other(b), grown, strategy=strategy)
    async with stage.serve(top(a, b, inner, strategy=strategy)) as app:
        stage.take()
        report = await app.apply(new)
        assert stage.take() == ["-b", "-a", "!a", "+in/d"]
        assert [step.path for step in report.left_out] == ["/top/b"]
        assert "left out: start /top/b: its start changed" in str(report)
        assert [str(step) for step in (await app.apply(new)).done] == [
            "start /top/a: was not started yet",
            "start /top/b: was not started yet",
        ]
        assert stage.take() == ["+a", "+b"]


async def test_a_taken_name_is_a_failure_of_that_start() -> None:
    """A child whose name is taken is not started, which the report says."""
    stage = Stage()
    name = Name[Any]("taken")
    a, b = stage.children("ab")
    async with stage.serve(top(evolve(a, name=name))) as app:
        report = await app.apply(top(evolve(a, name=name), evolve(b, name=name)))
        ((_, error),) = report.failed
        assert "taken" in str(error)
        assert list(await stage.states()) == ["a"]


async def test_an_ignored_start_is_a_step_that_is_done() -> None:
    """A child that is not needed now is not started, and not tried again."""
    stage = Stage()
    a = stage.child("a", start=[Ignore()])
    async with stage.serve(top()):
        assert await apply(stage, top(a)) == ["start /top/a: new"]
        assert await stage.states() == {"a": "terminated"}
        assert await apply(stage, top(a)) == []


async def test_a_supervisor_that_ends_meanwhile_fails_its_steps() -> None:
    """Steps for a supervisor that is no more fail with ProcExited; the others are done."""
    stage = Stage()
    a, b = stage.child("a", stop=1.0), stage.child("b")
    inner = SupervisorSpec("in", [a], restart="temporary")
    grown = SupervisorSpec("in", [other(a)], restart="temporary")
    reports: list[ApplyReport] = []

    async def apply_it() -> None:
        reports.append(await stage.app.apply(top(grown, b)))

    stage.losable += (object,)
    async with stage.serving(top(inner)) as app:
        stage.tasks.start_soon(apply_it)
        await anyio.sleep(0.5)
        app.find("in").kill()
        await settle()
        (report,) = reports
        assert [(step.path, type(error)) for step, error in report.failed] == [
            ("/top/in/a", ProcExited)
        ]
        assert [step.path for step in report.left_out] == ["/top/in/a"]
        assert [step.path for step in report.done] == ["/top/b"]


async def test_a_supervisor_that_restarts_meanwhile_brings_the_new_tree() -> None:
    """A supervisor that crashes in the middle of a change comes back from the new spec."""
    stage = Stage()
    a, b, c = stage.child("a", stop=1.0), stage.child("b"), stage.child("c")
    reports: list[ApplyReport] = []

    async def apply_it() -> None:
        reports.append(await stage.app.apply(top(SupervisorSpec("in", [other(a), c]))))

    stage.losable += (object,)
    async with stage.serving(top(SupervisorSpec("in", [a, b]))) as app:
        stage.take()
        stage.tasks.start_soon(apply_it)
        await anyio.sleep(0.5)
        app.find("in").kill()
        await settle()
        assert stage.take()[-3:] == ["+in/a", "+in/c", "+in"]
        assert [info.id for info in await stage.infos(app.find("in"))] == ["a", "c"]
        assert await apply(stage, top(SupervisorSpec("in", [other(a), c]))) == []
    assert len(reports) == 1


async def test_the_root_has_ended() -> None:
    """A tree that has ended cannot be changed: ProcExited."""
    stage = Stage()
    a = stage.child("a")
    async with stage.serve(top(a)) as app:
        await app.stop()
        with pytest.raises(ProcExited):
            await app.apply(top(a))


# -- one after the other, and cancelled ----------------------------------------------------------


async def test_changes_at_the_same_time_are_served_one_after_the_other() -> None:
    """A second call begins when the first has ended, and sees what that made."""
    stage = Stage()
    a, b, c = stage.child("a", stop=1.0), stage.child("b"), stage.child("c")
    async with stage.serving(top(a)) as app:
        stage.take()
        stage.tasks.start_soon(partial(app.apply, top(other(a), b)))
        await settle()
        stage.tasks.start_soon(partial(app.apply, top(other(a), c)))
        await anyio.sleep(0.5)
        assert (await app.apply(top(other(a), c), dry_run=True)).steps == ()
        assert stage.take() == ["-a", "+a", "+b", "-b", "+c"]


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 2.5, 3.5])
async def test_a_cancelled_change_is_finished_by_the_next(when: float) -> None:
    """Cancelled at any of its steps, a change leaves nothing that the next call cannot finish."""
    stage = Stage()
    a, b = stage.child("a", start=[None, 1.0], stop=1.0), stage.child("b", stop=1.0)
    c = stage.child("c", start=[1.0])
    new = top(c, other(a), strategy="rest_for_one")
    async with stage.serving(top(a, b)) as app:
        with anyio.move_on_after(when) as scope:
            if when == 0.0:
                scope.cancel()
            await app.apply(new)
        assert scope.cancelled_caught
        await apply(stage, new)
        assert await stage.states() == {"c": "running", "a": "running"}
        assert await life(stage, "a") == 2
        assert await apply(stage, new) == []


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("how", ["cancel", "stop", "kill"])
async def test_a_tree_that_ends_in_the_middle_of_a_change(when: float, how: str) -> None:
    """A tree that is left, stopped or killed while it changes is gone, and nobody waits on."""
    stage = Stage()
    stage.losable += (object,)
    a, b = stage.child("a", start=[None, 1.0], stop=1.0), stage.child("b", stop=1.0)
    new = top(stage.child("c", start=[1.0]), other(a))

    async def change(app: Application) -> None:
        try:
            while True:
                await app.apply(new)
        except ProcExited:
            pass

    serving = stage.dying if how == "kill" else stage.serve
    async with anyio.create_task_group() as tasks, serving(top(a, b)) as app:
        tasks.start_soon(change, app)
        if when:
            await anyio.sleep(when)
        if how == "stop":
            assert (await app.stop()).went_well
        elif how == "kill":
            app.supervisor.kill()
            await anyio.sleep_forever()


# -- random trees --------------------------------------------------------------------------------


class Third(Worker):
    """Be a worker of a third class."""


@st.composite
def shapes(draw: st.DrawFn, depth: int = 2) -> tuple[Any, ...]:
    """Draw the shape of a supervisor: strategy, and its children's ids and versions."""
    children: list[tuple[str, Any]] = []
    for id in draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=4)):
        nested = depth and draw(st.integers(0, 3)) == 0
        version = st.sampled_from([Worker, Worker, Other, Third])
        children.append((id, draw(shapes(depth - 1) if nested else version)))
    return draw(st.sampled_from(list(Strategy))), children


def grown(stage: Stage, shape: tuple[Any, ...], id: str = "top", at: str = "") -> SupervisorSpec:
    """Make the spec of a shape; each worker is known by its path."""
    strategy, children = shape
    specs = [
        grown(stage, what, child, f"{at}{child}/")
        if isinstance(what, tuple)
        else ChildSpec(child, partial(what, stage, f"{at}{child}"))
        for child, what in children
    ]
    return SupervisorSpec(id, specs, strategy=strategy)


def order(spec: Spec, path: str) -> list[str]:
    """List a subtree in the order of readiness."""
    below = spec.children if isinstance(spec, SupervisorSpec) else ()
    return [*(line for child in below for line in order(child, f"{path}/{child.id}")), path]


@settings(max_examples=60)
@given(shapes(), shapes(), shapes())
async def test_a_running_tree_becomes_any_other(
    one: tuple[Any, ...], two: tuple[Any, ...], three: tuple[Any, ...]
) -> None:
    """Whatever the trees, what differs moves in order, nobody else does, and the order is new."""
    stage = Stage()
    specs = [grown(stage, shape) for shape in (one, two, three)]
    async with stage.serve(specs[0]) as app:
        for old, new in pairwise(specs):
            stage.take()
            report = await app.apply(new)
            assert report.went_well
            expected: list[str] = []
            for step in report.steps:
                path = step.path.removeprefix("/top/")
                kind = type(step).__name__
                if kind == "StopStep":
                    expected += [f"-{line}" for line in _death(_at(old, path), path)]
                elif kind == "StartStep":
                    expected += [f"+{line}" for line in order(_at(new, path), path)]
            assert stage.take() == expected
            assert (await app.apply(new)).steps == ()
        stage.take()
    death = _death(specs[-1], "top")[:-1]
    assert stage.take() == [f"-{line.removeprefix('top/')}" for line in death]


def _death(spec: Spec, path: str) -> list[str]:
    """List a subtree in the order in which it is stopped."""
    below = spec.children if isinstance(spec, SupervisorSpec) else ()
    lines = [line for child in reversed(below) for line in _death(child, f"{path}/{child.id}")]
    return [*lines, path]


def _at(spec: Spec, path: str) -> Spec:
    for id in path.split("/"):
        assert isinstance(spec, SupervisorSpec)
        (spec,) = (child for child in spec.children if child.id == id)
    return spec


async def test_restart_child_after_a_failed_change() -> None:
    """A child whose new start failed can be revived by request as well."""
    stage = Stage()
    a = stage.child("a", start=[None, Boom("a"), None])
    async with stage.serve(top(a)) as app:
        assert not (await app.apply(top(other(a)))).went_well
        await app.supervisor.ask(RestartChild("a"))
        assert await apply(stage, top(other(a))) == []

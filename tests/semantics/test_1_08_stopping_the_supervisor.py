"""OTP 1.8: what makes a supervisor stop, and in which order its children go."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from actors import ActorSystem, Crashed, Down, ExitReason, Killed, Name, Normal, Shutdown
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    Backoff,
    CountChildren,
    DynamicSupervisorSpec,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    STRATEGIES,
    add,
    answer_to,
    clinging,
    ends,
    exits,
    slow_stops,
    starts,
    stopped,
    supervisor,
)
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters

REASONS: list[ExitReason] = [Normal(), Shutdown(), Shutdown("T"), Crashed(Boom("parent"))]


class Parent(Worker):
    """Own a supervisor, without being one."""

    async def on_start(self) -> None:
        """Start the supervisor."""
        await super().on_start()
        spec = SupervisorSpec("in", self.stage.children("ab"), max_restarts=0)
        await self.context.spawn(partial(Supervisor, spec), id="in")


@pytest.mark.parametrize("reason", [*REASONS, Killed()], ids=str)
async def test_1_8_1_the_end_of_its_parent_ends_a_supervisor(reason: ExitReason) -> None:
    """A supervisor ends with its parent, for whatever reason that ends, and is gone before it."""
    stage = Stage()
    async with ActorSystem() as system:
        system.events.subscribe(stage.hear)
        parent = await system.spawn(partial(Parent, stage, "parent"), id="top")
        supervisor = system.find("/top/in")
        assert supervisor is not None
        downs: list[Down] = []
        for ref in (supervisor, parent):
            system.monitor(ref, downs.append)
        assert stage.take() == ["+in/a", "+in/b", "+in"]
        stage.end("parent", reason)
        assert await parent.wait() == reason
        trace = stage.take()
    own = Killed() if reason == Killed() else Shutdown()
    assert downs == [Down(supervisor, own), Down(parent, reason)]
    if reason == Killed():
        assert (sorted(trace[:2]), trace[2:]) == (["-in/a", "-in/b"], ["-in"])
    else:
        assert trace == ["-in/b", "-in/a", "-in"]
        assert stage.reasons[-3:-1] == [("b", Shutdown()), ("a", Shutdown())]
    stage.check_gone()


@pytest.mark.parametrize(("how", "reason"), [("shutdown", Shutdown()), ("stop", Normal())])
async def test_1_8_1_a_supervisor_can_be_told_to_stop(how: str, reason: ExitReason) -> None:
    """A supervisor that is told to stop ends with the reason of that, its children before it."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("ab"), restart="temporary")
    async with stage.serve([inner]) as app:
        stage.take()
        ref = app.find("in")
        if how == "shutdown":
            await ref.shutdown(None)
        else:
            ref.stop()
        assert await ref.wait() == reason
        assert stage.take() == ["-in/b", "-in/a", "-in"]
    assert stage.reasons == [("b", Shutdown()), ("a", Shutdown())]


@pytest.mark.parametrize("how", ["detail", "give up", "stop", "shutdown"])
async def test_1_8_2_children_are_asked_with_a_plain_shutdown(how: str) -> None:
    """Whatever the supervisor's own reason, its children are asked with `Shutdown()`."""
    stage = Stage()
    significant = stage.child("s", restart="transient", significant=True)
    inner = SupervisorSpec(
        "in",
        [stage.child("x"), significant, stage.child("y")],
        auto_shutdown="any_significant",
        max_restarts=0,
        restart="temporary",
    )
    async with stage.serve([inner]) as app:
        match how:
            case "detail":
                stage.end("s", Shutdown("detail"))
            case "give up":
                stage.crash("s")
            case "stop":
                app.find("in").stop()
            case _:
                await app.find("in").shutdown(None)
        await settle()
    others = [(id, reason) for id, reason in stage.reasons if id != "s"]
    assert others == [("y", Shutdown()), ("x", Shutdown())]


async def test_1_8_3_a_nested_supervisor_is_one_child() -> None:
    """A whole subtree is gone before the sibling before it is asked."""
    stage = Stage()
    deep = SupervisorSpec("deep", stage.children("pq"))
    inner = SupervisorSpec("in", [stage.child("x"), deep, stage.child("y")])
    async with stage.serve([stage.child("a"), inner, stage.child("b")]):
        slow_stops(stage, "abpqxy", 1.0, [])
        stage.take()
    subtree = ["-in/y", "-in/deep/q", "-in/deep/p", "-in/deep", "-in/x", "-in"]
    assert stage.take() == ["-b", *subtree, "-a"]
    assert [id for id, _ in stage.reasons] == list("byqpxa")


async def test_1_8_4_each_dynamic_child_has_its_own_shutdown_value() -> None:
    """Those that are late are killed each at its own time, and all deaths are awaited."""
    stage = Stage()
    values: dict[str, tuple[Any, Any]] = {
        "a": (2.0, 50.0),
        "b": (4.0, 50.0),
        "c": (BRUTAL_KILL, 50.0),
        "d": (INFINITY, 6.0),
        "e": (5.0, Boom("e")),
    }
    async with stage.serve(DynamicSupervisorSpec("top")):
        for id, (shutdown, stop) in values.items():
            await stage.top.ask(StartChild(stage.child(id, shutdown=shutdown, stop=stop)))
        stage.take()
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(6.0)
    assert stage.take()[-3:] == ends("abd")
    assert stopped(stage) == {
        "a": ("killed", False),
        "b": ("killed", False),
        "c": ("killed", True),
        "d": ("shutdown", True),
        "e": ("crashed: Boom: e", False),
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_8_5_exits_before_the_stop_are_handled_first(strategy: str) -> None:
    """A child that died before the stop came is restarted, and then stopped with the rest."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy):
        async with stage.busy():
            stage.crash("b")
            await settle()
            stage.take()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.top.shutdown, None)
        moved = {
            "one_for_one": ["+b"],
            "one_for_all": [*ends("ca"), *starts("abc")],
            "rest_for_one": ["-c", *starts("bc")],
        }
        assert stage.take() == [*moved[strategy], *ends("cba")]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_8_5_exits_after_the_stop_are_only_taken_in(strategy: str) -> None:
    """A child that dies after the stop came, but before it was obeyed, is not restarted."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=0):
        async with stage.busy(), anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            stage.crash("b")
            await settle()
            stage.take()
        assert stage.take() == ends("ca")
    assert exits(stage) == []
    assert stopped(stage)["b"] == ("crashed: Boom: b", False)


@pytest.mark.parametrize("strategy", [*STRATEGIES, "dynamic"])
async def test_1_8_5_no_restart_happens_while_it_stops(strategy: str) -> None:
    """Whoever dies while the supervisor is stopping the others does not come back."""
    stage = Stage()
    slow = Backoff(1.0, 1.0, jitter=False)
    async with stage.serve(supervisor(strategy)):
        for id in "abrz":
            await add(stage, id, backoff=slow if id == "r" else None)
        stage.stops["z"] = 5.0
        stage.crash("r")
        await anyio.sleep(0.5)
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            stage.crash("a")
            stage.refs["b"].kill()
    assert sorted(stage.take()) == ends("abz")


async def test_1_8_5_requests_behind_the_stop_are_not_carried_out() -> None:
    """Requests that a supervisor has not begun with when it stops fail, and do nothing."""
    stage = Stage()
    answers: list[str] = []

    async def ask(request: Any) -> None:
        answers.append(await answer_to(stage.top, request))

    async with stage.serve([stage.child("a", stop=1.0)]):
        stage.losable += (StartChild, TerminateChild, CountChildren, WhichChildren)
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            for request in (StartChild(stage.child("n")), TerminateChild("a"), CountChildren()):
                tasks.start_soon(ask, request)
    assert answers == ["ProcExited"] * 3
    assert stage.take() == ["-a"]


async def test_1_8_6_a_killed_supervisor_takes_its_children_along() -> None:
    """A killed supervisor runs no clean-up: its children are killed too, without being asked."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy", stop=50.0), restart="temporary")
    async with stage.serve([stage.child("a"), inner]) as app:
        stage.take()
        began = anyio.current_time()
        ref = app.find("in")
        ref.kill()
        assert await ref.wait() == Killed()
        assert anyio.current_time() == began
        trace = stage.take()
        assert (sorted(trace[:2]), trace[2:]) == (["-in/x", "-in/y"], ["-in"])
    assert stage.reasons == [("a", Shutdown())]


async def test_1_8_6_the_replacement_waits_for_the_last_of_the_old_subtree() -> None:
    """The parent starts the replacement when all of the old subtree is gone, and its names free."""
    stage = Stage()
    name = Name[Any]("only one")
    inner = SupervisorSpec("in", [stage.child("x", name=name), stage.child("y")])
    async with stage.serve([inner]) as app:
        stage.act("x", clinging(3.0))
        await settle()
        stage.take()
        app.find("in").kill()
        await anyio.sleep(2.0)
        assert stage.take() == ["-in/y"]
        await anyio.sleep(2.0)
        assert stage.take() == ["-in/x", "-in", "+in/x", "+in/y", "+in"]
        assert app.system.whereis(name) == stage.refs["x"]

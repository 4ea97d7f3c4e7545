"""OTP 1.10: what a supervisor can be asked to do with its children, and what it answers."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Crashed, Ignore, Killed, Name, NameTaken, ProcExited, Ref, Request
from actors.errors import AskTimeout
from actors.testing import settle
from supervision import (
    ChildCounts,
    ChildExists,
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChild,
    GetChildSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import SupervisorGaveUp
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    ROUNDS,
    STRATEGIES,
    answer_to,
    clinging,
    ends,
    failing_after,
    retries_done,
    slow_stops,
    starts,
)
from tests.kit.workers import forever

pytestmark = pytest.mark.dead_letters


async def refusal(stage: Stage, request: Request[Any]) -> Any:
    """Return the error that is the answer to a request."""
    asked: Any = request
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        await stage.top.ask(asked)
    return caught.value


# -- StartChild ------------------------------------------------------------------------------------


async def test_1_10_0_start_child_answers_with_the_child() -> None:
    """`StartChild` starts one more child, last in the order, and answers when it is ready."""
    stage = Stage()
    async with stage.serve(stage.children("ab")) as app:
        began = anyio.current_time()
        ref = await stage.top.ask(StartChild(stage.child("n", start=[2.0])), timeout=None)
        assert ref == app.find("n")
        assert anyio.current_time() == pytest.approx(began + 2.0)
        assert stage.take() == starts("abn")
    assert stage.take() == ends("nba")


@pytest.mark.parametrize("why", ["running", "terminated", "ignored", "ended", "restarting"])
async def test_1_10_0_start_child_of_an_id_that_is_known(why: str) -> None:
    """A second child with the id of another is refused; that is named when it runs."""
    stage = Stage()
    errors: list[Any] = []

    async def fail(worker: object) -> None:
        async def ask() -> None:
            errors.append(await refusal(stage, StartChild(stage.child("a"))))

        stage.tasks.start_soon(ask)
        await anyio.sleep(0.1)
        raise Boom

    start: list[Any] = [Ignore()] if why == "ignored" else [None, fail]
    async with stage.serving([stage.child("a", start=start, restart="transient")]) as app:
        match why:
            case "terminated":
                await stage.top.ask(TerminateChild("a"))
            case "ended":
                stage.end("a")
            case "restarting":
                stage.crash("a")
            case _:
                pass
        await retries_done()
        if why != "restarting":
            errors.append(await refusal(stage, StartChild(stage.child("a"))))
        ref = app.find("a") if why == "running" else None
        told = [(type(error), error.id, error.ref) for error in errors]
        assert told == [(ChildExists, "a", ref)]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_10_0_start_child_that_fails_keeps_no_spec(restart: str) -> None:
    """A child that does not start is answered with the reason, and its spec is not kept."""
    stage = Stage()
    boom = Boom("n")
    async with stage.serve(stage.children("a"), max_restarts=0):
        error = await refusal(stage, StartChild(stage.child("n", start=[boom], restart=restart)))
        assert (type(error), error.id, error.reason) == (ChildStartFailed, "n", Crashed(boom))
        await anyio.sleep(60.0)
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a", "!n"]
        assert await answer_to(stage.top, StartChild(stage.child("n"))) == "/top/n"


async def test_1_10_0_start_child_whose_name_is_taken() -> None:
    """A child whose name another proc has is not started, and the reason is `NameTaken`."""
    stage = Stage()
    name = Name[Any]("desk")
    async with stage.serve([stage.child("a", name=name)]):
        error = await refusal(stage, StartChild(stage.child("n", name=name)))
        assert isinstance(error, ChildStartFailed)
        assert isinstance(error.reason, Crashed)
        assert isinstance(error.reason.error, NameTaken)
        assert await stage.states() == {"a": "running"}


# -- TerminateChild, RestartChild, DeleteChild -----------------------------------------------------


async def test_1_10_0_terminate_child_waits_for_the_death() -> None:
    """`TerminateChild` answers when the child is dead, and keeps its spec as it was."""
    stage = Stage()
    tree = stage.children("abc", shutdown=2.0)
    async with stage.serve(tree):
        stage.take()
        stage.act("b", clinging(5.0))
        await settle()
        began = anyio.current_time()
        await stage.top.ask(TerminateChild("b"), timeout=None)
        assert anyio.current_time() == pytest.approx(began + 5.0)
        assert stage.take() == ["-b"]
        assert await stage.states() == {"a": "running", "b": "terminated", "c": "running"}
        assert await stage.top.ask(GetChildSpec("b")) == tree[1]


@pytest.mark.parametrize("how", ["terminated", "ignored", "ended"])
async def test_1_10_0_terminate_child_of_one_that_does_not_run(how: str) -> None:
    """`TerminateChild` of a child that does not run is answered with None, however often."""
    stage = Stage()
    start: list[Any] = [Ignore()] if how == "ignored" else []
    async with stage.serve([stage.child("a", restart="transient", start=start)]):
        if how == "ended":
            stage.end("a")
            await settle()
        for _ in range(3):
            assert await answer_to(stage.top, TerminateChild("a")) == "None"
        assert await stage.states() == {"a": "terminated"}


async def test_1_10_0_terminate_child_drops_a_temporary_one() -> None:
    """A temporary child that is terminated is gone with its spec."""
    stage = Stage()
    async with stage.serve([stage.child("t", restart="temporary"), stage.child("a")]):
        assert await answer_to(stage.top, TerminateChild("t")) == "None"
        assert await stage.states() == {"a": "running"}
        for request in (TerminateChild("t"), RestartChild("t"), DeleteChild("t")):
            assert await answer_to(stage.top, request) == "ChildNotFound"


@pytest.mark.parametrize(
    "request_type", [TerminateChild, RestartChild, DeleteChild, GetChild, GetChildSpec]
)
async def test_1_10_0_an_unknown_id_is_refused(request_type: Any) -> None:
    """A request about a child that is not there is refused; a ref is no id."""
    stage = Stage()
    async with stage.serve(stage.children("a")) as app:
        for unknown in ("ghost", app.find("a"), "/top/a"):
            error = await refusal(stage, request_type(unknown))
            assert (type(error), error.id) == (ChildNotFound, unknown)
        assert stage.take() == ["+a"]


async def test_1_10_0_restart_child_starts_one_that_does_not_run() -> None:
    """`RestartChild` answers with the child when it is ready, or with None when it ignored."""
    stage = Stage()
    tree = [stage.child("a", start=[Ignore(), Ignore(), None]), stage.child("b")]
    async with stage.serve(tree) as app:
        assert await stage.top.ask(RestartChild("a")) is None
        assert await stage.top.ask(RestartChild("a")) == app.find("a")
        await stage.top.ask(TerminateChild("b"))
        assert await stage.top.ask(RestartChild("b")) == app.find("b")
        assert stage.take() == ["~a", "+b", "~a", "+a", "-b", "+b"]
        assert [info.restarts for info in await stage.infos()] == [0, 0]


async def test_1_10_0_restart_child_that_fails_is_not_tried_again() -> None:
    """A failed `RestartChild` is answered with the reason, not retried, and not counted."""
    stage = Stage()
    boom = Boom("again")
    async with stage.serve(stage.children("ab"), max_restarts=1, strategy="one_for_all"):
        await stage.top.ask(TerminateChild("a"))
        stage.take()
        for _ in range(3):
            stage.starts["a"].append(boom)
            error = await refusal(stage, RestartChild("a"))
            assert (type(error), error.id, error.reason) == (ChildStartFailed, "a", Crashed(boom))
        await anyio.sleep(60.0)
        assert await stage.states() == {"a": "terminated", "b": "running"}
        assert stage.take() == ["!a"] * 3
        for step in [boom, boom, Ignore()]:  # within the window of the crash
            stage.starts["a"].append(step)
            await answer_to(stage.top, RestartChild("a"))
        stage.crash("b")  # the first restart that counts
        await settle()
        assert await stage.states() == {"a": "running", "b": "running"}
    assert stage.told(SupervisorGaveUp) == []


@pytest.mark.parametrize("how", ["terminated", "ignored", "ended"])
async def test_1_10_0_delete_child_forgets_the_spec(how: str) -> None:
    """A child that does not run can be deleted, once; it takes part in nothing any more."""
    stage = Stage()
    start: list[Any] = [Ignore()] if how == "ignored" else []
    tree = [stage.child("d", restart="transient", start=start), stage.child("a")]
    async with stage.serve(tree, strategy="one_for_all"):
        if how == "terminated":
            await stage.top.ask(TerminateChild("d"))
        elif how == "ended":
            stage.end("d")
            await settle()
        assert await answer_to(stage.top, DeleteChild("d")) == "None"
        assert await answer_to(stage.top, DeleteChild("d")) == "ChildNotFound"
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "+a"]
        assert await stage.states() == {"a": "running"}


# -- looking ---------------------------------------------------------------------------------------


async def test_1_10_0_the_children_are_listed() -> None:
    """`WhichChildren` lists each child with its ref, state and kind, in start order."""
    stage = Stage()
    tree: list[ChildSpec[Any]] = [
        stage.child("a"),
        SupervisorSpec("in", stage.children("x")),
        stage.child("i", start=[Ignore()]),
        DynamicSupervisorSpec("dyn"),
    ]
    async with stage.serve(tree) as app:
        await stage.top.ask(TerminateChild("in"))
        infos = await stage.infos()
        assert [(info.id, str(info.state), info.kind) for info in infos] == [
            ("a", "running", "worker"),
            ("in", "terminated", "supervisor"),
            ("i", "terminated", "worker"),
            ("dyn", "running", "supervisor"),
        ]
        assert [info.ref for info in infos] == [app.find(info.id) for info in infos]
        for info, spec in zip(infos, tree, strict=True):
            assert await stage.top.ask(GetChild(info.id)) == info.ref
            assert await stage.top.ask(GetChildSpec(info.id)) == spec


async def test_1_10_0_the_children_are_counted() -> None:
    """`CountChildren` counts all specs, what is alive, and each kind, dead or alive."""
    stage = Stage()
    answers: list[str] = []
    fail = failing_after(stage, answers, CountChildren())
    tree: list[ChildSpec[Any]] = [
        *stage.children("abc"),
        stage.child("r", start=[None, fail]),
        SupervisorSpec("in", stage.children("xyz")),
        SupervisorSpec("out"),
    ]
    async with stage.serving(tree):
        assert await stage.top.ask(CountChildren()) == ChildCounts(6, 6, 2, 4)
        for id in ("a", "out"):
            await stage.top.ask(TerminateChild(id))
        assert await stage.top.ask(CountChildren()) == ChildCounts(6, 4, 2, 4)
        stage.crash("r")
        await retries_done()
        assert answers == [str(ChildCounts(6, 3, 2, 4))]


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_1_10_0_one_that_died_before_the_count_is_not_active(restart: str) -> None:
    """A count never takes a dead child for a live one: exits are handled before it."""
    stage = Stage()
    counts: list[ChildCounts] = []

    async def count() -> None:
        counts.append(await stage.top.ask(CountChildren(), timeout=None))

    tree = [stage.child("a"), stage.child("b", restart=restart, start=[None, Ignore()])]
    async with stage.serving(tree):
        async with stage.busy():
            stage.tasks.start_soon(count)
            await settle()
            stage.refs["b"].kill()
            await settle()
            assert counts == []
        specs = 2 if restart == "permanent" else 1
        assert counts == [ChildCounts(specs, 1, 0, specs)]


# -- how requests are served -----------------------------------------------------------------------


async def test_1_10_1_a_supervisor_that_is_gone_fails_its_askers() -> None:
    """A request to a supervisor that is not there fails at once, with the reason of its end."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("x"))
    async with stage.serve([inner]) as app:
        ref = app.find("in")
        stage.losable += (CountChildren, StartChild)
        await stage.top.ask(TerminateChild("in"))
        expected = await ref.wait()
        for request in (CountChildren(), StartChild(stage.child("n"))):
            began = anyio.current_time()
            with pytest.raises(ProcExited) as caught:
                await ref.ask(request, timeout=None)
            assert caught.value.reason == expected
            assert anyio.current_time() == began


@pytest.mark.parametrize("how", ["kill", "give up"])
async def test_1_10_1_a_supervisor_that_dies_meanwhile_gives_its_reason(how: str) -> None:
    """A request to a supervisor that ends before it answers fails with the reason of its end."""
    stage = Stage()
    reasons: list[Any] = []
    inner = SupervisorSpec("in", stage.children("x"), max_restarts=0, restart="temporary")

    async def ask(ref: Ref[Any], request: Request[Any]) -> None:
        with pytest.raises(ProcExited) as caught:
            await ref.ask(request, timeout=None)
        reasons.append(caught.value.reason)

    async with stage.serving([inner]) as app:
        stage.losable += (CountChildren, StartChild)
        ref = app.find("in")
        slow = StartChild(stage.child("n", start=[forever if how == "kill" else 1.0]))
        asking = ask if how == "kill" else answer_to
        stage.tasks.start_soon(asking, ref, slow)
        await settle()
        stage.tasks.start_soon(ask, ref, CountChildren())
        await settle()
        if how == "kill":
            ref.kill()
        else:
            stage.crash("x")
        reason = await ref.wait()
        await settle()
        assert reasons == [reason] * (2 if how == "kill" else 1)
        assert (reason == Killed()) is (how == "kill")


async def test_1_10_2_requests_are_served_in_their_order() -> None:
    """Requests are served one after the other; a long stop of one child delays all behind it."""
    stage = Stage()
    diary: list[str] = []

    async def ask(request: Request[Any]) -> None:
        answer = await answer_to(stage.top, request)
        diary.append(f"{type(request).__name__}: {answer} at {anyio.current_time() - began:g}")

    async with stage.serving(stage.children("ab", shutdown=50.0)):
        slow_stops(stage, "a", 30.0, [])
        began = anyio.current_time()
        for request in (
            TerminateChild("a"),
            RestartChild("a"),
            DeleteChild("a"),
            StartChild(stage.child("n")),
        ):
            stage.tasks.start_soon(ask, request)
            await settle()
        await anyio.sleep(31.0)
        stage.stops["a"] = None
        assert stage.take() == [*starts("ab"), "-a", *starts("an")]
    assert sorted(diary) == [
        "DeleteChild: ChildRunning at 30",
        "RestartChild: /top/a at 30",
        "StartChild: /top/n at 30",
        "TerminateChild: None at 30",
    ]


async def test_1_10_2_an_asker_that_gave_up_changes_nothing() -> None:
    """What was asked for is done, also when the asker does not wait any more."""
    stage = Stage()
    async with stage.serve([stage.child("a", stop=10.0, shutdown=20.0)]):
        with pytest.raises(AskTimeout):
            await stage.top.ask(TerminateChild("a"), timeout=5.0)
        await anyio.sleep(10.0)
        assert await stage.states() == {"a": "terminated"}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_10_3_a_child_that_is_added_again_is_the_last(strategy: str) -> None:
    """A child that was deleted and added again stands at the end of the order."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy):
        await stage.top.ask(TerminateChild("a"))
        await stage.top.ask(DeleteChild("a"))
        await stage.top.ask(StartChild(stage.child("a")))
        assert list(await stage.states()) == ["b", "c", "a"]
        stage.take()
        stage.crash("b")
        await settle()
        moved = ["-b", "+b"] if strategy == "one_for_one" else [*ends("bac"), *starts("bca")]
        assert stage.take() == moved
    assert stage.take() == ends("acb")


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_10_4_terminate_child_touches_that_child_alone(strategy: str) -> None:
    """Terminating, restarting and deleting a child move no sibling under any strategy."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=0):
        stage.take()
        await stage.top.ask(TerminateChild("a"))
        assert stage.take() == ["-a"]
        await stage.top.ask(RestartChild("a"))
        assert stage.take() == ["+a"]
        await stage.top.ask(TerminateChild("a"))
        await stage.top.ask(DeleteChild("a"))
        await settle()
        assert stage.take() == ["-a"]
        assert await stage.states() == {"b": "running", "c": "running"}

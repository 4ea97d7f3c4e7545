"""Tests of the requests that manage the children of a running supervisor."""

from functools import partial

import anyio
import pytest

from actors import AskTimeout, Crashed, Ignore, Killed, Name, Normal, ProcExited
from actors.testing import settle
from supervision import (
    ChildCounts,
    ChildExists,
    ChildInfo,
    ChildNotFound,
    ChildRunning,
    ChildStartFailed,
    ChildState,
    CountChildren,
    DeleteChild,
    GetChild,
    GetChildSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from tests.supervision.kit import Boom, Note, Stage, forever

pytestmark = pytest.mark.dead_letters


async def test_start_child_starts_one_more_and_answers_with_its_ref() -> None:
    """`StartChild` adds a child at the end of the order, and answers when it is ready."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        began = anyio.current_time()
        ref = await app.supervisor.ask(StartChild(stage.child("b", start=[2.0])))
        assert anyio.current_time() - began == pytest.approx(2.0)
        assert ref == app.find("b")
        assert list(await stage.states()) == ["a", "b"]
        stage.take()
    assert stage.take() == ["-b", "-a"]


async def test_start_child_of_a_supervisor_starts_a_subtree() -> None:
    """A whole subtree can be started at run time, and is supervised like the rest."""
    stage = Stage()
    async with stage.serve([]) as app:
        inner = SupervisorSpec("in", stage.children("xy"))
        ref = await app.supervisor.ask(StartChild(inner))
        assert ref == app.find("in")
        stage.crash("x")
        await settle()
        assert stage.take() == ["+in/x", "+in/y", "+in", "-in/x", "+in/x"]


async def test_start_child_refuses_an_id_that_is_taken() -> None:
    """An id that is known is refused: with the ref of the live child, or None if it is down."""
    stage = Stage()
    async with stage.serve(stage.children("ab")) as app:
        await app.supervisor.ask(TerminateChild("b"))
        with pytest.raises(ChildExists) as live:
            await app.supervisor.ask(StartChild(stage.child("a")))
        with pytest.raises(ChildExists) as down:
            await app.supervisor.ask(StartChild(stage.child("b")))
        assert (live.value.ref, down.value.ref) == (app.find("a"), None)
        assert await stage.states() == {"a": "running", "b": "terminated"}


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_failed_start_child_keeps_no_spec(restart: str) -> None:
    """A child whose start by request fails is not kept and not retried; its id is free again."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0) as app:
        error = Boom("no")
        spec = stage.child("b", start=[error], restart=restart)
        with pytest.raises(ChildStartFailed, match=r"^b failed to start: Boom: no$") as caught:
            await app.supervisor.ask(StartChild(spec))
        assert caught.value.reason == Crashed(error)
        assert caught.value.__cause__ is error
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a", "!b"]
        assert await app.supervisor.ask(StartChild(spec)) == app.find("b")


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_an_ignored_start_child_is_answered_with_none(restart: str) -> None:
    """`StartChild` answers None when the child was ignored; only a temporary one is dropped."""
    stage = Stage()
    async with stage.serve([]) as app:
        spec = stage.child("b", start=[Ignore()], restart=restart)
        assert await app.supervisor.ask(StartChild(spec)) is None
        assert await stage.states() == ({} if restart == "temporary" else {"b": "terminated"})


async def test_a_bad_spec_leaves_the_supervisor_unharmed() -> None:
    """A spec that does not fit its supervisor is answered with a `SpecError`; it goes on."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0) as app:
        bad = stage.child("s", restart="transient", significant=True)
        with pytest.raises(SpecError, match=r"^top/s: significant: means nothing under"):
            await app.supervisor.ask(StartChild(bad))
        with pytest.raises(SpecError, match=r"^StartChild: spec: 'a' is not a ChildSpec$"):
            StartChild("a")  # type: ignore[arg-type]
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a"]


async def test_start_child_with_a_taken_name_is_refused() -> None:
    """A child whose name is taken is not started, and nothing of it stays."""
    stage = Stage()
    name = Name[object]("account")
    async with stage.serve([stage.child("a", name=name)]) as app:
        match = r"^b failed to start: NameTaken: name 'account' is taken by /top/a$"
        with pytest.raises(ChildStartFailed, match=match):
            await app.supervisor.ask(StartChild(stage.child("b", name=name)))
        assert list(await stage.states()) == ["a"]
        await app.supervisor.ask(TerminateChild("a"))
        assert await app.supervisor.ask(StartChild(stage.child("b", name=name)))
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: NameTaken: name"):
            await app.supervisor.ask(RestartChild("a"))
        assert await stage.states() == {"a": "terminated", "b": "running"}


async def test_terminate_child_waits_for_its_death_and_keeps_its_spec() -> None:
    """`TerminateChild` answers when the child is dead, counts as nothing, and keeps the spec."""
    stage = Stage()
    async with stage.serve([stage.child("a", stop=2.0)], max_restarts=0) as app:
        began = anyio.current_time()
        await app.supervisor.ask(TerminateChild("a"))
        assert anyio.current_time() - began == pytest.approx(2.0)
        await app.supervisor.ask(TerminateChild("a"))
        assert await stage.states() == {"a": "terminated"}
    assert stage.take() == ["+a", "-a"]


async def test_terminate_child_drops_a_temporary_child() -> None:
    """A terminated temporary child loses its spec."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="temporary")]) as app:
        await app.supervisor.ask(TerminateChild("a"))
        assert await stage.states() == {}
        with pytest.raises(ChildNotFound):
            await app.supervisor.ask(TerminateChild("a"))


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_terminate_child_touches_only_that_child(strategy: str) -> None:
    """Under every strategy `TerminateChild` and `RestartChild` touch that child alone."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy) as app:
        stage.take()
        await app.supervisor.ask(TerminateChild("a"))
        await app.supervisor.ask(RestartChild("a"))
        assert stage.take() == ["-a", "+a"]
        assert list(await stage.states()) == ["a", "b", "c"]


async def test_a_failed_restart_child_is_not_retried() -> None:
    """A failed `RestartChild` is answered; the child stays down, uncounted and not retried."""
    stage = Stage()
    children = [stage.child("a", start=[None, Boom("no"), Ignore()])]
    async with stage.serve(children, max_restarts=0) as app:
        await app.supervisor.ask(TerminateChild("a"))
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: Boom: no$"):
            await app.supervisor.ask(RestartChild("a"))
        await settle()
        assert await stage.states() == {"a": "terminated"}
        stage.refs["a"].tell(Note("x"))
        assert stage.take_dead() == [("x", "its start failed")]
        assert await app.supervisor.ask(RestartChild("a")) is None
        assert await app.supervisor.ask(RestartChild("a")) == app.find("a")
        assert stage.take() == ["+a", "-a", "!a", "~a", "+a"]


async def test_a_deleted_child_is_gone_and_may_come_back_last() -> None:
    """`DeleteChild` removes a spec that does not run; added again it is last in the order."""
    stage = Stage()
    async with stage.serve(stage.children("abc")) as app:
        ref = app.find("a")
        await app.supervisor.ask(TerminateChild("a"))
        await app.supervisor.ask(DeleteChild("a"))
        with pytest.raises(ChildNotFound):
            app.find("a")
        ref.tell(Note("x"))
        assert [text for text, _ in stage.take_dead()] == ["x"]
        await app.supervisor.ask(StartChild(stage.child("a")))
        assert list(await stage.states()) == ["b", "c", "a"]
        stage.take()
    assert stage.take() == ["-a", "-c", "-b"]


async def test_which_children_and_count_children_show_the_children() -> None:
    """Children are listed in start order with ref, state, restarts and kind, and counted."""
    stage = Stage()
    children = [
        stage.child("a"),
        SupervisorSpec("in", [stage.child("x")]),
        stage.child("b", start=[Ignore()]),
    ]
    async with stage.serve(children) as app:
        stage.crash("a")
        await settle()
        running, down = ChildState.RUNNING, ChildState.TERMINATED
        assert await app.supervisor.ask(WhichChildren()) == (
            ChildInfo("a", app.find("a"), running, 1, "worker"),
            ChildInfo("in", app.find("in"), running, 0, "supervisor"),
            ChildInfo("b", app.find("b"), down, 0, "worker"),
        )
        assert await app.supervisor.ask(CountChildren()) == ChildCounts(3, 2, 1, 2)


async def test_get_child_and_get_child_spec_look_one_up() -> None:
    """A child's ref and its spec, with all defaults, are found by its id."""
    stage = Stage()
    spec = stage.child("a")
    async with stage.serve([spec]) as app:
        assert await app.supervisor.ask(GetChild("a")) == app.find("a")
        assert await app.supervisor.ask(GetChildSpec("a")) == spec
        await app.supervisor.ask(TerminateChild("a"))
        assert await app.supervisor.ask(GetChild("a")) == app.find("a")


async def test_requests_are_served_in_order() -> None:
    """A request that takes long delays those behind it; they are served in their order."""
    stage = Stage()
    done: list[str] = []

    async def ask(request: TerminateChild) -> None:
        await stage.top.ask(request, timeout=None)
        done.append(request.id)

    async with stage.serve([stage.child("a", stop=3.0), stage.child("b")]):
        async with anyio.create_task_group() as tasks:
            for id in "ab":
                tasks.start_soon(ask, TerminateChild(id))
                await settle()
        assert done == ["a", "b"]


async def test_a_request_is_carried_out_though_its_asker_gave_up() -> None:
    """An asker that timed out or was cancelled harms no supervisor; its request goes on."""
    stage = Stage()
    async with stage.serve([stage.child("a", stop=3.0, shutdown=10.0)]) as app:
        with pytest.raises(AskTimeout, match=r"^/top did not answer TerminateChild within 1 s$"):
            await app.supervisor.ask(TerminateChild("a"), timeout=1.0)
        with anyio.move_on_after(0.5):
            await app.supervisor.ask(StartChild(stage.child("b", start=[4.0])))
        await anyio.sleep(10.0)
        assert await stage.states() == {"a": "terminated", "b": "running"}


async def test_a_supervisor_that_dies_fails_its_askers() -> None:
    """A supervisor that is killed in the middle of a request fails its asker at once."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")], restart="temporary")
    async with stage.serve([inner]) as app:
        sup = app.find("in")
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                await sup.ask(StartChild(stage.child("y", start=[forever])))
            except ProcExited as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await settle()
            sup.kill()
            await sup.wait()
        assert [getattr(error, "reason", None) for error in errors] == [Killed()]
        assert {entry[0] for entry in stage.take_dead()} == {"StartChild"}
        with pytest.raises(ProcExited, match=r"^/top/in ended before it answered CountChildren"):
            await sup.ask(CountChildren())


@pytest.mark.parametrize("request_type", [TerminateChild, RestartChild, DeleteChild, GetChild])
async def test_an_unknown_id_harms_nobody(request_type: type[TerminateChild]) -> None:
    """A request about an unknown child is refused, and no other child is touched."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        with pytest.raises(ChildNotFound, match=r"^there is no child 'ghost'$") as caught:
            await app.supervisor.ask(request_type("ghost"))
        assert caught.value.id == "ghost"
        assert stage.take() == ["+a"]


async def test_a_running_child_is_neither_restarted_nor_deleted() -> None:
    """`RestartChild` and `DeleteChild` are refused while the child runs."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        for request in (RestartChild("a"), DeleteChild("a")):
            with pytest.raises(ChildRunning):
                await app.supervisor.ask(request)  # type: ignore[arg-type]
        assert await stage.states() == {"a": "running"}


async def test_an_ended_transient_child_can_be_deleted() -> None:
    """The spec of a transient child that ended well can be deleted, and its id used again."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient")]) as app:
        stage.end("a", Normal())
        await settle()
        await app.supervisor.ask(DeleteChild("a"))
        assert await app.supervisor.ask(partial(StartChild, stage.child("a"))()) == app.find("a")

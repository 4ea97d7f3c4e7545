"""Tests of `DynamicSupervisor`: children that come and go, each restarted alone."""

from functools import partial

import anyio
import pytest

from actors import Crashed, ExitReason, Ignore, Killed, Mailbox, Normal, Shutdown
from actors.testing import settle
from supervision import (
    Backoff,
    ChildExists,
    ChildInfo,
    ChildNotFound,
    ChildRunning,
    ChildStartFailed,
    ChildState,
    CountChildren,
    DeleteChild,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    GetChild,
    GetChildSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    TooManyChildren,
    WhichChildren,
)
from tests.supervision.kit import Boom, Note, Stage, forever

pytestmark = pytest.mark.dead_letters


def dynamic(**options: object) -> DynamicSupervisorSpec:
    """Make the spec of a dynamic supervisor at the root."""
    return DynamicSupervisorSpec("top", **options)  # type: ignore[arg-type]


async def add(stage: Stage, ids: str, **options: object) -> None:
    """Start children at run time."""
    for id in ids:
        await stage.top.ask(StartChild(stage.child(id, **options)))  # type: ignore[arg-type]


async def test_it_starts_with_no_children() -> None:
    """A dynamic supervisor begins empty, and each child is added by request."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        assert await app.supervisor.ask(WhichChildren()) == ()
        await add(stage, "ab")
        assert await app.supervisor.ask(WhichChildren()) == (
            ChildInfo("a", app.find("a"), ChildState.RUNNING, 0, "worker"),
            ChildInfo("b", app.find("b"), ChildState.RUNNING, 0, "worker"),
        )
        assert await app.supervisor.ask(GetChild("a")) == app.find("a")
        assert (await app.supervisor.ask(GetChildSpec("b"))).id == "b"


@pytest.mark.parametrize(
    ("restart", "reason", "stays"),
    [
        ("permanent", Normal(), True),
        ("permanent", Crashed(Boom()), True),
        ("transient", Crashed(Boom()), True),
        ("transient", Killed(), True),
        ("transient", Normal(), False),
        ("transient", Shutdown("detail"), False),
        ("temporary", Crashed(Boom()), False),
        ("temporary", Normal(), False),
    ],
    ids=str,
)
async def test_each_child_is_restarted_alone_or_leaves(
    restart: str, reason: ExitReason, stays: bool
) -> None:
    """A child is restarted alone by its restart type; one that ends for good leaves."""
    stage = Stage()
    async with stage.serve(dynamic()):
        await add(stage, "ab", restart=restart)
        stage.take()
        stage.end("a", reason)
        await settle()
        assert stage.take() == (["-a", "+a"] if stays else ["-a"])
        assert await stage.states() == ({"a": "running"} if stays else {}) | {"b": "running"}
        if not stays:
            ref = stage.refs["a"]
            ref.tell(Note("x"))
            assert [text for text, _ in stage.take_dead()] == ["x"]
            await add(stage, "a")
            assert stage.refs["a"] != ref


async def test_ids_are_unique_among_live_children() -> None:
    """An id that is in use is refused, and free again when its child has left."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        await add(stage, "a", restart="temporary")
        with pytest.raises(ChildExists) as caught:
            await add(stage, "a")
        assert caught.value.ref == app.find("a")
        stage.end("a")
        await settle()
        await add(stage, "a")


async def test_the_limit_counts_restarting_children() -> None:
    """With `max_children` one more is refused, restarting ones counted; one that left is not."""
    stage = Stage()
    async with stage.serve(dynamic(max_children=2)) as app:
        await add(stage, "a", backoff=Backoff(50.0, 50.0))
        await add(stage, "b", restart="temporary")
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "restarting", "b": "running"}
        with pytest.raises(TooManyChildren, match=r"^the limit of max_children=2 is reached$"):
            await add(stage, "c")
        stage.end("b")
        await settle()
        await add(stage, "c")
        await app.supervisor.ask(TerminateChild("a"))
        await add(stage, "d")


async def test_a_taken_id_is_refused_before_the_limit() -> None:
    """A full supervisor that is asked for an id in use says that it is in use."""
    stage = Stage()
    async with stage.serve(dynamic(max_children=1)):
        await add(stage, "a")
        with pytest.raises(ChildExists):
            await add(stage, "a")


async def test_a_failed_or_ignored_start_takes_no_place() -> None:
    """A child that fails or ignores its start is not kept, and takes no place of the limit."""
    stage = Stage()
    async with stage.serve(dynamic(max_children=1)) as app:
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: Boom: no$"):
            await add(stage, "a", start=[Boom("no")])
        ignored = stage.child("a", start=[Ignore()])
        assert await app.supervisor.ask(StartChild(ignored)) is None
        assert await stage.states() == {}
        await add(stage, "a")
        assert stage.take() == ["!a", "~a", "+a"]


async def test_a_child_that_ignores_its_restart_leaves() -> None:
    """An ignored restart drops the child, without another try."""
    stage = Stage()
    async with stage.serve(dynamic(max_restarts=1)):
        await add(stage, "a", start=[None, Ignore()])
        stage.crash("a")
        await settle()
        assert await stage.states() == {}
        assert stage.take() == ["+a", "-a", "~a"]


async def test_terminate_child_removes_it() -> None:
    """`TerminateChild` removes a child for good; an unknown or ended one is not found."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        await add(stage, "a")
        await app.supervisor.ask(TerminateChild("a"))
        assert await stage.states() == {}
        for id in ("a", "ghost"):
            with pytest.raises(ChildNotFound):
                await app.supervisor.ask(TerminateChild(id))


async def test_there_is_nothing_to_restart_or_delete() -> None:
    """`RestartChild` and `DeleteChild` of a live child are refused, as nobody waits ended."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        await add(stage, "a")
        for request in (RestartChild("a"), DeleteChild("a")):
            with pytest.raises(ChildRunning):
                await app.supervisor.ask(request)  # type: ignore[arg-type]


async def test_a_significant_child_is_refused() -> None:
    """A dynamic supervisor never shuts down automatically, so significant children are refused."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        spec = stage.child("a", restart="transient", significant=True)
        with pytest.raises(SpecError, match=r"^top/a: significant: a dynamic supervisor never"):
            await app.supervisor.ask(StartChild(spec))
        assert await stage.states() == {}


async def test_it_can_be_terminated_while_restarting() -> None:
    """`TerminateChild` of a restarting child removes it, with its mail; nothing comes back."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        await add(stage, "a", backoff=Backoff(10.0, 10.0))
        stage.crash("a")
        await settle()
        stage.refs["a"].tell(Note("x"))
        await app.supervisor.ask(TerminateChild("a"))
        assert stage.take_dead() == [("x", "terminated")]
        await anyio.sleep(100.0)
        assert stage.take() == ["+a", "-a"]


async def test_a_new_child_with_an_old_id_gets_no_old_restart() -> None:
    """A pending restart does not fire for a later child of the same id."""
    stage = Stage()
    slow = Backoff(10.0, 10.0, jitter=False)
    async with stage.serve(dynamic()) as app:
        await add(stage, "a", backoff=slow)
        stage.crash("a")
        await settle()
        await app.supervisor.ask(TerminateChild("a"))
        await add(stage, "a", backoff=slow)
        await anyio.sleep(5.0)
        stage.crash("a")
        await anyio.sleep(6.0)
        assert await stage.states() == {"a": "restarting"}


async def test_a_restarted_dynamic_supervisor_is_empty() -> None:
    """A dynamic supervisor that was restarted has lost its children; their ids are free."""
    stage = Stage()
    async with stage.serve(SupervisorSpec("top", [DynamicSupervisorSpec("jobs")])) as app:
        jobs = app.find("jobs")
        await jobs.ask(StartChild(stage.child("a", mailbox=Mailbox(capacity=5))))
        jobs.kill()
        await settle()
        assert await stage.states(jobs) == {}
        await jobs.ask(StartChild(stage.child("a")))
        assert stage.take() == ["+jobs", "+jobs/a", "-jobs/a", "-jobs", "+jobs", "+jobs/a"]


async def test_any_spec_may_be_a_child() -> None:
    """Workers and whole subtrees of both kinds may be children, and are counted by kind."""
    stage = Stage()
    async with stage.serve(dynamic()) as app:
        await add(stage, "a")
        inner = SupervisorSpec("in", [stage.child("x")])
        await app.supervisor.ask(StartChild(inner))
        await app.supervisor.ask(StartChild(DynamicSupervisorSpec("more")))
        counts = await app.supervisor.ask(CountChildren())
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 3, 2, 1)


async def test_a_slow_start_delays_the_next_request() -> None:
    """Starts are served one after the other, in the order in which they were asked for."""
    stage = Stage()
    async with stage.serve(dynamic()), anyio.create_task_group() as tasks:
        tasks.start_soon(partial(add, stage, "a", start=[3.0]))
        await settle()
        began = anyio.current_time()
        await add(stage, "b")
        assert anyio.current_time() - began == pytest.approx(3.0)


async def test_a_start_timeout_frees_it() -> None:
    """A child that never gets ready is given up after its `start_timeout`."""
    stage = Stage()
    async with stage.serve(dynamic()):
        match = r"^a failed to start: TimeoutError: not ready within 2 s$"
        with pytest.raises(ChildStartFailed, match=match):
            await add(stage, "a", start=[forever], start_timeout=2.0)
        assert await stage.states() == {}


def test_it_takes_its_own_kind_of_spec() -> None:
    """A dynamic supervisor is made of a `DynamicSupervisorSpec` only."""
    with pytest.raises(TypeError, match=r"^DynamicSupervisor wants a DynamicSupervisorSpec, not"):
        DynamicSupervisor(SupervisorSpec("top"))  # type: ignore[arg-type]

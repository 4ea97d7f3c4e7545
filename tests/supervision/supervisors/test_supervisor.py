"""Tests of supervisors beyond OTP's statements (`tests/semantics`): starts, rounds and crashes."""

from functools import partial

import anyio
import pytest

from actors import ActorSystem, AskCycle, Ignore, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import (
    ChildSpec,
    ChildStartFailed,
    DeleteChild,
    DynamicSupervisor,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Act, Note, Worker, forever

pytestmark = pytest.mark.dead_letters

END = Act(lambda worker: worker.context.stop())
"""Tell a worker to end well."""


async def test_the_same_proc_twice_is_a_failed_start() -> None:
    """A factory must make a new proc for each incarnation: handing out the old one is refused."""
    stage = Stage()
    only = Worker(stage, "a")
    async with stage.dying([ChildSpec("a", lambda: only)], max_restarts=1) as app:
        stage.crash("a")
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    first, second = stage.exited.reason.detail.crashes
    assert isinstance(first, Boom)
    assert str(second).endswith("returned one that has run before")


async def test_a_start_timeout_covers_a_whole_subtree() -> None:
    """A nested supervisor that is not ready in time is stopped with all it had started."""
    stage = Stage()
    inner = SupervisorSpec(
        "in", [stage.child("x"), stage.child("y", start=[forever])], start_timeout=2.0
    )
    match = r"^in failed to start: TimeoutError: not ready within 2 s$"
    with pytest.raises(ChildStartFailed, match=match):
        async with stage.serve([stage.child("a"), inner]):
            pass
    trace = stage.take()
    assert (trace[:2], trace[-2:]) == (["+a", "+in/x"], ["!in", "-a"])
    assert "-in/x" in trace


def test_a_supervisor_does_not_take_another_kind_of_spec() -> None:
    """Each kind of supervisor takes its own kind of spec, and says which."""
    with pytest.raises(TypeError, match=r"^Supervisor wants a SupervisorSpec, not Dynamic"):
        Supervisor(DynamicSupervisorSpec("d"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^DynamicSupervisor wants a DynamicSupervisorSpec, not"):
        DynamicSupervisor(SupervisorSpec("top"))  # type: ignore[arg-type]


async def test_a_crash_in_the_start_phase_of_a_round_waits_for_its_end() -> None:
    """A child that crashes while a round still starts others is handled after that round."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", start=[None, 1.0])]
    async with stage.serve(children, strategy="one_for_all", max_restarts=2):
        stage.take()
        stage.crash("a")
        await settle()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-b", "+a", "-a"]
        await anyio.sleep(1.0)
        await settle()
        assert stage.take() == ["+b", "-b", "+a", "+b"]


async def test_a_restart_may_end_well_at_once() -> None:
    """A transient child that ends well right after its restart stays down."""
    stage = Stage()
    starts = [None, lambda worker: worker.context.stop(Normal())]
    async with stage.serve([stage.child("a", start=starts, restart="transient")]):
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "-a", "+a", "-a"]
        assert await stage.states() == {"a": "terminated"}


async def test_the_end_in_the_middle_of_a_start_is_seen_after_it() -> None:
    """A significant child that ends while its siblings still start ends all after the start."""
    stage = Stage()
    s = stage.child("s", restart="transient", significant=True)
    stage.starts["s"].append(lambda worker: worker.context.send_after(0.5, END))
    t = stage.child("t", start=[1.0])
    async with stage.serve([s, t], auto_shutdown="any_significant") as app:
        assert await app.wait() == Shutdown()
    assert stage.take() == ["+s", "-s", "+t", "-t"]


@pytest.mark.parametrize("reason", [Normal(), Killed()], ids=str)
async def test_giving_up_without_errors_has_no_crashes(reason: Normal | Killed) -> None:
    """When every restart followed an exit without an error, `crashes` is empty."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.end("a", reason)
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    gave_up = stage.exited.reason.detail
    assert isinstance(gave_up, IntensityExceeded)
    assert gave_up.crashes == ()
    assert stage.exited.__cause__ is gave_up


async def test_a_restarted_dynamic_supervisor_is_empty() -> None:
    """A dynamic supervisor that was restarted has lost its children; their ids are free."""
    stage = Stage()
    async with stage.serve([DynamicSupervisorSpec("jobs")]) as app:
        jobs = app.find("jobs")
        await jobs.ask(StartChild(stage.child("a")))
        jobs.kill()
        await settle()
        assert await stage.states(jobs) == {}
        await jobs.ask(StartChild(stage.child("a")))
        assert stage.take() == ["+jobs", "+jobs/a", "-jobs/a", "-jobs", "+jobs", "+jobs/a"]


# -- mail to a child that is down ------------------------------------------------------------------


async def mail(stage: Stage, id: str) -> str:
    """Send mail to a child that is down; returns why it went nowhere."""
    stage.refs[id].tell(Note("x"))
    ((text, why),) = stage.take_dead()
    assert text == "x"
    return why


async def test_mail_to_a_child_that_is_down_says_why() -> None:
    """A dead letter says in which way its receiver came to be down, when it is down."""
    stage = Stage()
    a, b = stage.child("a", start=[None, Boom(), Ignore()]), stage.child("b")
    async with stage.serve([a, b], strategy="one_for_all"):
        for request, why in (
            (TerminateChild("a"), "terminated"),
            (RestartChild("a"), "its start failed"),
            (RestartChild("a"), "ignored its start"),
            (DeleteChild("a"), "deleted"),
        ):
            try:
                assert await stage.top.ask(request) is None  # type: ignore[arg-type]
            except ChildStartFailed:
                pass
            assert await mail(stage, "a") == why
        await stage.top.ask(StartChild(stage.child("t", restart="temporary")))
        stage.crash("b")
        await settle()
        assert await mail(stage, "t") == "a temporary child in a round of restarts"


async def test_mail_to_one_that_waited_behind_a_voided_retry_says_so() -> None:
    """Who waited behind a restart that is given up is down, and its mail says why."""
    stage = Stage()

    async def fail(worker: Worker) -> None:
        stage.tasks.start_soon(stage.top.ask, TerminateChild("a"))
        await anyio.sleep(0.5)
        raise Boom

    children = [stage.child("a", start=[None, fail]), stage.child("b")]
    async with stage.serving(children, strategy="one_for_all"):
        stage.crash("a")
        await anyio.sleep(1.0)
        assert await mail(stage, "b") == "its restart was given up"


async def test_the_mail_of_a_waiting_sibling_is_kept() -> None:
    """A sibling that waits behind a failing restart keeps its mail, and gets it in the end."""
    stage = Stage()

    def fail(worker: Worker) -> None:
        stage.refs["a"].tell(Note("to the failing one"))
        stage.refs["b"].tell(Note("to the waiting one"))
        raise Boom

    children = [stage.child("a", start=[None, fail, Boom()]), stage.child("b")]
    async with stage.serve(children, strategy="one_for_all", max_restarts=5):
        stage.crash("a")
        await settle()
    assert sorted(stage.notes) == [("a", 4, "to the failing one"), ("b", 2, "to the waiting one")]


# -- trees -----------------------------------------------------------------------------------------


async def test_a_tree_that_fails_in_the_turn_in_which_the_block_ends_is_told() -> None:
    """A tree that has failed by the end of the block is told, though nobody was cancelled."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.crash("a")
        with anyio.CancelScope(shield=True):
            await app.wait()


async def test_a_proc_of_a_tree_can_reach_its_own_supervisor() -> None:
    """A child may ask its own supervisor for a sibling, and be served."""
    stage = Stage()
    answers: list[int] = []

    async def ask_above(worker: Worker) -> None:
        await stage.top.ask(StartChild(stage.child("b")))
        answers.append(len(await stage.top.ask(WhichChildren())))

    async with stage.serve([stage.child("a")]):
        stage.act("a", ask_above)
        await settle()
    assert answers == [2]


async def test_a_child_that_asks_for_its_own_end_gets_an_ask_cycle() -> None:
    """A child that waits for its own termination hears that this is a circle, and is terminated."""
    stage = Stage()
    errors: list[AskCycle] = []

    async def end_me(worker: Worker) -> None:
        try:
            await stage.top.ask(TerminateChild("a"), timeout=None)
        except AskCycle as error:
            errors.append(error)

    async with stage.serve([stage.child("a", shutdown=2.0)]):
        began = anyio.current_time()
        stage.act("a", end_me)
        await settle()
        assert await stage.states() == {"a": "terminated"}
        assert anyio.current_time() == began
    assert [error.chain for error in errors] == [("/top/a", "/top", "/top/a")]


async def test_serving_again_begins_afresh() -> None:
    """A spec can be served any number of times, each time from its beginning."""
    stage = Stage()
    tree = SupervisorSpec("top", [*stage.children("ab"), DynamicSupervisorSpec("jobs")])
    for _ in range(2):
        async with stage.serve(tree) as app:
            await app.find("jobs").ask(StartChild(stage.child("job")))
            assert stage.take() == ["+a", "+b", "+jobs", "+jobs/job"]
        assert stage.take() == ["-jobs/job", "-jobs", "-b", "-a"]


async def test_a_supervisor_in_a_bare_system_reports_its_end_there() -> None:
    """A supervisor that gives up in a system of its own ends well: nothing is raised there."""
    stage = Stage()
    spec = SupervisorSpec("top", [stage.child("a")], max_restarts=0)
    async with ActorSystem() as system:
        top = await system.spawn(partial(Supervisor, spec), id="top")
        stage.crash("a", Boom("a"))
        reason = await top.wait()
    assert isinstance(reason, Shutdown)
    assert isinstance(reason.detail, IntensityExceeded)

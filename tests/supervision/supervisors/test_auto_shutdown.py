"""Tests of significant children: whose end ends their supervisor, and whose does not."""

import anyio
import pytest

from actors import Crashed, ExitReason, Ignore, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import ChildSpec, IntensityExceeded, StartChild, SupervisorSpec, TerminateChild
from supervision.events import ChildRestarted, SupervisorEnding
from tests.supervision.kit import Act, Boom, Stage

pytestmark = pytest.mark.dead_letters

END = Act(lambda worker: worker.context.stop())
"""Tell a worker to end well."""

BOTH = ["any_significant", "all_significant"]
REASONS: list[ExitReason] = [
    Normal(),
    Shutdown(),
    Shutdown("detail"),
    Killed(),
    Crashed(Boom("end")),
]


def significant(stage: Stage, ids: str, restart: str = "transient") -> list[ChildSpec]:  # type: ignore[type-arg]
    """Make significant children."""
    return [stage.child(id, restart=restart, significant=True) for id in ids]


@pytest.mark.parametrize("auto_shutdown", BOTH)
@pytest.mark.parametrize("reason", REASONS[:3], ids=str)
async def test_the_end_of_a_significant_transient_child_ends_the_supervisor(
    auto_shutdown: str, reason: ExitReason
) -> None:
    """A significant transient child that ended well ends its supervisor, in reverse order."""
    stage = Stage()
    children = [stage.child("a"), *significant(stage, "s"), stage.child("b")]
    async with stage.serve(children, auto_shutdown=auto_shutdown, max_restarts=0) as app:
        stage.take()
        stage.end("s", reason)
        assert await app.wait() == Shutdown()
        assert stage.take() == ["-s", "-b", "-a"]
    assert [event.id for event in stage.told(SupervisorEnding)] == ["s"]


@pytest.mark.parametrize("auto_shutdown", BOTH)
@pytest.mark.parametrize("reason", REASONS, ids=str)
async def test_any_end_of_a_significant_temporary_child_ends_the_supervisor(
    auto_shutdown: str, reason: ExitReason
) -> None:
    """A significant temporary child ends its supervisor by whatever exit."""
    stage = Stage()
    children = [stage.child("a"), *significant(stage, "s", "temporary")]
    async with stage.serve(children, auto_shutdown=auto_shutdown, max_restarts=0) as app:
        stage.end("s", reason)
        assert await app.wait() == Shutdown()
    assert stage.take() == ["+a", "+s", "-s", "-a"]


@pytest.mark.parametrize("auto_shutdown", BOTH)
@pytest.mark.parametrize("reason", REASONS[3:], ids=str)
async def test_an_abnormal_end_of_a_significant_transient_child_is_restarted(
    auto_shutdown: str, reason: ExitReason
) -> None:
    """A significant transient child that ended abnormally is restarted, and ends nothing."""
    stage = Stage()
    async with stage.serve(significant(stage, "s"), auto_shutdown=auto_shutdown):
        stage.end("s", reason)
        await settle()
        assert stage.take() == ["+s", "-s", "+s"]
    assert stage.told(SupervisorEnding) == []


async def test_all_significant_waits_for_the_last() -> None:
    """Under all_significant the supervisor ends with its last significant child."""
    stage = Stage()
    children = [*significant(stage, "st"), *significant(stage, "u", "temporary")]
    async with stage.serve(children, auto_shutdown="all_significant") as app:
        for id in "us":
            stage.end(id)
            await settle()
            assert app.supervisor.is_alive
        stage.end("t")
        assert await app.wait() == Shutdown()
    assert [event.id for event in stage.told(SupervisorEnding)] == ["t"]


async def test_all_significant_waits_for_a_restarting_one() -> None:
    """A significant child that is restarting counts as still there."""
    stage = Stage()
    s, t = significant(stage, "st")
    stage.starts["s"].extend([None, Boom("1"), 1.0])
    async with stage.serve([s, t], auto_shutdown="all_significant", max_restarts=5) as app:
        async with stage.busy():
            stage.crash("s")
            await settle()
            stage.end("t")
            await settle()
        await anyio.sleep(1.0)
        assert await stage.states() == {"s": "running", "t": "terminated"}
        stage.end("s")
        assert await app.wait() == Shutdown()


async def test_those_without_a_proc_are_not_left() -> None:
    """A significant child that was terminated, or was ignored, is not waited for."""
    stage = Stage()
    s, t, u = significant(stage, "stu")
    stage.starts["u"].append(Ignore())
    async with stage.serve([s, t, u], auto_shutdown="all_significant") as app:
        await app.supervisor.ask(TerminateChild("t"))
        stage.end("s")
        assert await app.wait() == Shutdown()


@pytest.mark.parametrize("auto_shutdown", BOTH)
async def test_terminating_a_significant_child_ends_nothing(auto_shutdown: str) -> None:
    """`TerminateChild` ends no supervisor, not even for its last significant child."""
    stage = Stage()
    async with stage.serve(
        [stage.child("a"), *significant(stage, "s")], auto_shutdown=auto_shutdown
    ) as app:
        await app.supervisor.ask(TerminateChild("s"))
        await settle()
        assert await stage.states() == {"a": "running", "s": "terminated"}
    assert stage.told(SupervisorEnding) == []


@pytest.mark.parametrize("auto_shutdown", BOTH)
async def test_a_round_of_restarts_ends_nothing(auto_shutdown: str) -> None:
    """Being stopped as a sibling in a round ends no supervisor, not even a removed temporary."""
    stage = Stage()
    children = [stage.child("a"), *significant(stage, "s"), *significant(stage, "t", "temporary")]
    async with stage.serve(children, auto_shutdown=auto_shutdown, strategy="one_for_all"):
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running", "s": "running"}
    assert stage.told(SupervisorEnding) == []


@pytest.mark.parametrize("auto_shutdown", ["never", *BOTH])
async def test_an_insignificant_end_ends_nothing(auto_shutdown: str) -> None:
    """The end of a child that is not significant never triggers a look, nobody being left."""
    stage = Stage()
    children = [stage.child("a", restart="transient"), stage.child("b", restart="temporary")]
    async with stage.serve(children, auto_shutdown=auto_shutdown):
        stage.end("a")
        stage.end("b")
        await settle()
        assert await stage.states() == {"a": "terminated"}


async def test_a_significant_child_may_be_added() -> None:
    """A significant child that was added at run time counts like the others."""
    stage = Stage()
    async with stage.serve([stage.child("a")], auto_shutdown="any_significant") as app:
        await app.supervisor.ask(StartChild(significant(stage, "s")[0]))
        stage.end("s")
        assert await app.wait() == Shutdown()


async def test_automatic_shutdown_climbs_through_significant_supervisors() -> None:
    """A significant transient supervisor that shut down automatically triggers its parent."""
    stage = Stage()
    inner = SupervisorSpec(
        "in",
        [stage.child("x"), *significant(stage, "s")],
        auto_shutdown="any_significant",
        restart="transient",
        significant=True,
    )
    async with stage.serve([stage.child("a"), inner], auto_shutdown="any_significant") as app:
        stage.take()
        stage.end("s")
        assert await app.wait() == Shutdown()
    assert stage.take() == ["-in/s", "-in/x", "-in", "-a"]


@pytest.mark.parametrize(
    ("restart", "trace"),
    [("permanent", ["-in/s", "-in", "+in/s", "+in"]), ("transient", ["-in/s", "-in"])],
)
async def test_automatic_shutdown_of_an_insignificant_supervisor(
    restart: str, trace: list[str]
) -> None:
    """A permanent supervisor that shut down is just restarted; an insignificant one just ended."""
    stage = Stage()
    inner = SupervisorSpec(
        "in", significant(stage, "s"), auto_shutdown="any_significant", restart=restart
    )
    async with stage.serve([inner], auto_shutdown="any_significant"):
        stage.take()
        stage.end("s")
        await settle()
        assert stage.take() == trace
        assert [info.restarts for info in await stage.infos()] == [int(restart == "permanent")]


@pytest.mark.parametrize("auto_shutdown", ["never", *BOTH])
async def test_giving_up_works_the_same_under_every_setting(auto_shutdown: str) -> None:
    """Giving up has nothing to do with automatic shutdown."""
    stage = Stage()
    async with stage.dying(
        stage.children("ab"), auto_shutdown=auto_shutdown, max_restarts=0
    ) as app:
        stage.crash("a")
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)


async def test_no_exit_is_handled_once_the_supervisor_is_ending() -> None:
    """An exit that waits behind the significant one is not answered with a restart."""
    stage = Stage()
    children = [*significant(stage, "s"), stage.child("b"), stage.child("c")]
    async with stage.serve(children, auto_shutdown="any_significant") as app:
        async with stage.busy():
            stage.end("s")
            await settle()
            stage.crash("b")
            await settle()
            stage.take()
        assert await app.wait() == Shutdown()
    assert stage.take() == ["-c"]
    assert stage.told(ChildRestarted) == []


async def test_the_end_in_the_middle_of_a_start_is_seen_after_it() -> None:
    """A significant child that ends while its siblings still start ends all after the start."""
    stage = Stage()
    s, t = significant(stage, "s")[0], stage.child("t", start=[1.0])
    stage.starts["s"].append(lambda worker: worker.context.send_after(0.5, END))
    async with stage.serve([s, t], auto_shutdown="any_significant") as app:
        assert await app.wait() == Shutdown()
    assert stage.take() == ["+s", "-s", "+t", "-t"]


async def test_a_tree_of_tasks_that_are_all_done_ends_well() -> None:
    """A tree whose significant procs have all ended by themselves ends well, without an error."""
    stage = Stage()
    children = significant(stage, "abc", "temporary")
    for delay, id in enumerate("cab", start=1):
        stage.starts[id].append(lambda worker, delay=delay: worker.context.send_after(delay, END))
    async with stage.serve(children, auto_shutdown="all_significant") as app:
        began = anyio.current_time()
        assert await app.wait() == Shutdown()
        assert anyio.current_time() - began == pytest.approx(3.0)
    assert stage.take() == ["+a", "+b", "+c", "-c", "-a", "-b"]

"""Tests of stopping: one child at a time, in reverse order, each awaited until it is dead."""

import anyio
import pytest

from actors import (
    CancellationToken,
    Crashed,
    ExitReason,
    Killed,
    Normal,
    ProcExited,
    Shutdown,
    task,
)
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    ChildSpec,
    CountChildren,
    Restart,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import ChildStopped
from tests.supervision.kit import Boom, Life, Stage, Worker

pytestmark = pytest.mark.dead_letters


async def test_children_stop_in_reverse_order_each_dead_before_the_next_is_told() -> None:
    """Children stop one at a time in reverse order, each awaited before the next is told."""
    stage = Stage()
    diary: list[str] = []

    async def slowly(worker: Worker) -> None:
        diary.append(f"{worker.id} stops")
        await anyio.sleep(1.0)
        diary.append(f"{worker.id} is dead")

    async with stage.serve(stage.children("abc", stop=slowly)):
        stage.take()
    assert diary == [f"{id} {what}" for id in "cba" for what in ("stops", "is dead")]
    assert stage.take() == ["-c", "-b", "-a"]


async def test_a_sibling_works_while_a_later_one_stops() -> None:
    """A child's clean-up can still ask an earlier sibling, which runs until its own turn."""
    stage = Stage()
    answers: list[int] = []

    async def ask_a(worker: Worker) -> None:
        answers.append(await stage.refs["a"].ask(Life()))

    async with stage.serve([stage.child("a"), stage.child("b", stop=ask_a)]):
        pass
    assert answers == [1]


@pytest.mark.parametrize(
    ("shutdown", "expected"),
    [(BRUTAL_KILL, 0.0), (0, 0.0), (2.5, 2.5), (INFINITY, 100.0)],
)
async def test_each_shutdown_value_is_kept(shutdown: object, expected: float) -> None:
    """Seconds are waited for and then it is killed; infinity waits; a brutal kill does not ask."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=shutdown, stop=100.0)]):
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(expected)
    reason: ExitReason = Shutdown() if shutdown is INFINITY else Killed()
    (event,) = stage.told(ChildStopped)
    assert event.reason == reason
    assert event.expected is (shutdown in (BRUTAL_KILL, INFINITY))
    assert event.seconds == pytest.approx(expected)


async def test_a_brutal_kill_runs_no_clean_up() -> None:
    """A child under `BRUTAL_KILL` is not asked: its `on_stop` does not run."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=BRUTAL_KILL), stage.child("b")]):
        pass
    assert stage.reasons == [("b", Shutdown())]


async def test_children_are_always_asked_with_a_plain_shutdown() -> None:
    """Children see a shutdown without detail, whatever the reason of the supervisor's own end."""
    stage = Stage()
    inner = SupervisorSpec(
        "in",
        [stage.child("x"), stage.child("y", restart="transient", significant=True)],
        auto_shutdown="any_significant",
        restart="temporary",
    )
    async with stage.serve([inner, stage.child("z")]):
        stage.end("y", Shutdown("detail of y"))
        await settle()
    assert stage.reasons == [("y", Shutdown("detail of y")), ("x", Shutdown()), ("z", Shutdown())]


async def test_an_error_while_stopping_stops_nothing_else() -> None:
    """A child that raises while it stops is reported; the others are stopped as ever."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", stop=Boom("b")), stage.child("c")]
    async with stage.serve(children, max_restarts=0):
        stage.take()
    assert stage.take() == ["-c", "-b", "-a"]
    told = {event.ref.path: event for event in stage.told(ChildStopped)}
    assert [event.expected for event in told.values()] == [True, False, True]
    assert isinstance(told["/top/b"].reason, Crashed)
    assert [str(error) for error in stage.errors] == ["b"]


async def test_the_wait_is_for_death_not_for_the_request() -> None:
    """A child that holds on after its deadline is awaited until it is really gone."""
    stage = Stage()

    async def cling(worker: Worker) -> None:
        until = anyio.current_time() + 10.0
        while (left := until - anyio.current_time()) > 0:
            try:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(left)
            except anyio.get_cancelled_exc_class():
                pass  # asyncio: a shield of anyio's does not hold off a native cancellation

    async with stage.serve([stage.child("a"), stage.child("b", stop=cling, shutdown=1.0)]):
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(10.0, abs=0.2)
    assert stage.take() == ["+a", "+b", "-b", "-a"]


async def test_a_child_that_is_dead_already_is_reported_with_its_reason() -> None:
    """A child that dies while a later one stops is not restarted; its real reason is reported."""
    stage = Stage()
    async with stage.serve([stage.child("a"), stage.child("b"), stage.child("c", stop=1.0)]):
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            error = Boom("too late")
            stage.crash("b", error)
            await settle()
            assert stage.take() == ["-b"]
    assert stage.take() == ["-c", "-a"]
    told = {event.ref.path: event for event in stage.told(ChildStopped)}
    assert told["/top/b"].reason == Crashed(error)
    assert not told["/top/b"].expected


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_no_restart_happens_once_stopping_has_begun(strategy: str) -> None:
    """A child that crashes while its supervisor stops the others does not come back."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b"), stage.child("c", stop=1.0)]
    async with stage.serve(children, strategy=strategy):
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            stage.crash("a")
            stage.refs["b"].kill()
    assert sorted(stage.take()) == ["-a", "-b", "-c"]


async def test_exits_before_the_stop_are_handled_first() -> None:
    """A child that died before the stop came is restarted, and then stopped with the rest."""
    stage = Stage()
    async with stage.serve(stage.children("ab")):
        async with stage.busy():
            stage.crash("a")
            await settle()
            stage.take()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stage.top.shutdown, None)
        assert stage.take() == ["+a", "-b", "-a"]


async def test_a_stop_waits_for_the_round_in_hand() -> None:
    """A stop that arrives in the middle of a round is obeyed after it: all that it started goes."""
    stage = Stage()
    children = [stage.child("a", start=[None, 1.0]), stage.child("b", start=[None, 1.0])]
    async with stage.serve(children, strategy="one_for_all"):
        stage.take()
        stage.crash("a")
        await anyio.sleep(0.5)
    assert stage.take() == ["-a", "-b", "+a", "+b", "-b", "-a"]


async def test_requests_that_wait_when_a_supervisor_stops_fail_at_once() -> None:
    """A supervisor that ends fails the requests that it has not served, and later ones."""
    stage = Stage()
    async with stage.serve([stage.child("a", stop=1.0)]) as app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.supervisor.shutdown, None)
            await settle()
            began = anyio.current_time()
            with pytest.raises(ProcExited, match=r"^/top ended before it answered CountChildren"):
                await app.supervisor.ask(CountChildren())
            assert anyio.current_time() - began == pytest.approx(1.0)
        with pytest.raises(ProcExited, match=r"^/top ended before it answered CountChildren"):
            await app.supervisor.ask(CountChildren())
        assert stage.take_dead() == [("CountChildren", "shutdown")]


async def test_a_nested_subtree_is_gone_before_the_sibling_before_it_is_told() -> None:
    """A nested supervisor is one child: its whole subtree ends before the sibling before it."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy", stop=1.0))
    async with stage.serve([stage.child("a"), inner, stage.child("b")]):
        stage.take()
    assert stage.take() == ["-b", "-in/y", "-in/x", "-in", "-a"]


async def test_a_nested_supervisor_waits_for_ever_by_default() -> None:
    """The shutdown value of a supervisor is infinity unless it is given."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x", shutdown=1000.0, stop=900.0)])
    async with stage.serve([inner]):
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(900.0)
    assert [event.expected for event in stage.told(ChildStopped)] == [True, True]


async def test_a_nested_supervisor_with_a_deadline_is_killed_with_its_subtree() -> None:
    """A supervisor that is killed at its deadline leaves no orphan; its subtree goes first."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy", stop=100.0, shutdown=100.0), shutdown=2.0)
    async with stage.serve([stage.child("a"), inner]):
        stage.take()
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(2.0, abs=0.1)
    trace = stage.take()
    assert sorted(trace[:2]) == ["-in/x", "-in/y"]
    assert trace[2:] == ["-in", "-a"]


async def test_a_supervisor_that_was_told_to_stop_exits_with_shutdown() -> None:
    """A supervisor that is stopped exits with `Shutdown`; nothing is raised to the caller."""
    stage = Stage()
    async with stage.serve(stage.children("ab")) as app:
        assert await app.supervisor.shutdown() == Shutdown()
        assert await app.wait() == Shutdown()
    assert stage.take() == ["+a", "+b", "-b", "-a"]


async def test_a_supervisor_may_be_stopped_after_its_mail() -> None:
    """`Ref.stop` lets a supervisor serve what is queued; it then ends well, in reverse order."""
    stage = Stage()
    async with stage.serve(stage.children("ab")) as app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.supervisor.ask, TerminateChild("b"))
            await settle()
            app.supervisor.stop()
        assert await app.wait() == Normal()
    assert stage.take() == ["+a", "+b", "-b", "-a"]


async def test_expected_ends_of_stopped_children() -> None:
    """A child that is not permanent may also end well by itself when it is told to stop."""
    stage = Stage()

    async def brief(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    for restart in Restart:
        async with stage.serve([ChildSpec("a", task(brief), restart=restart)]):
            pass
    assert [event.expected for event in stage.told(ChildStopped)] == [True, True, True]
    assert [event.reason for event in stage.told(ChildStopped)] == [Shutdown()] * 3


async def test_the_error_of_the_block_stops_the_tree_and_goes_on() -> None:
    """An error in the block of `serve` stops the tree in order, then reaches the caller."""
    stage = Stage()
    error = Boom("block")
    with pytest.raises(Boom) as caught:
        async with stage.serve(stage.children("ab")):
            raise error
    assert caught.value is error
    assert stage.take() == ["+a", "+b", "-b", "-a"]

"""Tests of trees: supervisors under supervisors, and what climbs from one to the next."""

from functools import partial

import anyio
import pytest

from actors import ActorSystem, Killed, Shutdown
from actors.testing import settle
from supervision import (
    ChildNotFound,
    DynamicSupervisorSpec,
    IntensityExceeded,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
    WhichChildren,
    serve,
)
from supervision.events import ChildExited
from tests.supervision.kit import Boom, Stage, Worker, task_names

pytestmark = pytest.mark.dead_letters


async def test_a_tree_starts_depth_first_and_stops_the_other_way_round() -> None:
    """A nested supervisor is ready when its whole subtree is; it stops in the reverse order."""
    stage = Stage()
    tree = [
        stage.child("a"),
        SupervisorSpec("l", [stage.child("b"), SupervisorSpec("m", [stage.child("c")])]),
        stage.child("d"),
    ]
    async with stage.serve(tree) as app:
        started = stage.take()
        assert started == ["+a", "+l/b", "+l/m/c", "+l/m", "+l", "+d"]
        assert app.find("l/m/c") == app.find("/l/m/c/") == stage.refs["c"]
        assert [info.kind for info in await stage.infos(app.find("l"))] == ["worker", "supervisor"]
    assert stage.take() == ["-d", "-l/m/c", "-l/m", "-l/b", "-l", "-a"]


async def test_find_knows_only_what_is_there() -> None:
    """`find` of an unknown path is refused with the path."""
    stage = Stage()
    async with stage.serve([SupervisorSpec("in", [stage.child("x")])]) as app:
        for path in ("ghost", "in/ghost", "in/x/deeper"):
            with pytest.raises(ChildNotFound, match=f"^there is no child '{path}'$"):
                app.find(path)


async def test_a_crash_below_does_not_touch_what_is_above() -> None:
    """A crash is handled by the nearest supervisor; the others and their children go on."""
    stage = Stage()
    left = SupervisorSpec("l", stage.children("ab"), strategy="one_for_all")
    right = SupervisorSpec("r", stage.children("cd"))
    async with stage.serve([left, right], max_restarts=0, strategy="one_for_all"):
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-l/a", "-l/b", "+l/a", "+l/b"]


async def test_giving_up_climbs_to_the_root() -> None:
    """Each level that gives up costs its parent one restart, up to the root and the caller."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")], max_restarts=0)
    middle = SupervisorSpec("mid", [inner], max_restarts=0)
    async with stage.dying([stage.child("a"), middle], max_restarts=0) as app:
        stage.take()
        stage.crash("x", error := Boom("deep down"))
        await app.wait()
    assert stage.take() == ["-mid/in/x", "-mid/in", "-mid", "-a"]
    assert stage.exited.__cause__ is error
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert stage.exited.reason.detail.crashes == (error,)
    assert str(stage.exited) == (
        "top exited: shutdown (/top gave up: more than 0 restarts in 5 s; "
        "last crash: Boom: deep down)"
    )


async def test_errors_of_a_subtree_that_came_back_are_history() -> None:
    """What was raised below a supervisor that was restarted is not among the root's errors."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x"), stage.child("y")], max_restarts=0)
    async with stage.dying([inner, stage.child("a")], max_restarts=1) as app:
        stage.stops["y"] = Boom("while stopping y")
        stage.crash("x", Boom("first"))
        await settle()
        stage.stops["y"] = None
        stage.crash("a", Boom("second"))
        await app.wait()
    group = stage.exited.__cause__
    assert isinstance(group, BaseExceptionGroup)
    assert [str(error) for error in group.exceptions] == ["first", "second"]


async def test_a_crashed_supervisor_is_restarted_like_any_child() -> None:
    """A nested supervisor that is killed comes back with its subtree, which went with it."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"))
    async with stage.serve([inner, stage.child("z")], strategy="rest_for_one") as app:
        stage.take()
        app.find("in").kill()
        await settle()
        trace = stage.take()
        assert sorted(trace[:2]) == ["-in/x", "-in/y"]
        assert trace[2:] == ["-in", "-z", "+in/x", "+in/y", "+in", "+z"]
    assert [event.reason for event in stage.told(ChildExited)] == [Killed()]


async def test_the_subtree_is_gone_before_its_replacement_starts() -> None:
    """A killed supervisor is replaced only after all that it had started is gone."""
    stage = Stage()

    async def cling(worker: Worker) -> None:
        until = anyio.current_time() + 3.0
        while (left := until - anyio.current_time()) > 0:
            try:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(left)
            except anyio.get_cancelled_exc_class():
                pass  # asyncio: a shield of anyio's does not hold off a native cancellation

    inner = SupervisorSpec("in", [stage.child("x"), stage.child("y")])
    async with stage.serve([inner]) as app:
        stage.take()
        stage.act("x", cling)
        await settle()
        app.find("in").kill()
        await anyio.sleep(1.0)
        assert stage.take() == ["-in/y"]
        await anyio.sleep(3.0)
        assert stage.take() == ["-in/x", "-in", "+in/x", "+in/y", "+in"]


async def test_the_killed_root_is_told_to_the_caller() -> None:
    """A root supervisor that is killed cancels the block and raises `TreeExited`."""
    stage = Stage()
    async with stage.dying(stage.children("ab")) as app:
        app.supervisor.kill()
        await anyio.sleep_forever()
    assert str(stage.exited) == "top exited: killed"
    assert stage.exited.reason == Killed()
    assert stage.exited.__cause__ is None


async def test_a_block_that_fails_with_the_tree_says_both() -> None:
    """When the tree has failed and the block raises on its way out, the caller gets both."""
    stage = Stage()

    async def fail_twice() -> None:
        async with stage.serve([stage.child("a")], max_restarts=0):
            stage.crash("a", Boom("tree"))
            try:
                await anyio.sleep_forever()
            finally:
                raise Boom("block")

    with pytest.raises(ExceptionGroup, match=r"^top failed, and so did its block") as caught:
        await fail_twice()
    first, second = caught.value.exceptions
    assert str(first) == "block"
    assert isinstance(second, TreeExited)


async def test_a_tree_that_fails_in_the_turn_in_which_the_block_ends_is_told() -> None:
    """A tree that has failed by the end of the block is told, though nobody was cancelled."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.crash("a")
        with anyio.CancelScope(shield=True):
            await app.wait()


async def test_a_supervisor_can_manage_its_grandchildren_only_through_their_own() -> None:
    """Requests concern a supervisor's own children; a path is no id."""
    stage = Stage()
    async with stage.serve([SupervisorSpec("in", [stage.child("x")])]) as app:
        with pytest.raises(ChildNotFound):
            await app.supervisor.ask(TerminateChild("in/x"))
        await app.find("in").ask(TerminateChild("x"))
        assert await stage.states(app.find("in")) == {"x": "terminated"}


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


async def test_a_child_that_asks_for_its_own_end_is_killed_at_its_deadline() -> None:
    """A child that waits for its own termination cannot hang its supervisor."""
    stage = Stage()

    async def end_me(worker: Worker) -> None:
        await stage.top.ask(TerminateChild("a"), timeout=None)

    async with stage.serve([stage.child("a", shutdown=2.0)]):
        began = anyio.current_time()
        stage.act("a", end_me)
        await anyio.sleep(1.0)
        assert await stage.states() == {"a": "terminated"}
        assert anyio.current_time() - began == pytest.approx(2.0)


async def test_a_tree_inside_a_proc_goes_with_it() -> None:
    """A proc may start a tree of its own; it is stopped with the proc, and by its crash."""
    stage = Stage()

    async def grow(worker: Worker) -> None:
        inner = SupervisorSpec("in", stage.children("xy"))
        await worker.context.spawn(partial(Supervisor, inner), id="in", shutdown=None)

    async with stage.serve([stage.child("a", start=[grow])]):
        assert stage.take() == ["+a/in/x", "+a/in/y", "+a/in", "+a"]
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a/in/y", "-a/in/x", "-a/in", "-a", "+a"]


async def test_two_trees_live_side_by_side() -> None:
    """Two trees may be served at the same time, each with its own system."""
    stage = Stage()
    other = Stage()
    async with stage.serve([stage.child("a")]), other.serve([other.child("a")]):
        stage.crash("a")
        await settle()
        assert other.take() == ["+a"]
    assert other.take() == ["-a"]


async def test_serving_again_begins_afresh() -> None:
    """A spec can be served any number of times, each time from its beginning."""
    stage = Stage()
    tree = SupervisorSpec("top", [*stage.children("ab"), DynamicSupervisorSpec("jobs")])
    for _ in range(2):
        async with stage.serve(tree) as app:
            await app.find("jobs").ask(StartChild(stage.child("job")))
            assert stage.take() == ["+a", "+b", "+jobs", "+jobs/job"]
        assert stage.take() == ["-jobs/job", "-jobs", "-b", "-a"]


async def test_a_tree_of_a_hundred_floors_starts_and_stops() -> None:
    """Supervisors may be nested a hundred deep: start, restart at the bottom, give up, and stop."""
    stage = Stage()
    tree = SupervisorSpec("floor-100", [stage.child("x")], max_restarts=0)
    for floor in range(99, 0, -1):
        tree = SupervisorSpec(f"floor-{floor}", [tree], max_restarts=0)
    async with stage.dying(tree) as app:
        assert len(stage.trace) == 100
        stage.crash("x", error := Boom("bottom"))
        await app.wait()
    assert stage.exited.__cause__ is error
    assert len(stage.trace) == 200


async def test_nothing_is_left_of_a_served_tree() -> None:
    """When `serve` is left no task of it is there any more."""
    stage = Stage()
    before = sorted(task_names())
    async with serve(SupervisorSpec("top", stage.children("abc"))):
        assert len(task_names()) >= len(before)
    await settle()
    assert sorted(task_names()) == before


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

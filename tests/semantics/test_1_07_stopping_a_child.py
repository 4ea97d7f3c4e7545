"""OTP 1.7: how a supervisor stops one child, and what it makes of the child's last words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from actors import Crashed, ExitReason, Killed, Name, Normal, Shutdown
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    Backoff,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import ChildStopped
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    ROUNDS,
    answer_to,
    clinging,
    end_of,
    ends,
    exits,
    slow_stops,
    starts,
    stopped,
)
from tests.kit.workers import Life, Step, Worker

pytestmark = pytest.mark.dead_letters

GOOD: list[ExitReason] = [Normal(), Shutdown(), Shutdown("T")]
BAD: list[ExitReason] = [Crashed(Boom("bad")), Killed()]


async def terminate(stage: Stage, id: str) -> float:
    """Terminate a child by request; returns how many seconds that took."""
    began = anyio.current_time()
    assert await answer_to(stage.top, TerminateChild(id)) == "None"
    return anyio.current_time() - began


async def serve_and_leave(stage: Stage, tree: Sequence[Any], **options: Any) -> float:
    """Serve a tree and stop it; returns how many seconds the stop took."""
    async with stage.serve(tree, **options):
        stage.take()
        began = anyio.current_time()
    return anyio.current_time() - began


@pytest.mark.parametrize(
    ("shutdown", "takes", "seconds", "reason"),
    [
        (BRUTAL_KILL, 50.0, 0.0, "killed"),
        (0, 50.0, 0.0, "killed"),
        (2.5, 50.0, 2.5, "killed"),
        (2.5, 2.0, 2.0, "shutdown"),
        (INFINITY, 5000.0, 5000.0, "shutdown"),
    ],
)
async def test_1_7_1_each_shutdown_value_is_obeyed(
    shutdown: Any, takes: float, seconds: float, reason: str
) -> None:
    """A child is asked, waited for as long as its value says, then killed and awaited."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=shutdown, stop=takes)]):
        assert await terminate(stage, "a") == pytest.approx(seconds)
        assert stage.take() == ["+a", "-a"]
        assert stopped(stage)["a"][0] == reason


@pytest.mark.parametrize("shutdown", [BRUTAL_KILL, 1.0])
async def test_1_7_1_after_a_kill_it_waits_for_death_without_limit(shutdown: Any) -> None:
    """A child that holds on after its kill is awaited until it is really gone."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=shutdown)]):
        stage.act("a", clinging(30.0))
        await settle()
        assert await terminate(stage, "a") == pytest.approx(30.0)
        assert stopped(stage)["a"][0] == "killed"


async def test_1_7_1_a_brutal_kill_does_not_ask() -> None:
    """Under brutal_kill a child is not asked: none of its clean-up runs."""
    stage = Stage()
    async with stage.serve([stage.child("a", shutdown=BRUTAL_KILL), stage.child("b")]):
        for id in "ab":
            await terminate(stage, id)
    assert stage.reasons == [("b", Shutdown())]


@pytest.mark.parametrize("shutdown", [INFINITY, 5.0, 1.0])
async def test_1_7_2_the_next_sibling_is_asked_after_the_last_is_dead(shutdown: Any) -> None:
    """Children are stopped one at a time, and the wait is for death, not for the request."""
    stage = Stage()
    diary: list[str] = []
    tree = stage.children("abc", shutdown=shutdown)
    slow_stops(stage, "abc", 2.0, diary)
    seconds = await serve_and_leave(stage, tree)
    assert stage.take() == ends("cba")
    if shutdown == 1.0:
        assert diary == [f"{id} stops" for id in "cba"]
        assert seconds == pytest.approx(3.0)
    else:
        assert diary == [f"{id} {what}" for id in "cba" for what in ("stops", "is done")]
        assert seconds == pytest.approx(6.0)


async def test_1_7_2_a_child_that_holds_on_delays_the_next() -> None:
    """A child that is killed at its deadline and lives on keeps the one before it running."""
    stage = Stage()
    async with stage.serve([stage.child("a"), stage.child("b", shutdown=1.0)]):
        stage.act("b", clinging(10.0))
        await settle()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await anyio.sleep(9.0)
            assert await stage.refs["a"].ask(Life()) == 1
            assert stage.take() == starts("ab")
    assert stage.take() == ends("ba")


@pytest.mark.parametrize(
    ("shutdown", "stop", "reason", "expected"),
    [
        (5.0, None, "shutdown", True),
        (INFINITY, None, "shutdown", True),
        (BRUTAL_KILL, None, "killed", True),
        (1.0, 50.0, "killed", False),
        (5.0, Boom("late"), "crashed: Boom: late", False),
    ],
)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_7_3_what_was_asked_for_is_expected(
    restart: str, shutdown: Any, stop: Any, reason: str, expected: bool
) -> None:
    """`Shutdown` is expected, a kill under brutal_kill only; all else is reported as an error."""
    stage = Stage()
    tree = [stage.child("a", restart=restart, shutdown=shutdown, stop=stop)]
    async with stage.serve(tree, max_restarts=0):
        await terminate(stage, "a")
        await settle()
        assert stopped(stage) == {"a": (reason, expected)}
        assert exits(stage) == []


@pytest.mark.parametrize("how", ["the tree stops", "a round", "giving up"])
async def test_1_7_3_an_error_while_stopping_is_ignored(how: str) -> None:
    """An error or a kill while children are stopped never ends the shutdown nor counts."""
    stage = Stage()
    tree = [stage.child("x"), *stage.children("abc", shutdown=1.0)]
    stops: dict[str, Step] = {"a": Boom("a"), "b": 50.0, "c": Boom("c")}
    if how == "giving up":
        async with stage.dying(tree, max_restarts=0) as app:
            stage.stops |= stops
            stage.crash("x")
            await end_of(app)
    else:
        async with stage.serve(tree, strategy="one_for_all", max_restarts=1):
            stage.stops |= stops
            if how == "a round":
                stage.crash("x")
                await anyio.sleep(2.0)
                stage.stops.clear()
                assert set((await stage.states()).values()) == {"running"}
    told = [event.expected for event in stage.told(ChildStopped)]
    assert told[:3] == [False] * 3
    crashed = ["-x"] if how != "the tree stops" else []
    trace = stage.take()[4:]
    assert trace[: len(crashed) + 3] == [*crashed, *ends("cba")]


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_1_7_4_a_child_that_is_dead_already_is_taken_as_it_is(
    restart: str, reason: ExitReason
) -> None:
    """The real reason of a child that died before its turn is reported, and nothing else done."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("b", restart=restart), stage.child("c", stop=1.0)]
    async with stage.serve(tree, max_restarts=0, strategy="one_for_all"):
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await settle()
            stage.end("b", reason)
            await settle()
            assert stage.take() == ["-b"]
    assert stage.take() == ends("ca")
    orderly = restart != "permanent" and not reason.is_abnormal
    assert stopped(stage)["b"] == (str(reason), orderly or reason == Shutdown())
    assert exits(stage) == []


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_7_4_its_exit_is_not_handled_a_second_time(strategy: str) -> None:
    """A sibling that died before its turn in a round is not restarted once more for that."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=1):
        stage.stops["c"] = 1.0
        stage.take()
        stage.crash("a")
        await settle()
        stage.crash("b")
        await anyio.sleep(1.5)
        stage.stops.clear()
        assert stage.take() == [*ends("abc"), *starts("abc")]
        assert [info.restarts for info in await stage.infos()] == [1, 1, 1]


@pytest.mark.parametrize("shutdown", [INFINITY, 5.0, BRUTAL_KILL])
async def test_1_7_5_a_child_that_unlinked_itself_cannot_hang_its_supervisor(shutdown: Any) -> None:
    """A child that unlinked itself is stopped, awaited and restarted like any other."""
    stage = Stage()

    def unlink(worker: Worker) -> None:
        worker.context.unlink(stage.top)

    async with stage.serve([stage.child("a"), stage.child("b", shutdown=shutdown)]):
        stage.act("b", unlink)
        stage.crash("b")
        await settle()
        assert stage.take() == [*starts("ab"), "-b", "+b"]
        stage.act("b", unlink)
        await settle()
        await terminate(stage, "b")
        assert stage.take() == ["-b"]
        await stage.top.ask(RestartChild("b"))
        stage.act("b", unlink)
        await settle()
    assert stage.take() == ["+b", "-b", "-a"]


async def test_1_7_6_a_supervisor_with_a_deadline_is_killed_with_its_subtree() -> None:
    """A supervisor killed in the middle of stopping takes its children along, and goes last."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xyz", stop=9.0, shutdown=99.0), shutdown=10.0)
    seconds = await serve_and_leave(stage, [stage.child("a"), inner])
    trace = stage.take()
    assert trace[0] == "-in/z"  # it had its 9 seconds; y had one of them
    assert sorted(trace[1:3]) == ["-in/x", "-in/y"]
    assert trace[3:] == ["-in", "-a"]
    assert seconds == pytest.approx(10.0)
    assert stopped(stage)["in"] == ("killed", False)


@pytest.mark.parametrize("spec", [SupervisorSpec, DynamicSupervisorSpec])
async def test_1_7_6_infinity_is_the_default(spec: Any) -> None:
    """A nested supervisor has for ever to stop its children, unless it is told otherwise."""
    stage = Stage()
    async with stage.serve([spec("in")]) as app:
        child = stage.child("x", shutdown=9999.0, stop=5000.0)
        await app.find("in").ask(StartChild(child))
        assert await terminate(stage, "in") == pytest.approx(5000.0)
    assert [event.expected for event in stage.told(ChildStopped)] == [True, True]


@pytest.mark.parametrize("spec", [SupervisorSpec, DynamicSupervisorSpec])
async def test_1_7_7_an_old_deadline_does_not_hit_the_next_incarnation(spec: Any) -> None:
    """The timer of a child that stopped in time is off when the child is started again."""
    stage = Stage()
    async with stage.serve(spec("top", max_restarts=0)):
        child = stage.child("a", shutdown=5.0)
        again = StartChild(child) if spec is DynamicSupervisorSpec else RestartChild("a")
        await stage.top.ask(StartChild(child))
        await terminate(stage, "a")
        await stage.top.ask(again)
        await anyio.sleep(60.0)
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a", "-a", "+a"]
    assert exits(stage) == []


async def test_1_7_7_an_old_retry_does_not_hit_the_next_incarnation() -> None:
    """A retry that was voided does nothing when its time comes, to whoever has the id then."""
    stage = Stage()
    slow = Backoff(10.0, 10.0, jitter=False)
    async with stage.serve([stage.child("a", backoff=slow)], max_restarts=3):
        stage.crash("a")
        await anyio.sleep(5.0)
        await terminate(stage, "a")
        await stage.top.ask(RestartChild("a"))
        stage.crash("a")
        await anyio.sleep(6.0)  # the first retry would be due now
        assert await stage.states() == {"a": "restarting"}
        await anyio.sleep(6.0)
        assert stage.take() == ["+a", "-a", "+a", "-a", "+a"]


async def test_1_7_7_the_exit_of_a_stopped_child_is_nobody_elses() -> None:
    """A child that is killed at its deadline leaves nothing that another would be taken for."""
    stage = Stage()
    name = Name[Any]("only one")
    tree = [stage.child("a", name=name, shutdown=1.0, stop=50.0), stage.child("b")]
    async with stage.serve(tree, max_restarts=0, strategy="one_for_all") as app:
        await terminate(stage, "a")
        stage.stops.clear()
        assert await answer_to(stage.top, StartChild(stage.child("c", name=name))) == "/top/c"
        await anyio.sleep(60.0)
        assert app.system.whereis(name) == stage.refs["c"]
        assert await stage.states() == {"a": "terminated", "b": "running", "c": "running"}

"""Tests of the three strategies: who is stopped and started when one child is restarted."""

import anyio
import pytest

from actors import Ignore, Normal
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    RestartChild,
    StartChild,
    Strategy,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import ChildStopped
from tests.supervision.kit import Boom, Note, Stage

pytestmark = pytest.mark.dead_letters

ROUNDS = ["one_for_all", "rest_for_one"]


def test_the_strategies_are_those_of_otp() -> None:
    """The strategies carry the words of OTP."""
    assert [str(word) for word in Strategy] == ["one_for_one", "one_for_all", "rest_for_one"]


@pytest.mark.parametrize(
    ("strategy", "trace"),
    [
        ("one_for_one", ["-b", "+b"]),
        ("one_for_all", ["-b", "-d", "-c", "-a", "+a", "+b", "+c", "+d"]),
        ("rest_for_one", ["-b", "-d", "-c", "+b", "+c", "+d"]),
    ],
)
async def test_a_crash_moves_what_the_strategy_says(strategy: str, trace: list[str]) -> None:
    """Siblings stop in reverse order, then all start in order, the crashed one in its place."""
    stage = Stage()
    async with stage.serve(stage.children("abcd"), strategy=strategy):
        stage.take()
        stage.crash("b")
        await settle()
        assert stage.take() == trace
        assert list(await stage.states()) == list("abcd")


@pytest.mark.parametrize(
    ("crashed", "trace"),
    [
        ("a", ["-a", "-c", "-b", "+a", "+b", "+c"]),
        ("b", ["-b", "-c", "+b", "+c"]),
        ("c", ["-c", "+c"]),
    ],
)
async def test_rest_for_one_begins_at_the_crashed_child(crashed: str, trace: list[str]) -> None:
    """Under rest_for_one the children before the crashed one are untouched."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="rest_for_one"):
        stage.take()
        stage.crash(crashed)
        await settle()
        assert stage.take() == trace


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_siblings_are_stopped_completely_before_the_first_start(strategy: str) -> None:
    """In a round each sibling is dead before the next is told, and all before the first start."""
    stage = Stage()
    diary: list[str] = []

    def slowly(id: str) -> None:
        async def stop(worker: object) -> None:
            diary.append(f"{id} stops")
            await anyio.sleep(2.0)
            diary.append(f"{id} is dead")

        stage.stops[id] = stop

    async with stage.serve(stage.children("abc"), strategy=strategy):
        slowly("b")
        slowly("c")
        stage.take()
        stage.crash("a")
        await anyio.sleep(4.5)
        assert diary == ["c stops", "c is dead", "b stops", "b is dead"]
        assert stage.take() == ["-a", "-c", "-b", "+a", "+b", "+c"]
        stage.stops.clear()


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_a_round_brings_back_those_that_did_not_run(strategy: str) -> None:
    """A round starts ended transient, terminated and ignored children as well."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("ended", restart="transient"),
        stage.child("terminated"),
        stage.child("ignored", start=[Ignore()]),
    ]
    async with stage.serve(children, strategy=strategy):
        stage.end("ended", Normal())
        await stage.top.ask(TerminateChild("terminated"))
        await settle()
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "+a", "+ended", "+terminated", "+ignored"]
        assert set((await stage.states()).values()) == {"running"}


async def test_one_for_one_brings_back_nobody_else() -> None:
    """Under one_for_one the crash of one child does not start another that did not run."""
    stage = Stage()
    async with stage.serve(stage.children("ab")):
        await stage.top.ask(TerminateChild("b"))
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running", "b": "terminated"}


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_temporary_siblings_in_a_round_are_removed(strategy: str) -> None:
    """Temporary siblings in range are stopped and their specs removed; they never come back."""
    stage = Stage()
    children = [
        stage.child("t", restart="temporary"),
        stage.child("a"),
        stage.child("u", restart="temporary"),
        stage.child("b"),
    ]
    async with stage.serve(children, strategy=strategy):
        ref = stage.refs["u"]
        stage.take()
        stage.crash("a")
        await settle()
        stopped = ["-a", "-b", "-u"] + (["-t"] if strategy == "one_for_all" else [])
        assert stage.take() == [*stopped, "+a", "+b"]
        left = ["a", "b"] if strategy == "one_for_all" else ["t", "a", "b"]
        assert list(await stage.states()) == left
        ref.tell(Note("x"))
        assert stage.take_dead() == [("x", "a temporary child in a round of restarts")]


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_each_sibling_is_stopped_by_its_own_shutdown_value(strategy: str) -> None:
    """In a round siblings get their own time to stop, and are killed after it."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("brutal", shutdown=BRUTAL_KILL),
        stage.child("slow", shutdown=2.0),
        stage.child("quick", shutdown=2.0),
    ]
    async with stage.serve(children, strategy=strategy):
        stage.stops["slow"] = 100.0
        began = anyio.current_time()
        stage.crash("a")
        await anyio.sleep(3.0)
        stage.stops["slow"] = None
        told = {event.ref.path.rpartition("/")[2]: event for event in stage.told(ChildStopped)}
        assert {id: str(event.reason) for id, event in told.items()} == {
            "quick": "shutdown",
            "slow": "killed",
            "brutal": "killed",
        }
        assert [told[id].expected for id in ("quick", "slow", "brutal")] == [True, False, True]
        assert told["slow"].seconds == pytest.approx(2.0)
        assert anyio.current_time() - began == pytest.approx(3.0)


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_an_error_while_a_sibling_is_stopped_changes_nothing(strategy: str) -> None:
    """A sibling that crashes while it is stopped in a round neither counts nor ends the round."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=1):
        stage.stops["b"] = stage.stops["c"] = Boom("while stopping")
        stage.take()
        stage.crash("a")
        await settle()
        stage.stops.clear()
        assert stage.take() == ["-a", "-c", "-b", "+a", "+b", "+c"]
        assert [event.expected for event in stage.told(ChildStopped)] == [False, False]


async def test_a_round_is_one_restart_however_many_die_at_once() -> None:
    """Under one_for_all several children that die together cost one restart."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=1):
        async with stage.busy():
            for id in "bca":
                stage.crash(id)
                await settle()
            stage.take()
        assert stage.take() == ["+a", "+b", "+c"]


async def test_one_for_one_counts_each_death() -> None:
    """Under one_for_one children that die together cost one restart each."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), max_restarts=3):
        async with stage.busy():
            for id in "bca":
                stage.crash(id)
                await settle()
            stage.take()
        assert stage.take() == ["+b", "+c", "+a"]


@pytest.mark.parametrize(
    ("order", "rounds"),
    [("ab", ["+a", "+b", "+c"]), ("ba", ["-c", "+b", "+c", "-c", "-b", "+a", "+b", "+c"])],
)
async def test_in_rest_for_one_the_order_of_death_decides(order: str, rounds: list[str]) -> None:
    """First a then b is one round that covers both; first b then a is two rounds."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="rest_for_one", max_restarts=2):
        async with stage.busy():
            for id in order:
                stage.crash(id)
                await settle()
            stage.take()
        trace = stage.take()
        assert trace == (["-c", *rounds] if order == "ab" else rounds)


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_children_added_later_take_part(strategy: str) -> None:
    """A child added by `StartChild` is last in the order and is restarted with the others."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), strategy=strategy):
        await stage.top.ask(StartChild(stage.child("late")))
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-late", "-b", "+a", "+b", "+late"]


async def test_a_restarted_supervisor_has_its_original_children() -> None:
    """Children added at run time are lost when the supervisor itself restarts."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x"), stage.child("y", restart="transient")])
    async with stage.serve([inner]) as app:
        sup = app.find("in")
        await sup.ask(StartChild(stage.child("late")))
        await sup.ask(TerminateChild("x"))
        assert await stage.states(sup) == {"x": "terminated", "y": "running", "late": "running"}
        sup.kill()
        await settle()
        assert await stage.states(sup) == {"x": "running", "y": "running"}


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_the_trigger_may_ignore_its_restart(strategy: str) -> None:
    """If the child that triggered a round ignores its start then, the others go on without it."""
    stage = Stage()
    children = [stage.child("a", start=[None, Ignore()]), stage.child("b")]
    async with stage.serve(children, strategy=strategy, max_restarts=1):
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "+b", "-a", "-b", "~a", "+b"]
        assert await stage.states() == {"a": "terminated", "b": "running"}


async def test_an_ignored_restart_counts_as_done() -> None:
    """Under one_for_one a child that ignores its restart stays down, without another try."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, Ignore()])], max_restarts=1):
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "terminated"}
        stage.refs["a"].tell(Note("x"))
        assert stage.take_dead() == [("x", "ignored its start")]
        await stage.top.ask(RestartChild("a"))
        assert stage.take() == ["+a", "-a", "~a", "+a"]


async def test_the_start_order_survives_everything() -> None:
    """The start order is kept through restarts, and given by it all rounds go."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=10):
        for id in "cbabc":
            stage.crash(id)
            await settle()
        assert list(await stage.states()) == ["a", "b", "c"]
        stage.take()
    assert stage.take() == ["-c", "-b", "-a"]


async def test_a_crash_in_the_start_phase_of_a_round_waits_for_its_end() -> None:
    """A child that crashes while a round still starts others is handled after that round."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", start=[None, 1.0])]
    async with stage.serve(children, strategy="one_for_all", max_restarts=2):
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-b", "+a"]
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a"]
        await anyio.sleep(1.0)
        await settle()
        assert stage.take() == ["+b", "-b", "+a", "+b"]


async def test_a_sibling_that_dies_before_its_turn_in_a_round_is_taken_as_it_is() -> None:
    """A sibling that is dead when its turn to stop comes is reported with its real reason."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=1):
        stage.stops["c"] = 1.0
        stage.crash("a")
        await settle()
        error = Boom("just now")
        stage.crash("b", error)
        await anyio.sleep(1.5)
        stage.stops.clear()
        assert stage.take() == ["+a", "+b", "+c", "-a", "-b", "-c", "+a", "+b", "+c"]
        told = {event.ref.path: event for event in stage.told(ChildStopped)}
        assert getattr(told["/top/b"].reason, "error", None) is error
        assert not told["/top/b"].expected

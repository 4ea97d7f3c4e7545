"""OTP 1.4: which siblings a restart stops and starts, and how many restarts that is."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from actors import Ignore, Normal
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    ChildSpec,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from tests.kit.stage import Stage
from tests.kit.statements import (
    ROUNDS,
    STRATEGIES,
    answer_to,
    die_together,
    end_of,
    ends,
    exits,
    slow_stops,
    starts,
    stopped,
)
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters

ALL = "abcd"


@pytest.mark.parametrize("crashed", ALL)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_4_1_the_strategy_says_who_moves(strategy: str, crashed: str) -> None:
    """The crashed child alone, all, or those from it on: stopped in reverse, started in order."""
    stage = Stage()
    async with stage.serve(stage.children(ALL), strategy=strategy):
        stage.take()
        stage.crash(crashed)
        await settle()
        moved = {
            "one_for_one": crashed,
            "one_for_all": ALL,
            "rest_for_one": ALL[ALL.index(crashed) :],
        }[strategy]
        others = moved.replace(crashed, "")[::-1]
        assert stage.take() == [*ends(crashed + others), *starts(moved)]
        assert list(await stage.states()) == list(ALL)
    assert stage.take() == ends("dcba")


async def test_1_4_2_a_nested_supervisor_moves_as_one_child() -> None:
    """In a round a nested supervisor stops with its whole subtree, and starts with it again."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"))
    async with stage.serve([stage.child("a"), inner, stage.child("b")], strategy="one_for_all"):
        stage.take()
        stage.crash("b")
        await settle()
        stops = ["-b", "-in/y", "-in/x", "-in", "-a"]
        assert stage.take() == [*stops, "+a", "+in/x", "+in/y", "+in", "+b"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_4_4_a_round_starts_also_those_that_did_not_run(strategy: str) -> None:
    """Ended, terminated and ignored children in range come back in a round, at their places."""
    stage = Stage()
    tree = [
        stage.child("u", restart="transient"),
        stage.child("v", start=[Ignore()]),
        stage.child("a"),
        stage.child("e", restart="transient"),
        stage.child("t"),
        stage.child("i", start=[Ignore()], restart="transient"),
        stage.child("z"),
    ]
    async with stage.serve(tree, strategy=strategy):
        for id in "ue":
            stage.end(id, Normal())
        await stage.top.ask(TerminateChild("t"))
        await settle()
        stage.take()
        stage.crash("a")
        await settle()
        rounds = {
            "one_for_one": ["-a", "+a"],
            "one_for_all": ["-a", "-z", *starts("uvaetiz")],
            "rest_for_one": ["-a", "-z", *starts("aetiz")],
        }
        assert stage.take() == rounds[strategy]
        running = {entry[1] for entry in rounds[strategy] if entry[0] == "+"} | {"z"}
        assert await stage.states() == {
            id: "running" if id in running else "terminated" for id in "uvaetiz"
        }


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_4_5_temporary_siblings_in_range_are_gone(strategy: str) -> None:
    """Temporary siblings in range are terminated in their turn, and their specs removed."""
    stage = Stage()
    tree = [
        stage.child("s", restart="temporary"),
        stage.child("a"),
        stage.child("t", restart="temporary"),
        stage.child("b"),
        stage.child("u", restart="temporary"),
    ]
    async with stage.serve(tree, strategy=strategy, max_restarts=2):
        stage.take()
        stage.crash("a")
        await settle()
        left = "ab" if strategy == "one_for_all" else "sab"
        before = "s" if strategy == "one_for_all" else ""
        assert stage.take() == [*ends(f"aubt{before}"), *starts("ab")]
        assert list(await stage.states()) == list(left)
        stage.crash("b")
        await settle()
        assert not {"+s", "+t", "+u"} & set(stage.take())
        assert await answer_to(stage.top, RestartChild("t")) == "ChildNotFound"


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_4_6_all_are_dead_before_the_first_start(strategy: str) -> None:
    """Siblings stop one by one, each dead before the next is asked, and all before any start."""
    stage = Stage()
    diary: list[str] = []
    async with stage.serve(stage.children("abcd"), strategy=strategy):
        slow_stops(stage, "bcd", 1.0, diary)
        stage.take()
        began = anyio.current_time()
        stage.crash("a")
        await anyio.sleep(2.5)
        assert stage.take() == ends("adc")
        await anyio.sleep(0.6)
        assert stage.take() == ["-b", *starts("abcd")]
        assert diary == [f"{id} {what}" for id in "dcb" for what in ("stops", "is done")]
        assert anyio.current_time() - began == pytest.approx(3.1)
        stage.stops.clear()


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_4_6_each_sibling_has_its_own_shutdown_value(strategy: str) -> None:
    """In a round a sibling is stopped by its own value: asked, killed at once, or when late."""
    stage = Stage()
    tree = [
        stage.child("a"),
        stage.child("brutal", shutdown=BRUTAL_KILL),
        stage.child("late", shutdown=2.0),
        stage.child("slow", shutdown=9.0),
    ]
    async with stage.serve(tree, strategy=strategy):
        stage.stops |= {"brutal": 50.0, "late": 50.0, "slow": 3.0}
        stage.take()
        stage.crash("a")
        await anyio.sleep(4.9)
        assert stage.take() == ["-a", "-slow"]
        await anyio.sleep(0.2)
        assert stage.take()[:2] == ["-late", "-brutal"]
        assert stopped(stage) == {
            "slow": ("shutdown", True),
            "late": ("killed", False),
            "brutal": ("killed", True),
        }
        stage.stops.clear()


ORDERS = ["abc", "acb", "bac", "bca", "cab", "cba"]


def rounds_for(strategy: str, order: str) -> int:
    """Count the rounds for three children that die together in this order."""
    if strategy == "one_for_one":
        return 3
    if strategy == "one_for_all":
        return 1
    rounds, covered = 0, "d"
    for id in order:
        if id < covered:  # no earlier round began at this child or before it
            rounds, covered = rounds + 1, id
    return rounds


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_4_7_a_round_counts_once_for_all_whom_it_covers(strategy: str, order: str) -> None:
    """Children that die together cost one restart for each round, not for each child."""
    stage = Stage()
    rounds = rounds_for(strategy, order)
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=rounds):
        await die_together(stage, order)
        assert set((await stage.states()).values()) == {"running"}
        assert len(exits(stage)) == rounds
    short = Stage()
    async with short.dying(
        short.children("abc"), strategy=strategy, max_restarts=rounds - 1
    ) as app:
        await die_together(short, order)
        await end_of(app)
    assert exits(short)[-1].endswith("give up")


async def test_1_4_7_a_swallowed_exit_is_reported() -> None:
    """The exit of a sibling that died before its turn is swallowed, and reported as an error."""
    stage = Stage()
    tree = [
        stage.child("a"),
        stage.child("p"),
        stage.child("t", restart="transient"),
        stage.child("n", restart="transient"),
    ]
    async with stage.serve(tree, strategy="one_for_all", max_restarts=1):
        async with stage.busy():
            stage.crash("a")
            await settle()
            for id in "pn":
                stage.end(id, Normal())
            stage.crash("t")
            await settle()
        assert exits(stage) == ["a: restart"]
        assert stopped(stage) == {
            "n": ("normal", True),
            "t": ("crashed: Boom: t", False),
            "p": ("normal", False),
        }


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_4_8_children_added_later_take_part(strategy: str) -> None:
    """A child added by `StartChild` is last in the order, and moves with the others."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), strategy=strategy, max_restarts=2):
        await stage.top.ask(StartChild(stage.child("y")))
        await stage.top.ask(StartChild(stage.child("z")))
        stage.take()
        stage.crash("b")
        await settle()
        before = "a" if strategy == "one_for_all" else ""
        assert stage.take() == [*ends(f"bzy{before}"), *starts(f"{before}byz")]
        stage.crash("y")
        await settle()
        before = "ba" if strategy == "one_for_all" else ""
        assert stage.take() == [*ends(f"yz{before}"), *starts(f"{before[::-1]}yz")]
    assert stage.take() == ends("zyba")


@pytest.mark.parametrize("how", ["killed", "gave up"])
async def test_1_4_8_they_are_lost_when_the_supervisor_restarts(how: str) -> None:
    """A supervisor that is restarted begins with the children of its spec, and no others."""
    stage = Stage()
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=0)
    async with stage.serve([inner]) as app:
        ref = app.find("in")
        await ref.ask(StartChild(stage.child("z")))
        await ref.ask(TerminateChild("y"))
        assert list(await stage.states(ref)) == ["x", "y", "z"]
        if how == "killed":
            ref.kill()
        else:
            stage.crash("x")
        await settle()
        assert await stage.states(ref) == {"x": "running", "y": "running"}
        assert not stage.refs["z"].is_alive


async def test_1_4_9_dynamic_children_are_restarted_one_by_one_as_they_were() -> None:
    """A dynamic supervisor restarts each child alone, from its own spec."""
    stage = Stage()
    made: list[str] = []

    def start(argument: str) -> Worker:
        made.append(argument)
        return Worker(stage, argument[0])

    async with stage.serve(DynamicSupervisorSpec("top", max_restarts=2)):
        for argument in ("a1", "b2", "c3"):
            await stage.top.ask(StartChild(ChildSpec(argument[0], partial(start, argument))))
        stage.take()
        made.clear()
        for id in "bc":
            stage.crash(id)
            await settle()
        assert stage.take() == ["-b", "+b", "-c", "+c"]
        assert made == ["b2", "c3"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_4_10_the_trigger_may_ignore_its_restart(strategy: str) -> None:
    """If the child that triggered a round is ignored in it, it stays down and the round goes on."""
    stage = Stage()
    tree = [stage.child("a", start=[None, Ignore(), Ignore()]), *stage.children("bc")]
    async with stage.dying(tree, strategy=strategy, max_restarts=1) as app:
        stage.take()
        stage.crash("a")
        await settle()
        moved = [] if strategy == "one_for_one" else ["b", "c"]
        assert stage.take() == ["-a", *ends("".join(moved[::-1])), "~a", *starts("".join(moved))]
        assert await stage.states() == {"a": "terminated", "b": "running", "c": "running"}
        stage.crash("b")  # the ignored restart is a done one: it counts, and once only
        await end_of(app)
    assert stage.take() == ["-b", "-c"]


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_4_10_a_sibling_may_ignore_a_round_too(strategy: str) -> None:
    """A sibling that is ignored in a round stays down, and those behind it start."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("b", start=[None, Ignore()]), stage.child("c")]
    async with stage.serve(tree, strategy=strategy, max_restarts=1):
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == [*ends("acb"), "+a", "~b", "+c"]
        assert await stage.states() == {"a": "running", "b": "terminated", "c": "running"}

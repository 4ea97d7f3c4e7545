"""What re-implementations of OTP get wrong, 1 to 13: restarts, rounds and stops.

Each test is aimed at one mistake, and as short as that allows; the tests of the statements
(`test_1_*.py`) show the rules in full. `STATEMENTS.md` maps the mistakes to their tests.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Ignore, Ref
from supervision import (
    ChildStartFailed,
    CountChildren,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import SupervisorGaveUp
from tests.semantics.kit import (
    ROUNDS,
    STRATEGIES,
    Boom,
    Stage,
    clinging,
    crash_times,
    die_together,
    end_of,
    ends,
    exits,
    failing_after,
    forever,
    settle,
    slow_stops,
    starts,
    stopped,
)

pytestmark = pytest.mark.dead_letters


@pytest.mark.parametrize("allowed", [0, 1, 3])
async def test_mistake_01_the_budget_is_asked_before_the_restart_and_exactly(allowed: int) -> None:
    """An intensity of N allows N restarts, and the exit after them moves nobody first."""
    stage = Stage()
    tree = stage.children("ab")
    async with stage.dying(tree, strategy="one_for_all", max_restarts=allowed) as app:
        await crash_times(stage, "a", allowed)
        assert await stage.states() == {"a": "running", "b": "running"}
        stage.take()
        stage.crash("a")
        await end_of(app)
    assert stage.take() == ends("ab")


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_mistake_02_a_failed_attempt_counts_once(kind: Any) -> None:
    """A start that always fails is tried as often as the intensity says, and not once more."""
    stage = Stage()
    async with stage.dying(kind("top", max_restarts=5)) as app:
        tries = [None, *(Boom() for _ in range(50))]
        await stage.top.ask(StartChild(stage.child("a", start=tries)))
        stage.crash("a")
        await end_of(app)
    assert stage.take() == ["+a", "-a", *["!a"] * 5]


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_mistake_03_a_retry_goes_through_the_mailbox(kind: Any) -> None:
    """A supervisor that tries for ever to restart a child answers, and can be stopped."""
    stage = Stage()

    async def fail(worker: object) -> None:
        await anyio.sleep(0.1)
        raise Boom

    async with stage.serve([kind("in", max_restarts=10_000)]) as app:
        ref: Ref[Any] = app.find("in")
        await ref.ask(StartChild(stage.child("a", start=[None, *[fail] * 5_000])))
        stage.crash("a")
        await anyio.sleep(10.0)
        began = anyio.current_time()
        assert (await ref.ask(CountChildren())).active == 0
        await stage.top.ask(TerminateChild("in"), timeout=None)
        assert anyio.current_time() - began < 0.5


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_mistake_04_a_restart_that_fails_does_not_end_the_supervisor(strategy: str) -> None:
    """A start that raises in a restart is tried again; only a first start that raises ends all."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, Boom()])], strategy=strategy):
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running"}
    with pytest.raises(ChildStartFailed):
        async with stage.serve([stage.child("a", start=[Boom(), None])], strategy=strategy):
            pass


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_mistake_05_only_one_for_all_begins_the_round_again(strategy: str) -> None:
    """After a failed start one_for_all starts over, and rest_for_one goes on where it failed."""
    stage = Stage()
    tree = [*stage.children("ab"), stage.child("c", start=[None, Boom()]), stage.child("d")]
    async with stage.serve(tree, strategy=strategy):
        stage.take()
        stage.crash("a")
        await settle()
        again = [*ends("ba"), *starts("abcd")] if strategy == "one_for_all" else starts("cd")
        assert stage.take() == [*ends("adcb"), *starts("ab"), "!c", *again]


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_mistake_06_what_a_failed_round_started_is_neither_stopped_nor_forgotten(
    strategy: str,
) -> None:
    """Siblings that a failed round started stay up until the retry, and are stopped at the end."""
    stage = Stage()
    between: list[list[str]] = []
    answers: list[str] = []
    look = failing_after(
        stage,
        answers,
        CountChildren(),
        then=lambda worker: between.append(stage.take()),
    )
    tree = [*stage.children("ab"), stage.child("c", start=[None, look])]
    async with (
        anyio.create_task_group() as stage.tasks,
        stage.dying(tree, strategy=strategy, max_restarts=1) as app,
    ):
        stage.take()
        stage.crash("a")
        await end_of(app)
    assert between == [[*ends("acb"), *starts("ab")]]
    assert answers == ["ChildCounts(specs=3, active=2, supervisors=0, workers=3)"]
    assert stage.take() == ["!c", *ends("ba")]


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_mistake_07_a_round_revives_all_but_temporary_children(strategy: str) -> None:
    """Ended, terminated and ignored children come back in a round, and temporary ones never do."""
    stage = Stage()
    tree = [
        stage.child("a"),
        stage.child("e", restart="transient"),
        stage.child("i", start=[Ignore()]),
        stage.child("o"),
        stage.child("t", restart="temporary"),
        stage.child("u", restart="temporary"),
    ]
    async with stage.serve(tree, strategy=strategy):
        stage.end("e")
        await stage.top.ask(TerminateChild("o"))
        stage.end("u")
        await settle()
        stage.take()
        stage.crash("a")
        await settle()
        assert stage.take() == [*ends("at"), *starts("aeio")]
        assert await stage.states() == dict.fromkeys("aeio", "running")


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_mistake_08_children_start_in_their_order_not_in_that_of_the_crashes(
    strategy: str,
) -> None:
    """Whoever crashed, and in whatever order, the round starts its children in start order."""
    stage = Stage()
    async with stage.serve(stage.children("abcd"), strategy=strategy, max_restarts=9):
        stage.take()
        await die_together(stage, "dcab")
        await settle()
        assert stage.take()[-4:] == starts("abcd")


async def test_mistake_09_the_death_of_a_sibling_in_a_round_is_no_crash() -> None:
    """Siblings that die in a round, by its order or their own doing, cost no further restart."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=2):
        stage.stops["b"] = Boom("while it stops")
        await die_together(stage, "ac")
        assert exits(stage) == ["a: restart"]
        stage.stops["b"] = None
        await crash_times(stage, "a", 1)
        assert await stage.states() == dict.fromkeys("abc", "running")
        assert stage.told(SupervisorGaveUp) == []


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_mistake_09_an_exit_that_is_left_over_does_not_end_the_next_incarnation(
    strategy: str,
) -> None:
    """An exit that a round has taken in already, and that still waits, is nobody's any more."""
    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy=strategy, max_restarts=1):
        await die_together(stage, "acb")
        assert stage.take() == [*starts("abc"), *ends("acb"), *starts("abc")]
        assert [info.restarts for info in await stage.infos()] == [1, 1, 1]


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_mistake_10_no_restart_begins_once_the_stop_has_begun(kind: Any) -> None:
    """A child that crashes while its supervisor is stopping does not come back."""
    stage = Stage()
    async with stage.serve(kind("top")):
        for id in "abc":
            await stage.top.ask(StartChild(stage.child(id, stop=2.0, shutdown=9.0)))
        stage.stops["a"] = None
        stage.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await anyio.sleep(1.0)
            stage.crash("a")
    assert sorted(stage.take()) == ends("abc")
    assert exits(stage) == []


async def test_mistake_11_the_next_is_told_when_the_last_is_dead() -> None:
    """Children stop one after the other in reverse order, each subtree complete before the next."""
    stage = Stage()
    diary: list[str] = []
    inner = SupervisorSpec("in", stage.children("xy", shutdown=9.0))
    async with stage.serve([stage.child("a", shutdown=9.0), inner, stage.child("b", shutdown=9.0)]):
        slow_stops(stage, "abxy", 2.0, diary)
        began = anyio.current_time()
    assert diary == [f"{id} {what}" for id in "byxa" for what in ("stops", "is done")]
    assert anyio.current_time() == pytest.approx(began + 8.0)


async def test_mistake_12_a_dynamic_supervisor_waits_once_for_all_its_children() -> None:
    """A hundred children that do not stop are killed after one shutdown time, not a hundred."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top")):
        for number in range(100):
            await stage.top.ask(StartChild(stage.child(f"c{number}", stop=forever, shutdown=3.0)))
        began = anyio.current_time()
    assert anyio.current_time() == pytest.approx(began + 3.0)


async def test_mistake_13_after_the_kill_it_waits_for_the_death() -> None:
    """A child whose time is up is killed and waited for, before the next one is told to stop."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("b", shutdown=1.0)]
    async with stage.serve(tree):
        stage.act("b", clinging(7.0))
        await settle()
        stage.take()
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.top.shutdown, None)
            await anyio.sleep(6.5)
            assert stage.take() == []
            assert stage.refs["a"].is_alive
    assert stage.take() == ends("ba")
    assert anyio.current_time() == pytest.approx(began + 7.0)
    assert stopped(stage)["b"] == ("killed", False)


@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_mistake_13_an_error_while_one_stops_does_not_keep_the_others(kind: Any) -> None:
    """A child that fails while it stops is reported, and all the others are stopped as well."""
    stage = Stage()
    inner = kind("in", restart="transient")
    async with stage.serve([inner]) as app:
        ref: Ref[Any] = app.find("in")
        for id in "abc":
            await ref.ask(StartChild(stage.child(id)))
        stage.stops["b"] = stage.stops["c"] = Boom("while it stops")
        stage.take()
        await stage.top.ask(TerminateChild("in"))
        trace = stage.take()
        assert sorted(trace[:3]) == ["-in/a", "-in/b", "-in/c"]
        assert trace[3:] == ["-in"]
    assert {id for id, (_, expected) in stopped(stage).items() if not expected} == {"b", "c"}

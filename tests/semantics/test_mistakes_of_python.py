"""What re-implementations of OTP get wrong in Python alone: cancellation, groups, and exits.

Each test is aimed at one mistake, as in `test_mistakes.py`. The page does not number these; here
they have the numbers 31 to 37, in its order.
"""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from actors import Crashed, ExitReason, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import BRUTAL_KILL, IntensityExceeded, SupervisorSpec, TerminateChild
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    STRATEGIES,
    answer_to,
    clinging,
    end_of,
    ends,
    exits,
    starts,
    stopped,
)
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters


# -- 31: cancellation swallowed by `except Exception` or `finally: await` --------------------------


async def test_mistake_31_a_cancelled_owner_is_cancelled_in_the_end() -> None:
    """The tree stops in order when its owner is cancelled, which is no crash; then so is that."""
    stage = Stage()
    went_on: list[str] = []
    began = anyio.current_time()
    with anyio.move_on_after(1.0) as scope:
        async with stage.serve(stage.children("ab", stop=2.0)):
            await anyio.sleep_forever()
        went_on.append("behind the block")
    assert scope.cancelled_caught
    assert went_on == []
    assert anyio.current_time() == pytest.approx(began + 5.0)
    assert stage.take() == [*starts("ab"), *ends("ba")]
    assert exits(stage) == []
    assert stopped(stage) == {"b": ("shutdown", True), "a": ("shutdown", True)}


async def test_mistake_31_a_finally_that_awaits_does_not_save_a_child_from_its_kill() -> None:
    """A child whose clean-up awaits, or that catches everything, is dead when its kill is over."""
    stage = Stage()
    left: list[str] = []

    async def clean_up(worker: Worker) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            await anyio.sleep(1000.0)
            left.append("finally")

    async def carry_on(worker: Worker) -> None:
        for _ in range(5):
            try:
                await anyio.sleep(1000.0)
            except BaseException:
                continue
        left.append("loop")

    tree = stage.children("ab", shutdown=BRUTAL_KILL)
    async with stage.serve(tree):
        stage.act("a", clean_up)
        stage.act("b", carry_on)
        await settle()
        began = anyio.current_time()
        for id in "ab":
            await stage.top.ask(TerminateChild(id))
            assert not stage.is_inside(id, "run")
        assert anyio.current_time() - began < 0.5  # asyncio cancels anew a little later
    # The loop of b comes to its own end: each await of it was cut short.
    assert left == ["loop"]
    assert {id: reason for id, (reason, _) in stopped(stage).items()} == {
        "a": "killed",
        "b": "killed",
    }


# -- 32: exception groups that hide which child died, and why --------------------------------------


async def test_mistake_32_it_is_told_which_child_died_of_what() -> None:
    """A tree that gave up is one error, whose cause is the crash itself, not a group around it."""
    stage = Stage()
    error = Boom("the cause")
    inner = SupervisorSpec("in", stage.children("xy"), max_restarts=0)
    async with stage.dying([stage.child("a"), inner], max_restarts=0) as app:
        stage.crash("y", error)
        await end_of(app)
    assert stage.exited.__cause__ is error
    assert exits(stage) == ["y: give up", "in: give up"]
    assert isinstance(stage.exited.reason, Shutdown)
    exceeded = stage.exited.reason.detail
    assert isinstance(exceeded, IntensityExceeded)
    assert list(exceeded.crashes) == [error]


async def test_mistake_32_a_group_that_a_child_raises_is_its_crash() -> None:
    """A child that crashes with a group of errors has crashed with that, and is restarted."""
    stage = Stage()
    error = ExceptionGroup("both", [Boom("one"), LookupError("two")])
    async with stage.serve(stage.children("ab")):
        stage.crash("a", error)
        await settle()
        assert [str(info.state) for info in await stage.infos()] == ["running"] * 2
        assert stage.take() == [*starts("ab"), "-a", "+a"]
    ((_, reason),) = [entry for entry in stage.reasons if isinstance(entry[1], Crashed)]
    assert reason == Crashed(error)


# -- 33: "normal" and "cancelled from outside" taken for a crash -----------------------------------


async def test_mistake_33_a_cancellation_of_the_childs_own_is_its_own_affair() -> None:
    """A scope that a child cancels for itself, or a timeout in it, does not end the child."""
    stage = Stage()

    async def cancel_itself(worker: Worker) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        with anyio.move_on_after(1.0):
            await anyio.sleep_forever()

    async with stage.serve(stage.children("a"), max_restarts=0):
        stage.act("a", cancel_itself)
        await anyio.sleep(2.0)
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a"]


async def test_mistake_33_a_cancellation_that_nobody_ordered_is_a_crash(
    anyio_backend_name: str,
) -> None:
    """A CancelledError out of a child that was not told to stop is a crash like any other."""
    if anyio_backend_name == "trio":
        pytest.skip("trio lets nobody make a Cancelled")
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient")]):
        stage.crash("a", asyncio.CancelledError())
        await settle()
        assert exits(stage) == ["a: restart"]
        assert await stage.states() == {"a": "running"}


# -- 34: KeyboardInterrupt and SystemExit ----------------------------------------------------------


async def crash_one(stage: Stage, tree: list[Any], error: BaseException, **options: Any) -> None:
    """Serve a tree for ever, in which b crashes."""
    async with stage.serve(tree, **options, max_restarts=9):
        stage.crash("b", error)
        await anyio.sleep_forever()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_mistake_34_who_ends_the_process_is_not_restarted(
    kind: type[BaseException], strategy: str
) -> None:
    """A child that raises what ends the process brings the tree down in order, and is raised."""
    stage = Stage()
    with pytest.raises(kind):
        await crash_one(stage, stage.children("abc"), kind(), strategy=strategy)
    assert stage.take() == [*starts("abc"), *ends("bca")]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_mistake_34_nor_is_a_start_that_ends_the_process_tried_again(
    kind: type[BaseException],
) -> None:
    """The same raised in a start, or in a restart, is not tried again but raised."""
    for steps in ([kind()], [None, kind()]):
        stage = Stage()
        with pytest.raises(kind):
            await crash_one(stage, [stage.child("a"), stage.child("b", start=steps)], Boom())
        assert stage.everything.count("+a") == stage.everything.count("-a") == 1
        assert stage.everything.count("!b") == 1


# -- 35: a task that ends between the look at it and the cancel ------------------------------------


REASONS: list[ExitReason] = [Normal(), Crashed(Boom("now")), Killed()]


@pytest.mark.parametrize("first", ["child", "supervisor"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("reason", REASONS, ids=str)
async def test_mistake_35_a_child_that_ends_in_the_turn_in_which_it_is_stopped(
    reason: ExitReason, restart: str, first: str
) -> None:
    """A child that ends by itself in the very turn in which it is terminated is dead once."""
    stage = Stage()
    tree = [stage.child("a", restart=restart), stage.child("b")]
    async with stage.serve(tree, max_restarts=1):
        answers: list[str] = []

        async def end() -> None:
            await anyio.sleep(1.0)
            stage.end("a", reason)

        async def terminate() -> None:
            await anyio.sleep(1.0)
            answers.append(await answer_to(stage.top, TerminateChild("a")))

        async with anyio.create_task_group() as tasks:
            for step in (end, terminate) if first == "child" else (terminate, end):
                tasks.start_soon(step)
                await settle()
        await settle()
        # A temporary child may be gone for good before its supervisor is asked to stop it.
        assert answers in (["None"], ["ChildNotFound"] if restart == "temporary" else ["None"])
        assert (await stage.states()).pop("a", "terminated") == "terminated"
        trace = [entry for entry in stage.take() if entry != "+b"]
        assert trace in (["+a", "-a"], ["+a", "-a"] * (1 if restart == "temporary" else 2))
    assert not stage.refs["a"].is_alive


@pytest.mark.parametrize("deadline", [1.0, 0.0])
async def test_mistake_35_a_child_that_ends_in_the_turn_of_its_deadline(deadline: float) -> None:
    """A child that stops at the very moment of its kill is dead once, by one or the other."""
    stage = Stage()
    async with stage.serve(stage.children("abc", shutdown=deadline, stop=deadline)):
        stage.take()
    assert stage.take() == ends("cba")
    assert {reason for reason, _ in stopped(stage).values()} <= {"shutdown", "killed"}


# -- 36: shielded children -------------------------------------------------------------------------


async def test_mistake_36_no_second_incarnation_beside_a_shielded_one() -> None:
    """The replacement of a killed child does not start before its shielded code is done."""
    stage = Stage()
    async with stage.serve(stage.children("a")):
        stage.act("a", clinging(6.0))
        await settle()
        stage.refs["a"].kill()
        await anyio.sleep(5.0)
        assert stage.take() == ["+a"]
        await anyio.sleep(2.0)
        assert stage.take() == ["-a", "+a"]


# -- 37: level-triggered and edge-triggered cancellation -------------------------------------------


async def test_mistake_37_a_kill_goes_on_until_it_is_obeyed() -> None:
    """A child that swallows a cancellation is cancelled again at each further await."""
    stage = Stage()
    swallowed: list[int] = []

    async def swallow(worker: Worker) -> None:
        for number in range(7):
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                swallowed.append(number)

    async with stage.serve(stage.children("ab", shutdown=BRUTAL_KILL)):
        stage.act("b", swallow)
        await settle()
        began = anyio.current_time()
        await stage.top.ask(TerminateChild("b"))
        assert swallowed == list(range(7))
        assert anyio.current_time() - began < 0.5  # asyncio cancels anew a little later

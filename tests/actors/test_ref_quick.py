"""Tests of `Ref.ask` where the receiver is idle and can answer at once, by a plain function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorError,
    ActorSystem,
    Crashed,
    ProcExited,
    Ref,
    Refusal,
    Request,
    on,
)
from actors.testing import settle


@frozen
class Do:
    """Make the actor call `act` with itself."""

    act: Callable[[Any], Any]


@frozen
class Plain(Request[Any]):
    """Answer at once."""


class Quick(Actor[Plain | Do]):
    """Answer by a plain function, which does what `act` does."""

    def __init__(self, act: Callable[[Quick], Any]) -> None:
        self.act = act

    @on(Plain)
    def plain(self, message: Plain) -> Any:
        """Answer with what `act` returns."""
        return self.act(self)

    @on(Do)
    def do(self, message: Do) -> None:
        """Do it."""
        message.act(self)


@pytest.mark.parametrize("warm", [False, True])
async def test_a_loop_of_asks_lets_others_run(warm: bool) -> None:
    """One who asks without a pause lets other tasks run, and notices its cancellation."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(partial(Quick, lambda quick: 1))
        if warm:
            ref.tell(Do(lambda quick: None))
            await settle()
        turned = anyio.Event()

        async def other() -> None:
            turned.set()

        tasks.start_soon(other)
        asked = 0
        while not turned.is_set():
            asked += await ref.ask(Plain())
            assert asked <= 128
        with anyio.CancelScope() as scope:
            scope.cancel()
            for _ in range(128):
                await ref.ask(Plain())
        assert scope.cancelled_caught


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (lambda quick: quick.context.ref.kill(), "killed"),
        (lambda quick: quick.context.stop(), "normal"),
        (lambda quick: quick.context.ref.stop(), "normal"),
    ],
    ids=["kill", "context.stop", "stop"],
)
async def test_a_handler_that_ends_its_actor_still_answers(
    command: Callable[[Quick], None], reason: str, warm: bool
) -> None:
    """What a plain handler returns is the answer, even if it has stopped its actor meanwhile."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Quick, lambda quick: (command(quick), 5)[1]))
        if warm:
            ref.tell(Do(lambda quick: None))
            await settle()
        assert await ref.ask(Plain()) == 5
        assert str(await ref.wait()) == reason


@pytest.mark.dead_letters
@pytest.mark.parametrize("warm", [False, True])
async def test_a_crash_at_once_is_the_actors_own(warm: bool) -> None:
    """A plain handler that raises crashes its actor, and the asker gets ProcExited."""

    def fail(quick: Quick) -> None:
        raise ValueError("boom")

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Quick, fail), id="quick")
        system.monitor(ref, lambda down: None)
        if warm:
            ref.tell(Do(lambda quick: None))
            await settle()
        with pytest.raises(ProcExited) as raised:
            await ref.ask(Plain(), timeout=None)
        assert isinstance(raised.value.__cause__, ValueError)
        assert isinstance(await ref.wait(), Crashed)


async def test_an_ask_comes_after_what_its_sender_told() -> None:
    """An ask never overtakes a message that was told before, also when both find the actor idle."""
    seen: list[int] = []
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Quick, lambda quick: list(seen)))
        for number in range(5):
            ref.tell(Do(lambda quick, number=number: seen.append(number)))
            assert await ref.ask(Plain()) == list(range(number + 1))


@pytest.mark.dead_letters
@pytest.mark.parametrize("how", ["kill", "shutdown"])
async def test_an_asker_of_begun_work_learns_of_the_end(how: str) -> None:
    """An asker whose work goes on in a coroutine of a plain handler is never left waiting."""
    outcome: list[Any] = []

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return 3

    async def ask(ref: Ref[Plain]) -> None:
        try:
            outcome.append(await ref.ask(Plain()))
        except ActorError as error:
            outcome.append(error)

    async def end(ref: Ref[Plain]) -> None:
        if how == "kill":
            ref.kill()
        await ref.shutdown()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(partial(Quick, lambda quick: work()))
        ref.tell(Do(lambda quick: None))
        await settle()
        began = anyio.current_time()
        tasks.start_soon(ask, ref)
        tasks.start_soon(end, ref)
        await settle()
        assert anyio.current_time() == began
        assert outcome == [3] or isinstance(outcome[0], ProcExited)


async def test_a_stashed_request_is_not_refused() -> None:
    """A handler that stashes its request and then refuses has only stashed it."""
    calls: list[int] = []
    answers: list[Any] = []

    def stash_first(quick: Quick) -> int:
        calls.append(1)
        if len(calls) == 1:
            quick.context.stash()
            raise Refusal("not now")
        return 7

    async def ask(ref: Ref[Plain]) -> None:
        answers.append(await ref.ask(Plain()))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(partial(Quick, stash_first))
        tasks.start_soon(ask, ref)
        await settle()
        assert answers == []
        ref.tell(Do(lambda quick: quick.context.unstash_all()))
    assert answers == [7]

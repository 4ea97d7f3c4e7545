"""Tests of those who ask an idle actor that answers in their own turn: order, fairness, counts.

Every test runs with and without fast paths, and must say the same both ways.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorError,
    ActorSystem,
    Crashed,
    LinkBroken,
    Mailbox,
    ProcExited,
    Refusal,
)
from actors.testing import settle
from tests.actors.quick import (
    Ask,
    Do,
    Quick,
    both,
    fail,
    speed,  # noqa: F401 - the fixture
    start,
    warm,
)

pytestmark = pytest.mark.usefixtures("speed")

# -- askers ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("asks", [1, 2])
async def test_a_loop_of_asks_is_fair(task: bool, asks: int) -> None:
    """Between two turns of the others, one asker gets at most 64 answers, from however many."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        refs = [await start(system) for _ in range(asks)]
        for ref in refs:
            await warm(ref, task)
        asked, most, before = 0, 0, 0

        async def other() -> None:
            nonlocal most, before
            while asked < 1000:
                most, before = max(most, asked - before), asked
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(other)
        while asked < 1000:
            await refs[asked % asks].ask(Ask(lambda quick: 1))
            asked += 1
        assert 1 <= most <= 64


@both
@pytest.mark.dead_letters
async def test_an_asker_that_is_cancelled_leaves_a_healthy_actor(task: bool) -> None:
    """Whenever an asker is cancelled, the actor answers the next one."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        for turns in range(4):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    while True:
                        await ref.ask(Ask(lambda quick: 1))

                tasks.start_soon(ask)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert await ref.ask(Ask(lambda quick: 2)) == 2


@both
async def test_asks_nest(task: bool) -> None:
    """An actor that waits for another's answer, which waits for a third's, gets it in order."""
    async with ActorSystem() as system:
        refs = [await start(system) for _ in range(3)]
        for ref in refs:
            await warm(ref, task)
        seen: list[Any] = []

        async def middle(quick: Quick) -> None:
            seen.append(await refs[1].ask(Ask(lambda quick: quick.context.path)))
            seen.append(await refs[2].ask(Ask(lambda quick: quick.context.path)))

        refs[0].tell(Do(middle))
        await settle()
        assert seen == [refs[1].path, refs[2].path]


@both
async def test_an_actor_that_waits_for_itself_hears_so(task: bool) -> None:
    """An ask of an actor to itself, from its own handler, is a cycle also when it is idle else."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        seen: list[str] = []

        async def ask(quick: Quick) -> None:
            try:
                await ref.ask(Ask(lambda quick: 1))
            except ActorError as error:
                seen.append(type(error).__name__)

        ref.tell(Do(ask))
        await settle()
        assert seen == ["AskCycle"]


@both
async def test_asks_from_another_system(task: bool) -> None:
    """An actor of one system may ask one of another."""
    async with ActorSystem("one") as one, ActorSystem("two") as two:
        ref, asker = await start(one), await start(two)
        await warm(ref, task)
        seen: list[Any] = []

        async def ask(quick: Quick) -> None:
            seen.append(await ref.ask(Ask(lambda quick: quick.context.system.name)))

        asker.tell(Do(ask))
        await settle()
        assert seen == ["one"]


@both
@pytest.mark.dead_letters
async def test_an_asker_that_is_linked_to_the_crash(task: bool) -> None:
    """An asker that is linked to the actor that crashes at its question ends with LinkBroken."""
    async with ActorSystem() as system:
        ref, asker = await start(system), await start(system)
        await warm(ref, task)
        went_on: list[str] = []

        async def ask(quick: Quick) -> None:
            quick.context.link(ref)
            with pytest.raises(ProcExited):
                await ref.ask(Ask(lambda quick: fail(ValueError())))
            await anyio.lowlevel.checkpoint()
            went_on.append("further than it may")

        asker.tell(Do(ask))
        reason = await asker.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, LinkBroken)
        assert went_on == []


# -- order, room and counts ------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [None, 1])
async def test_an_ask_never_overtakes(capacity: int | None) -> None:
    """What the asker sent before is handled before, also through a mailbox for one."""
    seen: list[int] = []

    def add(number: int, _: object) -> None:
        seen.append(number)

    async with ActorSystem() as system:
        ref = await start(system, mailbox=Mailbox(capacity=capacity))
        for number in range(100):
            await ref.send(Do(partial(add, number)))
            assert await ref.ask(Ask(lambda quick: list(seen))) == list(range(number + 1))


@both
async def test_while_a_handler_runs_nothing_else_is_handled(task: bool) -> None:
    """A question to an actor whose handler waits is answered when that has ended."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        seen: list[str] = []

        async def slow(quick: Quick) -> None:
            await anyio.sleep(1)
            seen.append("slow")

        ref.tell(Do(slow))
        await anyio.sleep(0.5)
        await ref.ask(Ask(lambda quick: seen.append("asked")))
        assert seen == ["slow", "asked"]


@both
async def test_all_that_is_handled_is_counted(task: bool) -> None:
    """The statistics count each message once, asked or told, answered or refused."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        before = ref.statistics().handled
        for _ in range(130):
            await ref.ask(Ask(lambda quick: 1))
        with pytest.raises(Refusal):
            await ref.ask(Ask(lambda quick: fail(Refusal())))
        ref.tell(Do(lambda quick: None))
        await settle()
        assert ref.statistics().handled - before == 132
        assert ref.statistics().queued == 0

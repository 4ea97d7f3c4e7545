"""Tests of those who wait for each other: circles of every kind of wait, and waits for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from actors import (
    ActorError,
    ActorSystem,
    AskCycle,
    AskTimeout,
    CancellationToken,
    Mailbox,
    MailboxFull,
    Proc,
    ProcExited,
    Ref,
)
from actors.testing import settle
from tests.kit.actors import Ask, Do, Doer, Note, Pair, Plain, Trapper, crash, pair, run

PLAIN = Plain(lambda _: 1)


class Careful(Doer):
    """Write down the error with which a wait ended, and what that took."""

    async def do(self, message: Do) -> None:
        """Do it, and write down what comes of it."""
        try:
            self.log.append(await run(message.what(self)))
        except ActorError as error:
            self.log.append(error)


def asks(ref: Ref[Any], what: Callable[[Any], Any], timeout: float = 5.0) -> Callable[[Any], Any]:
    """Return an act that asks."""
    return lambda _: ref.ask(Ask(what), timeout=timeout)


async def careful(system: ActorSystem, names: str) -> list[Pair]:
    """Start an actor for each letter."""
    return [await pair(system, Careful, id=name) for name in names]


def chain_of(error: object) -> tuple[str, ...]:
    """Return who is in the circle."""
    assert isinstance(error, AskCycle)
    return error.chain


@pytest.mark.parametrize("wait", ["wait", "shutdown"])
async def test_a_wait_for_the_end_of_its_asker_fails_the_ask(wait: str) -> None:
    """The ask of a proc whose end the receiver begins to wait for fails with AskCycle, at once."""
    async with ActorSystem() as system:
        a, b = await careful(system, "ab")
        began = anyio.current_time()
        await a.do(asks(b.ref, lambda _: getattr(a.ref, wait)()))
        assert anyio.current_time() == began
        assert chain_of(a.log[0]) == ("/a", "/b", "/a")
        a.ref.kill()


@pytest.mark.dead_letters
async def test_in_a_longer_circle_the_last_ask_fails() -> None:
    """When a wait for an end closes a circle of several asks, the one nearest to it fails."""
    async with ActorSystem() as system:
        a, b, c = await careful(system, "abc")
        system.monitor(b.ref, lambda down: None)
        began = anyio.current_time()
        await a.do(asks(b.ref, asks(c.ref, lambda _: a.ref.shutdown())))
        assert anyio.current_time() == began
        assert isinstance(a.log[0], ProcExited)
        assert chain_of(a.log[0].__cause__) == ("/b", "/c", "/a", "/b")


@pytest.mark.dead_letters
async def test_a_child_that_asks_its_stopping_owner_gets_an_error() -> None:
    """A proc that stops its children answers nobody: their asks fail, and they stop in time."""
    async with ActorSystem() as system:
        (a,) = await careful(system, "a")
        child = Careful()
        await a.do(lambda node: node.context.spawn(lambda: child, id="child"))
        began = anyio.current_time()

        async def late(_: object) -> Any:
            await anyio.sleep(1)
            return await a.ref.ask(PLAIN)

        ref: Any = a.log[0]
        ref.tell(Do(late))
        await settle()
        await a.ref.shutdown()
        assert anyio.current_time() == began + 1
        assert chain_of(child.log[0]) == ("/a/child", "/a", "/a/child")


async def test_whoever_is_spawned_through_the_system_cannot_ask_its_spawner() -> None:
    """A spawner waits for the start, whoever owns what it spawns: asking it is a circle."""
    async with ActorSystem() as system:
        (a,) = await careful(system, "a")
        told: list[object] = []

        class Child(Doer):
            async def on_start(self) -> None:
                try:
                    await a.ref.ask(PLAIN)
                except AskCycle as error:
                    told.append(error)

        await a.do(lambda _: system.spawn(Child, id="b"))
        assert chain_of(told[0]) == ("/b", "/a", "/b")


@pytest.mark.dead_letters
async def test_the_search_ends_at_a_circle_of_others() -> None:
    """Whoever asks one of two that wait for each other's end is told when its time is up."""
    async with ActorSystem() as system:
        a, b, c = await careful(system, "abc")
        await a.do(lambda _: b.ref.wait())
        await b.do(lambda _: a.ref.wait())
        await c.do(asks(a.ref, lambda _: 1, timeout=1.0))
        await anyio.sleep(1.1)
        assert isinstance(c.log[0], AskTimeout)
        a.ref.kill()


async def test_a_proc_that_is_served_by_another_task_may_be_asked() -> None:
    """A proc whose inbox another task of its own reads can answer while its own task waits."""
    answers: list[object] = []

    class Served(Proc[Plain]):
        async def run(self, shutdown: CancellationToken) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.serve)
                answers.append(await self.context.ref.ask(PLAIN))
                answers.append(await self.context.ref.ask(PLAIN))

        async def serve(self) -> None:
            async for received in self.context.inbox():
                assert received.reply is not None
                received.reply.send("served")
                if answers:
                    return

    async with ActorSystem() as system:
        await (await system.spawn(Served)).wait()
    assert answers == ["served", "served"]


async def test_a_wait_for_room_counts() -> None:
    """Who waits for room in the mailbox of one who waits for its answer gets MailboxFull."""
    async with ActorSystem() as system:
        (a,) = await careful(system, "a")
        b = await pair(system, Careful, id="b", mailbox=Mailbox(1))
        await b.do(asks(a.ref, lambda _: b.ref.send(Note("fits"))))
        assert b.log == [None, "fits"]

        async def twice(_: object) -> object:
            b.ref.tell(Note("fits"))
            try:
                await b.ref.send(Note("too many"))
            except MailboxFull as error:
                return str(error).partition("; ")[2]
            return None

        await b.do(asks(a.ref, twice))
        assert b.log[2:] == [
            "whoever reads it waits for the sender, so it would never empty",
            "fits",
        ]


@pytest.mark.dead_letters
@pytest.mark.parametrize("order", ["told, asks", "asks, told", "told, asks, down"])
async def test_who_is_leaving_does_not_wait_for_one_who_is_down(order: str) -> None:
    """An asker that was told to stop gets ProcExited at once when no incarnation is there."""
    async with ActorSystem() as system:
        (web,), keeper = await careful(system, "w"), await pair(system, Trapper)
        children: list[Any] = []

        async def keep(node: Any) -> None:
            children.append(node.context.child("store"))
            if order.endswith("down"):
                await children[0].start(Doer)

        await keeper.do(keep)
        store = children[0].ref
        began = anyio.current_time()

        async def last(_: object) -> Any:
            if order.startswith("told"):
                web.ref.stop()
                web.actor.context.stop()
            return await store.ask(PLAIN)

        if order.endswith("down"):
            store.tell(Do(lambda _: anyio.sleep(1)))
            store.tell(Do(crash))
        await web.do(last)
        if order.startswith("asks"):
            assert not web.log
            await web.ref.shutdown()
        await web.ref.wait()
        assert anyio.current_time() - began == (1 if order.endswith("down") else 0)
        assert isinstance(web.log[0], ProcExited)
        keeper.ref.kill()

"""Tests of receivers: the stash of an actor and the inbox of a proc that is none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    DeadLetter,
    Normal,
    Proc,
    ProcExited,
    Ref,
    Reply,
    Request,
    Shutdown,
    on,
)
from actors.testing import settle


@frozen
class Put:
    """A message."""

    number: int


@frozen
class Get(Request[int]):
    """A request."""

    number: int = 0


@frozen
class Do:
    """Make the worker call `act` with itself, and await what it returns."""

    act: Callable[[Any], Any]


class Worker(Actor[Put | Get | Do]):
    """Note what comes; do what it is told."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    @on(Put)
    def put(self, message: Put) -> None:
        """Note it."""
        self.seen.append(message.number)

    @on(Get)
    def get(self, message: Get) -> int:
        """Note it and answer."""
        self.seen.append(("get", message.number))
        return message.number

    @on(Do)
    async def do(self, message: Do) -> None:
        """Do it."""
        result = message.act(self)
        if inspect.isawaitable(result):
            await result


# -- the stash -------------------------------------------------------------------------------------


class Gate(Actor[Put | Get | Do]):
    """Stash everything until it is opened; `later` chooses the shape of the request handler."""

    def __init__(self) -> None:
        self.open = False
        self.seen: list[object] = []

    @on(Put)
    def put(self, message: Put) -> None:
        """Note it, or stash it."""
        if not self.open:
            self.context.stash()
        else:
            self.seen.append(message.number)

    @on(Get)
    def get(self, message: Get, reply: Reply[int]) -> None:
        """Answer, or stash it."""
        if not self.open:
            self.context.stash()
        else:
            self.seen.append(("get", message.number))
            reply.send(message.number)

    @on(Do)
    def do(self, message: Do) -> None:
        """Open."""
        self.open = True
        message.act(self)


class ReturningGate(Gate):
    """The same with a handler that returns its answer."""

    @on(Get)
    async def answer(self, message: Get) -> int:
        """Answer, or stash it."""
        await anyio.lowlevel.checkpoint()
        if not self.open:
            self.context.stash()
            return -1
        self.seen.append(("get", message.number))
        return message.number


@pytest.mark.parametrize("kind", [Gate, ReturningGate])
async def test_stashed_mail_comes_back_in_order(kind: type[Gate]) -> None:
    """What was stashed comes back in its order and before what waits, and requests are answered."""
    gate = kind()
    answers: list[int] = []

    async def ask(ref: Ref[Get], number: int) -> None:
        answers.append(await ref.ask(Get(number)))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: gate)
        ref.tell(Put(1))
        await settle()
        tasks.start_soon(ask, ref, 2)
        await settle()
        ref.tell(Put(3))
        await settle()
        assert ref.statistics().stashed == 3
        assert answers == []
        ref.tell(Do(lambda self: self.context.unstash_all()))
        ref.tell(Put(4))
        await settle()
        assert ref.statistics().stashed == 0
    assert gate.seen == [1, ("get", 2), 3, 4]
    assert answers == [2]


@pytest.mark.dead_letters
async def test_a_message_is_stashed_once() -> None:
    """Stashing the same message a second time raises RuntimeError."""
    errors: list[str] = []

    def twice(self: Worker) -> None:
        self.context.stash()
        with pytest.raises(RuntimeError) as raised:
            self.context.stash()
        errors.append(str(raised.value))

    async with ActorSystem() as system:
        ref = await system.spawn(Worker, id="worker")
        ref.tell(Do(twice))
        await settle()
        assert ref.statistics().stashed == 1
        ref.kill()
        await ref.wait()
    assert errors == ["/worker has no message in hand to stash"]


async def test_unstashing_nothing_does_nothing() -> None:
    """`unstash_all` with an empty stash has no effect."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
        ref.tell(Do(lambda self: self.context.unstash_all()))
        assert await ref.ask(Get(1)) == 1


async def test_stashed_mail_is_given_up_with_the_address(dead_letters: list[DeadLetter]) -> None:
    """When the address ends, stashed messages are dead letters before those that were queued."""
    errors: list[Exception] = []

    async def ask(ref: Ref[Get]) -> None:
        try:
            await ref.ask(Get(2))
        except ProcExited as error:
            errors.append(error)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(Gate)
        ref.tell(Put(1))
        tasks.start_soon(ask, ref)
        await settle()
        ref.kill()
        ref.tell(Put(3))
        await settle()
        assert len(errors) == 1
    assert [letter.message for letter in dead_letters] == [Put(1), Get(2), Put(3)]


# -- the inbox of a proc that is no actor ----------------------------------------------------------


class Reading(Proc[Put | Get]):
    """Read an inbox and note what comes."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    async def run(self, shutdown: CancellationToken) -> None:
        async for received in self.context.inbox():
            self.seen.append(received.message)
            if received.reply is not None:
                received.reply.send(7)
        self.seen.append("end")


async def test_an_inbox_gives_messages_and_replies() -> None:
    """A proc that is no actor gets each message, with a reply when it was asked."""
    seen: list[object] = []
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: Reading(seen))
        ref.tell(Put(1))
        assert await ref.ask(Get(2)) == 7
        ref.tell(Put(3))
        ref.stop()
        assert await ref.wait() == Normal()
    assert seen == [Put(1), Get(2), Put(3), "end"]


async def test_an_inbox_ends_before_what_waits_when_told_to_stop(
    dead_letters: list[DeadLetter],
) -> None:
    """A shutdown ends the iteration at once, and what waits becomes dead letters."""
    seen: list[object] = []
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: Reading(seen))
        await settle()
        for number in range(3):
            ref.tell(Put(number))
        assert await ref.shutdown() == Shutdown()
    assert seen == ["end"]
    assert len(dead_letters) == 3


async def test_an_inbox_shares_the_loop() -> None:
    """Reading a flooded inbox lets others run after each 128 messages."""
    seen: list[object] = []
    turns: list[int] = [0]

    async def watch() -> None:
        while len(seen) < 640:
            await anyio.lowlevel.checkpoint()
            turns.append(len(seen))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: Reading(seen))
        await settle()
        for number in range(640):
            ref.tell(Put(number))
        tasks.start_soon(watch)
    # Within one turn of the loop trio may run the proc last, and in the next one first.
    assert max(after - before for before, after in pairwise(turns)) <= 2 * 128
    assert seen[:640] == [Put(number) for number in range(640)]


async def test_an_actor_has_no_inbox() -> None:
    """`inbox()` in an actor raises RuntimeError, for its handlers read the mail."""
    errors: list[str] = []

    def read(self: Worker) -> None:
        with pytest.raises(RuntimeError) as raised:
            self.context.inbox()
        errors.append(str(raised.value))

    async with ActorSystem() as system:
        ref = await system.spawn(Worker, id="worker")
        ref.tell(Do(read))
        await settle()
    assert errors == ["/worker is an actor: its handlers read the mail"]


async def test_a_reply_of_an_inbox_that_is_thrown_away_fails_its_asker() -> None:
    """A request from an inbox whose reply is forgotten fails its asker at the next message."""

    class Forgetful(Proc[Get | Put]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for _ in self.context.inbox():
                del _

    async with ActorSystem() as system:
        ref = await system.spawn(Forgetful, id="proc")
        with pytest.raises(Exception, match=r"^/proc threw away the reply to Get unanswered$"):
            await ref.ask(Get())

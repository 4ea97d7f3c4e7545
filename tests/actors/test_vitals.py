"""Tests of looking at a proc from outside: what it is busy with, and where it waits."""

from __future__ import annotations

import linecache
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Child,
    Down,
    Exited,
    Proc,
    ProcExited,
    Request,
    Vitals,
    on,
)
from actors.clock import START
from actors.testing import settle
from actors.vitals import steps_of, traceback_of
from tests.actors import sleepers
from tests.actors.sleepers import (
    Brief,
    Hang,
    Later,
    Nap,
    Napping,
    Owner,
    Query,
    Sleeper,
    Stash,
    Wrapped,
    look,
    own,
)

pytestmark = pytest.mark.dead_letters

SLEEPERS = sleepers.__file__

each_kind = pytest.mark.parametrize("kind", [Sleeper, Wrapped, Napping])
each_message = pytest.mark.parametrize("message", [Hang, Stash, Query, Later])


# -- what it is busy with ----------------------------------------------------------------------


@each_kind
async def test_a_waiting_actor_is_busy_with_nothing(kind: type[Sleeper]) -> None:
    """An actor that waits for mail has no work: before its first message, after it, hibernated."""
    async with ActorSystem() as system:
        child = await own(system, kind)
        assert look(child) == Vitals(1, None, "", None, False)
        await settle()
        assert look(child).work is None
        child.ref.tell(Nap())
        await anyio.sleep(1.05)
        assert look(child).work is None
        await anyio.sleep(1)
        assert look(child).work is None
        assert child.stack() == ()


@each_kind
@each_message
async def test_a_handler_is_one_piece_of_work(kind: type[Sleeper], message: type[Any]) -> None:
    """As long as one call of a handler goes on, each look sees the same work; then another."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        sleeper = kind()
        child = await own(system, lambda: sleeper)

        async def ask() -> None:
            try:
                await child.ref.ask(message(), timeout=1000)
            except ProcExited:
                pass

        if issubclass(message, Request):
            tasks.start_soon(ask)
        else:
            child.ref.tell(message())
        await settle()
        first = look(child)
        assert first.work is not None
        await anyio.sleep(100)
        child.ref.tell(Nap())
        await settle()
        assert look(child) == first
        sleeper.gate.set()
        await settle()
        second = look(child)
        assert second.work is not None
        assert second.work != first.work
        assert second.activity == "handling Nap"
        await anyio.sleep(2)
        assert look(child).work is None


@each_kind
async def test_the_same_message_again_is_other_work(kind: type[Sleeper]) -> None:
    """Two calls of a handler are two pieces of work, also with one and the same message object."""
    async with ActorSystem() as system:
        child = await own(system, kind)
        nap = Nap()
        seen: list[object] = []
        for _ in range(4):
            child.ref.tell(nap)
        for _ in range(4):
            await settle()
            seen.append(look(child).work)
            await anyio.sleep(1)
        assert None not in seen
        assert len({id(work) for work in seen}) == 4


@each_message
async def test_the_activity_names_what_is_in_hand(message: type[Any]) -> None:
    """The activity is the type of the message in hand, or the handler's name when there is none."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        child = await own(system, Sleeper)

        async def ask() -> None:
            with anyio.move_on_after(1):
                await child.ref.ask(message(), timeout=1000)

        if issubclass(message, Request):
            tasks.start_soon(ask)
        else:
            child.ref.tell(message())
        await settle()
        expected = "in stash" if message is Stash else f"handling {message.__name__}"
        assert look(child).activity == expected


async def test_hooks_are_work() -> None:
    """A hook that hears of an exit or a Down is a piece of work, each call its own."""

    class Hearing(Actor[Hang]):
        async def on_start(self) -> None:
            self.first = await self.context.spawn(Brief)
            self.second = await self.context.spawn(Brief)
            self.context.monitor(self.first)

        @on(Hang)
        def hang(self, message: Hang) -> None:
            self.first.stop()
            self.second.stop()

        async def on_exit(self, exited: Exited) -> None:
            await anyio.sleep(1)

        async def on_down(self, down: Down) -> None:
            await anyio.sleep(1)

    async with ActorSystem() as system:
        child = await own(system, Hearing)
        child.ref.tell(Hang())
        seen: list[Vitals] = []
        for _ in range(3):
            await settle()
            seen.append(look(child))
            await anyio.sleep(1)
        await settle()
        assert [vitals.activity for vitals in seen] == ["in on_exit", "in on_exit", "in on_down"]
        assert seen[0].work != seen[1].work
        assert look(child).work is None


async def test_a_hook_that_returns_something_to_await_is_work() -> None:
    """A plain hook may return a future or the like; the wait for that is work as well."""

    class Waitable:
        def __await__(self) -> Any:
            return (yield from anyio.sleep_forever().__await__())

    class Hearing(Actor[Hang]):
        async def on_start(self) -> None:
            self.brief = await self.context.spawn(Brief)

        @on(Hang)
        def hang(self, message: Hang) -> None:
            self.brief.stop()

        def on_exit(self, exited: Exited) -> Awaitable[None]:
            return Waitable()

    async with ActorSystem() as system:
        child = await own(system, Hearing)
        child.ref.tell(Hang())
        await settle()
        first = look(child)
        await anyio.sleep(10)
        assert first.work is not None
        assert look(child) == first


async def test_a_turn_of_an_inbox_loop_is_work() -> None:
    """A proc that reads its inbox is busy from one message until it asks for the next."""

    class Reader(Proc[int]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for received in self.context.inbox():
                await anyio.sleep(received.message)

    async with ActorSystem() as system:
        child = await own(system, Reader)
        await settle()
        assert look(child).work is None
        child.ref.tell(10)
        child.ref.tell(10)
        await anyio.sleep(1)
        first = look(child)
        assert first.activity == "handling int"
        await anyio.sleep(8)
        assert look(child) == first
        await anyio.sleep(2)
        assert look(child).work not in (None, first.work)
        await anyio.sleep(10)
        assert look(child).work is None


async def test_a_proc_that_reads_nothing_is_never_busy() -> None:
    """The body of a proc that is no actor, before and after a loop over its inbox, is no work."""

    class Busy(Proc[int]):
        async def run(self, shutdown: CancellationToken) -> None:
            await anyio.sleep(10)
            async for _ in self.context.inbox():
                break
            await anyio.sleep_forever()

    async with ActorSystem() as system:
        child = await own(system, Busy)
        await settle()
        assert look(child).work is None
        child.ref.tell(1)
        await anyio.sleep(20)
        assert look(child).work is None
        assert child.stack()[0].function.endswith("Busy.run")


async def test_beats_are_seen() -> None:
    """The last beat is the loop time of the last call, also one in on_start."""

    class Beating(Actor[str]):
        async def on_start(self) -> None:
            self.context.beat()

        @on(str)
        def hear(self, message: str) -> None:
            self.context.beat()

    async with ActorSystem() as system:
        child = await own(system, Beating)
        assert look(child).last_beat == START
        await anyio.sleep(5)
        assert look(child).last_beat == START
        child.ref.tell("beat")
        await settle()
        assert look(child).last_beat == START + 5


async def test_on_stop_is_work_of_a_proc_that_is_stopping() -> None:
    """A proc that ended by itself is busy with its `on_stop`, not with stopping its children."""

    class Slow(Actor[str]):
        async def on_start(self) -> None:
            await self.context.spawn(SlowChild)

        @on(str)
        def hear(self, message: str) -> None:
            self.context.stop()

        async def on_stop(self, reason: Any) -> None:
            await anyio.sleep(10)

    class SlowChild(Brief):
        async def on_stop(self, reason: Any) -> None:
            await anyio.sleep(4)

    async with ActorSystem() as system:
        child = await own(system, Slow)
        child.ref.tell("stop")
        await anyio.sleep(1)
        assert look(child) == Vitals(1, None, "", None, True)
        await anyio.sleep(5)
        vitals = look(child)
        assert (vitals.activity, vitals.stopping) == ("in on_stop", True)
        await anyio.sleep(5)
        assert look(child) == vitals
        await anyio.sleep(5)
        assert child.vitals() is None


async def test_nothing_is_seen_of_a_child_that_does_not_run() -> None:
    """Before its first start and after its end a child has no vitals and no stack."""
    async with ActorSystem() as system:
        owner = Owner()
        await system.spawn(lambda: owner, shutdown=0)
        child: Child[Any] = owner.context.child("child")
        assert child.vitals() is None
        assert child.stack() == ()
        child.fail(KeyError("nobody there"))
        await child.start(Brief)
        await child.stop(None)
        assert child.vitals() is None
        assert child.stack() == ()
        child.fail(KeyError("nobody there"))
        assert not child.reason.is_abnormal


# -- where it is -------------------------------------------------------------------------------


@each_kind
async def test_the_stack_leads_from_the_handler_to_the_wait(kind: type[Sleeper]) -> None:
    """The stack begins with the user's own code and names each call with file and line."""
    async with ActorSystem() as system:
        child = await own(system, kind)
        child.ref.tell(Hang())
        await settle()
        functions = [place.function for place in child.stack() if place.file == SLEEPERS]
        expected = ["Sleeper.hang", "deep", "deeper"]
        assert functions == (["Wrapped.run", *expected] if kind is Wrapped else expected)
        place = next(place for place in child.stack() if place.function == "deeper")
        line = linecache.getline(SLEEPERS, place.line)
        assert line.strip() == "await gate.wait()"
        assert str(place) == f"{SLEEPERS}:{place.line} in deeper"


async def test_the_stack_goes_through_generators() -> None:
    """Asynchronous generators and `__await__` written as generators are part of the stack."""

    async def numbers() -> AsyncIterator[int]:
        await anyio.sleep_forever()
        yield 1

    class Waitable:
        def __await__(self) -> Any:
            return (yield from innermost().__await__())

    async def innermost() -> None:
        async for _ in numbers():
            pass

    class Reading(Actor[Hang]):
        @on(Hang)
        async def hang(self, message: Hang) -> None:
            await Waitable()

    async with ActorSystem() as system:
        child = await own(system, Reading)
        child.ref.tell(Hang())
        await settle()
        functions = [
            place.function.rpartition("<locals>.")[2]
            for place in child.stack()
            if place.file == __file__
        ]
        assert functions == ["Reading.hang", "Waitable.__await__", "innermost", "numbers"]


def test_a_chain_that_leads_back_is_walked_once() -> None:
    """An awaitable of somebody's own that holds the coroutine that awaits it ends the stack."""

    class Ring:
        __slots__ = ("coro",)

        def __await__(self) -> Any:
            return self

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> None:
            return None

    async def outer() -> None:
        await ring

    ring = Ring()
    ring.coro = outer()
    ring.coro.send(None)
    assert list(steps_of(ring.coro)) == [ring.coro]
    ring.coro.close()


def test_what_has_ended_has_no_steps() -> None:
    """What is no task, and what has ended, has no stack; its traceback is none."""
    assert list(steps_of(None)) == []
    assert traceback_of([]) is None

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
    Crashed,
    Down,
    Exited,
    Killed,
    Proc,
    ProcExited,
    Request,
    StopError,
    Vitals,
    on,
)
from actors.testing import START, Recorder, settle
from actors.vitals import steps_of, traceback_of
from tests.kit import sleepers
from tests.kit.sleepers import (
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
        activity = "in stash" if message is Stash else f"handling {message.__name__}"
        assert first.activity == activity
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


class Waitable:
    """Something to await that is no coroutine."""

    def __await__(self) -> Any:
        return (yield from anyio.sleep(1).__await__())


async def test_hooks_are_work() -> None:
    """Each call of a hook that hears of an end is a piece of work, and so is what it returns."""

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

        def on_down(self, down: Down) -> Awaitable[None]:
            return Waitable()

    async with ActorSystem() as system:
        child = await own(system, Hearing)
        child.ref.tell(Hang())
        seen: list[Vitals] = []
        for _ in range(3):
            await settle()
            seen.append(look(child))
            assert look(child) == seen[-1]
            await anyio.sleep(1)
        await settle()
        assert [vitals.activity for vitals in seen] == ["in on_exit", "in on_exit", "in on_down"]
        assert None not in [vitals.work for vitals in seen]
        assert seen[0].work != seen[1].work
        assert look(child).work is None


async def test_what_a_plain_hook_returns_has_the_name_of_the_hook() -> None:
    """A plain hook is told of by its own name, whatever the coroutine is called that it returns."""

    class Handing(Actor[Hang]):
        @on(Hang)
        async def hang(self, message: Hang) -> None:
            brief = await self.context.spawn(Brief)
            self.context.monitor(brief)
            brief.stop()

        def on_exit(self, exited: Exited) -> Awaitable[None]:
            return anyio.sleep(1)

        def on_down(self, down: Down) -> Awaitable[None]:
            return anyio.sleep(1)

    async with ActorSystem() as system:
        child = await own(system, Handing)
        child.ref.tell(Hang())
        await settle()
        assert look(child).activity == "in on_exit"
        await anyio.sleep(1)
        await settle()
        assert look(child).activity == "in on_down"


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


# -- ending it from outside -----------------------------------------------------------------------


@each_kind
async def test_fail_is_a_crash_where_it_hangs(kind: type[Sleeper]) -> None:
    """A failed child crashes with the error, whose traceback is the stack where it hung."""
    async with ActorSystem() as system:
        child = await own(system, kind)
        child.ref.tell(Hang())
        await settle()
        stack = child.stack()
        error = TimeoutError("hangs")
        child.fail(error)
        assert await child.ref.wait() == Crashed(error)
        frames = []
        step = error.__traceback__
        while step is not None:
            frames.append((step.tb_frame.f_code.co_qualname, step.tb_lineno))
            step = step.tb_next
        assert frames == [(place.function, place.line) for place in stack]


async def test_fail_fails_the_asker_and_runs_on_stop() -> None:
    """The asker of the request in hand gets ProcExited with the error; on_stop hears the reason."""
    reasons: list[object] = []
    error = TimeoutError("hangs")

    class Stopping(Sleeper):
        async def on_stop(self, reason: Any) -> None:
            reasons.append(reason)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        child = await own(system, Stopping)

        async def ask() -> None:
            with pytest.raises(ProcExited) as raised:
                await child.ref.ask(Query(), timeout=1000)
            assert raised.value.__cause__ is error

        tasks.start_soon(ask)
        await settle()
        child.fail(error)
        await child.ref.wait()
    assert reasons == [Crashed(error)]


async def test_fail_ends_idle_and_dormant_actors_and_procs() -> None:
    """Fail works whatever the child does: waiting for mail, with and without a task, or looping."""

    class Looping(Proc[object]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for _ in self.context.inbox():
                pass
            await anyio.sleep_forever()

    async with ActorSystem() as system:
        for start in (Brief, Wrapped, Looping):
            child = await own(system, start)
            await settle()
            error = TimeoutError("silent")
            child.fail(error)
            child.fail(KeyError("too late"))
            assert await child.ref.wait() == Crashed(error)


async def test_fail_in_on_stop_kills() -> None:
    """A child that hangs in its own on_stop is killed, and the error is published."""

    class Hanging(Brief):
        async def on_stop(self, reason: Any) -> None:
            await anyio.sleep_forever()

    async with ActorSystem() as system:
        child = await own(system, Hanging)
        with Recorder(system, StopError) as recorder:
            child.ref.stop()
            await settle()
            error = TimeoutError("hangs")
            child.fail(error)
            child.fail(KeyError("too late"))
            assert await child.ref.wait() == Killed()
        assert [event.error for event in recorder] == [error]
        assert error.__traceback__ is not None


async def test_a_kill_wins_over_fail_and_fail_over_stop() -> None:
    """A kill after a fail makes it Killed; a stop after a fail changes nothing."""
    async with ActorSystem() as system:
        child = await own(system, Sleeper)
        child.ref.tell(Hang())
        await settle()
        child.fail(TimeoutError("hangs"))
        child.ref.kill()
        assert await child.ref.wait() == Killed()
        child = await own(system, Sleeper)
        child.ref.tell(Hang())
        await settle()
        error = TimeoutError("hangs")
        child.fail(error)
        child.tell_to_stop(5.0)
        assert await child.ref.wait() == Crashed(error)


async def test_fail_keeps_a_traceback_that_is_there() -> None:
    """An error that was raised somewhere keeps the traceback that it has."""
    async with ActorSystem() as system:
        child = await own(system, Sleeper)
        try:
            raise TimeoutError("raised")
        except TimeoutError as error:
            raised = error
        before = raised.__traceback__
        child.ref.tell(Hang())
        await settle()
        child.fail(raised)
        await child.ref.wait()
        assert raised.__traceback__ is before

"""Tests of `actors.messages`: requests, and every fate of a reply."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    Crashed,
    Killed,
    NoReply,
    Normal,
    ProcExited,
    Ref,
    Reply,
    Request,
    Shutdown,
    on,
)
from actors.testing import settle
from tests.kit.actors import Later, pair
from tests.kit.errors import No


@frozen
class Get(Request[int]):
    """Ask for a number."""


@frozen
class Poke:
    """Make the keeper do `act` with the replies that it holds."""

    act: Callable[[Keeper], None]


class Keeper(Actor[Get | Poke]):
    """Keep every reply until it is poked; `take` may be replaced to do something else."""

    def __init__(self, take: Callable[[Keeper, Reply[int]], None] | None = None) -> None:
        self.replies: list[Reply[int]] = []
        self.take = take

    @on(Get)
    def get(self, message: Get, reply: Reply[int]) -> None:
        """Keep the reply."""
        if self.take is not None:
            self.take(self, reply)
        else:
            self.replies.append(reply)

    @on(Poke)
    def poke(self, message: Poke) -> None:
        """Do as told."""
        message.act(self)


class Outcome:
    """Ask in a task of its own and keep what comes of it."""

    def __init__(self) -> None:
        self.value: int | None = None
        self.error: Exception | None = None
        self.at: float | None = None
        self.scope = anyio.CancelScope()

    async def ask(self, ref: Ref[Get], timeout: float | None = 5.0) -> None:
        """Ask and note the answer, the error and the time."""
        with self.scope:
            try:
                self.value = await ref.ask(Get(), timeout=timeout)
            except Exception as error:
                self.error = error
            self.at = anyio.current_time()


async def asked(tasks: anyio.abc.TaskGroup, ref: Ref[Get], timeout: float | None = 5.0) -> Outcome:
    """Start to ask and return when the request has been handled."""
    outcome = Outcome()
    tasks.start_soon(outcome.ask, ref, timeout)
    await settle()
    return outcome


def test_a_request_is_called_by_checkers_only() -> None:
    """`__request__` carries types and raises TypeError when it is called."""
    with pytest.raises(TypeError, match=r"^__request__ exists for type checkers only$"):
        Get().__request__()


def test_a_reply_has_no_public_constructor() -> None:
    """A Reply is made by the engine, and trying to make one says where it comes from."""
    with pytest.raises(TypeError, match=r"take it as the handler's last argument$"):
        Reply[int]()


async def test_a_reply_can_be_sent_later() -> None:
    """A kept reply answers its asker whenever it is sent, and the actor goes on meanwhile."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        first, second = await asked(tasks, keeper), await asked(tasks, keeper)
        keeper.tell(Poke(lambda self: self.replies[1].send(2)))
        await settle()
        assert (first.at, second.value) == (None, 2)
        keeper.tell(Poke(lambda self: self.replies[0].send(1)))
        await settle()
        assert first.value == 1


async def test_answered_requests_are_forgotten() -> None:
    """An actor that answers all its requests later does not keep them for ever."""
    kept: list[weakref.ref[Get]] = []

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        for _ in range(300):
            request = Get()
            kept.append(weakref.ref(request))
            tasks.start_soon(keeper.ask, request)
            del request
            await settle()
            keeper.tell(Poke(lambda self: self.replies.pop().send(1)))
            await settle()
        gc.collect()
        assert sum(reference() is not None for reference in kept) <= 128


async def test_answering_twice_is_an_error() -> None:
    """The second answer of either kind raises RuntimeError at the one who gives it."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        outcome = await asked(tasks, keeper)
        found: list[str] = []

        def twice(self: Keeper) -> None:
            self.replies[0].send(1)
            for again in (lambda: self.replies[0].send(2), lambda: self.replies[0].fail(No())):
                with pytest.raises(RuntimeError) as raised:
                    again()
                found.append(str(raised.value))

        keeper.tell(Poke(twice))
        await settle()
        assert outcome.value == 1
        assert found == ["this Get was answered already"] * 2


async def test_a_reply_knows_whether_it_is_wanted() -> None:
    """A reply is wanted until the answer or the asker's timeout or end, and dropped afterwards."""
    seen: list[bool] = []

    def look(self: Keeper) -> None:
        seen.append(self.replies[-1].wanted)

    def answer(self: Keeper) -> None:
        self.replies[-1].send(1)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        await asked(tasks, keeper, 1.0)
        keeper.tell(Poke(look))
        await anyio.sleep(2)
        keeper.tell(Poke(look))
        keeper.tell(Poke(answer))
        cancelled = await asked(tasks, keeper)
        cancelled.scope.cancel()
        await settle()
        keeper.tell(Poke(look))
        keeper.tell(Poke(answer))
        await asked(tasks, keeper)
        keeper.tell(Poke(answer))
        keeper.tell(Poke(look))
        keeper.tell(Get())
        keeper.tell(Poke(look))
        await settle()
    assert seen == [True, False, False, False, False]


async def test_a_reply_thrown_away_fails_its_asker_at_once() -> None:
    """A handler that forgets its reply gives its asker NoReply, with path and message type."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(lambda: Keeper(lambda self, reply: None), id="keeper")
        outcome = await asked(tasks, keeper)
        assert isinstance(outcome.error, NoReply)
        assert str(outcome.error) == "/keeper threw away the reply to Get unanswered"
        assert keeper.is_alive


async def test_a_reply_in_a_cycle_is_found_by_the_collector() -> None:
    """A reply lost in a reference cycle fails its asker when Python collects the cycle."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        outcome = await asked(tasks, keeper, None)

        def tie(self: Keeper) -> None:
            knot: list[object] = [self.replies.pop()]
            knot.append(knot)

        keeper.tell(Poke(tie))
        await settle()
        gc.collect()
        await settle()
        assert isinstance(outcome.error, NoReply)


BOOM = ValueError("boom")


def crash(self: Keeper) -> None:
    """Crash over another message."""
    raise BOOM


@pytest.mark.dead_letters
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda ref: ref.stop(), Normal()),
        (lambda ref: ref.kill(), Killed()),
        (lambda ref: ref.tell(Poke(lambda self: self.context.stop(Shutdown("x")))), Shutdown("x")),
        (lambda ref: ref.tell(Poke(crash)), Crashed(BOOM)),
    ],
    ids=["stop", "kill", "context.stop", "crash"],
)
async def test_the_end_of_the_actor_fails_those_it_owes_an_answer(
    end: Callable[[Ref[Get | Poke]], None], reason: object
) -> None:
    """All askers whose reply was kept get ProcExited with the reason as soon as the actor ends."""
    kept: list[Reply[int]] = []
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(lambda: Keeper(lambda self, reply: kept.append(reply)))
        system.monitor(keeper, lambda down: None)
        outcomes = [await asked(tasks, keeper, None) for _ in range(100)]
        end(keeper)
        await settle()
        for outcome in outcomes:
            assert isinstance(outcome.error, ProcExited)
            assert outcome.error.reason == reason
            assert outcome.error.__cause__ is (BOOM if reason == Crashed(BOOM) else None)
        kept[0].send(1)
        assert outcomes[0].value is None


@pytest.mark.parametrize("wrong", ["text", ValueError, None])
async def test_a_reply_fails_with_an_error_only(wrong: object) -> None:
    """`reply.fail` of anything but an error raises TypeError, and the answer is still owed."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(Keeper)
        outcome = await asked(tasks, keeper)
        raised: list[str] = []

        def fail(self: Keeper) -> None:
            try:
                self.replies[0].fail(wrong)  # type: ignore[arg-type]
            except TypeError as error:
                raised.append(str(error))
            self.replies.clear()

        keeper.tell(Poke(fail))
        await settle()
        assert raised == [f"fail takes an exception to raise in the asker, not {wrong!r}"]
        assert isinstance(outcome.error, NoReply)


@pytest.mark.dead_letters
async def test_a_cancellation_that_was_caught_is_no_answer() -> None:
    """A handler that answers with its own cancellation fails its asker, and cancels nobody."""

    async def wait(_: object, reply: Reply[object]) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            reply.fail(error)  # type: ignore[arg-type]
            raise

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        doer = (await pair(system)).ref
        failed: list[BaseException] = []

        async def ask() -> None:
            try:
                await doer.ask(Later(wait))
            except RuntimeError as error:
                failed.append(error)

        tasks.start_soon(ask)
        await settle()
        doer.kill()
        await settle()
        assert [type(error.__cause__) for error in failed] == [anyio.get_cancelled_exc_class()]


@pytest.mark.parametrize(
    "error",
    [No("not now"), StopIteration("done"), KeyboardInterrupt(), GeneratorExit()],
)
async def test_a_reply_can_be_an_error(error: Any) -> None:
    """`reply.fail` raises an error in the asker, as a cause if that would do more than fail it."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        keeper = await system.spawn(lambda: Keeper(lambda self, reply: reply.fail(error)))
        keeper.tell(Get())  # of a request that was told, the answer goes nowhere
        outcome = await asked(tasks, keeper)
        assert outcome.error is not None
        wrapped = not isinstance(error, No)
        assert (outcome.error.__cause__ if wrapped else outcome.error) is error
        assert isinstance(outcome.error, RuntimeError if wrapped else No)
        assert keeper.is_alive


async def test_an_answered_request_is_not_kept() -> None:
    """An actor that answers later keeps neither the request nor its answer when that is done."""
    kept: list[weakref.ref[object]] = []

    async with ActorSystem() as system:
        doer = await pair(system)
        replies: list[Reply[object]] = []
        for _ in range(10):
            async with anyio.create_task_group() as tasks:
                request = Later(lambda _, reply: replies.append(reply))
                kept.append(weakref.ref(request.what))
                tasks.start_soon(doer.ref.ask, request)
                del request
                await settle()
                replies.pop().send(None)
        gc.collect()
        # The last one stands in the loop that received it, until the next one comes.
        assert not any(entry() for entry in kept[:-1])

"""Tests of `actors.actor`: handlers of both shapes, refusals, crashes, and wrapping `run`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Crashed,
    DeadLetter,
    Down,
    NoReply,
    ProcExited,
    Ref,
    Refusal,
    Reply,
    Request,
    Shutdown,
    StopError,
    on,
)
from actors.testing import Recorder, settle


@frozen
class Deposit:
    """Put money in."""

    amount: int


@frozen
class Balance(Request[int]):
    """Ask for the balance."""


@frozen
class Withdraw(Request[int]):
    """Take money out."""

    amount: int


class InsufficientFunds(Refusal):
    """There is not that much."""


class Account(Actor[Deposit | Balance | Withdraw]):
    """Keep an account, with plain handlers that return."""

    def __init__(self, owner: str = "ada", opening: int = 0) -> None:
        self.owner, self.balance = owner, opening
        self.undelivered: list[object] = []

    def on_undelivered(self, message: Deposit | Balance | Withdraw) -> None:
        self.undelivered.append(message)

    @on(Deposit)
    def deposit(self, message: Deposit) -> Any:
        """Add; a negative amount is a bug of the caller and crashes this actor."""
        if message.amount < 0:
            raise ValueError(message.amount)
        if message.amount == 0:
            raise InsufficientFunds(0)
        self.balance += message.amount

    @on(Balance)
    def current(self, message: Balance) -> Any:
        """Answer."""
        return self.balance

    @on(Withdraw)
    def withdraw(self, message: Withdraw) -> Any:
        """Subtract, refuse, or crash."""
        if message.amount < 0:
            raise ValueError(message.amount)
        if message.amount > self.balance:
            raise InsufficientFunds(message.amount)
        self.balance -= message.amount
        return self.balance


class AsyncAccount(Account):
    """The same with coroutine handlers."""

    async def deposit(self, message: Deposit) -> None:
        await anyio.lowlevel.checkpoint()
        super().deposit(message)

    async def current(self, message: Balance) -> int:
        await anyio.sleep(1)
        return self.balance

    async def withdraw(self, message: Withdraw) -> Any:
        await anyio.lowlevel.checkpoint()
        return super().withdraw(message)


class ReplyingAccount(Account):
    """The same with handlers that take a reply."""

    def current(self, message: Balance, reply: Reply[int]) -> None:  # type: ignore[override]
        reply.send(self.balance)

    def withdraw(self, message: Withdraw, reply: Reply[int]) -> None:  # type: ignore[override]
        reply.send(super().withdraw(message))


class AsyncReplyingAccount(AsyncAccount):
    """The same with coroutine handlers that take a reply."""

    async def current(  # type: ignore[override]
        self, message: Balance, reply: Reply[int]
    ) -> None:
        await anyio.lowlevel.checkpoint()
        reply.send(self.balance)

    async def withdraw(  # type: ignore[override]
        self, message: Withdraw, reply: Reply[int]
    ) -> None:
        try:
            reply.send(await super().withdraw(message))
        except InsufficientFunds as error:
            reply.fail(error)


def traced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler, as users' decorators do: the result is a plain function."""

    @wraps(method)
    def wrapper(self: Account, message: Any) -> Any:
        return method(self, message)

    # functools marks a wrapped coroutine function as nothing special.
    del wrapper.__wrapped__  # type: ignore[attr-defined]
    return wrapper


class DecoratedAccount(AsyncAccount):
    """The same with coroutine handlers behind a decorator."""

    deposit = traced(AsyncAccount.deposit)
    current = traced(AsyncAccount.current)
    withdraw = traced(AsyncAccount.withdraw)


KINDS: list[type[Account]] = [
    Account,
    AsyncAccount,
    ReplyingAccount,
    AsyncReplyingAccount,
    DecoratedAccount,
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# -- handlers --------------------------------------------------------------------------------------


@each_kind
async def test_a_handler_of_each_shape_answers(kind: type[Account]) -> None:
    """Of each shape a handler answers its asker; a request may be told, and answers nobody then."""
    async with ActorSystem() as system:
        account = await system.spawn(partial(kind, "ada", opening=10))
        account.tell(Deposit(5))
        await account.send(Deposit(5))
        assert await account.ask(Balance()) == 20
        assert await account.ask(Withdraw(3)) == 17
        account.tell(Withdraw(4))
        account.tell(Balance())
        assert await account.ask(Balance()) == 13


@each_kind
async def test_messages_are_handled_one_at_a_time_and_in_order(kind: type[Account]) -> None:
    """A handler sees the effect of all messages that were sent before, and of none after."""
    answers: list[int] = []

    async def ask(account: Ref[Balance]) -> None:
        answers.append(await account.ask(Balance()))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        account = await system.spawn(kind)
        for number in range(3):
            account.tell(Deposit(1))
            tasks.start_soon(ask, account)
            # Let the ask be queued, and no more: the coroutine handlers are still at work.
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            assert number < 3
    assert answers == [1, 2, 3]


@each_kind
async def test_a_refusal_answers_the_asker(kind: type[Account]) -> None:
    """A Refusal reaches the asker as it is, and the actor lives on with its state."""
    async with ActorSystem() as system:
        account = await system.spawn(partial(kind, "ada", opening=10))
        with pytest.raises(InsufficientFunds) as raised:
            await account.ask(Withdraw(100))
        assert raised.value.args == (100,)
        assert await account.ask(Balance()) == 10


@each_kind
async def test_a_refusal_of_a_told_message_goes_nowhere(kind: type[Account]) -> None:
    """A Refusal for a message that was only told is dropped, and the actor lives on."""
    async with ActorSystem() as system:
        account = await system.spawn(kind)
        account.tell(Deposit(0))
        account.tell(Withdraw(100))
        account.tell(Deposit(1))
        assert await account.ask(Balance()) == 1


@each_kind
async def test_any_other_error_crashes_the_actor(
    kind: type[Account], dead_letters: list[DeadLetter]
) -> None:
    """An exception that is no Refusal crashes the actor when it was told a message."""
    ends: list[Down] = []
    async with ActorSystem() as system:
        account = await system.spawn(kind)
        system.monitor(account, ends.append)
        account.tell(Deposit(-1))
        reason = await account.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, ValueError)
        assert reason.error.args == (-1,)
    assert [letter.message for letter in dead_letters] == [Deposit(-1)]


@each_kind
async def test_a_crash_over_a_request_reaches_its_asker(
    kind: type[Account], dead_letters: list[DeadLetter]
) -> None:
    """An exception that is no Refusal gives the asker ProcExited with the crash as its cause."""
    async with ActorSystem() as system:
        account = await system.spawn(kind, id="account")
        system.monitor(account, lambda down: None)
        began = anyio.current_time()
        with pytest.raises(ProcExited) as raised:
            await account.ask(Withdraw(-1))
        assert anyio.current_time() == began
        assert str(raised.value) == (
            "/account ended before it answered Withdraw: crashed: ValueError: -1"
        )
        assert isinstance(raised.value.__cause__, ValueError)
        assert raised.value.reason == Crashed(raised.value.__cause__)
        assert await account.wait() == raised.value.reason
    assert [letter.message for letter in dead_letters] == [Withdraw(-1)]


@each_kind
async def test_a_crash_takes_those_who_wait_behind_it_along(
    kind: type[Account], dead_letters: list[DeadLetter]
) -> None:
    """At a crash for good all queued requests fail at once with the same cause."""
    errors: list[ProcExited] = []

    async def ask(account: Ref[Balance]) -> None:
        try:
            await account.ask(Balance(), timeout=None)
        except ProcExited as error:
            errors.append(error)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        account = await system.spawn(kind)
        system.monitor(account, lambda down: None)
        account.tell(Deposit(-1))
        for _ in range(3):
            tasks.start_soon(ask, account)
    assert len({error.__cause__ for error in errors}) == 1
    assert isinstance(errors[0].__cause__, ValueError)
    assert 1 <= len(dead_letters) <= 4  # an ask that comes after the crash is none


# -- on_undelivered --------------------------------------------------------------------------------


async def test_an_actor_hears_of_what_it_leaves_behind(dead_letters: list[DeadLetter]) -> None:
    """`on_undelivered` gets the message in hand at a crash and then what was queued, in order."""
    account = Account()
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: account)
        system.monitor(ref, lambda down: None)
        for amount in (1, -1, 2, 3):
            ref.tell(Deposit(amount))
        ref.tell(Balance())
        await ref.wait()
        ref.tell(Deposit(4))
    assert account.balance == 1
    assert account.undelivered == [Deposit(-1), Deposit(2), Deposit(3), Balance()]
    assert [letter.message for letter in dead_letters] == [*account.undelivered, Deposit(4)]


@pytest.mark.parametrize("killed", [False, True])
async def test_an_actor_that_stops_in_order_hears_of_what_was_queued(
    killed: bool, dead_letters: list[DeadLetter]
) -> None:
    """`on_undelivered` gets what was queued at a shutdown, but nothing after a kill."""
    account = AsyncAccount()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: account)
        ref.tell(Balance())
        await settle()
        ref.tell(Deposit(1))
        if killed:
            ref.kill()
        tasks.start_soon(ref.shutdown)
    assert account.undelivered == ([] if killed else [Deposit(1)])
    in_hand = [Balance()] if killed else []
    assert [letter.message for letter in dead_letters] == [*in_hand, Deposit(1)]


async def test_an_error_in_on_undelivered_is_told(dead_letters: list[DeadLetter]) -> None:
    """What `on_undelivered` raises is a StopError event, and the next message is passed on."""

    class Clumsy(Account):
        def on_undelivered(self, message: Deposit | Balance | Withdraw) -> None:
            super().on_undelivered(message)
            raise KeyError(message)

    account = Clumsy()
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: account)
        system.monitor(ref, lambda down: None)
        with Recorder(system, StopError) as recorder:
            ref.tell(Deposit(-1))
            ref.tell(Deposit(2))
            await ref.wait()
        assert [type(event.error) for event in recorder] == [KeyError, KeyError]
    assert account.undelivered == [Deposit(-1), Deposit(2)]
    assert len(dead_letters) == 2


# -- run and hooks ---------------------------------------------------------------------------------


class Wrapped(Account):
    """Wrap the receive loop and go on after a ValueError."""

    async def run(self, shutdown: CancellationToken) -> None:
        while not shutdown.cancelled:
            try:
                await super().run(shutdown)
            except ValueError:
                self.balance = 0


@pytest.mark.dead_letters
async def test_run_can_wrap_the_receive_loop() -> None:
    """An actor may override `run`, call it and survive an error; its asker hears of it at once."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Wrapped, "ada", 10))
        ref.tell(Deposit(-1))
        ref.tell(Deposit(1))
        assert await ref.ask(Balance()) == 1
        began = anyio.current_time()
        with pytest.raises(NoReply, match="Withdraw"):
            await ref.ask(Withdraw(-1))
        assert anyio.current_time() == began
        assert await ref.shutdown() == Shutdown()

"""Messages, refs and asking: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright. Both refuse a comment
that suppresses nothing, so a wrong use that goes unnoticed is an error itself.
"""

from __future__ import annotations

from functools import partial
from typing import assert_type

from attrs import frozen

from actors import Actor, ActorSystem, ExitReason, Name, Question, Ref, Reply, Request, on


@frozen
class Deposit:
    amount: int


@frozen
class Balance(Request[int]):
    pass


@frozen
class Withdraw(Request[int]):
    amount: int


@frozen
class Owners(Request[tuple[str, ...]]):
    pass


@frozen
class Close(Request[None]):
    pass


AccountMessage = Deposit | Balance | Withdraw | Owners | Close
ACCOUNT = Name[AccountMessage]("account")


class Account(Actor[AccountMessage]):
    def __init__(self, owner: str, opening: int = 0) -> None:
        self.owner, self.balance = owner, opening

    @on(Deposit)
    def deposit(self, message: Deposit) -> None:
        self.balance += message.amount

    @on(Balance)
    async def current(self, message: Balance) -> int:
        return self.balance

    @on(Withdraw)
    def withdraw(self, message: Withdraw, reply: Reply[int]) -> None:
        reply.send(self.balance)

    @on(Owners)
    async def owners(self, message: Owners, reply: Reply[tuple[str, ...]]) -> None:
        reply.send((self.owner,))

    @on(Close)
    def close(self, message: Close) -> None:
        self.context.stop()


class Auditor(Actor[Balance]):
    @on(Balance)
    def balance(self, message: Balance) -> int:
        return 0


async def sending(account: Ref[AccountMessage]) -> None:
    assert_type(account.tell(Deposit(5)), None)
    account.tell(Balance())
    await account.send(Withdraw(5))

    account.tell("deposit")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    account.tell(Deposit)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    account.tell(Deposit("5"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    account.send_all(Deposit(5))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def asking(account: Ref[AccountMessage], auditor: Ref[Balance]) -> None:
    assert_type(await account.ask(Balance()), int)
    assert_type(await account.ask(Withdraw(5), timeout=None), int)
    assert_type(await account.ask(Owners()), tuple[str, ...])
    assert_type(await account.ask(Close()), None)
    assert_type(await auditor.ask(Balance(), timeout=0.5), int)

    text: str = await account.ask(Balance())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    await account.ask(Deposit(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await auditor.ask(Withdraw(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await account.ask(Balance(), timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await account.ask(Balance(), 5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    print(text)


def variance(account: Ref[AccountMessage], auditor: Ref[Balance]) -> None:
    narrow: Ref[Balance] = account
    narrower: Ref[Deposit | Withdraw] = account
    question: Question[AccountMessage, int] = Balance()
    answer: Question[Balance, object] = Balance()
    narrow.tell(Balance())

    wide: Ref[AccountMessage] = auditor  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    other: Ref[Deposit] = auditor  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    text: Question[Balance, str] = Balance()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(narrower, question, answer, wide, other, text)


async def living(account: Ref[AccountMessage]) -> None:
    assert_type(account.stop(), None)
    assert_type(await account.shutdown(timeout=1.0), ExitReason)
    assert_type(account.kill(), None)
    assert_type(await account.wait(), ExitReason)
    assert_type(account.is_alive, bool)
    assert_type(account.path, str)
    assert_type(account.statistics().queued, int)

    await account.shutdown("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    account.is_alive = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def spawning(system: ActorSystem) -> None:
    account = await system.spawn(partial(Account, "ada"))
    assert_type(account, Ref[AccountMessage])
    assert_type(await system.spawn(partial(Account, "ada", opening=5)), Ref[AccountMessage])
    assert_type(await system.spawn(lambda: Account("ada")), Ref[AccountMessage])
    assert_type(await system.spawn(Auditor, id="auditor"), Ref[Balance])

    await system.spawn(Account)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(partial(Account, 5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(partial(Account, "ada", opening="5"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(Account("ada"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(Auditor, mailbox=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(Auditor, identity="auditor")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await system.spawn(lambda: "no proc")  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]


async def naming(system: ActorSystem) -> None:
    narrow = Name[Balance]("balance")
    wide = Name[AccountMessage | str]("wide")
    assert_type(system.whereis(ACCOUNT), Ref[AccountMessage] | None)
    assert_type(system.whereis(narrow), Ref[Balance] | None)
    await system.spawn(partial(Account, "ada"), name=ACCOUNT)

    await system.spawn(partial(Account, "ada"), name=wide)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(Auditor, name=ACCOUNT)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(Auditor, name="auditor")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    found: Ref[Deposit] | None = system.whereis(narrow)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    Name[Balance](5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    print(found)


def outsiders(system: ActorSystem, account: Ref[AccountMessage]) -> None:
    threadsafe = system.threadsafe(account)
    assert_type(threadsafe.ask(Balance()), int)
    threadsafe.tell(Deposit(5))

    threadsafe.tell("deposit")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    threadsafe.ask(Deposit(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

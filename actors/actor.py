"""Write an actor: a proc that handles one message after the other.

A method marked `@on(Type)` handles the messages of that type. It may be `def` or `async def`; what
it returns is the reply to a request. A request handler may instead take a `Reply` as its last
argument and answer whenever it likes. Raising a `Refusal` answers the asker with that
error; raising anything else crashes the actor.

Guarantees: one message at a time; in the order in which they came; a plain handler is never
interrupted; after 128 messages others get their turn.

>>> import anyio
>>> from attrs import frozen
>>> from actors import ActorSystem, Refusal, Reply, Request
>>> @frozen
... class Deposit:
...     amount: int
>>> @frozen
... class Withdraw(Request[int]):
...     amount: int
>>> class InsufficientFunds(Refusal): ...
>>> class Account(Actor[Deposit | Withdraw]):
...     def __init__(self) -> None:
...         self.balance = 0
...     @on(Deposit)
...     def deposit(self, message: Deposit) -> None:
...         self.balance += message.amount
...     @on(Withdraw)
...     def withdraw(self, message: Withdraw, reply: Reply[int]) -> None:
...         if message.amount > self.balance:
...             reply.fail(InsufficientFunds(message.amount))
...         else:
...             self.balance -= message.amount
...             reply.send(self.balance)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         account = await system.spawn(Account)
...         account.tell(Deposit(10))
...         print(await account.ask(Withdraw(3)))
...         try:
...             await account.ask(Withdraw(100))
...         except InsufficientFunds as error:
...             print("refused", error)
>>> anyio.run(main)
7
refused 100
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from types import UnionType
from typing import Any, ClassVar, Concatenate, Protocol, TypeVar, get_origin, overload

from actors.cancellation import CancellationToken
from actors.context import Proc, receive
from actors.dispatch import Dispatch, build, hibernation_of
from actors.message_types import check_message_class
from actors.messages import Question, Reply
from actors.shapes import MARK

__all__ = ["Actor", "HandlerOf", "RequestHandlerOf", "on"]

M = TypeVar("M")
A = TypeVar("A")
S = TypeVar("S")
R = TypeVar("R")


class Actor(Proc[M]):
    """A proc whose `run` hands each message to the method named with `@on`.

    The class statement raises TypeError for a message type of the mailbox without handler, for two
    handlers of one type, and for a handler of a type that is not in the mailbox.

    `hibernate_after` (seconds, default None: never) is a class attribute to set: an actor that got
    no message for so long lets go of its task and keeps only its state; the next message gives
    it a new one. Not for actors that override `run`; and nothing that belongs to a task (a task
    group, a cancel scope) can be kept open from one handler to the next then.
    """

    hibernate_after: ClassVar[float | None] = None
    __direct__: ClassVar[bool] = True
    __dispatch__: ClassVar[Dispatch]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__direct__ = False
        hibernation_of(cls)  # what cannot be meant is refused here
        own: object = cls.run
        cls.__dispatch__ = build(cls, plain_run=own is vars(Actor)["run"])

    async def run(self, shutdown: CancellationToken) -> None:
        """Receive messages until told to stop; override it to wrap the loop, and call it.

        Where nobody has overridden it the engine goes to the loop itself, `receiver.receive`.
        """
        await receive(self.context)


class RequestHandlerOf(Protocol[A, R]):
    """The shapes of a request handler: it returns the answer, or takes a `Reply`."""

    @overload
    def __call__(
        self, method: Callable[[S, A], Coroutine[Any, Any, R]], /
    ) -> Callable[[S, A], Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(
        self, method: Callable[[S, A, Reply[R]], Coroutine[Any, Any, None]], /
    ) -> Callable[[S, A, Reply[R]], Coroutine[Any, Any, None]]: ...
    @overload
    def __call__(
        self, method: Callable[[S, A, Reply[R]], None], /
    ) -> Callable[[S, A, Reply[R]], None]: ...
    @overload
    def __call__(self, method: Callable[[S, A], R], /) -> Callable[[S, A], R]: ...


class HandlerOf(Protocol[A]):
    """The shape of a handler of a message that nobody asks: it returns None."""

    @overload
    def __call__(
        self, method: Callable[[S, A], Coroutine[Any, Any, None]], /
    ) -> Callable[[S, A], Coroutine[Any, Any, None]]: ...
    @overload
    def __call__(self, method: Callable[[S, A], None], /) -> Callable[[S, A], None]: ...


@overload
def on(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    kind: type[Question[A, R]],
) -> RequestHandlerOf[A, R]: ...
@overload
def on(kind: type[A]) -> HandlerOf[A]: ...
def on(kind: type[Any]) -> Any:
    """Mark the method that handles messages of type `kind`.

    It takes `(self, message)`, or for a request also `(self, message, reply)`; `def` or `async
    def`. Subclasses of `kind` come to it too. Marks may be stacked. Raises TypeError when
    `kind` is no class, or a Protocol, and when the class has a handler of this name already.
    """
    origin = get_origin(kind) or kind
    if not isinstance(origin, type) or origin is UnionType:
        raise TypeError(f"@on takes a message class, not {kind!r}")
    check_message_class("@on", origin)

    def mark(method: Callable[Concatenate[Any, ...], Any]) -> Callable[Concatenate[Any, ...], Any]:
        # In the body of a class, the one before would be lost without a word.
        body = sys._getframe(1).f_locals  # pyright: ignore[reportPrivateUsage]
        before = body.get(getattr(method, "__name__", "")) if "__qualname__" in body else None
        if before is not method and (lost := getattr(before, MARK, ())):
            raise TypeError(
                f"{method.__qualname__}: the handler for {lost[0].__name__} has that name; "
                f"choose another one for {origin.__name__}"
            )
        setattr(method, MARK, (*getattr(method, MARK, ()), origin))
        return method

    return mark

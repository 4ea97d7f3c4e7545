"""Stand between those who ask and those who answer: a door for pools, queues and routers.

A broker is a proc that has others answer what it is asked. Through its mailbox each question passes
it twice. Here are the two halves of an ask for a broker that decides at once, in the turn of the
one who asks (`Asking`), and hears of the answer in the turn of the one who gives it (`pass_on`).
What is decided, and that it is decided rightly, is the broker's business.

Guarantees: an `Asking` is settled at most once, and ends with its timeout at the latest; a `Hearer`
is told once, of the answer or of the end of the proc that was to answer.

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> class Double(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Doubler(Actor[Double]):
...     @on(Double)
...     def double(self, message: Double) -> int:
...         return message.number * 2
>>> class Hears(Hearer):
...     def __init__(self, asking: Asking) -> None:
...         self.asking, self.over = asking, False
...     def done(self) -> bool:
...         return self.over
...     def set_result(self, result: object, /) -> None:
...         self.over = True
...         self.asking.send(result)
...     def set_exception(self, exception: BaseException, /) -> None:
...         self.over = True
...         self.asking.fail(exception)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         broker = doubler = await system.spawn(Doubler)
...         asking = Asking(broker, Double)
...         pass_on(doubler, Double(21), Hears(asking))
...         print(await asking.answer(timeout=5.0))
>>> anyio.run(main)
42
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from threading import get_ident
from typing import Any, Never, final

from actors.backends import Waiter
from actors.errors import AskTimeout, ended
from actors.messages import Request
from actors.ref import Ref, address_of, post_question
from actors.texts import answer_of, is_a
from actors.waits import asker_of

__all__ = ["Asking", "Hearer", "has_mail", "pass_on", "takes_shortcuts"]


class Hearer(ABC):
    """Somebody who is told what came of a request that was passed on; nothing may be raised."""

    __slots__ = ()

    @abstractmethod
    def done(self) -> bool:
        """Return whether it was told already."""

    @abstractmethod
    def set_result(self, result: object, /) -> None:
        """Take the answer."""

    @abstractmethod
    def set_exception(self, exception: BaseException, /) -> None:
        """Take the refusal, or the error, that came instead of an answer."""

    def __await__(self) -> Generator[Any, None, Never]:
        """Wait for nothing. Raises RuntimeError."""
        raise RuntimeError("a broker hears of this answer; nobody waits for it")


@final
class Asking:
    """Somebody who waits for an answer from a broker; to be answered like a `Reply`.

    `kind` is the type of the question, for errors. `known` (default True): it is known who waits,
    so that nobody waits in a circle. Raises AskCycle, and RuntimeError in another thread, like
    `Ref.ask`.
    """

    __slots__ = ("_address", "_asker", "_kind", "_waiter", "due", "tick", "timeout")

    def __init__(self, broker: Ref[Any], kind: type[Request[Any]], *, known: bool = True) -> None:
        self._address = address = address_of(broker)
        runtime = address.runtime
        if get_ident() != runtime.home:
            raise runtime.elsewhere(address.path)
        self._asker = asker_of(address, kind) if known else None
        self._kind = kind
        self._waiter: Waiter[Any] = runtime.backend.new_waiter()
        self.timeout = self.due = 0.0
        self.tick = 0

    async def answer(self, timeout: float | None) -> Any:
        """Wait for the answer; `timeout` in seconds, None for no limit.

        Raises what it is failed with, and AskTimeout. Cancelled, it is not wanted any more.
        """
        waiter, runtime, asker = self._waiter, self._address.runtime, self._asker
        if waiter.done():
            await runtime.backend.checkpoint()  # as when it is waited for: interruptions land here
            return await waiter
        if timeout is not None:
            self.timeout = timeout
            runtime.deadlines.add(self, timeout)
        if asker is not None:
            asker.asking, asker.asked = self._address, self
        try:
            return await waiter
        finally:
            if asker is not None:
                asker.wait_is_over()
            if timeout is not None:
                runtime.deadlines.discard(self)

    def send(self, value: object) -> None:
        """Give the answer; dropped when nobody waits for it any more."""
        if not self._waiter.done():
            self._waiter.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give an error instead; dropped when nobody waits for it any more."""
        if not self._waiter.done():
            if is_a(error, StopIteration):
                # No future takes one: it would end the coroutine that awaits, not fail it.
                error = answer_of(error)
            self._waiter.set_exception(error)

    def ended(self) -> None:
        """Tell that the broker has ended before there was an answer."""
        self.fail(ended(self._address.path, self._address.reason, self._kind.__name__))

    def expire(self) -> None:
        """Tell that the time is up."""
        self.fail(AskTimeout(self._address.path, self._kind.__name__, self.timeout))

    @property
    def wanted(self) -> bool:
        """Return whether somebody still waits."""
        return not self._waiter.done()

    @property
    def settled(self) -> bool:
        """Return whether nobody waits any more."""
        return self._waiter.done()


def takes_shortcuts(broker: Ref[Any]) -> bool:
    """Return whether a broker may decide in the turn of the one who asks, when no mail waits.

    Not where context variables travel with each message, or nothing is done for speed alone.
    """
    return address_of(broker).runtime.inline


def has_mail(broker: Ref[Any]) -> bool:
    """Return whether anything waits in the mailbox of a broker, which is not to be overtaken."""
    return bool(address_of(broker).queue)


def pass_on(ref: Ref[Any], request: Request[Any], hearer: Hearer) -> None:
    """Send a request to a proc; what comes of it is told to `hearer`, in the turn it happens in.

    Raises TypeError, MailboxFull and ProcExited like `Ref.ask` when it cannot be sent.
    """
    post_question(address_of(ref), request, hearer, None)

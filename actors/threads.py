"""Send to an actor from another thread.

Refs belong to the thread of their event loop. `system.threadsafe(ref)` makes a handle whose
methods may be called from any other thread: they hand the work over to the loop. It may be made in
any thread, too, and belongs to the event loop of the ref's actor system.

Guarantees: a thread gets what any asker gets, errors unchanged; nothing that comes while the loop
closes is left behind there, and the thread gets SystemClosed.

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> class Add(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Total(Actor[Add]):
...     total = 0
...     @on(Add)
...     def add(self, message: Add) -> int:
...         self.total += message.number
...         return self.total
>>> async def main() -> int:
...     async with ActorSystem() as system:
...         total = system.threadsafe(await system.spawn(Total))
...         return await anyio.to_thread.run_sync(total.ask, Add(42))
>>> anyio.run(main)
42
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar, final

from actors.address import Address
from actors.dead_letters import FULL
from actors.errors import MailboxFull, SystemClosed
from actors.messages import DEFAULT_TIMEOUT, Envelope, Question
from actors.ref import Ref, address_of, post_question
from actors.seconds import check_seconds

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["ThreadsafeRef"]

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")

LOOK_AGAIN = 1.0
"""Seconds after which a blocked thread looks whether its event loop is still there."""


@final
class ThreadsafeRef(Generic[M_contra]):
    """An address, for other threads than the event loop's."""

    __slots__ = ("_address", "_ref")

    def __init__(self, ref: Ref[M_contra]) -> None:
        self._ref = ref
        self._address = address_of(ref)

    @property
    def ref(self) -> Ref[M_contra]:
        """Return the ref, to be used in the event loop's thread."""
        return self._ref

    def tell(self, message: M_contra) -> None:
        """Hand a message over to the event loop; never waits.

        Messages of one thread keep their order. Finding a bounded mailbox full, it is a dead
        letter, as nobody is there to raise to. Raises TypeError when the receiver does not accept
        it, SystemClosed when the event loop has gone.
        """
        address = self._address
        if type(message) not in address.types:
            address.accepts.admit(type(message), address.path)
        _hand_over(address, partial(_tell, address, message))

    def ask(self, request: Question[M_contra, R], *, timeout: float | None = DEFAULT_TIMEOUT) -> R:
        """Ask and block this thread until the answer is there.

        `timeout` in seconds, default 5.0, None for no limit. Raises like `Ref.ask`, SystemClosed
        when the event loop goes meanwhile, and RuntimeError when called in the event loop's own
        thread, which it would block for ever.
        """
        address = self._address
        if threading.get_ident() == address.runtime.home:
            raise RuntimeError("ask here would block the event loop; await Ref.ask instead")
        if timeout is not None:
            check_seconds("a timeout", timeout, none=True)
        from concurrent.futures import Future  # here: it loads `logging`, which few need so early

        future: Future[R] = Future()
        _hand_over(address, partial(_ask, address, request, timeout, future))
        while True:
            try:
                return future.result(LOOK_AGAIN)
            except TimeoutError:
                if future.done():
                    return future.result()  # that was the answer, or it has come this very moment
                _hand_over(address, _nothing)


@final
class _Thread:
    """The waiter of an ask for which a thread is blocked; woken in the event loop.

    Not a task that awaits `Ref.ask`: the loop would have to turn once more to end it, and one that
    closes does not.
    """

    __slots__ = ("_address", "_future", "envelope")

    def __init__(self, address: Address, future: Future[Any]) -> None:
        self._address = address
        self._future = future
        self.envelope: Envelope | None = None

    def done(self) -> bool:
        return self._future.done()

    def set_result(self, result: object, /) -> None:
        self._over()
        self._future.set_result(result)

    def set_exception(self, exception: BaseException, /) -> None:
        self._over()
        self._future.set_exception(exception)

    def _over(self) -> None:
        envelope, self.envelope = self.envelope, None
        if envelope is not None:
            self._address.runtime.deadlines.discard(envelope)

    def __await__(self) -> Generator[Any, None, Never]:
        raise RuntimeError("a thread waits here")


def _hand_over(address: Address, call: Callable[[], None]) -> None:
    if address.runtime.carry:
        call = partial(copy_context().run, call)
    if not address.runtime.backend.call_soon_threadsafe(call):
        raise SystemClosed(address.runtime.name, "has gone with its event loop")


def _nothing() -> None:
    """Do nothing."""


# What follows runs in the event loop, as a callback: whatever it raised would hit the loop.


def _tell(address: Address, message: object) -> None:
    try:
        if not address.offer(message):
            address.refuse(message, FULL)
    except MailboxFull:
        address.refuse(message, FULL)


def _ask(address: Address, request: Any, timeout: float | None, future: Future[Any]) -> None:
    waiter = _Thread(address, future)
    try:
        waiter.envelope = post_question(address, request, waiter, timeout)
    except Exception as error:
        future.set_exception(error)

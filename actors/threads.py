"""Send to an actor from another thread.

Refs belong to the thread of their event loop. `system.threadsafe(ref)` makes a handle whose
methods may be called from any other thread: they hand the work over to the loop.

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
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from actors.backends import Backend, InterruptibleTask
from actors.dead_letters import FULL
from actors.errors import ActorError, SystemClosed
from actors.messages import DEFAULT_TIMEOUT, Question
from actors.ref import Ref, address_of

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

    __slots__ = ("_backend", "_home", "_ref")

    def __init__(self, backend: Backend, ref: Ref[M_contra]) -> None:
        self._backend = backend
        self._ref = ref
        self._home = threading.get_ident()

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
        address = address_of(self._ref)
        if type(message) not in address.types:
            address.accepts.admit(type(message), address.path)
        self._hand_over(partial(_tell, self._ref, message))

    def ask(self, request: Question[M_contra, R], *, timeout: float | None = DEFAULT_TIMEOUT) -> R:
        """Ask and block this thread until the answer is there.

        `timeout` in seconds, default 5.0, None for no limit. Raises like `Ref.ask`, SystemClosed
        when the event loop goes meanwhile, and RuntimeError when called in the event loop's own
        thread, which it would block for ever.
        """
        if threading.get_ident() == self._home:
            raise RuntimeError("ask here would block the event loop; await Ref.ask instead")
        from concurrent.futures import Future  # here: it loads `logging`, which few need so early

        future: Future[R] = Future()
        main = partial(_ask, future, self._ref, request, timeout)
        label = f"{self._ref.path} threadsafe ask"
        self._hand_over(lambda: void(self._backend.start(main, label)))
        while True:
            try:
                return future.result(LOOK_AGAIN)
            except TimeoutError:
                if future.done():
                    raise  # it is the answer: an AskTimeout is a TimeoutError
                self._hand_over(void)

    def _hand_over(self, call: Callable[[], None]) -> None:
        if not self._backend.call_soon_threadsafe(call):
            raise SystemClosed(address_of(self._ref).runtime.name, "has gone with its event loop")


def void(_: object = None) -> None:
    """Do nothing."""


def _tell(ref: Ref[Any], message: object) -> None:
    address = address_of(ref)
    if not address.offer(message):
        address.refuse(message, FULL)


async def _ask(
    future: Future[Any],
    ref: Ref[Any],
    request: Any,
    timeout: float | None,
    task: InterruptibleTask,
) -> None:
    try:
        future.set_result(await ref.ask(request, timeout=timeout))
    except (ActorError, TypeError, ValueError) as error:
        future.set_exception(error)
    except GeneratorExit:
        raise
    except BaseException as error:
        future.set_exception(RuntimeError(f"the ask was cut short: {error!r}"))

"""Answer a request in the turn of the event loop in which it is asked.

An idle actor need not be woken up to answer: whoever asks runs its handler. Nobody can tell the
difference but by the clock. It is the actor's context, and what the handler raises is the actor's
crash; what it sends to itself, or decides, waits its turn.

Only handlers that cannot wait are run so: plain functions, and coroutine functions without any
`await` in them. (`asyncio.current_task()` in them is the asker's.)

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> class Double(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Doubler(Actor[Double]):
...     @on(Double)
...     async def double(self, message: Double) -> int:
...         return message.number * 2
>>> async def main() -> int:
...     async with ActorSystem() as system:
...         doubler = await system.spawn(Doubler)
...         return sum([await doubler.ask(Double(number)) for number in range(10)])
>>> anyio.run(main)
90
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import CoroutineType
from typing import Any, TypeGuard

from actors.context import Life, Proc
from actors.errors import Refusal
from actors.exits import ExitReason
from actors.messages import NOBODY, NOT_NOW, Envelope

__all__ = ["Answering", "is_coroutine"]

IN_A_ROW = 64
"""Of so many questions that could be answered at once, one lets the event loop turn."""


class Answering(Life):
    """Be the part of an incarnation that answers when it is idle.

    `in_hand` is the queued item that is being handled, `begun` the work that is left to do for it
    when a plain handler made that in an asker's turn. `variables` is the context in which its
    task runs, if the receive loop is all of its body. `verdict` is the exit reason that
    overrules how its code ends.
    """

    __slots__ = ("begun", "in_hand", "proc", "variables", "verdict")

    proc: Proc[Any]

    def __init__(self) -> None:
        self.task = None
        self.asking = self.asked = None
        self.handled = 0
        self.in_hand: object = None
        self.begun: Coroutine[Any, Any, object] | None = None
        self.variables: Context | None = None
        self.verdict: ExitReason | None = None

    def answer_now(self, request: object, function: Callable[..., Any]) -> Any:
        """Answer in the asker's own turn, when this actor is idle; returns the answer.

        Returns an Envelope to wait for when there is no answer yet, NOT_NOW when nothing was done.
        Raises the Refusal that it answered.
        """
        address = self.address
        runtime = address.runtime
        parked = address.waiter
        if parked is None or parked.done() or address.queue or sys.exc_info()[1] is not None:
            return NOT_NOW
        # Once in a while we take the long way, so that a loop of questions lets others run.
        runtime.in_a_row += 1
        if not runtime.in_a_row % IN_A_ROW:
            return NOT_NOW
        envelope, runtime.spare = runtime.spare, None
        if envelope is None:
            envelope = Envelope(request, NOBODY, address.path, None)
        else:
            envelope.message = request
        self.in_hand = envelope
        # Not idle meanwhile: what the handler sends to itself, or decides, waits its turn.
        address.waiter = None
        crash: BaseException | None = None
        result: Any = None
        assert self.variables is not None
        try:
            result = self.variables.run(function, self.proc, request)
        except BaseException as error:
            crash = error
        finally:
            self.handled += 1
            address.waiter = parked
            if address.queue or self.verdict is not None:
                address.wake()
        if self.in_hand is envelope and crash is None and not is_coroutine(result):
            self.in_hand = envelope.message = None
            runtime.spare = envelope  # nobody has seen it
            return result
        return self._not_yet(envelope, result, crash)

    def _not_yet(self, envelope: Envelope, result: object, crash: BaseException | None) -> Envelope:
        """Give the asker something to wait for; raises the Refusal that is the answer."""
        address = self.address
        if isinstance(crash, Refusal):
            if self.in_hand is envelope:
                self.in_hand = None
                raise crash
            crash = None  # it was stashed first: it will be handled again, and answered then
        elif isinstance(crash, StopIteration):
            # What a coroutine makes of it, and so the receive loop.
            cause, crash = crash, RuntimeError("coroutine raised StopIteration")
            crash.__cause__ = cause
        envelope.path = address.path
        envelope.waiter = address.runtime.backend.new_waiter()
        if crash is not None:
            self.crash(crash)
        elif is_coroutine(result):
            self.begun = result  # the actor's own task has to go on
            address.wake()
        return envelope

    async def finish_begun(self) -> None:
        """Do the work of the request in hand before anything else."""
        work, self.begun = self.begun, None
        envelope = self.in_hand
        assert work is not None
        result = await work
        if isinstance(envelope, Envelope) and self.in_hand is envelope:
            envelope.answer(result)
        # Else its request was stashed: this is no answer.
        self.in_hand = None

    def crash(self, error: BaseException) -> None:
        """Crash with what was raised outside of its own task; implemented above."""
        raise NotImplementedError


def is_coroutine(result: object) -> TypeGuard[Coroutine[Any, Any, Any]]:
    """Tell whether a handler returned work to be awaited; quicker than the general question."""
    return type(result) is CoroutineType

"""Answer a request in the turn of the event loop in which it is asked.

An idle actor need not be woken up to answer: whoever asks runs its handler. Nobody can tell the
difference but by the clock. It is the actor's context and what the handler raises is the actor's
crash; what it sends to itself, or decides, waits its turn.

An `async def` handler is begun here as well, in the name of the actor's own task, where the event
loop allows that (asyncio and uvloop). If it gets through without waiting, that is all. If not,
the actor's task goes on with it: it waits for the very thing that the handler waits for, and a
cancellation that lands in between is handed on, as if it had waited there all the time.

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

To begin a coroutine at once, and to leave it to a task only when it has to wait, is what eager
tasks do in Python 3.12.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType
from typing import Any, TypeAlias, TypeGuard, cast

from actors.context import Life, Proc
from actors.errors import Refusal
from actors.exits import ExitReason
from actors.mailbox import current_occupant
from actors.messages import NOBODY, NOT_NOW, Envelope

__all__ = ["Answering", "is_coroutine"]

Work: TypeAlias = Coroutine[Any, Any, object]

IN_A_ROW = 64
"""Of so many questions that could be answered at once, one lets the event loop turn."""

DEEP = 8
"""So many coroutines may be begun inside each other; each takes a few frames of the stack."""

OFTEN = 16
"""A handler that had to wait so often in a row is left to the actors' own tasks from then on."""

NOT_BEGUN = object()
"""What work waits for that was made in an asker's turn, but not begun there."""


class Answering(Life):
    """Be the part of an incarnation that answers when it is idle.

    `in_hand` is the queued item that is being handled, `begun` what is left to do for it when that
    was made in an asker's turn, `pending` what that waits for, and `struck` what is to be raised
    there. `variables` is the context in which its task runs, if the receive loop is all of its
    body. `verdict` is the exit reason that overrules how its code ends.
    """

    __slots__ = ("begun", "in_hand", "pending", "proc", "struck", "variables", "verdict")

    proc: Proc[Any]

    def __init__(self) -> None:
        self.task = None
        self.asking = self.asked = None
        self.handled = 0
        self.in_hand: object = None
        self.begun: Work | None = None
        self.pending: object = NOT_BEGUN
        self.struck: BaseException | None = None
        self.variables: Context | None = None
        self.verdict: ExitReason | None = None

    def answer_now(
        self, request: object, function: Callable[..., Any], *, begin: bool = False
    ) -> Any:
        """Answer in the asker's own turn, when this actor is idle; returns the answer.

        `begin` says that the function is a coroutine function. Returns an Envelope to wait for when
        there is no answer yet, NOT_NOW when nothing was done. Raises the Refusal that it answered.
        """
        address = self.address
        hub = address.hub
        parked = address.waiter
        if parked is None or parked.done() or address.queue or sys.exc_info()[1] is not None:
            return NOT_NOW
        # Once in a while we take the long way, so that a loop of questions lets others run.
        hub.in_a_row += 1
        if not hub.in_a_row % IN_A_ROW or (begin and (self.task is None or hub.depth == DEEP)):
            return NOT_NOW
        envelope, hub.spare = hub.spare, None
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
            if begin or is_coroutine(result):
                result = self._work_on(result, begin, type(request))
        except BaseException as error:
            crash = error
        finally:
            self.handled += 1
            address.waiter = parked
            if address.queue or self.verdict is not None:
                address.wake()
        if self.in_hand is envelope and crash is None and self.begun is None:
            self.in_hand = envelope.message = None
            hub.spare = envelope  # nobody has seen it
            return result
        if crash is not None:
            crash = self._judged(envelope, crash)
        envelope.path = address.path
        envelope.waiter = hub.backend.new_waiter()
        if crash is not None:
            self.crash(crash)
        elif self.begun is not None:
            address.wake()
        return envelope

    def _work_on(self, work: Any, begin: bool, kind: type) -> object:
        """Begin a coroutine; what is left of it afterwards is `begun`. Returns its result."""
        if not begin:
            # A plain function made it. The actor's own task begins it.
            self.begun, self.pending = work, NOT_BEGUN
            return None
        hub = self.address.hub
        backend = hub.backend
        asker, asking = current_occupant.get(), backend.current_task()
        if asker is None or asker.task is not asking:
            asker = None  # nobody, or a task beside the proc's own
        else:
            asker.asking = self.address  # who asks in a circle is told so, as ever
        hub.depth += 1
        assert self.variables is not None
        try:
            self.pending = backend.begin(self.task, self.variables, work)
        except StopIteration as done:
            if self.address.accepts.waited:
                self.address.accepts.waited.pop(kind, None)
            if not backend.is_struck(asking):
                return done.value
            # Whoever asks was cancelled meanwhile: that is to be seen where it waits.
            settled = Envelope(None, backend.new_waiter(), self.address.path, None)
            settled.answer(done.value)
            return settled
        finally:
            hub.depth -= 1
            if asker is not None:
                asker.wait_is_over()
        self.begun = work
        self._note_wait(kind)
        return None

    def _note_wait(self, kind: type) -> None:
        """Begin no handler at once that nearly always has to wait: it costs more than it saves."""
        accepts = self.address.accepts
        often = accepts.waited[kind] = accepts.waited.get(kind, 0) + 1
        if often == OFTEN:
            accepts.eager.pop(kind, None)

    def _judged(self, envelope: Envelope, error: BaseException) -> BaseException | None:
        """Tell what a crash is, None when it is none; raises the Refusal that is the answer."""
        if isinstance(error, Refusal):
            if self.in_hand is envelope:
                self.in_hand = None
                raise error
            return None  # it was stashed first: it will be handled again, and answered then
        if isinstance(error, StopIteration):
            # What a coroutine makes of it, and so the receive loop.
            crash = RuntimeError("coroutine raised StopIteration")
            crash.__cause__ = error
            return crash
        return error

    def strike(self, error: BaseException) -> bool:
        """Hand a cancellation on to the handler that was begun; False when there is none."""
        if self.begun is None or self.pending is NOT_BEGUN:
            return False
        # As when a task is cancelled: what it waits for is, or else it is raised at once.
        cancel = getattr(self.pending, "cancel", None)
        if cancel is None or not cancel():
            self.struck = error
        return True

    async def finish_begun(self) -> None:
        """Go on with the request in hand before anything else: it was begun."""
        work, self.begun = self.begun, None
        pending, self.pending = self.pending, NOT_BEGUN
        struck, self.struck = self.struck, None
        envelope = self.in_hand
        assert work is not None
        result = await (work if pending is NOT_BEGUN else _go_on(work, pending, struck))
        if isinstance(envelope, Envelope) and self.in_hand is envelope:
            envelope.answer(result)
        # Else its request was stashed: this is no answer.
        self.in_hand = None

    def crash(self, error: BaseException) -> None:
        """Crash with what was raised outside of its own task; implemented above."""
        raise NotImplementedError


@types.coroutine
def _go_on(
    work: Work, pending: object, struck: BaseException | None
) -> Generator[object, None, object]:
    """Go on with a coroutine that waits for `pending`; `struck` is to be raised there."""
    while True:
        if struck is None:
            try:
                yield pending
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                struck = error
            else:
                # Not its __await__: whoever looks where this task waits finds the handler itself.
                resumed: Any = work
                return cast("object", (yield from resumed))
        try:
            pending = work.throw(struck)
        except StopIteration as done:
            return done.value
        struck = None


def is_coroutine(result: object) -> TypeGuard[Coroutine[Any, Any, Any]]:
    """Tell whether a handler returned work to be awaited; quicker than the general question."""
    return type(result) is CoroutineType

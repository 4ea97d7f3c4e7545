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

from collections.abc import Callable
from sys import exception
from typing import Any

from actors.engine.life import Life
from actors.engine.receiver import is_coroutine
from actors.errors import Refusal
from actors.messages import NOBODY, NOT_NOW, Envelope
from actors.texts import is_a

__all__ = ["answer_now"]

IN_A_ROW = 64
"""Of so many questions that could be answered at once, one lets the event loop turn."""

# An ask through the mailbox costs a waiter, an envelope, a wake-up and two turns of the loop; asked
# inline, an idle actor costs a call. What must not be noticed, and why it is not:
#
# - One message at a time: only an actor that is parked is asked, with nothing queued, and it counts
#   as busy meanwhile (`address.waiter` is None), so what the handler sends to its own address, or
#   whoever asks it from there, waits in the queue as always.
# - Its own context variables, not the asker's: the handler runs in `variables`.
# - Its own crash, not the asker's: what the handler raises is caught here; the actor's task is
#   interrupted where it is parked, and the asker waits for the news like any other. Until then the
#   actor counts as busy: a task that was woken by what the handler did to its mailbox would go on
#   with that, and put down the request that it crashes with.
# - Work that a plain function returned goes on in the actor's task. If the function had the actor
#   killed before, or a link broken, that work is not begun, and its asker hears of the end.
# - Fairness: a loop of asks that never waits would hold up everybody, so one in 64 goes the long
#   way.
# - `sys.exception()`: inside an `except` block of the asker's the handler would see that exception,
#   and a bare `raise` in it would raise it. So not there.
#
# The spare envelope. A handler that stashes its request, or crashes, needs an envelope to be in
# hand; nearly always it does neither. So one envelope is kept for all in `Runtime.spare`, taken
# while a handler runs (then it is None, and a nested ask makes its own) and put back when nobody
# can have seen it. It has NOBODY for a waiter, which counts as settled: an answer to it goes
# nowhere.


def answer_now(life: Life, request: object, function: Callable[..., Any]) -> Any:
    """Answer in the asker's own turn, when this actor is idle; returns the answer.

    Returns an Envelope to wait for when there is no answer yet, NOT_NOW when nothing was done.
    Raises the Refusal that it answered.
    """
    address = life.address
    runtime = address.runtime
    parked = address.waiter
    if parked is None or parked.done() or address.queue or exception() is not None:
        return NOT_NOW
    # Once in a while we take the long way, so that a loop of questions lets others run.
    runtime.in_a_row = turn = runtime.in_a_row + 1
    if not turn % IN_A_ROW:
        return NOT_NOW
    envelope, runtime.spare = runtime.spare, None
    if envelope is None:
        envelope = Envelope(request, NOBODY, address.path, None)
    else:
        envelope.message = request
    life.in_hand = envelope
    # Not idle meanwhile: what the handler sends to itself, or decides, waits its turn.
    address.waiter = None
    crash: BaseException | None = None
    result: Any = None
    try:
        result = life.variables.run(function, life.proc, request)
    except BaseException as error:
        crash = error
    life.handled += 1
    if life.in_hand is envelope and crash is None and not is_coroutine(result):
        address.waiter = parked
        if address.queue or life.verdict is not None:
            address.wake()
        life.in_hand = envelope.message = None
        runtime.spare = envelope  # nobody has seen it
        return result
    try:
        return _not_yet(life, envelope, result, crash)
    finally:
        address.waiter = parked
        if address.queue or life.verdict is not None or life.begun is not None:
            address.wake()


def _not_yet(
    life: Life, envelope: Envelope, result: object, crash: BaseException | None
) -> Envelope:
    """Give the asker something to wait for; raises the Refusal that is the answer."""
    address = life.address
    if crash is not None and is_a(crash, Refusal):
        if life.in_hand is envelope:
            life.in_hand = None
            raise crash
        crash = None  # it was stashed first: it will be handled again, and answered then
    elif crash is not None and is_a(crash, StopIteration):
        # What a coroutine makes of it, and so the receive loop.
        cause, crash = crash, RuntimeError("coroutine raised StopIteration")
        crash.__cause__ = cause
    envelope.path = address.path
    backend = address.runtime.backend
    envelope.waiter = backend.new_waiter()
    if crash is not None:
        if life.told is not None and is_a(crash, backend.cancelled_error()):
            life.take_down(life.told)  # it was told to stop, and that is what it does
        else:
            life.crash(crash)
    elif is_coroutine(result):
        life.begun = result  # the actor's own task has to go on
    return envelope

"""Hand the mail of one incarnation to its handlers, or to its inbox.

The loop takes up to 128 messages in a row and then lets others have their turn, so a flooded actor
holds up nobody for long and a batch costs one trip through the event loop. Control stands
at the head of the queue as a mark: it is seen between any two messages, and looking for it costs
nothing while there is none.

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> class Open: ...
>>> class Read(Request[str]): ...
>>> class File(Actor[Open | Read]):
...     opened = False
...     @on(Open)
...     def open(self, message: Open) -> None:
...         self.opened = True
...         self.context.unstash_all()
...     @on(Read)
...     def read(self, message: Read) -> str:
...         if not self.opened:
...             self.context.stash()
...         return "text"
>>> async def main() -> str:
...     async with ActorSystem() as system:
...         file = await system.spawn(File)
...         async with anyio.create_task_group() as tasks:
...             async def later() -> None:
...                 file.tell(Open())
...             tasks.start_soon(later)
...             return await file.ask(Read())
>>> anyio.run(main)
'text'

Batches with a budget, and a stash, are what Akka calls throughput and stash.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import Token
from types import CoroutineType
from typing import Any, TypeGuard, TypeVar, final

from actors.address import UNLIMITED
from actors.backends import Waiter
from actors.dead_letters import DeadLetterKind, DeadLetterReason
from actors.deadlines import Nap
from actors.dispatch import Dispatch, Handler
from actors.engine.life import Life
from actors.errors import NoReply, Refusal
from actors.exits import Normal
from actors.mail import CONTROL, STOP, UNSET, Notice, is_mark
from actors.messages import NOBODY, Envelope, Reply, make_reply
from actors.notices import DownNotice, Exited, Received

__all__ = ["TOLD", "Receiver", "is_coroutine"]

BATCH = 128
"""So many messages are handled before others get their turn."""

RAISED = DeadLetterReason(DeadLetterKind.IN_HAND, "its handler raised")

N = TypeVar("N")


@final
class Told:
    """The control that says: stop after the message in hand."""


TOLD = Told()

NOTHING: Any = dict[type, object]().get
"""The look into a fast lane where nothing is found."""


@final
class Receiver:
    """The part of an incarnation that receives: its loop, inbox, stash, and replies still owed.

    Made when it is first needed, so an idle actor has none. What every message touches (`in_hand`,
    `handled`) stands in the incarnation itself, where an inline ask finds it, too.
    """

    __slots__ = ("_deferred", "_inbox", "_life", "_reply", "_stash", "_tokens", "reader")

    def __init__(self, life: Life) -> None:
        self._life = life
        self._stash: deque[object] | None = None
        # The replies to requests that were taken and are not answered yet. Whoever is to answer has
        # them; let go, they are owed no more, and nothing here keeps a request or its answer.
        self._deferred: dict[weakref.ref[Reply[Any]], None] | None = None
        # Held while its message is in hand: when the handler is interrupted, its frame is gone
        # before the asker can be told why, and a reply that is thrown away says something else.
        self._reply: Reply[Any] | None = None
        self._inbox: weakref.ref[Inbox] | None = None
        # The task that reads the mail, if it need not be the proc's own.
        self.reader: object = None
        self._tokens: tuple[Token[Any], ...] = ()

    @property
    def dispatch(self) -> Dispatch:
        """Return the table of the actor. Raises TypeError for a proc that is none."""
        dispatch = self._life.traits.dispatch
        if dispatch is None:
            raise TypeError(f"{type(self._life.proc).__name__} is no Actor: it has no handlers")
        return dispatch

    # -- the receive loop of an actor ---------------------------------------------------------

    # Each message passes here, so this loop does nothing twice and calls nothing it need not.
    #
    # The two fast lanes are dictionaries of plain functions, by the exact type of the message:
    # `told` for messages, `answers` for requests whose handler returns the answer. All the rest
    # (a handler that takes a `Reply`, a subclass that was never seen, control, notices) falls
    # through to `_handle`, which does the same at leisure. Control needs no look of its own: it
    # announces itself by a mark at the head of the queue (see `CONTROL`), an item like any other.
    #
    # `in_hand` is set before a handler runs and cleared when the queue is empty, or replaced by the
    # next item; never in between. Whoever wants to know what a crash was handling looks there. A
    # handler that calls `stash` clears it, which is how we know that what it returned is no
    # answer. For the same reason it is not a local: another task may look while we await.
    #
    # `handled` is counted by the batch, from the budget that is left: an addition less for each.
    # The budget also bounds the turn: after 128 messages others run, in a checkpoint if mail is
    # left, by waiting if not.
    #
    # A Refusal is caught outside of the inner loop, because entering a `try` for each message and
    # leaving it would cost what the loop saves; it costs one more turn of the outer loop instead.
    #
    # Between two checks of `queue` nothing awaits, so no message can arrive unseen: when the queue
    # is found empty, the waiter is in place before anybody else runs.

    async def receive(self) -> bool:
        """Hand each message to its handler until told to stop; False when it hibernates instead."""
        life = self._life
        if life.begun is None:
            self._drop_hand()
        address, proc, dispatch = life.address, life.proc, self.dispatch
        queue, backend = address.unpack(), address.runtime.backend
        if not life.traits.plain_actor:
            self.reader = backend.current_task()
        take = queue.popleft if address.capacity == UNLIMITED else self._take_and_admit
        new_waiter, hibernate_after = backend.new_waiter, life.traits.hibernate_after
        told, answers, handle = dispatch.told.get, dispatch.answers.get, self._handle
        if address.runtime.carry:
            told = answers = NOTHING
            handle = self._unload_and_handle
        budget = BATCH
        while True:
            try:
                if life.begun is not None:
                    await self._finish_begun()
                while queue and budget:
                    budget -= 1
                    item = take()
                    handler = told(type(item))
                    if handler is not None:
                        life.in_hand = item
                        result = handler(proc, item)
                        if result is not None and type(result) is CoroutineType:
                            await result
                    elif type(item) is Envelope and (answer := answers(type(item.message))):
                        life.in_hand = item
                        value: Any = answer(proc, item.message)
                        if is_coroutine(value):
                            value = await value
                        asker = item.waiter
                        if life.in_hand is item and not asker.done():
                            asker.set_result(value)  # else it was stashed: this is no answer
                    else:
                        rest = handle(item)
                        if rest is not None and await rest:
                            return True
            except Refusal as refusal:
                self._refuse(refusal)
            life.in_hand = None
            if queue:
                if not budget:
                    life.handled += BATCH
                    budget = BATCH
                    await backend.checkpoint()
            else:
                life.handled += BATCH - budget
                budget = BATCH
                waiter = address.waiter = new_waiter()
                if hibernate_after is None:
                    await waiter
                elif not await self._doze(waiter, hibernate_after):
                    return False

    async def _finish_begun(self) -> None:
        """Do what is left of a request that was begun in an asker's turn, before anything else."""
        life = self._life
        work, life.begun = life.begun, None
        envelope = life.in_hand
        assert work is not None
        result = await work
        if type(envelope) is Envelope and life.in_hand is envelope:
            envelope.answer(result)
        # Else its request was stashed: this is no answer.
        life.in_hand = None

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request in hand with an error; the actor lives on."""
        self._reply = None
        item = self._life.in_hand
        if type(item) is Envelope:
            item.fail(refusal)
        # Else it was told, or stashed: there is nobody to answer.

    async def _doze(self, waiter: Waiter[None], hibernate_after: float) -> bool:
        """Wait for mail; False when none came for so long that the actor hibernates."""
        nap = Nap(waiter)
        address = self._life.address
        deadlines = address.runtime.deadlines
        deadlines.add(nap, hibernate_after)
        try:
            await waiter
        finally:
            deadlines.discard(nap)
        return not nap.over or bool(address.queue)

    def _drop_hand(self) -> None:
        """Settle what was in hand when a `run` of the user's own caught what a handler raised."""
        life = self._life
        item, life.in_hand = life.in_hand, None
        if item is not None:
            if type(item) is Envelope:
                item.fail(NoReply(life.address.path, type(item.message).__name__))
            life.address.refuse(item, RAISED)

    def _take_and_admit(self) -> object:
        """Take an item from a bounded mailbox, and let in who waits for room."""
        address = self._life.address
        item = address.queue.popleft()
        if address.parked and not is_mark(item):
            address.room()  # a mark took none, so it makes none
        return item

    # -- what is in no fast lane ----------------------------------------------------------------

    def _handle(self, item: object) -> Coroutine[Any, Any, bool] | None:
        """Handle what is in no fast lane.

        Returns None when that is done, else a coroutine that finishes it and returns True when it
        is time to stop.
        """
        life = self._life
        if type(item) is Envelope:
            return self._answer(item)
        if item is CONTROL or item is STOP or issubclass(type(item), Notice):
            life.in_hand = None  # the message before is done with
            return self._see_to(item)
        handler = self._handler(item, item)
        if handler is None:
            return None
        life.in_hand = item
        if handler.takes_reply:
            result = handler.function(life.proc, item, make_reply(None, item, life.address.runtime))
        else:
            result = handler.function(life.proc, item)
        return _finish(result) if is_coroutine(result) else None

    def _unload_and_handle(self, item: object) -> Coroutine[Any, Any, bool] | None:
        self._unload(item)
        return self._handle(item)

    def _unload(self, item: object) -> None:
        """Set the context variables that came with a message; take back those of the last one."""
        for token in self._tokens:
            token.var.reset(token)
        values: tuple[object, ...] = getattr(item, "carried", ())
        carry = self._life.address.runtime.carry
        self._tokens = tuple(
            variable.set(value)
            for variable, value in zip(carry, values, strict=False)
            if value is not UNSET
        )

    def _see_to(self, item: object) -> Coroutine[Any, Any, bool]:
        if item is CONTROL:
            return self.obey()
        if item is STOP:
            return self.reach_stop_mark()
        assert isinstance(item, Notice)
        return self.hear(item)

    def _answer(self, envelope: Envelope) -> Coroutine[Any, Any, bool] | None:
        """Answer a request whose handler takes a reply, or that no fast lane knows yet."""
        life, message = self._life, envelope.message
        handler = self._handler(message, envelope)
        if handler is None:
            return None
        life.in_hand = envelope
        if handler.takes_reply:
            self._reply = make_reply(envelope, message, life.address.runtime)
            result = handler.function(life.proc, message, self._reply)
        else:
            result = handler.function(life.proc, message)
        if is_coroutine(result):
            return self._answer_later(envelope, result, takes_reply=handler.takes_reply)
        self._settle(envelope, result, handler.takes_reply)
        return None

    async def _answer_later(
        self, envelope: Envelope, work: Awaitable[object], *, takes_reply: bool = False
    ) -> bool:
        self._settle(envelope, await work, takes_reply)
        return False

    def _settle(self, envelope: Envelope, result: object, takes_reply: bool) -> None:
        """Answer with what a handler returned, or remember that it will answer later."""
        # Not itself: let go here, it is gone if the handler did not keep it.
        owed = None if self._reply is None or envelope.settled else weakref.ref(self._reply)
        self._reply = None
        if self._life.in_hand is not envelope:
            return  # it was stashed: what its handler returned is no answer
        if not takes_reply:
            envelope.answer(result)
        elif not envelope.settled:
            if envelope.asker is not None:
                # Who will answer is anybody's guess now: nobody is known to wait for this proc.
                envelope.asker.wait_is_over()
            reply = None if owed is None else owed()
            if reply is not None:
                self.remember(reply)

    def _handler(self, message: object, item: object) -> Handler | None:
        """Find the handler of a message; None when it was refused, having none."""
        dispatch, address = self.dispatch, self._life.address
        handler = dispatch.types.get(type(message))
        if handler is None:
            # Queued for an earlier incarnation, made by a factory that makes another class now.
            try:
                dispatch.admit(type(message), address.path)
            except TypeError as error:
                if type(item) is Envelope:
                    item.fail(error)
                address.refuse(item, DeadLetterReason(DeadLetterKind.NOT_ACCEPTED, str(error)))
                return None
            handler = dispatch.types[type(message)]
        assert isinstance(handler, Handler)
        return handler

    # -- control and notices ------------------------------------------------------------------

    async def obey(self) -> bool:
        """See to control, in its order; True when it is time to stop."""
        address, proc = self._life.address, self._life.proc
        address.unmark()
        budget = BATCH
        try:
            while address.control:
                if not budget:
                    budget = BATCH
                    await address.runtime.backend.checkpoint()
                    continue  # a stop may have come first meanwhile
                budget -= 1
                item = address.control.popleft()
                if item is TOLD:
                    return True
                assert isinstance(item, Exited)
                await self._call_hook("on_exit", proc.on_exit, item)
            return False
        finally:
            if address.control:
                address.mark()  # the hook raised; whoever reads on must still see the rest

    async def _call_hook(
        self, name: str, hook: Callable[[N], Awaitable[None] | None], notice: N
    ) -> None:
        """Call a hook; `name` is there to be found by whoever looks at this call while it waits."""
        try:
            result = hook(notice)
            if result is not None:
                await result
        except Refusal as refusal:
            # Nobody asked, so nobody can be refused; it must not pass for a handler's answer.
            raise RuntimeError(f"{name} raised a Refusal: {refusal!r}") from refusal

    async def hear(self, notice: Notice) -> bool:
        """See to a notice in its turn; it is never time to stop for that."""
        life = self._life
        life.address.extra -= 1
        assert isinstance(notice, DownNotice)
        monitor = notice.monitor
        if monitor.active:
            life.links.forget(monitor)
            await self._call_hook("on_down", life.proc.on_down, notice.down)
        return False

    async def reach_stop_mark(self) -> bool:
        """Stop at the mark that `Ref.stop` has queued; returns True."""
        life = self._life
        life.address.extra -= 1
        if life.told is None:
            life.told = Normal()
        life.cancel_token()
        return True

    # -- the stash ------------------------------------------------------------------------------

    @property
    def stashed(self) -> int:
        """Return how many messages are put aside."""
        return len(self._stash) if self._stash else 0

    def stash(self) -> None:
        """Put the message in hand aside."""
        life = self._life
        life.check_not_ended()
        if life.in_hand is None:
            raise RuntimeError(f"{life.address.path} has no message in hand to stash")
        if self._stash is None:
            self._stash = deque()
        self._stash.append(life.in_hand)
        if isinstance(life.in_hand, Envelope):
            life.in_hand.turn += 1  # so that dropping its reply answers nobody
        life.in_hand = None

    def unstash_all(self) -> None:
        """Queue again what was put aside."""
        stash, self._stash = self._stash, None
        if stash:
            address = self._life.address
            address.put_back(stash)
            address.wake()

    # -- replies that are owed --------------------------------------------------------------------

    def remember(self, reply: Reply[Any]) -> None:
        """Remember a request that is answered later, to fail it if this incarnation ends first."""
        deferred = self._deferred
        if deferred is None:
            deferred = self._deferred = {}
        deferred[weakref.ref(reply, deferred.pop)] = None

    def hold_reply(self, envelope: Envelope) -> Reply[Any]:
        """Make the reply to a request from the inbox, and hold it as long as that is in hand."""
        self._reply = make_reply(envelope, envelope.message, self._life.address.runtime)
        self.remember(self._reply)
        return self._reply

    def put_down(self) -> None:
        """Put down the message that the inbox gave last: it is done with."""
        life = self._life
        item, life.in_hand = life.in_hand, None
        self._reply = None  # if nobody else has it, it was thrown away unanswered
        if type(item) is not Envelope:
            return
        if not item.settled and item.asker is not None:
            item.asker.wait_is_over()

    def fail_deferred(self) -> None:
        """Fail what is owed to askers: the incarnation has ended."""
        deferred, self._deferred = self._deferred, None
        for owed in tuple(deferred or ()):
            reply = owed()
            if reply is not None and reply.owed is not None:
                self._life.address.fail(reply.owed)

    def let_reply_go(self) -> None:
        """Drop the reply that was held, once its asker knows better."""
        self._reply = None

    # -- the inbox of a proc that is no actor -----------------------------------------------------

    def inbox(self) -> AsyncIterator[Received[Any]]:
        """Iterate over the mail."""
        life = self._life
        if life.traits.actor:
            raise RuntimeError(f"{life.address.path} is an actor: its handlers read the mail")
        life.check_not_ended()
        inbox = Inbox(self, life)
        self._inbox = weakref.ref(inbox)
        return inbox

    @property
    def reads_inbox(self) -> bool:
        """Return whether an iteration over the inbox is under way."""
        inbox = None if self._inbox is None else self._inbox()
        return inbox is not None and not inbox.over


@final
class Inbox(AsyncIterator[Received[Any]]):
    """The messages of a proc that is no actor, until it is told to stop."""

    __slots__ = ("__weakref__", "_budget", "_life", "_receiver", "over")

    def __init__(self, receiver: Receiver, life: Life) -> None:
        self._receiver = receiver
        self._life = life
        self._budget = BATCH
        self.over = False

    async def __anext__(self) -> Received[Any]:
        life = self._life
        address = life.address
        backend = address.runtime.backend
        if address.occupant is not life:
            raise StopAsyncIteration  # it has ended: what waits is the next incarnation's
        receiver = self._receiver
        receiver.put_down()
        receiver.reader = backend.current_task()
        while True:
            while address.queue and not self.over:
                self._budget -= 1
                if not self._budget:
                    self._budget = BATCH
                    await backend.checkpoint()
                    continue
                received = await self._next(address.queue.popleft())
                if address.parked:
                    address.room()
                if received is not None:
                    life.handled += 1
                    return received
            if self.over or life.told is not None:
                self.over = True
                raise StopAsyncIteration
            waiter = address.waiter = backend.new_waiter()
            await waiter

    async def _next(self, item: object) -> Received[Any] | None:
        receiver = self._receiver
        if self._life.address.runtime.carry:
            receiver._unload(item)  # pyright: ignore[reportPrivateUsage]
        if item is CONTROL:
            self.over = await receiver.obey()
        elif item is STOP:
            self.over = await receiver.reach_stop_mark()
        elif type(item) is DownNotice:
            await receiver.hear(item)
        else:
            self._life.in_hand = item
            if type(item) is Envelope:
                if item.waiter is NOBODY:
                    return Received(item.message, None)  # told, and loaded
                return Received(item.message, receiver.hold_reply(item))
            return Received(item, None)
        return None


def is_coroutine(result: object) -> TypeGuard[Coroutine[Any, Any, Any]]:
    """Return whether a handler returned work to be awaited; quicker than the general question."""
    return type(result) is CoroutineType


async def _finish(result: object) -> bool:
    """Await what a handler returned; one that looks plain may be `async def` behind a decorator."""
    if is_coroutine(result):
        await result
    return False

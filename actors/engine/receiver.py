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
from types import CoroutineType
from typing import Any, TypeVar, final

from actors.address import CONTROL, STOP, UNLIMITED, Notice
from actors.backends import Waiter
from actors.cancellation import CancellationToken, homeward
from actors.dispatch import Dispatch, Handler, Traits
from actors.engine.inline import Answering, is_coroutine
from actors.errors import NoReply, Refusal
from actors.exits import ExitReason, Normal
from actors.messages import Envelope, Reply, make_reply
from actors.notices import DownNotice, Exited, Monitor, Received

__all__ = ["Reader", "Told"]

BATCH = 128

N = TypeVar("N")


@final
class Nap:
    """Wake an actor that nobody wrote to, so that it can let go of its task."""

    __slots__ = ("due", "over", "tick", "waiter")

    def __init__(self, waiter: Waiter[None]) -> None:
        self.waiter = waiter
        self.over = False
        self.due, self.tick = 0.0, 0

    def expire(self) -> None:
        """Wake it, if nothing else did."""
        if not self.waiter.done():
            self.over = True
            self.waiter.set_result(None)


@final
class Told:
    """Be the control that says: stop after the message in hand."""


TOLD = Told()


class Reader(Answering):
    """Be the part of an incarnation that reads mail.

    `told` is the exit reason it was told to stop with, None before. `deferred` are requests taken
    but not answered yet.
    """

    __slots__ = (
        "_inbox",
        "_reply",
        "_stash",
        "_token",
        "deferred",
        "told",
        "traits",
        "watching",
    )

    traits: Traits

    def __init__(self) -> None:
        super().__init__()
        self.told: ExitReason | None = None
        self.deferred: dict[Envelope, None] | None = None
        self.watching: dict[Monitor, None] | None = None
        self._stash: deque[object] | None = None
        self._token: CancellationToken | None = None
        # Held while its message is in hand: when the handler is interrupted, its frame is gone
        # before the asker can be told why, and a reply that is thrown away says something else.
        self._reply: Reply[Any] | None = None
        self._inbox: weakref.ref[Inbox] | None = None

    @property
    def dispatch(self) -> Dispatch:
        """Return the table of the actor. Raises TypeError for a proc that is none."""
        dispatch = self.traits.dispatch
        if dispatch is None:
            raise TypeError(f"{type(self.proc).__name__} is no Actor: it has no handlers")
        return dispatch

    # -- the receive loop of an actor ---------------------------------------------------------

    async def receive(self) -> bool:
        """Hand each message to its handler until told to stop; False when it hibernates instead."""
        if self.begun is None:
            self._drop_hand()
        address, proc = self.address, self.proc
        queue, backend = address.unpack(), address.runtime.backend
        take = queue.popleft if address.capacity == UNLIMITED else self._take_and_admit
        new_waiter, hibernate_after = backend.new_waiter, self.traits.hibernate_after
        told, answers = self.dispatch.told.get, self.dispatch.answers.get
        budget = BATCH
        while True:
            try:
                if self.begun is not None:
                    await self.finish_begun()
                while queue and budget:
                    budget -= 1
                    item = take()
                    handler = told(type(item))
                    if handler is not None:
                        self.in_hand = item
                        result = handler(proc, item)
                        if result is not None and type(result) is CoroutineType:
                            await result
                    elif type(item) is Envelope and (answer := answers(type(item.message))):
                        self.in_hand = item
                        value: Any = answer(proc, item.message)
                        if is_coroutine(value):
                            value = await value
                        asker = item.waiter
                        if self.in_hand is item and not asker.done():
                            asker.set_result(value)  # else it was stashed: this is no answer
                    else:
                        rest = self._handle(item)
                        if rest is not None and await rest:
                            return True
            except Refusal as refusal:
                self._refuse(refusal)
            self.in_hand = None
            if queue:
                if not budget:
                    self.handled += BATCH
                    budget = BATCH
                    await backend.checkpoint()
            else:
                self.handled += BATCH - budget
                budget = BATCH
                waiter = address.waiter = new_waiter()
                if hibernate_after is None:
                    await waiter
                elif not await self._doze(waiter, hibernate_after):
                    return False

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request in hand with an error; the actor lives on."""
        self._reply = None
        if isinstance(self.in_hand, Envelope):
            self.in_hand.fail(refusal)
        # Else it was told, or stashed: there is nobody to answer.

    async def _doze(self, waiter: Waiter[None], hibernate_after: float) -> bool:
        """Wait for mail; False when none came for so long that the actor hibernates."""
        nap = Nap(waiter)
        deadlines = self.address.runtime.deadlines
        deadlines.add(nap, hibernate_after)
        try:
            await waiter
        finally:
            deadlines.discard(nap)
        return not nap.over or bool(self.address.queue)

    @property
    def hears(self) -> bool:
        """Tell whether news still matter: it lives, and its fate is not sealed."""
        raise NotImplementedError

    def _drop_hand(self) -> None:
        """Settle what was in hand when a `run` of the user's own caught what a handler raised."""
        item, self.in_hand = self.in_hand, None
        if item is not None:
            if isinstance(item, Envelope):
                item.fail(NoReply(self.address.path, type(item.message).__name__))
            self.address.refuse(item, "in hand when its handler raised")

    def _take_and_admit(self) -> object:
        item = self.address.queue.popleft()
        if self.address.parked:
            self.address.room()
        return item

    def _handle(self, item: object) -> Coroutine[Any, Any, bool] | None:
        """Handle what is in no fast lane.

        Returns None when that is done, else a coroutine that finishes it and returns True when it
        is time to stop.
        """
        if type(item) is Envelope:
            return self._answer(item)
        if item is CONTROL or item is STOP or isinstance(item, Notice):
            self.in_hand = None  # the message before is done with
            return self._see_to(item)
        handler = self._handler(item, item)
        if handler is None:
            return None
        self.in_hand = item
        if handler.takes_reply:
            result = handler.function(self.proc, item, make_reply(None, item))
        else:
            result = handler.function(self.proc, item)
        return _finish(result) if is_coroutine(result) else None

    def _see_to(self, item: object) -> Coroutine[Any, Any, bool]:
        if item is CONTROL:
            return self.obey()
        if item is STOP:
            return self.reach_stop_mark()
        assert isinstance(item, Notice)
        return self.hear(item)

    def _answer(self, envelope: Envelope) -> Coroutine[Any, Any, bool] | None:
        """Answer a request whose handler takes a reply, or that no fast lane knows yet."""
        message = envelope.message
        handler = self._handler(message, envelope)
        if handler is None:
            return None
        self.in_hand = envelope
        if handler.takes_reply:
            self._reply = make_reply(envelope, message)
            result = handler.function(self.proc, message, self._reply)
        else:
            result = handler.function(self.proc, message)
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
        self._reply = None
        if self.in_hand is not envelope:
            return  # it was stashed: what its handler returned is no answer
        if not takes_reply:
            envelope.answer(result)
        elif not envelope.settled:
            if envelope.asker is not None:
                # Who will answer is anybody's guess now: nobody is known to wait for this proc.
                envelope.asker.wait_is_over()
            self.remember(envelope)

    def _handler(self, message: object, item: object) -> Handler | None:
        dispatch = self.dispatch
        handler = dispatch.types.get(type(message))
        if handler is None:
            # Queued for an earlier incarnation, made by a factory that makes another class now.
            try:
                dispatch.admit(type(message), self.address.path)
            except TypeError as error:
                if isinstance(item, Envelope):
                    item.fail(error)
                self.address.refuse(item, str(error))
                return None
            handler = dispatch.types[type(message)]
        assert isinstance(handler, Handler)
        return handler

    # -- control and notices ------------------------------------------------------------------

    async def obey(self) -> bool:
        """See to control, in its order; True when it is time to stop."""
        address = self.address
        address.unmark()
        try:
            while address.control:
                item = address.control.popleft()
                if item is TOLD:
                    return True
                assert isinstance(item, Exited)
                await self._call_hook(self.proc.on_exit, item)
            return False
        finally:
            if address.control:
                address.mark()  # the hook raised; whoever reads on must still see the rest

    async def _call_hook(self, hook: Callable[[N], Awaitable[None] | None], notice: N) -> None:
        try:
            result = hook(notice)
            if result is not None:
                await result
        except Refusal as refusal:
            # Nobody asked, so nobody can be refused; it must not pass for a handler's answer.
            raise RuntimeError(f"{hook.__name__} raised a Refusal: {refusal!r}") from refusal

    async def hear(self, notice: Notice) -> bool:
        """See to a notice in its turn; it is never time to stop for that."""
        self.address.extra -= 1
        assert isinstance(notice, DownNotice)
        monitor = notice.monitor
        if monitor.active:
            monitor.active = False
            if self.watching is not None:
                self.watching.pop(monitor, None)
            await self._call_hook(self.proc.on_down, notice.down)
        return False

    async def reach_stop_mark(self) -> bool:
        """Be told to stop by the mark that `Ref.stop` has queued."""
        self.address.extra -= 1
        if self.told is None:
            self.told = Normal()
        self.cancel_token()
        return True

    # -- what a context asks ------------------------------------------------------------------

    @property
    def token(self) -> CancellationToken:
        """Return the incarnation's token; made when it is first wanted."""
        token = self._token
        if token is None:
            token = self._token = CancellationToken()
            if self.told is not None:
                token.cancel(self.told)
            else:
                token.on_cancel(homeward(self.address.runtime.backend, self.token_cancelled))
        return token

    def check_not_ended(self) -> None:
        """Refuse what would begin after the end; implemented above."""
        raise NotImplementedError

    def cancel_token(self) -> None:
        """Pass on to the token that the proc was told to stop."""
        if self._token is not None:
            self._token.cancel(self.told)

    def token_cancelled(self) -> None:
        """Be told to stop through the token; implemented above."""

    @property
    def stashed(self) -> int:
        """Return how many messages are put aside."""
        return len(self._stash) if self._stash else 0

    def stash(self) -> None:
        """Put the message in hand aside."""
        if self.in_hand is None:
            raise RuntimeError(f"{self.address.path} has no message in hand to stash")
        if self._stash is None:
            self._stash = deque()
        self._stash.append(self.in_hand)
        if isinstance(self.in_hand, Envelope):
            self.in_hand.turn += 1  # so that dropping its reply answers nobody
        self.in_hand = None

    def unstash_all(self) -> None:
        """Queue again what was put aside."""
        stash, self._stash = self._stash, None
        if stash:
            self.address.put_back(stash)
            self.address.wake()

    def remember(self, envelope: Envelope) -> None:
        """Remember a request that is answered later, to fail it if this incarnation ends first."""
        deferred = self.deferred
        if deferred is None:
            deferred = self.deferred = {}
        if len(deferred) >= 64 and len(deferred) & (len(deferred) - 1) == 0:
            for old in [entry for entry in deferred if entry.settled]:
                del deferred[old]
        deferred[envelope] = None

    def inbox(self) -> AsyncIterator[Received[Any]]:
        """Iterate over the mail."""
        if self.traits.actor:
            raise RuntimeError(f"{self.address.path} is an actor: its handlers read the mail")
        inbox = Inbox(self)
        self._inbox = weakref.ref(inbox)
        return inbox

    def hold_reply(self, envelope: Envelope) -> Reply[Any]:
        """Make the reply to a request from the inbox, and hold it as long as that is in hand."""
        self._reply = make_reply(envelope, envelope.message)
        return self._reply

    def put_down(self) -> None:
        """Be done with the message that the inbox gave last."""
        item, self.in_hand = self.in_hand, None
        self._reply = None  # if nobody else has it, it was thrown away unanswered
        if not isinstance(item, Envelope):
            return
        if item.settled:
            if self.deferred is not None:
                self.deferred.pop(item, None)
        elif item.asker is not None:
            item.asker.wait_is_over()

    def let_reply_go(self) -> None:
        """Drop the reply that was held, once its asker knows better."""
        self._reply = None

    @property
    def reads_inbox(self) -> bool:
        """Tell whether an iteration over the inbox is under way."""
        inbox = None if self._inbox is None else self._inbox()
        return inbox is not None and not inbox.over


@final
class Inbox(AsyncIterator[Received[Any]]):
    """Iterate over the messages of a proc that is no actor, until it is told to stop."""

    __slots__ = ("__weakref__", "_budget", "_reader", "over")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._budget = BATCH
        self.over = False

    async def __anext__(self) -> Received[Any]:
        reader = self._reader
        address = reader.address
        backend = address.runtime.backend
        reader.put_down()
        self._budget -= 1
        if not self._budget:
            self._budget = BATCH
            await backend.checkpoint()
        while True:
            while address.queue and not self.over:
                received = await self._next(address.queue.popleft())
                if address.parked:
                    address.room()
                if received is not None:
                    reader.handled += 1
                    return received
            if self.over or reader.told is not None:
                self.over = True
                raise StopAsyncIteration
            waiter = address.waiter = backend.new_waiter()
            await waiter

    async def _next(self, item: object) -> Received[Any] | None:
        reader = self._reader
        if item is CONTROL:
            self.over = await reader.obey()
        elif item is STOP:
            self.over = await reader.reach_stop_mark()
        elif isinstance(item, Notice):
            await reader.hear(item)
        else:
            reader.in_hand = item
            if isinstance(item, Envelope):
                reader.remember(item)
                return Received(item.message, reader.hold_reply(item))
            return Received(item, None)
        return None


async def _finish(result: object) -> bool:
    """Await what a handler returned; one that looks plain may be `async def` behind a decorator."""
    if is_coroutine(result):
        await result
    return False

"""Keep the mail of an address: what is taken, in which order, and who is told when it is lost.

An `Address` is the engine's record of one address, which outlives the incarnations of its proc.
Mail waits in one queue in the order of arrival. Control (stop requests, exit notices) waits in a
second one that is emptied first.

Guarantees: messages of one sender keep their order; what is not handled becomes a dead letter,
its request fails at once; a bounded mailbox never holds more than its capacity of messages.

>>> import anyio
>>> from actors import Actor, ActorSystem, Mailbox, MailboxFull, on
>>> class Slow(Actor[str]):
...     @on(str)
...     def work(self, message: str) -> None: ...
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         slow = await system.spawn(Slow, mailbox=Mailbox(capacity=1))
...         slow.tell("waits")
...         try:
...             slow.tell("one too many")
...         except MailboxFull as error:
...             print(error.capacity)
...         slow.stop()
...         await slow.wait()
>>> anyio.run(main)
1
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from threading import get_ident
from typing import Any, Protocol, TypeAlias, final

from actors.backends import Backend, Waiter, Wakeable
from actors.dead_letters import FULL, DeadLetterKind, DeadLetterReason
from actors.deadlines import Deadlines
from actors.errors import MailboxFull, NameTaken, ProcExited, ended
from actors.exits import ExitReason, NoProc
from actors.mail import CONTROL, Accepts, Awaiting, Parked, Parking, Wait, is_mark, load, unwrap
from actors.mailbox import Mailbox, Overflow
from actors.messages import Envelope

__all__ = ["Address", "Occupant", "Runtime", "current_occupant"]


class Occupant(Protocol):
    """The incarnation that lives at an address, as far as senders and refs know it.

    `task` is None while it has none; `asking` is the address that its task waits for, if any, and
    `asked` what it waits with: the request, if it is one. `number` counts starts, from 1;
    `handled` the messages that it was given. `told` is what it was told to stop with, None before.
    """

    address: Address
    task: object
    asking: Address | None
    asked: Wait | None
    number: int
    handled: int
    told: ExitReason | None

    @property
    def stashed(self) -> int:
        """Return how many messages it has put aside."""
        ...

    @property
    def leaving(self) -> bool:
        """Return whether it was told to stop, or is stopping."""
        ...

    @property
    def served_beside(self) -> bool:
        """Return whether another task than its own may read its mail."""
        ...

    def answer_now(self, request: object, function: Callable[..., Any], /) -> Any:
        """Answer in the asker's turn; an Envelope when the answer has to be waited for."""
        ...

    def wait_is_over(self) -> None:
        """Note that its task waits for nobody that is known."""
        ...

    def hurry(self) -> None:
        """Give up the wait for an answer when it is leaving and nobody is there to answer."""
        ...

    def finish_queued(self) -> None:
        """Stop it after what is queued, with exit reason Normal."""
        ...

    def tell_to_stop(self, timeout: float | None) -> None:
        """Stop it after the message in hand; kill it `timeout` seconds later (None: never)."""
        ...

    def kill(self) -> None:
        """Cancel it and all that it started."""
        ...

    def on_end(self, waiter: Awaiting) -> bool:
        """Wake `waiter` with the exit reason when it has ended; False when that is past."""
        ...

    def forget(self, waiter: Awaiting) -> None:
        """Take back an `on_end`; nothing happens when it is past."""
        ...


current_occupant: ContextVar[Occupant | None] = ContextVar("current_occupant", default=None)
"""The incarnation in whose code we are; inherited by the tasks that this code starts."""


@final
class FastPaths:
    """The switch for what is only there for speed, for tests that compare both ways."""

    enabled = True


fast_paths = FastPaths()


DeadLetterHandler: TypeAlias = "Callable[[Address, object, DeadLetterReason], None]"
"""Told of a message that nobody will handle, and why."""

HearsOfMail: TypeAlias = "Callable[[Address, Iterable[object], DeadLetterReason], bool]"
"""Tells whether anybody wants to hear of each message in the mail that is thrown away."""


@final
class Runtime:
    """What all addresses of one actor system share."""

    __slots__ = (
        "backend",
        "carry",
        "closed",
        "dead_letter",
        "deadlines",
        "heard",
        "home",
        "in_a_row",
        "inline",
        "name",
        "names",
        "spare",
        "variables",
    )

    def __init__(
        self,
        name: str,
        backend: Backend,
        dead_letter: DeadLetterHandler,
        heard: HearsOfMail,
    ) -> None:
        self.name = name
        self.backend = backend
        self.closed = False
        self.heard = heard
        self.carry: tuple[ContextVar[Any], ...] = ()
        # The context in which each incarnation lives, in a copy of its own: whoever spawned it, or
        # asked for that, must not leave in it for life what belongs to one request.
        self.variables = copy_context()
        self.home = get_ident()
        self.deadlines = Deadlines(backend)
        self.dead_letter = dead_letter
        self.names: dict[str, Address] = {}
        self.inline = fast_paths.enabled
        self.in_a_row = 0
        # The envelope for the next question that is answered at once: nearly always it comes back.
        self.spare: Envelope | None = None

    def carry_along(self, variables: tuple[ContextVar[Any], ...]) -> None:
        """Let these variables travel with each message; then none takes a shortcut."""
        self.carry = variables
        self.inline = self.inline and not variables

    def check_here(self, what: str) -> None:
        """Refuse a use in another thread than the event loop's. Raises RuntimeError."""
        if get_ident() != self.home:
            raise self.elsewhere(what)

    def elsewhere(self, what: str) -> RuntimeError:
        """Return the error for one who uses `what` in another thread or event loop."""
        return RuntimeError(
            f"{what} belongs to the event loop of actor system {self.name!r}; in another thread or "
            "loop use what system.threadsafe(ref) returns"
        )

    def close(self) -> None:
        """Take note that everything has ended that was started here."""
        self.closed = True
        self.deadlines.close()


@final
class Instruments:
    """Where a test comes in that looks on: `make_runtime` makes that of each system entered.

    What it puts around the parts of a runtime sees all, and the engine takes no other way for it.
    """

    make_runtime: Callable[[str, Backend, DeadLetterHandler, HearsOfMail], Runtime] = Runtime


instruments = Instruments()


UNLIMITED = sys.maxsize

NEVER_RAN = NoProc()

# Packed queues. An empty deque takes 760 bytes, more than all else that an idle actor needs. An
# actor without a task reads no queue, so its address does without one: `queue` is an empty tuple,
# which has a length and is iterated over like a queue, `simple` is false, so that no sender
# appends to it without a look, and `unpack` makes a new deque for the first item. While an actor
# has a task it has its queue, and the loop may hold on to that.

NOTHING: Any = ()


@final
class Address:
    """One address: its mail, its state and who lives there.

    `simple` is true while a message can be queued without another look: open, no capacity, and a
    queue is there.
    """

    __slots__ = (
        "accepts",
        "capacity",
        "control",
        "extra",
        "runtime",
        "id",
        "incarnation",
        "keep",
        "marked",
        "occupant",
        "open",
        "overflow",
        "name",
        "owned",
        "parked",
        "path",
        "shutdown_timeout",
        "queue",
        "reason",
        "ref",
        "simple",
        "types",
        "undelivered",
        "waiter",
        "why",
    )

    def __init__(
        self, runtime: Runtime, path: str, id: str, mailbox: Mailbox, accepts: Accepts
    ) -> None:
        self.runtime = runtime
        self.path = path
        self.id = id
        self.take(accepts)
        self.capacity = UNLIMITED if mailbox.capacity is None else mailbox.capacity
        self.overflow = mailbox.overflow
        self.keep = mailbox.on_restart == "keep"
        self.queue: deque[object] = deque()
        self.control: deque[object] | None = None
        self.parked: Parking | None = None
        self.extra = 0
        self.marked = False
        # What a sender wakes: a future of the receiver's task that waits for mail; the incarnation
        # itself while it has no task, which then gets one; None while the receiver is busy.
        self.waiter: Wakeable | None = None
        self.occupant: Occupant | None = None
        self.name: str | None = None
        self.owned = False
        self.shutdown_timeout: float | None = None
        self.ref: object = None
        self.incarnation = 0
        self.undelivered: Callable[[object], None] | None = None
        self.open = True
        self.simple = mailbox.capacity is None and not runtime.carry
        self.reason: ExitReason = NEVER_RAN
        self.why: object = ""

    def take(self, accepts: Accepts) -> None:
        """Take from now on what `accepts` says."""
        self.accepts = accepts
        self.types = accepts.types  # under a name of its own: one look less for every message

    def pack(self) -> None:
        """Do without a queue while nothing is in it and nobody reads it."""
        if not self.queue:
            self.queue = NOTHING
            self.simple = False

    def unpack(self) -> deque[object]:
        """Return the queue, a new one if there is none."""
        if self.queue is NOTHING:
            self.queue = deque()
            self.simple = self.open and self.capacity == UNLIMITED and not self.runtime.carry
        return self.queue

    # -- sending ---------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the receiver if it is parked. Raises RuntimeError in another thread."""
        waiter = self.waiter
        if waiter is not None:
            if get_ident() != self.runtime.home:
                raise self.runtime.elsewhere(self.path)
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def put(self, item: object) -> None:
        """Queue a message that has its room."""
        self.unpack().append(item)
        if self.waiter is not None:
            self.wake()

    def notify(self, notice: object) -> None:
        """Queue what needs no room: a notice, or a stop mark."""
        if self.open:
            self.extra += 1
            self.put(notice)

    def signal(self, control: object, *, first: bool = False) -> None:
        """Queue control: it is seen before any message that waits.

        In the order of arrival, but for what a proc decides itself: that comes `first`.
        """
        if self.control is None:
            self.control = deque()
        if first:
            self.control.appendleft(control)
        else:
            self.control.append(control)
        self.mark()
        if self.waiter is not None:
            self.wake()

    def mark(self) -> None:
        """Put the mark at the head of the queue that makes the reader look at control."""
        if not self.marked:
            self.marked = True
            self.extra += 1
            self.unpack().appendleft(CONTROL)

    def unmark(self) -> None:
        """Take note that the reader has taken the mark."""
        self.marked = False
        self.extra -= 1

    @property
    def size(self) -> int:
        """Return how many messages wait."""
        return len(self.queue) - self.extra

    @property
    def full(self) -> bool:
        """Return whether there is no room for one more message."""
        return len(self.queue) - self.extra >= self.capacity

    def offer(self, item: object) -> bool:
        """Try to queue a message without waiting; True when it found its way (or its end).

        False when the sender has to wait for room. Raises MailboxFull under `Overflow.RAISE`, and
        RuntimeError in another thread.
        """
        self.runtime.check_here(self.path)
        item = self.loaded(item)
        if not self.open:
            self.refuse(item, self.gone)
        elif not self.full and not self.parked:
            self.put(item)
        elif self.overflow is Overflow.DROP_NEW:
            self._drop(item)
        elif self.overflow is Overflow.DROP_OLD:
            oldest = self._oldest()
            self.put(item)  # first: whoever hears of the dead letter may send again
            self._drop(oldest)
        elif self.overflow is Overflow.RAISE:
            raise self.overfull(item, "the receiver is too slow, or its capacity too small")
        else:
            return False
        return True

    def _drop(self, item: object) -> None:
        if type(item) is Envelope:
            item.fail(self.overfull(item, f"it was dropped ({self.overflow.value})"))
        self.refuse(item, FULL)

    def overfull(self, item: object, hint: str) -> MailboxFull:
        """Return the error for a message that found no room."""
        return MailboxFull(self.path, type(unwrap(item)).__name__, self.capacity, hint)

    def park(self, item: object, waiter: Waiter[None] | None) -> Parked:
        """Let a message wait in front of the mailbox, in its sender's turn."""
        if self.parked is None:
            self.parked = Parking()
        entry = Parked(self.loaded(item), waiter)
        self.parked.park(entry)
        return entry

    def loaded(self, item: object, values: tuple[object, ...] | None = None) -> object:
        """Return a message with the variables that travel with it (default: as they are now)."""
        carry = self.runtime.carry
        return load(item, self.path, values, carry) if carry else item

    def room(self) -> None:
        """Let in those who wait, as far as there is room; called when room was made."""
        parked = self.parked
        while parked and not self.full:
            entry = parked.popleft()
            if entry.gone:
                continue
            self.put(entry.item)
            if entry.waiter is not None:
                entry.waiter.set_result(None)

    def _oldest(self) -> object:
        queue = self.queue
        for index, item in enumerate(queue):
            if not is_mark(item):
                del queue[index]
                return item
        raise AssertionError("a full mailbox without a message")

    # -- what becomes of mail that is not handled -------------------------------------------

    def refuse(self, item: object, why: DeadLetterReason) -> None:
        """Make a dead letter of a message; its request fails at once, if it did not yet."""
        if is_mark(item):
            return
        if type(item) is Envelope:
            self.fail(item)
        message = unwrap(item)
        if not getattr(type(message), "__dead_letter__", True):
            return
        undelivered = self.undelivered
        if undelivered is not None:
            # Not heard of meanwhile: what it sends to this very address is a dead letter like any.
            self.undelivered = None
            try:
                undelivered(message)
            finally:
                self.undelivered = undelivered
        self.runtime.dead_letter(self, message, why)

    def fail(self, envelope: Envelope, reason: ExitReason | None = None) -> ProcExited | None:
        """Tell an asker how its receiver ended, by default as the last life did; if it waits."""
        if envelope.settled:
            return None
        error = ended(self.path, reason or self.reason, type(envelope.message).__name__)
        envelope.fail(error)
        return error

    @property
    def gone(self) -> DeadLetterReason:
        """Return why an address that has ended takes no mail."""
        why = self.why
        if not isinstance(why, DeadLetterReason):  # made only when somebody asks
            why = self.why = DeadLetterReason(DeadLetterKind.ENDED, str(why))
        return why

    def flush(self, why: DeadLetterReason | None = None) -> None:
        """Make dead letters of all that waits; by default because the address has ended."""
        parked, self.parked = self.parked, None
        for entry in parked or ():
            if not entry.gone:
                self.unpack().append(entry.item)
                if entry.waiter is not None:
                    entry.waiter.set_result(None)
        # A new one: whoever hears of a dead letter may send again, to this very address.
        items, self.queue = self.queue, NOTHING
        self.simple = False
        self.extra = 0
        self.marked = False
        reason = why or self.gone
        if self.undelivered is not None or self.runtime.heard(self, items, reason):
            for item in items:
                self.refuse(item, reason)
            return
        # Nobody hears of dead letters; only askers must be told. So a flood ends in no time.
        if Envelope in map(type, items):
            for item in items:
                if type(item) is Envelope:
                    self.fail(item)

    def end(self, why: object) -> None:
        """End for good: free the name and take no more mail.

        What waits and what comes are dead letters; `why` (the exit reason, or a text) says why.
        """
        self.drop_name()
        self.open = self.simple = False
        self.why = why
        self.flush()
        self.undelivered = None
        self.ref = None  # no cycle: what has ended goes without the garbage collector

    def take_name(self) -> None:
        """Register the name, if it has one. Raises NameTaken when another address holds it."""
        if self.name is not None:
            holder = self.runtime.names.setdefault(self.name, self)
            if holder is not self:
                raise NameTaken(self.name, holder.path)

    def drop_name(self) -> None:
        """Free the name, if it holds one."""
        if self.name is not None and self.runtime.names.get(self.name) is self:
            del self.runtime.names[self.name]

    def reopen(self) -> None:
        """Take mail again."""
        self.open = True
        room = self.capacity == UNLIMITED and not self.runtime.carry
        self.simple = room and self.queue is not NOTHING

    def take_back(self, item: object) -> None:
        """Take out again what was just queued, if it is still there."""
        for index, queued in enumerate(self.queue):
            if queued is item:
                del self.queue[index]
                return

    def put_back(self, items: deque[object]) -> None:
        """Queue messages again, in front of all that wait but behind control."""
        if self.marked:
            self.queue.popleft()
        self.unpack().extendleft(reversed(items))
        if self.marked:
            self.queue.appendleft(CONTROL)

    def clear_control(self) -> tuple[object, ...]:
        """Drop what was meant for the incarnation that has ended: control, marks and notices.

        Returns the control that nobody saw.
        """
        unseen = tuple(self.control or ())
        self.control = None
        if self.marked:
            self.queue.popleft()
            self.unmark()
        if self.extra:
            kept = [item for item in self.queue if not is_mark(item)]
            self.queue.clear()
            self.queue.extend(kept)
            self.extra = 0
        return unseen

"""Keep the mail of an address: what is taken, in which order, and what happens when it is full.

`Mailbox` is the frozen description that users give; `Address` is the engine's record of one
address, which outlives the incarnations of its proc. Mail waits in one queue in the order of
arrival. Control (stop requests, exit notices) waits in a second one that is emptied first.

Guarantees: messages of one sender keep their order; what is not handled becomes a dead letter,
its request fails at once; a bounded mailbox never holds more than its capacity of messages.

>>> Mailbox(capacity=100, overflow=Overflow.DROP_OLD).capacity
100
>>> Mailbox(capacity=0)
Traceback (most recent call last):
    ...
ValueError: Mailbox: capacity is None (no limit) or a whole number of at least 1, not 0

Overflow policies:

==========  =====================================================================
WAIT        `send` and `ask` wait for room, `tell` raises MailboxFull (the default)
RAISE       `tell`, `send` and `ask` raise MailboxFull
DROP_NEW    none raises; the message that found no room is a dead letter
DROP_OLD    none raises; the oldest queued message is a dead letter
==========  =====================================================================
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from enum import Enum
from threading import get_ident
from typing import Any, Literal, Protocol, TypeAlias, final

from attrs import Attribute, field, frozen

from actors.backend import Backend, Waiter, Wakeable
from actors.deadlines import Deadlines
from actors.errors import MailboxFull, NameTaken, ended
from actors.exits import ExitReason, NoProc
from actors.messages import Envelope

__all__ = ["Accepts", "Address", "Hub", "Mailbox", "Occupant", "Overflow", "current_occupant"]


@final
class Overflow(Enum):
    """Choose what a full mailbox does with one more message; the table is in the module's text."""

    WAIT = "wait"
    RAISE = "raise"
    DROP_NEW = "drop_new"
    DROP_OLD = "drop_old"

    @property
    def drops(self) -> bool:
        """Tell whether a full mailbox loses a message instead of holding its sender up."""
        return self in (Overflow.DROP_NEW, Overflow.DROP_OLD)


OnRestart: TypeAlias = Literal["keep", "drop"]


def _capacity(_: object, _attribute: Attribute[int | None], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(
            f"Mailbox: capacity is None (no limit) or a whole number of at least 1, not {value!r}"
        )


def _overflow(_: object, _attribute: Attribute[Overflow], value: object) -> None:
    if not isinstance(value, Overflow):
        words = ", ".join(f"Overflow.{member.name}" for member in Overflow)
        raise ValueError(f"Mailbox: overflow is one of {words}, not {value!r}")


def _on_restart(_: object, _attribute: Attribute[OnRestart], value: object) -> None:
    if value not in ("keep", "drop"):
        raise ValueError(f"Mailbox: on_restart is 'keep' or 'drop', not {value!r}")


@final
@frozen
class Mailbox:
    """Describe a mailbox.

    `capacity`: how many messages may wait; default None, no limit. `overflow`: what happens to one
    more; default `Overflow.WAIT`. `on_restart`: whether mail that waits when the proc
    crashes is kept for its next incarnation ("keep", the default) or becomes dead letters
    ("drop", as in OTP). Raises ValueError for anything else.
    """

    capacity: int | None = field(default=None, validator=_capacity)
    overflow: Overflow = field(default=Overflow.WAIT, validator=_overflow)
    on_restart: OnRestart = field(default="keep", validator=_on_restart)


class Accepts(Protocol):
    """Know which message types an address takes; a door that was passed once stays open.

    `inline` has the functions that may answer a request in the asker's turn. Both are the same
    dictionaries for ever: an address holds on to them.
    """

    types: dict[type, object]
    inline: dict[type, Callable[..., Any]]

    def admit(self, kind: type, path: str) -> None:
        """Add `kind` to `types` when it is taken. Raises TypeError when it is not."""
        ...


class Occupant:
    """Be the incarnation that lives at an address, as far as senders must know it.

    `task` is None while it has none; `asking` is the address that its task waits for, if any, and
    `asked` the request that it waits with, if it is one.
    """

    __slots__ = ("address", "asked", "asking", "task")

    address: Address
    task: object
    asking: Address | None
    asked: Envelope | None

    def answer_now(self, request: object, function: Callable[..., Any]) -> Any:
        """Answer in the asker's turn; an Envelope when the answer has to be waited for."""
        raise NotImplementedError

    def wait_is_over(self) -> None:
        """Note that its task waits for nobody that is known."""
        self.asking = self.asked = None

    def waits_for(self, address: Address) -> bool:
        """Note that its own task waits for another address; False when another task asks."""
        if self.task is None or self.address.hub.backend.current_task() is not self.task:
            return False
        self.asking, self.asked = address, None
        return True


current_occupant: ContextVar[Occupant | None] = ContextVar("current_occupant", default=None)
"""The incarnation in whose code we are; inherited by the tasks that this code starts."""


@final
class FastPaths:
    """Switch what is only there for speed off, for tests that compare both ways."""

    enabled = True


fast_paths = FastPaths()


DeadLetterHandler: TypeAlias = "Callable[[Address, object, str], None]"
"""Told of a message that nobody will handle, and why."""

HearsOfMail: TypeAlias = "Callable[[Address, Iterable[object], str], bool]"
"""Tells whether anybody wants to hear of each message in the mail that is thrown away."""


@final
class Hub:
    """Share what all addresses of one actor system need."""

    __slots__ = (
        "backend",
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
        self.home = get_ident()
        self.deadlines = Deadlines(backend)
        self.dead_letter = dead_letter
        self.names: dict[str, Address] = {}
        self.inline = fast_paths.enabled
        self.in_a_row = 0
        # The envelope for the next question that is answered at once: nearly always it comes back.
        self.spare: Envelope | None = None

    def close(self) -> None:
        """Take note that everything has ended that was started here."""
        self.closed = True
        self.deadlines.close()


@final
class Instruments:
    """Where a test comes in that looks on: `make_hub` makes the hub of each system that is entered.

    What it puts around the parts of a hub sees all, and the engine takes no other way for it.
    """

    make_hub: Callable[[str, Backend, DeadLetterHandler, HearsOfMail], Hub] = Hub


instruments = Instruments()


@final
class Control:
    """Mark the head of the queue: there is control to see to first."""


@final
class StopMark:
    """Mark the place in the queue up to which a stopping proc still works."""


CONTROL = Control()
STOP = StopMark()


class Notice:
    """Be mail that the engine sends: it needs no room and is no message."""

    __slots__ = ()


@final
class Parked:
    """Hold the message of a sender that waits for room."""

    __slots__ = ("item", "waiter")

    def __init__(self, item: object, waiter: Waiter[None] | None) -> None:
        self.item = item
        self.waiter = waiter

    @property
    def gone(self) -> bool:
        """Tell whether the sender gave up."""
        waiter = self.waiter
        if waiter is not None:
            return waiter.done()
        return isinstance(self.item, Envelope) and self.item.settled


UNLIMITED = sys.maxsize

NEVER_RAN = NoProc()

NOTHING: Any = ()
"""Stands for the queue of an address whose actor sleeps: an empty deque is larger than all else."""


@final
class Address:
    """Be one address: its mail, its state and who lives there.

    `simple` is true while a message can be queued without another look: open, no capacity, and a
    queue is there.
    """

    __slots__ = (
        "accepts",
        "capacity",
        "control",
        "extra",
        "hub",
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
        "patience",
        "queue",
        "reason",
        "ref",
        "simple",
        "types",
        "undelivered",
        "waiter",
        "why",
    )

    def __init__(self, hub: Hub, path: str, id: str, mailbox: Mailbox, accepts: Accepts) -> None:
        self.hub = hub
        self.path = path
        self.id = id
        self.take(accepts)
        self.capacity = UNLIMITED if mailbox.capacity is None else mailbox.capacity
        self.overflow = mailbox.overflow
        self.keep = mailbox.on_restart == "keep"
        self.queue: deque[object] = deque()
        self.control: deque[object] | None = None
        self.parked: deque[Parked] | None = None
        self.extra = 0
        self.marked = False
        self.waiter: Wakeable | None = None
        self.occupant: Occupant | None = None
        self.name: str | None = None
        self.owned = False
        self.patience: float | None = None
        self.ref: object = None
        self.incarnation = 0
        self.undelivered: Callable[[object], None] | None = None
        self.open = True
        self.simple = mailbox.capacity is None
        self.reason: ExitReason = NEVER_RAN
        self.why = ""

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
            self.simple = self.open and self.capacity == UNLIMITED
        return self.queue

    # -- sending ---------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the receiver if it is parked."""
        waiter = self.waiter
        if waiter is not None:
            if get_ident() != self.hub.home:
                # Told from another thread, although `system.threadsafe` is the way for that. The
                # queue takes it well; a task of the loop can only be woken by the loop.
                self.hub.backend.call_soon_threadsafe(self.wake)
                return
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
        """Tell whether there is no room for one more message."""
        return len(self.queue) - self.extra >= self.capacity

    def offer(self, item: object) -> bool:
        """Try to queue a message without waiting; True when it found its way (or its end).

        False when the sender has to wait for room. Raises MailboxFull under `Overflow.RAISE`.
        """
        if not self.open:
            self.refuse(item, self.why)
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
        if isinstance(item, Envelope):
            item.fail(self.overfull(item, f"it was dropped ({self.overflow.value})"))
        self.refuse(item, "mailbox full")

    def overfull(self, item: object, hint: str) -> MailboxFull:
        """Return the error for a message that found no room."""
        return MailboxFull(self.path, type(unwrap(item)).__name__, self.capacity, hint)

    def park(self, item: object, waiter: Waiter[None] | None) -> None:
        """Let a message wait in front of the mailbox, in its sender's turn."""
        if self.parked is None:
            self.parked = deque()
        self.parked.append(Parked(item, waiter))

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
            if not isinstance(item, Control | StopMark | Notice):
                del queue[index]
                return item
        raise AssertionError("a full mailbox without a message")

    # -- what becomes of mail that is not handled -------------------------------------------

    def refuse(self, item: object, why: str) -> None:
        """Make a dead letter of a message; its request fails at once, if it did not yet."""
        if isinstance(item, Control | StopMark | Notice):
            return
        if isinstance(item, Envelope):
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
        self.hub.dead_letter(self, message, why)

    def fail(self, envelope: Envelope) -> None:
        """Tell an asker that its receiver has ended; dropped when it is settled."""
        if not envelope.settled:
            envelope.fail(ended(self.path, self.reason, type(envelope.message).__name__))

    def flush(self, why: str) -> None:
        """Make dead letters of all that waits."""
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
        if self.undelivered is not None or self.hub.heard(self, items, why):
            for item in items:
                self.refuse(item, why)
            return
        # Nobody hears of dead letters; only askers must be told. So a flood ends in no time.
        if Envelope in map(type, items):
            for item in items:
                if type(item) is Envelope:
                    self.fail(item)

    def shut(self, why: str) -> None:
        """Take no more mail: what waits and what comes are dead letters, `why` says why."""
        self.open = self.simple = False
        self.why = why
        self.flush(why)

    def end(self, why: str) -> None:
        """End for good: free the name and take no more mail."""
        self.drop_name()
        self.shut(why)
        self.undelivered = None
        self.ref = None  # no cycle: what has ended goes without the garbage collector

    def take_name(self) -> None:
        """Register the name, if it has one. Raises NameTaken when another address holds it."""
        if self.name is not None:
            holder = self.hub.names.setdefault(self.name, self)
            if holder is not self:
                raise NameTaken(self.name, holder.path)

    def drop_name(self) -> None:
        """Free the name, if it holds one."""
        if self.name is not None and self.hub.names.get(self.name) is self:
            del self.hub.names[self.name]

    def reopen(self) -> None:
        """Take mail again."""
        self.open = True
        self.simple = self.capacity == UNLIMITED and self.queue is not NOTHING

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
            kept = [item for item in self.queue if not isinstance(item, StopMark | Notice)]
            self.queue.clear()
            self.queue.extend(kept)
            self.extra = 0
        return unseen


def unwrap(item: object) -> object:
    """Return the message in a queued item."""
    return item.message if isinstance(item, Envelope) else item

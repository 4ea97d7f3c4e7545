"""What stands in the queue of an address, beside the messages themselves, and who waits there.

A plain message stands there as it is, a request in its envelope. Whatever is no message (the mark
of control, stop marks, notices) takes no room in a bounded mailbox and is never a dead letter.

>>> isinstance(CONTROL, Notice), unwrap("message")
(False, 'message')
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol, final

from actors.backends import Waiter
from actors.messages import NOBODY, Envelope

__all__ = [
    "CONTROL",
    "STOP",
    "Accepts",
    "Awaiting",
    "Control",
    "Notice",
    "Parked",
    "Parking",
    "StopMark",
    "Wait",
    "is_mark",
    "unwrap",
]


class Accepts(Protocol):
    """The message types that an address takes; a type that was let in once stays.

    `inline` has the functions that may answer a request in the asker's turn. Both are the same
    dictionaries for ever: an address holds on to them.
    """

    types: dict[type, object]
    inline: dict[type, Callable[..., Any]]

    def admit(self, kind: type, path: str) -> None:
        """Add `kind` to `types` when it is taken. Raises TypeError when it is not."""
        ...


class Wait(Protocol):
    """What a proc waits with: an `Envelope`, or a mark for a wait of another kind."""

    @property
    def settled(self) -> bool:
        """Return whether what was waited for has come."""
        ...


class Awaiting(Protocol):
    """Somebody to be told of an end, who is asked first whether that is still wanted."""

    def done(self) -> bool:
        """Return whether it has heard, or given up."""
        ...

    def set_result(self, result: Any, /) -> None:
        """Tell it."""
        ...


@final
class Control:
    """The mark at the head of the queue: there is control to see to first."""


@final
class StopMark:
    """The mark in the queue up to which a stopping proc still works."""


# The mark of control. A stop, or news of a linked proc, has to be seen before the messages that
# wait, between any two of them; and a look at a second queue for each message would cost more
# than a plain handler. So control waits in `Address.control`, and one mark in front of all
# messages leads there. It is taken like any item, falls through the fast lanes because no handler
# is for its type, and has the receiver empty `control`. There is at most one (`marked`). It takes
# no room: whatever is in the queue and is no message (the mark, stop marks, notices) is counted
# in `extra`.

CONTROL = Control()
STOP = StopMark()


class Notice:
    """Mail that the engine sends: it needs no room and is no message."""

    __slots__ = ()


@final
class Parked:
    """The message of a sender that waits for room."""

    __slots__ = ("item", "waiter")

    def __init__(self, item: object, waiter: Waiter[None] | None) -> None:
        self.item = item
        self.waiter = waiter

    @property
    def gone(self) -> bool:
        """Return whether the sender gave up."""
        waiter = self.waiter
        if waiter is not None:
            return waiter.done()
        return isinstance(self.item, Envelope) and self.item.settled


@final
class Parking(deque[Parked]):
    """Those who wait for room, in order; who gave up is thrown out before they are the most."""

    __slots__ = ("_most",)

    def __init__(self) -> None:
        super().__init__()
        self._most = 64

    def park(self, entry: Parked) -> None:
        """Let one more wait."""
        if len(self) >= self._most:
            waiting = [other for other in self if not other.gone]
            self.clear()
            self.extend(waiting)
            self._most = max(64, 2 * len(waiting))
        self.append(entry)


def unwrap(item: object) -> object:
    """Return the message in a queued item."""
    return item.message if type(item) is Envelope else item


def is_mark(item: object) -> bool:
    """Return whether an item is no message; it is not asked itself, being anybody's object."""
    return issubclass(type(item), Control | StopMark | Notice)


# Context variables that travel. Only where a system was told to carry some, each message is loaded
# with their values: a request's envelope takes them along, and a message that was told is put into
# one that nobody waits for. Nowhere else does a message look different, or take longer.

UNSET: object = object()
"""Stands for a context variable that has no value."""


def carried(variables: tuple[ContextVar[Any], ...]) -> tuple[object, ...]:
    """Return the present values of context variables."""
    return tuple(variable.get(UNSET) for variable in variables)


def load(
    item: object,
    path: str,
    values: tuple[object, ...] | None,
    variables: tuple[ContextVar[Any], ...],
) -> Envelope:
    """Return a message in an envelope with these values (default: the present ones of `variables`).

    One that has values already keeps them.
    """
    envelope = item if type(item) is Envelope else Envelope(item, NOBODY, path, None)
    if not hasattr(envelope, "carried"):
        envelope.carried = values or carried(variables)
    return envelope

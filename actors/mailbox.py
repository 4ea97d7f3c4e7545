"""Describe a mailbox: how many messages may wait, and what happens when it is full.

`Mailbox` is the frozen description that users give; the mail itself is kept by an address.

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

from enum import Enum
from typing import Literal, TypeAlias, final

from attrs import Attribute, field, frozen

__all__ = ["Mailbox", "Overflow"]


@final
class Overflow(Enum):
    """What a full mailbox does with one more message; the table is in the module's text."""

    WAIT = "wait"
    RAISE = "raise"
    DROP_NEW = "drop_new"
    DROP_OLD = "drop_old"

    @property
    def drops(self) -> bool:
        """Return whether a full mailbox loses a message instead of holding its sender up."""
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
    """The description of a mailbox.

    `capacity`: how many messages may wait; default None, no limit. `overflow`: what happens to one
    more; default `Overflow.WAIT`. `on_restart`: whether mail that waits when the proc
    crashes is kept for its next incarnation ("keep", the default) or becomes dead letters
    ("drop", as in OTP). Raises ValueError for anything else.
    """

    capacity: int | None = field(default=None, validator=_capacity)
    overflow: Overflow = field(default=Overflow.WAIT, validator=_overflow)
    on_restart: OnRestart = field(default="keep", validator=_on_restart)

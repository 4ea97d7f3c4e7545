"""Say why nobody will handle a message.

A `DeadLetterReason` has a `kind`, for programs that decide by it, and a `detail` in words; as a
text it is the sentence that a log line wants.

>>> reason = DeadLetterReason(DeadLetterKind.IN_HAND, "its receiver crashed")
>>> print(reason)
in hand when its receiver crashed
>>> reason.kind is DeadLetterKind.IN_HAND
True
>>> print(DeadLetterReason(DeadLetterKind.MAILBOX_FULL))
mailbox full
"""

from __future__ import annotations

from enum import Enum
from typing import final

from attrs import frozen

__all__ = ["FULL", "DeadLetterKind", "DeadLetterReason"]


@final
class DeadLetterKind(Enum):
    """Why a message became a dead letter.

    `IN_HAND`: it was being handled when its receiver crashed or was killed. `ENDED`: its receiver
    has ended, for good or until it is started again; the detail is the exit reason, or what its
    owner gave as reason. `MAILBOX_FULL`: it found no room. `NOT_ACCEPTED`: the next incarnation
    is of another class, which does not take it. `DROPPED_AT_RESTART`: its mailbox does not keep
    mail for the next incarnation; the detail is the exit reason. `GIVEN_UP`: whoever had taken it
    to pass it on did not, as a pool with a job that has expired; the detail says why.
    """

    IN_HAND = "in_hand"
    ENDED = "ended"
    MAILBOX_FULL = "mailbox_full"
    NOT_ACCEPTED = "not_accepted"
    DROPPED_AT_RESTART = "dropped_at_restart"
    GIVEN_UP = "given_up"


_TEXTS = {
    DeadLetterKind.IN_HAND: "in hand when {}",
    DeadLetterKind.ENDED: "{}",
    DeadLetterKind.MAILBOX_FULL: "mailbox full {}",
    DeadLetterKind.NOT_ACCEPTED: "{}",
    DeadLetterKind.DROPPED_AT_RESTART: "dropped at the restart of its receiver ({})",
    DeadLetterKind.GIVEN_UP: "{}",
}


@final
@frozen
class DeadLetterReason:
    """The kind of a dead letter and a detail in words; `str()` gives the sentence."""

    kind: DeadLetterKind
    detail: str = ""

    def __str__(self) -> str:
        return _TEXTS[self.kind].format(self.detail).rstrip()


FULL = DeadLetterReason(DeadLetterKind.MAILBOX_FULL)

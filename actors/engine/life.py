"""What the parts of an incarnation know of the whole.

An incarnation holds a `Receiver`, `Links` and `Background`; each of them works for it and decides
nothing about its life. This protocol is all that they see of it.

>>> def is_idle(life: Life) -> bool:
...     return life.lives and life.in_hand is None
>>> from types import SimpleNamespace
>>> is_idle(SimpleNamespace(lives=True, in_hand="letter"))
False
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from enum import IntEnum
from typing import Any, Protocol

from actors.address import Address, Occupant
from actors.context import Core, LinksView, Proc
from actors.dispatch import Traits
from actors.events import Event
from actors.exits import ExitReason
from actors.notices import Exited

__all__ = ["Life", "Phase"]


class Phase(IntEnum):
    """How far an incarnation has come."""

    STARTING = 0
    RUNNING = 1
    STOPPING = 2
    ENDED = 3


class Life(Occupant, Protocol):
    """One life of a proc, as its parts see it.

    `in_hand` is the queued item that is being handled, `begun` the work that is left to do for it
    when a handler made that in an asker's turn. `variables` is the context in which all of
    its code runs. `told` is the exit reason that it was told to
    stop with, None before; `verdict` the exit reason that overrules how its code ends.
    """

    proc: Proc[Any]
    traits: Traits
    variables: Context
    in_hand: object
    begun: Coroutine[Any, Any, object] | None
    told: ExitReason | None
    verdict: ExitReason | None
    killed: bool

    @property
    def system(self) -> Core:
        """Return the actor system."""
        ...

    @property
    def owner(self) -> Life | None:
        """Return whose child it is, None when it is the system's."""
        ...

    @property
    def children(self) -> dict[str, Address]:
        """Return the addresses that it owns, in order of start."""
        ...

    @property
    def links(self) -> LinksView:
        """Return its links and monitors."""
        ...

    @property
    def lives(self) -> bool:
        """Return whether it is starting or running, not stopping."""
        ...

    @property
    def hears(self) -> bool:
        """Return whether news still matter: it lives, and its fate is not sealed."""
        ...

    def in_own_task(self) -> bool:
        """Return whether its own task is the one that runs now."""
        ...

    def check_not_ended(self) -> None:
        """Refuse what would begin after the end, or in another thread. Raises RuntimeError."""
        ...

    def cancel_token(self) -> None:
        """Pass on to its token that it was told to stop."""
        ...

    def hear_exit(self, exited: Exited) -> bool:
        """Take the news that a linked proc or a child has ended; False when it is too late."""
        ...

    def take_down(self, reason: ExitReason) -> None:
        """Interrupt it; it ends with `reason`."""
        ...

    def publish(self, event: Callable[..., Event], *values: object) -> None:
        """Publish an event about it, if anybody listens."""
        ...

    def late(self, error: BaseException) -> None:
        """Report what was raised when the exit reason was settled already."""
        ...

    def crash(self, error: BaseException) -> None:
        """Crash with what was raised outside of its own task."""
        ...

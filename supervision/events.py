"""Say what supervisors do, on the event stream of the actor system.

These stand beside the events of `actors` (`ProcStarted`, `ProcEnded`, ...), which tell what happens
to procs; here it is what a supervisor decided. Each carries refs, so their paths, and only
frozen values.

>>> from supervision import Next
>>> Next.RESTART.value
'restart'
"""

from __future__ import annotations

from enum import Enum
from typing import Any, final

from attrs import frozen

from actors import Event, ExitReason, Ref
from supervision.errors import IntensityExceeded

__all__ = [
    "ChildExited",
    "ChildRestarted",
    "ChildStopped",
    "Next",
    "RestartFailed",
    "SupervisorEnding",
    "SupervisorGaveUp",
]


@final
class Next(Enum):
    """Tell what a supervisor does after a child's exit."""

    RESTART = "restart"
    WAIT = "restart later"
    GIVE_UP = "give up"
    KEEP = "leave it ended"
    REMOVE = "remove it"


@final
@frozen
class ChildExited(Event):
    """Say that a child ended by itself, and what its supervisor does `next`.

    `restarts` counts this child's restarts so far; `delay` is in seconds, with `Next.WAIT` only.
    """

    ref: Ref[Any]
    reason: ExitReason
    restarts: int
    next: Next
    delay: float = 0.0


@final
@frozen
class ChildRestarted(Event):
    """Say that a child is ready again; `restarts` counts this one, too."""

    ref: Ref[Any]
    restarts: int


@final
@frozen
class RestartFailed(Event):
    """Say that a restart did not succeed; it is tried again, `delay` seconds later."""

    ref: Ref[Any]
    reason: ExitReason
    next: Next
    delay: float = 0.0


@final
@frozen
class ChildStopped(Event):
    """Say that a supervisor has stopped a child.

    `expected` is False when it did not end as it was told to: it crashed, or was killed at its
    deadline. `seconds` is how long that took.
    """

    ref: Ref[Any]
    reason: ExitReason
    expected: bool
    seconds: float


@final
@frozen
class SupervisorGaveUp(Event):
    """Say that a supervisor's budget is spent: it stops its children and ends."""

    ref: Ref[Any]
    error: IntensityExceeded


@final
@frozen
class SupervisorEnding(Event):
    """Say that a supervisor shuts down because the significant child `id` has ended."""

    ref: Ref[Any]
    id: str

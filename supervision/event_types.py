"""What supervisors do, as events on the stream of the actor system.

These stand beside the events of `actors` (`ProcStarted`, `ProcEnded`, ...), which tell what happens
to procs; here it is what a supervisor decided. The door to them is `supervision.events`.

Guarantees: each carries the ref of the proc that it is about, so its path, and only frozen values.

>>> from supervision.events import Next
>>> Next.RESTART.value
'restart'
"""

from __future__ import annotations

from enum import Enum
from types import CodeType
from typing import Any, Literal, final

from attrs import frozen

from actors import Event, ExitReason, Place, Ref
from supervision.errors import IntensityExceeded, Wedged

__all__ = [
    "ChildExited",
    "ChildHung",
    "ChildParked",
    "ChildRemoved",
    "ChildRestarted",
    "ChildStopped",
    "ChildStopping",
    "LoopStalled",
    "Next",
    "ProcessOutput",
    "RestartFailed",
    "SupervisorEnding",
    "SupervisorGaveUp",
    "SupervisorStopping",
    "ThreadAbandoned",
]


@final
class Next(Enum):
    """What a supervisor does after a child's exit."""

    RESTART = "restart"
    WAIT = "restart later"
    GIVE_UP = "give up"
    PARK = "park it"
    KEEP = "leave it ended"
    REMOVE = "remove it"


@final
@frozen
class ChildExited(Event):
    """A child ended by itself; `next` is what its supervisor does about it.

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
    """A child is ready again; `restarts` counts this one, too."""

    ref: Ref[Any]
    restarts: int


@final
@frozen
class RestartFailed(Event):
    """A restart did not succeed; it is tried again, `delay` seconds later."""

    ref: Ref[Any]
    reason: ExitReason
    next: Next
    delay: float = 0.0


@final
@frozen
class ChildHung(Event):
    """A child was found to hang, and is being ended with `error`.

    Published again while it is still not dead, because its code takes no notice of being cancelled:
    `seconds` after it was found, once for each further limit of its watchdog, with an error that
    has the stack of that moment.
    """

    ref: Ref[Any]
    error: Wedged
    seconds: float = 0.0


@final
@frozen
class ChildParked(Event):
    """A child's own budget is spent, and it stays down; its siblings go on.

    `error` has the budget and the crashes that used it up. `RestartChild` revives the child.
    """

    ref: Ref[Any]
    error: IntensityExceeded


@final
@frozen
class ChildRemoved(Event):
    """A child that its supervisor does not know any more: it comes back in no way.

    It ended for good, was terminated or deleted, was not needed, or did not start, and is of a kind
    that keeps no place. A supervisor that ends itself removes nobody.
    """

    ref: Ref[Any]


@final
@frozen
class ChildStopping(Event):
    """A supervisor tells a child to stop; `timeout` is its seconds for that (None: no limit).

    Zero means that it is killed at once. `ChildStopped` follows when it is dead, unless the
    supervisor itself is killed meanwhile.
    """

    ref: Ref[Any]
    timeout: float | None


@final
@frozen
class ChildStopped(Event):
    """A supervisor has stopped a child.

    `expected` is False when it did not end as it was told to: it crashed, or was killed at its
    deadline. `seconds` is how long that took.
    """

    ref: Ref[Any]
    reason: ExitReason
    expected: bool
    seconds: float


@final
@frozen
class LoopStalled(Event):
    """The event loop has stood still, and goes on.

    `seconds` is how long at the least; `stack` where its thread was when that was noticed, the
    outermost call first.
    """

    seconds: float
    stack: tuple[Place, ...]


@final
@frozen
class SupervisorGaveUp(Event):
    """A supervisor's budget is spent: it stops its children and ends."""

    ref: Ref[Any]
    error: IntensityExceeded


@final
@frozen
class SupervisorStopping(Event):
    """A supervisor begins to stop what is left of its children, whatever for.

    It was told to, gave up, shuts down automatically, or could not start. One that is killed or
    crashes need not come to this; then its children end without it.
    """

    ref: Ref[Any]


@final
@frozen
class SupervisorEnding(Event):
    """A supervisor shuts down because the significant child `id` has ended."""

    ref: Ref[Any]
    id: str


@final
@frozen
class ProcessOutput(Event):
    """The program of a `subprocess` child has written a line.

    `line` has no line end and at most 8192 characters; it may hold control characters.
    """

    ref: Ref[Any]
    stream: Literal["stdout", "stderr"]
    line: str


@final
@frozen
class ThreadAbandoned(Event):
    """A `blocking` child was killed while its thread was running; the thread runs on.

    `thread` is its name, `stack` where it is: code and line of each call, the outermost first.
    """

    ref: Ref[Any]
    thread: str
    stack: tuple[tuple[CodeType, int], ...]

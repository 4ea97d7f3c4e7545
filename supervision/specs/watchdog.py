"""When a running child counts as hung: how long one message may take, how often a proc must beat.

A `Watchdog` stands in a child's spec. Its supervisor looks at the child a few times within the
shortest limit, and ends it when one is exceeded; the rules for what it sees are in the supervisors'
`hang_detector`. Here is the value alone: what can be said, and how often that makes it look.

Guarantees: at least one limit is set, and each is a finite number of seconds above zero.

>>> Watchdog(handler=30.0).period, Watchdog(handler=30.0, heartbeat=10.0).period
(7.5, 2.5)
>>> Watchdog()
Traceback (most recent call last):
    ...
supervision.errors.SpecError: Watchdog: handler: set handler or heartbeat, or leave the watchdog out
"""

from __future__ import annotations

from typing import final

from attrs import field, frozen

from supervision.errors import SpecError
from supervision.specs.checks import check_seconds

__all__ = ["Watchdog"]


LOOKS = 4
"""How often a child is looked at within its shortest limit."""


@final
@frozen(kw_only=True)
class Watchdog:
    """The limits past which a running child counts as hung; its supervisor has it crash then.

    - `handler`: the seconds that one message may take, default None: no limit. That is one call
      of an actor's handler, of `on_down` or `on_exit`, or one turn of a proc's loop over its
      inbox; also an `on_stop` that runs because the proc ended by itself. Waiting counts, that
      of an `ask` included. It says nothing about a proc that does neither, nor about an actor
      whose own `run` has moved the receive loop to another task.
    - `heartbeat`: the seconds after which a proc that called `context.beat()`, or has just
      started, must call it again, default None: it promised nothing. An actor that
      waits for mail must beat, too: with a message of `send_every`, for instance.

    Not covered: `on_start`, which has `start_timeout`; a stop that the supervisor asked for,
    which has `shutdown`; and code that blocks the event loop, which `run` watches for.

    Raises SpecError when neither is set, or one is no number of seconds > 0.
    """

    handler: float | None = field(default=None)
    heartbeat: float | None = field(default=None)
    period: float = field(init=False, repr=False, eq=False, default=0.0)
    """Seconds from one look to the next: a quarter of the shortest limit."""

    def __attrs_post_init__(self) -> None:
        """Check the fields in order; the first bad one is reported."""
        if self.handler is None and self.heartbeat is None:
            problem = "set handler or heartbeat, or leave the watchdog out"
            raise SpecError("Watchdog", "handler", problem)
        limits: list[float] = []
        for option, limit in (("handler", self.handler), ("heartbeat", self.heartbeat)):
            if limit is not None:
                check_seconds("Watchdog", option, limit, "seconds > 0 or None")
                limits.append(limit)
        # The class is frozen for everybody else; thousands of children are looked at by this.
        object.__setattr__(self, "period", min(limits) / LOOKS)

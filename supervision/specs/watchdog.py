"""Decide whether a child hangs, from what was seen of it at a few looks.

A `Watchdog` in a child's spec says how long one message may take, and how often a proc promised to
beat. Its supervisor looks at the child a few times within that time; this module holds the rules
for what it sees. They are pure: no clock, no loop.

Guarantees:

- Nobody is accused early: the same piece of work must have been in sight for the whole limit.
- Time in which the supervisor could not look (the event loop stood still, the process was stopped)
  counts for two looks at the most: whoever could not run did not hang.
- A child that hangs is found within one and a half times its limit of a running event loop.

>>> dog = Watchdog(handler=30.0)
>>> sight = Sight("job 7", 100.0, 100.0)
>>> for now in (107.5, 115.0, 122.5):
...     sight = sight.again("job 7", now, dog.period)
>>> sight.seconds, sight.seconds >= 30.0
(22.5, False)
>>> sight.again("job 7", 130.0, dog.period).seconds, sight.again("job 8", 130.0, dog.period).seconds
(30.0, 0.0)
>>> sight.again("job 7", 500.0, dog.period).seconds
37.5
>>> Watchdog()
Traceback (most recent call last):
    ...
supervision.errors.SpecError: Watchdog: handler: set handler or heartbeat, or leave the watchdog out
"""

from __future__ import annotations

from sys import float_info
from typing import final

from attrs import field, frozen

from supervision.errors import SpecError

__all__ = ["Watchdog"]


LOOKS = 4
"""How often a child is looked at within its shortest limit."""


@final
@frozen(kw_only=True)
class Watchdog:
    """Describe when a running child counts as hung; its supervisor then treats it as crashed.

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
        _check("handler", self.handler)
        _check("heartbeat", self.heartbeat)
        limits = [limit for limit in (self.handler, self.heartbeat) if limit is not None]
        # The class is frozen for everybody else; thousands of children are looked at by this.
        object.__setattr__(self, "period", min(limits) / LOOKS)


def _check(field: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        wrong = "not a number"
    elif value <= 0:
        wrong = "not positive"
    elif value > float_info.max:
        wrong = "not finite"
    else:
        return
    raise SpecError("Watchdog", field, f"{value!r} is {wrong}; give seconds > 0 or None")

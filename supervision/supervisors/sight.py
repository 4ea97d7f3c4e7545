"""How long the same thing has been in sight: the rule by which a child is found to hang.

A supervisor looks at a child a few times within the limits of its `Watchdog`, and each time sees
what it is busy with, or when it gave its last sign of life. A `Sight` adds the time up. It is pure:
no clock, no loop.

Guarantees:

- Nobody is accused early: the same piece of work must have been in sight for the whole limit.
- Time in which the supervisor could not look (the event loop stood still, the process was stopped)
  counts for two looks at the most: whoever could not run did not hang.
- So a child that hangs is found within one and a half times its limit of a running event loop.

>>> from supervision.specs import Watchdog
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
"""

from __future__ import annotations

from typing import final

from attrs import frozen

__all__ = ["Sight"]


@final
@frozen(eq=False)
class Sight:
    """What was seen at the last look, and for how long it has been the same.

    `what` is compared with `==`; None is nothing, of which no time is counted. `since` is when it
    came into sight, `at` the time of the last look at it, `seconds` the time counted so far.
    """

    what: object
    since: float
    at: float
    seconds: float = 0.0

    def again(self, what: object, now: float, period: float) -> Sight:
        """Return the next sight, of a look at `now`.

        `period` is what should have passed since the last look.
        """
        if what is None and self.what is None:
            return self
        if what is None or what != self.what:
            return Sight(what, now, now)
        return Sight(what, self.since, now, self.seconds + min(now - self.at, 2 * period))

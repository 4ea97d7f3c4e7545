"""A budget of restarts: how many are allowed in how many seconds.

An `Intensity` is a frozen value; `attempt` gives the next one. A supervisor keeps one for
all its children together, and one for each child that has a budget of its own. It replaces
them at each restart attempt, **before** anything is stopped or started; what follows when
the new one is `exceeded` is decided in `plan`.

Guarantees:

- Exactly `max_restarts` attempts fit in any window of `max_seconds`; the next one exceeds.
  With `max_restarts=0` the first attempt does.
- An attempt is remembered as long as it is at most `max_seconds` old, the very end
  included. Only age removes it: success never does.
- It remembers at most `max_restarts + 1` attempts, so its size is bounded.

OTP counts in whole seconds and so forgets an attempt up to one second late; this module
keeps the clock as it is given, without rounding. That is a named difference.

Worked example, two restarts in ten seconds:

>>> budget = Intensity(max_restarts=2, max_seconds=10.0)
>>> budget = budget.attempt(100.0).attempt(104.0)
>>> budget.exceeded
False
>>> budget.attempt(110.0).exceeded                      # 100.0 still counts
True
>>> budget.attempt(110.5).exceeded                      # 100.0 is forgotten
False
"""

from __future__ import annotations

from bisect import bisect_left
from typing import final

from attrs import frozen

__all__ = ["Intensity"]


@final
@frozen
class Intensity:
    """Remember the recent restart attempts of one supervisor, or of one child.

    `max_restarts` (at least 0) and `max_seconds` (above 0) are the budget; `attempts` are
    the times remembered, oldest first, in seconds of one monotonic clock. A supervisor
    begins with none, also after its own restart, and so do its children's own budgets.
    """

    max_restarts: int
    max_seconds: float
    attempts: tuple[float, ...] = ()

    def attempt(self, now: float) -> Intensity:
        """Add one attempt at `now` and forget those older than `max_seconds`.

        `now` must not be before an earlier attempt. Costs time in proportion to
        `max_restarts` at the most.
        """
        oldest = now - self.max_seconds
        kept = (*self.attempts[bisect_left(self.attempts, oldest) :], now)
        # One more than allowed proves the excess; older ones could prove nothing more.
        newest = kept[-(self.max_restarts + 1) :]
        return Intensity(self.max_restarts, self.max_seconds, newest)

    def resized(self, max_restarts: int, max_seconds: float) -> Intensity:
        """Return the same attempts under another budget; what was forgotten stays forgotten."""
        return Intensity(max_restarts, max_seconds, self.attempts[-(max_restarts + 1) :])

    @property
    def exceeded(self) -> bool:
        """Tell whether the attempts in the window are more than `max_restarts`."""
        return len(self.attempts) > self.max_restarts

"""Budgets of restarts: how many are allowed in how many seconds, and what has used them up.

Three things, each made of the one before:

- An `Intensity` is a window as a frozen value; `attempt` gives the next one.
- `attempt_restart` decides, purely, about one attempt that is counted in a window. The answer is a
  `Permit` and the next window.
- A `Budget` holds the window that is valid now, and the crashes in it. A supervisor has one for
  all its children together, and one for each child with a budget of its own; an attempt is
  charged to one of them at most. `spend` asks, and puts the next window in place, **before**
  anything is stopped or started; `exceeded` makes the error of a budget that is spent.

Guarantees:

- Exactly `max_restarts` attempts fit in any window of `max_seconds`; the next one exceeds.
  With `max_restarts=0` the first attempt does.
- An attempt is remembered as long as it is at most `max_seconds` old, the very end
  included. Only age removes it: success never does.
- A window remembers at most `max_restarts + 1` attempts, a budget at most `CRASHES_KEPT` crashes,
  and none longer than they are in the window: so their sizes are bounded.
- What an attempt costs does not depend on how many are allowed.

OTP counts in whole seconds and so forgets an attempt up to one second late; this module
keeps the clock as it is given, without rounding. That is a named difference.

Worked example, two restarts in ten seconds:

>>> window = Intensity(max_restarts=2, max_seconds=10.0)
>>> window = window.attempt(100.0).attempt(104.0)
>>> window.exceeded
False
>>> window.attempt(110.0).exceeded                      # 100.0 still counts
True
>>> window.attempt(110.5).exceeded                      # 100.0 is forgotten
False
>>> spend(Budget(window), WhenSpent.ESCALATE, 110.0)
<Permit.GIVE_UP: 'give up'>
>>> spend(Budget(Intensity(0, 60.0)), WhenSpent.PARK, 111.0)
<Permit.PARK: 'park it'>
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any, final

from attrs import frozen

from actors import Crashed, ExitReason, Shutdown
from actors.texts import is_a
from supervision.errors import IntensityExceeded
from supervision.specs import ChildSpec, WhenSpent

__all__ = [
    "Attempts",
    "Budget",
    "Intensity",
    "Permit",
    "attempt_restart",
    "exceeded",
    "own_budget",
    "own_window",
    "spend",
]


FEW = 16
"""So many forgotten attempts may lie before those that count without anybody clearing them away."""


@final
class Attempts:
    """The times of the attempts in one window, oldest first; a value that never changes.

    It is a view of a list that grows at its end only, so that the next value shares what this one
    has: a large budget is not copied at each restart.
    """

    __slots__ = ("_end", "_start", "_times")

    def __init__(self, times: list[float], start: int = 0) -> None:
        self._times, self._start, self._end = times, start, len(times)

    def followed_by(self, now: float, oldest: float, most: int) -> Attempts:
        """Return these from `oldest` on and `now`, the newest `most` of them."""
        times, end = self._times, self._end
        start = max(bisect_left(times, oldest, self._start, end), end + 1 - most)
        # Another value may have grown the list already, and what is forgotten is to be let go.
        if not times or end != len(times) or start > max(FEW, end - start):
            times, start = times[start:end], 0
        times.append(now)
        return Attempts(times, start)

    def newest(self, most: int) -> Attempts:
        """Return the newest `most` of these."""
        return Attempts(list(self)[-most:])

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[float]:
        return iter(self._times[self._start : self._end])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attempts) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


_NONE = Attempts([])


@final
@frozen
class Intensity:
    """The recent restart attempts of one supervisor, or of one child, under a limit.

    `max_restarts` (at least 0) and `max_seconds` (above 0) are the budget; `attempts` are
    the times remembered, oldest first, in seconds of one monotonic clock. A supervisor
    begins with none, also after its own restart, and so do its children's own budgets.
    """

    max_restarts: int
    max_seconds: float
    attempts: Attempts = _NONE

    def attempt(self, now: float) -> Intensity:
        """Add one attempt at `now` and forget those older than `max_seconds`.

        `now` must not be before an earlier attempt.
        """
        # One more than allowed proves the excess; older ones could prove nothing more.
        most = self.max_restarts + 1
        attempts = self.attempts.followed_by(now, now - self.max_seconds, most)
        return Intensity(self.max_restarts, self.max_seconds, attempts)

    def resized(self, max_restarts: int, max_seconds: float) -> Intensity:
        """Return the same attempts under another budget; what was forgotten stays forgotten."""
        return Intensity(max_restarts, max_seconds, self.attempts.newest(max_restarts + 1))

    @property
    def exceeded(self) -> bool:
        """Tell whether the attempts in the window are more than `max_restarts`."""
        return len(self.attempts) > self.max_restarts


@final
class Permit(Enum):
    """What the budgets make of an attempt to restart a child."""

    GRANTED = "restart it"
    PARK = "park it"
    GIVE_UP = "give up"


def own_window(spec: ChildSpec[Any]) -> Intensity | None:
    """Return the window of a child's own budget, empty; None when it has none.

    The budget in the spec of a supervisor is that of its children, so it counts for nothing
    here.
    """
    if spec.kind != "worker" or spec.max_restarts is None or spec.max_seconds is None:
        return None
    return Intensity(spec.max_restarts, spec.max_seconds)


def attempt_restart(
    window: Intensity, when_spent: WhenSpent, now: float
) -> tuple[Permit, Intensity]:
    """Count one attempt to restart a child at `now`; returns what is to be done, and the window.

    To be asked before anything is stopped or started, after an exit as well as before the
    retry of a restart that failed (1.5.2, 1.5.4).
    """
    window = window.attempt(now)
    if not window.exceeded:
        return Permit.GRANTED, window
    return (Permit.PARK if when_spent is WhenSpent.PARK else Permit.GIVE_UP), window


CRASHES_KEPT = 100
"""So many crashes in the window are remembered at the most: each keeps its traceback alive."""


@final
class Budget:
    """The window that is valid now, and the crashes in it."""

    __slots__ = ("_crashes", "window")

    def __init__(self, window: Intensity) -> None:
        self.window = window
        self._crashes: deque[tuple[float, BaseException]] | None = None

    def note(self, reason: ExitReason, now: float) -> None:
        """Keep the crash that led here; for a supervisor that gave up, those that led there."""
        crashes = self._crashes
        while crashes and crashes[0][0] < now - self.window.max_seconds:
            crashes.popleft()  # out of the window; and it keeps a whole dead proc alive
        match reason:
            case Crashed(error):
                found: tuple[BaseException, ...] = (error,)
            case Shutdown(detail=inner) if is_a(inner, IntensityExceeded):
                found = inner.crashes
            case _:
                return
        if crashes is None:
            crashes = self._crashes = deque(maxlen=CRASHES_KEPT)
        crashes.extend((now, error) for error in found)

    def resize(self, max_restarts: int, max_seconds: float) -> None:
        """Go on by another budget; what was counted stays counted."""
        self.window = self.window.resized(max_restarts, max_seconds)

    @property
    def crashes(self) -> tuple[BaseException, ...]:
        """Return the crashes noted, oldest first."""
        return tuple(error for _, error in self._crashes or ())


def own_budget(spec: ChildSpec[Any]) -> Budget | None:
    """Return a child's own budget, unspent; None when it has none."""
    window = own_window(spec)
    return None if window is None else Budget(window)


def spend(budget: Budget, when_spent: WhenSpent, now: float) -> Permit:
    """Count one attempt in a budget; returns what is to be done."""
    permit, budget.window = attempt_restart(budget.window, when_spent, now)
    return permit


def exceeded(
    path: str, budget: Budget, *, child: str | None = None, parked: bool = False
) -> IntensityExceeded:
    """Return the error for a budget that is spent; the last crash is its cause."""
    window, crashes = budget.window, budget.crashes
    error = IntensityExceeded(
        path, window.max_restarts, window.max_seconds, crashes, child=child, parked=parked
    )
    error.__cause__ = crashes[-1] if crashes else None
    return error

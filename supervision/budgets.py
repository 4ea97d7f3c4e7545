"""Keep budgets of restarts at run time: the window, and the crashes that fell into it.

A supervisor holds one `Budget` for all its children together, and one for each child that has
its own. What a spent one means is decided in `plan`; here it is carried in and out.

Guarantees: a crash is remembered as long as its restart counts, and at most `CRASHES_KEPT` of
them; a budget that saw no crash holds no list.

>>> from actors import Crashed
>>> own, shared = Budget(Intensity(1, 60.0)), Budget(Intensity(3, 5.0))
>>> for now in (0.0, 30.0):
...     own.note(Crashed(KeyError(now)), now)
...     print(spend(own, WhenSpent.PARK, shared, now))
Permit.GRANTED
Permit.PARK
>>> len(shared.window.attempts)                          # what parks is not charged to the others
1
>>> print(exceeded("/shop", own, child="db", parked=True))
/shop parked child db: more than 1 restart in 60 s; last crash: KeyError: 30.0
"""

from __future__ import annotations

from collections import deque
from typing import Any, final

from actors import Crashed, ExitReason, Shutdown
from supervision.errors import IntensityExceeded
from supervision.intensity import Intensity
from supervision.plan import Permit, attempt_restart, own_window
from supervision.specs import ChildSpec, WhenSpent

__all__ = ["Budget", "exceeded", "own_budget", "spend"]


CRASHES_KEPT = 100
"""So many crashes in the window are remembered at the most: each keeps its traceback alive."""


@final
class Budget:
    """Hold a window, and the crashes in it."""

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
            case Shutdown(detail=IntensityExceeded() as inner):
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


def spend(own: Budget | None, when_spent: WhenSpent, shared: Budget, now: float) -> Permit:
    """Count one attempt in both budgets; returns what is to be done."""
    attempt = attempt_restart(None if own is None else own.window, when_spent, shared.window, now)
    if own is not None and attempt.own is not None:
        own.window = attempt.own
    shared.window = attempt.shared
    return attempt.permit


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

"""Tests of `supervision.intensity` against a model that never forgets anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.supervisors.intensity import Intensity

# Eighths of a second are exact in binary, so the model need not care about rounding.
eighths = st.integers(0, 400).map(lambda count: count / 8)
gaps = st.lists(eighths, max_size=40)


def moments(gaps: list[float]) -> list[float]:
    """Turn gaps into times of a clock that never goes back."""
    times: list[float] = []
    for gap in gaps:
        times.append((times[-1] if times else 1000.0) + gap)
    return times


def too_many(history: list[float], max_restarts: int, max_seconds: float) -> bool:
    """Judge the last attempt of a whole history, as rules 1.5.2 and 1.5.3 say it in words."""
    now = history[-1]
    recent = 0
    for then in history:
        age = now - then
        if not age > max_seconds:
            recent += 1
    return recent > max_restarts


@given(gaps, st.integers(0, 6), eighths.filter(bool))
def test_each_attempt_is_judged_as_the_whole_history_would_be(
    gaps: list[float], max_restarts: int, max_seconds: float
) -> None:
    """The newest attempts, one more than allowed, tell what the whole history would."""
    budget, history = Intensity(max_restarts, max_seconds), list[float]()
    assert not budget.exceeded
    for now in moments(gaps):
        history.append(now)
        budget = budget.attempt(now)
        assert budget.exceeded == too_many(history, max_restarts, max_seconds)
        assert 1 <= len(budget.attempts) <= max_restarts + 1
        assert list(budget.attempts) == history[-len(budget.attempts) :]


@pytest.mark.parametrize(("gap", "exceeded"), [(5.0, True), (5.000001, False), (4.999999, True)])
def test_an_attempt_counts_to_the_very_end_of_the_window(gap: float, exceeded: bool) -> None:
    """An attempt exactly max_seconds old still counts; the least bit older it does not."""
    assert Intensity(1, 5.0).attempt(100.0).attempt(100.0 + gap).exceeded is exceeded

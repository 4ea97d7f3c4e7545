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
    """After each attempt the budget is exceeded exactly when the full history says so."""
    budget, history = Intensity(max_restarts, max_seconds), list[float]()
    for now in moments(gaps):
        history.append(now)
        budget = budget.attempt(now)
        assert budget.exceeded == too_many(history, max_restarts, max_seconds)


@given(gaps, st.integers(0, 6), eighths.filter(bool))
def test_what_is_remembered_is_the_end_of_the_history(
    gaps: list[float], max_restarts: int, max_seconds: float
) -> None:
    """It remembers the newest attempts, in order, at most one more than allowed."""
    times, budget = moments(gaps), Intensity(max_restarts, max_seconds)
    for count, now in enumerate(times, start=1):
        budget = budget.attempt(now)
        kept = len(budget.attempts)
        assert 1 <= kept <= max_restarts + 1
        assert list(budget.attempts) == times[count - kept : count]


@given(gaps, st.integers(0, 6), eighths.filter(bool))
def test_no_window_holds_more_restarts_than_allowed(
    gaps: list[float], max_restarts: int, max_seconds: float
) -> None:
    """Of the attempts before giving up, no window of max_seconds holds more than max_restarts."""
    allowed: list[float] = []
    budget = Intensity(max_restarts, max_seconds)
    for now in moments(gaps):
        budget = budget.attempt(now)
        if budget.exceeded:
            break
        allowed.append(now)
    for start in allowed:
        within = [then for then in allowed if start <= then <= start + max_seconds]
        assert len(within) <= max_restarts


@pytest.mark.parametrize("max_restarts", [0, 1, 3, 10])
def test_exactly_the_allowed_number_fits(max_restarts: int) -> None:
    """N restarts at once are allowed, the next one is not (OTP: more than, not at least)."""
    budget = Intensity(max_restarts, 5.0)
    for _ in range(max_restarts):
        budget = budget.attempt(100.0)
        assert not budget.exceeded
    assert budget.attempt(100.0).exceeded


@pytest.mark.parametrize(("gap", "exceeded"), [(5.0, True), (5.000001, False), (4.999999, True)])
def test_an_attempt_counts_to_the_very_end_of_the_window(gap: float, exceeded: bool) -> None:
    """An attempt exactly max_seconds old still counts; the least bit older it does not."""
    assert Intensity(1, 5.0).attempt(100.0).attempt(100.0 + gap).exceeded is exceeded


def test_only_age_frees_the_budget() -> None:
    """An exceeded budget is free again only when its attempts have grown old."""
    spent = Intensity(1, 5.0).attempt(0.0).attempt(1.0)
    assert spent.exceeded
    assert spent.attempt(6.0).exceeded
    assert not spent.attempt(6.5).exceeded


def test_a_fresh_budget_is_not_exceeded() -> None:
    """Before any attempt nothing is exceeded, not even a budget of zero."""
    assert not Intensity(0, 5.0).exceeded


def test_an_attempt_leaves_the_earlier_value_alone() -> None:
    """An attempt gives a new value; the old one can be compared, hashed and used again."""
    before = Intensity(2, 5.0).attempt(1.0)
    after = before.attempt(2.0)
    assert before == Intensity(2, 5.0, (1.0,))
    assert after == Intensity(2, 5.0, (1.0, 2.0))
    assert hash(before) != hash(after)

"""Tests of budgets and their windows: what is counted, who is asked first, what follows.

Windows and decisions are compared with naive ones that never forget anything.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Crashed, ExitReason, Killed, Normal, Shutdown, task
from supervision.errors import IntensityExceeded
from supervision.specs.options import WhenSpent
from supervision.specs.tree import ChildSpec, DynamicSupervisorSpec, SupervisorSpec
from supervision.supervisors.intensity import (
    CRASHES_KEPT,
    Budget,
    Intensity,
    Permit,
    attempt_restart,
    exceeded,
    own_budget,
    own_window,
    spend,
)

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


# -- two budgets ---------------------------------------------------------------------------------

ESCALATE, PARK = WhenSpent


async def nothing(shutdown: object) -> None:
    """Do nothing."""


class Naive:
    """Two budgets as the rules tell them: lists of times, looked at anew each time."""

    def __init__(self, own: tuple[int, float] | None, when_spent: str, shared: tuple[int, float]):
        self.own, self.when_spent, self.shared = own, when_spent, shared
        self.own_times: list[float] = []
        self.shared_times: list[float] = []

    def attempt(self, now: float) -> str:
        if self.own is not None:
            self.own_times.append(now)
            if self.recent(self.own_times, now, self.own[1]) > self.own[0]:
                return "park" if self.when_spent == "park" else "give up"
        self.shared_times.append(now)
        if self.recent(self.shared_times, now, self.shared[1]) > self.shared[0]:
            return "give up"
        return "restart"

    @staticmethod
    def recent(times: list[float], now: float, window: float) -> int:
        return sum(now - time <= window for time in times)


WORDS = {Permit.GRANTED: "restart", Permit.PARK: "park", Permit.GIVE_UP: "give up"}


def compare(
    own: tuple[int, float] | None,
    when_spent: WhenSpent,
    shared: tuple[int, float],
    gaps: tuple[float, ...],
) -> None:
    """Make the same attempts in both until the supervisor gives up."""
    naive = Naive(own, when_spent.value, shared)
    one, all_ = None if own is None else Intensity(*own), Intensity(*shared)
    now = 100.0
    for gap in gaps:
        now += gap
        before = all_
        answer = attempt_restart(one, when_spent, all_, now)
        one, all_ = answer.own, answer.shared
        assert WORDS[answer.permit] == naive.attempt(now)
        if answer.permit is Permit.PARK:
            assert all_ is before, "an attempt that parks is not charged to the supervisor"
        if answer.permit is Permit.GIVE_UP:
            own_was_it = one is not None and one.exceeded
            assert own_was_it or all_.exceeded
            break


# Quarters of a second can be added and subtracted without rounding.
seconds = st.integers(1, 400).map(lambda quarters: quarters / 4)


@given(
    st.none() | st.tuples(st.integers(0, 4), seconds),
    st.sampled_from(WhenSpent),
    st.tuples(st.integers(0, 6), seconds),
    st.lists(st.just(0.0) | seconds, max_size=30).map(tuple),
)
def test_every_history_is_decided_as_the_rules_say(
    own: tuple[int, float] | None,
    when_spent: WhenSpent,
    shared: tuple[int, float],
    gaps: tuple[float, ...],
) -> None:
    """For any budgets and times, both say the same."""
    compare(own, when_spent, shared, gaps)


def test_only_workers_have_a_budget_of_their_own() -> None:
    """The budget in a supervisor's spec is that of its children, not its own."""
    assert own_window(ChildSpec("a", task(nothing))) is None
    assert own_window(ChildSpec("a", task(nothing), max_restarts=0)) == Intensity(0, 5.0)
    assert own_window(SupervisorSpec("s")) is None
    assert own_window(DynamicSupervisorSpec("d", max_restarts=7)) is None
    assert own_budget(SupervisorSpec("s")) is None


def test_a_budget_keeps_the_crashes_of_its_window() -> None:
    """Crashes are kept as long as their restarts count; other exits leave nothing."""
    errors = [ValueError(str(number)) for number in range(3)]
    budget = Budget(Intensity(3, 10.0))
    reasons: list[tuple[ExitReason, float]] = [
        (Crashed(errors[0]), 0.0),
        (Killed(), 1.0),
        (Normal(), 1.0),
        (Shutdown("detail"), 1.0),
        (Crashed(errors[1]), 5.0),
        (Crashed(errors[2]), 10.0),
    ]
    for reason, now in reasons:
        budget.note(reason, now)
    assert budget.crashes == tuple(errors)
    budget.note(Normal(), 10.5)
    assert budget.crashes == tuple(errors[1:])
    inner = IntensityExceeded("/s", 1, 5.0, (KeyError("a"), KeyError("b")))
    budget.note(Shutdown(inner), 10.5)
    assert budget.crashes == (*errors[1:], *inner.crashes), "those of a supervisor are its own"


def test_a_budget_does_not_grow_without_limit() -> None:
    """However large the budget, a limited number of crashes is kept: the latest."""
    budget = Budget(Intensity(10**6, 1e6))
    for number in range(CRASHES_KEPT + 50):
        budget.note(Crashed(ValueError(number)), float(number))
    assert [error.args[0] for error in budget.crashes] == list(range(50, CRASHES_KEPT + 50))


def test_spending_changes_the_windows_that_are_concerned() -> None:
    """An attempt is counted in the child's window always, in the supervisor's unless it parks."""
    own, shared = Budget(Intensity(1, 5.0)), Budget(Intensity(5, 5.0))
    assert [spend(own, PARK, shared, now) for now in (0.0, 1.0, 2.0)] == [
        Permit.GRANTED,
        Permit.PARK,
        Permit.PARK,
    ]
    assert own.window.exceeded
    assert shared.window.attempts == (0.0,)
    assert spend(None, ESCALATE, shared, 3.0) is Permit.GRANTED
    assert shared.window.attempts == (0.0, 3.0)


@pytest.mark.parametrize(
    ("child", "parked", "text"),
    [
        (None, False, "/s gave up: more than 1 restart in 60 s; last crash: KeyError: 'b'"),
        (
            "a",
            False,
            "/s gave up: child a needed more than 1 restart in 60 s; last crash: KeyError: 'b'",
        ),
        ("a", True, "/s parked child a: more than 1 restart in 60 s; last crash: KeyError: 'b'"),
    ],
)
def test_the_error_says_whose_budget_it_was(child: str | None, parked: bool, text: str) -> None:
    """The error of a spent budget names who spent it; the last crash is its cause."""
    budget = Budget(Intensity(1, 60.0))
    for key in "ab":
        budget.note(Crashed(KeyError(key)), 0.0)
    error = exceeded("/s", budget, child=child, parked=parked)
    assert str(error) == text
    assert (error.path, error.child, error.parked) == ("/s", child, parked)
    assert error.budget == "1 restart in 60 s"
    assert error.crashes == budget.crashes
    assert error.__cause__ is budget.crashes[-1]
    assert exceeded("/s", Budget(Intensity(0, 1.0))).__cause__ is None

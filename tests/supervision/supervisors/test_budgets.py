"""Tests of budgets as decisions: what is counted, what follows, and what an error says.

The decision is compared with a naive one that keeps a plain list of times.
"""

import tracemalloc

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
    exceeded,
    own_budget,
    own_window,
    spend,
)

ESCALATE, PARK = WhenSpent


async def nothing(shutdown: object) -> None:
    """Do nothing."""


# Quarters of a second can be added and subtracted without rounding.
seconds = st.integers(1, 400).map(lambda quarters: quarters / 4)


@given(
    st.integers(0, 6),
    seconds,
    st.sampled_from([(ESCALATE, Permit.GIVE_UP), (PARK, Permit.PARK)]),
    st.lists(st.just(0.0) | seconds, max_size=30),
)
def test_every_history_is_decided_as_the_rules_say(
    most: int, window: float, spent: tuple[WhenSpent, Permit], gaps: list[float]
) -> None:
    """For any budget and times, an attempt is granted unless there are too many in the window."""
    budget, now, times = Budget(Intensity(most, window)), 100.0, list[float]()
    for gap in gaps:
        now += gap
        times.append(now)
        recent = sum(now - time <= window for time in times)
        assert spend(budget, spent[0], now) is (Permit.GRANTED if recent <= most else spent[1])


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


def test_a_window_is_a_value_that_is_not_copied() -> None:
    """Windows made from one another share their times, and each stays what it was."""
    window = Intensity(10**6, 1e6)
    history = [window := window.attempt(float(now)) for now in range(1000)]
    assert [len(old.attempts) for old in history] == list(range(1, 1001))
    assert list(history[9].attempt(9.5).attempts) == [*range(10), 9.5], "another future"
    assert list(window.attempts) == list(range(1000))
    tracemalloc.start()
    history = [window.attempt(1000.0)]
    for _ in range(100):
        history.append(history[-1].attempt(1000.0))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 100 * 1000, "a copy for each would take eight times as much"


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

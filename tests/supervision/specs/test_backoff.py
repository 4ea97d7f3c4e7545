"""Tests of `supervision.specs.backoff`: pauses, jitter, and when a child starts afresh."""

from fractions import Fraction
from math import inf, nan
from typing import Any, cast

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from supervision.errors import SpecError
from supervision.specs.backoff import Backoff

seconds = st.floats(min_value=1e-6, max_value=1e6)
factors = st.floats(min_value=1.0, max_value=100.0)


def never() -> float:
    """Be a random generator that nobody may use."""
    raise AssertionError("no random number was needed")


def capped_power(initial: float, maximum: float, factor: float, failures: int) -> Fraction:
    """Grow step by step in exact arithmetic; stop at the maximum."""
    pause, most, growth = Fraction(initial), Fraction(maximum), Fraction(factor)
    for _ in range(failures - 1):
        if pause >= most:
            break
        pause *= growth
    return min(pause, most)


@given(seconds, seconds, factors, st.integers(1, 60))
def test_without_jitter_the_pause_is_the_capped_power(
    one: float, other: float, factor: float, failures: int
) -> None:
    """Without jitter the pause is initial * factor ** (failures - 1), at most maximum."""
    initial, maximum = sorted((one, other))
    pause = Backoff(initial, maximum, factor=factor, jitter=False).delay(failures, never)
    assert pause == pytest.approx(float(capped_power(initial, maximum, factor, failures)))
    assert pause <= maximum


@given(seconds, seconds, factors, st.integers(1, 10**400), st.floats(0, 1, exclude_max=True))
def test_a_pause_never_leaves_its_bounds(
    one: float, other: float, factor: float, failures: int, chance: float
) -> None:
    """With jitter a pause is never above the pause without, nor below its half."""
    initial, maximum = sorted((one, other))
    whole = Backoff(initial, maximum, factor=factor, jitter=False).delay(failures, never)
    drawn = Backoff(initial, maximum, factor=factor).delay(failures, lambda: chance)
    assert whole / 2 <= drawn <= whole <= maximum


@pytest.mark.parametrize("failures", [2000, 10**9, 10**400])
def test_huge_numbers_of_failures_give_the_maximum(failures: int) -> None:
    """A power beyond the largest float is the maximum, not an error."""
    assert Backoff(1, 60, factor=2, jitter=False).delay(failures, never) == 60.0
    assert Backoff(1e-300, 1e300, factor=1e300, jitter=False).delay(failures, never) == 1e300


@pytest.mark.parametrize("failures", [0, -1])
def test_no_failure_needs_no_pause(failures: int) -> None:
    """Without a failure the pause is zero and no random number is drawn."""
    assert Backoff(1.0, 60.0).delay(failures, never) == 0.0


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 2.0), (0.25, 2.5), (0.75, 3.5)])
def test_jitter_draws_the_second_half_of_a_pause(chance: float, pause: float) -> None:
    """Half of the pause, here 4 seconds, is sure; the random number gives the other half."""
    assert Backoff(1.0, 60.0).delay(3, lambda: chance) == pause


def test_a_seed_gives_each_child_numbers_of_its_own() -> None:
    """The numbers depend on seed and path, and are the same in every process and version."""
    backoff = Backoff(0.1, 30.0, seed=7)

    def first(backoff: Backoff, path: str) -> float:
        generator = backoff.generator(path)
        assert generator is not None
        return generator.random()

    assert first(backoff, "/shop/db") == 0.6490797279613152
    assert first(Backoff(1.0, 2.0, seed=7), "/shop/db") == first(backoff, "/shop/db")
    different = {first(Backoff(1, 2, seed=seed), f"/{id}") for seed in (-1, 0, 7) for id in "abc"}
    assert len(different) == 9


@pytest.mark.parametrize(
    ("reset_after", "healthy", "left"),
    [(None, 29.9, 5), (None, 30.0, 0), (60.0, 30.0, 5), (60.0, 60.0, 0), (2.0, 2.5, 0)],
)
def test_a_healthy_child_is_forgiven(reset_after: float | None, healthy: float, left: int) -> None:
    """Failures are forgotten from `reset_after` healthy seconds on, by default `maximum`."""
    assert Backoff(0.1, 30.0, reset_after=reset_after).failures_after(5, healthy) == left


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"initial": "1"}, "initial: '1' is not a number; give seconds > 0"),
    ({"initial": True}, "initial: True is not a number; give seconds > 0"),
    ({"initial": nan}, "initial: nan is not a number; give seconds > 0"),
    ({"initial": 0}, "initial: 0 is not positive; give seconds > 0"),
    ({"initial": -1.0}, "initial: -1.0 is negative; give seconds > 0"),
    ({"maximum": inf}, "maximum: inf is not finite; give seconds > 0"),
    ({"maximum": 10**400}, f"maximum: {10**400} is not finite; give seconds > 0"),
    ({"maximum": 0.05}, "maximum: 0.05 is below initial, which is 0.1"),
    ({"factor": 0.5}, "factor: 0.5 is below 1; pauses must not shrink"),
    ({"factor": None}, "factor: None is not a number; give a number >= 1"),
    ({"jitter": 0.3}, "jitter: 0.3 is not a bool; give True or False"),
    ({"reset_after": 0}, "reset_after: 0 is not positive; give seconds > 0 or None"),
    ({"reset_after": inf}, "reset_after: inf is not finite; give seconds > 0 or None"),
    ({"seed": "7"}, "seed: '7' is not an int; give an int or None"),
    ({"seed": 7.0}, "seed: 7.0 is not an int; give an int or None"),
    ({"seed": False}, "seed: False is not an int; give an int or None"),
]


@pytest.mark.parametrize(("options", "text"), WRONG, ids=[text[:30] for _, text in WRONG])
def test_a_backoff_that_cannot_be_meant_is_refused(options: dict[str, Any], text: str) -> None:
    """A wrong option raises SpecError when the backoff is made, naming option and value."""
    with pytest.raises(SpecError) as caught:
        Backoff(**{"initial": 0.1, "maximum": 30.0} | options)
    assert str(caught.value) == f"Backoff: {text}"
    assert (caught.value.path, caught.value.field) == ("Backoff", next(iter(options)))


def test_a_backoff_is_a_frozen_value() -> None:
    """Equal backoffs compare and hash equal, and none can be changed."""
    assert Backoff(0.1, 30.0) == Backoff(0.1, 30.0, factor=2.0, jitter=True)
    assert hash(Backoff(0.1, 30.0)) == hash(Backoff(0.1, 30.0))
    with pytest.raises(FrozenInstanceError):
        cast("Any", Backoff(0.1, 30.0)).factor = 3.0

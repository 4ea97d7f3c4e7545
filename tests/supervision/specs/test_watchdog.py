"""Tests of the watchdog as a value: what it holds, and what is refused."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from actors import task
from supervision import (
    ChildSpec,
    DynamicSupervisorSpec,
    SpecError,
    SupervisorSpec,
    Watchdog,
)


async def work(shutdown: object) -> None:
    """Do nothing."""


def test_a_watchdog_is_a_value() -> None:
    """Watchdogs with equal limits are equal, hash alike, and show what they were made of."""
    assert Watchdog(handler=30) == Watchdog(handler=30.0)
    assert hash(Watchdog(handler=30, heartbeat=1)) == hash(Watchdog(heartbeat=1, handler=30))
    assert repr(Watchdog(heartbeat=5.0)) == "Watchdog(handler=None, heartbeat=5.0)"


@pytest.mark.parametrize("field", ["handler", "heartbeat"])
@pytest.mark.parametrize("value", [0, -1, nan, inf, "5", True, 10**400])
def test_a_bad_limit_is_refused(field: str, value: Any) -> None:
    """A limit is a finite number of seconds above zero."""
    with pytest.raises(SpecError, match=f"^Watchdog: {field}: .*give seconds > 0 or None$"):
        Watchdog(**{field: value})


def test_a_watchdog_without_a_limit_is_refused() -> None:
    """One of the two limits has to be there."""
    with pytest.raises(SpecError, match="set handler or heartbeat"):
        Watchdog()


def test_it_is_an_option_of_workers_alone() -> None:
    """A worker's spec takes a watchdog or None; a supervisor's has no such option."""
    dog = Watchdog(handler=1.0)
    assert ChildSpec("db", task(work), watchdog=dog).watchdog == dog
    assert "watchdog=Watchdog(" in repr(ChildSpec("db", task(work), watchdog=dog))
    assert ChildSpec("db", task(work)).watchdog is None
    assert SupervisorSpec("top").watchdog is None
    wrong: Any = 30.0
    with pytest.raises(SpecError, match=r"db: watchdog: .* is not a Watchdog; give a W"):
        ChildSpec("db", task(work), watchdog=wrong)
    for kind in (SupervisorSpec, DynamicSupervisorSpec):
        unknown: Any = kind
        with pytest.raises(TypeError, match="watchdog"):
            unknown("top", watchdog=dog)


def test_the_period_is_a_quarter_of_the_shortest_limit() -> None:
    """A child is looked at four times within its shortest limit."""
    assert Watchdog(handler=30.0).period == 7.5
    assert Watchdog(handler=30.0, heartbeat=10.0).period == 2.5
    assert Watchdog(heartbeat=1.0).period == 0.25

"""Tests of the rule by which a child is found to hang: what counts as the same thing in sight."""

from hypothesis import given
from hypothesis import strategies as st

from supervision.supervisors.sight import Sight


def test_nothing_in_sight_counts_no_time() -> None:
    """While nothing is in sight, and when something new comes into sight, the count is zero."""
    sight = Sight(None, 0.0, 0.0)
    for now in (10.0, 20.0, 30.0):
        sight = sight.again(None, now, 10.0)
        assert sight.seconds == 0.0
    assert sight.again("job", 40.0, 10.0).seconds == 0.0
    assert sight.again("job", 40.0, 10.0).since == 40.0


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 2)), max_size=30))
def test_nobody_is_accused_early(looks: list[tuple[float, int]]) -> None:
    """The seconds counted never exceed the time for which the same thing was in sight."""
    now, since, last = 0.0, 0.0, 0
    sight = Sight(0, 0.0, 0.0)
    for gap, what in looks:
        now += gap
        if what != last:
            since, last = now, what
        sight = sight.again(what, now, 10.0)
        assert 0.0 <= sight.seconds <= now - since + 1e-9
        assert sight.since == since


@given(st.floats(0.001, 1e6), st.floats(0.1, 1e4))
def test_a_long_gap_counts_for_two_looks(gap: float, period: float) -> None:
    """Time in which nobody could look counts for at most half a limit, however long it was."""
    sight = Sight("job", 0.0, 0.0).again("job", gap, period)
    assert sight.seconds == min(gap, 2 * period)

"""Tests of rushes: which ends below one owner are told, and which are counted."""

import pytest

from supervision.telemetry.rush import Rushes


def test_the_rest_of_a_rush_is_told_at_its_end() -> None:
    """What was counted and not yet told is told when the owner ends, and then nothing is kept."""
    rushes = Rushes()
    for _ in range(25):
        rushes.ended("/a", 0.0)
    assert rushes.over("/a").startswith("25 children have ended")
    assert rushes.over("/a") == rushes.over("/b") == ""


def test_a_pause_ends_a_rush() -> None:
    """Ends that come singly are told for ever."""
    rushes = Rushes()
    assert {rushes.ended("/a", 1.5 * number) for number in range(50)} == {""}


def test_the_memory_of_owners_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner that was silent for longest is forgotten first."""
    monkeypatch.setattr("supervision.telemetry.rush.MOST_OWNERS", 2)
    rushes = Rushes()
    for owner in ("/a", "/b", "/a", "/c"):
        for _ in range(20):
            rushes.ended(owner, 0.0)
    assert [rushes.hides(owner, 0.0) for owner in ("/a", "/b", "/c")] == [True, False, True]

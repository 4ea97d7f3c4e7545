"""Tests of `actors.exits`: the five ways in which a proc can end, as frozen values."""

from __future__ import annotations

import pytest
from attrs.exceptions import FrozenInstanceError

from actors import Crashed, ExitReason, Killed, NoProc, Normal, Shutdown

BOOM = ValueError("no such row")
REASONS: list[ExitReason] = [Normal(), Shutdown(), Killed(), Crashed(BOOM), NoProc()]


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_an_exit_reason_is_frozen(reason: ExitReason) -> None:
    """An exit reason cannot be changed, and takes no further attributes."""
    with pytest.raises((FrozenInstanceError, AttributeError)):
        reason.is_abnormal = False  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, AttributeError)):
        reason.note = "mine"  # type: ignore[union-attr]


def test_exit_reasons_compare_by_value() -> None:
    """Two reasons are equal when kind and contents are, and equal ones hash alike."""
    assert Normal() == Normal()
    assert Shutdown("deploy") == Shutdown("deploy") != Shutdown()
    assert Crashed(BOOM) == Crashed(BOOM) != Crashed(ValueError("no such row"))
    assert len({*REASONS, *REASONS}) == 5


@pytest.mark.parametrize(
    ("reason", "text", "abnormal"),
    [
        (Normal(), "normal", False),
        (Shutdown(), "shutdown", False),
        (Shutdown("deploy"), "shutdown (deploy)", False),
        (Killed(), "killed", True),
        (Crashed(BOOM), "crashed: ValueError: no such row", True),
        (Crashed(ValueError()), "crashed: ValueError", True),
        (NoProc(), "no proc", True),
    ],
)
def test_an_exit_reason_prints_in_words(reason: ExitReason, text: str, abnormal: bool) -> None:
    """The text of a reason is what a log line needs; all but Normal and Shutdown are abnormal."""
    assert (str(reason), reason.is_abnormal) == (text, abnormal)

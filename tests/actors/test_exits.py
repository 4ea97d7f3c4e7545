"""Tests of `actors.exits`: the five ways in which a proc can end, as frozen values."""

from __future__ import annotations

from typing import get_args

import pytest
from attrs.exceptions import FrozenInstanceError

from actors import Crashed, ExitReason, Killed, NoProc, Normal, Shutdown

BOOM = ValueError("no such row")
REASONS: list[ExitReason] = [Normal(), Shutdown(), Killed(), Crashed(BOOM), NoProc()]


@pytest.mark.parametrize(
    ("reason", "abnormal"),
    [
        (Normal(), False),
        (Shutdown(), False),
        (Shutdown("deploy"), False),
        (Killed(), True),
        (Crashed(BOOM), True),
        (NoProc(), True),
    ],
    ids=str,
)
def test_only_normal_and_shutdown_are_orderly(reason: ExitReason, abnormal: bool) -> None:
    """Normal and Shutdown, with any detail, are not abnormal, and all other reasons are."""
    assert reason.is_abnormal is abnormal


def test_there_are_exactly_five_reasons() -> None:
    """`ExitReason` is the union of the five classes and of nothing else."""
    assert get_args(ExitReason) == tuple(type(reason) for reason in REASONS)


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
    ("reason", "text"),
    [
        (Normal(), "normal"),
        (Shutdown(), "shutdown"),
        (Shutdown("deploy"), "shutdown (deploy)"),
        (Killed(), "killed"),
        (Crashed(BOOM), "crashed: ValueError: no such row"),
        (Crashed(ValueError()), "crashed: ValueError"),
        (NoProc(), "no proc"),
    ],
)
def test_an_exit_reason_prints_in_words(reason: ExitReason, text: str) -> None:
    """The text of a reason is what a log line needs."""
    assert str(reason) == text


def test_exit_reasons_can_be_matched() -> None:
    """A `match` statement takes the detail and the error out of a reason."""

    def describe(reason: ExitReason) -> object:
        match reason:
            case Shutdown(detail):
                return detail
            case Crashed(error):
                return error
            case _:
                return None

    assert describe(Shutdown("deploy")) == "deploy"
    assert describe(Crashed(BOOM)) is BOOM
    assert describe(Killed()) is None

"""Tests of `supervision.errors`: what each error keeps and what it says."""

from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import supervision
from actors import Crashed, ExitReason, Killed, NoProc, Normal, Place, Ref, Refusal, Shutdown
from supervision.describe import describe_error, describe_reason
from supervision.errors import (
    ChildExists,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    IntensityExceeded,
    SpecError,
    SupervisionError,
    TooManyChildren,
    TreeExited,
    Wedged,
)

BOOM = Crashed(ValueError("boom"))


class Unprintable(Exception):
    """An exception as careless user code writes it."""

    def __str__(self) -> str:
        raise RuntimeError("no text today")


def ref(path: str) -> Ref[Any]:
    """Stand in for a ref: all that is asked of it here is its path."""
    return cast("Ref[Any]", SimpleNamespace(path=path))


REFUSALS: list[tuple[SupervisionError, str]] = [
    (ChildExists("db", ref("/shop/db")), "child 'db' is already started as /shop/db"),
    (
        ChildExists("db", None),
        "child 'db' is already present but not running; restart or delete it",
    ),
    (ChildNotFound("db"), "there is no child 'db'"),
    (ChildRunning("db"), "child 'db' is running; terminate it first"),
    (ChildRestarting("db"), "child 'db' is being restarted; terminate it first"),
    (TooManyChildren(10), "the limit of max_children=10 is reached"),
    (ChildStartFailed("db", BOOM), "db failed to start: ValueError: boom"),
]


@pytest.mark.parametrize(("error", "text"), REFUSALS, ids=lambda value: type(value).__name__)
def test_a_refusal_can_answer_a_request_and_has_a_clear_text(
    error: SupervisionError, text: str
) -> None:
    """Each management error is a Refusal and a SupervisionError with a text of one line."""
    assert isinstance(error, Refusal)
    assert str(error) == text


def test_a_spec_error_is_a_value_error_with_path_field_and_problem() -> None:
    """A SpecError keeps its three parts, joins them in its text and is a ValueError."""
    error = SpecError("shop/db", "shutdown", "-1 is negative; give seconds >= 0")
    assert isinstance(error, SupervisionError)
    assert isinstance(error, ValueError)
    assert (error.path, error.field) == ("shop/db", "shutdown")
    assert error.problem == "-1 is negative; give seconds >= 0"
    assert str(error) == "shop/db: shutdown: -1 is negative; give seconds >= 0"


@pytest.mark.parametrize("wrap", [Crashed, Shutdown])
def test_a_nested_start_failure_names_the_way_down(wrap: type[Crashed] | type[Shutdown]) -> None:
    """A failed start inside a supervisor's failed start shows all ids, innermost last."""
    inner = ChildStartFailed("w1", BOOM)
    outer = ChildStartFailed("shop", wrap(ChildStartFailed("workers", wrap(inner))))
    assert str(outer) == "shop/workers/w1 failed to start: ValueError: boom"
    assert (outer.id, outer.path) == ("shop", "shop/workers/w1")
    assert outer.root is BOOM


def test_a_start_failure_can_be_nested_thousands_deep() -> None:
    """The depth of a tree does not limit the report of a failed start."""
    error = ChildStartFailed("leaf", Killed())
    for level in range(3000):
        error = ChildStartFailed(f"s{level}", Crashed(error))
    assert error.path.endswith("/s1/s0/leaf")
    assert error.root == Killed()


def test_giving_up_tells_the_budget_and_the_last_crash() -> None:
    """IntensityExceeded keeps budget and crashes and names the last of them."""
    crashes = (ValueError("first"), OSError("last"))
    error = IntensityExceeded("/shop", 3, 5.0, crashes)
    assert not isinstance(error, Refusal)
    assert (error.path, error.max_restarts, error.max_seconds) == ("/shop", 3, 5.0)
    assert error.crashes is crashes
    assert str(error) == "/shop gave up: more than 3 restarts in 5 s; last crash: OSError: last"


def test_a_tree_that_ended_says_why() -> None:
    """TreeExited keeps path and reason and shows the reason."""
    reason = Shutdown(IntensityExceeded("/shop", 0, 5.0, (KeyError("ada"),)))
    error = TreeExited("/shop", reason)
    assert (error.path, error.reason) == ("/shop", reason)
    assert str(error) == (
        "/shop exited: shutdown"
        " (/shop gave up: more than 0 restarts in 5 s; last crash: KeyError: 'ada')"
    )


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Normal(), "normal"),
        (Shutdown(), "shutdown"),
        (Shutdown("deploy"), "shutdown (deploy)"),
        (Killed(), "killed"),
        (NoProc(), "no proc"),
        (BOOM, "ValueError: boom"),
        (Crashed(ValueError()), "ValueError"),
    ],
    ids=str,
)
def test_every_exit_reason_can_be_told_in_a_line(reason: ExitReason, text: str) -> None:
    """Each of the five exit reasons has a short text; a crash shows its error's type."""
    assert describe_reason(reason) == text


def test_an_exception_that_cannot_be_printed_does_no_harm() -> None:
    """Reporting a crash whose text raises gives a text all the same."""
    expected = "Unprintable: (its text cannot be printed)"
    assert describe_error(Unprintable()) == expected
    assert str(ChildStartFailed("db", Crashed(Unprintable()))) == f"db failed to start: {expected}"
    assert "cannot be printed" in str(TreeExited("/shop", Shutdown(Unprintable())))


@pytest.mark.parametrize("library", ["<frozen runpy>", anyio.__file__, supervision.__file__])
def test_a_hang_is_said_to_be_where_the_users_own_code_is(library: str) -> None:
    """Of a stack the last place that is in no library counts; without one, the very last."""
    below, own = Place(library, 7, "wait"), Place("/srv/shop.py", 40, "Shop.buy")
    assert str(Wedged("/shop", "handling Buy", 1.0, (own, below))).endswith(f", at {own}")
    assert str(Wedged("/shop", "handling Buy", 1.0, (below,))).endswith(f", at {below}")


@given(st.text())
def test_no_text_is_longer_than_one_line(text: str) -> None:
    """Whatever a crash says, the errors that report it have a text of one line."""
    crash = ValueError(text)
    errors = [
        ChildStartFailed("db", Crashed(crash)),
        IntensityExceeded("/shop", 3, 5.0, (crash,)),
        TreeExited("/shop", Shutdown(text)),
    ]
    for error in errors:
        assert len(str(error).splitlines()) == 1

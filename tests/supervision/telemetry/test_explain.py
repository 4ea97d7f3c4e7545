"""Tests of how errors are told in a line."""

import re
from collections.abc import Callable
from pathlib import Path

from supervision.telemetry.explain import explain_error

HERE = str(Path(__file__)).removeprefix(f"{Path.cwd()}/")


def check(row: int) -> None:
    """Crash below the caller."""
    if row < 0:
        raise ValueError(f"row {row}\nis {{broken}}")


def _raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _text(text: str) -> str:
    return re.sub(r"[.]py:[0-9]+", ".py:N", text)


def test_an_error_is_told_with_its_cause() -> None:
    """An error that was raised from another one tells that one, too."""

    def act() -> None:
        try:
            check(-5)
        except ValueError as error:
            raise LookupError("no row") from error

    assert _text(explain_error(_raised(act))) == (
        f"LookupError: no row at {HERE}:N in act, from {HERE}:N in _raised,"
        f" because of ValueError: row -5 is {{broken}} at {HERE}:N in check, from {HERE}:N in act"
    )


def test_a_group_is_told_with_all_that_is_in_it() -> None:
    """A group tells its errors, also of groups inside, but no more than five, and how many more."""
    inner = ExceptionGroup("inner", [KeyError("a"), ValueError("b")])
    group = ExceptionGroup("outer", [inner, OSError("c")])
    assert explain_error(group) == "outer: inner: KeyError: 'a'; ValueError: b; OSError: c"
    group = ExceptionGroup("many", [ValueError(str(number)) for number in range(12)])
    assert explain_error(group).endswith("; ValueError: 4; and 7 more")


def test_a_group_of_groups_is_not_followed_for_ever() -> None:
    """What is nested too deep is not shown."""
    error: Exception = ValueError("innermost")
    for _ in range(2000):
        error = ExceptionGroup("group", [error])
    assert explain_error(error).startswith("group: group: group: ExceptionGroup: group")

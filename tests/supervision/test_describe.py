"""Tests of places in code: whose code it is, and how much of it is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import CodeType

import anyio
import pytest

import actors
import supervision
from supervision.describe import at, is_engine, is_own, where

HERE = str(Path(__file__)).removeprefix(f"{Path.cwd()}/")


@pytest.mark.parametrize(
    ("file", "own", "engine"),
    [
        ("/srv/shop.py", True, False),
        ("/srv/my-packages/shop.py", True, False),
        ("<string>", True, False),
        ("<frozen importlib>", False, False),
        ("<attrs generated init shop.Buy>", False, False),
        (json.__file__, False, False),
        (anyio.__file__, False, False),
        ("/usr/lib/python3/dist-packages/library.py", False, False),
        (actors.__file__, False, True),
        (supervision.__file__, False, True),
    ],
)
def test_whose_code_a_file_is(file: str, own: bool, engine: bool) -> None:
    """Code is the user's, the engine's, or of neither."""
    assert (is_own(file), is_engine(file)) == (own, engine)


def test_only_the_users_own_code_is_shown() -> None:
    """The way through libraries and the standard library is left out of a place."""

    def check(match: re.Match[str]) -> str:
        raise ValueError(match)

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the place is looked at
        re.sub("x", check, "x")
    assert "sre" not in where(caught.value)
    assert where(caught.value).startswith(f" at {HERE}:")


def test_an_error_without_traceback_has_no_place() -> None:
    """What was never raised, or not in anybody's code, has no place to tell."""
    assert where(None) == ""
    assert where(ValueError()) == ""


def _code(filename: str, name: str = "f") -> CodeType:
    return compile("", filename, "exec").replace(co_qualname=name)


LIBRARY = "/usr/lib/python3/site-packages/"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["/app/a.py", "/app/b.py"], " at /app/b.py:2 in f, from /app/a.py:1 in f"),
        (["/app/a.py", LIBRARY + "lib/x.py"], " at /app/a.py:1 in f"),
        ([LIBRARY + "lib/x.py"], " at lib/x.py:1 in f"),
        ([LIBRARY + "anyio/x.py"], ""),
        (["<frozen importlib>"], ""),
        ([], ""),
    ],
)
def test_a_place_is_cut_to_what_helps(files: list[str], expected: str) -> None:
    """Own code goes before libraries, libraries before nothing; an installed program is one."""
    assert at([(_code(file), line) for line, file in enumerate(files, start=1)]) == expected


def test_a_deep_place_is_cut_to_the_innermost_calls() -> None:
    """A recursion without end does not make a line without end."""

    def down() -> None:
        down()

    with pytest.raises(RecursionError) as caught:
        down()
    assert where(caught.value).count(", from ") == 3

"""Tests of whose code a file is; places and texts have theirs in `telemetry/test_explain.py`."""

from __future__ import annotations

import json

import anyio
import pytest

import actors
import supervision
from actors import Place
from supervision.describe import is_engine, is_own
from supervision.errors import Wedged


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


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        (["/srv/a.py", "/srv/b.py", json.__file__], ", at /srv/b.py:2 in f"),
        ([anyio.__file__, json.__file__], f", at {json.__file__}:2 in f"),
        ([], ""),
    ],
)
def test_a_hang_names_the_users_last_call(files: list[str], shown: str) -> None:
    """The place of a hang is the innermost call of the user's own, else the innermost of all."""
    stack = tuple(Place(file, line, "f") for line, file in enumerate(files, start=1))
    assert Wedged("/shop", "handling Buy", 31.25, stack).place == shown

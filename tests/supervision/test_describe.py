"""Tests of whose code a file is; places and texts have theirs in `telemetry/test_explain.py`."""

from __future__ import annotations

import json

import anyio
import pytest

import actors
import supervision
from supervision.describe import is_engine, is_own


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

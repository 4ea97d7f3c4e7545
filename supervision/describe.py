"""Describe errors, exit reasons and places in code, each in one line that is safe to print.

Making a description never fails, whatever the object that it is of does.

>>> describe_error(KeyError("ada"))
"KeyError: 'ada'"
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable
from types import CodeType

import actors
from actors import Crashed, ExitReason

__all__ = [
    "ENGINES",
    "at",
    "describe_error",
    "describe_reason",
    "is_own",
    "one_line",
    "printable",
    "where",
]


def printable(text: str) -> str:
    """Escape what is no printable character, so that a text cannot break out of its line."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def where(error: BaseException | None) -> str:
    """Say where in the user's own code an error arose, the innermost call first; maybe nothing."""
    steps = traceback.walk_tb(None if error is None else error.__traceback__)
    return at([(frame.f_code, line) for frame, line in steps])


def at(steps: Iterable[tuple[CodeType, int]], *, of_libraries: bool = True) -> str:
    """Say a way through code, given outermost first, cut to the user's part of it."""
    ranked = [(_rank(code.co_filename), code, line) for code, line in steps]
    best = min((step[0] for step in ranked), default=_ENGINE)
    if best == _ENGINE or (best == _LIBRARY and not of_libraries):
        return ""
    calls = [
        f"{_short(code.co_filename)}:{line} in {code.co_qualname.rpartition('<locals>.')[2]}"
        for rank, code, line in reversed(ranked)
        if rank == best
    ]
    return " at " + ", from ".join(calls[:4])


_OWN, _LIBRARY, _ENGINE = range(3)
ENGINES = tuple(
    os.path.dirname(os.path.abspath(source)) + os.sep for source in (__file__, actors.__file__)
)
"""The folders of the code that calls the user's."""

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_BELOW = {"anyio", "asyncio", "attr", "attrs", "loguru", "outcome", "trio", "uvloop"}


def _rank(filename: str) -> int:
    if filename.startswith(("<frozen", "<attrs", *ENGINES)):
        return _ENGINE
    package = _installed(filename)
    if package is None:
        return _ENGINE if filename.startswith(_STANDARD) else _OWN
    return _ENGINE if package.partition(os.sep)[0] in _BELOW else _LIBRARY


def is_own(filename: str) -> bool:
    """Tell whether code is the user's: neither a library, nor what calls the user's code."""
    return _rank(filename) == _OWN


def _installed(filename: str) -> str | None:
    """Return the part of a path that follows site-packages, None where that does not occur."""
    parts = _INSTALLED.split(filename)
    return parts[-1] if len(parts) > 1 else None


def _short(filename: str) -> str:
    try:
        here = os.getcwd().rstrip(os.sep) + os.sep
    except OSError:
        here = os.sep
    return _installed(filename) or filename.removeprefix(here)


def describe_error(error: BaseException) -> str:
    """Tell an exception in one line: its type and, if it has one, its text."""
    name, text = type(error).__name__, one_line(error)
    return f"{name}: {text}" if text else name


def describe_reason(reason: ExitReason) -> str:
    """Tell an exit reason in one line, ready to stand after a colon.

    >>> from actors import Shutdown
    >>> describe_reason(Crashed(KeyError("ada"))), describe_reason(Shutdown("deploy"))
    ("KeyError: 'ada'", 'shutdown (deploy)')
    """
    return describe_error(reason.error) if isinstance(reason, Crashed) else one_line(reason)


def one_line(value: object) -> str:
    """Return the text of a value in one line; never fails."""
    try:
        return " ".join(str(value).split())
    except Exception:
        # User code: a broken __str__ must not take the supervisor down with it.
        return "(its text cannot be printed)"

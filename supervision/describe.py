r"""Describe errors, exit reasons and places in code, each in one line that is safe to print.

Guarantees: a description is one line, of a bounded length, without control characters; making one
never fails, whatever the object that it is of does. It is the one place that knows whose code a
file is: yours, a library's, or of the engine that calls yours, which is left out of every place
that is shown.

>>> from actors import Crashed, Shutdown
>>> describe_error(KeyError("ada")), describe_error(ValueError())
("KeyError: 'ada'", 'ValueError')
>>> describe_reason(Crashed(OSError("disk full"))), describe_reason(Shutdown("deploy"))
('OSError: disk full', 'shutdown (deploy)')
>>> import json
>>> is_own("/srv/shop.py"), is_own(json.__file__), is_own(__file__)
(True, False, False)
>>> printable("two" + chr(10) + "lines")
'two\\nlines'

A place in code is found by ranks. A stack that has calls of your own shows these alone; one that
has none shows those of installed libraries. The engine's (this package, `actors`, the event loops,
the standard library) tell nobody anything, and are never shown.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable
from types import CodeType
from typing import Any

import actors
from actors import Crashed, ExitReason
from actors.texts import text_of

__all__ = [
    "at",
    "describe_error",
    "describe_reason",
    "is_engine",
    "is_own",
    "kept",
    "one_line",
    "printable",
    "where",
]


def describe_error(error: BaseException) -> str:
    """Describe an exception: its type and, if it has one, its text."""
    name, text = type(error).__name__, one_line(error)
    return f"{name}: {text}" if text else name


def describe_reason(reason: ExitReason) -> str:
    """Describe an exit reason, ready to stand after a colon."""
    return describe_error(reason.error) if isinstance(reason, Crashed) else one_line(reason)


def one_line(value: object) -> str:
    """Return the text of an object, bounded, printable, its white space drawn together."""
    return printable(" ".join(text_of(value).split()))


def kept(error: BaseException, name: str) -> Any:
    """Return what Python keeps of an error under a name, whatever its class has put there."""
    group = issubclass(type(error), BaseExceptionGroup) and name in vars(BaseExceptionGroup)
    return vars(BaseExceptionGroup if group else BaseException)[name].__get__(error)


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


# -- places in code --------------------------------------------------------------------------------


def where(error: BaseException | None) -> str:
    """Return where in the user's own code an error arose, as `at` does."""
    steps = traceback.walk_tb(None if error is None else kept(error, "__traceback__"))
    return at([(frame.f_code, line) for frame, line in steps])


def at(steps: Iterable[tuple[CodeType, int]], *, of_libraries: bool = True) -> str:
    """Describe the user's part of a stack, given outermost first; the innermost call comes first.

    Returns " at file:line in function, from ..." of at most four calls, or "" when there is nothing
    worth showing. `of_libraries`, default True: show those of libraries when none is the user's.
    """
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


def is_own(filename: str) -> bool:
    """Tell whether code in a file is the user's: neither the engine's nor a library's."""
    return _rank(filename) == _OWN


def is_engine(filename: str) -> bool:
    """Tell whether code in a file is of the two packages that call the user's."""
    return filename.startswith(_PACKAGES)


_OWN, _LIBRARY, _ENGINE = range(3)

_PACKAGES = tuple(
    os.path.dirname(os.path.abspath(source)) + os.sep for source in (__file__, actors.__file__)
)

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_BELOW = {"anyio", "asyncio", "attr", "attrs", "loguru", "outcome", "trio", "uvloop"}


def _rank(filename: str) -> int:
    if is_engine(filename) or filename.startswith(("<frozen", "<attrs")):
        return _ENGINE
    package = _installed(filename)
    if package is None:
        return _ENGINE if filename.startswith(_STANDARD) else _OWN
    return _ENGINE if package.partition(os.sep)[0] in _BELOW else _LIBRARY


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

"""Check single options of specs.

Each check takes the path of the spec, as far as it is known there, the name of the option and its
value, and raises `SpecError` when the value cannot be meant: with path, option, what is wrong with
it, and what would be right. A check that passes gives nothing back.

Guarantees: a check never fails on a strange value in another way, and never calls what it is given.

>>> check_seconds("shop/db", "start_timeout", 2.5, "seconds > 0 or None")
>>> check_seconds("shop/db", "start_timeout", 0, "seconds > 0 or None")
Traceback (most recent call last):
    ...
supervision.errors.SpecError: shop/db: start_timeout: 0 is not positive; give seconds > 0 or None
>>> check_count("shop", "max_restarts", True, least=0)
Traceback (most recent call last):
    ...
supervision.errors.SpecError: shop: max_restarts: True is not an int; give an int >= 0
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from sys import float_info
from typing import Any, TypeGuard

from actors import Proc
from supervision.errors import SpecError

__all__ = [
    "check_count",
    "check_id",
    "check_seconds",
    "check_start",
    "check_type",
    "check_word",
    "show",
    "show_typed",
]


def check_id(owner: str, id: object) -> str:
    """Return the id, if it can be a part of a path."""
    if not isinstance(id, str) or not id or "/" in id:
        raise SpecError(owner, "id", f"{id!r} is not an id; give a text without '/', not empty")
    return id


def check_start(path: str, start: object) -> None:
    """Check that a start is a factory, and none of the things that are mistaken for one."""
    problem = _start_problem(start)
    if problem is not None:
        # Shown only now: the start of a supervisor spec would show the whole tree.
        raise SpecError(path, "start", problem.format(show(start)))


def _start_problem(start: object) -> str | None:
    if iscoroutine(start):
        return "{0}() has been called already; give the factory task({0})"
    if isinstance(start, Proc):
        return "{} has been made already; give a factory, such as its class"
    if not callable(start):
        return "{} is not callable; give a factory that makes a proc"
    if iscoroutinefunction(start) or iscoroutinefunction(type(start).__call__):
        return "{0} is a coroutine function; give the factory task({0})"
    return None


def check_word(path: str, field: str, kind: type[Enum], value: object) -> None:
    """Check that a value is a member of an enum; its words are the hint."""
    if not isinstance(value, kind):
        words = ", ".join(repr(word.value) for word in kind)
        raise SpecError(path, field, f"{value!r} is not one of {words}")


def check_type(path: str, field: str, kind: type, value: object, hint: str) -> None:
    """Check that a value is of a type."""
    if not isinstance(value, kind):
        raise SpecError(path, field, f"{value!r} is not a {kind.__name__}; give {hint}")


def check_count(path: str, field: str, value: object, *, least: int) -> None:
    """Check that a value is an int, and at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong = "not an int"
    elif value < least:
        wrong = "negative" if value < 0 else "not positive"
    else:
        return
    raise SpecError(path, field, f"{value!r} is {wrong}; give an int >= {least}")


def check_seconds(
    path: str,
    field: str,
    value: object,
    hint: str = "seconds > 0",
    *,
    least: float | None = None,
    most: float = float_info.max,
) -> None:
    """Check that a value is a number of seconds: positive, or at least `least`; at most `most`.

    `least` is None by default, which excludes zero itself; `most` is the largest finite number.
    `hint` says what would be right.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        wrong = "not a number"
    elif value < 0:
        wrong = "negative"
    elif value == 0 and least != 0:
        wrong = "not positive"
    elif value > float_info.max:
        wrong = "not finite"
    elif not (least or 0) <= value <= most:
        wrong = "out of range"
    else:
        return
    raise SpecError(path, field, f"{value!r} is {wrong}; give {hint}")


def show(value: object) -> str:
    """Show a factory, or what stands in its place, as it would be written in code."""
    if _is_partial(value):
        keywords = [f"{name}={given!r}" for name, given in value.keywords.items()]
        return f"partial({', '.join([show(value.func), *map(repr, value.args), *keywords])})"
    return getattr(value, "__qualname__", None) or repr(value)


def _is_partial(value: object) -> TypeGuard[partial[Any]]:
    return isinstance(value, partial)


def show_typed(value: object) -> str:
    """Show a value that is out of place, with its type."""
    return f"{show(value)} of type {type(value).__name__}"

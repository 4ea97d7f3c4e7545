"""Check single options of specs; each check raises SpecError with path and field."""

from __future__ import annotations

from enum import Enum
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from sys import float_info
from typing import Any, TypeGuard

from actors import Proc
from supervision.errors import SpecError

__all__ = ["check_count"]


def check_id(owner: str, id: object) -> str:
    if not isinstance(id, str) or not id or "/" in id:
        raise SpecError(owner, "id", f"{id!r} is not an id; give a text without '/', not empty")
    return id


def check_start(path: str, start: object) -> None:
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
    if not isinstance(value, kind):
        words = ", ".join(repr(word.value) for word in kind)
        raise SpecError(path, field, f"{value!r} is not one of {words}")


def check_type(path: str, field: str, kind: type, value: object, hint: str) -> None:
    if not isinstance(value, kind):
        raise SpecError(path, field, f"{value!r} is not a {kind.__name__}; give {hint}")


def check_count(path: str, field: str, value: object, *, least: int) -> None:
    """Check that a number is an int, and not too small. Raises SpecError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(path, field, f"{value!r} is not an int; give an int >= {least}")
    if value < least:
        raise SpecError(path, field, f"{value!r} is negative; give an int >= {least}")


def check_option_seconds(
    path: str, field: str, value: object, hint: str, *, zero: bool = False
) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        wrong = "not a number"
    elif value < 0:
        wrong = "negative"
    elif value == 0 and not zero:
        wrong = "not positive"
    elif value > float_info.max:
        wrong = "not finite"
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
    return f"{show(value)} of type {type(value).__name__}"

"""Refuse a function of a wrong shape where it is written, not where it is called, days later.

A hook that takes too little, is `def` where it is awaited, or has a `yield` in it, would crash its
proc at the start, or only while it stops. So the hooks of a class are looked at when the class is
created, and a function when it is handed in, in the words that handlers get.

>>> from actors import CancellationToken, Proc
>>> class Lamp(Proc[str]):
...     async def run(self, shutdown: CancellationToken) -> None: ...
...     async def on_stop(self) -> None: ...
Traceback (most recent call last):
    ...
TypeError: Lamp.on_stop: it takes (self, reason)
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType
from typing import Any, final

__all__ = ["MARK", "check_hooks", "check_plain", "check_shape"]

MARK = "__actor_handles__"
"""The attribute that makes a method a handler: the message types that are its."""


@final
class Hook:
    """How a hook is called: with which arguments, and whether it is awaited (None: if need be)."""

    __slots__ = ("awaited", "takes")

    def __init__(self, *takes: str, awaited: bool | None) -> None:
        self.takes = takes
        self.awaited = awaited


HOOKS = {
    "on_start": Hook("self", awaited=True),
    "run": Hook("self", "shutdown", awaited=True),
    "on_stop": Hook("self", "reason", awaited=True),
    "on_down": Hook("self", "down", awaited=None),
    "on_exit": Hook("self", "exited", awaited=None),
    "on_undelivered": Hook("self", "message", awaited=False),
}


def check_hooks(cls: type, base: type) -> None:
    """Look at the hooks of a class derived from `base`. Raises TypeError for one of a wrong shape.

    What is no plain function (a mock, a static method, something written in C) is let pass.
    """
    for owner in cls.__mro__[: cls.__mro__.index(base)]:
        if "context" in vars(owner):
            raise TypeError(
                f"{owner.__qualname__}.context: the engine sets it; choose another name"
            )
        for name, hook in HOOKS.items():
            function = vars(owner).get(name)
            where = f"{owner.__qualname__}.{name}"
            if hasattr(function, MARK):
                raise TypeError(f"{where}: it is a hook; choose another name for the handler")
            if isinstance(function, FunctionType):
                check_shape(where, function, hook.takes, awaited=hook.awaited)
            elif name in vars(owner) and not callable(getattr(owner, name)):
                raise TypeError(f"{where}: a hook is a method, not {function!r}")


def check_shape(
    where: str, function: Callable[..., Any], takes: tuple[str, ...], *, awaited: bool | None
) -> None:
    """Look whether a function can be called with `takes`, and awaited or not.

    `awaited`: True if it must be, False if it cannot be, None if either will do. Raises TypeError.
    """
    try:
        inspect.signature(function).bind(*takes)
    except TypeError:
        raise TypeError(f"{where}: it takes ({', '.join(takes)})") from None
    except ValueError:
        pass  # written in C, and silent about it
    inner = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inner.func
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"{where}: with yield in it it would never run")
    if awaited and _returns_nothing(inner):
        raise TypeError(f"{where}: it is awaited; write async def")
    if awaited is False:
        check_plain(where, inner)


def check_plain(where: str, function: Callable[..., Any]) -> None:
    """Refuse what would have to be awaited, and is not. Raises TypeError."""
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        raise TypeError(f"{where}: it is not awaited; write def")


def _returns_nothing(function: object) -> bool:
    """Tell whether a plain function never returns anything: so nothing that could be awaited."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or getattr(function, "__isabstractmethod__", False):
        return False
    if inspect.iscoroutinefunction(function) or code.co_flags & inspect.CO_ITERABLE_COROUTINE:
        return False
    last, returned = None, list[object]()
    for step in dis.get_instructions(code):
        if step.opname == "RETURN_CONST":
            returned.append(step.argval)
        elif step.opname == "RETURN_VALUE":
            returned.append(last.argval if last and last.opname == "LOAD_CONST" else step)
        last = step
    return bool(returned) and all(value is None for value in returned)

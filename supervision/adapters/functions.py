"""Look at the functions that users give to adapters, name them, and call them.

An adapter is made when its tree is written down, long before anything runs. So whatever can be
known of a function then is checked there and then, and said with the name of the adapter.

>>> import anyio
>>> async def sweep() -> None:
...     print("sweeping")
>>> takes_token("periodic", sweep), name_of(sweep)
(False, 'sweep')
>>> anyio.run(call, sweep)
sweeping
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

__all__ = ["call", "check_takes", "name_of", "only_error", "takes_token"]


async def call(fn: Callable[..., object], *arguments: object) -> None:
    """Call a function of the user's, be it `def` or `async def`, to its end."""
    result = fn(*arguments)
    if inspect.isawaitable(result):
        await result


def takes_token(what: str, fn: Callable[..., object]) -> bool:
    """Tell whether a function has to be given one argument, rather than none.

    Raises TypeError when it needs more than that, or is no function at all.

    >>> takes_token("periodic", lambda shutdown: None), takes_token("periodic", lambda: None)
    (True, False)
    """
    if not callable(fn):
        raise TypeError(f"{what} wants a function of a token, or of nothing, not {fn!r}")
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False  # written in C, and silent about it
    needed = [
        entry
        for entry in parameters
        if entry.default is entry.empty
        and entry.kind not in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD)
    ]
    if len(needed) > 1 or any(entry.kind is entry.KEYWORD_ONLY for entry in needed):
        names = ", ".join(entry.name for entry in needed)
        raise TypeError(
            f"{what} calls its function with a token, or with nothing, but {name_of(fn)} needs "
            f"{names}; use functools.partial"
        )
    return bool(needed)


def check_takes(what: str, fn: Callable[..., object], *arguments: str) -> None:
    """Look whether a function can be called with these arguments. Raises TypeError.

    >>> check_takes("handler", lambda: None, "item")
    Traceback (most recent call last):
        ...
    TypeError: handler is called with (item), which <lambda> does not take
    """
    try:
        inspect.signature(fn).bind(*arguments)
    except TypeError:
        given = ", ".join(arguments)
        raise TypeError(
            f"{what} is called with ({given}), which {name_of(fn)} does not take"
        ) from None
    except ValueError:
        pass  # written in C, and silent about it


def name_of(fn: Callable[..., object]) -> str:
    """Return the name of a function, or of whatever else can be called, for a person to read."""
    return getattr(fn, "__qualname__", None) or repr(fn)


def only_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what a task group of one's own wraps if that is one error, else the group.

    >>> only_error(ExceptionGroup("two", [KeyError("a"), KeyError("b")]))
    ExceptionGroup('two', [KeyError('a'), KeyError('b')])
    >>> only_error(ExceptionGroup("one", [KeyError("a")]))
    KeyError('a')
    """
    return group.exceptions[0] if len(group.exceptions) == 1 else group

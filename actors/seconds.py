"""Refuse what is no number of seconds, at the door where it is given.

It is in the same words everywhere: what it was, which numbers would be right, and what was given.

>>> check_seconds("delay", 0.5)
>>> check_seconds("delay", 0, zero=False)
Traceback (most recent call last):
    ...
ValueError: delay is a number of seconds > 0, not 0
>>> check_seconds("job: start_timeout", "5", zero=False, none=True)
Traceback (most recent call last):
    ...
TypeError: job: start_timeout is a number of seconds > 0, or None, not '5'
"""

from __future__ import annotations

from sys import float_info

__all__ = ["check_seconds"]


def check_seconds(what: str, value: object, *, zero: bool = True, none: bool = False) -> None:
    """Check that `value` is a finite number >= 0, or > 0 where `zero` is not enough.

    `none`: None is right, too. Raises TypeError for what is no number, also for a bool, and
    ValueError for a number that cannot be meant.
    """
    if none and value is None:
        return
    kind: type[Exception] = TypeError
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= float_info.max and (zero or value):
            return
        kind = ValueError
    right = f"a number of seconds {'>= 0' if zero else '> 0'}{', or None' if none else ''}"
    raise kind(f"{what} is {right}, not {value!r}")

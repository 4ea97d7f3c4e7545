"""Explain an error in one line: what it was, where in the user's code, and what led to it.

>>> try:
...     raise OSError("disk full") from KeyError("a")
... except OSError as error:
...     print(explain_error(error).partition(" at ")[0])
OSError: disk full
"""

from __future__ import annotations

from typing import cast

from supervision.describe import describe_error, one_line, where
from supervision.errors import Wedged

__all__ = ["MOST_PARTS", "explain_error"]

MOST_PARTS = 5
"""So many parts of a group are named; the others are counted."""

MOST_LEVELS = 3
"""So deep groups may be nested; what is deeper is not shown."""


def explain_error(error: BaseException, levels: int = MOST_LEVELS) -> str:
    """Describe an error with its place, its causes, and what is in a group."""
    if levels and _is_group(error):
        group = cast("BaseExceptionGroup[BaseException]", error)
        parts = [explain_error(part, levels - 1) for part in group.exceptions[:MOST_PARTS]]
        if len(group.exceptions) > MOST_PARTS:
            parts.append(f"and {len(group.exceptions) - MOST_PARTS} more")
        return f"{one_line(group.message)}: {'; '.join(parts)}"
    what = f"Wedged: {error.problem}" if isinstance(error, Wedged) else describe_error(error)
    text = f"{what}{where(error)}"
    cause = error.__cause__
    for _ in range(3):
        if cause is not None:
            text += f", because of {describe_error(cause)}{where(cause)}"
            cause = cause.__cause__
    return text


def _is_group(error: BaseException) -> bool:
    return isinstance(error, BaseExceptionGroup)

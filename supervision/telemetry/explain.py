"""Explain an error in one line: what it was, where in the user's code, and what led to it.

>>> try:
...     raise OSError("disk full") from KeyError("a")
... except OSError as error:
...     print(explain_error(error).partition(" at ")[0])
OSError: disk full
"""

from __future__ import annotations

from actors.texts import is_a
from supervision.describe import describe_error, kept, one_line, where
from supervision.errors import Wedged

__all__ = ["MOST_PARTS", "explain_error"]

MOST_PARTS = 5
"""So many parts of a group are named; the others are counted."""

MOST_LEVELS = 3
"""So deep groups may be nested; what is deeper is not shown."""


def explain_error(error: BaseException, levels: int = MOST_LEVELS) -> str:
    """Describe an error with its place, its causes, and what is in a group."""
    if levels and is_a(error, BaseExceptionGroup):
        found: tuple[BaseException, ...] = kept(error, "exceptions")
        parts = [explain_error(part, levels - 1) for part in found[:MOST_PARTS]]
        if len(found) > MOST_PARTS:
            parts.append(f"and {len(found) - MOST_PARTS} more")
        return f"{one_line(kept(error, 'message'))}: {'; '.join(parts)}"
    what = f"Wedged: {error.problem}" if is_a(error, Wedged) else describe_error(error)
    text = f"{what}{where(error)}"
    cause: BaseException | None = kept(error, "__cause__")
    for _ in range(3):
        if cause is not None:
            text += f", because of {describe_error(cause)}{where(cause)}"
            cause = kept(cause, "__cause__")
    return text

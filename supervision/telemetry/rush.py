"""Tell a rush from single events: children that end at once, and often, would fill a log.

What starts and ends in order below one owner is told as long as it is little. When it becomes a
rush, a number of ends with less than a second between them, the single ones are counted
instead; the count is told at each power of ten, and at the end.

>>> rushes = Rushes()
>>> found = [rushes.ended("/jobs", at / 10) for at in range(100)]
>>> found[8:12]
['', '', None, None]
>>> found[99]
'100 children have ended in order, one after the other; single ones are not told'
>>> rushes.hides("/jobs", 10.0), rushes.hides("/jobs", 20.0), rushes.hides("/other", 10.0)
(True, False, False)
"""

from __future__ import annotations

from typing import final

__all__ = ["Rushes"]


MOST_OWNERS = 1000
"""How many owners are known at a time; the oldest is forgotten."""

FIRST = 10
"""So many ends of a rush are told each."""

PAUSE = 1.0
"""Seconds without an end, after which a rush is over."""


@final
class Rushes:
    """The ends in order that have come below each owner, one soon after the other."""

    def __init__(self) -> None:
        # By owner: how many, and when the last one came.
        self._known: dict[str, tuple[int, float]] = {}

    def ended(self, owner: str, now: float) -> str | None:
        """Count an end; returns "" if it is to be told, None if not, or what to tell instead."""
        count, last = self._known.pop(owner, (0, now))
        count = count + 1 if now - last < PAUSE else 1
        self._known[owner] = (count, now)
        if len(self._known) > MOST_OWNERS:
            del self._known[next(iter(self._known))]
        if count <= FIRST:
            return ""
        return _counted(count) if str(count).strip("0") == "1" else None

    def hides(self, owner: str, now: float) -> bool:
        """Tell whether a start below an owner is one of a rush."""
        count, last = self._known.get(owner, (0, now))
        return count >= FIRST and now - last < PAUSE

    def over(self, owner: str) -> str:
        """Forget an owner; returns what is still to be told of it, or ""."""
        count, _ = self._known.pop(owner, (0, 0.0))
        return _counted(count) if count > FIRST and str(count).strip("0") != "1" else ""


def _counted(count: int) -> str:
    ended = f"{count} children have ended in order, one after the other"
    return f"{ended}; single ones are not told"

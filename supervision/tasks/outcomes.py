"""How the calls of a map end, and in which order that is told.

Guarantee: each result is handed out once, in the order of the source or as it came.

>>> buffer = ResultBuffer(ordered=True)
>>> first, second = buffer.begin(), buffer.begin()
>>> buffer.settle(second, Succeeded("b", 2))
>>> buffer.pop() is None
True
>>> buffer.settle(first, Succeeded("a", 1))
>>> buffer.pop(), buffer.pop(), buffer.none_left
(Succeeded(item='a', value=1), Succeeded(item='b', value=2), True)
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeAlias, TypeVar, final

from attrs import frozen

__all__ = ["Failed", "Outcome", "ResultBuffer", "Succeeded"]


A = TypeVar("A")
T = TypeVar("T")


@final
@frozen
class Succeeded(Generic[A, T]):
    """The value that the call on `item` returned."""

    item: A
    value: T


@final
@frozen
class Failed(Generic[A]):
    """The error that the call on `item` raised."""

    item: A
    error: Exception


Outcome: TypeAlias = Succeeded[A, T] | Failed[A]
"""How one call of a map ended."""


@final
class ResultBuffer:
    """The results that are not handed out yet, and the order in which they will be.

    `taken` counts the items so far, `running` the calls that have no result.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self._early: dict[int, Outcome[Any, Any]] = {}
        self._settled = 0
        self._ready: deque[Outcome[Any, Any]] = deque()
        self.taken = 0
        self.running = 0

    def begin(self) -> int:
        """Give a place to one more item."""
        self.taken += 1
        self.running += 1
        return self.taken - 1

    def withdraw(self) -> None:
        """Take the last place back."""
        self.taken -= 1
        self.running -= 1

    def settle(self, place: int, outcome: Outcome[Any, Any]) -> None:
        """Note how a call ended."""
        self.running -= 1
        if not self._ordered:
            self._ready.append(outcome)
            return
        self._early[place] = outcome
        while self._settled in self._early:
            self._ready.append(self._early.pop(self._settled))
            self._settled += 1

    def pop(self) -> Outcome[Any, Any] | None:
        """Return the next result, None when it is not there yet."""
        return self._ready.popleft() if self._ready else None

    @property
    def none_left(self) -> bool:
        """Tell whether all results of what was taken have been handed out."""
        return not (self.running or self._ready or self._early)

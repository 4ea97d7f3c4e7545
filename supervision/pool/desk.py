"""Where a pool takes jobs in the turn of those who ask, and hears of them in its workers' turns.

Through its mailbox each job would pass a pool twice, and wait for a turn of the loop each time. So
a pool that is up stands at the `Desk` of its address, where the handles find it, and is told by
an `Attempt` what came of a job that a worker has in hand.

Guarantees: a job that waits, in the mail or in the queue, is overtaken by none that came later; an
attempt is told of once. What is a crash, or needs the pool's own task, still goes through its mail.

>>> from actors import Request
>>> class Render(Request[str]): ...
>>> class Ends:
...     def came_back_well(self, pending: object, worker: object, value: object) -> None:
...         print(pending, worker, value)
...     def came_back_failed(self, pending: object, worker: object, error: object) -> None:
...         raise AssertionError
>>> attempt = Attempt(Ends(), "job", "worker-1")
>>> attempt.set_result("done")
job worker-1 done
>>> attempt.done()
True
"""

from __future__ import annotations

from typing import Any, Protocol, Self, final
from weakref import WeakValueDictionary

from actors import Ref, Request
from actors.brokering import Asking, Hearer
from supervision.keys import Key

__all__ = ["Attempt", "Desk", "Ends", "Taker", "desk_at"]


class Taker(Protocol):
    """A pool that takes jobs at once."""

    def take_at_once(
        self,
        request: Request[Any],
        asking: Asking,
        attempts: int | None,
        job_timeout: float | None,
        key: Key | None,
    ) -> Any:
        """Take a job, or refuse it; returns what `forget_at_once` wants."""
        ...

    def forget_at_once(self, pending: Any) -> None:
        """Take a job out that nobody waits for any more."""
        ...


@final
class Desk:
    """The place of the pool at one address; `taker` is None while it takes jobs by mail alone."""

    __slots__ = ("__weakref__", "taker")

    def __init__(self) -> None:
        self.taker: Taker | None = None

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self  # a place: the copy of a handle finds the same pool


# One for each address, kept alive by the incarnation there and by the handles.
_desks: WeakValueDictionary[Ref[Any], Desk] = WeakValueDictionary()


def desk_at(pool: Ref[Any]) -> Desk:
    """Return the desk at an address; the same for all who ask while anybody holds it."""
    desk = _desks.get(pool)
    if desk is None:
        desk = _desks[pool] = Desk()
    return desk


class Ends(Protocol):
    """A pool that is told how attempts ended."""

    def came_back_well(self, pending: Any, worker: Any, value: object) -> None:
        """Take the answer of a worker."""
        ...

    def came_back_failed(self, pending: Any, worker: Any, error: BaseException) -> None:
        """Take what came instead of an answer."""
        ...


@final
class Attempt(Hearer):
    """One job in the hand of one worker, once."""

    __slots__ = ("_ends", "_over", "_pending", "_worker")

    def __init__(self, ends: Ends, pending: Any, worker: Any) -> None:
        self._ends = ends
        self._pending = pending
        self._worker = worker
        self._over = False

    def done(self) -> bool:
        """Return whether its end was told."""
        return self._over

    def set_result(self, result: object, /) -> None:
        """Tell the pool of the answer."""
        self._over = True
        self._ends.came_back_well(self._pending, self._worker, result)

    def set_exception(self, exception: BaseException, /) -> None:
        """Tell the pool of the refusal, or of an error."""
        self._over = True
        self._ends.came_back_failed(self._pending, self._worker, exception)

"""Expire waiting asks, cheaply.

A timer of the event loop for each ask costs more than the ask. Here a new deadline is only written
down: nearly always its answer comes at once, and that is two dictionary operations. What is left of
them a sixteenth of a second later is rounded up to ticks of about a millisecond and gathered in
a bucket for each tick, and the loop holds one timer, for the earliest bucket. Nothing wakes
up while no deadline is due but for that one time, and no deadline is early.

>>> import anyio
>>> from actors.backends import current_backend
>>> class Parcel:
...     due, tick, late = 0.0, 0, False
...     def expire(self) -> None:
...         self.late = True
>>> async def main() -> tuple[bool, bool]:
...     deadlines = Deadlines(current_backend())
...     kept, late = Parcel(), Parcel()
...     deadlines.add(kept, 0.01)
...     deadlines.add(late, 0.01)
...     deadlines.discard(kept)
...     await anyio.sleep(0.03)
...     return kept.late, late.late
>>> anyio.run(main)
(False, True)

The shape is that of a hashed timing wheel (Varghese and Lauck, 1987).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Protocol, final

from actors.backends import Backend, TimerHandle, Waiter

__all__ = ["Deadlines", "Expiring", "Nap"]

TICKS = 1024
"""Ticks per second: a deadline is at most a 1024th of a second late, beside the loop's own lag."""

MANY = 256
"""So many empty buckets are left alone before anybody looks whether they are too many."""

LONGEST = 1e9
"""The longest timeout that is kept, in seconds: some thirty years. More is as good as for ever."""

FRESH = 1 / 16
"""For so many seconds a deadline is only written down, if it is at least twice as far off."""


class Expiring(Protocol):
    """Something with a deadline; `due` and `tick` belong to `Deadlines`."""

    due: float
    tick: int

    def expire(self) -> None:
        """Take note that the time is up; must not raise."""
        ...


@final
class Nap:
    """The deadline of an actor that nobody writes to; past it, the actor lets go of its task."""

    __slots__ = ("due", "over", "tick", "waiter")

    def __init__(self, waiter: Waiter[None]) -> None:
        self.waiter = waiter
        self.over = False
        self.due, self.tick = 0.0, 0

    def expire(self) -> None:
        """Wake the actor, if nothing else did."""
        if not self.waiter.done():
            self.over = True
            self.waiter.set_result(None)


@final
class Deadlines:
    """The deadlines of one actor system. Everything is called from the loop's thread.

    They are coarse: rounded up to a tick, so that a thousand asks that expire at about the same
    time share a bucket, and one timer of the loop. A deadline passes through at most two stages. In
    `_fresh` it is only written down; every `FRESH` seconds, while there are any, what is left there
    is put into `_buckets`, by tick, whose ticks are a heap. A bucket that was emptied keeps its
    place, because taking it out of the heap would cost a search; there is a sweep when too many
    are empty.
    """

    __slots__ = (
        "_armed",
        "_backend",
        "_buckets",
        "_empty",
        "_fresh",
        "_gathering",
        "_now",
        "_ticks",
        "_timer",
    )

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._now = backend.now
        self._fresh: dict[Expiring, None] = {}
        self._gathering: TimerHandle | None = None
        self._buckets: dict[int, dict[Expiring, None]] = {}
        self._ticks: list[int] = []
        self._timer: TimerHandle | None = None
        self._armed = 0
        self._empty = 0

    def __len__(self) -> int:
        """Return how many deadlines are pending."""
        return len(self._fresh) + sum(len(bucket) for bucket in self._buckets.values())

    def add(self, waiting: Expiring, timeout: float) -> None:
        """Call `waiting.expire()` in `timeout` seconds, unless it is discarded before."""
        if timeout > LONGEST:
            timeout = LONGEST
        waiting.due = self._now() + timeout
        if timeout < 2 * FRESH:
            self._put(waiting)
            return
        self._fresh[waiting] = None
        if self._gathering is None:
            self._gathering = self._backend.call_at(self._now() + FRESH, self._gather)

    def _gather(self) -> None:
        """Put what was not answered at once where the clock finds it."""
        self._gathering = None
        fresh, self._fresh = self._fresh, {}
        for waiting in fresh:
            self._put(waiting)

    def _put(self, waiting: Expiring) -> None:
        waiting.tick = tick = int(waiting.due * TICKS) + 1
        bucket = self._buckets.get(tick)
        if bucket is not None:
            if not bucket:
                self._empty -= 1
            bucket[waiting] = None
            return
        self._buckets[tick] = {waiting: None}
        heappush(self._ticks, tick)
        if self._timer is None or tick < self._armed:
            self._arm()

    def discard(self, waiting: Expiring) -> None:
        """Forget a deadline; nothing happens when it has passed."""
        if self._fresh.pop(waiting, self) is None:
            return
        bucket = self._buckets.get(waiting.tick)
        if bucket is not None and bucket.pop(waiting, self) is None and not bucket:
            self._empty += 1
            if self._empty >= MANY and self._empty * 2 > len(self._ticks):
                self._sweep()

    def close(self) -> None:
        """Forget all deadlines and give the timer back."""
        for timer in (self._timer, self._gathering):
            if timer is not None:
                timer.cancel()
        self._timer = self._gathering = None
        self._fresh.clear()
        self._buckets.clear()
        self._ticks.clear()
        self._empty = 0

    def _sweep(self) -> None:
        """Throw empty buckets away: their deadlines may be hours off. Nothing is re-armed."""
        self._buckets = {tick: bucket for tick, bucket in self._buckets.items() if bucket}
        self._ticks = list(self._buckets)
        heapify(self._ticks)
        self._empty = 0

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Buckets that were emptied meanwhile are worth no wake-up.
        while self._ticks and not self._buckets[self._ticks[0]]:
            del self._buckets[heappop(self._ticks)]
            self._empty -= 1
        if self._ticks:
            self._armed = self._ticks[0]
            self._timer = self._backend.call_at(self._armed / TICKS, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._now() * TICKS
        while self._ticks and self._ticks[0] <= now:
            bucket = self._buckets.pop(heappop(self._ticks))
            if not bucket:
                self._empty -= 1
            for waiting in bucket:
                waiting.expire()
        self._arm()

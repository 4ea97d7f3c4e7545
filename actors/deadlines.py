"""Expire waiting asks, cheaply.

A timer of the event loop for each ask costs more than the ask. Here deadlines are rounded up to
a tick of about a millisecond and gathered in a bucket for each tick; adding and discarding are
two dictionary operations, and the loop holds one timer, for the earliest bucket. Nothing
wakes up while no deadline is due, and no deadline is early.

>>> import anyio
>>> from actors.backend import current_backend
>>> class Parcel:
...     tick = 0
...     late = False
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

from actors.backend import Backend, Clocked

__all__ = ["Deadlines", "Expiring"]

TICKS = 1024
"""Ticks per second: a deadline is at most a 1024th of a second late, beside the loop's own lag."""


MANY = 256
"""So many empty buckets are left alone before anybody looks whether they are too many."""


class Expiring(Protocol):
    """Stand for something with a deadline; `tick` belongs to `Deadlines`."""

    tick: int

    def expire(self) -> None:
        """Be told that the time is up; must not raise."""
        ...


@final
class Deadlines:
    """Keep the deadlines of one actor system. Everything is called from the loop's thread."""

    __slots__ = ("_armed", "_backend", "_buckets", "_empty", "_now", "_ticks", "_timer")

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._now = backend.now
        self._buckets: dict[int, dict[Expiring, None]] = {}
        self._ticks: list[int] = []
        self._timer: Clocked | None = None
        self._armed = 0
        self._empty = 0

    def __len__(self) -> int:
        """Return how many deadlines are pending."""
        return sum(len(bucket) for bucket in self._buckets.values())

    def add(self, waiting: Expiring, timeout: float) -> None:
        """Call `waiting.expire()` in `timeout` seconds, unless it is discarded before."""
        tick = int((self._now() + timeout) * TICKS) + 1
        waiting.tick = tick
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
        bucket = self._buckets.get(waiting.tick)
        if bucket is not None and bucket.pop(waiting, self) is None and not bucket:
            self._empty += 1
            if self._empty >= MANY and self._empty * 2 > len(self._ticks):
                self._sweep()

    def close(self) -> None:
        """Forget all deadlines and give the timer back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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

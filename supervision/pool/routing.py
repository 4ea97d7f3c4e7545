"""Routing: which worker of a pool gets which job. Pure, without a loop, a clock or chance.

A `Schedule` knows who could work and what waits. It is told of every change and says, one pair
after the other, who gets what; the pool carries that out. Each worker has one job at a time.

============  ==============================================================================
routing       who gets a job
============  ==============================================================================
round_robin   the next in the order of numbers that is free, after the one that was last
least_loaded  a free one, the one that has rested longest
keyed         the worker of its key: always the same one, also while that restarts
sticky        the worker that had its key first, as long as that lives; then a new one
============  ==============================================================================

What `sticky` remembers grows with the keys that there are; a worker's are forgotten when it dies.

Guarantees: no worker rests while a job waits that it may have; jobs of one key begin in the order
of their numbers, and so do those without a key, which any worker may have. Under `keyed`, one
worker more takes over only the keys that it is to have, one less gives away only its own
(rendezvous hashing: Thaler and Ravishankar, 1998).

>>> schedule = Schedule(Routing.ROUND_ROBIN)
>>> for worker in (1, 2):
...     schedule.join(worker)
...     schedule.rest(worker)
>>> for job in (10, 11, 12):
...     schedule.put(job)
>>> schedule.next(), schedule.next(), schedule.next()
((1, 10), (2, 11), None)
>>> schedule.rest(2)
>>> schedule.next()
(2, 12)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from heapq import heapify, heappop, heappush
from itertools import takewhile
from typing import final

from supervision.keys import Key, stable_hash

__all__ = ["Routing", "Schedule", "rendezvous"]


_BITS = (1 << 64) - 1

MOST_HOMES = 10_000
"""So many keys' workers are remembered at the most, to be computed once: that takes each worker."""


@final
class Routing(StrEnum):
    """The rule by which a worker is found for a job; see the table of the module."""

    ROUND_ROBIN = "round_robin"
    LEAST_LOADED = "least_loaded"
    KEYED = "keyed"
    STICKY = "sticky"

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


def rendezvous(hashed: int, workers: Iterable[int]) -> int | None:
    """Return the worker that a hashed key belongs to, None when there are none.

    When a worker joins, it takes over about its share of keys; no other key moves. When one leaves,
    its keys are spread over the rest.

    >>> before = {n: rendezvous(stable_hash(n), range(4)) for n in range(1000)}
    >>> after = {n: rendezvous(stable_hash(n), range(5)) for n in range(1000)}
    >>> moved = [n for n in before if before[n] != after[n]]
    >>> {after[n] for n in moved}, 150 < len(moved) < 250
    ({4}, True)
    """
    return max(workers, key=lambda worker: (_score(hashed, worker), worker), default=None)


def _score(hashed: int, worker: int) -> int:
    """Mix a key with a worker; the finishing steps are those of the splitmix64 generator."""
    mixed = (hashed ^ (worker * 0x9E3779B97F4A7C15)) & _BITS
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _BITS
    return mixed ^ (mixed >> 31)


@final
class _Line:
    """Job numbers, the smallest first; those in the middle can be taken out, too."""

    __slots__ = ("_heap", "_there")

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._there: set[int] = set()

    def add(self, job: int) -> None:
        self._there.add(job)
        heappush(self._heap, job)

    def drop(self, job: int) -> None:
        # The heap learns of it later; but what has left is not to outgrow what is there.
        self._there.discard(job)
        if len(self._heap) > 2 * len(self._there) + 16:
            self._heap = list(self._there)
            heapify(self._heap)

    def first(self) -> int | None:
        while self._heap and self._heap[0] not in self._there:
            heappop(self._heap)
        return self._heap[0] if self._heap else None

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._there))


@final
class _Place:
    """Where a job waits: in the line of one worker, or in that for all (None)."""

    __slots__ = ("hashed", "key", "line")

    def __init__(self, key: Key | None) -> None:
        self.key = key
        self.hashed = 0
        self.line: int | None = None


@final
class Schedule:
    """The workers and the waiting jobs of one pool, both known by their numbers.

    After changes, call `next` until it returns None. Numbers of jobs grow in the order in which
    they came; a job that is put again takes its old place. Calls about workers may be repeated.
    """

    def __init__(self, routing: Routing) -> None:
        self.routing = routing
        self._waiting: OrderedDict[int, _Place] = OrderedDict()
        self._shared = _Line()
        self._lines: dict[int, _Line] = {}  # one for each member
        self._resting: dict[int, None] = {}  # who has rested longest comes first
        self._ring: list[int] = []  # the same, in the order of numbers
        self._called: dict[int, None] = {}  # those at rest for whom something waits
        self._last = -1
        self._owners: dict[Key, int] = {}
        self._keys: dict[int, set[Key]] = {}
        self._homes: dict[int, int | None] = {}  # where hashed keys belong, as far as computed
        self._same_key: dict[Key, set[int]] = {}

    # -- workers ----------------------------------------------------------------------------------

    @property
    def is_staffed(self) -> bool:
        """Tell whether there is any worker that jobs may go to."""
        return bool(self._lines)

    @property
    def is_busy(self) -> bool:
        """Tell whether no worker can take anything now."""
        return not self._resting

    @property
    def members(self) -> tuple[int, ...]:
        """Return the workers that jobs may go to, whether they can work now or not."""
        return tuple(self._lines)

    def join(self, worker: int) -> None:
        """Let jobs go to a worker, as soon as it rests."""
        if worker in self._lines:
            return
        self._lines[worker] = _Line()
        self._homes.clear()
        if self.routing is Routing.KEYED:
            for job, place in self._waiting.items():
                if place.key is not None and self._outbids(worker, place):
                    self._move(job, place, worker)

    def leave(self, worker: int) -> None:
        """Let no more jobs go to a worker; those that waited for it go to others."""
        if worker not in self._lines:
            return
        self.release(worker)
        self.occupy(worker)
        line = self._lines.pop(worker)
        self._homes.clear()
        for job in line:
            place = self._waiting[job]
            self._move(job, place, self._home(place.hashed), left=line)

    def rest(self, worker: int) -> None:
        """Note that a member can take a job now."""
        if worker in self._resting or worker not in self._lines:
            return
        self._resting[worker] = None
        insort(self._ring, worker)
        if self._lines[worker].first() is not None:
            self._called[worker] = None

    def next_for(self, worker: int) -> int | None:
        """Return the job that a member gets that has come free; it rests when there is none.

        Then call `next`, as after every change.
        """
        if self._resting or worker not in self._lines:
            self.rest(worker)
            return None
        own, shared = self._lines[worker].first(), self._shared.first()
        job = own if shared is None or (own is not None and own < shared) else shared
        if job is None:
            self.rest(worker)
            return None
        return self._hand_over(worker, job)[1]

    def occupy(self, worker: int) -> None:
        """Note that a worker can take no job now: it has one, or it is down."""
        if worker in self._resting:
            del self._resting[worker]
            del self._ring[bisect_left(self._ring, worker)]
            self._called.pop(worker, None)

    def release(self, worker: int) -> None:
        """Give the keys of a worker that has died to whoever is next; for `sticky` alone."""
        for key in self._keys.pop(worker, ()):
            del self._owners[key]
            for job in self._same_key.get(key, ()):
                self._move(job, self._waiting[job], None)

    # -- jobs -------------------------------------------------------------------------------------

    def put(self, job: int, key: Key | None = None) -> None:
        """Have a job wait. One that was handed out before takes its old place again."""
        place = _Place(key)
        self._insert(job, place)
        if key is None:
            self._shared.add(job)
            return
        if self.routing is Routing.KEYED:
            place.hashed = stable_hash(key)
            place.line = self._home(place.hashed)
        elif self.routing is Routing.STICKY:
            self._same_key.setdefault(key, set()).add(job)
            place.line = self._owners.get(key)
        self._line_up(job, place)

    def take_free(self, key: Key | None = None) -> int | None:
        """Return a worker for a job that need not wait, None when it has to be `put`.

        So it is when nothing waits, and any worker will do.
        """
        if self._waiting or not self._resting:
            return None
        if key is not None and self.routing in (Routing.KEYED, Routing.STICKY):
            return None
        worker = self._last = self._pick()
        self.occupy(worker)
        return worker

    def take_out(self, job: int) -> bool:
        """Take a job out; False when it does not wait."""
        place = self._waiting.pop(job, None)
        if place is None:
            return False
        (self._shared if place.line is None else self._lines[place.line]).drop(job)
        if place.key is not None and place.key in self._same_key:
            same = self._same_key[place.key]
            same.discard(job)
            if not same:
                del self._same_key[place.key]
        return True

    def next(self) -> tuple[int, int] | None:
        """Return a worker and the job that it gets, None when nobody can get anything now."""
        shared = self._shared.first()
        while self._called:
            worker = next(iter(self._called))
            own = self._lines[worker].first()
            if own is None:
                del self._called[worker]  # what waited for it was taken out
            elif shared is None or own < shared or len(self._resting) > len(self._called):
                return self._hand_over(worker, own)
            else:
                return self._hand_over(worker, shared)
        if shared is None or not self._resting:
            return None
        return self._hand_over(self._pick(), shared)

    def oldest(self) -> int | None:
        """Return the job that has waited longest."""
        return next(iter(self._waiting), None)

    def newest(self, *, but: int | None = None) -> int | None:
        """Return the job that came last, leaving out `but`."""
        return next((job for job in reversed(self._waiting) if job != but), None)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, job: int) -> bool:
        return job in self._waiting

    # -- inside -----------------------------------------------------------------------------------

    def _pick(self) -> int:
        if self.routing is not Routing.ROUND_ROBIN:
            return next(iter(self._resting))
        place = bisect_right(self._ring, self._last)
        return self._ring[place % len(self._ring)]

    def _hand_over(self, worker: int, job: int) -> tuple[int, int]:
        key = self._waiting[job].key
        self.take_out(job)
        self.occupy(worker)
        self._last = worker
        if key is not None and self.routing is Routing.STICKY and key not in self._owners:
            self._owners[key] = worker
            self._keys.setdefault(worker, set()).add(key)
            for other in self._same_key.get(key, ()):
                self._move(other, self._waiting[other], worker)
        return worker, job

    def _insert(self, job: int, place: _Place) -> None:
        """Keep the waiting jobs in order; only what was handed out before is not the newest."""
        waiting = self._waiting
        late = bool(waiting) and next(reversed(waiting)) > job
        older = list(takewhile(job.__gt__, waiting)) if late else ()
        waiting[job] = place
        if late:
            for entry in (job, *reversed(older)):
                self._waiting.move_to_end(entry, last=False)

    def _home(self, hashed: int) -> int | None:
        """Return the worker of a key; computed anew only after members have come or gone."""
        try:
            return self._homes[hashed]
        except KeyError:
            if len(self._homes) >= MOST_HOMES:
                self._homes.clear()
            self._homes[hashed] = home = rendezvous(hashed, self._lines)
            return home

    def _outbids(self, worker: int, place: _Place) -> bool:
        if place.line is None:
            return True
        return rendezvous(place.hashed, (place.line, worker)) == worker

    def _line(self, worker: int | None) -> _Line:
        return self._shared if worker is None else self._lines[worker]

    def _line_up(self, job: int, place: _Place) -> None:
        self._line(place.line).add(job)
        if place.line is not None and place.line in self._resting:
            self._called[place.line] = None

    def _move(
        self, job: int, place: _Place, line: int | None, *, left: _Line | None = None
    ) -> None:
        if place.line != line:
            (self._line(place.line) if left is None else left).drop(job)
            place.line = line
            self._line_up(job, place)

"""Look at the children that have a watchdog, and end those that hang.

`HangDetector` belongs to one supervisor. It keeps the children that are to be looked at in the
order in which that is due, and asks to be reminded once, of the first. A look is a plain call that
reads what the child is busy with; the child itself does nothing for it. What is seen is judged
by
`sight`, and the limits stand in the child's `Watchdog`.

Guarantees: without a watchdog in any spec there is no timer, and nothing is ever looked at; with
any number of them there is one timer, and no more than `SLICE` looks in one turn of the loop. A
child that was replaced, stopped or dropped is forgotten at its next look.

>>> import anyio
>>> from actors import Actor, on, task
>>> from supervision import ChildSpec, SupervisorSpec, Watchdog, serve
>>> class Job:
...     __dead_letter__ = False
>>> class Worker(Actor[Job]):
...     @on(Job)
...     async def work(self, message: Job) -> None:
...         await anyio.sleep_forever()
>>> async def main() -> None:
...     spec = ChildSpec("worker", Worker, watchdog=Watchdog(handler=0.05))
...     async with serve(SupervisorSpec("shop", [spec])) as app:
...         worker = app.find("worker")
...         worker.tell(Job())
...         reason = await worker.wait()
...         print(type(reason.error).__name__, reason.error.activity)
>>> anyio.run(main)
Wedged handling Job
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import ceil
from typing import final

import anyio
import anyio.lowlevel

from actors import Event, Timer, Vitals
from supervision.errors import Wedged
from supervision.event_types import ChildHung
from supervision.specs import Watchdog
from supervision.supervisors.child import ChildRecord
from supervision.supervisors.sight import Sight

__all__ = ["HangDetector"]


SLICE = 256
"""So many children are looked at in a row; then others have their turn."""

GRAIN = 4
"""Looks are gathered: those due within a quarter of a period are one wake-up."""

FEW = 64
"""So many looks may wait without anybody asking whether they are still wanted."""

EARLY = 1e-6
"""A wake-up that comes so many seconds before its time is taken to be there on time."""


@final
class HangDetector:
    """The part of one supervisor that watches its children.

    `remind` has `look_around` called in so many seconds; `publish` takes the events.
    """

    __slots__ = ("_armed", "_due", "_number", "_publish", "_remind", "_timer", "_watched")

    def __init__(self, remind: Callable[[float], Timer], publish: Callable[[Event], None]) -> None:
        self._remind = remind
        self._publish = publish
        self._due: list[tuple[float, int, _Observation]] = []
        self._watched: dict[ChildRecord, _Observation] = {}
        self._number = 0
        self._timer: Timer | None = None
        self._armed: float | None = None

    def begin(self, record: ChildRecord, dog: Watchdog) -> None:
        """Watch the present incarnation of a child from now on."""
        now = anyio.current_time()
        observation = self._watched[record] = _Observation(record, now)
        self._add(observation, now, dog.period, dog)
        self._tidy()
        self._arm(now)

    def forget(self, record: ChildRecord) -> None:
        """Let go of a child that is gone; nothing happens when it is not watched."""
        if self._watched.pop(record, None) is not None:
            self._tidy()

    def _tidy(self) -> None:
        """Throw away what is due for nobody, once that is more than half."""
        if len(self._due) > FEW and len(self._due) > 2 * len(self._watched):
            watched = self._watched
            self._due = [entry for entry in self._due if watched.get(entry[2].record) is entry[2]]
            heapify(self._due)

    async def look_around(self) -> None:
        """Look at all children that are due."""
        self._timer = None
        now = anyio.current_time()
        if self._armed is not None and now < self._armed <= now + EARLY:
            # Event loops fire timers early by a hair's breadth (asyncio: its clock's resolution).
            # To wait for the rest of it, which is too short for the clock, could go on for ever.
            now = self._armed
        left = SLICE
        while self._due and self._due[0][0] <= now:
            self._look(heappop(self._due)[2], now)
            left -= 1
            if not left:
                left = SLICE
                await anyio.lowlevel.checkpoint()
        self._armed = None
        self._arm(anyio.current_time())

    def _look(self, observation: _Observation, now: float) -> None:
        if self._watched.get(observation.record) is not observation:
            return  # another one has taken its place
        dog = observation.record.spec.watchdog
        wait = None if dog is None else observation.look(dog, now, self._publish)
        if dog is None or wait is None:
            del self._watched[observation.record]
        else:
            self._add(observation, now, wait, dog)

    def _add(self, observation: _Observation, now: float, wait: float, dog: Watchdog) -> None:
        grain = dog.period / GRAIN
        # The next full grain, so that many children need few wake-ups; never this very moment.
        due = ceil((now + max(wait, grain)) / grain) * grain
        self._number += 1
        heappush(self._due, (max(due, now + grain / 2), self._number, observation))

    def _arm(self, now: float) -> None:
        if not self._due or (self._armed is not None and self._armed <= self._due[0][0]):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = self._due[0][0]
        self._timer = self._remind(max(0.0, self._armed - now))


@final
class _Observation:
    """What was seen of one incarnation of a child.

    `busy` is the work in sight, `silence` the last sign of life. `found` is when it was found to
    hang, `limit` what it had exceeded.
    """

    __slots__ = ("busy", "found", "limit", "number", "record", "silence", "since")

    def __init__(self, record: ChildRecord, now: float) -> None:
        self.record = record
        self.number = record.child.incarnation
        self.since = now
        self.busy = Sight(None, now, now)
        self.silence = Sight(now, now, now)
        self.found: float | None = None
        self.limit = 0.0

    def look(self, dog: Watchdog, now: float, publish: Callable[[Event], None]) -> float | None:
        """Look at it; returns in how many seconds to look again, None for never."""
        record = self.record
        vitals = record.child.vitals()
        if vitals is None or vitals.incarnation != self.number:
            return None
        if self.found is not None:
            return self._look_after(vitals, now, self.found, publish)
        wait = self._note(dog, vitals, now)
        if wait > 0:
            return wait
        self.found = now
        error = self._error(vitals, now)
        publish(ChildHung(record.child.ref, error))
        record.child.fail(error)
        return self.limit

    def _note(self, dog: Watchdog, vitals: Vitals, now: float) -> float:
        """Note what is in sight; returns when to look again, 0.0 if a limit is exceeded."""
        wait = dog.period
        if dog.handler is not None:
            self.busy = self.busy.again(vitals.work, now, dog.period)
            wait = min(wait, dog.handler - self.busy.seconds)
            self.limit = dog.handler
        if dog.heartbeat is not None and wait > 0 and not vitals.stopping:
            beat = self.since if vitals.last_beat is None else max(self.since, vitals.last_beat)
            if beat != self.silence.what:
                self.silence = Sight(beat, beat, beat)
            self.silence = self.silence.again(beat, now, dog.period)
            wait = min(wait, dog.heartbeat - self.silence.seconds)
            if wait <= 0:
                self.busy = Sight(None, now, now)
                self.limit = dog.heartbeat
        return max(wait, 0.0)

    def _error(self, vitals: Vitals, now: float) -> Wedged:
        child = self.record.child
        if self.busy.what is not None:
            activity, seconds = vitals.activity, now - self.busy.since
        else:
            activity, seconds = "without a sign of life", now - self.silence.since
        return Wedged(child.ref.path, activity, seconds, child.stack())

    def _look_after(
        self, vitals: Vitals, now: float, found: float, publish: Callable[[Event], None]
    ) -> float:
        """See to one that was found before, and is still not dead."""
        child = self.record.child
        activity = vitals.activity or "stopping"
        error = Wedged(child.ref.path, activity, now - found, child.stack())
        publish(ChildHung(child.ref, error, now - found))
        if vitals.stopping and vitals.work is not None:
            child.fail(error)  # it hangs in its on_stop, too
        return self.limit

"""Virtual time for the reference model: coroutines that wait for moments and for each other.

Nothing here knows an event loop. A `Clock` runs what can run, in the order in which it was woken,
then jumps to the next moment. It is deterministic.

>>> clock = Clock()
>>> async def nap(name: str, seconds: float) -> None:
...     await clock.sleep(seconds)
...     print(name, clock.now)
>>> for name, seconds in (("long", 2.0), ("short", 1.0)):
...     _ = clock.start(nap(name, seconds))
>>> clock.run_until(1.5)
short 1.0
>>> clock.run_until(5.0)
long 2.0
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Generic, TypeVar

__all__ = ["Clock", "Promise", "Thread"]

T = TypeVar("T")


class Promise(Generic[T]):
    """Be a value that is to come; whoever awaits it goes on when it is kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: list[T] = []
        self._waiting: list[Thread] = []

    @property
    def kept(self) -> bool:
        """Tell whether the value is there."""
        return bool(self._values)

    def keep(self, value: T) -> None:
        """Give the value, once; later ones count for nothing."""
        if not self._values:
            self._values.append(value)
            for thread in self._waiting:
                self._clock.wake(thread)
            self._waiting.clear()

    def __await__(self) -> Generator[Promise[T], None, T]:
        if not self._values:
            yield self
        return self._values[0]

    def add(self, thread: Thread) -> None:
        """Wake a thread when the value is there."""
        self._waiting.append(thread)


class Thread:
    """Be one coroutine on its way; `cut` ends it where it stands. `ran_at`: when it last ran."""

    def __init__(self, clock: Clock, work: Coroutine[Promise[object], None, None]) -> None:
        self.work = work
        self.over = False
        self.ran_at = -1.0
        self._clock = clock

    def go_on(self) -> None:
        """Run it until it waits again."""
        if self.over:
            return
        self.ran_at = self._clock.now
        try:
            promise = self.work.send(None)
        except StopIteration:
            self.over = True
        else:
            promise.add(self)

    def cut(self) -> None:
        """Never let it go on."""
        if not self.over:
            self.over = True
            self.work.close()


class Clock:
    """Keep the time, and run what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ready: deque[Thread] = deque()
        self._moments: list[tuple[float, int, Callable[[], None]]] = []
        self._numbered = 0

    def start(self, work: Coroutine[Promise[object], None, None]) -> Thread:
        """Begin with a coroutine as soon as the present one waits."""
        thread = Thread(self, work)
        self.wake(thread)
        return thread

    def wake(self, thread: Thread) -> None:
        """Let a thread go on, behind those that were woken before."""
        self._ready.append(thread)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call a function at a moment."""
        self._numbered += 1
        heapq.heappush(self._moments, (when, self._numbered, call))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        over = Promise[None](self)
        self.at(self.now + seconds, lambda: over.keep(None))
        await over

    def settle(self) -> None:
        """Run all that can run without time passing, and what is due at this very moment."""
        while True:
            while self._ready:
                self._ready.popleft().go_on()
            if not self._moments or self._moments[0][0] > self.now:
                return
            heapq.heappop(self._moments)[2]()

    def run_until(self, when: float) -> None:
        """Let time pass, and everything happen that is due until then."""
        self.settle()
        while self._moments and self._moments[0][0] <= when:
            self.now = self._moments[0][0]
            self.settle()
        self.now = when

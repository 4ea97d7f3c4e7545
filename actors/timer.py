"""Send a message later, or again and again.

A `Timer` belongs to one incarnation and dies with it. Made by `context.send_after` and
`context.send_every`. A repeated one keeps its pace by the clock it started with: after a stall the
ticks that were missed are left out, not made up for in a burst.

>>> import anyio
>>> from actors import Actor, ActorSystem, on
>>> class Tick:
...     pass
>>> class Clock(Actor[Tick]):
...     async def on_start(self) -> None:
...         self.left = 3
...         self.timer = self.context.send_every(0.01, Tick())
...     @on(Tick)
...     def tick(self, message: Tick) -> None:
...         self.left -= 1
...         if not self.left:
...             self.timer.cancel()
...             self.context.stop()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         clock = await system.spawn(Clock)
...         print(await clock.wait())
>>> anyio.run(main)
normal
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from actors.backends import Backend, TimerHandle

__all__ = ["Timer"]

MOST_MISSED = 1e9
"""So many ticks are left out at once, at the most."""


@final
class Timer:
    """Messages that are due; `active` until it has fired for the last time."""

    __slots__ = ("_backend", "_call", "_due", "_handle", "_interval", "_timers")

    def __init__(
        self,
        backend: Backend,
        timers: dict[Timer, None],
        delay: float,
        interval: float | None,
        call: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._timers = timers
        self._interval = interval
        self._call = call
        self._due = backend.now() + delay
        self._handle: TimerHandle | None = backend.call_at(self._due, self._fire)
        timers[self] = None

    @property
    def active(self) -> bool:
        """Return whether it will fire (again)."""
        return self._handle is not None

    def cancel(self) -> None:
        """Send no more; a message that is already queued stays. Nothing happens when it is over."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._timers.pop(self, None)

    def _fire(self) -> None:
        if self._handle is None:
            return
        if self._interval is None:
            self.cancel()
        else:
            now = self._backend.now()
            # The interval may be so short that their number is no number any more.
            missed = max(0, math.floor(min((now - self._due) / self._interval, MOST_MISSED)))
            self._due += self._interval * (missed + 1)
            if self._due <= now:  # by a hair's breadth: floats are rounded
                self._due = max(self._due + self._interval, math.nextafter(now, math.inf))
            self._handle = self._backend.call_at(self._due, self._fire)
        self._call()

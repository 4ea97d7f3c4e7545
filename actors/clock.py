"""Virtual time: tests that sleep for hours and take no time at all.

`VirtualClockEventLoop` is an asyncio event loop whose clock stands still while anything can run
and jumps to the next timer as soon as nothing can. `backend_options` hands out this loop, or
trio's own virtual clock, in the form that `anyio.run` and anyio's pytest plugin accept.

Guarantees:

- Time moves only when no task can run and no file descriptor is ready, and then exactly to the
  next timer; timers fire in the order of their deadlines. On asyncio a run is the same every
  time; trio shuffles the tasks that can run at the same moment, as it always does.
- Waiting costs no real time, however long the wait. Sockets, pipes, subprocesses, signals,
  worker threads and `call_soon_threadsafe` work as they do on an ordinary loop.
- Time starts at `START` on every backend and takes no notice of the wall clock.

The clock cannot see work that goes on outside the loop. While a worker thread, a subprocess or
another machine is busy, nothing in the loop can run, so the clock jumps and a timeout around
such work expires at once. Use the real clock for these tests (`real_time=True`), or no timeout.

>>> import anyio
>>> async def a_long_day() -> float:
...     await anyio.sleep(24 * 60 * 60)
...     return anyio.current_time() - START
>>> backend, options = backend_options("asyncio")
>>> anyio.run(a_long_day, backend=backend, backend_options=options)
86400.0

The idea of a clock that jumps when all tasks are blocked is that of `trio.testing.MockClock`.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
import sys
import time
from collections.abc import Callable
from contextvars import Context
from math import ulp
from typing import Any, Final, Literal, TypeVarTuple, final

__all__ = ["FOREVER", "START", "Backend", "VirtualClockEventLoop", "backend_options"]

START: Final = 1000.0
"""What a virtual clock shows at first, in seconds: not zero, which real clocks never show."""

FOREVER: Final = 100 * 365 * 24 * 60 * 60.0
"""How far ahead a timer may lie, in seconds; one beyond that (or at infinity) never fires."""

Backend = Literal["asyncio", "trio", "uvloop"]
"""The names that `backend_options` knows."""

_Ts = TypeVarTuple("_Ts")


@final
class _JumpingSelector(selectors.DefaultSelector):
    """A selector that never sleeps until a timer is due, and jumps there instead."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            # No timer is pending, so only I/O, a signal or a thread can go on from here, and
            # these need real time.
            return super().select(None)
        ready = super().select(0)
        if timeout > 0 and not ready:
            self._jump(timeout)
        return ready


class _NumberedHandle(asyncio.TimerHandle):
    """A timer that comes after those of the same moment that were there before it."""

    __slots__ = ("number",)

    number: int

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        if isinstance(other, _NumberedHandle):
            return (self.when(), self.number) < (other.when(), other.number)
        return super().__lt__(other)


@final
class VirtualClockEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing else can run.

    The class is its own loop factory: `asyncio.run(main(), loop_factory=VirtualClockEventLoop)`
    on Python 3.12, `asyncio.Runner(loop_factory=VirtualClockEventLoop)` before.

    When nothing can run and no timer is pending, the loop waits in real time for I/O, signals
    and threads; a program that waits for nothing hangs as it would on an ordinary loop.

    >>> async def main() -> float:
    ...     await asyncio.sleep(0.5)
    ...     return asyncio.get_running_loop().time()
    >>> with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
    ...     runner.run(main())
    1000.5
    """

    def __init__(self) -> None:
        self._virtual_time = START
        self._timers = 0
        super().__init__(_JumpingSelector(self.jump))
        self._clock_resolution = time.get_clock_info("monotonic").resolution

    def time(self) -> float:
        """Return the virtual time in seconds: `START` plus what has been waited for so far."""
        return self._virtual_time

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a call for a moment of virtual time; `call_later` comes here too.

        Calls for the same moment are made in the order in which they were scheduled. A loop in
        real time has any order then; but in virtual time moments are the same all the time.

        A moment more than `FOREVER` ahead never comes: the handle can be cancelled, but it is
        not scheduled. Otherwise `sleep(inf)` would keep the clock jumping, since the base class
        waits for at most a day at a time.
        """
        if when - self._virtual_time > FOREVER:
            return asyncio.TimerHandle(when, callback, args, self, context)
        self._timers += 1
        handle = _NumberedHandle(when, callback, args, self, context)
        handle.number = self._timers
        base: Any = self  # the base class has its timers in a heap, and asks no other for them
        base._check_closed()
        heapq.heappush(base._scheduled, handle)
        counted: Any = handle
        counted._scheduled = True  # else nobody counts it when it is cancelled
        return handle

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the default executor; `timeout` is accepted and ignored.

        The threads finish in real time. Under a deadline in virtual time the clock would jump,
        and every run that used a thread would end with a warning that it did not stop.
        """
        await super().shutdown_default_executor()

    def jump(self, seconds: float) -> None:
        """Let time pass in which the loop does not turn."""
        self._virtual_time += seconds
        # The base class runs what is due before time + resolution. Once that sum is rounded down
        # to the time itself (after 193 days with the usual nanosecond), a timer that is due would
        # not run and the clock would not jump either: the loop would spin for ever. So the
        # resolution grows with the distance between two floats.
        self._clock_resolution = max(self._clock_resolution, ulp(self._virtual_time))


def backend_options(
    name: Backend, *, real_time: bool = False, eager_tasks: bool = False
) -> tuple[str, dict[str, object]]:
    """Give the backend and options with which anyio runs a test, in virtual time by default.

    Each call makes a new clock, so call it once per test: return the result from an
    `anyio_backend` fixture of function scope, or unpack it into the `backend` and
    `backend_options` arguments of `anyio.run`. A backend is imported only when it is asked for.

    `name` is `"asyncio"`, `"trio"` or `"uvloop"`; uvloop keeps its clock to itself, so it always
    runs in real time. `real_time` chooses the ordinary clock of the others. `eager_tasks` lets
    new asyncio tasks run up to their first wait inside the call that creates them.

    Raises `ValueError` for another name, and for eager tasks on another backend than asyncio or
    before Python 3.12; `ImportError` when trio or uvloop is not installed.

    >>> backend_options("asyncio", real_time=True)
    ('asyncio', {})
    >>> backend_options("curio")
    Traceback (most recent call last):
    ...
    ValueError: unknown backend 'curio': choose asyncio, trio or uvloop
    """
    if eager_tasks and name != "asyncio":
        raise ValueError(f"{name} has no eager tasks: choose asyncio")
    match name:
        case "asyncio":
            return "asyncio", _asyncio_options(real_time, eager_tasks)
        case "uvloop":
            import uvloop

            return "asyncio", {"loop_factory": uvloop.new_event_loop}
        case "trio":
            return "trio", _trio_options(real_time)
        case _:
            raise ValueError(f"unknown backend {name!r}: choose asyncio, trio or uvloop")


def _asyncio_options(real_time: bool, eager_tasks: bool) -> dict[str, object]:
    if eager_tasks:
        return {"loop_factory": _with_eager_tasks(real_time)}
    return {} if real_time else {"loop_factory": VirtualClockEventLoop}


def _trio_options(real_time: bool) -> dict[str, object]:
    import trio.testing

    if real_time:
        return {}
    clock = trio.testing.MockClock(autojump_threshold=0)
    clock.jump(START)
    return {"clock": clock}


def _with_eager_tasks(real_time: bool) -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.version_info < (3, 12):
        raise ValueError("eager tasks need Python 3.12 or later")

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop() if real_time else VirtualClockEventLoop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    return new_event_loop

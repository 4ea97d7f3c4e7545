"""Make a child of a function that is called at a pace.

Guarantees: calls never overlap; their moments are multiples of the interval, counted from the
start, so that neither slow calls nor a loop that stood still make them drift or come in a burst.

>>> import anyio
>>> from actors import ActorSystem
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         sweep = periodic(lambda: print("sweep"), every=3600.0, immediately=True)
...         await system.spawn(sweep)
...         await anyio.sleep(0.01)
>>> anyio.run(main)
sweep
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Never, final

import anyio
from attrs import field, frozen

from actors import CancellationToken, Proc
from supervision.adapters.functions import call, name_of, takes_token
from supervision.errors import SpecError
from supervision.specs import check_seconds

__all__ = ["Periodic", "periodic"]


LEAST_INTERVAL: Final = 0.001
"""The shortest interval in seconds; the clocks of the event loops are not finer."""

LONGEST_INTERVAL: Final = 1e9
"""The longest interval in seconds: some thirty years. A longer one is a mistake."""


def periodic(
    fn: Callable[[], object] | Callable[[CancellationToken], object],
    *,
    every: float,
    immediately: bool = False,
) -> Periodic:
    """Call `fn` every so many seconds, until told to stop.

    - `fn`: `def` or `async def`. It takes nothing, or the token that tells the child to stop. A
      plain function runs in the event loop and must not block; see `blocking`.
    - `every`: seconds from the beginning of one call to the beginning of the next, >= 0.001.
    - `immediately`: whether the first call is made at the start; default False: one interval later.

    Calls never overlap. When one takes longer than the interval, or the loop was held up, the ticks
    that were missed are left out: there is no burst, and later calls come at the moments at which
    they would have come anyway. Each incarnation counts from its own start. Each call that
    returns is a sign of life (`context.beat`): a `Watchdog` with a heartbeat of more than `every`
    finds one that hangs.

    Told to stop, the child finishes the call in hand; it is cancelled at the child's `shutdown`
    deadline only. An error in `fn` is a crash.

    Raises TypeError when `fn` cannot be called like that, SpecError for a bad number.
    """
    wants_token = takes_token("periodic", fn)
    hint = f"seconds >= {LEAST_INTERVAL:g}"
    check_seconds("periodic", "every", every, hint, least=LEAST_INTERVAL, most=LONGEST_INTERVAL)
    if not isinstance(immediately, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("periodic", "immediately", f"{immediately!r} is not a bool")
    return Periodic(fn, every, immediately, wants_token)


@final
@frozen(repr=False)
class Periodic:
    """A factory of procs that call one function at a pace; compares by its options."""

    fn: Callable[..., object]
    every: float
    immediately: bool
    wants_token: bool = field(eq=False)

    def __call__(self) -> Proc[Never]:
        """Make the proc of one incarnation."""
        return PeriodicProc(self)

    def __repr__(self) -> str:
        first = ", immediately=True" if self.immediately else ""
        return f"periodic({name_of(self.fn)}, every={self.every!r}{first})"


@final
class PeriodicProc(Proc[Never]):
    """The caller of one function, in one incarnation."""

    def __init__(self, service: Periodic) -> None:
        self._service = service

    async def run(self, shutdown: CancellationToken) -> None:
        """Call the function at each tick until told to stop."""
        service = self._service
        arguments = (shutdown,) if service.wants_token else ()
        begin = anyio.current_time()
        tick = 0 if service.immediately else 1
        while await _until(begin + tick * service.every, shutdown):
            await call(service.fn, *arguments)
            self.context.beat()
            # Counted from the beginning each time: adding up intervals would add up errors.
            passed = (anyio.current_time() - begin) / service.every
            tick = max(tick + 1, math.ceil(passed))


async def _until(when: float, shutdown: CancellationToken) -> bool:
    """Wait for a moment of the loop's clock; False when told to stop first."""
    with anyio.move_on_after(when - anyio.current_time()):
        await shutdown.wait()
    return not shutdown.cancelled

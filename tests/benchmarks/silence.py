"""Measure what events cost while nobody subscribes.

By count, because the answer is smaller than the noise of any machine: how often an operation looks
whether anybody listens, times the measured cost of one such look, as a share of the operation's
own time.

And what a watchdog costs: messages told to a child that is watched, and to one that is not, in
pairs. Its code is not in the path of a message, so this is noise around zero.

Guarantees: the counter is taken out again, whatever happens meanwhile.

>>> import anyio
>>> from tests.benchmarks import messaging
>>> looks_of(Backend.ASYNCIO, messaging.tell, 100)
0.0
"""

from __future__ import annotations

import timeit
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from actors import ActorSystem, EventStream
from actors.ref import address_of
from tests.benchmarks import lifecycle, messaging, supervised
from tests.benchmarks.figures import RATE, Metric, Unit
from tests.benchmarks.loops import Backend, run
from tests.benchmarks.results import Finding

LIMIT = 2.0
PROGRAMS: dict[str, tuple[Callable[[int], Awaitable[tuple[float, ...]]], Metric, int]] = {
    "tell": (messaging.tell, RATE, 100_000),
    "ask": (messaging.ask, RATE, 20_000),
    "spawn_stop": (lifecycle.spawn_and_stop, RATE, 5_000),
    "restart": (supervised.restart, Metric("p50", Unit.MICROSECONDS), 1_000),
}


def looks_of(backend: Backend, program: Callable[[int], Awaitable[object]], size: int) -> float:
    """Count how often one operation looks whether anybody listens; the first run is subtracted.

    The program runs at two sizes, and the difference is divided by the difference in size, so
    what happens once (the actor's own start, the system's end) is not counted.
    """
    with _counting() as count:
        run(backend, program, size)
        once = count()
        run(backend, program, size * 2)
        twice = count() - once
    return (twice - once) / size


@contextmanager
def _counting() -> Generator[Callable[[], int]]:
    original: Any = vars(EventStream)["heard"]
    looks = 0

    def heard(stream: EventStream) -> bool:
        nonlocal looks
        looks += 1
        return bool(original.__get__(stream))

    setattr(EventStream, "heard", property(heard, original.__set__))  # noqa: B010
    try:
        yield lambda: looks
    finally:
        setattr(EventStream, "heard", original)  # noqa: B010


async def look_cost(size: int) -> float:
    """Measure one look that finds nobody, the way to it included; microseconds."""
    async with ActorSystem() as system:
        life: Any = address_of(await system.spawn(lifecycle.Idle)).occupant
        looking = min(timeit.repeat(lambda: life.system.events.heard, number=size, repeat=5))
        nothing = min(timeit.repeat(lambda: None, number=size, repeat=5))
    return max(0.0, looking - nothing) / size * 1e6


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Measure on the first loop alone: the look is the same code on all of them."""
    backend = backends[0]
    found: list[Finding] = []
    for name, (program, metric, full) in PROGRAMS.items():
        size = full // 20 if quick else full
        looks = looks_of(backend, program, min(size, 500))
        look = run(backend, look_cost, 20_000)
        shares: list[float] = []
        run(backend, program, size)
        for _ in range(rounds):
            value = run(backend, program, size)[0]
            cost = 1e6 / value if metric is RATE else value
            shares.append(looks * look / cost * 100)
        words = f"{name}: {looks:g} looks of {look:.3f} us, share"
        found.append(Finding("events", words, backend, "%", tuple(shares), LIMIT))
    found.append(
        Finding("events", "tell: under a watchdog", backend, "%", _watched(backend, rounds))
    )
    return found


def _watched(backend: Backend, rounds: int) -> tuple[float, ...]:
    more: list[float] = []
    for number in range(rounds):
        sides = [True, False] if number % 2 else [False, True]
        seconds = {watched: run(backend, supervised.tell(watched), 50_000)[0] for watched in sides}
        more.append((seconds[True] / seconds[False] - 1) * 100)
    return tuple(more)

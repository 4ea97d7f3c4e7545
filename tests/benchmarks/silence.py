"""Measure what events cost while nobody subscribes.

Two ways, because the answer is smaller than the noise of most machines. By count: how often an
operation looks whether anybody listens, times the measured cost of one such look, as a share of
the operation's own time; this one is judged. By comparison: the operation with the look and
with the look patched out, in turn; shown beside it, with its spread.

Guarantees: the patches are taken back, whatever happens meanwhile.

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

from actors import ActorSystem, EventStream, ProcStarted
from actors.cell import Incarnation
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
    original, looks = EventStream.heard, 0

    def heard(stream: EventStream) -> bool:
        nonlocal looks
        looks += 1
        return bool(original.fget(stream))  # type: ignore[attr-defined]

    EventStream.heard = property(heard)  # type: ignore[assignment,method-assign]
    try:
        yield lambda: looks
    finally:
        EventStream.heard = original  # type: ignore[method-assign]


async def look_cost(size: int) -> float:
    """Measure one look that finds nobody, call included; microseconds."""
    async with ActorSystem() as system:
        life: Any = address_of(await system.spawn(lifecycle.Idle)).occupant
        assert isinstance(life, Incarnation)
        publish = life._publish  # pyright: ignore[reportPrivateUsage]
        looking = min(timeit.repeat(lambda: publish(ProcStarted, 1), number=size, repeat=5))
        nothing = min(timeit.repeat(lambda: None, number=size, repeat=5))
    return (looking - nothing) / size * 1e6


@contextmanager
def _patched_out() -> Generator[None]:
    original = Incarnation._publish  # pyright: ignore[reportPrivateUsage]
    Incarnation._publish = lambda *_: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Incarnation._publish = original  # type: ignore[method-assign]


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Measure on the first loop alone: the look is the same code on all of them."""
    backend = backends[0]
    found: list[Finding] = []
    for name, (program, metric, full) in PROGRAMS.items():
        size = full // 20 if quick else full
        looks = looks_of(backend, program, min(size, 500))
        look = run(backend, look_cost, 20_000)
        shares: list[float] = []
        compared: list[float] = []
        run(backend, program, size)
        for number in range(rounds):
            cost, without = _pair(backend, program, metric, size, backwards=number % 2 == 1)
            shares.append(looks * look / cost * 100)
            compared.append((cost / without - 1) * 100)
        words = f"{name}: {looks:g} looks of {look:.3f} us, share"
        found.append(Finding("events", words, backend, "%", tuple(shares), LIMIT))
        found.append(Finding("events", f"{name}: patched out", backend, "%", tuple(compared)))
    return found


def _pair(
    backend: Backend,
    program: Callable[[int], Awaitable[tuple[float, ...]]],
    metric: Metric,
    size: int,
    *,
    backwards: bool,
) -> tuple[float, float]:
    def cost() -> float:
        value = run(backend, program, size)[0]
        return 1e6 / value if metric is RATE else value

    def without() -> float:
        with _patched_out():
            return cost()

    if backwards:
        later = without()
        return cost(), later
    return cost(), without()

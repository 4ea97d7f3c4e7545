"""Measure fairness: what everybody else notices while one actor is flooded.

One actor has a backlog of `BACKLOG` messages, and a sender adds `FLOOD` more in every turn of the
loop, which is more than it handles. Meanwhile 100 quiet actors are asked, one after another
and all at once; then flooded actors are shut down while the flood goes on.

Guarantees: latencies are those of the asker, from the call to the answer. The time of a shutdown
is from the call to its return, so it includes what becomes of the backlog.

>>> async def nothing() -> None: ...
>>> import anyio
>>> 0 < anyio.run(_timed, nothing) < 10  # milliseconds
True
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

import anyio
import anyio.lowlevel

from actors import ActorSystem, Ref
from tests.benchmarks.figures import percentile
from tests.benchmarks.loops import Backend, pause, run
from tests.benchmarks.messages import INCREASE, additions, check
from tests.benchmarks.messaging import AsyncCounter, Counter, CounterMessage
from tests.benchmarks.results import Finding

BACKLOG = 100_000
FLOOD = 128
QUIET = 100
SHUTDOWNS = 10

LIMITS = {
    "one after another, p99": 5.0,
    "all at once, p99": 5.0,
    "plain handlers, p99": 5.0,
    "shutdown of the flooded one, worst": 10.0,
}


async def under_load(size: int) -> dict[str, float]:
    """Ask `size` times in each way and shut flooded actors down; milliseconds by what it is."""
    async with ActorSystem() as system:
        flooded = await system.spawn(Counter)
        quiet = [await system.spawn(AsyncCounter) for _ in range(QUIET)]
        plain = [await system.spawn(Counter) for _ in range(QUIET)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_flood, flooded)
            await anyio.lowlevel.checkpoint()
            single = await _ask_in_turn(quiet, size)
            direct = await _ask_in_turn(plain, size)
            waves = max(1, size // QUIET)
            together = [delay for _ in range(waves) for delay in await _ask_together(quiet)]
            check("flooded", expected=True, found=flooded.statistics().queued > FLOOD)
            tasks.cancel_scope.cancel()
        await flooded.shutdown()
        ends = [await _shut_down(system, size) for _ in range(SHUTDOWNS)]
    return {
        "one after another, p50": percentile(single, 50),
        "one after another, p99": percentile(single, 99),
        "plain handlers, p99": percentile(direct, 99),
        "all at once, p99": percentile(together, 99),
        "shutdown of the flooded one, worst": max(ends),
    }


async def _flood(flooded: Ref[CounterMessage]) -> None:
    let_others_run = pause()
    for message in additions(BACKLOG):
        flooded.tell(message)
    some = additions(BACKLOG)[:FLOOD]
    while True:
        for message in some:
            flooded.tell(message)
        await let_others_run()


async def _ask_in_turn(quiet: Sequence[Ref[CounterMessage]], size: int) -> list[float]:
    return [await _timed(lambda ref=quiet[n % QUIET]: ref.ask(INCREASE)) for n in range(size)]


async def _ask_together(quiet: Sequence[Ref[CounterMessage]]) -> list[float]:
    delays: list[float] = []

    async def ask(ref: Ref[CounterMessage]) -> None:
        delays.append(await _timed(lambda: ref.ask(INCREASE)))

    async with anyio.create_task_group() as askers:
        for ref in quiet:
            askers.start_soon(ask, ref)
    return delays


async def _shut_down(system: ActorSystem, size: int) -> float:
    flooded = await system.spawn(Counter)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_flood, flooded)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        delay = await _timed(flooded.shutdown)
        tasks.cancel_scope.cancel()
    check("alive", expected=False, found=flooded.is_alive)
    return delay


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await call()
    return (perf_counter() - started) * 1e3


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Measure on each loop; one sample of each number in each round."""
    size = 200 if quick else 2_000
    found: list[Finding] = []
    for backend in backends:
        samples = [run(backend, under_load, size) for _ in range(rounds)]
        found += [
            Finding("load", what, backend, "ms", tuple(s[what] for s in samples), LIMITS.get(what))
            for what in samples[0]
        ]
    return found

"""Count how often an idle system wakes the loop: many idle actors, many pending asks.

Guarantees: what is counted is returns of the loop from waiting for something to happen, counted
where the loop waits: at asyncio's selector, by an instrument of trio's, and for uvloop, which
shows neither, by the voluntary context switches of its thread. The same window on an empty
loop is measured next to it and subtracted.

>>> from tests.benchmarks.loops import Backend, run
>>> run(Backend.ASYNCIO, partial(idle, asks=10, window=0.05), 10) < 50.0
True
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial

import anyio
import sniffio
from attrs import frozen

from actors import Actor, ActorSystem, Ref, Reply, Request, on
from tests.benchmarks.lifecycle import Settled
from tests.benchmarks.loops import Backend, run
from tests.benchmarks.messages import additions, check
from tests.benchmarks.results import Finding

KEEPERS = 100


@frozen
class Question(Request[int]):
    """Ask for what comes later."""


@frozen
class Answer:
    """Answer all who wait."""


class BaseSupervisor(Actor[Question | Answer]):
    """Keep its askers waiting until it is told to answer."""

    def __init__(self) -> None:
        self.waiting: list[Reply[int]] = []

    @on(Question)
    def keep(self, message: Question, reply: Reply[int]) -> None:
        self.waiting.append(reply)

    @on(Answer)
    def answer(self, message: Answer) -> None:
        for reply in self.waiting:
            reply.send(len(self.waiting))
        self.waiting.clear()


async def idle(actors: int, *, asks: int, window: float) -> float:
    """Give the wake-ups per second, beyond those of an empty loop.

    A tenth of the actors has never had a message, the others have handled one. The asks have a
    deadline of a minute, `window` is in seconds.
    """
    empty = await _wake_ups(window)
    message = additions(1)[0]
    async with ActorSystem() as system:
        refs = [await system.spawn(Settled) for _ in range(actors)]
        for ref in refs[actors // 10 :]:
            ref.tell(message)
        keepers = [await system.spawn(BaseSupervisor) for _ in range(KEEPERS)]
        answered: list[int] = []
        async with anyio.create_task_group() as askers:
            for number in range(asks):
                askers.start_soon(_ask, keepers[number % KEEPERS], answered)
            await anyio.sleep(0.05)
            while any(keeper.statistics().queued for keeper in keepers):  # noqa: ASYNC110
                await anyio.sleep(0.01)
            await anyio.sleep(0.05)
            count = await _wake_ups(window)
            for keeper in keepers:
                keeper.tell(Answer())
        check("answered", expected=asks, found=len(answered))
    return max(0.0, (count - empty) / window)


async def _ask(keeper: Ref[Question | Answer], answered: list[int]) -> None:
    answered.append(await keeper.ask(Question(), timeout=60.0))


async def _wake_ups(window: float) -> int:
    with counted() as count:
        before = count()
        await anyio.sleep(window)
        return count() - before


@contextmanager
def counted() -> Generator[Callable[[], int]]:
    """Count the returns of the running loop from waiting, while the block lasts."""
    if sniffio.current_async_library() == "trio":
        with _counted_on_trio() as count:
            yield count
        return
    loop = asyncio.get_running_loop()
    selector = getattr(loop, "_selector", None)
    if selector is None:
        yield _context_switches
        return
    select, returns = selector.select, 0

    def counting(timeout: float | None = None) -> object:
        nonlocal returns
        returns += 1
        return select(timeout)

    selector.select = counting
    try:
        yield lambda: returns
    finally:
        del selector.select


@contextmanager
def _counted_on_trio() -> Generator[Callable[[], int]]:
    import trio

    class Counter(trio.abc.Instrument):
        returns = 0

        def after_io_wait(self, timeout: float) -> None:
            self.returns += 1

    counter = Counter()
    trio.lowlevel.add_instrument(counter)
    try:
        yield lambda: counter.returns
    finally:
        trio.lowlevel.remove_instrument(counter)


def _context_switches() -> int:
    # Not on every system, and needed only here.
    import resource

    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Count on each loop: 100 000 actors and 10 000 asks, a hundredth of them in a quick run."""
    actors, asks, window = (1_000, 100, 0.2) if quick else (100_000, 10_000, 2.0)
    program = partial(idle, asks=asks, window=window)
    what = f"wake-ups, {actors:,} actors, {asks:,} asks"
    found: list[Finding] = []
    for backend in backends:
        samples = tuple(run(backend, program, actors) for _ in range(rounds))
        found.append(Finding("idle", what, backend, "/s", samples, most=0.0))
    return found

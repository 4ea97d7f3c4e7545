"""Measure curves instead of points: what one operation costs against how much there is.

Four axes: actors alive (spawn, tell, ask, stop), messages in one mailbox (tell, handle), depth of a
tree of supervisors (start, stop, restart of the leaf), children of one supervisor (start, stop,
restart of one, for both kinds). Where there is a plain asyncio program of the same shape it is
measured next to ours, because some of what grows is memory and the interpreter's collector.

Guarantees: at a small size a program is repeated, so that every point has some thousand
operations behind it; the cost is that of one operation in microseconds.

>>> from tests.benchmarks.loops import run
>>> sorted(run(Backend.ASYNCIO, many_actors, 10))
['ask', 'first tell', 'spawn', 'stop', 'tell']
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from time import perf_counter
from typing import TypeAlias, final

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, on
from tests.benchmarks import scaling_trees
from tests.benchmarks.loops import Backend, run
from tests.benchmarks.messages import INCREASE, Add, Increase, additions, check
from tests.benchmarks.results import Curve, Point

Costs: TypeAlias = dict[str, float]
Program: TypeAlias = Callable[[int], Awaitable[Costs]]

ENOUGH = 20_000
"""Messages behind each point."""


class Tally(Actor[Add | Increase]):
    """Count messages in an object that is shared by all."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @on(Add)
    def add(self, message: Add) -> None:
        self.shared.count()

    @on(Increase)
    def increase(self, message: Increase) -> int:
        return message.amount


class Shared:
    """Count down, and say when nothing is left."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.finished = anyio.Event()

    def count(self) -> None:
        self.left -= 1
        if not self.left:
            self.finished.set()


async def many_actors(number: int) -> Costs:
    """Spawn, tell, ask and stop `number` actors.

    Each is told one message and all are waited for, again and again: at every size a message
    finds its receiver asleep.
    """
    turns = max(1, ENOUGH // number)
    message = additions(1)[0]
    shared = Shared(0)
    started = perf_counter()
    async with ActorSystem() as system:
        refs = [await system.spawn(lambda: Tally(shared)) for _ in range(number)]
        spawned = perf_counter()
        # The first message gives an actor its task: a price of its own, paid once.
        shared.left, shared.finished = number, anyio.Event()
        for ref in refs:
            ref.tell(message)
        await shared.finished.wait()
        awake = perf_counter()
        for _ in range(turns):
            shared.left, shared.finished = number, anyio.Event()
            for ref in refs:
                ref.tell(message)
            await shared.finished.wait()
        told = perf_counter()
        for position in range(ENOUGH):
            await refs[position % number].ask(INCREASE)
        asked = perf_counter()
    stopped = perf_counter()
    return {
        "spawn": (spawned - started) / number * 1e6,
        "first tell": (awake - spawned) / number * 1e6,
        "tell": (told - awake) / (turns * number) * 1e6,
        "ask": (asked - told) / ENOUGH * 1e6,
        "stop": (stopped - asked) / number * 1e6,
    }


async def many_tasks(number: int) -> Costs:
    """Do the same with a task and a queue each, in plain asyncio."""
    turns = max(1, ENOUGH // number)
    shared_message = additions(1)[0]
    shared = Shared(0)
    loop = asyncio.get_running_loop()

    async def consume(queue: asyncio.Queue[object]) -> None:
        while (message := await queue.get()) is not None:
            if type(message) is Add:
                shared.count()
            else:
                message.set_result(1)  # type: ignore[attr-defined]

    started = perf_counter()
    queues: list[asyncio.Queue[object]] = [asyncio.Queue() for _ in range(number)]
    tasks = [asyncio.create_task(consume(queue)) for queue in queues]
    await asyncio.sleep(0)
    spawned = perf_counter()
    for _ in range(turns):
        shared.left, shared.finished = number, anyio.Event()
        for queue in queues:
            queue.put_nowait(shared_message)
        await shared.finished.wait()
    told = perf_counter()
    for position in range(ENOUGH):
        reply: asyncio.Future[int] = loop.create_future()
        queues[position % number].put_nowait(reply)
        await reply
    asked = perf_counter()
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.wait(tasks)
    stopped = perf_counter()
    return {
        "spawn": (spawned - started) / number * 1e6,
        "tell": (told - spawned) / (turns * number) * 1e6,
        "ask": (asked - told) / ENOUGH * 1e6,
        "stop": (stopped - asked) / number * 1e6,
    }


async def long_mailbox(length: int) -> Costs:
    """Queue `length` messages in one mailbox, then let them be handled."""
    messages = additions(length)
    told = handled = 0.0
    async with ActorSystem() as system:
        shared = Shared(0)
        counter = await system.spawn(lambda: Tally(shared))
        repeats = max(1, ENOUGH // length)
        for _ in range(repeats):
            shared.left, shared.finished = length, anyio.Event()
            started = perf_counter()
            for message in messages:
                counter.tell(message)
            full = perf_counter()
            await shared.finished.wait()
            told += full - started
            handled += perf_counter() - full
        check("queued", expected=0, found=counter.statistics().queued)
    each = 1e6 / length / repeats
    return {"tell": told * each, "handle": handled * each}


async def long_queue(length: int) -> Costs:
    """Do the same with one queue and its consumer, in plain asyncio."""
    messages = additions(length)
    queue: asyncio.Queue[Add] = asyncio.Queue()
    shared = Shared(0)
    told = handled = 0.0

    async def consume() -> None:
        while True:
            await queue.get()
            shared.count()

    consumer = asyncio.create_task(consume())
    await asyncio.sleep(0)
    repeats = max(1, ENOUGH // length)
    for _ in range(repeats):
        shared.left, shared.finished = length, anyio.Event()
        started = perf_counter()
        for message in messages:
            queue.put_nowait(message)
        full = perf_counter()
        await shared.finished.wait()
        told += full - started
        handled += perf_counter() - full
    consumer.cancel()
    await asyncio.wait([consumer])
    each = 1e6 / length / repeats
    return {"tell": told * each, "handle": handled * each}


@final
@frozen
class Axis:
    """Name what grows, the sizes, and the two programs; `runs` operations at each point."""

    name: str
    sizes: tuple[int, ...]
    ours: Program
    baseline: Program | None = None
    runs: int = 1_000


AXES = (
    Axis("actors", (10, 100, 1_000, 10_000, 100_000), many_actors, many_tasks),
    Axis(
        "queued messages", (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000), long_mailbox, long_queue
    ),
    Axis("depth of the tree", (1, 2, 5, 10, 20, 50, 100, 200), scaling_trees.depth, None, 100),
    Axis(
        "children",
        (10, 100, 1_000, 10_000, 100_000),
        scaling_trees.children,
        scaling_trees.tasks_in_order,
    ),
    Axis(
        "dynamic children",
        (10, 100, 1_000, 10_000, 100_000),
        scaling_trees.dynamic_children,
        scaling_trees.tasks_together,
    ),
)


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Curve]:
    """Measure every axis on the first loop; a quick run leaves out the largest sizes."""
    backend = backends[0]
    by_hand = Backend.ASYNCIO if backend is Backend.TRIO else backend
    drawn: list[Curve] = []
    for axis in AXES:
        sizes = [size for size in axis.sizes if not quick or size <= 1_000]
        ours: dict[int, list[Costs]] = {size: [] for size in sizes}
        theirs: dict[int, list[Costs]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                ours[size].append(_costs(backend, axis.ours, size, axis.runs))
                if axis.baseline is not None:
                    theirs[size].append(_costs(by_hand, axis.baseline, size, axis.runs))
        drawn += [_curve(axis.name, name, backend, ours, theirs) for name in ours[sizes[0]][0]]
    return drawn


def _costs(backend: Backend, program: Program, size: int, runs: int) -> Costs:
    samples = [run(backend, program, size) for _ in range(min(20, max(1, runs // size)))]
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def _curve(
    axis: str,
    name: str,
    backend: Backend,
    ours: dict[int, list[Costs]],
    theirs: dict[int, list[Costs]],
) -> Curve:
    points = (
        Point(
            size,
            tuple(costs[name] for costs in ours[size]),
            tuple(costs[name] for costs in theirs[size] if name in costs),
        )
        for size in ours
    )
    return Curve(name, axis, backend, tuple(points))

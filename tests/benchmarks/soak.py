"""Let a tree have all its troubles for an hour, and see whether anything stays behind.

A second of the soak is a round: crashes and restarts, short lives, asks that time out, waits and
sends that are given up, timers, jobs of a pool that crash their worker, a map whose items fail, and
(in real time) programs. `--soak` plays an hour of them on the virtual clock, which takes a minute
or two; `--soak-minutes 10` plays ten real minutes.

Guarantees: a soak fails, and with it the run, when a descriptor, a thread, a task or a process is
left behind. Memory is what the allocator of Python has given out after a collection (blocks, as
`sys.getallocatedblocks` counts them), looked at `LOOKS` times. The finding is by how much the last
quarter is above the third: flat is at most `MOST_GROWTH`. The first half may fill caches and pools.

>>> growth([5.0, 9.0, 10.0, 10.1, 10.0, 10.2, 10.1, 10.3])
0.99
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median

import anyio
from attrs import field, frozen

from actors import (
    Actor,
    AskTimeout,
    CancellationToken,
    Mailbox,
    ProcExited,
    Ref,
    Reply,
    Request,
    on,
    task,
)
from actors.testing import backend_options
from supervision import (
    Application,
    Backoff,
    ChildSpec,
    DynamicSupervisorSpec,
    Pool,
    PoolSpec,
    StartChild,
    SupervisorSpec,
    Tasks,
    TaskSupervisorSpec,
    serve,
    subprocess,
)
from tests.benchmarks.loops import Backend
from tests.benchmarks.messages import check
from tests.benchmarks.results import Finding

HOUR = 3600
LOOKS = 40
MOST_GROWTH = 0.5
"""Percent of growth from the third quarter to the last that pass for flat."""
AT_ONCE = 5
"""Of each trouble so many a round."""


@frozen
class Crash:
    """Crash."""


@frozen
class Question(Request[int]):
    """Ask for what is never answered, with something that would be missed if it were kept."""

    ballast: list[int] = field(factory=lambda: list(range(50)))


@frozen
class Job(Request[int]):
    """Ask a worker of the pool for something; of some it crashes."""

    number: int


class Broken(Exception):
    """What everything here crashes with."""


class Worker(Actor[Crash | Question | Job]):
    """Crash, answer jobs, and leave questions unanswered."""

    async def on_start(self) -> None:
        self.waiting: list[Reply[int]] = []
        self.context.send_every(0.5, Question())

    @on(Crash)
    def crash(self, message: Crash) -> None:
        raise Broken

    @on(Question)
    def keep(self, message: Question, reply: Reply[int]) -> None:
        self.waiting = [*self.waiting[-20:], reply]

    @on(Job)
    async def job(self, message: Job) -> int:
        await anyio.sleep(0.01)
        if message.number % 4 == 0:
            raise Broken
        return message.number


class Stuck(Actor[Question]):
    """Take one message, and no more."""

    @on(Question)
    async def hang(self, message: Question, reply: Reply[int]) -> None:
        await anyio.sleep_forever()


async def short(shutdown: CancellationToken) -> None:
    """Live for a moment."""
    await anyio.sleep(0.1)


async def item(number: int) -> int:
    """Be an item of a map; some fail."""
    await anyio.sleep(0.01)
    if number % 3 == 0:
        raise Broken
    return number


def tree(*, programs: bool) -> SupervisorSpec:
    """Make the tree that is soaked."""
    often = Backoff(0.05, 0.1, seed=1)
    children = [
        *(ChildSpec(f"worker-{number}", Worker, backoff=often) for number in range(AT_ONCE)),
        ChildSpec("stuck", Stuck, mailbox=Mailbox(2), shutdown="brutal_kill"),
        DynamicSupervisorSpec("lives"),
        PoolSpec("pool", ChildSpec("w", Worker, backoff=often), size=3, attempts=2),
        TaskSupervisorSpec("tasks"),
    ]
    if programs:
        argv = [sys.executable, "-S", "-c", "print('a line'); raise SystemExit(1)"]
        children.append(ChildSpec("program", subprocess(argv), backoff=Backoff(1.0, 1.0, seed=1)))
    return SupervisorSpec("soak", children)


async def trouble(app: Application, number: int) -> None:
    """Play one round."""
    workers: list[Ref[Crash | Question | Job]] = [
        app.find(f"worker-{index}") for index in range(AT_ONCE)
    ]
    pool, tasks = Pool[Job](app.find("pool")), Tasks(app.find("tasks"))
    workers[number % AT_ONCE].tell(Crash())
    async with anyio.create_task_group() as group:
        for index in range(AT_ONCE):
            group.start_soon(_ask_in_vain, workers[index])
            group.start_soon(_give_up, app, number)
            group.start_soon(_job, pool, number + index)
            life = ChildSpec(f"life-{number}-{index}", task(short), restart="temporary")
            group.start_soon(partial(app.find("lives").ask, StartChild(life)))
        group.start_soon(_map, tasks)


async def _ask_in_vain(worker: Ref[Crash | Question | Job]) -> None:
    with suppress(AskTimeout, ProcExited):
        await worker.ask(Question(), timeout=0.3)


async def _give_up(app: Application, number: int) -> None:
    stuck = app.find("stuck")
    with anyio.move_on_after(0.1 + number % 3 / 10):
        await stuck.send(Question())
        await stuck.wait()
    with anyio.move_on_after(0.1):
        await app.supervisor.wait()


async def _job(pool: Pool[Job], number: int) -> None:
    with suppress(Exception):
        await pool.ask(Job(number))


async def _map(tasks: Tasks) -> None:
    try:
        async with tasks.map(item, range(1, AT_ONCE + 1), limit=2) as results:
            async for _ in results:
                pass
    except* Broken:
        pass


async def soak(rounds: int, *, programs: bool) -> list[float]:
    """Play so many rounds, a second each, and give the blocks in use at each look."""
    looks: list[float] = []
    every = max(1, rounds // LOOKS)
    async with serve(tree(programs=programs)) as app:
        for number in range(rounds):
            began = anyio.current_time()
            await trouble(app, number)
            await anyio.sleep_until(began + 1.0)
            if number % every == every - 1:
                gc.collect()
                looks.append(float(sys.getallocatedblocks()))
    return looks


def growth(looks: Sequence[float]) -> float:
    """Return by what percentage the median of the last quarter is above that of the third."""
    quarter = max(1, len(looks) // 4)
    before, after = median(looks[-2 * quarter : -quarter]), median(looks[-quarter:])
    return round(max(0.0, (after - before) / before * 100), 2)


def left_over() -> dict[str, int]:
    """Count what belongs to this process and not to Python's own memory."""
    gc.collect()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0,
        "threads": threading.active_count(),
        "processes": len(_children()),
    }


def _children() -> list[str]:
    found: list[str] = []
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += listing.read_text().split()
    return found


@asynccontextmanager
async def _no_task_left() -> AsyncIterator[None]:
    before = len(anyio.get_running_tasks())
    yield
    check("tasks", expected=before, found=len(anyio.get_running_tasks()))


def play(backend: str, rounds: int, *, real: bool) -> list[float]:
    """Run a soak on a loop of its own. Raises `WrongResult` when anything is left behind."""

    async def main() -> list[float]:
        async with _no_task_left():
            return await soak(rounds, programs=real)

    name, options = backend_options(backend)
    if real:
        options = {"use_uvloop": True} if backend == "uvloop" else {}
    # A first one for what is made once and kept: the pool of threads, the watcher of children.
    anyio.run(partial(soak, 3, programs=real), backend=name, backend_options=options)
    before = left_over()
    looks = anyio.run(main, backend=name, backend_options=options)
    check("left behind", expected=before, found=left_over())
    return looks


def study(backends: Sequence[Backend], *, rounds: int, quick: bool) -> list[Finding]:
    """Soak for an hour of virtual time on each loop that can have it; a minute in a quick run."""
    virtual = [backend for backend in backends if backend is not Backend.UVLOOP]
    seconds = 60 if quick else HOUR
    return [_finding(backend, seconds, real=False) for backend in virtual]


def study_of(
    minutes: float, backends: Sequence[Backend], *, rounds: int, quick: bool
) -> list[Finding]:
    """Soak for so many real minutes on each loop, once and however quick the rest is to be."""
    return [_finding(backend, max(8, int(minutes * 60)), real=True) for backend in backends]


def _finding(backend: Backend, seconds: int, *, real: bool) -> Finding:
    looks = play(backend.value, seconds, real=real)
    kind = "real" if real else "virtual"
    print(f"soak on {backend}: blocks {' '.join(f'{look:.0f}' for look in looks)}", file=sys.stderr)
    what = f"growth in the last quarter, {seconds} {kind} seconds"
    return Finding("soak", what, backend, "%", (growth(looks),), most=MOST_GROWTH)

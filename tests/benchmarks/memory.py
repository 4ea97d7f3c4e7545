"""Weigh idle actors and idle tasks: resident memory of a fresh process, for each of them.

Guarantees: every sample is taken in an interpreter of its own, so no sample sees the
free lists or the fragments of another. A few are started first, so what the first one
alone costs (imports, caches, the loop) is not divided among the others. The number is
the growth of the resident set, and so a whole number of pages.

"actor" is one that never got a message and so never had a task; "awake" has handled one and waits
for the next; "hibernated" has handled one, and has let go of its task since.

A hand-written actor is a task that waits on a queue of its own, and that is the
baseline; a task that waits on a bare future is given as a further reference.

>>> 0.1 < weigh("future", Backend.ASYNCIO, 2000) < 10  # KiB for each task
True
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from tests.benchmarks.loops import Backend, run
from tests.benchmarks.messages import check

Kind: TypeAlias = Literal["actor", "awake", "hibernated", "queue", "future", "trio"]

ROOT = Path(__file__).parents[2]
WARM_UP = 100
# Hibernation is measured wave by wave: all at once, what the tasks leave behind when they go would
# be weighed as if it were theirs. A service whose actors come and go reuses it as well.
WAVE = 1000


def weigh(kind: Kind, backend: Backend, size: int) -> float:
    """Start `size` idle ones of a kind in a fresh process; KiB of resident memory for each.

    Raises `subprocess.CalledProcessError` when the process fails.
    """
    command = [sys.executable, "-m", "tests.benchmarks.memory", kind, backend.value, str(size)]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return float(finished.stdout)


def resident_bytes() -> int:
    """Read the resident set of this process; its peak where the system tells no more."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    # Not on every system, and not needed where the file is.
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def _weigh_actors(size: int) -> float:
    # Not imported by the processes that weigh plain tasks.
    from actors import ActorSystem
    from tests.benchmarks.lifecycle import Idle

    async with ActorSystem() as system:
        refs = [await system.spawn(Idle) for _ in range(WARM_UP)]
        before = _settled()
        for _ in range(size):
            refs.append(await system.spawn(Idle))
        grown = _settled() - before
        check("alive", expected=size + WARM_UP, found=sum(ref.is_alive for ref in refs))
    return grown / size / 1024


async def _weigh_told(sleepy: bool, size: int) -> float:
    import anyio

    from actors import ActorSystem
    from tests.benchmarks.lifecycle import Settled, Sleepy
    from tests.benchmarks.messages import additions

    message = additions(1)[0]
    async with ActorSystem() as system:
        refs = [await system.spawn(Sleepy if sleepy else Settled) for _ in range(WARM_UP)]
        before = 0
        for number in range(0, size + 1, WAVE):
            if number:
                refs += [await system.spawn(Sleepy if sleepy else Settled) for _ in range(WAVE)]
            for ref in refs[-WAVE:]:
                ref.tell(message)
            while any(ref.statistics().queued for ref in refs[-WAVE:]):
                await anyio.lowlevel.checkpoint()
            while sleepy and _tasks() > WARM_UP // 2:  # noqa: ASYNC110 - no sleeper says so
                await anyio.sleep(Sleepy.hibernate_after)
            before = before or _settled()
        grown = _settled() - before
        check("alive", expected=len(refs), found=sum(ref.is_alive for ref in refs))
    return grown / (len(refs) - WARM_UP) / 1024


def _tasks() -> int:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        living: int = trio.lowlevel.current_statistics().tasks_living
        return living
    return len(asyncio.all_tasks())


async def _weigh_tasks(wait: Callable[[], Coroutine[Any, Any, None]], size: int) -> float:
    tasks = [asyncio.create_task(wait()) for _ in range(WARM_UP)]
    await asyncio.sleep(0)
    before = _settled()
    for _ in range(size):
        tasks.append(asyncio.create_task(wait()))
        await asyncio.sleep(0)
    grown = _settled() - before
    check("alive", expected=0, found=sum(task.done() for task in tasks))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return grown / size / 1024


async def _wait_on_queue() -> None:
    queue: asyncio.Queue[None] = asyncio.Queue()
    await queue.get()


async def _wait_on_future() -> None:
    await asyncio.get_running_loop().create_future()


async def _weigh_trio_tasks(size: int) -> float:
    import trio
    from trio.testing import wait_all_tasks_blocked

    async def wait() -> None:
        _send, receive = trio.open_memory_channel[None](1)
        await receive.receive()

    async with trio.open_nursery() as nursery:
        for _ in range(WARM_UP):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        before = _settled()
        for _ in range(size):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        grown = _settled() - before
        check("alive", expected=size + WARM_UP, found=len(nursery.child_tasks))
        nursery.cancel_scope.cancel()
    return grown / size / 1024


def _settled() -> int:
    gc.collect()
    return resident_bytes()


PROGRAMS: dict[str, Callable[[int], Awaitable[float]]] = {
    "actor": _weigh_actors,
    "awake": partial(_weigh_told, False),
    "hibernated": partial(_weigh_told, True),
    "queue": partial(_weigh_tasks, _wait_on_queue),
    "future": partial(_weigh_tasks, _wait_on_future),
    "trio": _weigh_trio_tasks,
}


def main(arguments: list[str] | None = None) -> None:
    """Weigh one kind in this process and print the KiB for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory")
    parser.add_argument("kind", choices=get_args(Kind))
    parser.add_argument("backend", type=Backend)
    parser.add_argument("size", type=int)
    options = parser.parse_args(arguments)
    print(run(options.backend, PROGRAMS[options.kind], options.size))


if __name__ == "__main__":
    main()

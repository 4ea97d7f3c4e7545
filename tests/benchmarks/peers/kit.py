"""Run one peer's programs next to the baseline, and print what they gave as JSON lines.

A peer's script hands `main` one program for each workload that the peer can do, and a reason
for each that it cannot. Every script runs in a process of its own, in the interpreter into which
that peer was installed; the repository is on its path, so the baselines and the message objects
are those of every other benchmark. What most programs measure in the same way stands here:
`tells` and `asks` for functions of the peer's that are awaited, `Stopwatch` for all others, and
`Log` for restarts.

Guarantees: each program runs once on a twentieth of the size first, which is not counted; then
program and baseline run in turn. A program that would take longer than `LONGEST` is given fewer
operations, and the line tells how many. One that raises, or whose result is wrong, gives a
line with the reason, and the next one runs all the same.

    PYTHONPATH=. path/to/python tests/benchmarks/peers/pykka_peer.py '{"tell": 1000}'
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

from tests.benchmarks import baselines_lifecycle, baselines_messaging
from tests.benchmarks.figures import Stopwatch as Stopwatch
from tests.benchmarks.figures import percentile
from tests.benchmarks.messages import INCREASE, additions, check

LONGEST = 5.0
"""Seconds that one sample of a peer may take, by the estimate of its warm-up."""

UNLIMITED = 1_000_000
"""A budget of restarts that is never spent."""

Program = Callable[[int], float]


def _by_hand(program: Callable[[int], object]) -> Program:
    return lambda size: asyncio.run(program(size))[0]  # type: ignore[arg-type,index]


BASELINES: dict[str, Program] = {
    "tell": _by_hand(baselines_messaging.tell),
    "ask": _by_hand(baselines_messaging.ask_by_futures),
    "ping_pong": _by_hand(baselines_messaging.ping_pong_by_queues),
    "spawn_stop": _by_hand(baselines_lifecycle.live_and_stop),
    "restart": _by_hand(baselines_lifecycle.restart),
}


async def tells(
    size: int, tell: Callable[[Any], Awaitable[object]], total: Callable[[], Awaitable[object]]
) -> float:
    """Tell one actor `size` messages, and ask it for their total; messages a second."""
    messages = additions(size)
    with Stopwatch() as watch:
        for message in messages:
            await tell(message)
        found = await total()
    check("total", expected=size, found=found)
    return watch.rate(size)


async def asks(size: int, ask: Callable[[Any], Awaitable[object]]) -> float:
    """Ask one actor `size` times; trips a second."""
    total: object = 0
    with Stopwatch() as watch:
        for _ in range(size):
            total = await ask(INCREASE)
    check("total", expected=size, found=total)
    return watch.rate(size)


class Log:
    """Outlive the incarnations of a worker and keep the times of its crashes and starts."""

    def __init__(self) -> None:
        self.raised_at: float | None = None
        self.delays: list[float] = []

    def started(self) -> None:
        """Note a start."""
        if self.raised_at is not None:
            self.delays.append(perf_counter() - self.raised_at)

    def crashing(self) -> None:
        """Note a crash, just before it is raised."""
        self.raised_at = perf_counter()

    def median(self, restarts: int) -> float:
        """Give the p50 of so many restarts from raise to ready, in us."""
        check("restarts", expected=restarts, found=len(self.delays))
        return percentile(self.delays, 50) * 1e6


def main(programs: Mapping[str, Program], missing: Mapping[str, str] | None = None) -> None:
    """Measure what the command line asks for: sizes by name, and which side begins."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=json.loads)
    parser.add_argument("--backwards", action="store_true", help="the baseline begins")
    options = parser.parse_args()
    for workload, size in options.sizes.items():
        program = programs.get(workload)
        if program is None:
            reason = (missing or {}).get(workload, "not written for this peer")
            line: dict[str, object] = {"missing": reason}
        else:
            line = sample(program, BASELINES[workload], size, backwards=options.backwards)
        print(json.dumps({"workload": workload} | line), flush=True)


def sample(program: Program, baseline: Program, size: int, *, backwards: bool) -> dict[str, object]:
    """Take one sample of each side, or tell why there is none."""
    few = max(10, size // 20)
    try:
        with Stopwatch() as watch:
            program(few)
        baseline(few)
        size = max(10, min(size, int(LONGEST * few / watch.seconds)))
        by_hand = baseline(size) if backwards else 0.0
        ours = program(size)
        by_hand = by_hand or baseline(size)
    except Exception as error:
        return {"missing": f"failed: {type(error).__name__}: {error}"}
    return {"ours": ours, "baseline": by_hand, "size": size}


def all_of(
    run: Callable[..., Any], *programs: Callable[[int], Awaitable[float]]
) -> dict[str, Program]:
    """Run each of some coroutine functions by `run(function, size)`, under its name."""
    return {
        program.__name__: lambda size, program=program: run(program, size) for program in programs
    }

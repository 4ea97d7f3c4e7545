"""Run one peer's programs next to the baseline, and print what they gave as JSON lines.

A peer's script hands `main` one program for each workload that the peer can do, and a reason
for each that it cannot. Every script runs in a process of its own, in the interpreter into which
that peer was installed; the repository is on its path, so the baselines and the message objects
are those of every other benchmark.

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
from collections.abc import Callable, Mapping
from time import perf_counter

from tests.benchmarks import baselines_lifecycle, baselines_messaging

LONGEST = 5.0
"""Seconds that one sample of a peer may take, by the estimate of its warm-up."""

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
        started = perf_counter()
        program(few)
        each = (perf_counter() - started) / few
        baseline(few)
        size = max(10, min(size, int(LONGEST / each)))
        by_hand = baseline(size) if backwards else 0.0
        ours = program(size)
        by_hand = by_hand or baseline(size)
    except Exception as error:
        return {"missing": f"failed: {type(error).__name__}: {error}"}
    return {"ours": ours, "baseline": by_hand, "size": size}

"""Choose the studies on the command line, and add what they found to a report.

Guarantees: a study runs only when it is asked for. One that fails costs no other its numbers, but
is named in the report, which then counts as failed. Studies take fewer rounds than the pairs, at
most `MOST_ROUNDS` unless `--rounds` says otherwise, because each of their samples is large.

>>> parser = argparse.ArgumentParser()
>>> add_options(parser)
>>> parser.parse_args(["--idle"]).idle, parser.parse_args([]).peers is None
(True, True)
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from pathlib import Path

from attrs import evolve

from tests.benchmarks import dynamic, idle, load, peering, scaling, silence, soak
from tests.benchmarks.loops import Backend
from tests.benchmarks.results import Failure, Report

MOST_ROUNDS = 3
STUDIES: dict[str, tuple[Callable[..., Sequence[object]], str]] = {
    "load": (load.study, "findings"),
    "idle": (idle.study, "findings"),
    "events": (silence.study, "findings"),
    "children": (dynamic.study, "findings"),
    "soak": (soak.study, "findings"),
    "scaling": (scaling.study, "curves"),
}
"""What each study is called, and what of a report it adds to."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add one option for each study."""
    group = parser.add_argument_group("studies", "measured beside the workloads when asked for")
    group.add_argument("--skip-workloads", action="store_true", help="the studies alone")
    group.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        help="other libraries, installed on first use; names, or how they begin, default all",
    )
    group.add_argument(
        "--peer-cache",
        type=Path,
        metavar="DIR",
        default=peering.default_cache(),
        help="where their environments are kept, default %(default)s",
    )
    group.add_argument("--scaling", action="store_true", help="cost against size, first loop")
    group.add_argument("--load", action="store_true", help="latencies beside a flooded actor")
    group.add_argument("--idle", action="store_true", help="wake-ups of an idle system")
    group.add_argument("--events", action="store_true", help="events without a subscriber")
    group.add_argument(
        "--children", action="store_true", help="one of few and of many dynamic children"
    )
    group.add_argument(
        "--soak", action="store_true", help="an hour of troubles on the virtual clock, and memory"
    )
    group.add_argument(
        "--soak-minutes", type=float, metavar="N", help="the same for so many real minutes"
    )


def check_options(options: argparse.Namespace) -> None:
    """Raise `ValueError` for what cannot be done."""
    peering.chosen(options.peers or ())
    if peering.ROOT in (cache := options.peer_cache.resolve()).parents or cache == peering.ROOT:
        raise ValueError("--peer-cache: environments have no place inside the repository")
    if options.soak_minutes is not None and not 0 < options.soak_minutes < inf:
        raise ValueError("--soak-minutes: a number of minutes > 0")
    others = options.peers is not None or options.soak_minutes is not None
    wanted = others or any(getattr(options, name) for name in STUDIES)
    if options.skip_workloads and not wanted:
        raise ValueError("--skip-workloads leaves nothing to measure: name a study")


def add_to(
    report: Report,
    options: argparse.Namespace,
    backends: Sequence[Backend],
    rounds: int,
    progress: Callable[..., None],
) -> Report:
    """Run the chosen studies and give the report with what they found."""
    rounds = options.rounds or min(rounds, MOST_ROUNDS)
    chosen = {name: each for name, each in STUDIES.items() if getattr(options, name)}
    if options.soak_minutes is not None:
        chosen["soak in real time"] = (partial(soak.study_of, options.soak_minutes), "findings")
    for name, (study, kind) in chosen.items():
        progress(name)
        try:
            found = study(backends, rounds=rounds, quick=options.quick)
            report = evolve(report, **{kind: (*getattr(report, kind), *found)})
        except Exception as error:
            report = _with_failure(report, name, error)
    if options.peers is not None:
        rows = peering.study(
            options.peers,
            options.peer_cache,
            rounds=rounds,
            quick=options.quick,
            progress=progress,
        )
        report = evolve(report, peers=tuple(rows))
    progress()
    return report


def _with_failure(report: Report, study: str, error: Exception) -> Report:
    """Keep a study that failed as a failure: the others have their numbers all the same."""
    traceback.print_exception(error)
    words = "".join(traceback.format_exception_only(error)).strip()
    failure = Failure(study, Backend.ASYNCIO, "study", words)
    return evolve(report, failures=(*report.failures, failure))

"""Run the benchmarks from the command line, or compare two runs.

Guarantees: prints one table; leaves with exit code 0 when every workload gave its right
result (targets that are missed do not count as errors), 1 when one failed, and 2 when
the command line was wrong or a plot could not be drawn.

    python -m tests.benchmarks --quick
    python -m tests.benchmarks --only tell ask --backend asyncio --json after.json
    python -m tests.benchmarks --compare before.json after.json
    python -m tests.benchmarks --skip-workloads --peers --scaling --load --idle --events

>>> parse(["--quick", "--only", "tell"]).rounds is None
True
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks import comparison, plot, plot_studies, report, studies
from tests.benchmarks.catalog import WORKLOADS, select
from tests.benchmarks.harness import Settings, Workload, measure
from tests.benchmarks.loops import Backend, installed
from tests.benchmarks.results import Failure, Header, Report, Row
from tests.benchmarks.targets import TARGETS

FULL = Settings(rounds=7, divisor=1)
QUICK = Settings(rounds=3, divisor=10)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; leaves with exit code 2 when it is wrong."""
    names = "\n".join(f"  {each.name:<18}{each.summary}" for each in WORKLOADS)
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure the actors against plain asyncio.",
        epilog=f"workloads (ours / by hand):\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, 3 rounds")
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="pairs of each workload, default 7"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names, or how they begin")
    parser.add_argument("--backend", nargs="+", type=Backend, choices=list(Backend))
    parser.add_argument("--no-gc", action="store_true", help="turn the collector off meanwhile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the ratios")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"))
    parser.add_argument(
        "--targets", type=int, choices=sorted(TARGETS), default=3, help="judge by this issue's"
    )
    studies.add_options(parser)
    options = parser.parse_args(arguments)
    for backend in options.backend or ():
        if not backend.is_installed:
            parser.error(f"{backend} is not installed")
    try:
        select(options.only or ())
        studies.check_options(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and give the exit code."""
    options = parse(arguments)
    try:
        if options.compare:
            before, after = (Report.from_json(path.read_text()) for path in options.compare)
            print(comparison.render(before, after))
            return 0
        _check_outputs(options)
        measured = _measure(options)
        print(report.render(measured))
        if options.json:
            options.json.write_text(measured.to_json())
        if options.plot:
            if measured.rows:
                plot.draw(measured, options.plot)
            plot_studies.draw_all(measured, options.plot)
    except (OSError, ValueError, plot.PlotUnavailable) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if measured.failures else 0


def _measure(options: argparse.Namespace) -> Report:
    chosen = select(options.only or (), quick=options.quick)
    backends = options.backend or installed()
    settings = settings_of(options)
    measured = run_all(
        () if options.skip_workloads else chosen,
        backends,
        settings,
        quick=options.quick,
        targets=options.targets,
    )
    return studies.add_to(measured, options, backends, settings.rounds, _show_progress)


def _check_outputs(options: argparse.Namespace) -> None:
    # Before the measuring and not after it, when minutes would be lost.
    for path in (options.json, options.plot):
        if path and not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no such directory")
    if options.plot:
        plot.require()


def settings_of(options: argparse.Namespace) -> Settings:
    """Combine the options that say how thoroughly to measure."""
    usual = QUICK if options.quick else FULL
    return Settings(options.rounds or usual.rounds, usual.divisor, not options.no_gc)


def run_all(
    workloads: Sequence[Workload],
    backends: Sequence[Backend],
    settings: Settings,
    *,
    quick: bool,
    targets: int = 3,
) -> Report:
    """Measure workload after workload; shows progress on a terminal."""
    header = Header.of_this_process(
        rounds=settings.rounds, quick=quick, collector=settings.collector, targets=targets
    )
    rows: list[Row] = []
    failures: list[Failure] = []
    for workload in workloads:
        outcome = measure(workload, backends, settings, partial(_show_progress, workload.name))
        rows += outcome.rows
        failures += outcome.failures
    _show_progress()
    return Report(header, tuple(rows), tuple(failures))


def _show_progress(*words: str) -> None:
    # One line that is written over; only where a person looks at it.
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{': '.join(words)}")
        sys.stderr.flush()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


if __name__ == "__main__":
    sys.exit(main())

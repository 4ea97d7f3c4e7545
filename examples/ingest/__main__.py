"""Run the application from the command line: `python -m examples.ingest --help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from loguru import logger

from examples.ingest.database import IN_MEMORY
from examples.ingest.tree import SAMPLE, Settings, tree
from supervision import run

if TYPE_CHECKING:
    from loguru import Record


def main() -> NoReturn:
    """Read a log; leaves with exit code 0, or 2 when it cannot be read, or that of `run`."""
    options = _options()
    settings = Settings(
        options.log, options.database, options.parsers, options.batch, options.restarts
    )
    try:
        spec = tree(settings)
    except OSError as error:
        print(f"ingest: cannot read {settings.log}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    _log_to_stderr(verbose=options.verbose)
    run(spec, backend=options.backend, grace=options.grace)


def _log_to_stderr(*, verbose: bool) -> None:
    """Choose how log lines look, and leave out the parsers, whose crashes are no news."""

    def wanted(record: Record) -> bool:
        return verbose or not record["extra"].get("path", "").startswith("/ingest/parsers/")

    logger.remove()
    # A function, so that loguru does not add the traceback of each malformed line.
    line = "{time:HH:mm:ss.SSS} {level: <8} {message}\n"
    logger.add(sys.stderr, format=lambda _: line, filter=wanted)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.ingest",
        description="Read an access log in combined format into SQLite, under supervision.",
    )
    add = parser.add_argument
    add("log", nargs="?", type=Path, default=SAMPLE, metavar="LOGFILE", help="default: the sample")
    add(
        "--database",
        default=IN_MEMORY,
        metavar="FILE",
        help="SQLite file to fill, and to resume from (default: in memory, gone at the end)",
    )
    add("--backend", choices=("asyncio", "trio", "uvloop"), default="asyncio")
    add("--parsers", type=_positive, default=4, metavar="N", help="default: 4")
    add("--batch", type=_positive, default=500, metavar="N", help="lines in a transaction: 500")
    add(
        "--restarts",
        type=_positive,
        default=10_000,
        metavar="N",
        help="how many parsers may crash in a second before it gives up (default: 10000)",
    )
    add("--grace", type=float, default=30.0, metavar="SECONDS", help="time to stop in: 30")
    add("--verbose", action="store_true", help="log every crash of a parser, too")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


if __name__ == "__main__":
    main()

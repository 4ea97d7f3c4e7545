"""Run and show trees from the command line: `super-visor run TARGET`, `super-visor tree TARGET`.

`run` leaves with the exit codes of `supervision.run`. What cannot be run (no such module, no tree,
a bad spec, a backend that is not installed) gets one line and exit code 2.

>>> main(["tree", "no.such.module:tree"])
2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from supervision.drawing import draw
from supervision.running import run
from supervision.targets import TargetError, load

__all__ = ["main"]

BAD_TARGET = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, or leaves with that of the tree."""
    options = _parser().parse_args(arguments)
    try:
        tree = load(options.target)
        if options.command == "tree":
            print(draw(tree))  # noqa: T201 - this is what it is for
            return 0
        return _run(tree, options)
    except TargetError as error:
        print(f"super-visor: {error}", file=sys.stderr)  # noqa: T201
        return BAD_TARGET


def _run(tree: Any, options: argparse.Namespace) -> int:
    try:
        run(tree, backend=options.backend, grace=options.grace)
    except ValueError as error:
        raise TargetError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="super-visor", description="Run a tree of supervised procs, or show it."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    target = "package.module:attribute or path/file.py:attribute"
    runs = commands.add_parser(
        "run", help="run a tree until it ends", description="Run a tree until it ends."
    )
    runs.add_argument("target", metavar="TARGET", help=target)
    runs.add_argument(
        "--backend",
        choices=("asyncio", "trio", "uvloop"),
        default="asyncio",
        help="the event loop (default: asyncio)",
    )
    runs.add_argument(
        "--grace",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long stopping may take (default: 30)",
    )
    shows = commands.add_parser(
        "tree", help="print a tree", description="Print a tree, without running it."
    )
    shows.add_argument("target", metavar="TARGET", help=target)
    return parser

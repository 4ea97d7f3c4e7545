"""Run and show trees from the command line: `super-visor run TARGET`, `super-visor tree TARGET`.

`run` leaves with the exit codes of `supervision.run`. What cannot be run (no such module, no tree,
a bad spec, a backend that is not installed) gets one line and exit code 2.

The arguments are understood before anything else is loaded: `--help` and a typing error cost what
Python itself costs, and the engine is imported by the function that needs it.

>>> main(["tree", "no.such.module:tree"])
2
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, final

from actors.seconds import check_seconds
from supervision.exit_codes import BAD_TARGET, ENDED, FORCED, STALLED

if TYPE_CHECKING:
    from supervision.specs import ChildSpec

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, or leaves with that of the tree.

    `arguments` default to those of the process. Raises SystemExit as `run` does, and for
    arguments that cannot be understood.
    """
    options = _parser().parse_args(arguments)
    try:
        tree = _checked_tree(options)
    except ValueError as error:
        print(f"super-visor: {error}", file=sys.stderr)  # noqa: T201 - this is what it is for
        return BAD_TARGET
    except KeyboardInterrupt:
        return FORCED
    if options.command == "run":
        _run(tree, options)
    return _show(tree)


def _checked_tree(options: argparse.Namespace) -> ChildSpec[Any]:
    """Return the tree that is named; raises ValueError for it, or for an option."""
    if options.command == "run":
        from supervision.process.runner import loop_options
        from supervision.telemetry import check_stalls

        check_seconds("grace", options.grace)
        options.stall_after = options.stall_after or None  # 0 turns it off
        check_stalls(options.stall_after, options.abort_after)
        loop_options(options.backend)
    from supervision.process.targets import load

    if options.command != "run":
        return load(options.target)
    from supervision.process.loading import obey_while_loading

    with obey_while_loading():
        return load(options.target)


def _run(tree: ChildSpec[Any], options: argparse.Namespace) -> NoReturn:
    from supervision.process.runner import run

    run(
        tree,
        backend=options.backend,
        grace=options.grace,
        stall_after=options.stall_after,
        abort_after=options.abort_after,
    )


def _show(tree: ChildSpec[Any]) -> int:
    from supervision.specs import draw

    try:
        print(draw(tree), flush=True)  # noqa: T201
    except BrokenPipeError:
        # Whoever reads has read enough (`| head`). Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ENDED


@final
class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_TARGET, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="super-visor", description="Run a tree of supervised procs, or show it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    target = "package.module:attribute or path/file.py:attribute"
    runs = commands.add_parser(
        "run", help="run a tree until it ends", description="Run a tree until it ends."
    )
    runs.add_argument("target", metavar="TARGET", help=target)
    _add_options(runs)
    shows = commands.add_parser(
        "tree", help="print a tree", description="Print a tree, without running it."
    )
    shows.add_argument("target", metavar="TARGET", help=target)
    return parser


def _add_options(runs: argparse.ArgumentParser) -> None:
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
    runs.add_argument(
        "--stall-after",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="say so when the event loop is blocked for so long (default: 1; 0: never)",
    )
    runs.add_argument(
        "--abort-after",
        type=float,
        default=None,
        metavar="SECONDS",
        help=f"end the process then, with exit code {STALLED} (default: never)",
    )

"""Make a process of a tree: signals, exit codes, the command line."""

from supervision.process.cli import main
from supervision.process.runner import run

__all__ = [
    "main",
    "run",
]

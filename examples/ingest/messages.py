"""What the procs say to each other, and the names under which they find each other.

Messages are frozen values, so that nobody can change what another one holds. What is derived from
`Request[R]` is asked and answered with an `R`; the type checker knows it at every `ask`.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import frozen

from actors import Context, Name, Ref, Request

M = TypeVar("M")
N = TypeVar("N")


@frozen
class Line:
    """One line of the log, without its end; `offset` is where it begins in the file, in bytes."""

    offset: int
    text: bytes


@frozen
class Hit:
    """What one line says: who asked for what, and what came of it. `time` is in Unix seconds."""

    host: str
    user: str
    time: int
    method: str
    path: str
    status: int
    size: int
    referer: str
    agent: str


@frozen
class Progress:
    """How far the log was read: `offset` in bytes, and what became of the lines before it."""

    offset: int
    read: int
    stored: int
    set_aside: int


@frozen
class Parse(Request[Hit]):
    """Ask a parser what a line says. A malformed line crashes it."""

    line: Line


@frozen
class Save(Request[Progress]):
    """Ask the store to save what became of `read` lines, from byte `start` to byte `end`."""

    start: int
    end: int
    read: int
    hits: tuple[tuple[int, Hit], ...]
    set_aside: tuple[tuple[Line, str], ...]


@frozen
class GetProgress(Request[Progress]):
    """Ask the store how far the log was read."""


@frozen
class CountRows(Request[Progress]):
    """Ask the store the same, with the rows counted one by one."""


@frozen
class Summary:
    """What is in the database, each table with its largest rows first."""

    statuses: tuple[tuple[int, int, int], ...]  # status, requests, bytes
    paths: tuple[tuple[str, int], ...]  # path, requests
    failing: tuple[tuple[str, int], ...]  # path, requests answered with 5xx
    reasons: tuple[tuple[str, int], ...]  # why lines were set aside, lines


@frozen
class Summarize(Request[Summary]):
    """Ask the store to sum up."""


@frozen
class Advanced:
    """Tell the reporter that a batch was saved."""

    progress: Progress


@frozen
class PrintTables(Request[None]):
    """Ask the reporter to print the tables; the answer comes when it has."""

    progress: Progress


StoreMessage = Save | GetProgress | CountRows | Summarize
ReporterMessage = Advanced | PrintTables

STORE = Name[StoreMessage]("store")
REPORTER = Name[ReporterMessage]("reporter")


def parser_name(number: int) -> Name[Parse]:
    """Return the name of a parser; they count from 1."""
    return Name[Parse](f"parser-{number}")


def find(context: Context[N], name: Name[M]) -> Ref[M]:
    """Look up somebody who started earlier. The address stays good when they are restarted."""
    ref = context.system.whereis(name)
    if ref is None:
        raise LookupError(f"{name.text} is not there; it has to start before {context.path}")
    return ref

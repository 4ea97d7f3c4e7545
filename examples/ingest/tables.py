"""Lay tables out for a terminal.

>>> print(number(1234567), plural(1, "line"), plural(2, "line"))
1,234,567 1 line 2 lines
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from examples.ingest.messages import Progress, Summary

_WIDTH = 28


def number(value: int) -> str:
    """Write a number so that it can be read."""
    return f"{value:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def draw(summary: Summary, progress: Progress) -> str:
    """Return all tables as text."""
    statuses = [
        (f"{status} {_phrase(status)}", number(requests), number(size))
        for status, requests, size in summary.statuses
    ]
    total = (
        "all",
        number(sum(requests for _, requests, _ in summary.statuses)),
        number(sum(size for _, _, size in summary.statuses)),
    )
    totals = [("read", progress.read), ("stored", progress.stored)]
    totals.append(("set aside", progress.set_aside))
    return "\n".join(
        [
            *_table(("status", "requests", "bytes"), [*statuses, total]),
            *_table(("path", "requests"), _numbers(summary.paths)),
            *_table(("failing path", "errors"), _numbers(summary.failing)),
            *_table(("reason to set aside", "lines"), _numbers(summary.reasons)),
            *_table(("totals", "lines"), _numbers(totals)),
            "",
        ]
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _numbers(rows: Iterable[tuple[str, int]]) -> list[Sequence[str]]:
    return [(text, number(value)) for text, value in rows]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of one table; nothing when it has no rows."""
    if not rows:
        return []
    rule = ["-" * _WIDTH, *("-" * 11 for _ in head[1:])]
    return ["", *(_row(cells) for cells in (head, rule, *rows))]


def _row(cells: Sequence[str]) -> str:
    text, *values = cells
    if len(text) > _WIDTH:
        text = f"{text[: _WIDTH - 3]}..."
    return "  ".join([text.ljust(_WIDTH), *(value.rjust(11) for value in values)])

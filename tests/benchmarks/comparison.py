"""Compare two reports row by row: what became faster, what slower, what is chance.

Guarantees: rows are matched by workload, metric and backend. A row counts as changed only
when the ranges of its ratios do not overlap; ratios, unlike rates, can be compared between
runs of a machine that was busy and one that was not.

>>> from tests.benchmarks.figures import RATE
>>> from tests.benchmarks.loops import Backend
>>> from tests.benchmarks.results import Header
>>> def report(rate: float) -> Report:
...     row = Row("tell", RATE, Backend.ASYNCIO, 10, ours=(rate, rate), baseline=(1.0, 1.0))
...     return Report(Header.of_this_process(rounds=2, quick=True), (row,))
>>> [(change.label, change.factor, change.verdict) for change in changes(report(2), report(3))]
[('tell', 1.5, 'better')]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, final

from attrs import frozen

from tests.benchmarks.figures import Spread, digits, show
from tests.benchmarks.report import header
from tests.benchmarks.results import Report, Row
from tests.benchmarks.tables import align

Verdict: TypeAlias = Literal["better", "worse", "same"]


@final
@frozen
class Change:
    """Set the same row of two reports side by side."""

    before: Row
    after: Row

    @property
    def label(self) -> str:
        """Name the workload and the metric."""
        return self.after.label

    @property
    def factor(self) -> float:
        """Divide the later median ratio by the earlier; above 1 is an improvement."""
        return self.after.ratio.median / self.before.ratio.median

    @property
    def verdict(self) -> Verdict:
        """Tell a change from chance: "same" while the ranges of the ratios overlap."""
        if self.before.ratio.overlaps(self.after.ratio):
            return "same"
        return "better" if self.factor > 1 else "worse"


def changes(before: Report, after: Report) -> tuple[Change, ...]:
    """Match the rows of two reports, in the order of the later; leave out unmatched ones."""
    earlier = {_key(row): row for row in before.rows}
    return tuple(Change(earlier[_key(row)], row) for row in after.rows if _key(row) in earlier)


def render(before: Report, after: Report) -> str:
    """Write the comparison of two reports as text, with the rows found in one only."""
    found = changes(before, after)
    parts = [f"A: {header(before.header)}", f"B: {header(after.header)}", _table(found)]
    for name, report, other in (("A", before, after), ("B", after, before)):
        matched = {_key(row) for row in other.rows}
        lonely: dict[str, list[str]] = {}
        for row in report.rows:
            if _key(row) not in matched:
                lonely.setdefault(row.label, []).append(row.backend)
        if lonely:
            lines = [f"{label} ({', '.join(backends)})" for label, backends in lonely.items()]
            parts.append("\n  ".join([f"only in {name}:", *lines]))
    return "\n\n".join(parts)


def _table(found: Sequence[Change]) -> str:
    head = ("workload", "backend", "ours A", "ours B", "ratio A", "ratio B", "B / A", "")
    return align([head, *(_cells(change) for change in found)])


def _cells(change: Change) -> tuple[str, ...]:
    before, after = change.before, change.after
    return (
        change.label,
        after.backend,
        show(Spread.of(before.ours).median, before.metric.unit),
        show(Spread.of(after.ours).median, after.metric.unit),
        f"{digits(before.ratio.median)}x",
        f"{digits(after.ratio.median)}x",
        f"{digits(change.factor)}x",
        change.verdict,
    )


def _key(row: Row) -> tuple[str, str]:
    return row.label, row.backend

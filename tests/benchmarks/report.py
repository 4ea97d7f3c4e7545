"""Show a report as aligned text: a header, the table, references and derived numbers.

Guarantees: every number shown is computed from the report alone, so a report read from a
file looks like the one that was printed after the run.

>>> from tests.benchmarks.figures import RATE
>>> row = Row("tell", RATE, Backend.ASYNCIO, 10, ours=(3.0,), baseline=(2.0,))
>>> print(table([row]).splitlines()[1])
tell      asyncio  3.00 /s  2.00 /s   1.50x  [1.50 .. 1.50]  >= 2x   miss
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.benchmarks import tables
from tests.benchmarks.figures import Spread, digits, show
from tests.benchmarks.loops import Backend
from tests.benchmarks.results import Failure, Header, Report, Row
from tests.benchmarks.tables import align
from tests.benchmarks.targets import target_of

SIZED = re.compile(r"(?P<family>.+)_(?P<size>\d+)")


def render(report: Report) -> str:
    """Write the whole report as text."""
    parts = [
        header(report.header),
        table(report.rows, report.header.targets) if report.rows else "",
        references(report.rows),
        derived(report.rows),
        tables.findings(report.findings),
        tables.curves(report.curves),
        tables.peers(report.peers),
        failures(report.failures),
    ]
    return "\n\n".join(part for part in parts if part)


def header(described: Header) -> str:
    """Name the date, the interpreter, the machine and the versions."""
    versions = ", ".join(f"{name} {number}" for name, number in described.versions.items())
    kind = "quick run, sizes reduced" if described.quick else "full sizes"
    collector = "" if described.collector else ", garbage collector off"
    return (
        f"{described.date}, {described.python} on {described.machine}, {described.cpus} CPUs,"
        f" load {described.load:.2f}\n"
        f"{versions}\n"
        f"rounds: {described.rounds}, {kind}{collector}; medians;"
        " ratio = ours / plain asyncio, pair by pair, above 1x is better than plain asyncio;"
        f" targets of issue {described.targets}"
    )


def table(rows: Sequence[Row], issue: int = 3) -> str:
    """Write one line for each row, with its target and whether it is met."""
    head = ("workload", "backend", "ours", "baseline", "ratio", "[min .. max]", "target", "")
    return align([head, *(_cells(row, issue) for row in rows)])


def _cells(row: Row, issue: int) -> tuple[str, ...]:
    target = target_of(row, issue)
    return (
        row.label,
        row.backend,
        show(Spread.of(row.ours).median, row.metric.unit),
        show(Spread.of(row.baseline).median, row.metric.unit),
        *_ratio_cells(row.ratio),
        target.text if target else "",
        target.verdict(row) if target else "",
    )


def _ratio_cells(ratio: Spread) -> tuple[str, str]:
    return f"{digits(ratio.median)}x", f"[{digits(ratio.lowest)} .. {digits(ratio.highest)}]"


def references(rows: Sequence[Row]) -> str:
    """Write one line for each further program that was measured beside the baseline."""
    lines = [
        (
            row.label,
            row.backend,
            label,
            show(Spread.of(samples).median, row.metric.unit),
            *_ratio_cells(row.ratio_to(label)),
        )
        for row in rows
        for label, samples in row.references.items()
    ]
    if not lines:
        return ""
    head = ("other references", "backend", "program", "", "ratio", "[min .. max]")
    return align([head, *lines])


def derived(rows: Sequence[Row]) -> str:
    """Write what follows from several rows: growth with size, and the gain of uvloop."""
    return "\n".join([*_growths(rows), *_gains(rows)])


def _growths(rows: Sequence[Row]) -> Iterator[str]:
    families: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        sized = SIZED.fullmatch(row.workload)
        if sized is not None:
            key = (sized["family"], row.metric.name, row.backend)
            families.setdefault(key, []).append(row)
    for (family, metric, backend), members in families.items():
        if len(members) < 2:
            continue
        members.sort(key=lambda row: row.size)
        medians = [Spread.of(row.ours).median for row in members]
        sizes = " to ".join(f"{members[end].size:,}" for end in (0, -1))
        yield (
            f"{family} {metric} on {backend}: cost of each grows"
            f" {medians[-1] / medians[0]:.2f}x from {sizes}"
        )


def _gains(rows: Sequence[Row]) -> Iterator[str]:
    by_key = {(row.label, row.backend): row for row in rows}
    for (label, backend), row in by_key.items():
        plain = by_key.get((label, Backend.ASYNCIO))
        if backend is not Backend.UVLOOP or plain is None or len(row.ours) != len(plain.ours):
            continue
        if not row.metric.unit.more_is_better:
            continue
        ours = Spread.of(row.ours).median / Spread.of(plain.ours).median
        theirs = Spread.of(row.baseline).median / Spread.of(plain.baseline).median
        yield f"{label}: uvloop over asyncio gains {ours:.2f}x for us, {theirs:.2f}x by hand"


def failures(found: Sequence[Failure]) -> str:
    """Write one line for each program that failed."""
    return "\n".join(
        f"FAILED {each.workload} on {each.backend} ({each.side}): {each.error}" for each in found
    )

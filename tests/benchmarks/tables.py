"""Write what the studies, the curves and the peers gave as aligned text.

Guarantees: as in `report`, every number is computed from the values alone. A curve is called
growing only when its samples say so beyond their spread; see `verdict_of`.

>>> print(align([("workload", "ratio"), ("tell", "1.50x")]))
workload  ratio
tell      1.50x
>>> flat = [Point(10, (2.0, 2.2)), Point(100, (2.1, 2.3))]
>>> verdict_of(flat), verdict_of([*flat, Point(1000, (4.0, 4.2))])
(('flat', 1.05), ('GROWS', 1.95))
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.figures import Spread, Unit, digits, show
from tests.benchmarks.results import Curve, Finding, PeerRow, Point

BEYOND_NOISE = 1.25
"""A larger size must cost so much more than the cheapest one before anybody calls it growth."""


def align(lines: Sequence[Sequence[str]]) -> str:
    """Write lines of cells as columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def findings(found: Sequence[Finding]) -> str:
    """Write one line for each finding, with its target."""
    if not found:
        return ""
    head = ("study", "what", "backend", "median", "[min .. max]", "target", "")
    return align([head, *(_finding_cells(each) for each in found)])


def _finding_cells(found: Finding) -> tuple[str, ...]:
    spread = Spread.of(found.samples)
    return (
        found.study,
        found.what,
        found.backend,
        f"{digits(spread.median)} {found.unit}",
        f"[{digits(spread.lowest)} .. {digits(spread.highest)}]",
        "" if found.most is None else f"<= {found.most:g} {found.unit}",
        found.verdict,
    )


def curves(drawn: Sequence[Curve]) -> str:
    """Write one line for each curve: the cost at each size, and whether it grows."""
    parts: list[str] = []
    for axis in dict.fromkeys(curve.axis for curve in drawn):
        chosen = [curve for curve in drawn if curve.axis == axis]
        sizes = sorted({point.size for curve in chosen for point in curve.points})
        head = (f"us, by {axis}", "backend", *(f"{size:,}" for size in sizes), "growth", "")
        lines = [line for curve in chosen for line in _curve_lines(curve, sizes)]
        parts.append(align([head, *lines]))
    return "\n\n".join(parts)


def _curve_lines(curve: Curve, sizes: Sequence[int]) -> list[tuple[str, ...]]:
    word, factor = verdict_of(curve.points)
    ours = {point.size: point.ours for point in curve.points}
    lines = [_curve_cells(curve.name, curve.backend, ours, sizes, factor, word)]
    by_hand = by_hand_of(curve.points)
    if by_hand:
        samples = {point.size: point.ours for point in by_hand}
        _, factor = verdict_of(by_hand)
        lines.append(_curve_cells("  by hand", "", samples, sizes, factor, ""))
    return lines


def _curve_cells(
    name: str,
    backend: str,
    samples: dict[int, tuple[float, ...]],
    sizes: Sequence[int],
    factor: float,
    word: str,
) -> tuple[str, ...]:
    costs = (digits(Spread.of(samples[size]).median) if size in samples else "" for size in sizes)
    return (name, backend, *costs, f"{factor:.2f}x", word)


def by_hand_of(points: Sequence[Point]) -> list[Point]:
    """Give the curve of the hand-written program, empty where there is none."""
    return [Point(point.size, point.baseline) for point in points if point.baseline]


def verdict_of(points: Sequence[Point]) -> tuple[str, float]:
    """Tell whether cost grows with size, and by what factor.

    The factor is that of the dearest median to the cheapest one at a smaller size. It is growth
    when even its lowest sample is above `BEYOND_NOISE` times the median of the cheapest, and
    above that one's highest sample. It is "as by hand" when the hand-written program grows by
    nearly the same factor: then it is the interpreter and the memory, not the runtime.
    """
    cheapest, dearest = growth_of(points)
    low, high = Spread.of(cheapest.ours), Spread.of(dearest.ours)
    factor = round(high.median / low.median, 2)
    if high.lowest <= max(low.highest, low.median * BEYOND_NOISE):
        return "flat", factor
    by_hand = by_hand_of(points)
    if by_hand and factor <= verdict_of(by_hand)[1] * BEYOND_NOISE:
        return "grows, as by hand", factor
    return "GROWS", factor


def growth_of(points: Sequence[Point]) -> tuple[Point, Point]:
    """Find the two points, the smaller size first, between which the median grows most."""
    ordered = sorted(points, key=lambda point: point.size)
    cost = {point.size: Spread.of(point.ours).median for point in ordered}
    pairs = [
        (ordered[i], ordered[j]) for i in range(len(ordered)) for j in range(i + 1, len(ordered))
    ]
    if not pairs:
        return ordered[0], ordered[0]
    return max(pairs, key=lambda pair: cost[pair[1].size] / cost[pair[0].size])


def peers(rows: Sequence[PeerRow]) -> str:
    """Write each peer's numbers and its ratios to plain asyncio, then what is missing and why."""
    if not rows:
        return ""
    workloads = list(dict.fromkeys(row.workload for row in rows))
    head = ("peer", "version", "python", *(_peer_head(workload) for workload in workloads))
    lines = [head]
    for name in dict.fromkeys(row.peer for row in rows):
        chosen = {row.workload: row for row in rows if row.peer == name}
        first = next(iter(chosen.values()))
        cells = (peer_cell(chosen[each]) if each in chosen else "-" for each in workloads)
        lines.append((name, first.version, first.python, *cells))
    reasons = dict.fromkeys((row.peer, row.missing) for row in rows if row.missing)
    missing = [
        f"{name}: no {', '.join(_missing_in(rows, name, reason))}: {reason}"
        for name, reason in reasons
    ]
    return "\n".join([align(lines), *missing])


def _peer_head(workload: str) -> str:
    return f"{workload} p50" if workload == "restart" else workload


def _missing_in(rows: Sequence[PeerRow], name: str, reason: str) -> list[str]:
    return [row.workload for row in rows if row.peer == name and row.missing == reason]


def peer_cell(row: PeerRow) -> str:
    """Write the median and, where there is a baseline, the median ratio to plain asyncio."""
    if not row.ours:
        return "-"
    restart = row.workload == "restart"
    text = show(Spread.of(row.ours).median, Unit.MICROSECONDS if restart else Unit.PER_SECOND)
    ratio = peer_ratio(row)
    return text if ratio is None or restart else f"{text} {digits(ratio.median)}x"


def peer_ratio(row: PeerRow) -> Spread | None:
    """Compare with plain asyncio pair by pair, above 1 is better; None without numbers."""
    if not row.ours or len(row.ours) != len(row.baseline):
        return None
    pairs = list(zip(row.ours, row.baseline, strict=True))
    if row.workload == "restart":
        return Spread.of([theirs / mine for mine, theirs in pairs])
    return Spread.of([mine / theirs for mine, theirs in pairs])

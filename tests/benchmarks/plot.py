"""Draw the ratios of a report as a PNG, when matplotlib is there.

Guarantees: one bar for each row at the median ratio, a whisker from the lowest to the
highest pair, a line at 1x, and a mark at each target that is a ratio. The axis is
logarithmic, so that twice as fast and half as fast look alike.

>>> from pathlib import Path
>>> draw(Report(Header.of_this_process(rounds=1, quick=True), ()), Path("empty.png"))
Traceback (most recent call last):
...
ValueError: nothing to draw: the report has no rows
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.loops import Backend
from tests.benchmarks.results import Header, Report, Row
from tests.benchmarks.targets import target_of

COLORS = {Backend.ASYNCIO: "#3b6ea5", Backend.UVLOOP: "#d98032", Backend.TRIO: "#5a9367"}


class PlotUnavailable(Exception):
    """Say that there is nothing to draw with."""


def require() -> None:
    """Make sure that a plot can be drawn; raises `PlotUnavailable` when it cannot."""
    canvas()


def draw(report: Report, path: Path) -> None:
    """Write the plot of a report to `path`.

    Raises `PlotUnavailable` when matplotlib is not installed, and `ValueError` when the
    report has no rows.
    """
    if not report.rows:
        raise ValueError("nothing to draw: the report has no rows")
    pyplot = canvas()
    labels = list(dict.fromkeys(row.label for row in report.rows))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.55 * len(labels)), layout="constrained")
    _draw_bars(axes, report.rows, labels)
    _draw_targets(axes, report, labels)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_tick)
    axes.xaxis.set_minor_formatter(_tick)
    axes.tick_params(axis="x", which="both", labelsize="small", length=4)
    axes.set_xlabel("ratio to plain asyncio; right of 1x is better")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    axes.set_title(title(report.header), fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _draw_bars(axes: Any, rows: Sequence[Row], labels: Sequence[str]) -> None:
    backends = [each for each in Backend if any(row.backend is each for row in rows)]
    height = 0.8 / len(backends)
    for number, backend in enumerate(backends):
        chosen = [row for row in rows if row.backend is backend]
        offset = (number - (len(backends) - 1) / 2) * height
        spreads = [row.ratio for row in chosen]
        axes.barh(
            [labels.index(row.label) + offset for row in chosen],
            [spread.median - 1 for spread in spreads],
            left=1.0,
            height=height * 0.9,
            xerr=[
                [spread.median - spread.lowest for spread in spreads],
                [spread.highest - spread.median for spread in spreads],
            ],
            color=COLORS[backend],
            error_kw={"linewidth": 0.8},
            label=backend.value,
        )


def _draw_targets(axes: Any, report: Report, labels: Sequence[str]) -> None:
    marks = {
        labels.index(row.label): target.least_ratio
        for row in report.rows
        if (target := target_of(row, report.header.targets)) is not None
        and target.least_ratio is not None
    }
    tops = [place - 0.45 for place in marks]
    bottoms = [place + 0.45 for place in marks]
    axes.vlines(list(marks.values()), tops, bottoms, color="crimson", label="target")


def _tick(value: float, _position: int) -> str:
    # Of the ticks between two powers of ten, more than two labels would run together.
    return f"{value:g}x" if f"{value:e}"[0] in "125" else ""


def title(header: Header) -> str:
    """Name the moment and the versions, for the head of a picture."""
    versions = ", ".join(f"{name} {number}" for name, number in header.versions.items())
    return f"{header.date}, {header.python}, {header.cpus} CPUs, {versions}"


def canvas() -> Any:
    """Give matplotlib's pyplot, drawing to files; raises `PlotUnavailable` without it."""
    try:
        # Drawing to a file needs no display.
        import_module("matplotlib").use("Agg")
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise PlotUnavailable("a plot needs matplotlib: pip install matplotlib") from error

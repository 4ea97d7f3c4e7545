"""Draw the curves and the peers of a report as PNG, when matplotlib is there.

Guarantees: a curve is drawn in full lines for us and dashed for the hand-written program, both
axes logarithmic, so that what does not grow is level. Peers are drawn as ratios to plain asyncio
in the peer's own interpreter, logarithmic, losses included.

>>> beside(Path("run.png"), "peers").name
'run-peers.png'
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Spread
from tests.benchmarks.plot import canvas, title
from tests.benchmarks.results import Curve, PeerRow, Report
from tests.benchmarks.tables import by_hand_of, peer_ratio

WIDTH = 2


def beside(path: Path, word: str) -> Path:
    """Name a second picture after the first."""
    return path.with_name(f"{path.stem}-{word}{path.suffix}")


def draw_all(report: Report, path: Path) -> None:
    """Write what there is to draw beside `path`; raises `PlotUnavailable` without matplotlib."""
    if report.curves:
        draw_curves(report, beside(path, "scaling"))
    if any(row.ours for row in report.peers):
        draw_peers(report, beside(path, "peers"))


def draw_curves(report: Report, path: Path) -> None:
    """Write one panel for each axis."""
    pyplot = canvas()
    names = list(dict.fromkeys(curve.axis for curve in report.curves))
    height = -(-len(names) // WIDTH)
    figure, panels = pyplot.subplots(
        height, WIDTH, figsize=(11, 3.6 * height), layout="constrained", squeeze=False
    )
    for panel, name in zip(panels.flat, names, strict=False):
        _draw_axis(panel, name, [curve for curve in report.curves if curve.axis == name])
    for panel in panels.flat[len(names) :]:
        panel.axis("off")
    figure.suptitle(f"{title(report.header)}; dashed: plain asyncio", fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _draw_axis(panel: Any, name: str, curves: Sequence[Curve]) -> None:
    for number, curve in enumerate(curves):
        color = f"C{number}"
        spreads = [Spread.of(point.ours) for point in curve.points]
        sizes = [point.size for point in curve.points]
        panel.plot(sizes, [each.median for each in spreads], "o-", color=color, label=curve.name)
        panel.fill_between(
            sizes,
            [each.lowest for each in spreads],
            [each.highest for each in spreads],
            color=color,
            alpha=0.2,
        )
        by_hand = by_hand_of(curve.points)
        panel.plot(
            [point.size for point in by_hand],
            [Spread.of(point.ours).median for point in by_hand],
            "--",
            color=color,
            linewidth=1,
        )
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel(name)
    panel.set_ylabel("us for each")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")


def draw_peers(report: Report, path: Path) -> None:
    """Write one panel for each workload, one bar for each peer."""
    pyplot = canvas()
    workloads = list(dict.fromkeys(row.workload for row in report.peers))
    peers = list(dict.fromkeys(row.peer for row in report.peers))
    figure, panels = pyplot.subplots(
        1,
        len(workloads),
        figsize=(3 * len(workloads) + 2, 1 + 0.35 * len(peers)),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for panel, workload in zip(panels.flat, workloads, strict=True):
        _draw_bars(panel, [row for row in report.peers if row.workload == workload], peers)
        panel.set_title(workload, fontsize="medium")
    panels.flat[0].set_yticks(range(len(peers)), peers)
    panels.flat[0].invert_yaxis()
    figure.suptitle(
        f"{title(report.header)}; ratio to plain asyncio, right of 1 is better", fontsize="small"
    )
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _draw_bars(panel: Any, rows: Sequence[PeerRow], peers: Sequence[str]) -> None:
    shown = [(row, ratio) for row in rows if (ratio := peer_ratio(row)) is not None]
    panel.barh(
        [peers.index(row.peer) for row, _ in shown],
        [ratio.median - 1 for _, ratio in shown],
        left=1.0,
        color=["#3b6ea5" if row.peer == peers[0] else "#b0b0b0" for row, _ in shown],
    )
    for row, ratio in shown:
        panel.text(1.0, peers.index(row.peer), f" {ratio.median:.2g}x", va="center", fontsize=7)
    panel.axvline(1.0, color="black", linewidth=1)
    panel.set_xscale("log")

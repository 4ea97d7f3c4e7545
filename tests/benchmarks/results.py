"""Hold what was measured as frozen values, and write and read them as JSON.

Guarantees: a report that is written and read again is equal to itself. Samples are kept
one by one, so medians, spreads and ratios can be computed anew from an old file.

>>> from tests.benchmarks.figures import RATE
>>> row = Row("tell", RATE, Backend.ASYNCIO, 10, ours=(3.0, 4.0), baseline=(2.0, 2.0))
>>> row.ratios, row.ratio.median
((1.5, 2.0), 1.75)
>>> report = Report(Header.of_this_process(rounds=2, quick=True), (row,))
>>> Report.from_json(report.to_json()) == report
True
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast, final

import cattrs
from attrs import Factory, field, frozen

from tests.benchmarks.figures import Metric, Spread, ratios
from tests.benchmarks.loops import Backend

FORMAT = 1
PACKAGES = ("anyio", "trio", "uvloop")


@final
@frozen
class Header:
    """Name the machine, the moment and the versions of one run.

    `load` is the system's load average of the minute before the run, 0 where the system
    keeps none: a machine that was busy already gives wide spreads. `targets` is the number of
    the issue whose targets the rows are judged by.
    """

    date: str
    python: str
    machine: str
    cpus: int
    load: float
    versions: Mapping[str, str]
    rounds: int
    quick: bool
    collector: bool = True
    targets: int = 3

    @classmethod
    def of_this_process(
        cls, *, rounds: int, quick: bool, collector: bool = True, targets: int = 3
    ) -> Header:
        """Describe the present interpreter and machine."""
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            python=f"{platform.python_implementation()} {platform.python_version()}",
            machine=f"{platform.system()} {platform.machine()}",
            cpus=os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
            versions={package: _version_of(package) for package in PACKAGES},
            rounds=rounds,
            quick=quick,
            collector=collector,
            targets=targets,
        )


@final
@frozen
class Row:
    """Hold the samples of one metric of one workload on one backend.

    Sample k of each side was taken in round k.
    """

    workload: str
    metric: Metric
    backend: Backend
    size: int
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    references: Mapping[str, tuple[float, ...]] = field(default=Factory(dict[str, Any]))

    @property
    def label(self) -> str:
        """Name the workload together with the metric, if it has several."""
        return f"{self.workload} {self.metric.name}".rstrip()

    @property
    def ratios(self) -> tuple[float, ...]:
        """Compare ours with the baseline pair by pair; above 1 is better than asyncio."""
        return ratios(self.metric, self.ours, self.baseline)

    @property
    def ratio(self) -> Spread:
        """Summarize the ratios."""
        return Spread.of(self.ratios)

    def ratio_to(self, label: str) -> Spread:
        """Summarize the ratios to a reference; raises `KeyError` for an unknown one."""
        return Spread.of(ratios(self.metric, self.ours, self.references[label]))


@final
@frozen
class Failure:
    """Say which program of a workload failed, and how."""

    workload: str
    backend: Backend
    side: str
    error: str


@final
@frozen
class Finding:
    """Hold what one study found on one loop; `most` is the target, None where there is none.

    Sample k was taken in round k; the target binds the median.

    >>> Finding("load", "ask p99", "trio", "ms", (2.0, 9.0, 3.0), most=5.0).verdict
    'ok'
    """

    study: str
    what: str
    backend: str
    unit: str
    samples: tuple[float, ...]
    most: float | None = None

    @property
    def verdict(self) -> str:
        """Give "ok" or "miss", and nothing where there is no target."""
        if self.most is None:
            return ""
        return "ok" if Spread.of(self.samples).median <= self.most else "miss"


@final
@frozen
class Point:
    """Hold what one operation cost at one size, in microseconds, for us and by hand."""

    size: int
    ours: tuple[float, ...]
    baseline: tuple[float, ...] = ()


@final
@frozen
class Curve:
    """Hold the cost of one operation against one size; `axis` names what is counted."""

    name: str
    axis: str
    backend: Backend
    points: tuple[Point, ...]


@final
@frozen
class PeerRow:
    """Hold the samples of one workload of one peer, or why there are none.

    `baseline` was measured in the same process, so in the peer's own interpreter. Rates are per
    second, a restart is in microseconds.
    """

    peer: str
    version: str
    python: str
    workload: str
    ours: tuple[float, ...] = ()
    baseline: tuple[float, ...] = ()
    missing: str = ""


@final
@frozen
class Report:
    """Hold all that one run measured."""

    header: Header
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    findings: tuple[Finding, ...] = ()
    curves: tuple[Curve, ...] = ()
    peers: tuple[PeerRow, ...] = ()

    def to_json(self) -> str:
        """Write the report as JSON, every sample included."""
        return json.dumps({"format": FORMAT} | cattrs.unstructure(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a report.

        Raises `ValueError` when the text is not JSON, or not a report of this format.
        """
        data: Any = json.loads(text)
        if not _is_of_this_format(data):
            raise ValueError(f"not a benchmark report of format {FORMAT}")
        try:
            return cattrs.structure(data, cls)
        except cattrs.BaseValidationError as error:
            problems = "; ".join(cattrs.transform_error(error))
            raise ValueError(f"not a benchmark report: {problems}") from error


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _is_of_this_format(data: object) -> bool:
    return isinstance(data, dict) and cast("dict[str, object]", data).get("format") == FORMAT

"""Turn samples into medians, spreads and ratios; pure functions over numbers.

Guarantees: a ratio above 1 always means that ours is better, for rates (where more
is better) and for costs (where less is better) alike, and ratios are taken pair by
pair: sample k of ours against sample k of the baseline, which ran next to it.

>>> COST = Metric("p50", Unit.MICROSECONDS)
>>> ratios(COST, ours=[50.0, 40.0], baseline=[100.0, 100.0])
(2.0, 2.5)
>>> show(2_412_000.0, Unit.PER_SECOND), show(52.3, Unit.MICROSECONDS)
('2.41 M/s', '52.3 us')
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from statistics import median
from time import perf_counter
from typing import Self, final

from attrs import frozen


class Unit(StrEnum):
    """Name what a number counts; the unit decides whether more is better."""

    PER_SECOND = "/s"
    MICROSECONDS = "us"
    KIBIBYTES = "KiB"

    @property
    def more_is_better(self) -> bool:
        """Tell rates, of which more is better, from costs."""
        return self is Unit.PER_SECOND


@final
@frozen
class Metric:
    """Name one number that a workload gives; `name` is empty when it is the only one."""

    name: str
    unit: Unit


RATE = Metric("", Unit.PER_SECOND)


@final
class Stopwatch:
    """The seconds of a `with` block, by a `clock`; default: those of the clock on the wall."""

    __slots__ = ("_clock", "_started", "seconds")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock

    def __enter__(self) -> Self:
        self._started = self._clock()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._clock() - self._started

    def rate(self, number: int) -> float:
        """Give so many of them a second."""
        return number / self.seconds

    def each(self, number: int) -> float:
        """Give the time for each of so many, in us."""
        return self.seconds / number * 1e6


@final
@frozen
class Spread:
    """Hold the median of some samples and how far they lie apart."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Summarize samples; raises `ValueError` when there are none."""
        if not samples:
            raise ValueError("a spread needs at least one sample")
        return cls(median(samples), min(samples), max(samples))

    def overlaps(self, other: Spread) -> bool:
        """Tell whether the two ranges share a value, so that a change may be chance."""
        return self.lowest <= other.highest and other.lowest <= self.highest


def ratios(metric: Metric, ours: Sequence[float], baseline: Sequence[float]) -> tuple[float, ...]:
    """Compare pair by pair; above 1 means that ours is better.

    Raises `ValueError` when the two sides have different numbers of samples.
    """
    pairs = zip(ours, baseline, strict=True)
    if metric.unit.more_is_better:
        return tuple(mine / theirs for mine, theirs in pairs)
    return tuple(theirs / mine for mine, theirs in pairs)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Give the nearest-rank percentile: the least sample that `percent` of them do not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.0
    """
    ordered = sorted(samples)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def digits(value: float) -> str:
    """Write a number with three significant digits, the zeros at its end included.

    >>> digits(412.3), digits(41.23), digits(4.0), digits(0.5967)
    ('412', '41.2', '4.00', '0.597')
    """
    for floor, decimals in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= floor:
            return f"{value:.{decimals}f}"
    return f"{value:.3f}"


def show(value: float, unit: Unit) -> str:
    """Write a number with three significant digits and its unit."""
    if unit is not Unit.PER_SECOND:
        return f"{digits(value)} {unit}"
    for factor, prefix in ((1e6, " M"), (1e3, " k")):
        if value >= factor:
            return f"{digits(value / factor)}{prefix}{unit}"
    return f"{digits(value)} {unit}"

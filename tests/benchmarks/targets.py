"""Say what must be reached, and judge rows by it.

Guarantees: a target is judged by the median alone. It binds on asyncio; on the other
loops the same comparison is made for information, and shown in parentheses.

>>> from tests.benchmarks.figures import RATE
>>> from tests.benchmarks.loops import Backend
>>> row = Row("tell", RATE, Backend.ASYNCIO, 10, ours=(3.0,), baseline=(2.0,))
>>> target = target_of(row)
>>> target.text, target.verdict(row)
('>= 1x', 'ok')
"""

from __future__ import annotations

from typing import final

from attrs import frozen

from tests.benchmarks.figures import Spread
from tests.benchmarks.loops import Backend
from tests.benchmarks.results import Row


@final
@frozen
class Target:
    """Bind a metric of a workload: its ratio from below, or its own value from above.

    Exactly one of `least_ratio` and `most` is given; `most` is in the unit of the metric.
    """

    least_ratio: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def text(self) -> str:
        """Write the target as it stands in the table."""
        if self.most is not None:
            return f"<= {self.most:g} {self.unit}"
        return f">= {self.least_ratio:g}x"

    def is_met_by(self, row: Row) -> bool:
        """Compare the row's median with the target."""
        if self.most is not None:
            return Spread.of(row.ours).median <= self.most
        return self.least_ratio is not None and row.ratio.median >= self.least_ratio

    def verdict(self, row: Row) -> str:
        """Give "ok" or "miss", in parentheses where the target does not bind."""
        word = "ok" if self.is_met_by(row) else "miss"
        return word if row.backend is Backend.ASYNCIO else f"({word})"


# A target that was set for a message or a question, whatever its handler, binds both kinds.
TARGETS = {
    "tell": Target(least_ratio=1.0),
    "tell_async": Target(least_ratio=1.0),
    "ask": Target(least_ratio=0.6),
    "ask_async": Target(least_ratio=0.6),
    "spawn_stop": Target(least_ratio=0.35),
    "memory": Target(most=8.0, unit="KiB"),
    "memory_100k": Target(most=8.0, unit="KiB"),
    "restart p50": Target(most=150.0, unit="us"),
}


def target_of(row: Row) -> Target | None:
    """Find the target of a row by its label, None if it has none."""
    return TARGETS.get(row.label)

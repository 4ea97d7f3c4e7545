"""Say what must be reached, and judge rows by it.

Guarantees: a target is judged by the median alone. It binds on asyncio, or on the loop for which it
was set; on the others the same comparison is made for information, and shown in parentheses.

>>> from tests.benchmarks.figures import RATE
>>> from tests.benchmarks.loops import Backend
>>> row = Row("tell", RATE, Backend.ASYNCIO, 10, ours=(3.0,), baseline=(2.0,))
>>> [(target_of(row, issue).text, target_of(row, issue).verdict(row)) for issue in TARGETS]
[('>= 1x', 'ok'), ('>= 2x', 'miss')]
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
    binds_on: Backend = Backend.ASYNCIO

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
        return word if row.backend is self.binds_on else f"({word})"


# By the number of the issue that set them. In the second, a target that was set for a message or a
# question binds both kinds of handlers.
TARGETS = {
    2: {
        "tell": Target(least_ratio=1.0),
        "tell_async": Target(least_ratio=1.0),
        "ask": Target(least_ratio=0.6),
        "ask_async": Target(least_ratio=0.6),
        "spawn_stop": Target(least_ratio=0.35),
        "memory": Target(most=8.0, unit="KiB"),
        "memory_100k": Target(most=8.0, unit="KiB"),
        "restart p50": Target(most=150.0, unit="us"),
    },
    3: {
        "tell": Target(least_ratio=2.0),
        "tell_async": Target(least_ratio=1.5),
        "ask": Target(least_ratio=5.0),
        "ask_async": Target(least_ratio=0.9),
        "ping_pong": Target(least_ratio=1.0),
        "fan_in": Target(least_ratio=1.2),
        "spawn_stop": Target(least_ratio=0.9),
        "memory": Target(most=5.0, unit="KiB"),
        "memory_100k": Target(most=5.0, unit="KiB"),
        "memory_awake": Target(most=5.0, unit="KiB"),
        "memory_awake_100k": Target(most=5.0, unit="KiB"),
        "memory_hibernated": Target(most=1.5, unit="KiB"),
        "memory_hibernated_100k": Target(most=1.5, unit="KiB"),
        "restart p50": Target(most=60.0, unit="us"),
        "restart p99": Target(most=200.0, unit="us"),
        "supervisor_10000 start": Target(most=40.0, unit="us"),
        "supervisor_100000 start": Target(most=40.0, unit="us"),
    },
}

# Where a loop other than asyncio has a target of its own, which then binds.
TARGETS_ON = {(3, "tell", Backend.TRIO): Target(least_ratio=1.2, binds_on=Backend.TRIO)}


def target_of(row: Row, issue: int = 3) -> Target | None:
    """Find the target that an issue sets for a row, None if it sets none."""
    own = TARGETS_ON.get((issue, row.label, row.backend))
    return own or TARGETS[issue].get(row.label)

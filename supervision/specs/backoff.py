"""How long a supervisor waits before it restarts a child again: exponential, with jitter.

A `Backoff` is a frozen value and its two methods are pure: they neither sleep nor read a
clock, and the randomness is passed in. So a supervisor carries the decision out, and a test
needs no time.

Guarantees:

- A delay is never negative and never above `maximum`, whatever the number of failures.
- Without jitter it is exactly `initial * factor ** (failures - 1)`, capped at `maximum`.
- With jitter (the default) it is drawn evenly between half of that value and the whole, so that
  children which failed together do not come back together, and none comes back at once.
- With a `seed` the draws of each child are the same in every run of the program: they depend
  on the seed and on the child's path alone, not on what other children do.

Worked example:

>>> growing = Backoff(0.5, 10.0, jitter=False)
>>> [growing.delay(failures, Random()) for failures in range(1, 8)]
[0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
>>> [Backoff(0.5, 10.0).delay(3, lambda: drawn) for drawn in (0.0, 0.5)]    # of 2.0
[1.0, 1.5]
>>> growing.failures_after(6, healthy=10.0), growing.failures_after(6, healthy=9.9)
(0, 6)
>>> seeded = Backoff(0.5, 10.0, seed=7)
>>> generator, again = seeded.generator("/shop/db"), seeded.generator("/shop/db")
>>> assert generator is not None and again is not None
>>> seeded.delay(3, generator) == seeded.delay(3, again)
True
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import final

from attrs import field, frozen

from supervision.errors import SpecError
from supervision.specs.checks import check_seconds, check_type

__all__ = ["Backoff"]


@final
@frozen
class Backoff:
    """Growing pauses between the restarts of one child.

    `initial` is the pause after the first failure and `maximum` the longest one, both in
    seconds; `factor` (default 2.0) is the growth from one failure to the next. `jitter`
    (default True) draws each pause evenly between half of the value so found and the whole. A child
    that stayed healthy for `reset_after` seconds (default None: as long as `maximum`) begins
    again at `initial`. `seed`, an int (default None), gives each child a generator of its
    own, made from seed and path; without it, children share that of their supervisor.

    A child with a backoff and no `max_restarts` is tried for ever: its restarts count in no budget.

    Raises `SpecError` when a number is not finite, `initial` or `reset_after` is not
    positive, `maximum` is below `initial`, `factor` is below 1, `jitter` is not a bool, or
    `seed` is neither an int nor None.

    The scheme is "equal jitter" from "Exponential Backoff And Jitter", AWS Architecture
    Blog, 2015.
    """

    initial: float
    maximum: float
    factor: float = field(default=2.0, kw_only=True)
    jitter: bool = field(default=True, kw_only=True)
    reset_after: float | None = field(default=None, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check the fields in order; the first bad one is reported."""
        check_seconds("Backoff", "initial", self.initial)
        check_seconds("Backoff", "maximum", self.maximum)
        if self.maximum < self.initial:
            raise _wrong("maximum", f"{self.maximum!r} is below initial, which is {self.initial!r}")
        check_seconds("Backoff", "factor", self.factor, "a number >= 1")
        if self.factor < 1:
            raise _wrong("factor", f"{self.factor!r} is below 1; pauses must not shrink")
        check_type("Backoff", "jitter", bool, self.jitter, "True or False")
        if self.reset_after is not None:
            check_seconds("Backoff", "reset_after", self.reset_after, "seconds > 0 or None")
        if self.seed is not None and (
            isinstance(self.seed, bool) or not isinstance(self.seed, int)  # pyright: ignore[reportUnnecessaryIsInstance]
        ):
            raise _wrong("seed", f"{self.seed!r} is not an int; give an int or None")

    def delay(self, failures: int, random: Random | Callable[[], float]) -> float:
        """Give the pause in seconds after this many failures in a row.

        `random` is a `random.Random` or a callable that gives numbers in [0, 1); it is
        used only with jitter. Zero failures need no pause: the answer is 0.0.
        """
        if failures < 1:
            return 0.0
        cap = self._cap(failures)
        if not self.jitter:
            return cap
        drawn = random.random() if isinstance(random, Random) else random()
        return cap * (0.5 + drawn / 2)

    def generator(self, path: str) -> Random | None:
        """Make the generator of the child at `path`; None without a seed.

        Two calls with one path give generators with the same numbers, also in different
        processes.
        """
        # A text, not its hash: Python salts the hashes of texts anew for each process.
        return None if self.seed is None else Random(f"{self.seed} {path}")

    def failures_after(self, failures: int, healthy: float) -> int:
        """Give the failures that still count when the child had been up `healthy` seconds.

        That is 0 from `reset_after` seconds on, and `failures` before.
        """
        enough = self.maximum if self.reset_after is None else self.reset_after
        return 0 if healthy >= enough else failures

    def _cap(self, failures: int) -> float:
        if self.factor == 1:
            return float(self.initial)
        try:
            grown = self.initial * float(self.factor) ** (failures - 1)
        except OverflowError:
            # Beyond the largest float is beyond `maximum`, which is finite.
            return float(self.maximum)
        return min(grown, float(self.maximum))


def _wrong(name: str, problem: str) -> SpecError:
    return SpecError("Backoff", name, problem)

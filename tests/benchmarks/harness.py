"""Measure workloads in rounds: ours and the baseline in turn, pair by pair.

Guarantees:
- In each round, each side of a pair runs once on a fresh loop, right after the other;
  every other round begins with the other side, so a machine that slows down or speeds
  up harms both alike.
- All backends take part in every round. One small round that is not counted comes first.
- A workload whose program raises, also because its result was wrong, has failed and has
  no numbers; the others are measured all the same.

>>> from tests.benchmarks.figures import RATE
>>> workload = Workload(
...     name="nothing", summary="do nothing", metrics=(RATE,), size=10,
...     ours=lambda backend, size: (2.0 * size,),
...     baseline=lambda backend, size: (1.0 * size,),
... )
>>> outcome = measure(workload, [Backend.ASYNCIO], Settings(rounds=2))
>>> outcome.rows[0].ratios
(2.0, 2.0)
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal, TypeAlias, final

from attrs import frozen

from tests.benchmarks.figures import Metric
from tests.benchmarks.loops import Backend, run
from tests.benchmarks.results import Failure, Row

Samples: TypeAlias = tuple[float, ...]
"""One number for each metric of a workload."""

Probe: TypeAlias = Callable[[Backend, int], Samples]
"""Do a workload of a size once, for a row of a backend."""

WARM_UP_SHARE = 20
OURS = "ours"
BASELINE = "baseline"


@final
@frozen
class Reference:
    """Add a further hand-written program that is measured next to the baseline."""

    label: str
    probe: Probe
    backends: tuple[Backend, ...] = tuple(Backend)


@final
@frozen(kw_only=True)
class Workload:
    """Describe what is measured against what.

    - `size`: how many operations a sample has; divided in a quick run, but `fixed_size`
      stays, for workloads whose size is their subject.
    - `most_rounds`: an upper limit of rounds, default None, for costly ones that hardly vary.
    - `isolated`: default False; True if each sample has a process of its own, so that
      there is nothing to warm up.
    - `included`: "always", or "full" to be left out of quick runs, or "named" to run only
      when it is asked for by name.
    """

    name: str
    summary: str
    metrics: tuple[Metric, ...]
    size: int
    ours: Probe
    baseline: Probe
    references: tuple[Reference, ...] = ()
    fixed_size: bool = False
    most_rounds: int | None = None
    isolated: bool = False
    included: Literal["always", "full", "named"] = "always"


@final
@frozen
class Settings:
    """Say how thoroughly to measure.

    `rounds` is the number of pairs, `divisor` what the sizes are divided by. Without
    `collector`, cyclic garbage is not collected during a sample; a cost that grows with
    the number of live objects only while it is on is the collector's.
    """

    rounds: int = 7
    divisor: int = 1
    collector: bool = True

    def size_of(self, workload: Workload) -> int:
        """Give the number of operations of one sample, at least ten."""
        if workload.fixed_size:
            return workload.size
        return max(10, workload.size // self.divisor)

    def rounds_of(self, workload: Workload) -> int:
        """Give the number of pairs."""
        return min(self.rounds, workload.most_rounds or self.rounds)


@final
@frozen
class Outcome:
    """Hold the rows of one workload, or why there are none for a backend."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]


def in_loop(program: Callable[[int], Awaitable[Samples]]) -> Probe:
    """Run a program on the row's own loop."""
    return lambda backend, size: run(backend, program, size)


def in_asyncio(program: Callable[[int], Awaitable[Samples]]) -> Probe:
    """Run an asyncio program on the row's own loop, or on asyncio's for a row of trio."""
    return lambda backend, size: run(asyncio_of(backend), program, size)


def asyncio_of(backend: Backend) -> Backend:
    """Give the loop on which a row's asyncio baseline runs."""
    return Backend.ASYNCIO if backend is Backend.TRIO else backend


def measure(
    workload: Workload,
    backends: Sequence[Backend],
    settings: Settings,
    progress: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Measure one workload on each backend; `progress` gets a word before each round.

    Catches every `Exception` of a program and keeps it as a failure.
    """
    runs = [_Run(workload, backend, settings.collector) for backend in backends]
    size, rounds = settings.size_of(workload), settings.rounds_of(workload)
    if not workload.isolated:
        progress("warming up")
        for each in runs:
            each.warm_up(max(10, size // WARM_UP_SHARE))
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for each in runs:
            each.take_pair(size, backwards=number % 2 == 1)
    return Outcome(
        rows=tuple(row for each in runs for row in each.rows(size)),
        failures=tuple(each.failure for each in runs if each.failure is not None),
    )


class _Run:
    """Collect the samples of one workload on one backend until a program fails."""

    def __init__(self, workload: Workload, backend: Backend, collector: bool) -> None:
        self.workload = workload
        self.backend = backend
        self.collector = collector
        self.failure: Failure | None = None
        self.probes = {OURS: workload.ours, BASELINE: workload.baseline} | {
            reference.label: reference.probe
            for reference in workload.references
            if backend in reference.backends
        }
        self.samples: dict[str, list[Samples]] = {label: [] for label in self.probes}

    def warm_up(self, size: int) -> None:
        for label in self.probes:
            self._take(label, size)

    def take_pair(self, size: int, *, backwards: bool) -> None:
        for label in reversed(self.probes) if backwards else self.probes:
            sample = self._take(label, size)
            if sample is not None:
                self.samples[label].append(sample)

    def _take(self, label: str, size: int) -> Samples | None:
        if self.failure is not None:
            return None
        try:
            with nullcontext() if self.collector else _without_collector():
                return self.probes[label](self.backend, size)
        except Exception as error:
            traceback.print_exc()
            self.failure = Failure(
                workload=self.workload.name,
                backend=self.backend,
                side=label,
                error="".join(traceback.format_exception_only(error)).strip(),
            )
            return None

    def rows(self, size: int) -> list[Row]:
        if self.failure is not None:
            return []
        return [
            Row(
                workload=self.workload.name,
                metric=metric,
                backend=self.backend,
                size=size,
                ours=self._numbers(OURS, position),
                baseline=self._numbers(BASELINE, position),
                references={
                    label: self._numbers(label, position)
                    for label in self.probes
                    if label not in (OURS, BASELINE)
                },
            )
            for position, metric in enumerate(self.workload.metrics)
        ]

    def _numbers(self, label: str, position: int) -> tuple[float, ...]:
        return tuple(sample[position] for sample in self.samples[label])


@contextmanager
def _without_collector() -> Generator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

"""Running trees that become others, and what is told of how they were stopped."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve

from supervision import ChildSpec, StopReport, SupervisorSpec
from supervision.application import StepOutcome, StoppedProc
from tests.kit.stage import Stage
from tests.kit.workers import Life, Worker

Spec = ChildSpec[Any]


class Other(Worker):
    """Be a worker of another class."""


def top(*children: Spec, **options: Any) -> SupervisorSpec:
    """Make a tree."""
    return SupervisorSpec("top", children, **options)


def other(spec: Spec, kind: type[Worker] = Other) -> Spec:
    """Return the spec with another start."""
    assert isinstance(spec.start, partial)
    return evolve(spec, start=partial(kind, *spec.start.args))


async def apply(stage: Stage, new: Spec) -> list[str]:
    """Apply a tree; returns what was done, having checked that a dry run foretells it."""
    plan = await stage.app.apply(new, dry_run=True)
    assert {result.outcome for result in plan.results} <= {StepOutcome.PLANNED}
    report = await stage.app.apply(new)
    assert report.steps == plan.steps
    assert report.went_well, report
    assert report.done == report.steps
    return [str(step) for step in report.steps]


async def life(stage: Stage, id: str) -> int:
    """Ask a worker which incarnation it is."""
    return await stage.refs[id].ask(Life())


def paths(report: StopReport | None) -> list[str]:
    """List what was stopped, in order, below the root."""
    assert report is not None
    return [proc.path.removeprefix("/top/") for proc in report.stopped]


def proc(report: StopReport | None, id: str) -> StoppedProc:
    """Return the one entry of a proc."""
    assert report is not None
    (found,) = (entry for entry in report.stopped if entry.path == f"/top/{id}")
    return found

"""Make a running tree into another one, step by step, and report what became of each.

`Application.apply` looks at the tree as it runs, has `diff` list the steps to the new one, and asks
the supervisors for one after the other. A step that fails does not undo those before it.

==============================  ===================================================================
when a child does not start     what becomes of the rest
==============================  ===================================================================
under one_for_one               goes on: its siblings do not need it
under another strategy          later starts under this supervisor are left out
in any case                     the next `apply` of the same tree tries again what was not started
==============================  ===================================================================

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec, serve
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> def tree(*ids: str) -> SupervisorSpec:
...     return SupervisorSpec("shop", [ChildSpec(id, task(work)) for id in ids])
>>> async def main() -> None:
...     async with serve(tree("db", "web")) as app:
...         print(await app.apply(tree("db", "cache"), dry_run=True))
...         print((await app.apply(tree("db", "cache"))).went_well)
>>> anyio.run(main)
/shop would change in 2 steps
planned: stop /shop/web: not in the new tree
planned: start /shop/cache: new
True

That a declared tree is compared with the running one, and only the difference carried out, is the
way of Kubernetes' controllers; to show the plan first is Terraform's.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, final

from attrs import frozen

from actors import ActorError, ActorSystem, AnyRef, ProcExited
from supervision.application.diff import Running, diff, new_specs
from supervision.application.steps import ReorderStep, StartStep, Step, StopStep, UpdateStep
from supervision.describe import describe_error
from supervision.errors import ChildNotFound, SpecError, SupervisionError
from supervision.specs import ChildSpec, DynamicSupervisorSpec, Strategy, SupervisorSpec, walk
from supervision.supervisors import (
    Arrange,
    Branch,
    BringUp,
    Change,
    ChildState,
    Reconfigure,
    Retire,
    change,
    inspect,
)

__all__ = ["ApplyReport", "StepOutcome", "StepReport", "apply_tree", "check_root"]


@final
class StepOutcome(StrEnum):
    """What became of a step: it was only listed, done, failed, or left out after a failure."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "left out"


@final
@frozen
class StepReport:
    """One step and what became of it; `error` says why it failed."""

    step: Step
    outcome: StepOutcome
    error: Exception | None = None

    def __str__(self) -> str:
        why = "" if self.error is None else f" ({describe_error(self.error)})"
        return f"{self.outcome}: {self.step}{why}"


@final
@frozen
class ApplyReport:
    """What was done to the running tree with root `path`, step by step.

    `str` gives a summary and a line for each step.
    """

    path: str
    results: tuple[StepReport, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return all steps, in their order; none when nothing differed."""
        return tuple(result.step for result in self.results)

    @property
    def done(self) -> tuple[Step, ...]:
        """Return the steps that were done."""
        return self._with(StepOutcome.DONE)

    @property
    def failed(self) -> tuple[tuple[Step, Exception], ...]:
        """Return the steps that failed, each with its error."""
        return tuple(
            (result.step, result.error) for result in self.results if result.error is not None
        )

    @property
    def left_out(self) -> tuple[Step, ...]:
        """Return the steps that were not tried, because of one that failed."""
        return self._with(StepOutcome.LEFT_OUT)

    @property
    def went_well(self) -> bool:
        """Tell whether no step failed, so that none was left out."""
        return not self.failed

    def __str__(self) -> str:
        return "\n".join([f"{self.path} {self._summary()}", *map(str, self.results)])

    def _summary(self) -> str:
        count = len(self.results)
        steps = "1 step" if count == 1 else f"{count} steps"
        if not count:
            return "is as it should be"
        if all(result.outcome is StepOutcome.PLANNED for result in self.results):
            return f"would change in {steps}"
        if self.went_well:
            return f"changed in {steps}"
        left = len(self.left_out)
        return f"changed in part: of {steps}, {len(self.failed)} failed and {left} were left out"

    def _with(self, outcome: StepOutcome) -> tuple[Step, ...]:
        return tuple(result.step for result in self.results if result.outcome is outcome)


def check_root(old: ChildSpec[Any], new: ChildSpec[Any]) -> None:
    """Refuse a tree that a running one cannot become. Raises SpecError."""
    if new.id != old.id:
        raise SpecError(
            new.id, "id", f"the running tree is {old.id!r}; another one cannot take over"
        )
    if type(new) is not type(old) or not isinstance(new, SupervisorSpec | DynamicSupervisorSpec):
        kinds = f"{type(old).__name__} cannot become a {type(new).__name__}"
        raise SpecError(new.id, "kind", f"a running {kinds}; start a new tree")
    if new.name != old.name:
        raise SpecError(new.id, "name", "the root keeps its name; put it below another root")


async def apply_tree(
    system: ActorSystem, root: AnyRef, new: ChildSpec[Any], *, dry_run: bool
) -> ApplyReport:
    """Change the tree below `root` into `new`. Raises ProcExited when the root has ended."""
    tree = await _look(system, root)
    steps = diff(tree, new)
    if dry_run:
        return ApplyReport(
            root.path, tuple(StepReport(step, StepOutcome.PLANNED) for step in steps)
        )
    return await _Execution(system, root.path, tree, new, steps).run()


# -- looking --------------------------------------------------------------------------------------


async def _look(system: ActorSystem, root: AnyRef) -> Running:
    """Ask all supervisors how they stand; a tree may be deeper than Python's stack."""
    branches: dict[str, Branch | None] = {root.path: await inspect(root)}
    waiting = [root.path]
    while waiting:
        path = waiting.pop()
        branch = branches[path]
        for spec, state in () if branch is None else branch.children:
            below = f"{path}/{spec.id}"
            if isinstance(spec, SupervisorSpec) and state is ChildState.RUNNING:
                branches[below] = await _branch(system, below)
                waiting.append(below)
    done: dict[str, Running] = {}
    for path, branch in reversed(branches.items()):
        if branch is not None:
            children = tuple(
                _child(f"{path}/{spec.id}", spec, state, done, branches)
                for spec, state in branch.children
            )
            done[path] = Running(
                branch.spec, ChildState.RUNNING, children, branch.unstarted, branch.unstopped
            )
    return done[root.path]


def _child(
    path: str,
    spec: ChildSpec[Any],
    state: ChildState,
    done: dict[str, Running],
    branches: dict[str, Branch | None],
) -> Running:
    if path in done:
        return done.pop(path)
    # One that did not answer has just ended: its supervisor is about to restart it.
    return Running(spec, ChildState.RESTARTING if path in branches else state)


async def _branch(system: ActorSystem, path: str) -> Branch | None:
    ref = system.find(path)
    try:
        return None if ref is None else await inspect(ref)
    except ProcExited:
        return None


# -- doing ----------------------------------------------------------------------------------------


@final
class _Execution:
    """One run through the steps of a diff.

    First every supervisor on the way to a difference is given its new spec, from the root down; so
    whichever of them restarts from here on comes up with the new tree. Then come the stops,
    then the starts, and at last each supervisor is asked to arrange its children in order.
    """

    def __init__(
        self,
        system: ActorSystem,
        root: str,
        tree: Running,
        new: ChildSpec[Any],
        steps: tuple[Step, ...],
    ) -> None:
        self._system = system
        self._root = root
        self._new_specs = new_specs(tree, new, steps)
        self._specs = {f"/{path}": spec for path, spec in walk(new)}
        self._steps = steps
        self._results: dict[int, StepReport] = {}
        self._broken: dict[str, Exception] = {}

    async def run(self) -> ApplyReport:
        """Carry out all steps that can be."""
        for new in self._new_specs:
            error = await self._ask(new.path, Reconfigure(new.spec, new.start, new.stop))
            if error is not None:
                self._broken[new.path] = error
        for number, step in enumerate(self._steps):
            if isinstance(step, UpdateStep | ReorderStep):
                self._note(number, self._in_place(step))
            elif isinstance(step, StopStep):
                self._note(number, await self._ask(step.parent, Retire(step.id, step.spec)))
        await self._start_all()
        results = tuple(self._results[number] for number in range(len(self._steps)))
        return ApplyReport(self._root, results)

    async def _start_all(self) -> None:
        """Start in order; after a failure leave out those who may need the one that failed."""
        unstopped = {
            result.step.path for result in self._results.values() if result.error is not None
        }
        shut: set[str] = set()
        parents: dict[str, None] = {}
        for number, step in self._starts():
            parents[step.parent] = None
            if step.parent in shut or step.path in unstopped:
                self._results[number] = StepReport(step, StepOutcome.LEFT_OUT)
                continue
            error = await self._ask(step.parent, BringUp(step.spec))
            self._note(number, error)
            if error is not None and not self._independent(step.parent):
                shut.add(step.parent)
        for path in parents:
            await self._ask(path, Arrange())  # each was started last in the order

    def _starts(self) -> Iterator[tuple[int, StartStep]]:
        for number, step in enumerate(self._steps):
            if isinstance(step, StartStep):
                yield number, step

    def _independent(self, path: str) -> bool:
        spec = self._specs.get(path)
        return isinstance(spec, SupervisorSpec) and spec.strategy is Strategy.ONE_FOR_ONE

    def _in_place(self, step: Step) -> Exception | None:
        """Tell whether those who were to take new options in place have done so."""
        own = self._broken.get(step.path)
        return own if isinstance(step, ReorderStep) or own else self._broken.get(step.parent)

    def _note(self, number: int, error: Exception | None) -> None:
        outcome = StepOutcome.DONE if error is None else StepOutcome.FAILED
        self._results[number] = StepReport(self._steps[number], outcome, error)

    async def _ask(self, path: str, step: Change) -> Exception | None:
        """Ask a supervisor for a step; returns why that failed."""
        ref = self._system.find(path)
        if ref is None:
            return ChildNotFound(path)
        try:
            await change(ref, step)
        except (ActorError, SupervisionError) as error:
            return error
        return None

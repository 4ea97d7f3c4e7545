"""Specs of supervisors: trees as frozen data.

A tree is a `SupervisorSpec` whose children are `ChildSpec`s, further supervisor specs among them.

==========================  ===================================================================
spec                        its children
==========================  ===================================================================
`SupervisorSpec`            are declared, start in order, stop in reverse order
`DynamicSupervisorSpec`     come and go at run time, stop all at once
`TaskSupervisorSpec`        are calls of coroutine functions, made at run time (`Tasks`)
`PartitionSupervisorSpec`   are n copies of one spec, each for its share of the keys
`PoolSpec` (`pool`)         are n workers that share one queue of jobs
==========================  ===================================================================

Guarantees:

- A tree that cannot be meant raises `SpecError` when it is made, naming path and field: the
  supervisor's own options come before its children.
- `start` is derived: each call makes a supervisor of the spec. The code that runs it is loaded
  then, not before; a tree can be made, checked, compared and drawn without it.
- `check_child` holds the rules between a child and its supervisor: the same ones apply
  when a tree is made and when a running supervisor is asked to start one more child.

Worked example:

>>> from actors import CancellationToken, task
>>> from supervision.specs import ChildSpec
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> tree = SupervisorSpec(
...     "shop",
...     [
...         ChildSpec("db", task(work), shutdown=10.0),
...         SupervisorSpec("workers", [ChildSpec("w1", task(work), restart="transient")]),
...     ],
...     strategy="rest_for_one",
... )
>>> for path, spec in walk(tree):
...     print(path, spec.kind, spec.restart, spec.shutdown)
shop supervisor permanent INFINITY
shop/db worker permanent 10.0
shop/workers supervisor permanent INFINITY
shop/workers/w1 worker transient 5.0
>>> type(tree.start()).__name__
'Supervisor'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, TypeGuard, cast, final

from attrs import Factory, field, frozen

from actors import Mailbox, Proc
from supervision.errors import SpecError
from supervision.specs.checks import check_count, check_seconds, check_word, show_typed
from supervision.specs.child import ChildSpec, Kind, check_options
from supervision.specs.options import (
    INFINITY,
    AutoShutdown,
    ShutdownPolicy,
    Strategy,
    WhenSpent,
    as_auto_shutdown,
    as_shutdown,
    as_strategy,
)
from supervision.specs.watchdog import Watchdog

__all__ = [
    "AnySupervisorSpec",
    "DynamicSupervisorSpec",
    "SupervisorSpec",
    "TaskSupervisorSpec",
    "check_child",
    "walk",
]


def _make(spec: AnySupervisorSpec) -> Proc[Any]:
    """Make a supervisor of a spec, loading the class that runs it if need be."""
    module, _, name = spec.run_by.partition(":")
    runner: Callable[[AnySupervisorSpec], Proc[Any]] = getattr(import_module(module), name)
    return runner(spec)


def _derived_start(spec: AnySupervisorSpec) -> Callable[[], Proc[Any]]:
    return partial(_make, spec)


@frozen(repr=False)
class AnySupervisorSpec(ChildSpec[Any]):
    """What the kinds of supervisor have in common: a budget, and a start that is derived.

    A kind of its own derives from this and names the class that runs it in `run_by`.
    """

    run_by: ClassVar[str]
    """The class that is called with such a spec, as "module:name".

    A name rather than the class: that stands on a higher floor, which specs must not import, and
    most who make a tree (to check it, or to draw it) never run it.
    """

    # Left out of equality and hash: it follows from the rest, and it holds the spec itself.
    start: Callable[[], Proc[Any]] = field(
        init=False, eq=False, default=Factory(_derived_start, takes_self=True)
    )
    shutdown: float | ShutdownPolicy = field(default=INFINITY, converter=as_shutdown, kw_only=True)
    # A bounded mailbox could lose requests of management, so it is no option here.
    mailbox: Mailbox = field(init=False, default=Mailbox())
    # A supervisor waits for as long as its children were promised: that is not hanging.
    watchdog: Watchdog | None = field(init=False, default=None)
    max_restarts: int = field(default=3, kw_only=True)
    max_seconds: float = field(default=5.0, kw_only=True)

    @property
    def kind(self) -> Kind:
        """Tell that this is a "supervisor"."""
        return "supervisor"

    def __attrs_post_init__(self) -> None:
        """Check the options in order; the first wrong one is reported."""
        check_options(self)
        check_count(self.id, "max_restarts", self.max_restarts, least=0)
        check_seconds(self.id, "max_seconds", self.max_seconds)
        check_word(self.id, "when_spent", WhenSpent, self.when_spent)
        if self.when_spent is not WhenSpent.ESCALATE:
            problem = "'park' is for a worker's own budget; a supervisor's is that of its children"
            raise SpecError(self.id, "when_spent", problem + ", so leave it out")


def _as_children(value: Sequence[ChildSpec[Any]]) -> tuple[ChildSpec[Any], ...]:
    return tuple(value) if _is_ordered(value) else cast("tuple[ChildSpec[Any], ...]", value)


def _is_ordered(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


@final
@frozen(repr=False)
class SupervisorSpec(AnySupervisorSpec):
    """A supervisor and its children, which start in the order given.

    - `children`: specs with different ids, default none; kept as a tuple.
    - `strategy`: default `Strategy.ONE_FOR_ONE`.
    - `max_restarts`, `max_seconds`: the budget of restarts for all children together,
      default 3 (at least 0) in 5.0 seconds; one more and the supervisor gives up. It cannot
      be parked, so `when_spent` is no option here.
    - `auto_shutdown`: default `AutoShutdown.NEVER`.

    The rest is as in `ChildSpec`, but that `shutdown` is `INFINITY` by default, so that the
    children get all the time they were promised, and `start` and `mailbox` are not options.

    Raises `SpecError` as `ChildSpec` does, and when a child is no spec, has the id of an
    earlier one, or is significant under `AutoShutdown.NEVER`.
    """

    run_by = "supervision.supervisors:Supervisor"

    children: tuple[ChildSpec[Any], ...] = field(default=(), converter=_as_children)
    strategy: Strategy = field(default=Strategy.ONE_FOR_ONE, converter=as_strategy, kw_only=True)
    auto_shutdown: AutoShutdown = field(
        default=AutoShutdown.NEVER, converter=as_auto_shutdown, kw_only=True
    )

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return str(self.strategy)

    def drawn_notes(self) -> Iterator[str]:
        """Give what a drawing says of this kind alone."""
        if self.auto_shutdown is not AutoShutdown.NEVER:
            yield f"auto shutdown {self.auto_shutdown}"

    def __attrs_post_init__(self) -> None:
        """Check the supervisor's own options first, then its children in start order."""
        super().__attrs_post_init__()
        check_word(self.id, "strategy", Strategy, self.strategy)
        check_word(self.id, "auto_shutdown", AutoShutdown, self.auto_shutdown)
        _check_children(self.id, self.children, self.auto_shutdown)


@final
@frozen(repr=False)
class DynamicSupervisorSpec(AnySupervisorSpec):
    """A supervisor whose children come and go at run time and stop all at once.

    `max_children` (at least 0, default None: no limit) counts those that run or restart.
    The budget is as in `SupervisorSpec`, the rest as in `ChildSpec`; each child is
    restarted alone, and none of them can be significant.

    Raises `SpecError` as `ChildSpec` does, and when `max_children` is not an int >= 0.
    """

    run_by = "supervision.supervisors:DynamicSupervisor"

    max_children: int | None = field(default=None, kw_only=True)

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return "dynamic"

    def drawn_notes(self) -> Iterator[str]:
        """Give what a drawing says of this kind alone."""
        if self.max_children is not None:
            yield f"at most {self.max_children} {'child' if self.max_children == 1 else 'children'}"

    def __attrs_post_init__(self) -> None:
        """Check the options in order; the first wrong one is reported."""
        super().__attrs_post_init__()
        if self.max_children is not None:
            check_count(self.id, "max_children", self.max_children, least=0)


@final
@frozen(repr=False)
class TaskSupervisorSpec(AnySupervisorSpec):
    """A supervisor of one-off tasks.

    `max_tasks` (at least 0, default None: no limit) counts those that run or restart, each call of
    a map among them, but not the map itself. The budget, for tasks that are restarted, is as
    in `SupervisorSpec`, the rest as in `ChildSpec`.

    Raises `SpecError` as `ChildSpec` does, and when `max_tasks` is not an int >= 0.
    """

    run_by = "supervision.tasks:TaskSupervisor"

    max_tasks: int | None = field(default=None, kw_only=True)

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return "tasks"

    def drawn_notes(self) -> Iterator[str]:
        """Give what a drawing says of this kind alone."""
        if self.max_tasks is not None:
            yield f"at most {self.max_tasks} {'task' if self.max_tasks == 1 else 'tasks'}"

    def __attrs_post_init__(self) -> None:
        """Check the options in order; the first wrong one is reported."""
        super().__attrs_post_init__()
        if self.max_tasks is not None:
            check_count(self.id, "max_tasks", self.max_tasks, least=0)


def walk(spec: ChildSpec[Any]) -> Iterator[tuple[str, ChildSpec[Any]]]:
    """Go through a tree in start order, giving each spec with its path (`shop/workers/w1`).

    A supervisor comes before its children. The depth of the tree does not matter.
    """
    waiting = [(spec.id, spec)]
    while waiting:
        path, found = waiting.pop()
        yield path, found
        if isinstance(found, SupervisorSpec):
            below = [(f"{path}/{child.id}", child) for child in found.children]
            waiting.extend(reversed(below))


def check_child(spec: object, *, parent: str, auto_shutdown: AutoShutdown | None) -> None:
    """Check that a supervisor may have this child: the rules that concern them both.

    `parent` is the supervisor's path, `auto_shutdown` its setting; None stands for a
    dynamic supervisor, which has no such setting. What concerns the child alone was
    checked when the spec was made. Whether its id is free is the caller's question.

    Raises `SpecError` when `spec` is not a `ChildSpec`, or significant in vain.
    """
    if not _is_spec(spec):
        raise SpecError(parent, "spec", f"{show_typed(spec)} is not a ChildSpec")
    if not spec.significant:
        return
    path = f"{parent}/{spec.id}"
    if auto_shutdown is None:
        problem = "a dynamic supervisor never shuts down automatically; leave it out"
        raise SpecError(path, "significant", problem)
    if auto_shutdown is AutoShutdown.NEVER:
        problem = "means nothing under auto_shutdown 'never'; give the supervisor "
        raise SpecError(path, "significant", problem + "'any_significant' or 'all_significant'")


def _is_spec(value: object) -> TypeGuard[ChildSpec[Any]]:
    return isinstance(value, ChildSpec)


def _check_children(path: str, children: object, auto_shutdown: AutoShutdown) -> None:
    if not isinstance(children, tuple):
        problem = f"{show_typed(children)} is not a sequence; give a list of ChildSpecs"
        raise SpecError(path, "children", problem)
    seen: dict[str, int] = {}
    for index, child in enumerate(cast("tuple[object, ...]", children)):
        if not _is_spec(child):
            problem = f"item {index}, {show_typed(child)}, is not a ChildSpec"
            raise SpecError(path, "children", problem)
        if child.id in seen:
            problem = f"items {seen[child.id]} and {index} both have it; give each its own"
            raise SpecError(f"{path}/{child.id}", "id", problem)
        seen[child.id] = index
        check_child(child, parent=path, auto_shutdown=auto_shutdown)

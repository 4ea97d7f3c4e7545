"""Child specs: frozen data that says what a supervisor runs, and how.

A tree is a `SupervisorSpec` whose children are `ChildSpec`s, further supervisor specs
among them. Nothing runs when a spec is made; a supervisor reads it later.

Guarantees:

- A spec that cannot be meant raises `SpecError` when it is made, naming path and field. The
  first wrong option in order is reported, the supervisor's own before its children's.
- A spec never changes. It can be compared, printed, walked, varied with `attrs.evolve`, and
  hashed as far as its parts can be.
- `start` is called anew for every incarnation. For a supervisor spec it is derived.
- `check_child` holds the rules between a child and its supervisor: the same ones apply
  when a tree is made and when a running supervisor is asked to start one more child.

There are two budgets of restarts. Each attempt to restart a child is counted in both, the child's
own first; an attempt that exceeds it is not counted in the other.

==================================  ==========================================================
budget                              spent when more restarts are needed, and then
==================================  ==========================================================
`max_restarts`, `max_seconds` of a  its children needed more, all together: it stops what is
supervisor (default: 3 in 5 s)      left and exits; its own supervisor decides what follows
the same of a worker, default none  this child needed more, in a window as long as you like:
- `when_spent="escalate"`           its supervisor gives up, as with its own budget
- `when_spent="park"`               the child stays down, `PARKED`; its siblings go on
==================================  ==========================================================

A parked child's mail becomes dead letters and its askers fail at once. No round of its siblings
brings it back; `RestartChild` does, with an empty budget. For `ALL_SIGNIFICANT` it counts as gone,
but being parked never ends a supervisor by itself. Choose `ESCALATE` where the siblings are of no
use without the child, `PARK` where one customer's broken data must not stop the others.

Worked example:

>>> from actors import CancellationToken, task
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
>>> ChildSpec("db", task(work), start_timeout=0)
Traceback (most recent call last):
    ...
supervision.errors.SpecError: db: start_timeout: 0 is not positive; give seconds > 0 or None
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast, final

from attrs import NOTHING, Factory, field, fields, frozen

from actors import Mailbox, Name, Proc
from supervision.errors import SpecError, SupervisionError
from supervision.specs.backoff import Backoff
from supervision.specs.checks import (
    check_count,
    check_id,
    check_seconds,
    check_start,
    check_type,
    check_word,
    show,
    show_typed,
)
from supervision.specs.options import (
    INFINITY,
    AutoShutdown,
    Restart,
    ShutdownPolicy,
    Strategy,
    WhenSpent,
    as_auto_shutdown,
    as_restart,
    as_shutdown,
    as_strategy,
    as_when_spent,
)
from supervision.specs.watchdog import Watchdog

__all__ = [
    "AnySupervisorSpec",
    "ChildSpec",
    "DynamicSupervisorSpec",
    "Kind",
    "SupervisorSpec",
    "check_child",
    "walk",
]


M = TypeVar("M")
AnySpec = TypeVar("AnySpec", bound="ChildSpec[Any]")

Kind = Literal["worker", "supervisor"]
"""What a spec describes: a proc that works, or a supervisor."""


def _as_children(value: Sequence[ChildSpec[Any]]) -> tuple[ChildSpec[Any], ...]:
    return tuple(value) if _is_ordered(value) else cast("tuple[ChildSpec[Any], ...]", value)


def _is_ordered(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


@frozen(repr=False)
class ChildSpec(Generic[M]):
    """Describe one child of a supervisor.

    - `id`: its name among its siblings and in paths; not empty, without "/".
    - `start`: a factory, called anew for every incarnation: a `Proc` class, a `partial` of
      one, `task(f)` for a coroutine function, or any callable that makes a proc.
    - `restart`: default `Restart.PERMANENT`. The word itself ("transient") will do.
    - `shutdown`: seconds that it gets to stop before it is killed, default 5.0; `INFINITY`
      (also `math.inf`) or `BRUTAL_KILL`.
    - `significant`: default False; whether its end can end the supervisor (`AutoShutdown`).
    - `name`: a `Name` under which it is registered, default None.
    - `mailbox`: default `Mailbox()`, unbounded and kept across restarts.
    - `backoff`: a `Backoff` between restarts, default None: at once.
    - `start_timeout`: seconds that a start may take, default None: without limit.
    - `watchdog`: a `Watchdog` that says when it counts as hung, default None: never.

    - `max_restarts`: how often it alone may be restarted, at least 0, beside the budget of its
      supervisor; default None: as often as that one allows.
    - `max_seconds`: the window of that budget, default 5.0 when `max_restarts` is given.
    - `when_spent`: what follows when that is not enough, default `WhenSpent.ESCALATE`.

    Raises `SpecError` when an option has a wrong type or value, when the child is significant
    and permanent, which is the default, or when one of the last two options is given without
    `max_restarts`.
    """

    id: str
    start: Callable[[], Proc[M]]
    restart: Restart = field(default=Restart.PERMANENT, converter=as_restart, kw_only=True)
    shutdown: float | ShutdownPolicy = field(default=5.0, converter=as_shutdown, kw_only=True)
    significant: bool = field(default=False, kw_only=True)
    name: Name[M] | None = field(default=None, kw_only=True)
    mailbox: Mailbox = field(default=Mailbox(), kw_only=True)
    backoff: Backoff | None = field(default=None, kw_only=True)
    start_timeout: float | None = field(default=None, kw_only=True)
    watchdog: Watchdog | None = field(default=None, kw_only=True)
    max_restarts: int | None = field(default=None, kw_only=True)
    max_seconds: float | None = field(default=None, kw_only=True)
    when_spent: WhenSpent = field(default=WhenSpent.ESCALATE, converter=as_when_spent, kw_only=True)

    @property
    def kind(self) -> Kind:
        """Tell whether this is a "worker" or a "supervisor"."""
        return "worker"

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return self.kind

    def drawn_notes(self) -> Iterator[str]:
        """Give what a drawing says of this kind alone."""
        yield from ()

    def __attrs_post_init__(self) -> None:
        """Check the options in order; the first wrong one is reported."""
        _check_options(self)
        _check_own_budget(self)
        if self.max_restarts is not None and self.max_seconds is None:
            # The class is frozen for everybody else; equal budgets are to compare equal.
            object.__setattr__(self, "max_seconds", 5.0)

    def __repr__(self) -> str:
        """Show the spec as the call that makes it, without the options left at default."""
        shown: list[str] = []
        for option in fields(type(self)):
            value = getattr(self, option.name)
            if not option.init or (option.default is not NOTHING and value == option.default):
                continue
            text = show(value) if option.name in ("start", "worker") else repr(value)
            shown.append(f"{option.name}={text}" if option.kw_only else text)
        return f"{type(self).__name__}({', '.join(shown)})"


def _derived_start(spec: ChildSpec[Any]) -> Callable[[], Proc[Any]]:
    return partial(_make, spec)


@frozen(repr=False)
class AnySupervisorSpec(ChildSpec[Any]):
    """Hold what the kinds of supervisor have in common: a budget, and a start of their own."""

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
        _check_options(self)
        check_count(self.id, "max_restarts", self.max_restarts, least=0)
        check_seconds(self.id, "max_seconds", self.max_seconds)
        check_word(self.id, "when_spent", WhenSpent, self.when_spent)
        if self.when_spent is not WhenSpent.ESCALATE:
            problem = "'park' is for a worker's own budget; a supervisor's is that of its children"
            raise SpecError(self.id, "when_spent", problem + ", so leave it out")


@final
@frozen(repr=False)
class SupervisorSpec(AnySupervisorSpec):
    """Describe a supervisor and its children, which start in the order given.

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
    """Describe a supervisor whose children come and go at run time and stop all at once.

    `max_children` (at least 0, default None: no limit) counts those that run or restart.
    The budget is as in `SupervisorSpec`, the rest as in `ChildSpec`; each child is
    restarted alone, and none of them can be significant.

    Raises `SpecError` as `ChildSpec` does, and when `max_children` is not an int >= 0.
    """

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


# The classes that run supervisors stand on a higher floor and register here when they are
# imported. So a spec can make its supervisor without this module knowing it.
_makers: dict[type[ChildSpec[Any]], Callable[[Any], Proc[Any]]] = {}


def register_kind(spec_type: type[AnySpec], factory: Callable[[AnySpec], Proc[Any]]) -> None:
    """Say what makes the proc for specs of exactly this type; the last word counts.

    The `start` of each such spec, made before or after, calls `factory(spec)`.
    """
    _makers[spec_type] = factory


def _make(spec: ChildSpec[Any]) -> Proc[Any]:
    try:
        factory = _makers[type(spec)]
    except KeyError:
        name = type(spec).__name__
        raise SupervisionError(f"no factory is registered for {name}; import supervision") from None
    return factory(spec)


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


def _check_options(spec: ChildSpec[Any]) -> None:
    path = check_id(type(spec).__name__, spec.id)
    check_start(path, spec.start)
    check_word(path, "restart", Restart, spec.restart)
    if not isinstance(spec.shutdown, ShutdownPolicy):
        hint = "seconds >= 0, INFINITY or BRUTAL_KILL"
        check_seconds(path, "shutdown", spec.shutdown, hint, least=0)
    check_type(path, "significant", bool, spec.significant, "True or False")
    if spec.name is not None:
        check_type(path, "name", Name, spec.name, "a Name or None")
    check_type(path, "mailbox", Mailbox, spec.mailbox, "a Mailbox")
    if spec.backoff is not None:
        check_type(path, "backoff", Backoff, spec.backoff, "a Backoff or None")
    if spec.start_timeout is not None:
        check_seconds(path, "start_timeout", spec.start_timeout, "seconds > 0 or None")
    if spec.watchdog is not None:
        check_type(path, "watchdog", Watchdog, spec.watchdog, "a Watchdog or None")
    if spec.significant and spec.restart is Restart.PERMANENT:
        problem = "a permanent child never ends for good; make it transient or temporary"
        raise SpecError(path, "significant", problem)


def _check_own_budget(spec: ChildSpec[Any]) -> None:
    path = spec.id
    if spec.max_restarts is not None:
        check_count(path, "max_restarts", spec.max_restarts, least=0)
    if spec.max_seconds is not None:
        check_seconds(path, "max_seconds", spec.max_seconds)
    check_word(path, "when_spent", WhenSpent, spec.when_spent)
    if spec.max_restarts is not None:
        return
    if spec.max_seconds is not None:
        problem = f"{spec.max_seconds!r} means nothing without max_restarts; give both or neither"
        raise SpecError(path, "max_seconds", problem)
    if spec.when_spent is WhenSpent.PARK:
        problem = "'park' means nothing without max_restarts; say how many restarts it may have"
        raise SpecError(path, "when_spent", problem)

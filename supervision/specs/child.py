"""The spec of one child: what its supervisor runs, and how.

Nothing runs when a spec is made; a supervisor reads it later, and calls `start` anew for every
incarnation.

Guarantees:

- A spec that cannot be meant raises `SpecError` when it is made, naming path and field; the first
  wrong option in order is reported.
- A spec never changes. It can be compared, printed, varied with `attrs.evolve`, and hashed as far
  as its parts can be.

A restart is charged to one budget at most, so no child pays for another's excess:

=====================================  =======================================================
a child with                           its restarts are charged to, and when that is not enough
=====================================  =======================================================
`max_restarts` (and `max_seconds`)     its own budget, in a window as long as you like:
- `when_spent="escalate"` (default)    its supervisor gives up, as with its own budget
- `when_spent="park"`                  the child stays down, `PARKED`; its siblings go on
a `backoff` and no `max_restarts`      none: it is tried for ever, with its pauses
neither                                its supervisor's, with all others like it (default: 3 in
                                       5 s): that stops what is left and exits, and its own
                                       supervisor decides what follows
=====================================  =======================================================

A parked child's mail becomes dead letters and its askers fail at once. No round of its siblings
brings it back; `RestartChild` does, with an empty budget. For `ALL_SIGNIFICANT` it counts as gone,
but being parked never ends a supervisor by itself. Choose `ESCALATE` where the siblings are of no
use without the child, `PARK` where one customer's broken data must not stop the others.

Worked example:

>>> from actors import CancellationToken, task
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> ChildSpec("db", task(work), restart="transient", max_restarts=2)
ChildSpec('db', task(work), restart=Restart.TRANSIENT, max_restarts=2, max_seconds=5.0)
>>> ChildSpec("db", task(work), start_timeout=0)
Traceback (most recent call last):
    ...
supervision.errors.SpecError: db: start_timeout: 0 is not positive; give seconds > 0 or None
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar

from attrs import NOTHING, field, fields, frozen

from actors import Mailbox, Name, Proc
from supervision.errors import SpecError
from supervision.specs.backoff import Backoff
from supervision.specs.checks import (
    check_count,
    check_id,
    check_seconds,
    check_start,
    check_type,
    check_word,
    show,
)
from supervision.specs.options import (
    Restart,
    ShutdownPolicy,
    WhenSpent,
    as_restart,
    as_shutdown,
    as_when_spent,
)
from supervision.specs.watchdog import Watchdog

__all__ = ["ChildSpec", "Kind", "check_options"]


M = TypeVar("M")

Kind = Literal["worker", "supervisor"]
"""What a spec describes: a proc that works, or a supervisor."""


@frozen(repr=False)
class ChildSpec(Generic[M]):
    """One child of a supervisor: what to start, when to restart it, how to stop it.

    - `id`: its name among its siblings and in paths; not empty, without "/".
    - `start`: a factory, called anew for every incarnation: a `Proc` class, a `partial` of
      one, `task(f)` for a coroutine function, or any callable that makes a proc.
    - `restart`: default `Restart.PERMANENT`. The word itself ("transient") will do.
    - `shutdown`: seconds that it gets to stop before it is killed, default 5.0; `INFINITY`
      (also `math.inf`) or `BRUTAL_KILL`.
    - `significant`: default False; whether its end can end the supervisor (`AutoShutdown`).
    - `name`: a `Name` under which it is registered, default None.
    - `mailbox`: default `Mailbox()`, unbounded and kept across restarts.
    - `backoff`: a `Backoff` between restarts, default None: at once. Without `max_restarts` the
      child is then tried for ever, and costs its supervisor's budget nothing.
    - `start_timeout`: seconds that a start may take, default None: without limit.
    - `watchdog`: a `Watchdog` that says when it counts as hung, default None: never.

    - `max_restarts`: how often it alone may be restarted, at least 0, instead of the budget of
      its supervisor; default None: as often as that one allows, or its `backoff` finds time for.
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
        check_options(self)
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


def check_options(spec: ChildSpec[Any]) -> None:
    """Check what specs of all kinds have in common; the first wrong option is reported."""
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

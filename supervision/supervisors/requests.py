"""List what a running supervisor can be asked.

Each message is a `Request` whose answer the type checker knows. All are served in the order in
which they come, between restarts. They are refused with the errors of `supervision.errors`.

================  ==============================  =============================================
request           answer                          refused with
================  ==============================  =============================================
StartChild        Ref, None when it was ignored   ChildExists, TooManyChildren,
                                                  ChildStartFailed; SpecError for a bad spec
TerminateChild    None                            ChildNotFound
RestartChild      Ref, None when it was ignored   ChildNotFound, ChildRunning,
                                                  ChildRestarting, ChildStartFailed
DeleteChild       None                            ChildNotFound, ChildRunning, ChildRestarting
WhichChildren     ChildInfo of each, start order
CountChildren     ChildCounts
GetChild          Ref                             ChildNotFound
GetChildSpec      ChildSpec                       ChildNotFound
================  ==============================  =============================================

>>> TerminateChild("db")
TerminateChild(id='db')
>>> StartChild("db")
Traceback (most recent call last):
    ...
supervision.errors.SpecError: StartChild: spec: 'db' is not a ChildSpec
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, final

from attrs import Attribute, field, frozen

from actors import Ref, Request
from supervision.errors import SpecError
from supervision.specs import ChildSpec, Kind
from supervision.supervisors.plan import ChildState

__all__ = [
    "AnyStartChild",
    "Arrange",
    "Branch",
    "BringUp",
    "Change",
    "ChildCounts",
    "ChildInfo",
    "CountChildren",
    "DeleteChild",
    "GetChild",
    "GetChildSpec",
    "Inspect",
    "LookAround",
    "Reconfigure",
    "RestartChild",
    "Retire",
    "StartChild",
    "SupervisorMessage",
    "TerminateChild",
    "TryAgain",
    "WhichChildren",
]


M = TypeVar("M")


def _is_spec(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, ChildSpec):
        raise SpecError("StartChild", attribute.name, f"{value!r} is not a ChildSpec")


@frozen
class AnyStartChild(Request[Ref[Any] | None]):
    """Be what supervisors take; `StartChild` is the one to send.

    It stands in the union of messages for every `StartChild[M]`. Were that generic itself, type
    checkers would take the M of an answer from the union instead of from the spec.
    """

    spec: ChildSpec[Any] = field(validator=_is_spec)


@final
@frozen
class StartChild(AnyStartChild, Generic[M]):
    """Start one more child, last in the order, and wait until it is ready.

    The answer is its ref; None when it raised `Ignore`. When its start fails, the spec is not kept.
    Raises SpecError when `spec` is no ChildSpec.
    """

    spec: ChildSpec[M] = field(validator=_is_spec)

    def __request__(self) -> tuple[Self, Ref[M] | None]:
        """Carry the two types for the checker. Raises TypeError when called."""
        raise TypeError("__request__ exists for type checkers only")


@final
@frozen
class TerminateChild(Request[None]):
    """Stop a child and keep its spec; the answer comes when it is dead.

    Also when it did not run: then nothing happens. A pending restart is void. A temporary
    child's spec, and any child of a dynamic supervisor, is removed.
    """

    id: str


@final
@frozen
class RestartChild(Request[Ref[Any] | None]):
    """Start a child again that is not running. A failure is answered, not retried, not counted.

    Its own budget of restarts begins empty, and its backoff anew; this is how a parked child comes
    back. When it does not start, it stays as it was.
    """

    id: str


@final
@frozen
class DeleteChild(Request[None]):
    """Remove the spec of a child that is not running."""

    id: str


@final
@frozen
class WhichChildren(Request["tuple[ChildInfo, ...]"]):
    """List the children in start order."""


@final
@frozen
class CountChildren(Request["ChildCounts"]):
    """Count the children."""


@final
@frozen
class GetChild(Request[Ref[Any]]):
    """Look a child's ref up; it is valid whether the child runs or not."""

    id: str


@final
@frozen
class GetChildSpec(Request[ChildSpec[Any]]):
    """Look a child's spec up, with all defaults filled in."""

    id: str


@final
@frozen
class ChildInfo:
    """Show one child. `restarts` counts the restarts its supervisor gave it.

    `restart_in`: seconds until its pending restart, 0.0 when that is due now; None when none is
    pending. `failures`: how many in a row its backoff counts; 0 after it was healthy for long
    enough, and without a backoff.
    """

    id: str
    ref: Ref[Any]
    state: ChildState
    restarts: int
    kind: Kind
    restart_in: float | None = None
    failures: int = 0


@final
@frozen
class ChildCounts:
    """Count all `specs`, those `active` (running), and the specs of each kind."""

    specs: int
    active: int
    supervisors: int
    workers: int


@final
@frozen
class TryAgain:
    """Remind a supervisor of a restart that is due; it sends this to itself.

    `ticket` tells whether it is still wanted; `counted` whether the budget knows of this attempt.
    Left over when the supervisor ends, it is no dead letter: nobody sent it and nobody misses it.
    """

    __dead_letter__: ClassVar[bool] = False

    id: str
    ticket: int
    counted: bool


@final
@frozen
class LookAround:
    """Remind a supervisor to look at the children that have a watchdog; it sends this to itself."""

    __dead_letter__: ClassVar[bool] = False


@final
@frozen
class Branch:
    """Show a supervisor as `Inspect` finds it: its own spec, and each child's in start order.

    `unstarted` and `unstopped` are the ids of what it is still to start or stop, because a change
    of the tree did not come to its end.
    """

    spec: ChildSpec[Any]
    children: tuple[tuple[ChildSpec[Any], ChildState], ...]
    unstarted: frozenset[str]
    unstopped: frozenset[str]


@final
@frozen
class Inspect(Request[Branch]):
    """Show by which specs a supervisor runs; `Application.apply` asks this."""


@frozen
class Change(Request[None]):
    """Be one step of `Application.apply`, which alone sends these."""


@final
@frozen
class Reconfigure(Change):
    """Go on by a changed spec: own options, those of the children, their order. Nobody restarts.

    `start` and `stop` are the ids of what will be brought up or retired next; a child that is in
    `start` keeps its old spec until then.
    """

    spec: ChildSpec[Any]
    start: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset()


@final
@frozen
class Retire(Change):
    """Stop a child. `spec` is what is brought up in its place later; None: forget it."""

    id: str
    spec: ChildSpec[Any] | None


@final
@frozen
class BringUp(Change):
    """Start a child by this spec, unless that runs already. Refused with ChildStartFailed."""

    spec: ChildSpec[Any]


@final
@frozen
class Arrange(Change):
    """Put the children in the order of the supervisor's own spec, those added later behind."""


SupervisorMessage: TypeAlias = (
    AnyStartChild
    | TerminateChild
    | RestartChild
    | DeleteChild
    | WhichChildren
    | CountChildren
    | GetChild
    | GetChildSpec
    | TryAgain
    | LookAround
    | Inspect
    | Change
)
"""Everything that a supervisor takes."""

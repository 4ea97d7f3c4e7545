"""What a running supervisor can be asked.

Each message is a `Request` whose answer the type checker knows. All are served in the order in
which they come, between restarts. An ask to which no timeout is given waits as long as the specs
allow, for starts and stops that are in hand. They are refused with the errors of
`supervision.errors`. What supervisors say to themselves, and what `apply` tells them, is in
`internal`.

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
    "ChildCounts",
    "ChildInfo",
    "CountChildren",
    "DeleteChild",
    "GetChild",
    "GetChildSpec",
    "RestartChild",
    "StartChild",
    "SupervisorMessage",
    "TerminateChild",
    "WhichChildren",
]


M = TypeVar("M")
R = TypeVar("R")


def _is_spec(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, ChildSpec):
        raise SpecError("StartChild", attribute.name, f"{value!r} is not a ChildSpec")


class ManagementRequest(Request[R]):
    """A request that waits as long as the specs allow: for starts and stops that are in hand."""

    __slots__ = ()

    __timeout__: ClassVar[float | None] = None


@frozen
class AnyStartChild(ManagementRequest[Ref[Any] | None]):
    """What supervisors take; `StartChild` is the one to send.

    It stands in the union of messages for every `StartChild[M]`. Were that generic itself, type
    checkers would take the M of an answer from the union instead of from the spec.
    """

    spec: ChildSpec[Any] = field(validator=_is_spec)


@final
@frozen
class StartChild(AnyStartChild, Generic[M]):
    """The request to start one more child, last in the order; answered when it is ready.

    The answer is its ref; None when it raised `Ignore`. When its start fails, the spec is not kept.
    Raises SpecError when `spec` is no ChildSpec.
    """

    spec: ChildSpec[M] = field(validator=_is_spec)

    def __request__(self) -> tuple[Self, Ref[M] | None]:
        """Carry the two types for the checker. Raises TypeError when called."""
        raise TypeError("__request__ exists for type checkers only")


@final
@frozen
class TerminateChild(ManagementRequest[None]):
    """The request to stop a child and keep its spec; answered when it is dead.

    Also when it did not run: then nothing happens. A pending restart is void. A temporary
    child's spec, and any child of a dynamic supervisor, is removed.
    """

    id: str


@final
@frozen
class RestartChild(ManagementRequest[Ref[Any] | None]):
    """The request to start a child again that is not running.

    A failure is answered, not retried, not counted. Its own budget of restarts begins empty, and
    its backoff anew; this is how a parked child comes back. When it does not start, it stays as it
    was.
    """

    id: str


@final
@frozen
class DeleteChild(ManagementRequest[None]):
    """The request to remove the spec of a child that is not running."""

    id: str


@final
@frozen
class WhichChildren(ManagementRequest["tuple[ChildInfo, ...]"]):
    """The request for a list of the children, in start order."""


@final
@frozen
class CountChildren(ManagementRequest["ChildCounts"]):
    """The request for a count of the children."""


@final
@frozen
class GetChild(ManagementRequest[Ref[Any]]):
    """The request for a child's ref, which is valid whether the child runs or not."""

    id: str


@final
@frozen
class GetChildSpec(ManagementRequest[ChildSpec[Any]]):
    """The request for a child's spec, with all defaults filled in."""

    id: str


@final
@frozen
class ChildInfo:
    """What a supervisor tells of one child. `restarts` counts the restarts its supervisor gave it.

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
    """Counts of the children: all `specs`, those `active` (running), and the specs of each kind."""

    specs: int
    active: int
    supervisors: int
    workers: int


SupervisorMessage: TypeAlias = (
    AnyStartChild
    | TerminateChild
    | RestartChild
    | DeleteChild
    | WhichChildren
    | CountChildren
    | GetChild
    | GetChildSpec
)
"""Everything that a supervisor can be asked."""

"""What supervisors say to themselves, and what changes a running tree tells them.

Each supervisor takes these messages beside the requests of its kind, but no user is to send them.
So they are in the mailbox without being in its type. A mailbox's type is read twice: by the type
checker, who says what a `Ref` offers, and by `Actor` when the class is made, which says what is
accepted. `Internal` is nothing at all to the former and all of these messages to the latter:
`Ref[SupervisorMessage]` offers the requests alone. Who has to send one of these does it through a
function here: `inspect` and `change`.

Guarantees: reminders that are left over when a supervisor ends are no dead letters.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         shop = await system.spawn(SupervisorSpec("shop").start, id="shop")
...         await change(shop, BringUp(ChildSpec("db", task(work))))
...         print([spec.id for spec, state in (await inspect(shop)).children])
>>> anyio.run(main)
['db']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, TypeAlias, final

from attrs import frozen

from actors import AnyRef, Request
from supervision.specs import ChildSpec
from supervision.supervisors.plan import ChildState

__all__ = [
    "Arrange",
    "Branch",
    "BringUp",
    "Change",
    "Inspect",
    "Internal",
    "LookAround",
    "Reconfigure",
    "Retire",
    "TryAgain",
    "change",
    "inspect",
]


# -- reminders to oneself --------------------------------------------------------------------------


@final
@frozen
class TryAgain:
    """A reminder of a restart that is due, which a supervisor sends to itself.

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
    """A reminder to look at the children that have a watchdog; sent to itself, too."""

    __dead_letter__: ClassVar[bool] = False


# -- changes of a running tree ---------------------------------------------------------------------


@final
@frozen
class Branch:
    """A supervisor as it runs: its own spec, and each child's with its state, in start order.

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
    """The request for the specs by which a supervisor runs."""


@frozen
class Change(Request[None]):
    """The request for one step of a reconfiguration."""


@final
@frozen
class Reconfigure(Change):
    """The step to a changed spec: own options, those of the children, their order; no restarts.

    `start` and `stop` are the ids of what will be brought up or retired next; a child that is in
    `start` keeps its old spec until then.
    """

    spec: ChildSpec[Any]
    start: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset()


@final
@frozen
class Retire(Change):
    """The step that stops a child. `spec` is what is brought up in its place; None: forget it."""

    id: str
    spec: ChildSpec[Any] | None


@final
@frozen
class BringUp(Change):
    """The step that starts a child, unless it runs by this spec. Refused with ChildStartFailed."""

    spec: ChildSpec[Any]


@final
@frozen
class Arrange(Change):
    """The step that puts the children in the order of the spec, those added later behind."""


async def inspect(supervisor: AnyRef) -> Branch:
    """Ask a supervisor by which specs it runs; it answers between restarts, without limit of time.

    Raises ProcExited when it has ended, a Refusal when it is of a kind that cannot be changed.
    """
    branch: Branch = await supervisor.ask(Inspect(), timeout=None)
    return branch


async def change(supervisor: AnyRef, step: Change) -> None:
    """Have a supervisor do one step, without limit of time.

    Raises ProcExited when it ends first, what the step is refused with, and ChildStartFailed.
    """
    await supervisor.ask(step, timeout=None)


if TYPE_CHECKING:
    Internal: TypeAlias = Never
else:
    Internal = TryAgain | LookAround | Inspect | Change

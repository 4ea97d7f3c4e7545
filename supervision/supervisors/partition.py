"""Route each key to the partition that is its own.

A partition supervisor runs n copies of one child, the partitions "0" to "n-1" (see
`partition_supervisor`). `partition_of(key, n)` says which one a key belongs to, and a `Partitions`
handle sends there. `ResizePartitions` changes n at run time.

The supervisor writes the refs of its partitions into the `Routes` at its address, and the handles
read them there. So a message to a partition passes no other mailbox.

Guarantees:

- Routing is stable: the same key and the same n give the same partition, in every process and
  every version of Python.
- Routing never waits for the supervisor. A handle finds the partitions also while one of them is
  restarted, after a resize, and after a restart of the supervisor itself.

>>> import anyio
>>> from actors import Actor, Request, on
>>> from supervision import ChildSpec, PartitionSupervisorSpec, serve
>>> class Visit(Request[int]):
...     def __init__(self, user: str) -> None:
...         self.user = user
>>> class Visits(Actor[Visit]):
...     def __init__(self) -> None:
...         self.seen: dict[str, int] = {}
...     @on(Visit)
...     def visit(self, message: Visit) -> int:
...         self.seen[message.user] = self.seen.get(message.user, 0) + 1
...         return self.seen[message.user]
>>> async def main() -> None:
...     tree = PartitionSupervisorSpec("visits", ChildSpec("visits", Visits), partitions=4)
...     async with serve(tree) as app:
...         visits = Partitions[Visit](app.supervisor)
...         for user in ("ada", "grace", "ada"):
...             print(visits.ref(user).path, await visits.ask(user, Visit(user)))
>>> anyio.run(main)
/visits/0 1
/visits/3 1
/visits/0 2

The model is Elixir's PartitionSupervisor.
"""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar, cast, final
from weakref import WeakValueDictionary

from attrs import Attribute, field, frozen

from actors import Question, Ref, Request
from supervision.errors import NoPartitions
from supervision.keys import Key, partition_of
from supervision.specs import check_count
from supervision.supervisors.requests import ManagementRequest, SupervisorMessage

__all__ = [
    "GetPartition",
    "PartitionMessage",
    "Partitions",
    "ResizePartitions",
    "Routes",
    "routes_at",
]


M = TypeVar("M")
R = TypeVar("R")


# -- the requests ----------------------------------------------------------------------------------


def _check_key(_: object, attribute: Attribute[Any], value: Any) -> None:
    partition_of(value, 1)


def _check_size(_: object, attribute: Attribute[Any], value: object) -> None:
    check_count("ResizePartitions", attribute.name, value, least=0)


@final
@frozen
class GetPartition(ManagementRequest[Ref[Any]]):
    """The request for the ref of the partition that a key belongs to now.

    Raises TypeError when `key` is no key. Refused with NoPartitions when there are no partitions. A
    `Partitions` handle finds it without asking.
    """

    key: Key = field(validator=_check_key)


@final
@frozen
class ResizePartitions(ManagementRequest[None]):
    """The request to change their number; answered when all are started or stopped.

    Growing starts the missing ones in order of their numbers; those that were there before come
    back with their old spec and address. Shrinking stops those with the highest numbers, the
    highest first, each within its shutdown time; what they had not handled becomes dead letters.
    They stay listed, as terminated. Partitions below are left alone, whether they run or not.

    Refused with ChildStartFailed when one does not start; then those started for it are stopped
    again and all is as it was. Raises SpecError when `partitions` is not an int >= 0.
    """

    partitions: int = field(validator=_check_size)


PartitionMessage: TypeAlias = SupervisorMessage | GetPartition | ResizePartitions
"""Everything that a partition supervisor takes."""


# -- routing ---------------------------------------------------------------------------------------


@final
class Routes:
    """The partitions at one address of a supervisor, in order of their numbers."""

    __slots__ = ("__weakref__", "refs")

    def __init__(self) -> None:
        self.refs: tuple[Ref[Any], ...] = ()


# One for each address, kept alive by the incarnation there and by the handles: so a handle goes
# on when the supervisor is restarted, and routing asks nobody.
_routes: WeakValueDictionary[Ref[Any], Routes] = WeakValueDictionary()


def routes_at(supervisor: Ref[Any]) -> Routes:
    """Return the routes at an address; the same for all who ask while anybody holds them."""
    routes = _routes.get(supervisor)
    if routes is None:
        routes = _routes[supervisor] = Routes()
    return routes


@final
class Partitions(Generic[M]):
    """A handle that sends each message to the partition that its key belongs to.

    Made of the supervisor's ref; the messages that the partitions take are said by the type:
    `Partitions[Visit](ref)`. It stays valid when the supervisor or a partition is restarted, and
    follows a resize. Compares and hashes by the supervisor's address. Between a crash of the
    supervisor and its restart it leads to partitions that have ended.

    Raises TypeError when `supervisor` is no Ref.
    """

    __slots__ = ("_routes", "supervisor")

    def __init__(self, supervisor: Ref[SupervisorMessage]) -> None:
        if not isinstance(supervisor, Ref):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Partitions wants the Ref of a supervisor, not {supervisor!r}")
        self.supervisor = supervisor
        self._routes = routes_at(supervisor)

    @property
    def refs(self) -> tuple[Ref[M], ...]:
        """Return the refs of all partitions, in order of their numbers."""
        return self._routes.refs

    def __len__(self) -> int:
        return len(self._routes.refs)

    def __bool__(self) -> bool:
        return True  # a handle, whatever it leads to

    def ref(self, key: Key) -> Ref[M]:
        """Return the ref of the partition that a key belongs to now.

        Raises NoPartitions when there are none, TypeError like `partition_of`.
        """
        refs = self._routes.refs
        if not refs:
            raise NoPartitions(self.supervisor.path)
        return refs[partition_of(key, len(refs))]

    def tell(self, key: Key, message: M) -> None:
        """Queue a message at the key's partition and go on; raises like `ref` and `Ref.tell`."""
        self.ref(key).tell(message)

    async def send(self, key: Key, message: M) -> None:
        """Queue a message at the key's partition; waits, raises and is cancelled like `Ref.send`.

        Raises like `ref`, too. A resize meanwhile does not move a message that waits for room.
        """
        await self.ref(key).send(message)

    async def ask(
        self, key: Key, request: Question[M, R], *, timeout: float | None = Request.__timeout__
    ) -> R:
        """Ask the key's partition; `timeout`, errors and cancellation are those of `Ref.ask`.

        Raises like `ref`, too.
        """
        return await self.ref(key).ask(request, timeout=timeout)

    async def resize(self, partitions: int) -> None:
        """Change the number of partitions; see `ResizePartitions`. No limit of time.

        Cancelled, only the wait ends: the resize goes on.
        """
        supervisor = cast("Ref[PartitionMessage]", self.supervisor)
        await supervisor.ask(ResizePartitions(partitions), timeout=None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partitions) and self.supervisor == other.supervisor

    def __hash__(self) -> int:
        return hash(self.supervisor)

    def __repr__(self) -> str:
        return f"<Partitions {self.supervisor.path}, {len(self)} now>"

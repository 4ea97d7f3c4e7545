"""Run n copies of one child, and route each key to the copy that is its own.

A `PartitionSupervisor` is a supervisor whose children are partitions "0" to "n-1", all made of
one child spec; each is restarted alone. `partition_of(key, n)` says which one a key belongs to, and
a `Partitions` handle sends there. `ResizePartitions` changes n at run time.

Guarantees:

- Routing is stable: the same key and the same n give the same partition, in every process and
  every version of Python.
- Routing never waits for the supervisor. A handle finds the partitions also while one of them is
  restarted, after a resize, and after a restart of the supervisor itself.
- A resize takes effect as a whole: when a new partition does not start, those started for it are
  stopped again, and n stays.

>>> import anyio
>>> from actors import Actor, Request, on
>>> from supervision import ChildSpec, serve
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

import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Generic, TypeAlias, TypeGuard, TypeVar, cast, final
from weakref import WeakValueDictionary

from attrs import Attribute, evolve, field, frozen

from actors import Crashed, Question, Ref, Reply, Request, on
from supervision.errors import (
    ChildStartFailed,
    NoPartitions,
    PartitionsFixed,
    SpecError,
    SupervisionError,
)
from supervision.keys import Key, partition_of
from supervision.specs import (
    AnySupervisorSpec,
    AutoShutdown,
    ChildSpec,
    Restart,
    check_child,
    check_count,
    register_kind,
)
from supervision.supervisors.base import BaseSupervisor
from supervision.supervisors.child import start_failed
from supervision.supervisors.plan import stop_order
from supervision.supervisors.requests import (
    AnyStartChild,
    DeleteChild,
    RestartChild,
    SupervisorMessage,
    TerminateChild,
)

__all__ = [
    "GetPartition",
    "PartitionMessage",
    "PartitionSupervisor",
    "PartitionSupervisorSpec",
    "Partitions",
    "ResizePartitions",
]


M = TypeVar("M")
R = TypeVar("R")

# -- the spec --------------------------------------------------------------------------------------


@final
@frozen(repr=False)
class PartitionSupervisorSpec(AnySupervisorSpec, Generic[M]):
    """Describe a supervisor of n partitions, which start in the order of their numbers.

    - `child`: the spec of which every partition is a copy, or a function that makes the spec of
      the partition with the number that it is given, called when that is first started. The id
      of such a spec is replaced by the number.
    - `partitions`: how many (at least 0), default None: as many as the machine has processors
      (`os.cpu_count()`), counted when the supervisor starts.

    Each partition is restarted alone. The budget is as in `SupervisorSpec`, the rest as in
    `ChildSpec`.

    Raises `SpecError` as `ChildSpec` does, when `child` is neither a spec nor callable, and when
    its copies could not be partitions: it has a name, which only one proc can have, is significant,
    or temporary, which would leave a hole. What a function makes is checked when it is made.
    """

    child: ChildSpec[M] | Callable[[int], ChildSpec[M]] = field()
    partitions: int | None = field(default=None, kw_only=True)

    @property
    def drawn_kind(self) -> str:
        """Return what a drawing calls specs of this kind."""
        return "partitions"

    def drawn_notes(self) -> Iterator[str]:
        """Give what a drawing says of this kind alone."""
        yield "one per processor" if self.partitions is None else f"{self.partitions} of them"

    def __attrs_post_init__(self) -> None:
        """Check the options in order; the first wrong one is reported."""
        super().__attrs_post_init__()
        child = self.child
        if _is_spec(child):
            if child.name is not None:
                problem = "all partitions would have it; give a function that makes each spec"
                raise SpecError(f"{self.id}/{child.id}", "name", problem)
            _check_partition(self.id, child)
        elif not callable(child):
            problem = f"{child!r} is neither a ChildSpec nor a function that makes one"
            raise SpecError(self.id, "child", problem)
        if self.partitions is not None:
            check_count(self.id, "partitions", self.partitions, least=0)

    def make(self, number: int) -> ChildSpec[M]:
        """Make the spec of one partition.

        Raises SpecError when it cannot be one, and what the function raises that makes it.
        """
        child = self.child
        if _is_spec(child):
            return evolve(child, id=str(number))
        made = cast("Callable[[int], ChildSpec[M]]", child)(number)
        _check_partition(self.id, made)
        return evolve(made, id=str(number))


def _is_spec(child: ChildSpec[M] | Callable[[int], ChildSpec[M]]) -> TypeGuard[ChildSpec[M]]:
    return isinstance(child, ChildSpec)


def _check_partition(parent: str, spec: ChildSpec[Any]) -> None:
    check_child(spec, parent=parent, auto_shutdown=AutoShutdown.NEVER)
    if spec.restart is Restart.TEMPORARY:
        problem = "a temporary partition would leave a hole; make it permanent or transient"
        raise SpecError(f"{parent}/{spec.id}", "restart", problem)


# -- the requests ----------------------------------------------------------------------------------


def _check_key(_: object, attribute: Attribute[Any], value: Any) -> None:
    partition_of(value, 1)


def _check_size(_: object, attribute: Attribute[Any], value: object) -> None:
    check_count("ResizePartitions", attribute.name, value, least=0)


@final
@frozen
class GetPartition(Request[Ref[Any]]):
    """Look up the ref of the partition that a key belongs to now. Raises TypeError for no key.

    Refused with NoPartitions when there are none. A `Partitions` handle finds it without asking.
    """

    key: Key = field(validator=_check_key)


@final
@frozen
class ResizePartitions(Request[None]):
    """Change the number of partitions; the answer comes when all are started or stopped.

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
class _Routes:
    """Know the partitions at one address of a supervisor, in order of their numbers."""

    __slots__ = ("__weakref__", "refs")

    def __init__(self) -> None:
        self.refs: tuple[Ref[Any], ...] = ()


# One for each address, kept alive by the incarnation there and by the handles: so a handle goes
# on when the supervisor is restarted, and routing asks nobody.
_routes: WeakValueDictionary[Ref[Any], _Routes] = WeakValueDictionary()


def _routes_at(supervisor: Ref[Any]) -> _Routes:
    routes = _routes.get(supervisor)
    if routes is None:
        routes = _routes[supervisor] = _Routes()
    return routes


@final
class Partitions(Generic[M]):
    """Send to the partitions of a supervisor, each message to the one that its key belongs to.

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
        self._routes = _routes_at(supervisor)

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

    async def ask(self, key: Key, request: Question[M, R], *, timeout: float | None = 5.0) -> R:
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


# -- the supervisor --------------------------------------------------------------------------------


@final
class PartitionSupervisor(BaseSupervisor[PartitionMessage]):
    """Run a `PartitionSupervisorSpec`.

    It takes what every supervisor takes, but that its children come and go with `ResizePartitions`
    alone: `StartChild`, `DeleteChild`, and `RestartChild` of a partition that a resize has stopped
    are refused with PartitionsFixed. `random` (default: a fresh one) is where backoffs take
    their jitter from. Its start raises ChildStartFailed when a partition does not start; those
    before it are stopped first. Raises TypeError when `spec` is no PartitionSupervisorSpec.
    """

    def __init__(self, spec: PartitionSupervisorSpec[Any], *, random: Random | None = None) -> None:
        if not isinstance(spec, PartitionSupervisorSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"PartitionSupervisor wants a PartitionSupervisorSpec, not {spec!r}")
        super().__init__(spec.max_restarts, spec.max_seconds, random)
        self.spec = spec

    async def on_start(self) -> None:
        """Start the partitions in order, each ready before the next begins."""
        self._routes = _routes_at(self.context.ref)
        self._routes.refs = ()  # those of an earlier incarnation are gone for good
        size = self.spec.partitions
        numbers = range((os.cpu_count() or 1) if size is None else size)
        try:
            for number in numbers:
                await self._start(number)
        except SupervisionError:
            # An error only: when the start is cut short, the engine stops what was started.
            await self.wind_up()
            raise
        self._open(numbers)

    async def stop_all(self) -> None:
        """Stop the partitions that run, the highest number first, each dead before the next."""
        for id in stop_order(record.member for record in self.records.values()):
            await self.bring_down(self.records[id])

    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse every child that is no partition."""
        raise PartitionsFixed(spec.id)

    # -- the number of partitions -----------------------------------------------------------------

    @on(ResizePartitions)
    async def resize(self, message: ResizePartitions, reply: Reply[None]) -> None:
        """Start what is missing, or stop what is too much."""
        now, wanted = len(self._routes.refs), message.partitions
        if wanted < now:
            self._routes.refs = self._routes.refs[:wanted]  # first: no new mail for those that go
            await self._shrink(wanted, now)
        elif wanted > now:
            try:
                await self._grow(now, wanted)
            except SupervisionError as error:
                reply.fail(error)  # a SpecError among them is no Refusal, but no crash either
                return
        reply.send(None)

    async def _grow(self, now: int, wanted: int) -> None:
        for number in range(now, wanted):
            try:
                await self._start(number)
            except SupervisionError:
                await self._shrink(now, number)
                raise
        self._open(range(now, wanted))

    def _open(self, numbers: range) -> None:
        refs = (self.records[str(number)].child.ref for number in numbers)
        self._routes.refs = (*self._routes.refs, *refs)

    async def _start(self, number: int) -> None:
        id = str(number)
        if id in self.records:
            await super().restart_child(RestartChild(id))
            return
        record = self.add(self._make(number))
        failure = await self.bring_up(record)
        if failure is not None:
            self.drop(record, "its start failed")
            raise start_failed(id, failure)

    def _make(self, number: int) -> ChildSpec[Any]:
        try:
            return self.spec.make(number)
        except SpecError:
            raise
        except Exception as error:
            raise ChildStartFailed(str(number), Crashed(error)) from error

    async def _shrink(self, wanted: int, now: int) -> None:
        """Stop the partitions from `wanted` on; one that waits for its restart waits no more."""
        for number in reversed(range(wanted, now)):
            await self.terminate_child(TerminateChild(str(number)))

    # -- requests ---------------------------------------------------------------------------------

    @on(GetPartition)
    def get_partition(self, message: GetPartition) -> Ref[Any]:
        """Look up the partition of a key."""
        refs = self._routes.refs
        if not refs:
            raise NoPartitions(self.context.path)
        return refs[partition_of(message.key, len(refs))]

    async def start_child(self, message: AnyStartChild, reply: Reply[Ref[Any] | None]) -> None:
        """Refuse to start anything else."""
        raise PartitionsFixed(message.spec.id)

    async def restart_child(self, message: RestartChild) -> Ref[Any] | None:
        """Start a partition again that is not running."""
        self.find(message.id)
        if int(message.id) >= len(self._routes.refs):
            raise PartitionsFixed(message.id)
        return await super().restart_child(message)

    def delete_child(self, message: DeleteChild) -> None:
        """Refuse to make a hole."""
        self.find(message.id)
        raise PartitionsFixed(message.id)


register_kind(PartitionSupervisorSpec, PartitionSupervisor)

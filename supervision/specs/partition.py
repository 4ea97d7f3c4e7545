"""The spec of a partition supervisor: n copies of one child, each for its share of the keys.

Guarantees: what could not be a partition is refused, when the spec is made if it is a spec, and
when a partition is first started if a function makes it.

>>> from actors import CancellationToken, task
>>> from supervision.specs import ChildSpec
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> visits = PartitionSupervisorSpec("visits", ChildSpec("visits", task(work)), partitions=4)
>>> visits.make(3)
ChildSpec('3', task(work))
>>> PartitionSupervisorSpec("visits", ChildSpec("visits", task(work), restart="temporary"))
Traceback (most recent call last):
    ...
supervision.errors.SpecError: visits/visits: restart: a temporary partition would leave a hole; \
make it permanent or transient
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeGuard, TypeVar, cast, final

from attrs import evolve, field, frozen

from supervision.errors import SpecError
from supervision.specs.checks import check_count
from supervision.specs.child import ChildSpec
from supervision.specs.options import AutoShutdown, Restart
from supervision.specs.tree import AnySupervisorSpec, check_child

__all__ = ["PartitionSupervisorSpec"]


M = TypeVar("M")


@final
@frozen(repr=False)
class PartitionSupervisorSpec(AnySupervisorSpec, Generic[M]):
    """A supervisor of n partitions, which start in the order of their numbers.

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

    run_by = "supervision.supervisors:PartitionSupervisor"

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

"""What the checks of the chaos run are told: events of the workers, and the rules of the tree."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, final

from attrs import frozen

from actors import AnyRef, Event
from supervision import ChildSpec, PoolSpec, Strategy, SupervisorSpec
from supervision.specs import walk

__all__ = [
    "OWNER_ENDED",
    "Beginning",
    "Handled",
    "Ignored",
    "Numbered",
    "Rules",
    "Taken",
    "parent_of",
]


@final
@frozen
class Beginning(Event):
    """Say that the start of a worker has begun."""

    ref: AnyRef
    incarnation: int


@final
@frozen
class Ignored(Event):
    """Say that a worker is about to ignore its start."""

    ref: AnyRef


@final
@frozen
class Numbered:
    """Be mail that can be followed."""

    number: int


@final
@frozen
class Taken(Event):
    """Say that a worker has begun to handle numbered mail."""

    ref: AnyRef
    number: int


@final
@frozen
class Handled(Event):
    """Say that a worker has handled it to the end."""

    ref: AnyRef
    number: int


OWNER_ENDED = "its owner has ended"


def parent_of(path: str) -> str:
    """Return the path of the supervisor."""
    return path.rpartition("/")[0]


class Rules:
    """Know by which specs the tree is to run, and what is done to it from outside.

    `changing`: the whole tree is being changed. `managed`: supervisors that were asked for
    something that has not been answered. `moved`: children that were deleted and started again, so
    that they have another place, until their supervisor is restarted.
    """

    def __init__(self, tree: ChildSpec[Any]) -> None:
        self.specs: dict[str, ChildSpec[Any]] = {}
        self.budgets: defaultdict[str, set[tuple[int, float]]] = defaultdict(set)
        self.changing = False
        self.managed: defaultdict[str, int] = defaultdict(int)
        self.moved: set[str] = set()
        self.learn(tree)

    def learn(self, tree: ChildSpec[Any]) -> None:
        """Take a tree as what is to run from now on; budgets of before stay possible."""
        self.moved.clear()
        self.specs = {f"/{path}": spec for path, spec in walk(tree)}
        for path, spec in self.specs.items():
            # The workers of a pool are one floor below it, under a supervisor with its budget.
            self._note_budget(f"{path}/workers" if isinstance(spec, PoolSpec) else path, spec)

    def add(self, path: str, spec: ChildSpec[Any]) -> None:
        """Know of a child that was added while the tree runs."""
        self.specs[path] = spec
        self._note_budget(path, spec)

    def _note_budget(self, path: str, spec: ChildSpec[Any]) -> None:
        if spec.max_restarts is None or spec.max_seconds is None:
            self.budgets.pop(path, None)
        else:
            self.budgets[path].add((spec.max_restarts, spec.max_seconds))

    def order(self, path: str) -> list[str] | None:
        """Return the paths of the children in order; None when they have none."""
        spec = self.specs.get(path)
        if not isinstance(spec, SupervisorSpec):
            return None
        below = [f"{path}/{child.id}" for child in spec.children]
        return [child for child in below if child not in self.moved]

    def is_alone(self, path: str) -> bool:
        """Tell whether each child of this supervisor is restarted alone."""
        spec = self.specs.get(path)
        if isinstance(spec, SupervisorSpec):
            return spec.strategy is Strategy.ONE_FOR_ONE
        return True

    def is_touched(self, path: str) -> bool:
        """Tell whether somebody outside has a hand in this supervisor at this moment."""
        return self.changing or self.managed[path] > 0

"""The steps from a running tree to another one, as frozen data that can be printed.

Each step concerns one child, at `path`, and says why it is there. `diff` lists them, `apply`
carries them out, and the report of an `apply` names them.

>>> step = UpdateStep("/shop/db", "shutdown 5.0 -> 9.0")
>>> print(step)
update /shop/db: shutdown 5.0 -> 9.0
>>> step.parent, step.id
('/shop', 'db')
"""

from __future__ import annotations

from typing import Any, final

from attrs import frozen

from supervision.specs import ChildSpec

__all__ = ["ReorderStep", "StartStep", "Step", "StopStep", "UpdateStep"]


@frozen
class Step:
    """One thing to do at `path` (`/shop/db`); `why` says what differs."""

    path: str
    why: str

    def __str__(self) -> str:
        verb = type(self).__name__.removesuffix("Step").lower()
        return f"{verb} {self.path}: {self.why}"

    @property
    def parent(self) -> str:
        """Return the path of the supervisor."""
        return self.path.rpartition("/")[0]

    @property
    def id(self) -> str:
        """Return the id of the child."""
        return self.path.rpartition("/")[2]


@final
@frozen
class UpdateStep(Step):
    """A change of options in place; nobody is restarted."""


@final
@frozen
class ReorderStep(Step):
    """A new order of the children of the supervisor at `path`, for later stops and restarts."""

    order: tuple[str, ...]


@final
@frozen
class StopStep(Step):
    """The stop of a child, if it runs; `spec` is what starts there later, None: it is forgotten."""

    spec: ChildSpec[Any] | None


@final
@frozen
class StartStep(Step):
    """The start of a child by this spec, at its place in the order."""

    spec: ChildSpec[Any]

"""Compare specs: what differs, and what that means for a child that runs.

A running child takes most changes of its spec in place. `renewal` says which ones it cannot, and
whether it keeps its address then. Factories are compared by value as far as they have one: two
partials of one function with equal arguments are the same start.

Guarantees: comparing never fails; arguments that cannot be compared are taken to differ.

>>> from functools import partial
>>> from supervision.specs import Backoff
>>> def start(size: int) -> None: ...
>>> old = ChildSpec("db", partial(start, 1))
>>> differing(old, ChildSpec("db", partial(start, 1), shutdown=9.0, backoff=Backoff(1, 9)))
['shutdown', 'backoff']
>>> renewal(old, ChildSpec("db", partial(start, 1), shutdown=9.0)) is None      # taken in place
True
>>> renewal(old, ChildSpec("db", partial(start, 2)))
Renewal(why='its start changed', same_address=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, TypeGuard, final

from attrs import fields, frozen

from supervision.specs.child import ChildSpec
from supervision.specs.tree import DynamicSupervisorSpec, SupervisorSpec, walk

__all__ = ["Renewal", "differing", "renewal", "same_tree"]


_FOR_EACH_CHILD = {"restart", "shutdown", "significant", "backoff", "start_timeout", "watchdog"}
_BUDGET = {"max_restarts", "max_seconds", "when_spent"}
_OWN: dict[type[ChildSpec[Any]], set[str]] = {
    SupervisorSpec: {*_BUDGET, "strategy", "auto_shutdown"},
    DynamicSupervisorSpec: {*_BUDGET, "max_children"},
}
"""What a supervisor can change of itself; other kinds of supervisor are restarted for it."""


@final
@frozen
class Renewal:
    """Why a child has to be stopped and started anew, and whether at the same address."""

    why: str
    same_address: bool


def renewal(old: ChildSpec[Any], new: ChildSpec[Any]) -> Renewal | None:
    """Tell why a child has to be stopped and started anew; None when it need not."""
    if type(old) is not type(new):
        return Renewal(f"it becomes a {type(new).__name__}", same_address=False)
    changed = differing(old, new)
    for option in ("name", "mailbox"):
        if option in changed:
            return Renewal(f"its {option} changed", same_address=False)
    own = _OWN.get(type(new), _BUDGET if new.kind == "worker" else set[str]())
    easy = _FOR_EACH_CHILD | own
    for option in changed:
        if option not in easy:
            return Renewal(f"its {option} changed", same_address=True)
    return None


def differing(old: ChildSpec[Any], new: ChildSpec[Any]) -> list[str]:
    """Name the options of two specs of one type that differ, children and id aside."""
    return [
        option.name
        for option in fields(type(new))
        if option.name not in ("id", "children")
        and (option.init or option.eq)
        and not _equal(option.name, getattr(old, option.name), getattr(new, option.name))
    ]


def _equal(option: str, old: object, new: object) -> bool:
    # Options are plain values: five seconds are five seconds, whether 5 or 5.0.
    return _same(old, new) or (option != "start" and bool(old == new))


def same_tree(old: ChildSpec[Any], new: ChildSpec[Any]) -> bool:
    """Tell whether two trees are equal, their factories compared by value."""
    if old is new:
        return True
    for one, other in zip_longest(walk(old), walk(new)):
        if one is None or other is None or one[0] != other[0]:
            return False
        if type(one[1]) is not type(other[1]) or differing(one[1], other[1]):
            return False
    return True


def _same(old: object, new: object) -> bool:
    if old is new:
        return True
    if _is_spec(old) and _is_spec(new):
        return same_tree(old, new)
    if _is_partial(old) and _is_partial(new):
        return (
            _same(old.func, new.func)
            and _all_same(old.args, new.args)
            and old.keywords.keys() == new.keywords.keys()
            and all(_same(value, new.keywords[key]) for key, value in old.keywords.items())
        )
    try:
        return type(old) is type(new) and bool(old == new)
    except Exception:
        return False  # arguments are anybody's; what cannot be compared is another one


def _all_same(old: Sequence[object], new: Sequence[object]) -> bool:
    return len(old) == len(new) and all(map(_same, old, new))


def _is_spec(value: object) -> TypeGuard[ChildSpec[Any]]:
    return isinstance(value, ChildSpec)


def _is_partial(value: object) -> TypeGuard[partial[Any]]:
    return isinstance(value, partial)

"""Compare a running tree with a new one: the steps that lead from the one to the other.

Pure: a `Running` describes what there is, a spec what there is to be; `diff` lists the steps, and
`Application.apply` carries them out. What differs decides:

==============================  ===================================================================
differs                         what is done
==============================  ===================================================================
`start`                         the child is stopped, and started anew at the same address
`name`, `mailbox`, the kind     the same at a new address: its mail is lost, old refs are dead
any other option                the running child, or supervisor, goes on with the new one
a child is missing, or added    it is stopped, or started; its siblings do not notice
the order of the children       it counts from then on; nobody is restarted for it
==============================  ===================================================================

Steps come in this order: what is changed in place; stops, in reverse start order; starts, in start
order. So in the whole tree whatever is to go is gone before anything new comes.

Factories are equal when they are the same, or when they are `partial`s of equal functions and equal
arguments; a lambda that is made anew each time is a different one. A supervisor whose own options
can be changed in place is not restarted: its children are compared.

What was done to the running tree on purpose stays: children added by `StartChild` live on unless
the new tree has one with that id; a child that was terminated, deleted, parked or has ended well is
left as it is, unless its `start` changes, which makes it another child.

>>> from functools import partial
>>> from actors import Actor, on
>>> class Shop(Actor[str]):
...     def __init__(self, path: str) -> None: ...
...     @on(str)
...     def sell(self, message: str) -> None: ...
>>> def tree(path: str, shutdown: float) -> SupervisorSpec:
...     return SupervisorSpec("top", [
...         ChildSpec("a", partial(Shop, path)),
...         ChildSpec("b", partial(Shop, "b.db"), shutdown=shutdown),
...     ])
>>> for step in diff(running(tree("a.db", 5.0)), tree("c.db", 9.0)):
...     print(step)
update /top/b: shutdown 5.0 -> 9.0
stop /top/a: its start changed
start /top/a: its start changed
>>> diff(running(tree("a.db", 5.0)), tree("a.db", 5.0))
()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final

from attrs import frozen

from supervision.application.steps import ReorderStep, StartStep, Step, StopStep, UpdateStep
from supervision.specs import (
    ChildSpec,
    DynamicSupervisorSpec,
    Renewal,
    SupervisorSpec,
    differing,
    renewal,
    same_tree,
    walk,
)
from supervision.supervisors import ChildState

__all__ = ["NewSpec", "Running", "diff", "new_specs", "running"]


@final
@frozen
class Running:
    """A child as it is now, with its own children in start order.

    - `spec`: what it runs by; for a supervisor that includes the children it began with.
    - `state`: whether it runs.
    - `children`: those of a `SupervisorSpec` that runs, also added ones; else none.
    - `unstarted`, `unstopped`: ids that an earlier `apply` was to start or stop, and did not.
    """

    spec: ChildSpec[Any]
    state: ChildState = ChildState.RUNNING
    children: tuple[Running, ...] = ()
    unstarted: frozenset[str] = frozenset()
    unstopped: frozenset[str] = frozenset()


def running(spec: ChildSpec[Any]) -> Running:
    """Return a tree that runs as its spec says."""
    done: dict[str, Running] = {}
    for path, found in reversed(list(walk(spec))):
        below = found.children if isinstance(found, SupervisorSpec) else ()
        done[path] = Running(
            found, children=tuple(done.pop(f"{path}/{child.id}") for child in below)
        )
    return done[spec.id]


@final
@frozen
class NewSpec:
    """The new spec of the running supervisor at `path`, and what it is to start and to stop."""

    path: str
    spec: ChildSpec[Any]
    start: frozenset[str]
    stop: frozenset[str]


def diff(tree: Running, new: ChildSpec[Any]) -> tuple[Step, ...]:
    """List the steps from a running tree to a new one with the same root; none if nothing differs.

    The root itself is only ever changed in place.
    """
    in_place: list[Step] = [*_update(f"/{new.id}", tree, new)]
    starts: list[Step] = []
    for pair in _child_pairs(tree, new):
        in_place += pair.updates()
        starts += pair.starts()
    stops: list[Step] = []
    for pair in _child_pairs(tree, new, old_order=True):
        stops += pair.stops()
    in_place += [step for pair in _supervisor_pairs(tree, new) for step in pair.reorders()]
    return (*in_place, *reversed(stops), *starts)


def new_specs(tree: Running, new: ChildSpec[Any], steps: Sequence[Step]) -> tuple[NewSpec, ...]:
    """List the running supervisors that need a new spec, each before those below it.

    Also those above a change, since a restart of theirs has to bring the new tree. `steps` are
    those that `diff` lists.
    """
    starts = _by_parent(step for step in steps if isinstance(step, StartStep))
    stops = _by_parent(step for step in steps if isinstance(step, StopStep) and step.spec is None)
    # What is out of order, or out of step with its supervisor, is so though the specs are equal.
    above = {step.path for step in steps if isinstance(step, ReorderStep)}
    above |= {step.parent for step in steps if isinstance(step, UpdateStep)}
    found: list[NewSpec] = []
    for pair in reversed(list(_supervisor_pairs(tree, new))):
        path = pair.path
        if path in above or pair.differs():
            above.add(path.rpartition("/")[0])
            start, stop = starts.get(path, ()), stops.get(path, ())
            found.append(NewSpec(path, pair.new, frozenset(start), frozenset(stop)))
    return tuple(reversed(found))


def _by_parent(steps: Iterator[Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        found.setdefault(step.parent, []).append(step.id)
    return found


# -- one supervisor, and one child of it ----------------------------------------------------------


@final
@frozen
class _SupervisorPair:
    """A running supervisor and its new spec, which are compared."""

    path: str
    old: Running
    new: ChildSpec[Any]

    def reorders(self) -> Iterator[Step]:
        if not isinstance(self.new, SupervisorSpec):
            return
        there = [child.spec.id for child in self.old.children]
        wanted = dict.fromkeys(child.id for child in self.new.children)
        # What was added at run time and is of no concern to the specs stays, behind the others.
        gone = _ids(self.old.spec) | self.old.unstopped
        stay = [id for id in there if id in wanted or id not in gone]
        known = set(there)
        order = [id for id in wanted if id in known] + [id for id in stay if id not in wanted]
        if order != stay:
            yield ReorderStep(self.path, ", ".join(order), tuple(order))

    def below(self) -> Iterator[_SupervisorPair]:
        """Go through the supervisors among its children that are compared."""
        there = {child.spec.id: child for child in self.old.children}
        for child in _children(self.new):
            if child.id in there and _is_compared(there[child.id], child):
                yield _SupervisorPair(f"{self.path}/{child.id}", there[child.id], child)

    def children(self, old_order: bool) -> list[_ChildPair]:
        """List its children that are of concern to one of the two specs."""
        there = {child.spec.id: child for child in self.old.children}
        wanted = {child.id: child for child in _children(self.new)}
        declared = {child.id: child for child in _children(self.old.spec)}
        if old_order:
            # One that was added at run time is of no concern to the specs.
            ids = [id for id in there if id in wanted or id in declared or id in self.old.unstopped]
        else:
            ids = list(wanted)
        return [
            _ChildPair(
                f"{self.path}/{id}",
                there.get(id),
                wanted.get(id),
                declared.get(id),
                id in self.old.unstarted,
            )
            for id in ids
        ]

    def differs(self) -> bool:
        """Tell whether its own spec differs; not what is below children that are compared."""
        if differing(self.old.spec, self.new):
            return True
        there = {child.spec.id: child for child in self.old.children}
        before, after = _children(self.old.spec), _children(self.new)
        return len(before) != len(after) or any(
            one.id != other.id
            or not (
                (one.id in there and _is_compared(there[one.id], other)) or same_tree(one, other)
            )
            for one, other in zip(before, after, strict=True)
        )


@final
@frozen
class _ChildPair:
    """One child below two supervisors that are compared: what there is, and what is to be.

    - `old`: what there is, `new`: what there is to be; None: nothing.
    - `declared`: what the running supervisor's own spec had there; None: nothing.
    - `unstarted`: whether an earlier `apply` was to start it, and did not.
    """

    path: str
    old: Running | None
    new: ChildSpec[Any] | None
    declared: ChildSpec[Any] | None
    unstarted: bool

    def updates(self) -> Iterator[Step]:
        if self.old is None or self.new is None:
            return
        again = renewal(self.old.spec, self.new)
        if again is None:
            yield from _update(self.path, self.old, self.new)
        elif self._restarting(again):
            yield UpdateStep(
                self.path, f"{again.why}; it is being restarted, and takes the new one"
            )

    def stops(self) -> Iterator[Step]:
        if self.old is None:
            return
        if self.new is None:
            yield StopStep(self.path, "not in the new tree", None)
            return
        again = renewal(self.old.spec, self.new)
        lives = self.old.state in (ChildState.RUNNING, ChildState.RESTARTING)
        if again is not None and lives and not self._restarting(again):
            yield StopStep(self.path, again.why, self.new)

    def starts(self) -> Iterator[Step]:
        if self.new is None:
            return
        if self.old is None:
            before = None if self.declared is None else renewal(self.declared, self.new)
            if self.declared is None or self.unstarted:
                yield StartStep(self.path, "new", self.new)
            elif before is not None:
                yield StartStep(self.path, before.why, self.new)
            return
        again = renewal(self.old.spec, self.new)
        if again is not None and not self._restarting(again):
            yield StartStep(self.path, again.why, self.new)
        elif again is None and self.unstarted and self.old.state is ChildState.TERMINATED:
            yield StartStep(self.path, "was not started yet", self.new)

    def _restarting(self, again: Renewal) -> bool:
        """Tell whether the restart that is due anyway can bring the new one."""
        assert self.old is not None
        return again.same_address and self.old.state is ChildState.RESTARTING


def _supervisor_pairs(tree: Running, new: ChildSpec[Any]) -> Iterator[_SupervisorPair]:
    """Go through the supervisors that are compared, each before those below it."""
    waiting = [_SupervisorPair(f"/{new.id}", tree, new)]
    while waiting:
        pair = waiting.pop()
        yield pair
        waiting.extend(reversed(list(pair.below())))


def _child_pairs(
    tree: Running, new: ChildSpec[Any], *, old_order: bool = False
) -> Iterator[_ChildPair]:
    """Go through the children of all supervisors that are compared, in new or old start order."""
    waiting = _SupervisorPair(f"/{new.id}", tree, new).children(old_order)[::-1]
    while waiting:
        child = waiting.pop()
        yield child
        if child.old is not None and child.new is not None and _is_compared(child.old, child.new):
            below = _SupervisorPair(child.path, child.old, child.new)
            waiting.extend(below.children(old_order)[::-1])


def _is_compared(old: Running, new: ChildSpec[Any]) -> bool:
    """Tell whether a supervisor goes on, so that what is below it is compared."""
    kinds = SupervisorSpec | DynamicSupervisorSpec
    goes_on = isinstance(new, kinds) and old.state is ChildState.RUNNING
    return goes_on and renewal(old.spec, new) is None


def _children(spec: ChildSpec[Any]) -> tuple[ChildSpec[Any], ...]:
    return spec.children if isinstance(spec, SupervisorSpec) else ()


def _ids(spec: ChildSpec[Any]) -> frozenset[str]:
    return frozenset(child.id for child in _children(spec))


def _update(path: str, old: Running, new: ChildSpec[Any]) -> Iterator[Step]:
    """Change a child in place whose options differ, or one that does not run in any way."""
    texts = [
        f"{option} {getattr(old.spec, option)} -> {getattr(new, option)}"
        for option in differing(old.spec, new)
    ]
    if not texts and old.state is not ChildState.RUNNING and not same_tree(old.spec, new):
        texts = ["what is below it changed"]
    if texts:
        yield UpdateStep(path, ", ".join(texts))

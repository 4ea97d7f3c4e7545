"""Tests of the comparison of trees: which steps lead from a running tree to a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from actors import CancellationToken, Mailbox, Name, Proc, task
from supervision import (
    Backoff,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    PartitionSupervisorSpec,
    PoolSpec,
    Strategy,
    SupervisorSpec,
    Watchdog,
)
from supervision.application import ReorderStep, StartStep, Step, StopStep, UpdateStep
from supervision.application.diff import Running, diff, new_specs, running
from supervision.specs import walk
from supervision.specs.compare import renewal, same_tree

Spec = ChildSpec[Any]


class Worker(Proc[object]):
    """Be what factories make; nothing runs here."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self.arguments = arguments, options

    async def run(self, shutdown: CancellationToken) -> None:
        """Do nothing."""


class Other(Worker):
    """Be another class."""


async def work(shutdown: CancellationToken) -> None:
    """Do nothing."""


class Awkward:
    """Be an argument that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ask me each for itself")

    def __hash__(self) -> int:
        return 0


def child(id: str, start: Any = Worker, **options: Any) -> Spec:
    """Make the spec of a worker."""
    return ChildSpec(id, start, **options)


def top(*children: Spec, **options: Any) -> SupervisorSpec:
    """Make a tree."""
    return SupervisorSpec("top", children, **options)


def texts(old: Spec | Running, new: Spec) -> list[str]:
    """Show the steps from a tree, running as its spec says, to a new one."""
    return [str(step) for step in diff(old if isinstance(old, Running) else running(old), new)]


# -- what is a difference ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Worker, Worker),
        (partial(Worker, 1, key="a"), partial(Worker, 1, key="a")),
        (partial(partial(Worker, 1), 2), partial(partial(Worker, 1), 2)),
        (partial(Worker, partial(Other, 1)), partial(Worker, partial(Other, 1))),
        (task(work), task(work)),
        (partial(Worker, {"a": [1]}), partial(Worker, {"a": [1]})),
        (partial(Worker, [Awkward]), partial(Worker, [Awkward])),
    ],
)
def test_equal_factories_are_no_difference(old: Any, new: Any) -> None:
    """Factories that are the same, or partials of equal things, give no step."""
    assert texts(top(child("a", old)), top(child("a", new))) == []
    assert same_tree(top(child("a", old)), top(child("a", new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Worker, Other),
        (partial(Worker, 1), partial(Worker, 2)),
        (partial(Worker, 1), partial(Worker, True)),
        (partial(Worker, a=1), partial(Worker, a=2)),
        (partial(Worker, 1), Worker),
        (partial(Worker, Awkward()), partial(Worker, Awkward())),
        (lambda: Worker(), lambda: Worker()),
    ],
)
def test_another_factory_means_stop_and_start(old: Any, new: Any) -> None:
    """A changed start stops the child, and starts it at the same address."""
    assert texts(top(child("a", old)), top(child("a", new))) == [
        "stop /top/a: its start changed",
        "start /top/a: its start changed",
    ]
    again = renewal(child("a", old), child("a", new))
    assert again is not None
    assert again.same_address


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"restart": "transient"}, "restart permanent -> transient"),
        ({"shutdown": 1.0}, "shutdown 5.0 -> 1.0"),
        ({"start_timeout": 2.0}, "start_timeout None -> 2.0"),
        ({"backoff": Backoff(0.1, 1.0)}, f"backoff None -> {Backoff(0.1, 1.0)}"),
        ({"watchdog": Watchdog(handler=3.0)}, f"watchdog None -> {Watchdog(handler=3.0)}"),
        ({"max_restarts": 2}, "max_restarts None -> 2, max_seconds None -> 5.0"),
    ],
)
def test_any_other_option_changes_in_place(options: dict[str, Any], text: str) -> None:
    """Options that a supervisor reads when it needs them are changed without a restart."""
    assert texts(top(child("a")), top(child("a", **options))) == [f"update /top/a: {text}"]


def test_another_kind_of_supervisor_is_replaced() -> None:
    """A worker that becomes a supervisor, or one kind of supervisor another, is replaced whole."""
    old = top(child("a"), SupervisorSpec("s", [child("b")]))
    new = top(SupervisorSpec("a", [child("c")]), DynamicSupervisorSpec("s"))
    assert texts(old, new) == [
        "stop /top/s: it becomes a DynamicSupervisorSpec",
        "stop /top/a: it becomes a SupervisorSpec",
        "start /top/a: it becomes a SupervisorSpec",
        "start /top/s: it becomes a DynamicSupervisorSpec",
    ]


def test_a_kind_that_cannot_change_itself_is_restarted() -> None:
    """Own options of other kinds of supervisor need a restart, those for any child do not."""
    old = PartitionSupervisorSpec("p", child("w"), partitions=2)
    assert texts(top(old), top(evolve(old, shutdown=3.0))) == [
        "update /top/p: shutdown INFINITY -> 3.0"
    ]
    assert texts(top(old), top(evolve(old, partitions=3))) == [
        "stop /top/p: its partitions changed",
        "start /top/p: its partitions changed",
    ]


def test_specs_within_options_are_compared_by_value() -> None:
    """The spec of a partition's child, or of a pool's worker, is no difference when made anew."""

    def tree(argument: int) -> Spec:
        return top(
            PartitionSupervisorSpec("p", child("w", partial(Worker, argument)), partitions=2),
            PoolSpec("q", partial(Worker, argument), size=2),
        )

    assert texts(tree(1), tree(1)) == []
    steps = [text.split(":")[0] for text in texts(tree(1), tree(2))]
    assert steps == ["stop /top/q", "stop /top/p", "start /top/p", "start /top/q"]


# -- order ---------------------------------------------------------------------------------------


# -- what was done on purpose stays --------------------------------------------------------------


def test_a_child_added_at_run_time_can_be_taken_over() -> None:
    """A spec with the id of an added child is compared with it, and is its spec from then on."""
    tree = evolve(running(top()), children=(Running(child("x")),))
    assert diff(tree, top(child("x"))) == ()
    assert [target.path for target in new_specs(tree, top(child("x")), ())] == ["/top"]
    assert texts(tree, top(child("x", Other))) == [
        "stop /top/x: its start changed",
        "start /top/x: its start changed",
    ]


@pytest.mark.parametrize("state", [ChildState.TERMINATED, ChildState.PARKED])
def test_a_child_that_is_down_stays_down(state: ChildState) -> None:
    """A child that does not run is started only if its start changed."""
    tree = evolve(running(top(child("a"))), children=(Running(child("a"), state),))
    assert texts(tree, top(child("a"))) == []
    assert texts(tree, top(child("a", shutdown=1.0))) == ["update /top/a: shutdown 5.0 -> 1.0"]
    assert texts(tree, top(child("a", Other))) == ["start /top/a: its start changed"]
    assert texts(tree, top()) == ["stop /top/a: not in the new tree"]


def test_a_child_that_left_stays_away() -> None:
    """A child of the old spec that has ended or was deleted comes only if its start changed."""
    tree = evolve(running(top(child("a", restart="temporary"))), children=())
    assert texts(tree, top(child("a", restart="temporary"))) == []
    assert texts(tree, top(child("a"))) == []
    assert texts(tree, top(child("a", Other))) == ["start /top/a: its start changed"]


def test_a_child_that_is_being_restarted_takes_the_new_spec() -> None:
    """A pending restart brings the new start; only for a new address it is taken back."""
    tree = evolve(running(top(child("a"))), children=(Running(child("a"), ChildState.RESTARTING),))
    assert texts(tree, top(child("a", Other))) == [
        "update /top/a: its start changed; it is being restarted, and takes the new one"
    ]
    assert texts(tree, top(child("a", mailbox=Mailbox(capacity=1)))) == [
        "stop /top/a: its mailbox changed",
        "start /top/a: its mailbox changed",
    ]


def test_a_supervisor_that_is_down_takes_its_new_tree_later() -> None:
    """What is below a supervisor that does not run is changed with its spec."""
    old = SupervisorSpec("s", [child("b")])
    tree = evolve(running(top(old)), children=(Running(old, ChildState.TERMINATED),))
    new = SupervisorSpec("s", [child("c")])
    assert texts(tree, top(new)) == ["update /top/s: what is below it changed"]
    assert texts(tree, top(old)) == []


def test_what_an_earlier_change_left_undone_is_done() -> None:
    """What was not started or stopped by an earlier change is a difference, whatever the specs."""
    spec = top(child("a"), child("b"))
    tree = Running(
        spec,
        children=(Running(child("a"), ChildState.TERMINATED), Running(child("x"))),
        unstarted=frozenset("ab"),
        unstopped=frozenset("x"),
    )
    assert texts(tree, spec) == [
        "stop /top/x: not in the new tree",
        "start /top/a: was not started yet",
        "start /top/b: new",
    ]


# -- whole trees ---------------------------------------------------------------------------------

FACTORIES = [Worker, Other, partial(Worker, 1), partial(Worker, 2)]
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "shutdown": st.sampled_from([1.0, 5.0]),
        "restart": st.sampled_from(["permanent", "transient"]),
        "mailbox": st.sampled_from([Mailbox(), Mailbox(capacity=1)]),
    },
)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(list(Strategy)),
        "max_restarts": st.integers(0, 2),
        "shutdown": st.sampled_from([1.0, "infinity"]),
        "name": st.sampled_from([None, Name[Any]("n")]),
    },
)


@st.composite
def specs(draw: st.DrawFn, id: str = "top", depth: int = 3) -> Spec:
    """Draw a spec; the top is a supervisor that keeps its name."""
    kinds = ["supervisor"] if depth == 3 else ["worker", "worker", "supervisor", "dynamic"]
    kind = draw(st.sampled_from(kinds if depth else ["worker"]))
    if kind == "worker":
        return ChildSpec(id, draw(st.sampled_from(FACTORIES)), **draw(OPTIONS))
    if kind == "dynamic":
        return DynamicSupervisorSpec(id, max_children=draw(st.sampled_from([None, 5])))
    ids = draw(st.lists(st.sampled_from("abcd"), unique=True))
    own = draw(OWN)
    if depth == 3:
        own.pop("name", None)
    return SupervisorSpec(id, [draw(specs(id, depth - 1)) for id in ids], **own)


@st.composite
def trees(draw: st.DrawFn, spec: Spec | None = None) -> Running:
    """Draw a running tree in which this and that has happened."""
    if spec is None:
        spec = draw(specs())
    if not isinstance(spec, SupervisorSpec):
        return Running(spec)
    children = [draw(trees(entry)) for entry in spec.children if draw(st.integers(0, 9))]
    children = [
        evolve(entry, state=state, children=entry.children if state == "running" else ())
        for entry in children
        for state in [draw(st.sampled_from([ChildState.RUNNING] * 6 + list(ChildState)))]
    ]
    for id in draw(st.lists(st.sampled_from("cdxy"), unique=True, max_size=2)):
        if id not in {entry.spec.id for entry in children}:
            children.append(Running(draw(specs(id, 0))))
    return Running(
        spec,
        children=tuple(children),
        unstarted=frozenset(draw(st.lists(st.sampled_from("ab"), max_size=1))),
        unstopped=frozenset(draw(st.lists(st.sampled_from("xa"), max_size=1))),
    )


def after(tree: Running, new: Spec, steps: Sequence[Step], path: str = "/top") -> Running:
    """Do the steps to the model of a supervisor; nothing else may make it what it is to be."""
    if not isinstance(new, SupervisorSpec):
        return evolve(tree, spec=new)
    stops = {step.path: step for step in steps if isinstance(step, StopStep)}
    starts = {step.path: step for step in steps if isinstance(step, StartStep)}
    wanted = {entry.id: entry for entry in new.children}
    found: dict[str, Running] = {}
    for entry in tree.children:
        id, place = entry.spec.id, f"{path}/{entry.spec.id}"
        if place in stops and stops[place].spec is None:
            continue
        found[id] = entry if id not in wanted else _changed(entry, wanted[id], steps, place)
    for step in steps:
        if isinstance(step, ReorderStep) and step.path == path:
            rest = [id for id in found if id not in step.order]
            found = {id: found[id] for id in [*step.order, *rest]}
    began = [step for step in starts.values() if step.parent == path]
    found |= {step.id: running(step.spec) for step in began}
    if began:
        found = {id: found[id] for id in [*(id for id in wanted if id in found), *found]}
    return Running(new, children=tuple(found.values()))


def _changed(entry: Running, new: Spec, steps: Sequence[Step], path: str) -> Running:
    # A supervisor may be changed and its children reordered, at the same path.
    kinds = {step.path: type(step) for step in steps if not isinstance(step, ReorderStep)}
    again = renewal(entry.spec, new)
    if again is None and entry.state is ChildState.RUNNING:
        own = evolve(new, children=entry.spec.children) if isinstance(new, SupervisorSpec) else new
        assert same_tree(entry.spec, own) or kinds[path] is UpdateStep
        return after(entry, new, steps, path)
    if again is not None and kinds[path] is not UpdateStep:
        assert kinds[path] is StartStep  # the last of its steps
    elif not same_tree(entry.spec, new):
        assert kinds[path] in (UpdateStep, StartStep)
    return Running(new, entry.state)


@given(specs())
def test_equal_trees_give_no_steps(spec: Spec) -> None:
    """A tree that runs as its spec says does not differ from it."""
    assert diff(running(spec), spec) == ()
    assert new_specs(running(spec), spec, ()) == ()


@given(specs(), specs())
def test_the_steps_lead_to_the_new_tree(old: Spec, new: Spec) -> None:
    """Whatever the trees, the steps make the one that runs into the new one."""
    tree = running(old)
    assert after(tree, new, diff(tree, new)) == running(new)


@given(trees(), specs())
def test_the_steps_lead_there_from_any_state(tree: Running, new: Spec) -> None:
    """Whatever has happened to the running tree, after the steps there is nothing left to do."""
    done = after(tree, new, diff(tree, new))
    assert texts(done, new) == []


@given(trees(), specs())
def test_steps_are_in_order(tree: Running, new: Spec) -> None:
    """In place first; then stops, last started first; then starts, as they stand in the tree."""
    steps = diff(tree, new)
    rank: dict[type[Step], int] = {UpdateStep: 0, ReorderStep: 0, StopStep: 1, StartStep: 2}
    ranks = [rank[type(step)] for step in steps]
    assert ranks == sorted(ranks)
    before = list(_paths(tree))
    stops = [before.index(step.path) for step in steps if isinstance(step, StopStep)]
    assert stops == sorted(stops, reverse=True)
    there = [f"/{path}" for path, _ in walk(new)]
    starts = [there.index(step.path) for step in steps if isinstance(step, StartStep)]
    assert starts == sorted(starts)
    for kind in (StopStep, StartStep):  # a subtree that is stopped or started is one step
        paths = [step.path for step in steps if isinstance(step, kind)]
        assert len(paths) == len(set(paths))
        for path in paths:
            assert not [step for step in steps if step.path.startswith(path + "/")]


@given(trees(), specs())
def test_every_supervisor_above_a_change_gets_its_new_spec(tree: Running, new: Spec) -> None:
    """All supervisors above a change are told, each before those below it."""
    steps = diff(tree, new)
    told = [target.path for target in new_specs(tree, new, steps)]
    for number, path in enumerate(told):
        assert path == "/top" or path.rpartition("/")[0] in told[:number]
    for step in steps:
        if isinstance(step, ReorderStep) or step.path == "/top":
            assert step.path in told
        elif isinstance(step, UpdateStep):
            assert step.parent in told


def _paths(tree: Running, path: str = "/top") -> Iterator[str]:
    yield path
    for entry in tree.children:
        yield from _paths(entry, f"{path}/{entry.spec.id}")


def test_a_deep_tree_is_compared_without_recursion() -> None:
    """The depth of a tree does not matter."""

    def deep(shutdown: float) -> Spec:
        spec: Spec = child("w", shutdown=shutdown)
        for level in range(3000):
            spec = SupervisorSpec("top" if level == 2999 else "s", [spec])
        return spec

    steps = diff(running(deep(1.0)), deep(2.0))
    assert [type(step) for step in steps] == [UpdateStep]
    assert len(new_specs(running(deep(1.0)), deep(2.0), steps)) == 3000

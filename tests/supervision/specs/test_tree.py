"""Tests of `supervision.specs`: what a spec holds, and every way in which one is refused."""

import subprocess
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf, nan
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

import supervision
from actors import CancellationToken, Mailbox, Proc, task
from supervision import PoolSpec, Supervisor
from supervision.errors import SpecError
from supervision.specs import (
    BRUTAL_KILL,
    INFINITY,
    AnySupervisorSpec,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisorSpec,
    PartitionSupervisorSpec,
    Restart,
    Strategy,
    SupervisorSpec,
    TaskSupervisorSpec,
    WhenSpent,
    check_child,
    walk,
)

# What no type checker would let pass is what these tests are about.
child: Callable[..., ChildSpec[Any]] = ChildSpec
supervisor: Callable[..., SupervisorSpec] = SupervisorSpec
dynamic: Callable[..., DynamicSupervisorSpec] = DynamicSupervisorSpec


class Worker(Proc[str]):
    """A proc with constructor arguments; it is never run here."""

    def __init__(self, owner: str = "nobody", *, size: int = 0) -> None:
        self.owner, self.size = owner, size

    async def run(self, shutdown: CancellationToken) -> None:
        """Do nothing."""


async def report(shutdown: CancellationToken) -> None:
    """Do nothing: an ordinary coroutine function."""


class AsyncCallable:
    """An object that is called like a coroutine function."""

    async def __call__(self, shutdown: CancellationToken) -> None:
        """Do nothing."""


def refused(make: Callable[..., object], *args: object, **options: object) -> str:
    """Give the text with which this call is refused."""
    with pytest.raises(SpecError) as caught:
        make(*args, **options)
    error = caught.value
    assert str(error) == f"{error.path}: {error.field}: {error.problem}"
    return str(error)


# --- defaults ---------------------------------------------------------------------------------


def test_a_budget_of_its_own_has_a_window_of_5_seconds() -> None:
    """With `max_restarts` alone a worker has the usual window, and equals one that names it."""
    spec = ChildSpec("db", Worker, max_restarts=2)
    assert (spec.max_restarts, spec.max_seconds) == (2, 5.0)
    assert spec == ChildSpec("db", Worker, max_restarts=2, max_seconds=5)
    assert spec != ChildSpec("db", Worker, max_restarts=2, max_seconds=60.0)
    assert spec == attrs.evolve(ChildSpec("db", Worker), max_restarts=2)
    assert attrs.evolve(spec, max_restarts=None, max_seconds=None) == ChildSpec("db", Worker)


def test_a_budget_of_its_own_is_shown() -> None:
    """The repr of a spec with a budget is a call that makes an equal spec."""
    spec = ChildSpec("db", Worker, max_restarts=2, max_seconds=60.0, when_spent="park")
    text = "ChildSpec('db', Worker, max_restarts=2, max_seconds=60.0, when_spent=WhenSpent.PARK)"
    assert repr(spec) == text
    assert eval(text) == spec


def test_a_spec_has_the_defaults_of_the_contract() -> None:
    """A worker has neither name, nor backoff, nor budget; a dynamic supervisor has no limit."""
    worker = ChildSpec("db", Worker)
    assert (worker.name, worker.backoff, worker.start_timeout) == (None, None, None)
    assert worker.mailbox == Mailbox() == SupervisorSpec("shop").mailbox
    assert (worker.max_restarts, worker.max_seconds) == (None, None)
    assert worker.when_spent is WhenSpent.ESCALATE
    spec = DynamicSupervisorSpec("pool")
    assert isinstance(spec, ChildSpec)
    assert (spec.id, spec.max_children, spec.kind) == ("pool", None, "supervisor")
    assert (spec.max_restarts, spec.max_seconds, spec.shutdown) == (3, 5.0, INFINITY)


# --- conversions ------------------------------------------------------------------------------


def test_words_are_converted() -> None:
    """OTP's words stand for the members of the enums, as arguments and as values."""
    spec = SupervisorSpec(
        "shop",
        strategy="rest_for_one",
        auto_shutdown="any_significant",
        restart="transient",
        shutdown="brutal_kill",
    )
    assert spec.strategy is Strategy.REST_FOR_ONE
    assert spec.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT
    assert spec.restart is Restart.TRANSIENT
    assert spec.shutdown is BRUTAL_KILL
    assert [*Strategy] == ["one_for_one", "one_for_all", "rest_for_one"]
    assert [*Restart] == ["permanent", "transient", "temporary"]
    assert [*AutoShutdown] == ["never", "any_significant", "all_significant"]
    assert ChildSpec("db", Worker, max_restarts=1, when_spent="park").when_spent is WhenSpent.PARK
    assert [*WhenSpent] == ["escalate", "park"]


def test_children_become_a_tuple_of_their_own() -> None:
    """Reconfiguration the list afterwards does not change the spec."""
    children = [ChildSpec("a", Worker), ChildSpec("b", Worker)]
    spec = SupervisorSpec("shop", children)
    children.pop()
    assert [each.id for each in spec.children] == ["a", "b"]
    assert isinstance(spec.children, tuple)


# --- refusals: one option ---------------------------------------------------------------------

MAKERS: dict[str, Callable[..., ChildSpec[Any]]] = {
    "worker": partial(child, "x", Worker),
    "static": partial(supervisor, "x"),
    "dynamic": partial(dynamic, "x"),
}
ALL, SUPERVISORS = tuple(MAKERS), ("static", "dynamic")
PATIENCE = "give seconds >= 0, INFINITY or BRUTAL_KILL"
TIMEOUT = "give seconds > 0 or None"

# For which kinds of spec, the option, its wrong values, and what is said of them.
WRONG: list[tuple[tuple[str, ...], str, list[object], str]] = [
    (
        ALL,
        "restart",
        ["sometimes", None, ["permanent"]],
        "{!r} is not one of 'permanent', 'transient', 'temporary'",
    ),
    (ALL, "shutdown", [-1, -inf], "{!r} is negative; " + PATIENCE),
    (ALL, "shutdown", [nan, True, None, "5"], "{!r} is not a number; " + PATIENCE),
    (ALL, "shutdown", [10**400], "{!r} is not finite; " + PATIENCE),
    (ALL, "significant", [1], "{!r} is not a bool; give True or False"),
    (
        ALL,
        "significant",
        [True],
        "a permanent child never ends for good; make it transient or temporary",
    ),
    (ALL, "name", ["db"], "{!r} is not a Name; give a Name or None"),
    (ALL, "backoff", [0.5], "{!r} is not a Backoff; give a Backoff or None"),
    (ALL, "start_timeout", [0], "{!r} is not positive; " + TIMEOUT),
    (ALL, "start_timeout", [-2], "{!r} is negative; " + TIMEOUT),
    (ALL, "start_timeout", [inf], "{!r} is not finite; " + TIMEOUT),
    (ALL, "start_timeout", ["1"], "{!r} is not a number; " + TIMEOUT),
    (ALL, "max_restarts", [-1], "{!r} is negative; give an int >= 0"),
    (ALL, "max_restarts", [True, 3.0, inf], "{!r} is not an int; give an int >= 0"),
    (SUPERVISORS, "max_restarts", [None], "{!r} is not an int; give an int >= 0"),
    (ALL, "max_seconds", [0], "{!r} is not positive; give seconds > 0"),
    (ALL, "max_seconds", [-5], "{!r} is negative; give seconds > 0"),
    (ALL, "max_seconds", [inf], "{!r} is not finite; give seconds > 0"),
    (ALL, "max_seconds", [nan, False], "{!r} is not a number; give seconds > 0"),
    (ALL, "when_spent", ["give up", None], "{!r} is not one of 'escalate', 'park'"),
    (
        SUPERVISORS,
        "when_spent",
        ["park"],
        "{!r} is for a worker's own budget; a supervisor's is that of its children, so leave it"
        " out",
    ),
    (
        ("worker",),
        "when_spent",
        ["park"],
        "{!r} means nothing without max_restarts; say how many restarts it may have",
    ),
    (
        ("worker",),
        "max_seconds",
        [5.0],
        "{!r} means nothing without max_restarts; give both or neither",
    ),
    (("worker",), "mailbox", [None, 100], "{!r} is not a Mailbox; give a Mailbox"),
    (
        ("static",),
        "strategy",
        ["one_for_none"],
        "{!r} is not one of 'one_for_one', 'one_for_all', 'rest_for_one'",
    ),
    (
        ("static",),
        "auto_shutdown",
        [True],
        "{!r} is not one of 'never', 'any_significant', 'all_significant'",
    ),
    (("dynamic",), "max_children", [-1], "{!r} is negative; give an int >= 0"),
    (("dynamic",), "max_children", [True, inf], "{!r} is not an int; give an int >= 0"),
]


@pytest.mark.parametrize(
    ("kind", "option", "value", "text"),
    [
        pytest.param(kind, option, value, text, id=f"{kind}-{option}-{str(value)[:12]}")
        for kinds, option, values, text in WRONG
        for kind in kinds
        for value in values
    ],
)
def test_a_wrong_option_is_refused(kind: str, option: str, value: object, text: str) -> None:
    """A spec with a wrong option raises SpecError with the id, the option and the remedy."""
    found = refused(MAKERS[kind], **{option: value})
    assert found == f"x: {option}: {text.format(value)}"


@pytest.mark.parametrize("id", ["", "a/b", "/", None, 7, b"db"])
@pytest.mark.parametrize("make", [supervisor, dynamic, partial(child, start=Worker)])
def test_an_id_is_a_text_that_can_stand_in_a_path(make: Callable[..., object], id: Any) -> None:
    """An id that is empty, not a string, or contains a slash is refused by its kind of spec."""
    kind = "ChildSpec" if isinstance(make, partial) else cast("type", make).__name__
    expected = f"{kind}: id: {id!r} is not an id; give a text without '/', not empty"
    assert refused(make, id=id) == expected


def test_the_first_wrong_option_in_order_is_reported() -> None:
    """Of several wrong options the first in the order of the signature is named."""
    assert refused(child, "db", None, shutdown=-1).startswith("db: start:")
    assert refused(child, "db", Worker, max_restarts=3, shutdown=-1).startswith("db: shutdown:")
    assert refused(supervisor, "shop", [None], max_seconds=0).startswith("shop: max_seconds:")


# --- refusals: start --------------------------------------------------------------------------


def test_a_start_that_is_no_factory_is_refused_with_a_hint() -> None:
    """What cannot be called is named as it is; a proc that exists already gets a hint."""
    not_callable = "is not callable; give a factory that makes a proc"
    assert refused(child, "db", None) == f"db: start: None {not_callable}"
    assert refused(child, "db", "Worker") == f"db: start: 'Worker' {not_callable}"
    text = refused(child, "db", Worker())
    assert text.startswith("db: start: <")
    assert text.endswith("has been made already; give a factory, such as its class")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (report, "report"),
        (partial(report, CancellationToken), "partial(report, <class"),
        (AsyncCallable(), "<"),
    ],
    ids=["function", "partial", "object"],
)
def test_a_coroutine_function_is_refused_with_the_remedy(start: object, name: str) -> None:
    """A coroutine function is not a factory of procs, but `task` makes one of it."""
    text = refused(child, "metrics", start)
    assert text.startswith(f"metrics: start: {name}")
    assert "is a coroutine function; give the factory task(" in text


def test_a_coroutine_is_refused_with_the_remedy() -> None:
    """A coroutine function that was called too early gets the hint to leave the call out."""
    coroutine: Coroutine[Any, Any, None] = report(cast("CancellationToken", None))
    try:
        assert refused(child, "metrics", coroutine) == (
            "metrics: start: report() has been called already; give the factory task(report)"
        )
    finally:
        coroutine.close()


def test_any_callable_can_be_a_start() -> None:
    """Classes, partials, lambdas and `task` factories are all accepted, and not called."""

    def explode() -> Worker:
        raise AssertionError("a spec must not start anything")

    starts: list[Callable[[], Proc[Any]]] = [
        Worker,
        partial(Worker, "ada"),
        lambda: Worker("ada"),
        task(report),
        explode,
    ]
    for start in starts:
        assert child("w", start).start is start


# --- refusals: children -----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["ab", None, 3, {"a": 1}, ChildSpec("a", Worker), iter(())])
def test_children_are_a_sequence(value: object) -> None:
    """A single spec, a text, a mapping or an iterator is not taken for children."""
    text = refused(supervisor, "shop", value)
    assert text.startswith("shop: children: ")
    assert text.endswith(
        f" of type {type(value).__name__} is not a sequence; give a list of ChildSpecs"
    )


def test_a_child_that_is_no_spec_is_refused_with_its_place() -> None:
    """An item that is not a ChildSpec is reported with index and type."""
    assert refused(supervisor, "shop", [ChildSpec("a", Worker), Worker]) == (
        "shop: children: item 1, Worker of type type, is not a ChildSpec"
    ).replace("of type type", f"of type {type(Worker).__name__}")
    assert refused(supervisor, "shop", [None]) == (
        "shop: children: item 0, None of type NoneType, is not a ChildSpec"
    )


def test_two_children_of_one_id_are_refused_with_their_places() -> None:
    """Ids are unique among siblings, whatever their kind; the path names the second one."""
    same = [ChildSpec("a", Worker), ChildSpec("b", Worker), SupervisorSpec("a")]
    assert refused(supervisor, "shop", same) == (
        "shop/a: id: items 0 and 2 both have it; give each its own"
    )


def test_a_supervisor_has_neither_start_nor_mailbox() -> None:
    """`start` and `mailbox` are options of workers alone."""
    for make in (supervisor, dynamic):
        for option in ({"start": Worker}, {"mailbox": Mailbox()}):
            with pytest.raises(TypeError, match="unexpected keyword argument"):
                make("x", **option)


def test_a_running_supervisor_checks_by_the_same_rules() -> None:
    """`check_child` judges a child for a given parent and auto_shutdown setting."""
    significant = ChildSpec("job", Worker, restart="temporary", significant=True)
    check_child(significant, parent="/shop", auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    check_child(ChildSpec("w", Worker), parent="/shop", auto_shutdown=AutoShutdown.NEVER)
    check_child(ChildSpec("w", Worker), parent="/pool", auto_shutdown=None)
    assert refused(
        check_child, significant, parent="/shop", auto_shutdown=AutoShutdown.NEVER
    ).startswith("/shop/job: significant: means nothing under auto_shutdown 'never'")
    assert refused(check_child, significant, parent="/pool", auto_shutdown=None) == (
        "/pool/job: significant: a dynamic supervisor never shuts down automatically; leave it out"
    )
    assert refused(check_child, "w", parent="/shop", auto_shutdown=None) == (
        "/shop: spec: 'w' of type str is not a ChildSpec"
    )


# --- values -----------------------------------------------------------------------------------


def tree() -> SupervisorSpec:
    """Make a small tree anew, of parts that are equal each time."""
    return SupervisorSpec(
        "shop",
        [
            ChildSpec("db", Worker, shutdown=10.0),
            SupervisorSpec("workers", [ChildSpec("w1", Worker)], strategy="one_for_all"),
            DynamicSupervisorSpec("pool", max_children=9),
        ],
    )


def test_equal_trees_compare_and_hash_equal() -> None:
    """Two trees made from equal parts are equal, although each has a start of its own."""
    assert tree() == tree()
    assert hash(tree()) == hash(tree())
    assert len({tree(), tree()}) == 1
    assert tree() != attrs.evolve(tree(), max_restarts=4)
    assert SupervisorSpec("x") != DynamicSupervisorSpec("x")
    for spec in (ChildSpec("db", Worker), *tree().children[1:]):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            cast("Any", spec).restart = Restart.TEMPORARY


def test_a_spec_can_be_varied() -> None:
    """`attrs.evolve` gives a changed copy, checked like any spec, with a start of its own."""
    old = tree()
    new = attrs.evolve(old, strategy=Strategy.REST_FOR_ONE)
    assert (new.strategy, new.children) == (Strategy.REST_FOR_ONE, old.children)
    assert old.strategy is Strategy.ONE_FOR_ONE
    assert cast("Supervisor", new.start()).spec is new
    assert cast("Supervisor", old.start()).spec is old
    assert attrs.evolve(ChildSpec("a", Worker), id="b") == ChildSpec("b", Worker)
    with pytest.raises(SpecError):
        attrs.evolve(old, max_restarts=-1)


def test_a_spec_prints_as_the_call_that_makes_it() -> None:
    """The repr leaves out what is left at its default and shows factories by name."""
    assert repr(tree()) == (
        "SupervisorSpec('shop', (ChildSpec('db', Worker, shutdown=10.0), "
        "SupervisorSpec('workers', (ChildSpec('w1', Worker),), strategy=Strategy.ONE_FOR_ALL), "
        "DynamicSupervisorSpec('pool', max_children=9)))"
    )
    assert repr(ChildSpec("a", partial(Worker, "ada", size=3), shutdown=BRUTAL_KILL)) == (
        "ChildSpec('a', partial(Worker, 'ada', size=3), shutdown=BRUTAL_KILL)"
    )
    assert repr(DynamicSupervisorSpec("d", shutdown=3, restart="temporary")) == (
        "DynamicSupervisorSpec('d', restart=Restart.TEMPORARY, shutdown=3)"
    )
    assert (str(INFINITY), str(Strategy.ONE_FOR_ALL)) == ("INFINITY", "one_for_all")


def test_walking_goes_in_start_order_with_paths() -> None:
    """A walk gives each spec of a tree once, supervisors before their children."""
    spec = tree()
    assert [path for path, _ in walk(spec)] == [
        "shop",
        "shop/db",
        "shop/workers",
        "shop/workers/w1",
        "shop/pool",
    ]
    assert [found.id for _, found in walk(spec)] == ["shop", "db", "workers", "w1", "pool"]
    assert next(walk(spec))[1] is spec
    assert [*walk(ChildSpec("db", Worker))] == [("db", ChildSpec("db", Worker))]


# --- what runs them ---------------------------------------------------------------------------


@attrs.frozen(repr=False)
class OwnSpec(AnySupervisorSpec):
    """A kind of supervisor that is defined here."""

    run_by = f"{__name__}:Own"


class Own(Worker):
    """What runs it."""

    def __init__(self, spec: OwnSpec) -> None:
        self.spec = spec


@pytest.mark.parametrize(
    ("spec", "runner"),
    [
        (SupervisorSpec("shop"), "Supervisor"),
        (DynamicSupervisorSpec("sessions"), "DynamicSupervisor"),
        (TaskSupervisorSpec("tasks"), "TaskSupervisor"),
        (PartitionSupervisorSpec("visits", ChildSpec("visit", Worker)), "PartitionSupervisor"),
        (PoolSpec("workers", Worker, size=1), "Dispatcher"),
        (OwnSpec("own"), "Own"),
    ],
)
def test_a_start_makes_what_runs_the_spec(spec: ChildSpec[Any], runner: str) -> None:
    """The start of a supervisor spec makes the actor that its kind names, each time anew."""
    first, second = spec.start(), spec.start()
    assert type(first).__name__ == runner
    assert first is not second


def test_specs_are_made_without_what_runs_them() -> None:
    """The room of specs loads no other room; the start of a spec loads the one that it needs."""
    program = """if True:
        import sys, types
        door = types.ModuleType("supervision")      # the package, without what it offers
        door.__path__ = [sys.argv[1]]
        sys.modules["supervision"] = door
        from supervision.specs import SupervisorSpec, draw
        def rooms() -> set[str]:
            names = (name.split(".") for name in sys.modules if name.startswith("supervision."))
            return {room for _, room, *_ in names}
        spec = SupervisorSpec("shop")
        draw(spec)
        print(sorted(rooms()))
        print(type(spec.start()).__name__, "supervisors" in rooms())
    """
    package = str(Path(supervision.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", program, package], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['describe', 'errors', 'specs']\nSupervisor True\n"

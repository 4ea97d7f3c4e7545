"""The spec of a pool: what it holds, what it refuses, and how it is shown."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from attrs import evolve

from actors import Mailbox, Name
from supervision import (
    INFINITY,
    Backoff,
    ChildSpec,
    Discard,
    DynamicSupervisorSpec,
    PoolJob,
    PoolSpec,
    Restart,
    Routing,
    SpecError,
    SupervisorSpec,
    draw,
    walk,
)
from supervision.pool_dispatcher import Dispatcher
from supervision.pool_spec import workers_spec
from tests.supervision.pools import Bench, Hand, Hold

make = partial(Hand, Bench())


def test_the_defaults() -> None:
    """A pool is a permanent supervisor with all the time it needs, without limits."""
    spec = PoolSpec("pool", make, size=3)
    assert (spec.kind, spec.restart, spec.shutdown) == ("supervisor", Restart.PERMANENT, INFINITY)
    assert (spec.routing, spec.discard, spec.attempts) == (Routing.LEAST_LOADED, Discard.REFUSE, 1)
    assert (spec.queue_limit, spec.job_timeout, spec.key, spec.name) == (None, None, None, None)
    assert (spec.max_restarts, spec.max_seconds) == (3, 5.0)
    assert isinstance(spec.start(), Dispatcher)


def test_words_will_do() -> None:
    """The words of the enums can be given instead of them."""
    spec = PoolSpec("pool", make, size=1, routing="sticky", discard="oldest", restart="transient")
    words = (Routing.STICKY, Discard.OLDEST, Restart.TRANSIENT)
    assert (spec.routing, spec.discard, spec.restart) == words
    assert [repr(word) for word in words[:2]] == ["Routing.STICKY", "Discard.OLDEST"]


def test_specs_are_values() -> None:
    """Equal pools compare and hash equal, and one can be varied."""
    one, other = PoolSpec("pool", make, size=2), PoolSpec("pool", make, size=2)
    assert one == other
    assert hash(one) == hash(other)
    assert evolve(one, size=3) == PoolSpec("pool", make, size=3)
    assert one != PoolSpec("pool", make, size=3)


def test_a_pool_stands_in_a_tree() -> None:
    """A pool is walked over and drawn as one supervisor among the others."""
    name = Name[PoolJob[Hold]]("pool")
    tree = SupervisorSpec("top", [PoolSpec("pool", make, size=2, name=name), ChildSpec("x", make)])
    assert [path for path, _ in walk(tree)] == ["top", "top/pool", "top/x"]
    assert draw(tree).splitlines()[1].split("  ")[:2] == ["|- pool", "pool of 2"]


def test_the_workers_have_the_budget() -> None:
    """The budget of the pool is that of the supervisor that keeps the workers."""
    spec = PoolSpec("pool", make, size=2, max_restarts=7, max_seconds=3.0)
    assert workers_spec(spec) == DynamicSupervisorSpec("workers", max_restarts=7, max_seconds=3.0)


def test_a_template_is_kept() -> None:
    """Each worker has all that its template says, but for the number behind its id."""
    template = ChildSpec("hand", make, backoff=Backoff(1.0, 2.0), mailbox=Mailbox(capacity=5))
    spec = PoolSpec("pool", template, size=2)
    assert spec.template is template
    assert spec.worker_spec(2) == evolve(template, id="hand-2")


@pytest.mark.parametrize(
    ("options", "path", "field", "problem"),
    [
        ({"size": 0}, "pool", "size", "0 is not positive; give an int >= 1"),
        ({"size": True}, "pool", "size", "True is not an int; give an int >= 1"),
        (
            {"routing": "random"},
            "pool",
            "routing",
            "'random' is not one of 'round_robin', 'least_loaded', 'keyed', 'sticky'",
        ),
        ({"discard": "all"}, "pool", "discard", "'all' is not one of 'refuse', 'oldest', 'newest'"),
        ({"key": "name"}, "pool", "key", "'name' is not callable"),
        ({"queue_limit": -1}, "pool", "queue_limit", "-1 is negative; give an int >= 0"),
        ({"job_timeout": 0}, "pool", "job_timeout", "0 is not positive; give seconds > 0 or None"),
        ({"job_timeout": float("inf")}, "pool", "job_timeout", "inf is not finite"),
        ({"attempts": 0}, "pool", "attempts", "0 is not positive; give an int >= 1"),
        ({"max_restarts": -1}, "pool", "max_restarts", "-1 is negative"),
        ({"id": "a/b"}, "PoolSpec", "id", "'a/b' is not an id"),
        ({"worker": 5}, "pool", "worker", "5 is not callable; give a factory that makes a proc"),
        (
            {"worker": SupervisorSpec("inner")},
            "pool",
            "worker",
            "'inner' is a supervisor; give a worker's spec",
        ),
        (
            {"worker": ChildSpec("hand", make, restart="transient")},
            "pool/hand",
            "restart",
            "the workers of a pool are permanent, its size is kept; leave it out",
        ),
        (
            {"worker": ChildSpec("hand", make, name=Name("hand"))},
            "pool/hand",
            "name",
            "all workers would have the same; give the name to the pool",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: dict[str, Any], path: str, field: str, problem: str
) -> None:
    """A wrong option is a SpecError that says where it stands and what would be right."""
    arguments: dict[str, Any] = {"id": "pool", "worker": make, "size": 2, **options}
    with pytest.raises(SpecError) as caught:
        PoolSpec(**arguments)
    error = caught.value
    assert (error.path, error.field) == (path, field)
    assert error.problem.startswith(problem)


def test_a_dispatcher_wants_the_spec_of_a_pool() -> None:
    """The class of a running pool refuses another spec."""
    with pytest.raises(TypeError, match="wants a PoolSpec, not SupervisorSpec"):
        Dispatcher(SupervisorSpec("top"))  # type: ignore[arg-type]

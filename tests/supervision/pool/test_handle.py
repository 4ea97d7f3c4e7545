"""A pool: jobs are shared among workers, one at a time, each asker is answered; and its spec."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from attrs import evolve, frozen

from actors import Actor, AskTimeout, Mailbox, Name, ProcExited, Reply, Request, on
from supervision import (
    INFINITY,
    Backoff,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DynamicSupervisorSpec,
    Pool,
    PoolSpec,
    Restart,
    SpecError,
    SupervisorSpec,
    WhichChildren,
    draw,
    serve,
)
from supervision.pool import Discard, PoolJob, Routing
from supervision.pool.dispatcher import Dispatcher
from supervision.pool.spec import workers_spec
from supervision.specs import walk
from tests.kit.pools import Bench, Hand, Hold


async def test_a_worker_has_one_job_in_hand() -> None:
    """Jobs wait while every worker has one, and are begun in the order in which they came."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("abcd")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        await bench.finish("b")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "c"}
        await bench.finish("a", "c", "d")
        assert bench.begun == ["a", "b", "c", "d"]
        assert bench.results == {name: f"{name} done" for name in "abcd"}


async def test_a_refusal_is_an_answer() -> None:
    """A refusal of a worker reaches the asker as it is, and the worker lives on."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        await bench.refuse("a")
        assert bench.results == {"a": "No"}
        assert bench.in_hand == {"worker-1": "b"}
        await bench.finish("b")
        assert await bench.counts("done", "failed") == (2, 0)


async def test_the_pool_answers_while_its_workers_work() -> None:
    """However busy the workers are, the pool takes jobs and answers questions at once."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("abc")
        with anyio.fail_after(0.001):
            assert await bench.counts("running", "queued", "taken") == (1, 2, 3)
        assert [worker.busy for worker in (await bench.statistics()).workers] == [True]
        await bench.finish("a", "b", "c")


async def test_a_pool_is_found_by_its_name() -> None:
    """A pool is spawned under its typed name, and the ref found there makes the handle."""
    name = Name[PoolJob[Double]]("doublers")
    async with serve(PoolSpec("doublers", Doubler, size=2, name=name)) as app:
        ref = app.system.whereis(name)
        assert ref is not None
        pool = Pool(ref)
        assert await pool.ask(Double(4)) == 8
        assert (pool, hash(pool)) == (Pool(app.supervisor), hash(Pool(app.supervisor)))
        assert pool != ref
        assert repr(pool) == "<Pool /doublers>"
        assert pool.ref == ref


async def test_a_pool_is_a_supervisor_among_others() -> None:
    """A pool nests in a tree, starts and stops in its place, and shows its workers as children."""
    tree = SupervisorSpec("top", [SupervisorSpec("inner", [PoolSpec("pool", Doubler, size=3)])])
    async with serve(tree) as app:
        (pool,) = await app.find("inner").ask(WhichChildren())
        assert (pool.id, pool.kind) == ("pool", "supervisor")
        workers = await pool.ref.ask(WhichChildren())
        assert [worker.ref.path for worker in workers] == [
            f"/top/inner/pool/workers/worker-{number}" for number in (1, 2, 3)
        ]
        assert (await pool.ref.ask(CountChildren())).active == 3
        assert app.find("inner/pool/workers/worker-2").is_alive


async def test_a_wrong_request_fails_its_asker_alone() -> None:
    """A request that the workers do not accept is a TypeError for its asker, and no harm."""
    async with serve(PoolSpec("doublers", Doubler, size=1)) as app:
        pool = Pool[Double](app.supervisor)
        with pytest.raises(TypeError, match="Hold"):
            await pool.ask(Hold("a"))  # type: ignore[arg-type]
        assert await pool.ask(Double(1)) == 2
        statistics = await pool.statistics()
        assert (statistics.done, statistics.failed) == (1, 1)


async def test_a_reply_that_is_thrown_away_fails_its_asker_alone() -> None:
    """When a worker throws its reply away, the asker gets NoReply, and the worker lives on."""
    async with serve(PoolSpec("careless", Careless, size=1)) as app:
        pool = Pool[Double](app.supervisor)
        for _ in range(2):
            with pytest.raises(Exception, match="threw away") as caught:
                await pool.ask(Double(1))
            assert type(caught.value).__name__ == "NoReply"
        assert (await pool.statistics()).failed == 2


async def test_what_is_no_job_is_refused_at_the_door() -> None:
    """A plain message, a bad key or number, and what is no ref are errors at the call."""
    async with serve(PoolSpec("doublers", Doubler, size=1)) as app:
        pool = Pool[Double](app.supervisor)
        with pytest.raises(TypeError, match="the jobs of a pool are Requests"):
            pool.tell("double")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is no key"):
            pool.tell(Double(1), key=1.5)  # type: ignore[arg-type]
        for attempts in (0, True, 1.5):
            with pytest.raises(ValueError, match="attempts is an int >= 1"):
                await pool.ask(Double(1), attempts=attempts)  # type: ignore[arg-type]
        for job_timeout in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ValueError, match="job_timeout is a finite number"):
                pool.tell(Double(1), job_timeout=job_timeout)
        for size in (0, -1, True, 1.5):
            with pytest.raises(SpecError, match="/doublers: size"):
                await pool.resize(size)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="wants the ref of a pool"):
            Pool("doublers")  # type: ignore[arg-type]
        assert (await pool.statistics()).taken == 0


async def test_errors_name_the_request() -> None:
    """A timeout, and the end of a pool, name the request of the asker and the path of the pool."""
    async with Bench(size=1).serve() as bench:
        with pytest.raises(AskTimeout, match=r"/top/pool did not answer Hold within 2 s"):
            await bench.pool.ask(Hold("a"), timeout=2)
        await bench.finish("a")
    with pytest.raises(ProcExited, match=r"/top/pool ended before it answered Hold"):
        await bench.pool.ask(Hold("b"))


async def test_the_key_of_a_job_can_be_computed() -> None:
    """The spec's `key` makes the key of a request, the asker's own goes before it."""
    async with Bench(routing="sticky", key=lambda request: request.name[0]).serve() as bench:
        await bench.ask(["a1", "b1", "a2"])
        await bench.ask(["a3"], key="b")
        assert bench.in_hand == {"worker-1": "a1", "worker-2": "b1"}
        await bench.finish("b1")
        assert bench.in_hand == {"worker-1": "a1", "worker-2": "a3"}
        await bench.finish("a1", "a3", "a2")


async def test_a_key_that_cannot_be_computed_fails_its_asker_alone() -> None:
    """When the spec's `key` raises, or makes no key, the asker gets that error."""

    def key(request: Hold) -> str:
        if request.name == "a":
            raise LookupError(request.name)
        return 1.5 if request.name == "b" else request.name  # type: ignore[return-value]

    async with Bench(size=1, routing="keyed", key=key).serve() as bench:
        await bench.ask("abc")
        await bench.finish("c")
        assert bench.results == {"a": "LookupError", "b": "TypeError", "c": "c done"}
        assert (await bench.statistics()).refused == 2


async def test_a_pool_with_a_worker_that_does_not_start_does_not_start() -> None:
    """A worker whose start fails fails the start of the pool, and those before it are stopped."""
    bench = Bench(size=3)
    bench.starts.extend([None, OSError("no")])
    with pytest.raises(ChildStartFailed, match="workers/worker-2 failed to start: OSError: no"):
        async with serve(bench.spec):
            raise AssertionError


@frozen
class Double(Request[int]):
    """Be doubled."""

    number: int


class Doubler(Actor[Double]):
    """Double numbers."""

    @on(Double)
    def double(self, message: Double) -> int:
        """Double one."""
        return message.number * 2


class Careless(Actor[Double]):
    """Forget to answer."""

    @on(Double)
    def double(self, message: Double, reply: Reply[int]) -> None:
        """Throw the reply away."""


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

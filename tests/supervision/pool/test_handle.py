"""A pool: jobs are shared among workers, one at a time, and each asker gets its answer."""

from __future__ import annotations

from functools import partial
from typing import Never

import anyio
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    AskTimeout,
    CancellationToken,
    Name,
    Proc,
    ProcExited,
    Reply,
    Request,
    on,
)
from actors.testing import settle
from supervision import (
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    Pool,
    PoolSpec,
    SpecError,
    SupervisorSpec,
    WhichChildren,
    serve,
)
from supervision.pool import PoolJob
from tests.supervision.pools import Bench, Hold


async def test_a_worker_answers() -> None:
    """What a worker answers is the answer to the asker."""
    bench = Bench()
    async with bench.serve():
        bench.ask("a")
        await settle()
        bench.finish("a")
        await settle()
        assert bench.results == {"a": "a done"}


async def test_a_worker_has_one_job_in_hand() -> None:
    """Jobs wait while every worker has one, and are begun in the order in which they came."""
    bench = Bench(size=2)
    async with bench.serve():
        await bench.ask_all("abcd")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        bench.finish("b")
        await settle()
        assert bench.in_hand == {"worker-1": "a", "worker-2": "c"}
        bench.finish("a", "c")
        await settle()
        bench.finish("d")
        await settle()
        assert bench.begun == ["a", "b", "c", "d"]
        assert set(bench.results.values()) == {"a done", "b done", "c done", "d done"}


async def test_a_refusal_is_an_answer() -> None:
    """A refusal of a worker reaches the asker as it is, and the worker lives on."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.refuse("a")
        await settle()
        assert bench.results == {"a": "No"}
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")
        await settle()
        statistics = await pool.statistics()
        assert (statistics.done, statistics.failed) == (2, 0)


async def test_a_told_job_is_done() -> None:
    """A job that was told is done like the others, and its answer is dropped."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        pool.tell(Hold("a"))
        pool.tell(Hold("b"))
        await settle()
        assert bench.in_hand == {"worker-1": "a"}
        bench.finish("a")
        await settle()
        bench.refuse("b")
        await settle()
        assert bench.begun == ["a", "b"]
        assert (await pool.statistics()).done == 2


async def test_the_pool_answers_while_its_workers_work() -> None:
    """However busy the workers are, the pool takes jobs and answers questions at once."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        with anyio.fail_after(0.001):
            statistics = await pool.statistics()
        assert (statistics.running, statistics.queued, statistics.taken) == (1, 2, 3)
        assert [worker.busy for worker in statistics.workers] == [True]
        for _ in range(3):
            bench.finish_all()
            await settle()


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


async def test_a_pool_is_spawned_in_a_system() -> None:
    """The start of a pool's spec makes a proc for any actor system."""
    spec = PoolSpec("doublers", Doubler, size=1)
    async with ActorSystem() as system:
        ref = await system.spawn(spec.start, id="doublers", shutdown=None)
        assert await Pool[Double](ref).ask(Double(21)) == 42


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
    bench = Bench(size=1)
    async with bench.serve() as pool:
        with pytest.raises(AskTimeout, match=r"/top/pool did not answer Hold within 2 s"):
            await pool.ask(Hold("a"), timeout=2)
        bench.finish("a")
    with pytest.raises(ProcExited, match=r"/top/pool ended before it answered Hold"):
        await pool.ask(Hold("b"))


async def test_the_key_of_a_job_can_be_computed() -> None:
    """The spec's `key` makes the key of a request, the asker's own goes before it."""
    bench = Bench(size=2, routing="sticky", key=lambda request: request.name[0])
    async with bench.serve():
        for name in ("a1", "b1", "a2"):
            bench.ask(name)
            await settle()
        bench.ask("a3", key="b")
        await settle()
        assert bench.in_hand == {"worker-1": "a1", "worker-2": "b1"}
        bench.finish("b1")
        await settle()
        assert bench.in_hand == {"worker-1": "a1", "worker-2": "a3"}
        bench.finish("a1", "a3")
        await settle()
        bench.finish_all()


async def test_a_key_that_cannot_be_computed_fails_its_asker_alone() -> None:
    """When the spec's `key` raises, or makes no key, the asker gets that error."""

    def key(request: Hold) -> str:
        if request.name == "a":
            raise LookupError(request.name)
        return 1.5 if request.name == "b" else request.name  # type: ignore[return-value]

    bench = Bench(size=1, routing="keyed", key=key)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        bench.finish("c")
        await settle()
        assert bench.results == {"a": "LookupError", "b": "TypeError", "c": "c done"}
        assert (await pool.statistics()).refused == 2


async def test_a_pool_with_a_worker_that_does_not_start_does_not_start() -> None:
    """A worker whose start fails fails the start of the pool, and those before it are stopped."""
    bench = Bench(size=3)
    bench.starts.extend([None, OSError("no")])
    with pytest.raises(ChildStartFailed, match="workers/worker-2 failed to start: OSError: no"):
        async with serve(bench.spec):
            raise AssertionError


async def test_workers_share_a_template() -> None:
    """Each worker has the options of the template, and the pool's id for it with a number."""
    spec = PoolSpec("pool", ChildSpec("hand", partial(Doubler), shutdown=7.0), size=2)
    assert [spec.worker_spec(number).id for number in (1, 2)] == ["hand-1", "hand-2"]
    assert spec.worker_spec(1).shutdown == 7.0
    async with serve(spec) as app:
        assert app.find("workers/hand-2").path == "/pool/workers/hand-2"


async def test_an_actor_asks_a_pool() -> None:
    """An actor that is killed while it waits for a pool takes its job out."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        asker = await bench.app.system.spawn(partial(Asker, pool))
        await settle()
        assert (await pool.statistics()).queued == 1
        asker.kill()
        await settle()
        statistics = await pool.statistics()
        assert (statistics.queued, statistics.withdrawn) == (0, 1)
        bench.finish("a")


async def test_a_worker_may_ask_its_own_pool() -> None:
    """A worker that asks its own pool is answered by another one."""
    async with serve(PoolSpec("pool", Delegating, size=2)) as app:
        pool = Pool[Double](app.supervisor)
        Delegating.pool = pool
        assert await pool.ask(Double(2)) == 4
        assert (await pool.statistics()).done == 2


class Asker(Proc[Never]):
    """Ask a pool, and wait."""

    def __init__(self, pool: Pool[Hold]) -> None:
        self.pool = pool

    async def run(self, shutdown: CancellationToken) -> None:
        """Ask, for as long as it takes."""
        await self.pool.ask(Hold("asked"), timeout=None)


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


class Delegating(Actor[Double]):
    """Have half of the work done by somebody else."""

    pool: Pool[Double]

    @on(Double)
    async def double(self, message: Double) -> int:
        """Delegate what is even."""
        if message.number % 2:
            return message.number
        return message.number + 1 + await self.pool.ask(Double(message.number - 1))


class Careless(Actor[Double]):
    """Forget to answer."""

    @on(Double)
    def double(self, message: Double, reply: Reply[int]) -> None:
        """Throw the reply away."""

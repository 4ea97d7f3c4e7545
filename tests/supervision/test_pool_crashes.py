"""A pool whose workers end: what that means for the job in hand, and for those that wait."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Actor, DeadLetter, Ignore, Killed, ProcEnded, ProcExited, Reply, on
from actors.testing import settle
from supervision import (
    Backoff,
    ChildState,
    IntensityExceeded,
    Pool,
    PoolSpec,
    RestartChild,
    TerminateChild,
    serve,
)
from tests.supervision.pools import Bench, Boom, Hold

pytestmark = pytest.mark.dead_letters  # the job in hand at a crash is one

TEN_SECONDS = Backoff(10.0, 10.0, jitter=False)


async def test_a_crash_fails_only_the_job_in_hand() -> None:
    """The asker of the job in hand gets the crash; jobs in other hands and in the queue go on."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("abcd")
        await bench.crash("a")
        assert bench.results == {"a": "crashed: a"}
        error = bench.errors["a"]
        assert isinstance(error, ProcExited)
        assert (error.path, error.message) == ("/top/pool/workers/worker-1", "Hold")
        assert bench.in_hand == {"worker-1": "c", "worker-2": "b"}
        await bench.finish("b", "c", "d")
        statistics = await bench.statistics()
        assert (statistics.done, statistics.failed, statistics.retried) == (3, 1, 0)
        assert [(each.done, each.crashed) for each in statistics.workers] == [(1, 1), (2, 0)]


async def test_a_job_is_handed_to_another_worker() -> None:
    """A job with attempts left goes to another worker when the first one crashes over it."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("a", attempts=2)
        await bench.crash("a")
        assert bench.by == [("worker-1", "a"), ("worker-2", "a")]
        assert bench.results == {}
        await bench.finish("a")
        assert bench.results == {"a": "a done"}
        assert await bench.counts("done", "failed", "retried") == (1, 0, 1)


async def test_the_spec_says_how_often() -> None:
    """The attempts of the spec are for jobs that do not say it themselves, told ones among them."""
    async with Bench(size=1, attempts=2, max_restarts=10).serve() as bench:
        bench.pool.tell(Hold("a"))
        await bench.ask("b", attempts=1)
        for name in "aab":
            await bench.crash(name)
        assert bench.begun == ["a", "a", "b"]
        assert bench.results == {"b": "crashed: b"}
        assert await bench.counts("failed", "retried") == (2, 1)


async def test_a_job_that_comes_back_goes_first() -> None:
    """A job that is handed on goes before those that came after it."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("abc", attempts=2)
        await bench.crash("a")
        await bench.finish("a", "b", "c")
        assert bench.begun == ["a", "a", "b", "c"]


async def test_an_asker_that_has_gone_has_no_second_attempt() -> None:
    """A job whose asker gave up while a worker had it in hand is not handed on."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a", attempts=3)
        await bench.cancel("a")
        await bench.crash("a")
        assert bench.begun == ["a"]
        assert (await bench.statistics()).failed == 1


async def test_a_keyed_job_waits_for_its_worker_to_come_back() -> None:
    """Under keyed routing a job waits for its own worker, also through a backoff."""
    async with Bench(size=2, routing="keyed", worker={"backoff": TEN_SECONDS}).serve() as bench:
        await bench.ask("a", key="ada", attempts=2)
        ((mine, _),) = bench.by
        await bench.crash("a")
        states = {worker.id: worker.state for worker in (await bench.statistics()).workers}
        assert states[mine] is ChildState.RESTARTING
        await bench.ask("b", key="ada")
        await anyio.sleep(9.9)
        assert bench.in_hand == {}
        await anyio.sleep(0.2)
        assert bench.in_hand == {mine: "a"}
        await bench.finish("a")
        assert bench.in_hand == {mine: "b"}
        await bench.finish("b")


async def test_a_sticky_key_moves_when_its_worker_dies() -> None:
    """Under sticky routing the key of a worker that died goes to another one, and stays there."""
    async with Bench(size=2, routing="sticky", worker={"backoff": TEN_SECONDS}).serve() as bench:
        await bench.ask("ab", key="ada")
        assert bench.in_hand == {"worker-1": "a"}
        await bench.crash("a")
        assert bench.in_hand == {"worker-2": "b"}
        await anyio.sleep(11)
        await bench.ask("c", key="ada")
        assert bench.in_hand == {"worker-2": "b"}
        await bench.finish("b")
        assert bench.in_hand == {"worker-2": "c"}
        await bench.finish("c")


async def test_a_worker_that_ends_well_comes_back() -> None:
    """A worker that stops itself after a job has answered it, is restarted, and gets the next."""
    async with serve(PoolSpec("pool", Quitter, size=1, max_restarts=10)) as app:
        pool = Pool[Hold](app.supervisor)
        for name in "abc":
            assert await pool.ask(Hold(name)) == f"{name} by 1"
        assert (await pool.statistics()).done == 3


async def test_a_worker_that_ends_with_a_reply_in_hand_fails_it() -> None:
    """A job whose reply is kept for later fails with the worker, and is one attempt."""
    async with serve(PoolSpec("pool", Keeping, size=1, max_restarts=10)) as app:
        pool = Pool[Hold](app.supervisor)
        with pytest.raises(ProcExited, match="normal"):
            await pool.ask(Hold("a"), attempts=2)
        statistics = await pool.statistics()
        assert (statistics.failed, statistics.retried) == (1, 1)


# -- workers that do not come back -----------------------------------------------------------------


async def test_when_the_pool_gives_up_all_askers_fail_at_once() -> None:
    """When the budget of restarts is spent, what waits fails with it; the jobs in hand go on."""
    bench = Bench(size=2, max_restarts=0)
    bench.dies = True
    async with bench.serve(max_restarts=0):
        await bench.ask("abcd")
        await bench.crash("a")
        assert bench.results.keys() == {"a", "c", "d"}
        assert bench.results["a"] == "crashed: a"
        assert "/top/pool/workers gave up: more than 0 restarts" in bench.results["c"]
        assert isinstance(bench.errors["c"].__cause__, IntensityExceeded)
        await bench.ask("e")
        assert bench.results["e"] == bench.results["d"] == bench.results["c"]
        assert bench.in_hand == {"worker-2": "b"}
        await bench.finish("b")
        await anyio.sleep(1)
    assert bench.results["b"] == "b done"
    assert isinstance(bench.exited.__cause__, Boom)


async def test_a_crash_of_the_workers_supervisor_restarts_the_pool() -> None:
    """When the supervisor of the workers is killed, all askers fail, and the pool starts anew."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        bench.app.find("pool/workers").kill()
        await settle()
        assert bench.results["a"] == "ended: killed"
        assert bench.results["b"].startswith("ended: crashed: LinkBroken")
        await bench.ask("c")
        await bench.finish("c")
        assert bench.results["c"] == "c done"
        assert (await bench.statistics()).taken == 1


async def test_a_parked_worker_gets_no_jobs() -> None:
    """A worker that is parked gets no job until it is revived; the keys it had go to others."""
    bench = Bench(
        size=2, routing="keyed", worker={"max_restarts": 0, "when_spent": "park"}, max_restarts=10
    )
    async with bench.serve():
        await bench.ask("ab", key="ada")
        ((mine, _),) = bench.by
        await bench.crash("a")
        states = {worker.id: worker.state for worker in (await bench.statistics()).workers}
        assert states.pop(mine) is ChildState.PARKED
        ((other, state),) = states.items()
        assert state is ChildState.RUNNING
        assert bench.in_hand == {other: "b"}
        await bench.app.find("pool/workers").ask(RestartChild(mine))
        await bench.ask("c", key="ada")
        assert bench.in_hand == {other: "b", mine: "c"}
        await bench.finish("b", "c")


async def test_when_all_workers_are_parked_askers_hear_it_at_once() -> None:
    """With no worker left, what waits and what comes is refused, until one is revived."""
    async with Bench(size=1, worker={"max_restarts": 0, "when_spent": "park"}).serve() as bench:
        await bench.ask("a", attempts=2)
        await bench.ask("b")
        await bench.crash("a")
        await bench.ask("c")
        assert bench.results == {"a": "NoWorkers", "b": "NoWorkers", "c": "NoWorkers"}
        crash = bench.errors["a"].__cause__
        assert isinstance(crash, ProcExited)
        assert isinstance(crash.__cause__, Boom)
        assert await bench.counts("failed", "refused") == (2, 1)
        await bench.app.find("pool/workers").ask(RestartChild("worker-1"))
        await bench.ask("d")
        await bench.finish("d")
        assert bench.results["d"] == "d done"


async def test_a_worker_that_is_terminated_leaves_the_pool() -> None:
    """A worker that somebody terminates is missed no more; resize gives the pool another."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("abc")
        await bench.finish("b")
        await bench.app.find("pool/workers").ask(TerminateChild("worker-1"), timeout=None)
        statistics = await bench.statistics()
        assert [worker.id for worker in statistics.workers] == ["worker-2"]
        await bench.pool.resize(2)
        assert (await bench.statistics()).size == 2
        await bench.finish_all()
        assert bench.results["c"] == "c done"


@pytest.mark.parametrize("starts", [[Ignore()], [OSError("not yet"), Ignore()]])
async def test_a_worker_that_is_not_needed_any_more_leaves_the_pool(starts: list[Any]) -> None:
    """A worker that raises Ignore at a restart leaves; without it, askers hear it at once."""
    async with Bench(size=1, worker={"backoff": TEN_SECONDS}).serve() as bench:
        await bench.ask("ab")
        bench.starts.extend(starts)
        await bench.crash("a")
        await anyio.sleep(10.0 * len(starts) - 1)
        assert bench.results == {"a": "crashed: a"}
        await anyio.sleep(2)
        assert bench.results == {"a": "crashed: a", "b": "NoWorkers"}
        assert await bench.counts("size") == (0,)


async def test_to_give_up_makes_no_dead_letters_of_its_own() -> None:
    """When a pool gives up, is stopped or killed, what it told itself is missed by nobody."""
    async with Bench(size=2, max_restarts=0).serve() as bench:
        await bench.ask("abcd")
        bench.let_go("a", error=Boom)
        await bench.kill("worker-2")
        await bench.pool.ref.shutdown(None)
        await settle()
        lost = [event.message for event in bench.events if isinstance(event, DeadLetter)]
        assert {type(message) for message in lost} == {Hold}


async def test_a_worker_that_is_not_needed_is_left_out() -> None:
    """A worker that raises Ignore at its first start is left out, and a pool of none is ignored."""
    for ignoring, left in ((1, ["worker-2"]), (2, [])):
        bench = Bench(size=2)
        bench.starts.extend([Ignore()] * ignoring)
        async with bench.serve():
            assert bench.pool.ref.is_alive == bool(left)
            if left:
                assert [worker.id for worker in (await bench.statistics()).workers] == left


async def test_a_worker_that_dies_idle_costs_no_job() -> None:
    """A worker that is killed while it rests is replaced, and the next job is done."""
    async with Bench(size=1).serve() as bench:
        bench.app.find("pool/workers/worker-1").kill()
        await bench.ask("a")  # it comes before the pool hears of the end
        assert bench.in_hand == {"worker-1": "a"}
        await bench.finish("a")
        assert (await bench.statistics()).failed == 0
        ended = [event for event in bench.events if isinstance(event, ProcEnded)]
        assert [event.reason for event in ended] == [Killed()]


class Quitter(Actor[Hold]):
    """Do one job in each life."""

    def __init__(self) -> None:
        self.jobs = 0

    @on(Hold)
    def hold(self, message: Hold) -> str:
        """Do it, and stop."""
        self.jobs += 1
        self.context.stop()
        return f"{message.name} by {self.jobs}"


class Keeping(Actor[Hold]):
    """Keep the reply for later, and end before that."""

    @on(Hold)
    def hold(self, message: Hold, reply: Reply[str]) -> None:
        """Keep it."""
        self.reply = reply
        self.context.stop()

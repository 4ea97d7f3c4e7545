"""A pool whose workers end: what that means for the job in hand, and for those that wait."""

from __future__ import annotations

import anyio
import pytest

from actors import Actor, DeadLetter, Ignore, Killed, ProcEnded, ProcExited, Reply, on
from actors.testing import settle
from supervision import (
    Backoff,
    ChildState,
    DeleteChild,
    IntensityExceeded,
    Pool,
    PoolSpec,
    RestartChild,
    TerminateChild,
    Watchdog,
    serve,
)
from tests.supervision.pools import Bench, Boom, Hold

pytestmark = pytest.mark.dead_letters  # the job in hand at a crash is one


async def test_a_crash_fails_only_the_job_in_hand() -> None:
    """The asker of the job in hand gets the crash; jobs in other hands and in the queue go on."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        bench.crash("a")
        await settle()
        assert bench.results == {"a": "crashed: a"}
        error = bench.errors["a"]
        assert isinstance(error, ProcExited)
        assert (error.path, error.message) == ("/top/pool/workers/worker-1", "Hold")
        assert bench.in_hand == {"worker-1": "c", "worker-2": "b"}
        bench.finish("b")
        await settle()
        bench.finish("c", "d")
        await settle()
        statistics = await pool.statistics()
        assert (statistics.done, statistics.failed, statistics.retried) == (3, 1, 0)
        assert [(each.done, each.crashed) for each in statistics.workers] == [(1, 1), (2, 0)]


async def test_a_kill_is_as_good_as_a_crash() -> None:
    """When a worker is killed the asker of the job in its hand hears it at once."""
    bench = Bench(size=1)
    async with bench.serve():
        await bench.ask_all("ab")
        bench.kill("worker-1")
        await settle()
        assert bench.results == {"a": "ended: killed"}
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")


async def test_a_job_is_handed_to_another_worker() -> None:
    """A job with attempts left goes to another worker when the first one crashes over it."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        bench.ask("a", attempts=2)
        await settle()
        bench.crash("a")
        await settle()
        assert bench.by == [("worker-1", "a"), ("worker-2", "a")]
        assert bench.results == {}
        bench.finish("a")
        await settle()
        assert bench.results == {"a": "a done"}
        statistics = await pool.statistics()
        assert (statistics.done, statistics.failed, statistics.retried) == (1, 0, 1)


async def test_a_job_is_attempted_so_often_and_no_more() -> None:
    """When its last attempt crashes, the asker gets that crash."""
    bench = Bench(size=2, max_restarts=10)
    async with bench.serve() as pool:
        bench.ask("a", attempts=3)
        for _ in range(3):
            await settle()
            bench.crash("a")
        await settle()
        assert bench.begun == ["a", "a", "a"]
        assert bench.results == {"a": "crashed: a"}
        statistics = await pool.statistics()
        assert (statistics.failed, statistics.retried) == (1, 2)
        assert sum(worker.crashed for worker in statistics.workers) == 3


async def test_the_spec_says_how_often() -> None:
    """The attempts of the spec are for jobs that do not say it themselves, told ones among them."""
    bench = Bench(size=1, attempts=2, max_restarts=10)
    async with bench.serve() as pool:
        pool.tell(Hold("a"))
        bench.ask("b", attempts=1)
        for name in "aab":
            await settle()
            bench.crash(name)
        await settle()
        assert bench.begun == ["a", "a", "b"]
        assert bench.results == {"b": "crashed: b"}


async def test_a_job_that_comes_back_goes_first() -> None:
    """A job that is handed on goes before those that came after it."""
    bench = Bench(size=1)
    async with bench.serve():
        await bench.ask_all("abc", attempts=2)
        bench.crash("a")
        for _ in range(3):
            await settle()
            bench.finish_all()
        await settle()
        assert bench.begun == ["a", "a", "b", "c"]


async def test_a_worker_that_hangs_hands_its_job_on() -> None:
    """With a watchdog a worker that hangs over a job counts as crashed, and the job goes on."""
    bench = Bench(size=2, worker={"watchdog": Watchdog(handler=5.0)})
    async with bench.serve() as pool:
        await bench.ask_all("a", attempts=2)
        await anyio.sleep(7)
        await settle()
        assert bench.by == [("worker-1", "a"), ("worker-2", "a")]
        bench.finish("a")
        await settle()
        assert bench.results == {"a": "a done"}
        assert (await pool.statistics()).retried == 1


async def test_an_asker_that_has_gone_has_no_second_attempt() -> None:
    """A job whose asker gave up while a worker had it in hand is not handed on."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        bench.ask("a", attempts=3)
        await settle()
        bench.cancel("a")
        await settle()
        bench.crash("a")
        await settle()
        assert bench.begun == ["a"]
        assert (await pool.statistics()).failed == 1


async def test_the_queue_waits_for_a_backoff() -> None:
    """While the only worker waits for its restart, jobs wait too, and are done afterwards."""
    bench = Bench(size=1, worker={"backoff": Backoff(10.0, 10.0, jitter=False)})
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.crash("a")
        await settle()
        assert bench.in_hand == {}
        (worker,) = (await pool.statistics()).workers
        assert worker.state is ChildState.RESTARTING
        bench.ask("c")
        await anyio.sleep(9.9)
        await settle()
        assert bench.begun == ["a"]
        await anyio.sleep(0.2)
        await settle()
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")
        await settle()
        bench.finish("c")


async def test_others_work_while_one_waits_for_its_backoff() -> None:
    """No job is given to a worker that is down while another one can take it."""
    bench = Bench(size=2, worker={"backoff": Backoff(10.0, 10.0, jitter=False)})
    async with bench.serve():
        await bench.ask_all("abcd")
        bench.crash("a")
        for name in "bcd":
            await settle()
            bench.finish(name)
        await settle()
        assert bench.by == [
            ("worker-1", "a"),
            ("worker-2", "b"),
            ("worker-2", "c"),
            ("worker-2", "d"),
        ]


async def test_a_keyed_job_waits_for_its_worker_to_come_back() -> None:
    """Under keyed routing a job waits for its own worker, also through a backoff."""
    backoff = Backoff(10.0, 10.0, jitter=False)
    bench = Bench(size=2, routing="keyed", worker={"backoff": backoff})
    async with bench.serve():
        bench.ask("a", key="ada", attempts=2)
        await settle()
        ((mine, _),) = bench.by
        bench.crash("a")
        bench.ask("b", key="ada")
        await anyio.sleep(9.9)
        assert bench.in_hand == {}
        await anyio.sleep(0.2)
        await settle()
        assert bench.in_hand == {mine: "a"}
        bench.finish("a")
        await settle()
        assert bench.in_hand == {mine: "b"}
        bench.finish("b")


async def test_a_sticky_key_moves_when_its_worker_dies() -> None:
    """Under sticky routing the key of a worker that died goes to another one, and stays there."""
    backoff = Backoff(10.0, 10.0, jitter=False)
    bench = Bench(size=2, routing="sticky", worker={"backoff": backoff})
    async with bench.serve():
        await bench.ask_all("ab", key="ada")
        assert bench.in_hand == {"worker-1": "a"}
        bench.crash("a")
        await settle()
        assert bench.in_hand == {"worker-2": "b"}
        await anyio.sleep(11)
        bench.ask("c", key="ada")
        await settle()
        assert bench.in_hand == {"worker-2": "b"}
        bench.finish("b")
        await settle()
        assert bench.in_hand == {"worker-2": "c"}
        bench.finish("c")


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
        await bench.ask_all("abcd")
        bench.crash("a")
        await settle()
        assert bench.results.keys() == {"a", "c", "d"}
        assert bench.results["a"] == "crashed: a"
        assert "/top/pool/workers gave up: more than 0 restarts" in bench.results["c"]
        assert isinstance(bench.errors["c"].__cause__, IntensityExceeded)
        await bench.ask_all("e")
        assert bench.results["e"] == bench.results["d"] == bench.results["c"]
        assert bench.in_hand == {"worker-2": "b"}
        bench.finish("b")
        await anyio.sleep(1)
    assert bench.results["b"] == "b done"
    assert isinstance(bench.exited.__cause__, Boom)


async def test_a_pool_that_gave_up_is_restarted_by_its_supervisor() -> None:
    """A pool that has given up comes back as any permanent supervisor, and its handle is good."""
    bench = Bench(size=1, max_restarts=0)
    async with bench.serve():
        bench.ask("a")
        await settle()
        bench.crash("a")
        await settle()
        bench.ask("b")
        await settle()
        bench.finish("b")
        await settle()
        assert bench.results == {"a": "crashed: a", "b": "b done"}


async def test_a_crash_of_the_workers_supervisor_restarts_the_pool() -> None:
    """When the supervisor of the workers is killed, all askers fail, and the pool starts anew."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.app.find("pool/workers").kill()
        await settle()
        assert bench.results["a"] == "ended: killed"
        assert bench.results["b"].startswith("ended: crashed: LinkBroken")
        bench.ask("c")
        await settle()
        bench.finish("c")
        await settle()
        assert bench.results["c"] == "c done"
        assert (await pool.statistics()).taken == 1


async def test_a_parked_worker_gets_no_jobs() -> None:
    """A worker that is parked gets no job until it is revived; the keys it had go to others."""
    bench = Bench(
        size=2, routing="keyed", worker={"max_restarts": 0, "when_spent": "park"}, max_restarts=10
    )
    async with bench.serve() as pool:
        await bench.ask_all("ab", key="ada")
        ((mine, _),) = bench.by
        bench.crash("a")
        await settle()
        states = {worker.id: worker.state for worker in (await pool.statistics()).workers}
        assert states.pop(mine) is ChildState.PARKED
        ((other, state),) = states.items()
        assert state is ChildState.RUNNING
        assert bench.in_hand == {other: "b"}
        await bench.app.find("pool/workers").ask(RestartChild(mine))
        bench.ask("c", key="ada")
        await settle()
        assert bench.in_hand == {other: "b", mine: "c"}
        bench.finish("b", "c")


async def test_when_all_workers_are_parked_askers_hear_it_at_once() -> None:
    """With no worker left, what waits and what comes is refused, until one is revived."""
    bench = Bench(size=1, worker={"max_restarts": 0, "when_spent": "park"})
    async with bench.serve() as pool:
        await bench.ask_all("a", attempts=2)
        await bench.ask_all("b")
        bench.crash("a")
        await settle()
        bench.ask("c")
        await settle()
        assert bench.results == {"a": "NoWorkers", "b": "NoWorkers", "c": "NoWorkers"}
        crash = bench.errors["a"].__cause__
        assert isinstance(crash, ProcExited)
        assert isinstance(crash.__cause__, Boom)
        statistics = await pool.statistics()
        assert (statistics.failed, statistics.refused) == (2, 1)
        await bench.app.find("pool/workers").ask(RestartChild("worker-1"))
        bench.ask("d")
        await settle()
        bench.finish("d")
        await settle()
        assert bench.results["d"] == "d done"


async def test_a_worker_that_is_terminated_leaves_the_pool() -> None:
    """A worker that somebody terminates is missed no more; resize gives the pool another."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        bench.finish("b")
        await settle()
        await bench.app.find("pool/workers").ask(TerminateChild("worker-1"), timeout=None)
        await settle()
        statistics = await pool.statistics()
        assert [worker.id for worker in statistics.workers] == ["worker-2"]
        await pool.resize(2)
        assert (await pool.statistics()).size == 2
        bench.finish_all()
        await settle()
        assert bench.results["c"] == "c done"


async def test_a_worker_that_is_not_needed_any_more_leaves_the_pool() -> None:
    """A worker that raises Ignore at its restart leaves; without it, askers hear it at once."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.starts.append(Ignore())
        bench.crash("a")
        await settle()
        assert bench.results == {"a": "crashed: a", "b": "NoWorkers"}
        assert (await pool.statistics()).size == 0


async def test_a_worker_that_is_not_needed_after_its_backoff_leaves_the_pool() -> None:
    """A worker that raises Ignore at a later attempt to restart it leaves as well."""
    bench = Bench(size=1, worker={"backoff": Backoff(10.0, 10.0, jitter=False)})
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.starts.extend([OSError("not yet"), Ignore()])
        bench.crash("a")
        await anyio.sleep(15)
        assert bench.results == {"a": "crashed: a"}
        await anyio.sleep(10)
        await settle()
        assert bench.results == {"a": "crashed: a", "b": "NoWorkers"}
        assert (await pool.statistics()).size == 0


async def test_a_worker_that_is_terminated_in_its_backoff_leaves_at_once() -> None:
    """Whoever waits for a worker that is not to come back hears it then, not after the backoff."""
    bench = Bench(size=1, worker={"backoff": Backoff(10.0, 10.0, jitter=False)})
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.crash("a")
        await settle()
        await bench.app.find("pool/workers").ask(TerminateChild("worker-1"), timeout=None)
        await settle()
        assert bench.results == {"a": "crashed: a", "b": "NoWorkers"}
        assert (await pool.statistics()).size == 0


async def test_a_parked_worker_that_is_deleted_leaves_the_pool() -> None:
    """A parked worker is shown until somebody deletes it; resize puts a new one in its place."""
    bench = Bench(size=2, worker={"max_restarts": 0, "when_spent": "park"})
    async with bench.serve() as pool:
        await bench.ask_all("a")
        bench.crash("a")
        await settle()
        assert (await pool.statistics()).size == 2
        await bench.app.find("pool/workers").ask(DeleteChild("worker-1"))
        await settle()
        assert [worker.id for worker in (await pool.statistics()).workers] == ["worker-2"]
        await pool.resize(2)
        await bench.ask_all("bc")
        assert bench.in_hand == {"worker-2": "b", "worker-1": "c"}
        bench.finish_all()


async def test_to_give_up_makes_no_dead_letters_of_its_own() -> None:
    """When a pool gives up, is stopped or killed, what it told itself is missed by nobody."""
    bench = Bench(size=2, max_restarts=0)
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        bench.crash("a")
        bench.kill("worker-2")
        await settle()
        await pool.ref.shutdown(None)
        await settle()
        lost = [event.message for event in bench.events if isinstance(event, DeadLetter)]
        assert {type(message) for message in lost} == {Hold}


async def test_a_worker_that_is_not_needed_is_left_out() -> None:
    """A worker that raises Ignore at its first start is left out, and a pool of none is ignored."""
    bench = Bench(size=2)
    bench.starts.append(Ignore())
    async with bench.serve() as pool:
        assert [worker.id for worker in (await pool.statistics()).workers] == ["worker-2"]
    bench = Bench(size=2)
    bench.starts.extend([Ignore(), Ignore()])
    async with bench.serve() as pool:
        assert not pool.ref.is_alive


async def test_a_worker_that_dies_idle_costs_no_job() -> None:
    """A worker that is killed while it rests is replaced, and the next job is done."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        bench.kill("worker-1")
        bench.ask("a")  # it comes before the pool hears of the end
        await settle()
        assert bench.in_hand == {"worker-1": "a"}
        bench.finish("a")
        await settle()
        assert (await pool.statistics()).failed == 0
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

"""A pool with limits: how many jobs may wait, how long, and what becomes of those that may not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import AskTimeout
from actors.testing import settle
from supervision import JobExpired, PoolFull
from supervision.pool import PoolJob
from supervision.pool.dispatcher import JobDue
from supervision.pool.jobs import PendingJob
from tests.supervision.pools import Bench, Hold

# -- too many --------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_what_comes() -> None:
    """By default a job that finds the queue full is refused at once."""
    bench = Bench(size=1, queue_limit=2)
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        assert bench.results == {"d": "PoolFull"}
        error = bench.errors["d"]
        assert isinstance(error, PoolFull)
        assert (error.path, error.message, error.limit, error.discarded) == (
            "/top/pool",
            "Hold",
            2,
            False,
        )
        assert str(error) == "/top/pool: Hold not taken: the queue is full (2)"
        bench.finish("a")
        await settle()
        await bench.ask_all("e")
        for name in "bce":
            bench.finish(name)
            await settle()
        statistics = await pool.statistics()
        assert (statistics.refused, statistics.discarded, statistics.taken) == (1, 0, 4)


async def test_a_full_queue_discards_the_oldest() -> None:
    """With `oldest` the job that has waited longest makes room, and its asker hears it at once."""
    bench = Bench(size=1, queue_limit=2, discard="oldest")
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        assert bench.results == {"b": "PoolFull"}
        error = bench.errors["b"]
        assert isinstance(error, PoolFull)
        assert error.discarded
        assert bench.letters == [("b", "the queue of its pool is full")]
        for name in "acd":
            bench.finish(name)
            await settle()
        assert bench.begun == ["a", "c", "d"]
        assert (await pool.statistics()).discarded == 1


async def test_a_full_queue_discards_the_newest() -> None:
    """With `newest` the last of those that wait makes room for the one that comes."""
    bench = Bench(size=1, queue_limit=2, discard="newest")
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        assert bench.results == {"c": "PoolFull"}
        for name in "abd":
            bench.finish(name)
            await settle()
        assert bench.begun == ["a", "b", "d"]
        assert (await pool.statistics()).discarded == 1


@pytest.mark.parametrize("discard", ["refuse", "oldest", "newest"])
async def test_without_a_queue_only_free_workers_take_jobs(discard: str) -> None:
    """With a limit of zero a job is begun at once, or refused whatever the policy."""
    bench = Bench(size=2, queue_limit=0, discard=discard)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        assert bench.results == {"c": "PoolFull"}
        assert (await pool.statistics()).refused == 1
        bench.finish("a", "b")


async def test_a_told_job_that_is_not_taken_is_a_dead_letter() -> None:
    """A job that was told and is refused, discarded or expired is a dead letter that says why."""
    bench = Bench(size=1, queue_limit=1, discard="oldest")
    async with bench.serve() as pool:
        for name in "abc":
            pool.tell(Hold(name))
        await settle()
        assert bench.letters == [("b", "the queue of its pool is full")]
        pool.tell(Hold("d"), job_timeout=1.0)
        await anyio.sleep(1.1)
        assert bench.letters[1:] == [("c", "the queue of its pool is full"), ("d", "it expired")]
        await bench.ask_all("e", job_timeout=1.0)
        await anyio.sleep(1.1)
        assert bench.results == {"e": "JobExpired"}
        assert len(bench.letters) == 3, "an asker that was told needs no dead letter"
        bench.finish("a")
        await settle()
        assert bench.begun == ["a"]


@pytest.mark.dead_letters
async def test_the_limit_is_for_those_that_wait() -> None:
    """A job that is handed on after a crash was taken already: the limit does not concern it."""
    bench = Bench(size=1, queue_limit=1)
    async with bench.serve():
        await bench.ask_all("ab", attempts=2)
        bench.crash("a")
        await settle()
        bench.finish("a")
        await settle()
        bench.finish("b")
        await settle()
        assert set(bench.results.values()) == {"a done", "b done"}


# -- too late --------------------------------------------------------------------------------------


async def test_an_expired_job_is_answered_and_not_run() -> None:
    """A job whose time is over while it waits is answered with JobExpired, and never begun."""
    bench = Bench(size=1, job_timeout=2.0)
    async with bench.serve() as pool:
        await bench.ask_all("a", job_timeout=10.0)
        await bench.ask_all("b")
        await anyio.sleep(1.9)
        await bench.ask_all("c")
        assert bench.results == {}
        await anyio.sleep(0.2)
        assert bench.results == {"b": "JobExpired"}
        error = bench.errors["b"]
        assert isinstance(error, JobExpired)
        assert isinstance(error, TimeoutError)
        assert (error.path, error.message, error.timeout, error.begun) == (
            "/top/pool",
            "Hold",
            2.0,
            False,
        )
        bench.finish("a")
        await settle()
        bench.finish("c")
        await settle()
        assert bench.begun == ["a", "c"]
        statistics = await pool.statistics()
        assert (statistics.expired, statistics.done) == (1, 2)


async def test_a_job_that_expires_in_hand_is_answered_too() -> None:
    """A job whose time is over in a worker's hand is answered; the worker finishes it anyway."""
    bench = Bench(size=1, job_timeout=2.0)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        await bench.ask_all("b", job_timeout=10.0)
        await anyio.sleep(2.1)
        assert bench.results == {"a": "JobExpired"}
        error = bench.errors["a"]
        assert isinstance(error, JobExpired)
        assert error.begun
        assert bench.in_hand == {"worker-1": "a"}
        statistics = await pool.statistics()
        assert (statistics.running, statistics.expired, statistics.taken) == (0, 1, 2)
        assert statistics.workers[0].busy
        bench.finish("a")
        await settle()
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")
        await settle()
        statistics = await pool.statistics()
        assert (statistics.done, statistics.expired) == (1, 1)
        assert statistics.workers[0].done == 2


@pytest.mark.dead_letters
async def test_an_expired_job_is_not_handed_on() -> None:
    """A job that expired in a worker's hand has no second attempt when that worker crashes."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("a", job_timeout=1.0, attempts=5)
        await anyio.sleep(1.1)
        bench.crash("a")
        await settle()
        assert bench.begun == ["a"]
        statistics = await pool.statistics()
        assert (statistics.expired, statistics.failed, statistics.retried) == (1, 0, 0)


async def test_a_reminder_that_comes_late_means_nothing() -> None:
    """The reminder of a job that is not there any more is ignored, whatever its number."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        earlier: Any = PendingJob(1, PoolJob(Hold("a")), None, None, 1)  # type: ignore[arg-type]
        pool.ref.tell(JobDue(earlier))
        await settle()
        assert (await pool.statistics()).expired == 0
        bench.finish("a")


async def test_a_job_that_is_due_in_the_turn_of_its_deadline_is_not_run() -> None:
    """When a worker comes free at the very moment of the deadline, the job is not begun."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        await bench.ask_all("b", job_timeout=1.0)
        blocker = anyio.Event()

        async def finish_at_the_deadline() -> None:
            await anyio.sleep(1.0)
            bench.finish("a")
            blocker.set()

        bench.tasks.start_soon(finish_at_the_deadline)
        await blocker.wait()
        await settle()
        assert bench.begun == ["a"]
        assert bench.results == {"a": "a done", "b": "JobExpired"}
        assert (await pool.statistics()).expired == 1


async def test_time_is_counted_from_when_the_job_is_taken() -> None:
    """A job that is done in time leaves no reminder behind, and a later one has its own time."""
    bench = Bench(size=1, job_timeout=1.0)
    async with bench.serve():
        await bench.ask_all("a")
        await anyio.sleep(0.9)
        bench.finish("a")
        await bench.ask_all("b")
        await anyio.sleep(0.9)
        bench.finish("b")
        await anyio.sleep(5)
        assert bench.results == {"a": "a done", "b": "b done"}


async def test_a_job_that_is_done_is_not_reminded_of() -> None:
    """The reminder of a deadline is taken back when the job is done."""
    bench = Bench(size=1, job_timeout=10.0)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        bench.finish("a")
        await settle()
        handled = pool.ref.statistics().handled
        await anyio.sleep(20)
        await settle()
        assert pool.ref.statistics().handled == handled


# -- askers that give up ---------------------------------------------------------------------------


async def test_a_cancelled_asker_takes_its_job_out() -> None:
    """A job that waits is taken out when its asker is cancelled, and makes room at once."""
    bench = Bench(size=1, queue_limit=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.cancel("b")
        await settle()
        assert bench.results == {"b": "cancelled"}
        assert (await pool.statistics()).queued == 0
        await bench.ask_all("c")
        bench.finish("a")
        await settle()
        bench.finish("c")
        await settle()
        assert bench.begun == ["a", "c"]
        assert (await pool.statistics()).withdrawn == 1


async def test_an_asker_that_is_cancelled_late_loses_the_answer() -> None:
    """A job in hand goes on when its asker is cancelled; its answer is dropped."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.cancel("a")
        await settle()
        assert bench.in_hand == {"worker-1": "a"}
        bench.finish("a")
        await settle()
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")
        await settle()
        assert bench.results == {"a": "cancelled", "b": "b done"}
        assert (await pool.statistics()).done == 2


async def test_an_asker_that_times_out_takes_its_job_out() -> None:
    """An asker whose own timeout is over gets AskTimeout, and a job that waits is taken out."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        with pytest.raises(AskTimeout):
            await pool.ask(Hold("b"), timeout=1.0)
        await settle()
        statistics = await pool.statistics()
        assert (statistics.queued, statistics.withdrawn) == (0, 1)
        bench.finish("a")


async def test_an_asker_that_is_cancelled_at_once_asks_nothing() -> None:
    """An asker that is cancelled before the pool sees its job leaves no trace."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await pool.ask(Hold("a"))
        await settle()
        assert bench.begun == []
        assert (await pool.statistics()).taken == 0


async def test_a_job_that_nobody_wants_is_not_begun() -> None:
    """A job whose asker has gone without a word is not begun when its turn comes."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        with anyio.move_on_after(1.0):
            await pool.ref.ask(PoolJob(Hold("b"), asked=True))  # not by `Pool.ask`
        assert (await pool.statistics()).queued == 1
        await bench.ask_all("c")
        bench.finish("a")
        await settle()
        assert bench.in_hand == {"worker-1": "c"}
        bench.finish("c")
        await settle()
        statistics = await pool.statistics()
        assert (statistics.withdrawn, statistics.done, statistics.queued) == (1, 2, 0)

"""A pool with limits: how many jobs may wait, how long, and what becomes of those that may not."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from actors import ActorSystem
from actors.testing import settle
from supervision import JobExpired, Pool, PoolFull, PoolJob
from supervision.pool_dispatcher import Dispatcher, Own
from tests.supervision.pools import Bench, Hold

# -- too many --------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_what_comes() -> None:
    """By default a job that finds the queue full is refused at once."""
    async with Bench(size=1, queue_limit=2).serve() as bench:
        await bench.ask("abcd")
        assert bench.results == {"d": "PoolFull"}
        error = bench.errors["d"]
        assert isinstance(error, PoolFull)
        assert (error.limit, error.discarded) == (2, False)
        assert str(error) == "/top/pool: Hold not taken: the queue is full (2)"
        await bench.finish("a")
        await bench.ask("e")
        await bench.finish("b", "c", "e")
        assert await bench.counts("refused", "discarded", "taken") == (1, 0, 4)


@pytest.mark.parametrize(
    ("discard", "lost", "done"), [("oldest", "b", "acd"), ("newest", "c", "abd")]
)
async def test_a_full_queue_discards(discard: str, lost: str, done: str) -> None:
    """The oldest or the newest of those that wait makes room, and its asker hears it at once."""
    async with Bench(size=1, queue_limit=2, discard=discard).serve() as bench:
        await bench.ask("abcd")
        assert bench.results == {lost: "PoolFull"}
        error = bench.errors[lost]
        assert isinstance(error, PoolFull)
        assert error.discarded
        assert bench.letters == [(lost, "the queue of its pool is full")]
        await bench.finish(*done)
        assert bench.begun == list(done)
        assert await bench.counts("discarded") == (1,)


@pytest.mark.parametrize("discard", ["refuse", "oldest", "newest"])
async def test_without_a_queue_only_free_workers_take_jobs(discard: str) -> None:
    """With a limit of zero a job is begun at once, or refused whatever the policy."""
    async with Bench(size=2, queue_limit=0, discard=discard).serve() as bench:
        await bench.ask("abc")
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        assert bench.results == {"c": "PoolFull"}
        assert (await bench.statistics()).refused == 1
        await bench.finish("a", "b")


async def test_a_told_job_that_is_not_taken_is_a_dead_letter() -> None:
    """A job that was told and is refused, discarded or expired is a dead letter that says why."""
    async with Bench(size=1, queue_limit=1, discard="oldest").serve() as bench:
        for name in "abc":
            bench.pool.tell(Hold(name))
        await settle()
        assert bench.letters == [("b", "the queue of its pool is full")]
        bench.pool.tell(Hold("d"), job_timeout=1.0)
        await anyio.sleep(1.1)
        assert bench.letters[1:] == [("c", "the queue of its pool is full"), ("d", "it expired")]
        await bench.ask("e", job_timeout=1.0)
        await anyio.sleep(1.1)
        assert bench.results == {"e": "JobExpired"}
        assert len(bench.letters) == 3, "an asker that was told needs no dead letter"
        await bench.finish("a")
        assert bench.begun == ["a"]


@pytest.mark.dead_letters
async def test_the_limit_is_for_those_that_wait() -> None:
    """A job that is handed on after a crash was taken already: the limit does not concern it."""
    async with Bench(size=1, queue_limit=1).serve() as bench:
        await bench.ask("ab", attempts=2)
        await bench.crash("a")
        await bench.finish("a", "b")
        assert set(bench.results.values()) == {"a done", "b done"}


# -- too late --------------------------------------------------------------------------------------


async def test_an_expired_job_is_answered_and_not_run() -> None:
    """A job whose time is over while it waits is answered with JobExpired, and never begun."""
    async with Bench(size=1, job_timeout=2.0).serve() as bench:
        await bench.ask("a", job_timeout=10.0)
        await bench.ask("b")
        await anyio.sleep(1.9)
        await bench.ask("c")
        assert bench.results == {}
        await anyio.sleep(0.2)
        assert bench.results == {"b": "JobExpired"}
        error = bench.errors["b"]
        assert isinstance(error, JobExpired)
        assert isinstance(error, TimeoutError)
        assert (error.path, error.timeout, error.begun) == ("/top/pool", 2.0, False)
        await bench.finish("a", "c")
        assert bench.begun == ["a", "c"]
        assert await bench.counts("expired", "done") == (1, 2)


async def test_a_job_that_expires_in_hand_is_answered_too() -> None:
    """A job whose time is over in a worker's hand is answered; the worker finishes it anyway."""
    async with Bench(size=1, job_timeout=2.0).serve() as bench:
        await bench.ask("a")
        await bench.ask("b", job_timeout=10.0)
        await anyio.sleep(2.1)
        assert bench.results == {"a": "JobExpired"}
        error = bench.errors["a"]
        assert isinstance(error, JobExpired)
        assert error.begun
        assert bench.in_hand == {"worker-1": "a"}
        assert await bench.counts("running", "expired", "taken") == (0, 1, 2)
        assert (await bench.statistics()).workers[0].busy
        await bench.finish("a")
        assert bench.in_hand == {"worker-1": "b"}
        await bench.finish("b")
        assert await bench.counts("done", "expired") == (1, 1)
        assert (await bench.statistics()).workers[0].done == 2


@pytest.mark.dead_letters
async def test_an_expired_job_is_not_handed_on() -> None:
    """A job that expired in a worker's hand has no second attempt when that worker crashes."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("a", job_timeout=1.0, attempts=5)
        await anyio.sleep(1.1)
        await bench.crash("a")
        assert bench.begun == ["a"]
        assert await bench.counts("expired", "failed", "retried") == (1, 0, 0)


async def test_a_reminder_that_comes_late_means_nothing() -> None:
    """The reminder of a job that was done while it stood in the mail is ignored."""
    bench = Bench(size=1)
    dispatcher = Dispatcher(bench.spec)
    async with anyio.create_task_group() as bench.tasks, ActorSystem() as system:
        bench.pool = Pool(await system.spawn(lambda: dispatcher, shutdown=None))
        await bench.ask("a", job_timeout=10.0)
        order = dispatcher._ledger[1]
        await bench.finish("a")
        bench.pool.ref.tell(Own(dispatcher, partial(dispatcher._expire, order)))
        await settle()
        assert await bench.counts("done", "expired") == (1, 0)


async def test_a_job_that_is_due_in_the_turn_of_its_deadline_is_not_run() -> None:
    """When a worker comes free at the very moment of the deadline, the job is not begun."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        await bench.ask("b", job_timeout=1.0)
        await anyio.sleep(1.0)
        await bench.finish("a")
        assert bench.begun == ["a"]
        assert bench.results == {"a": "a done", "b": "JobExpired"}
        assert (await bench.statistics()).expired == 1


async def test_time_is_counted_from_when_the_job_is_taken() -> None:
    """A job that is done in time leaves no reminder behind, and a later one has its own time."""
    async with Bench(size=1, job_timeout=1.0).serve() as bench:
        for name in "ab":
            await bench.ask(name)
            await anyio.sleep(0.9)
            await bench.finish(name)
        handled = bench.pool.ref.statistics().handled
        await anyio.sleep(5)
        assert bench.results == {"a": "a done", "b": "b done"}
        assert bench.pool.ref.statistics().handled == handled


# -- askers that give up ---------------------------------------------------------------------------


async def test_a_cancelled_asker_takes_its_job_out() -> None:
    """A job that waits is taken out when its asker is cancelled, and makes room at once."""
    async with Bench(size=1, queue_limit=1).serve() as bench:
        await bench.ask("ab")
        await bench.cancel("b")
        assert bench.results == {"b": "cancelled"}
        assert (await bench.statistics()).queued == 0
        await bench.ask("c")
        await bench.finish("a", "c")
        assert bench.begun == ["a", "c"]
        assert (await bench.statistics()).withdrawn == 1


async def test_an_asker_that_is_cancelled_late_loses_the_answer() -> None:
    """A job in hand goes on when its asker is cancelled; its answer is dropped."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        await bench.cancel("a")
        assert bench.in_hand == {"worker-1": "a"}
        await bench.finish("a")
        assert bench.in_hand == {"worker-1": "b"}
        await bench.finish("b")
        assert bench.results == {"a": "cancelled", "b": "b done"}
        assert (await bench.statistics()).done == 2


async def test_an_asker_that_is_cancelled_at_once_asks_nothing() -> None:
    """An asker that is cancelled before the pool sees its job leaves no trace."""
    async with Bench(size=1).serve() as bench:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await bench.pool.ask(Hold("a"))
        await settle()
        assert bench.begun == []
        assert (await bench.statistics()).taken == 0


async def test_a_job_that_nobody_wants_is_not_begun() -> None:
    """A job whose asker has gone without a word is not begun when its turn comes."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        with anyio.move_on_after(1.0):
            await bench.pool.ref.ask(PoolJob(Hold("b"), asked=True))  # not by `Pool.ask`
        assert (await bench.statistics()).queued == 1
        await bench.ask("c")
        await bench.finish("a")
        assert bench.in_hand == {"worker-1": "c"}
        await bench.finish("c")
        assert await bench.counts("withdrawn", "done", "queued") == (1, 2, 0)

"""A pool with limits, and one that is resized or drained: what becomes of the jobs that wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from actors import AskTimeout
from actors.testing import settle
from supervision import Backoff, ChildStartFailed, ChildState, SpecError
from supervision.keys import stable_hash
from supervision.pool import JobExpired, PoolFull, PoolJob
from supervision.pool.dispatcher import JobDue
from supervision.pool.jobs import PendingJob
from supervision.pool.messages import Resize
from supervision.pool.routing import rendezvous
from tests.kit.pools import Bench, Hold

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
    """The reminder of a job that is not there any more is ignored, whatever its number."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        earlier: Any = PendingJob(1, PoolJob(Hold("a")), None, None, 1)  # type: ignore[arg-type]
        bench.pool.ref.tell(JobDue(earlier))  # type: ignore[arg-type]
        await settle()
        assert await bench.counts("expired") == (0,)
        await bench.finish("a")


async def test_a_job_that_is_due_in_the_turn_of_its_deadline_is_not_run() -> None:
    """When a worker comes free at the very moment of the deadline, the job is not begun."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        await bench.ask("b", job_timeout=1.0)
        await anyio.sleep(1.0)
        bench.let_go("a")
        await settle()
        assert bench.begun == ["a"]
        assert bench.results == {"a": "a done", "b": "JobExpired"}
        assert await bench.counts("expired") == (1,)


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


# -- resize ----------------------------------------------------------------------------------------


async def test_a_pool_shrinks() -> None:
    """The surplus finishes what it has and ends; that is when the resize is answered."""
    async with Bench(size=3).serve() as bench:
        await bench.ask("abcd")
        done = await begin(bench, bench.pool.resize, 1)
        await bench.finish("b")
        assert bench.in_hand == {"worker-1": "a", "worker-3": "c"}
        assert await workers(bench) == ["worker-1", "worker-3"]
        assert not done.is_set()
        await bench.finish("c")
        assert done.is_set()
        assert bench.in_hand == {"worker-1": "a"}
        assert await bench.counts("size") == (1,)
        await bench.finish("a")
        assert bench.in_hand == {"worker-1": "d"}
        await bench.finish("d")


async def begin(bench: Bench, what: Callable[..., Awaitable[object]], *given: Any) -> anyio.Event:
    """Begin something in a task of its own; the event is set when it is done."""
    done = anyio.Event()

    async def do() -> None:
        await what(*given)
        done.set()

    bench.tasks.start_soon(do)
    await settle()
    return done


async def workers(bench: Bench) -> list[str]:
    """Return the ids of the workers."""
    return [worker.id for worker in (await bench.statistics()).workers]


async def test_resizes_follow_each_other() -> None:
    """A resize begins when the one before it is done, and the last one decides."""
    async with Bench(size=3).serve() as bench:
        await bench.ask("abc")
        for size in (1, 4, 2):
            bench.tasks.start_soon(bench.pool.resize, size)
            await settle()
        assert (await bench.statistics()).size == 3
        await bench.finish("b", "c")
        assert await workers(bench) == ["worker-1", "worker-2"]
        await bench.finish("a")


async def test_a_worker_that_does_not_start_ends_the_growth() -> None:
    """When a new worker does not start, those before it stay, and the asker hears why."""
    async with Bench(size=1).serve() as bench:
        bench.starts.extend([None, OSError("no")])
        with pytest.raises(ChildStartFailed, match="worker-3 failed to start: OSError: no"):
            await bench.pool.resize(4)
        assert (await bench.statistics()).size == 2
        await bench.pool.resize(4)
        assert (await bench.statistics()).size == 4


async def test_a_pool_grows() -> None:
    """A new worker takes what waits when it is ready; meanwhile the pool hands out and answers."""
    async with Bench(size=1, worker={"start_timeout": 100.0}).serve() as bench:
        bench.slow = anyio.Event()
        grown = await begin(bench, bench.pool.resize, 2)
        await bench.ask("abc")
        with anyio.fail_after(0.001):
            states = [worker.state for worker in (await bench.statistics()).workers]
        assert states == [ChildState.RUNNING, ChildState.RESTARTING]
        await bench.finish("a")
        assert bench.results == {"a": "a done"}
        assert not grown.is_set()
        bench.slow.set()
        await settle()
        assert grown.is_set()
        assert bench.in_hand == {"worker-1": "b", "worker-2": "c"}
        await bench.finish("b", "c")


@pytest.mark.dead_letters
async def test_a_surplus_worker_that_crashes_is_gone() -> None:
    """A worker that crashes while it is to leave does not come back; its job goes on elsewhere."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("ab", attempts=2)
        bench.tasks.start_soon(bench.pool.resize, 1)
        await settle()
        await bench.crash("b")
        assert (await bench.statistics()).size == 1
        await bench.finish("a")
        assert bench.in_hand == {"worker-1": "b"}
        await bench.finish("b")


@pytest.mark.dead_letters
async def test_a_worker_that_waits_for_its_restart_can_be_the_surplus() -> None:
    """Shrinking takes a pending restart back."""
    async with Bench(
        size=2, worker={"backoff": Backoff(10.0, 10.0, jitter=False)}
    ).serve() as bench:
        await bench.ask("ab")
        await bench.crash("b")
        await bench.pool.resize(1)
        await bench.pool.resize(1)  # which changes nothing
        assert (await bench.statistics()).size == 1
        await anyio.sleep(11)
        assert not bench.app.system.find("/top/pool/workers/worker-2")
        await bench.finish("a")


async def test_what_waits_for_the_surplus_goes_elsewhere_at_once() -> None:
    """A job whose worker is to leave goes to the next owner of its key at once."""
    bench = Bench(size=2, routing="keyed")
    theirs = (f"key-{number}" for number in range(100))
    key = next(key for key in theirs if rendezvous(stable_hash(key), (1, 2)) == 2)
    async with bench.serve():
        await bench.ask("ab", key=key)
        assert bench.in_hand == {"worker-2": "a"}
        bench.tasks.start_soon(bench.pool.resize, 1)
        await settle()
        assert bench.in_hand == {"worker-2": "a", "worker-1": "b"}
        await bench.finish_all()


async def test_the_size_is_checked_behind_the_door_too() -> None:
    """A request to resize that was made by hand is checked by the pool, which lives on."""
    async with Bench(size=1).serve() as bench:
        with pytest.raises(SpecError, match="/top/pool: size: 0 is not positive"):
            await bench.pool.ref.ask(Resize(0))
        assert (await bench.statistics()).size == 1


# -- drain -----------------------------------------------------------------------------------------


async def test_a_draining_pool_finishes_what_it_has() -> None:
    """Drain refuses what comes, and returns when what waits and what is in hand is finished."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        drained = await begin(bench, bench.pool.drain)
        await bench.ask("c")
        assert bench.results == {"c": "PoolDraining"}
        await bench.finish("a")
        assert not drained.is_set()
        await bench.finish("b")
        assert drained.is_set()
        assert await bench.counts("draining", "done", "refused") == (True, 2, 1)


async def test_an_idle_pool_is_drained_at_once() -> None:
    """Drain returns at once when there is nothing to finish, the second time, too."""
    async with Bench(size=1).serve() as bench:
        await bench.pool.drain()
        await bench.pool.drain(timeout=1.0)
        bench.pool.tell(Hold("a"))
        await settle()
        assert bench.letters == [("a", "/top/pool: Hold not taken: the pool is draining")]


async def test_drain_waits_for_a_job_that_expired_in_hand() -> None:
    """A pool is drained when every hand is empty, also of jobs whose askers have their answer."""
    async with Bench(size=1, job_timeout=1.0).serve() as bench:
        await bench.ask("a")
        with pytest.raises(AskTimeout):
            await bench.pool.drain(timeout=5.0)
        assert bench.results == {"a": "JobExpired"}
        await bench.finish("a")
        await bench.pool.drain()


async def test_a_withdrawn_job_lets_the_drain_end() -> None:
    """When the last job that waits is taken out, the pool is drained."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        drained = await begin(bench, bench.pool.drain)
        bench.let_go("a")
        await bench.cancel("b")
        await bench.finish_all()
        assert drained.is_set()

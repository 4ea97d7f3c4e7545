"""A pool that is resized or drained while it works."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from actors import AskTimeout
from actors.testing import settle
from supervision import Backoff, ChildStartFailed, ChildState, Pool, SpecError
from supervision.keys import stable_hash
from supervision.pool.messages import Resize
from supervision.pool.routing import rendezvous
from tests.supervision.pools import Bench, Hold

# -- resize ----------------------------------------------------------------------------------------


async def test_a_pool_grows() -> None:
    """New workers take what waits as soon as they are ready."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        assert bench.in_hand == {"worker-1": "a"}
        await pool.resize(3)
        await settle()
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b", "worker-3": "c"}
        bench.finish_all()


async def test_a_pool_shrinks() -> None:
    """The surplus finishes what it has in hand, takes nothing more, and ends; the rest goes on."""
    bench = Bench(size=3)
    async with bench.serve() as pool:
        await bench.ask_all("abcd")
        bench.tasks.start_soon(pool.resize, 1)
        await settle()
        bench.finish("b")
        await settle()
        assert bench.in_hand == {"worker-1": "a", "worker-3": "c"}
        assert [worker.id for worker in (await pool.statistics()).workers] == [
            "worker-1",
            "worker-3",
        ]
        bench.finish("c")
        await settle()
        assert bench.in_hand == {"worker-1": "a"}
        assert (await pool.statistics()).size == 1
        bench.finish("a")
        await settle()
        assert bench.in_hand == {"worker-1": "d"}
        bench.finish("d")


async def test_a_resize_is_answered_when_it_is_done() -> None:
    """Whoever shrinks a pool waits until the surplus has ended."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        done = anyio.Event()

        async def shrink() -> None:
            await pool.resize(1)
            done.set()

        bench.tasks.start_soon(shrink)
        await settle()
        assert not done.is_set()
        bench.finish("b")
        await settle()
        assert done.is_set()
        assert not bench.app.system.find("/top/pool/workers/worker-2")
        bench.finish("a")


async def test_resizes_follow_each_other() -> None:
    """A resize begins when the one before it is done, and the last one decides."""
    bench = Bench(size=3)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        for size in (1, 4, 2):
            bench.tasks.start_soon(pool.resize, size)
            await settle()
        assert (await pool.statistics()).size == 3
        bench.finish("b")
        await settle()
        bench.finish("c")
        await settle()
        assert [worker.id for worker in (await pool.statistics()).workers] == [
            "worker-1",
            "worker-2",
        ]
        bench.finish("a")


async def test_a_resize_to_the_same_size_changes_nothing() -> None:
    """A pool that has the size already answers at once."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        await pool.resize(2)
        assert bench.in_hand == {"worker-1": "a", "worker-2": "b"}
        bench.finish_all()


async def test_a_resize_that_nobody_waits_for_goes_on() -> None:
    """A resize whose asker was cancelled or timed out is carried out all the same."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        with pytest.raises(AskTimeout):
            await pool.resize(1, timeout=1.0)
        with anyio.move_on_after(1.0):
            await pool.resize(3)
        bench.finish("b")
        await settle()
        assert (await pool.statistics()).size == 3
        bench.finish("a")


async def test_a_worker_that_does_not_start_ends_the_growth() -> None:
    """When a new worker does not start, those before it stay, and the asker hears why."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        bench.starts.extend([None, OSError("no")])
        with pytest.raises(ChildStartFailed, match="worker-3 failed to start: OSError: no"):
            await pool.resize(4)
        assert (await pool.statistics()).size == 2
        await pool.resize(4)
        assert (await pool.statistics()).size == 4


async def test_the_pool_answers_while_a_worker_starts() -> None:
    """While a new worker takes its time to start, the pool hands out jobs and answers."""
    bench = Bench(size=1, worker={"start_timeout": 100.0})
    async with bench.serve() as pool:
        gate = anyio.Event()
        bench.slow = gate
        bench.tasks.start_soon(pool.resize, 2)
        await bench.ask_all("a")
        with anyio.fail_after(0.001):
            statistics = await pool.statistics()
        assert [worker.state for worker in statistics.workers] == [
            ChildState.RUNNING,
            ChildState.RESTARTING,
        ]
        bench.finish("a")
        await settle()
        assert bench.results == {"a": "a done"}
        gate.set()
        await settle()
        assert [worker.state for worker in (await pool.statistics()).workers] == [
            ChildState.RUNNING,
            ChildState.RUNNING,
        ]


@pytest.mark.dead_letters
async def test_a_surplus_worker_that_crashes_is_gone() -> None:
    """A worker that crashes while it is to leave does not come back; its job goes on elsewhere."""
    bench = Bench(size=2)
    async with bench.serve() as pool:
        await bench.ask_all("ab", attempts=2)
        bench.tasks.start_soon(pool.resize, 1)
        await settle()
        bench.crash("b")
        await settle()
        assert (await pool.statistics()).size == 1
        bench.finish("a")
        await settle()
        assert bench.in_hand == {"worker-1": "b"}
        bench.finish("b")


@pytest.mark.dead_letters
async def test_a_worker_that_waits_for_its_restart_can_be_the_surplus() -> None:
    """Shrinking takes a pending restart back."""
    bench = Bench(size=2, worker={"backoff": Backoff(10.0, 10.0, jitter=False)})
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.crash("b")
        await settle()
        await pool.resize(1)
        assert (await pool.statistics()).size == 1
        await anyio.sleep(11)
        assert not bench.app.system.find("/top/pool/workers/worker-2")
        bench.finish("a")


async def test_keys_move_with_the_size() -> None:
    """Under keyed routing a resize moves the waiting jobs of those keys alone that change hands."""
    bench = Bench(size=1, routing="keyed")
    async with bench.serve() as pool:
        keys = [f"key-{number}" for number in range(8)]
        for key in keys:
            bench.ask(key, key=key)
            await settle()
        await pool.resize(2)
        await settle()
        while bench.in_hand:
            bench.finish_all()
            await settle()
        first = [name for worker, name in bench.by if worker == "worker-1"]
        second = [name for worker, name in bench.by if worker == "worker-2"]
        assert sorted(first + second) == keys
        assert len(first) > 1
        assert second
        await pool.resize(1)
        for key in keys:
            bench.ask(f"{key}-again", key=key)
            await settle()
            assert bench.in_hand.keys() == {"worker-1"}
            bench.finish_all()
            await settle()


async def test_what_waits_for_the_surplus_goes_elsewhere_at_once() -> None:
    """A job whose worker is to leave goes to the next owner of its key at once."""
    bench = Bench(size=2, routing="keyed")
    theirs = (f"key-{number}" for number in range(100))
    key = next(key for key in theirs if rendezvous(stable_hash(key), (1, 2)) == 2)
    async with bench.serve() as pool:
        await bench.ask_all("ab", key=key)
        assert bench.in_hand == {"worker-2": "a"}
        bench.tasks.start_soon(pool.resize, 1)
        await settle()
        assert bench.in_hand == {"worker-2": "a", "worker-1": "b"}
        bench.finish_all()
        await settle()


async def test_the_size_is_checked_behind_the_door_too() -> None:
    """A request to resize that was made by hand is checked by the pool, which lives on."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        with pytest.raises(SpecError, match="/top/pool: size: 0 is not positive"):
            await pool.ref.ask(Resize(0))
        assert (await pool.statistics()).size == 1


# -- drain -----------------------------------------------------------------------------------------


async def test_a_draining_pool_finishes_what_it_has() -> None:
    """Drain refuses what comes, and returns when what waits and what is in hand is finished."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        drained = anyio.Event()

        async def drain() -> None:
            await pool.drain()
            drained.set()

        bench.tasks.start_soon(drain)
        await settle()
        await bench.ask_all("c")
        assert bench.results == {"c": "PoolDraining"}
        bench.finish("a")
        await settle()
        assert not drained.is_set()
        bench.finish("b")
        await settle()
        assert drained.is_set()
        statistics = await pool.statistics()
        assert (statistics.draining, statistics.done, statistics.refused) == (True, 2, 1)


async def test_an_idle_pool_is_drained_at_once() -> None:
    """Drain returns at once when there is nothing to finish, the second time, too."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await pool.drain()
        await pool.drain(timeout=1.0)
        pool.tell(Hold("a"))
        await settle()
        assert bench.letters == [("a", "/top/pool: Hold not taken: the pool is draining")]


async def test_drain_waits_for_a_job_that_expired_in_hand() -> None:
    """A pool is drained when every hand is empty, also of jobs whose askers have their answer."""
    bench = Bench(size=1, job_timeout=1.0)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        with pytest.raises(AskTimeout):
            await pool.drain(timeout=5.0)
        assert bench.results == {"a": "JobExpired"}
        bench.finish("a")
        await pool.drain()


async def test_a_drain_that_is_given_up_goes_on() -> None:
    """A pool whose drain was cancelled refuses further on, and can be waited for again."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        with anyio.move_on_after(1.0):
            await pool.drain()
        await bench.ask_all("b")
        assert bench.results == {"b": "PoolDraining"}
        bench.finish("a")
        await pool.drain()


@pytest.mark.dead_letters
async def test_drain_waits_for_second_attempts() -> None:
    """A job that is handed on while the pool drains is finished, too."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a", attempts=2)
        bench.tasks.start_soon(pool.drain)
        await settle()
        bench.crash("a")
        await settle()
        assert bench.in_hand == {"worker-1": "a"}
        bench.finish("a")
        await pool.drain()
        assert bench.results == {"a": "a done"}


async def test_a_withdrawn_job_lets_the_drain_end() -> None:
    """When the last job that waits is taken out, the pool is drained."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("ab")
        bench.tasks.start_soon(partial(Pool.drain, pool))
        await settle()
        bench.finish("a")
        bench.cancel("b")
        await settle()
        while bench.in_hand:
            bench.finish_all()
            await settle()
        await pool.drain(timeout=0.5)

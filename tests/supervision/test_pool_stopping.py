"""A pool that is stopped, killed or cancelled, at any moment: nothing is left."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import ActorSystem, ProcExited
from actors.testing import settle
from supervision import ChildSpec, Pool, PoolSpec, SupervisorSpec, serve
from supervision.pool_dispatcher import Dispatcher
from tests.supervision.pools import Bench, Boom, Hand, Hold

pytestmark = pytest.mark.dead_letters  # what a killed worker had in hand

# -- stop ------------------------------------------------------------------------------------------


async def test_a_stop_fails_what_waits_and_finishes_what_is_in_hand() -> None:
    """Told to stop, once or again, the pool fails the queue; workers finish what they have."""
    async with Bench(size=2).serve() as bench:
        await bench.ask("abcd")
        bench.tasks.start_soon(bench.pool.ref.shutdown, None)
        await settle()
        assert bench.results == {"c": "ended: shutdown", "d": "ended: shutdown"}
        bench.pool.ref.stop()
        await anyio.sleep(1)
        await bench.finish("a")
        assert bench.results["a"] == "a done"
        await bench.finish("b")
        assert bench.results["b"] == "b done"


async def test_a_worker_that_does_not_finish_is_killed() -> None:
    """A job that is not finished within its worker's shutdown time fails, and that is all."""
    async with Bench(size=2, worker={"shutdown": 2.0}, attempts=5).serve() as bench:
        await bench.ask("ab")
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(2.0, abs=0.01)
    assert bench.results == {"a": "ended: killed", "b": "ended: killed"}
    assert bench.begun == ["a", "b"]


async def test_a_kill_in_the_middle_of_a_stop() -> None:
    """A pool that is killed while it stops takes its workers with it, and their askers hear it."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        bench.tasks.start_soon(bench.pool.ref.shutdown, None)
        await settle()
        bench.pool.ref.kill()
        await settle()
        assert bench.results["b"] == "ended: shutdown"
        assert bench.results["a"].startswith("ended: ")
        assert bench.in_hand == {}


async def test_a_killed_pool_fails_all_askers() -> None:
    """When the pool is killed, everybody who waits hears it at once, and it is restarted empty."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("abc")
        bench.pool.ref.kill()
        await settle()
        assert set(bench.results.values()) == {"ended: killed"}
        await bench.ask("d")
        await bench.finish("d")
        assert await bench.counts("taken", "done") == (1, 1)


async def test_a_pool_that_ended_hears_no_more_events() -> None:
    """However a pool ends, it takes its place on the event stream back."""
    async with Bench(size=1).serve() as bench:
        stream = bench.app.system.events
        before = len(stream._subscriptions)
        for end in (bench.pool.ref.kill, bench.pool.ref.stop):
            end()
            await settle()
            assert len(stream._subscriptions) == before
    async with ActorSystem() as system:
        spec = PoolSpec("pool", ChildSpec("hand", broken), size=1)
        with pytest.raises(Exception, match="did not start"):
            await system.spawn(spec.start)
        assert not system.events.heard
        spec = PoolSpec("pool", lambda: Hand(bench), size=1)
        bench.slow = anyio.Event()
        with anyio.move_on_after(1.0):
            await system.spawn(spec.start)
        assert not system.events.heard


async def test_a_pool_that_is_told_to_stop_while_it_grows() -> None:
    """A stop in the middle of a resize waits for the start that is under way, as in OTP."""
    async with Bench(size=1).serve() as bench:
        bench.slow = anyio.Event()
        failed: list[BaseException] = []
        bench.tasks.start_soon(caught, failed, bench.pool, 3)
        await settle()
        bench.tasks.start_soon(bench.pool.ref.shutdown, None)
        await settle()
        assert failed == []
        bench.slow.set()
        await settle()
        assert [type(error) for error in failed] == [ProcExited]


async def test_whoever_waits_for_a_drain_hears_of_the_end() -> None:
    """A pool that ends before it is drained fails those who wait for that."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        failed: list[BaseException] = []
        bench.tasks.start_soon(caught, failed, bench.pool, None)
        await settle()
        bench.pool.ref.kill()
        await settle()
        assert [type(error) for error in failed] == [ProcExited]


async def test_a_stop_waits_for_whoever_carries_an_answer() -> None:
    """A pool whose workers have all ended waits until their last answers are on their way."""
    dispatcher = Dispatcher(Bench(size=1).spec)
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: dispatcher, shutdown=None)
        dispatcher._hands += 1  # one that still needs a turn
        ref.stop()
        await settle()
        assert ref.is_alive
        assert dispatcher._hands_empty is not None
        dispatcher._hands_empty.set()
        await settle()
        assert not ref.is_alive


# -- at every moment -------------------------------------------------------------------------------

MOMENTS = range(0, 60, 3)


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_end_at_any_moment_leaves_nobody_waiting(moment: int, how: str) -> None:
    """Whenever pool or tree is killed or stopped, each asker is answered, and nothing is left."""
    async with Bench(size=2, attempts=2, worker={"shutdown": 1.0}).serve() as bench:
        bench.tasks.start_soon(busy, bench)
        for _ in range(moment):
            await checkpoint()
        if how == "kill":
            bench.pool.ref.kill()
            await settle()
    assert bench.results.keys() == set("abcdef")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancellation_at_any_moment_leaves_nothing(moment: int) -> None:
    """Whenever the owner of the tree is cancelled, all askers are answered, and nothing is left."""
    bench = Bench(size=2, attempts=2, worker={"shutdown": 1.0})
    async with anyio.create_task_group() as bench.tasks:
        with anyio.CancelScope() as scope:
            async with serve(SupervisorSpec("top", [bench.spec])) as bench.app:
                bench.pool = Pool(bench.app.find("pool"))
                bench.tasks.start_soon(busy, bench)
                for _ in range(moment):
                    await checkpoint()
                scope.cancel()
                await anyio.sleep_forever()
        await settle()
        assert bench.in_hand == {}
        assert bench.results.keys() == bench.scopes.keys()


@pytest.mark.parametrize("moment", range(12))
async def test_a_start_that_is_cancelled_leaves_nothing(moment: int) -> None:
    """Cancelled in the middle of its start, the pool stops the workers that are there."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                for _ in range(moment):
                    await checkpoint()
                scope.cancel()

            tasks.start_soon(cancel)
            async with serve(Bench(size=3).spec):
                await anyio.sleep_forever()
    assert scope.cancelled_caught


async def busy(bench: Bench) -> None:
    """Keep a pool busy: ask, finish, crash and resize."""
    for name in "abcdef":
        bench.start_asking(name)
    bench.tasks.start_soon(caught, [], bench.pool, 3)
    for turn in range(60):
        await checkpoint()
        if turn % 10 == 9:
            bench.let_go(*bench.in_hand.values(), error=Boom if turn // 10 % 2 else None)
    while len(bench.results) < len(bench.scopes):
        bench.let_go(*bench.in_hand.values())
        await checkpoint()


async def caught(errors: list[BaseException], pool: Pool[Hold], size: int | None) -> None:
    """Resize a pool, or drain it, and keep the error."""
    try:
        if size is None:
            await pool.drain()
        else:
            await pool.resize(size)
    except ProcExited as error:
        errors.append(error)


def broken() -> Hand:
    """Fail to make a worker."""
    raise OSError("broken")

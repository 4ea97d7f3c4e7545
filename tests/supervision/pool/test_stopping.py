"""A pool that is stopped, killed or cancelled, at any moment: nothing is left."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import ActorSystem, ProcExited, ProcStarted
from actors.testing import settle
from supervision import ChildSpec, Pool, PoolSpec, SupervisorSpec, serve
from supervision.pool.dispatcher import Dispatcher
from tests.supervision.pools import Bench, Hand, Hold

pytestmark = pytest.mark.dead_letters  # what a killed worker had in hand

# -- stop ------------------------------------------------------------------------------------------


async def test_a_stop_fails_what_waits_and_finishes_what_is_in_hand() -> None:
    """Told to stop, the pool fails the queue at once; the workers finish what they have."""
    bench = Bench(size=2)
    async with bench.serve():
        await bench.ask_all("abcd")
        bench.tasks.start_soon(bench.app.find("pool").shutdown, None)
        await settle()
        assert bench.results == {"c": "ended: shutdown", "d": "ended: shutdown"}
        await anyio.sleep(1)
        bench.finish("a")
        await settle()
        assert bench.results["a"] == "a done"
        bench.finish("b")
        await settle()
        assert bench.results["b"] == "b done"


async def test_a_worker_that_does_not_finish_is_killed() -> None:
    """A job that is not finished within its worker's shutdown time fails, and that is all."""
    bench = Bench(size=2, worker={"shutdown": 2.0}, attempts=5)
    async with bench.serve():
        await bench.ask_all("ab")
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(2.0, abs=0.01)
    assert bench.results == {"a": "ended: killed", "b": "ended: killed"}
    assert bench.begun == ["a", "b"]


async def test_a_pool_with_a_deadline_of_its_own_is_killed_with_all() -> None:
    """A pool that has not stopped within its own shutdown time is killed, with its workers."""
    bench = Bench(size=1, shutdown=1.0, worker={"shutdown": 60.0})
    async with bench.serve():
        await bench.ask_all("ab")
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(1.0, abs=0.01)
    assert bench.results["b"] == "ended: shutdown"
    assert bench.results["a"].startswith("ended: ")


async def test_a_second_stop_changes_nothing() -> None:
    """Stopping a pool that is stopping already is waited for like the first time."""
    bench = Bench(size=1)
    async with bench.serve():
        await bench.ask_all("a")
        ref = bench.app.find("pool")
        for _ in range(2):
            bench.tasks.start_soon(ref.shutdown, None)
            await settle()
        ref.stop()
        bench.finish("a")
        await settle()
        assert bench.results == {"a": "a done"}


async def test_a_kill_in_the_middle_of_a_stop() -> None:
    """A pool that is killed while it stops takes its workers with it, and their askers hear it."""
    bench = Bench(size=1)
    async with bench.serve():
        await bench.ask_all("ab")
        ref = bench.app.find("pool")
        bench.tasks.start_soon(ref.shutdown, None)
        await settle()
        ref.kill()
        await settle()
        assert bench.results["b"] == "ended: shutdown"
        assert bench.results["a"].startswith("ended: ")
        assert bench.in_hand == {}


async def test_a_killed_pool_fails_all_askers() -> None:
    """When the pool is killed, everybody who waits hears it at once, and it is restarted empty."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("abc")
        pool.ref.kill()
        await settle()
        assert set(bench.results.values()) == {"ended: killed"}
        await bench.ask_all("d")
        bench.finish("d")
        await settle()
        statistics = await pool.statistics()
        assert (statistics.taken, statistics.done) == (1, 1)


async def test_a_pool_that_ended_hears_no_more_events() -> None:
    """However a pool ends, it takes its place on the event stream back."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        stream = bench.app.system.events
        before = len(stream._subscriptions)
        for end in (pool.ref.kill, pool.ref.stop):
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
    bench = Bench(size=1)
    async with bench.serve() as pool:
        bench.slow = anyio.Event()
        failed: list[BaseException] = []
        bench.tasks.start_soon(caught, failed, pool, 3)
        await settle()
        bench.tasks.start_soon(pool.ref.shutdown, None)
        await settle()
        assert failed == []
        bench.slow.set()
        await settle()
        assert [type(error) for error in failed] == [ProcExited]


async def test_whoever_waits_for_a_drain_hears_of_the_end() -> None:
    """A pool that ends before it is drained fails those who wait for that."""
    bench = Bench(size=1)
    async with bench.serve() as pool:
        await bench.ask_all("a")
        failed: list[BaseException] = []
        bench.tasks.start_soon(caught, failed, pool, None)
        await settle()
        pool.ref.kill()
        await settle()
        assert [type(error) for error in failed] == [ProcExited]


async def test_a_stop_waits_for_whoever_carries_an_answer() -> None:
    """A pool whose workers have all ended waits until their last answers are on their way."""
    dispatcher = Dispatcher(Bench(size=1).spec)
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: dispatcher, shutdown=None)
        dispatcher._carried += 1  # one that still needs a turn
        ref.stop()
        await settle()
        assert ref.is_alive
        assert dispatcher._none_carried is not None
        dispatcher._none_carried.set()
        await settle()
        assert not ref.is_alive


async def test_a_sibling_takes_the_pool_along() -> None:
    """A pool that is stopped in a round of restarts comes back, and its handle stays good."""
    bench = Bench(size=1, worker={"shutdown": 1.0})
    sibling = ChildSpec("sibling", lambda: Hand(bench))
    tree = SupervisorSpec("top", [sibling, bench.spec], strategy="rest_for_one")
    async with anyio.create_task_group() as bench.tasks, serve(tree) as bench.app:
        bench.pool = pool = Pool(bench.app.find("pool"))
        await bench.ask_all("ab")
        bench.app.find("sibling").kill()
        await anyio.sleep(2)
        assert bench.results == {"a": "ended: killed", "b": "ended: shutdown"}
        await bench.ask_all("c")
        bench.finish("c")
        await settle()
        assert bench.results["c"] == "c done"
        assert (await pool.statistics()).taken == 1


# -- at every moment -------------------------------------------------------------------------------

MOMENTS = range(0, 60, 3)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_kill_at_any_moment_leaves_nobody_waiting(moment: int) -> None:
    """Whenever the pool is killed, each asker is answered once, and nothing is left over."""
    bench = Bench(size=2, attempts=2)
    async with bench.serve() as pool:
        bench.tasks.start_soon(busy, bench)
        for _ in range(moment):
            await checkpoint()
        pool.ref.kill()
        await settle()
        bench.slow = None
    assert bench.results.keys() == set("abcdef")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_stop_at_any_moment_leaves_nobody_waiting(moment: int) -> None:
    """Whenever the tree is stopped, each asker is answered once, and nothing is left over."""
    bench = Bench(size=2, attempts=2, worker={"shutdown": 1.0})
    async with bench.serve():
        bench.tasks.start_soon(busy, bench)
        for _ in range(moment):
            await checkpoint()
    assert bench.results.keys() == set("abcdef")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancellation_at_any_moment_leaves_nothing(moment: int) -> None:
    """Whenever the owner of the tree is cancelled, all askers are answered, and nothing is left."""
    bench = Bench(size=2, attempts=2, worker={"shutdown": 1.0})
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as outside:
            bench.tasks = outside
            with anyio.CancelScope() as inner:
                async with serve(SupervisorSpec("top", [bench.spec])) as bench.app:
                    bench.pool = Pool(bench.app.find("pool"))
                    outside.start_soon(busy, bench)
                    for _ in range(moment):
                        await checkpoint()
                    inner.cancel()
                    await anyio.sleep_forever()
            await settle()
            assert bench.in_hand == {}
            assert bench.results.keys() == bench.scopes.keys()
    assert not scope.cancelled_caught


@pytest.mark.parametrize("moment", range(12))
async def test_a_start_that_is_cancelled_leaves_nothing(moment: int) -> None:
    """Cancelled in the middle of its start, the pool stops the workers that are there."""
    bench = Bench(size=3)
    bench.starts.extend([None] * 3)
    started: list[str] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                for _ in range(moment):
                    await checkpoint()
                scope.cancel()

            def hear(event: object) -> None:
                if isinstance(event, ProcStarted):
                    started.append(event.ref.path)

            tasks.start_soon(cancel)
            async with serve(bench.spec, observe=[hear]):
                await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert len(started) <= 5


async def busy(bench: Bench) -> None:
    """Keep a pool busy: ask, finish, crash and resize."""
    for name in "abcdef":
        bench.ask(name)
    steps: list[Callable[[], None]] = [
        bench.finish_all,
        lambda: bench.crash(*bench.in_hand.values()),
    ]
    bench.tasks.start_soon(caught, [], bench.pool, 3)
    for turn in range(60):
        await checkpoint()
        if turn % 10 == 9:
            steps[turn // 10 % 2]()
    while len(bench.results) < len(bench.scopes):
        bench.finish_all()
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

"""A pool whose workers end, or that ends itself: what that means for each job; nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors import (
    Actor,
    ActorSystem,
    DeadLetter,
    Event,
    EventStream,
    Ignore,
    Killed,
    ProcEnded,
    ProcExited,
    Reply,
    on,
)
from actors.events import Subscription
from actors.testing import settle
from supervision import (
    Backoff,
    ChildSpec,
    ChildState,
    DeleteChild,
    IntensityExceeded,
    Pool,
    PoolSpec,
    RestartChild,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from supervision.pool.dispatcher import Dispatcher
from tests.kit.errors import Boom
from tests.kit.pools import Bench, Hand, Hold

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


async def test_others_work_while_one_waits_for_its_backoff() -> None:
    """No job is given to a worker that is down while another one can take it."""
    async with Bench(size=2, worker={"backoff": TEN_SECONDS}).serve() as bench:
        await bench.ask("abcd")
        await bench.crash("a")
        await bench.finish("b", "c", "d")
        assert bench.by[1:] == [("worker-2", "b"), ("worker-2", "c"), ("worker-2", "d")]


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


async def test_a_worker_that_is_terminated_in_its_backoff_leaves_at_once() -> None:
    """Whoever waits for a worker that is not to come back hears it then, not after the backoff."""
    worker = {"backoff": Backoff(10.0, 10.0, jitter=False)}
    async with Bench(size=1, worker=worker).serve() as bench:
        await bench.ask("ab")
        await bench.crash("a")
        await bench.app.find("pool/workers").ask(TerminateChild("worker-1"), timeout=None)
        await settle()
        assert bench.results == {"a": "crashed: a", "b": "NoWorkers"}
        assert await bench.counts("size") == (0,)


async def test_a_parked_worker_that_is_deleted_leaves_the_pool() -> None:
    """A parked worker is shown until somebody deletes it; resize puts a new one in its place."""
    worker = {"max_restarts": 0, "when_spent": "park"}
    async with Bench(size=2, worker=worker).serve() as bench:
        await bench.ask("a")
        await bench.crash("a")
        assert await bench.counts("size") == (2,)
        await bench.app.find("pool/workers").ask(DeleteChild("worker-1"))
        await settle()
        statistics = await bench.statistics()
        assert [worker.id for worker in statistics.workers] == ["worker-2"]
        await bench.pool.resize(2)
        await bench.ask("bc")
        assert bench.in_hand == {"worker-2": "b", "worker-1": "c"}
        await bench.finish_all()


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


async def test_a_pool_that_ended_hears_no_more_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """However a pool ends, it takes its place on the event stream back."""
    listening: list[Subscription] = []
    subscribe, drop = EventStream.subscribe, EventStream.drop

    def noted(stream: EventStream, handler: Callable[[Event], None]) -> Subscription:
        listening.append(subscribe(stream, handler))
        return listening[-1]

    def dropped(stream: EventStream, subscription: Subscription) -> None:
        listening.remove(subscription)
        drop(stream, subscription)

    monkeypatch.setattr(EventStream, "subscribe", noted)
    monkeypatch.setattr(EventStream, "drop", dropped)
    async with Bench(size=1).serve() as bench:
        before = len(listening)
        for end in (bench.pool.ref.kill, bench.pool.ref.stop):
            end()
            await settle()
            assert len(listening) == before
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
        dispatcher._carried += 1  # one that still needs a turn
        ref.stop()
        await settle()
        assert ref.is_alive
        assert dispatcher._none_carried is not None
        dispatcher._none_carried.set()
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

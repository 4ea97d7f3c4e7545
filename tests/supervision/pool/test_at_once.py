"""A pool that takes jobs in the turn of who asks: nobody can tell, but by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import AskTimeout, Killed, ProcExited
from actors.testing import settle, without_fast_paths
from supervision.pool import PoolStatistics
from tests.kit.errors import Boom
from tests.kit.pools import Bench, Hold

pytestmark = pytest.mark.dead_letters

WORDS = "ask ask ask ask tell finish finish crash refuse cancel kill resize drain wait"
SCRIPTS = st.lists(st.tuples(st.sampled_from(WORDS.split()), st.integers(0, 5)), max_size=25)
SPECS = st.fixed_dictionaries(
    {
        "size": st.integers(1, 3),
        "routing": st.sampled_from(["round_robin", "least_loaded", "keyed", "sticky"]),
        "queue_limit": st.none() | st.integers(0, 3),
        "discard": st.sampled_from(["refuse", "oldest", "newest"]),
        "job_timeout": st.none() | st.just(2.5),
        # One: a job that is tried again comes before or after one that waited for the same worker.
        # Of the end of that worker and of the job's attempt, either may be heard of first.
        "attempts": st.just(1),
        "max_restarts": st.just(1000),
    }
)


async def play(
    spec: dict[str, object], script: list[tuple[str, int]]
) -> tuple[list[tuple[str, str]], dict[str, str], list[tuple[str, str]], PoolStatistics]:
    """Play a script with a pause after each step; return all that was seen."""
    bench = Bench(**spec)
    names = (f"job-{number}" for number in range(100))
    async with bench.serve(max_restarts=1000):
        for word, number in script:
            await step(bench, word, number, names)
            await settle()
        for _ in range(100):
            if not bench.in_hand and bench.results.keys() == bench.scopes.keys():
                break
            await bench.finish(*list(bench.in_hand.values())[:1])
            await settle()
        counts = await bench.statistics()
    return bench.by, bench.results, bench.letters, counts


async def step(bench: Bench, word: str, number: int, names: Iterator[str]) -> None:
    """Do one step of a script; it does nothing where it means nothing."""
    hands = sorted(bench.in_hand.values())
    chosen = hands[number % len(hands) : number % len(hands) + 1] if hands else []
    waiting = sorted(bench.scopes.keys() - bench.results.keys())
    key = f"key-{number}" if number else None
    match word:
        case "ask":
            bench.start_asking(next(names), key=key, timeout=4.0 if number == 5 else None)
        case "tell":
            bench.pool.tell(Hold(next(names)), key=key)
        case "finish":
            bench.let_go(*chosen)
        case "crash":
            bench.let_go(*chosen, error=Boom)
        case "refuse":
            for name in chosen:
                await bench.refuse(name)
        case "cancel" if waiting:
            bench.scopes[waiting[number % len(waiting)]].cancel()
        case "kill" if ref := bench.app.system.find(f"/top/pool/workers/worker-{number}"):
            ref.kill()
        case "resize":
            bench.tasks.start_soon(bench.pool.resize, 1 + number % 3)
        case "drain" if number == 0:
            bench.tasks.start_soon(bench.pool.drain)
        case "wait":
            await anyio.sleep(number / 4 + 0.01)
        case _:
            pass


@settings(max_examples=100)
@given(spec=SPECS, script=SCRIPTS)
async def test_who_asks_cannot_tell(spec: dict[str, object], script: list[tuple[str, int]]) -> None:
    """Whoever did what, each answer, dead letter and count is the same when all goes by mail."""
    at_once = await play(spec, script)
    with without_fast_paths():
        by_mail = await play(spec, script)

    # What ended a worker is told by its new ref, which is another one in each system.
    def seen(run: tuple[object, object, object, PoolStatistics]) -> list[object]:
        *lines, counts = run
        workers = [(each.id, each.busy, each.done, each.crashed) for each in counts.workers]
        numbers = (counts.taken, counts.done, counts.failed, counts.expired, counts.discarded)
        return [*lines, workers, numbers, counts.refused, counts.withdrawn, counts.retried]

    assert seen(at_once) == seen(by_mail)


async def test_no_job_overtakes_one_in_the_mail() -> None:
    """A job that is asked behind one that was told waits behind it."""
    async with Bench(size=1).serve() as bench:
        bench.pool.tell(Hold("a"))
        await bench.ask("b")
        assert bench.in_hand == {"worker-1": "a"}
        await bench.finish("a", "b")
        assert bench.begun == ["a", "b"]


async def test_no_job_overtakes_one_in_the_queue() -> None:
    """A worker that comes free gets what has waited longest, also when its asker asks again."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("ab")
        bench.let_go("a")
        await bench.ask("c")
        await bench.finish("b", "c")
        assert bench.begun == ["a", "b", "c"]


@pytest.mark.parametrize("fast", [True, False])
async def test_a_pool_that_is_killed_fails_each_asker(fast: bool) -> None:
    """Whoever asked, at once or by mail, hears of the pool's own end, and is named right."""
    with nullcontext() if fast else without_fast_paths():
        async with Bench(size=1).serve() as bench:
            await bench.ask("ab")
            bench.pool.ref.kill()
            await settle()
            error = bench.errors["b"]
            assert isinstance(error, ProcExited)
            assert (error.path, error.reason, error.message) == ("/top/pool", Killed(), "Hold")


async def test_a_timeout_takes_the_job_out_at_once() -> None:
    """A job that waits is out of the queue in the turn in which its asker gives up."""
    async with Bench(size=1).serve() as bench:
        await bench.ask("a")
        with pytest.raises(AskTimeout, match="/top/pool did not answer Hold within 1 s"):
            await bench.pool.ask(Hold("b"), timeout=1)
        assert await bench.counts("queued", "withdrawn") == (0, 1)
        await bench.finish("a")


async def test_refusals_in_a_row_let_others_run() -> None:
    """Somebody who asks again and again, and is refused at once, holds nobody up."""
    turns = 0
    over = anyio.CancelScope()

    async def count() -> None:
        nonlocal turns
        with over:
            while True:
                turns += 1
                await checkpoint()

    async with Bench(size=1, queue_limit=0).serve() as bench:
        await bench.ask("a")
        bench.tasks.start_soon(count)
        for _ in range(50):
            with pytest.raises(Exception, match="queue is full"):
                await bench.pool.ask(Hold("b"))
        over.cancel()
        assert turns > 25
        await bench.finish("a")

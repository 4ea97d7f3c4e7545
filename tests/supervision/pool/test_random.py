"""A pool under random scripts: each job is answered exactly once, with at most so many attempts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import ProcExited
from actors.testing import settle
from supervision import ChildStartFailed
from supervision.pool import PoolStatistics
from tests.kit.errors import Boom, No
from tests.kit.pools import Bench, Hold

pytestmark = pytest.mark.dead_letters

Step = tuple[str, int]

WORDS = "ask ask ask ask tell finish finish crash kill refuse cancel sleep resize settle park drain"
STEPS = st.lists(st.tuples(st.sampled_from(WORDS.split()), st.integers(0, 7)), max_size=40)
SPECS = st.fixed_dictionaries(
    {
        "size": st.integers(1, 4),
        "routing": st.sampled_from(["round_robin", "least_loaded", "keyed", "sticky"]),
        "queue_limit": st.none() | st.integers(0, 4),
        "discard": st.sampled_from(["refuse", "oldest", "newest"]),
        "job_timeout": st.none() | st.just(2.0),
        "attempts": st.integers(1, 3),
        "max_restarts": st.sampled_from([1000, 1000, 0, 3]),
    }
)
WORKERS = st.sampled_from([{}, {"max_restarts": 1, "when_spent": "park"}, {"shutdown": 1.0}])


class Player:
    """Play a script on a bench, and note what was promised to each job."""

    def __init__(self, spec: dict[str, Any], worker: dict[str, Any]) -> None:
        self.bench = Bench(worker=worker, **spec)
        self.bench.dies = True
        self.promised: dict[str, int] = {}
        self.told: set[str] = set()
        self.cancelled: set[str] = set()
        self.seen = PoolStatistics(size=0)

    async def play(self, script: list[Step]) -> None:
        """Do the steps one after the other; those that mean nothing now do nothing."""
        for word, number in script:
            await getattr(self, word)(number)
            self.check()
        await settle()

    async def ask(self, number: int) -> None:
        name = f"job-{len(self.promised)}"
        attempts = None if number % 2 else 1 + number // 2
        self.promised[name] = attempts or self.bench.spec.attempts
        key = f"key-{number % 3}" if number else None
        self.bench.start_asking(
            name, attempts=attempts, key=key, job_timeout=1.0 if number == 7 else None
        )

    async def tell(self, number: int) -> None:
        name = f"job-{len(self.promised)}"
        self.promised[name] = self.bench.spec.attempts
        self.told.add(name)
        self.bench.pool.tell(Hold(name), key=f"key-{number}" if number else None)

    def chosen(self, number: int) -> list[str]:
        hands = sorted(self.bench.in_hand.values())
        return [hands[number % len(hands)]] if hands else []

    async def finish(self, number: int) -> None:
        self.bench.let_go(*self.chosen(number))

    async def crash(self, number: int) -> None:
        self.bench.let_go(*self.chosen(number), error=Boom)

    async def refuse(self, number: int) -> None:
        self.bench.let_go(*self.chosen(number), error=No)

    async def kill(self, number: int) -> None:
        ref = self.bench.app.system.find(f"/top/pool/workers/worker-{number}")
        if ref is not None:
            ref.kill()

    async def park(self, number: int) -> None:
        self.bench.let_go(*self.bench.in_hand.values(), error=Boom)

    async def cancel(self, number: int) -> None:
        waiting = sorted(self.bench.scopes.keys() - self.bench.results.keys())
        if waiting:
            self.cancelled.add(waiting[number % len(waiting)])
            self.bench.scopes[waiting[number % len(waiting)]].cancel()

    async def sleep(self, number: int) -> None:
        await anyio.sleep(number / 4)

    async def settle(self, number: int) -> None:
        await settle()

    async def resize(self, number: int) -> None:
        self.bench.tasks.start_soon(ignoring_the_end, self.bench.pool.resize, 1 + number % 4)

    async def drain(self, number: int) -> None:
        if number == 0:
            self.bench.tasks.start_soon(ignoring_the_end, self.bench.pool.drain)

    def check(self) -> None:
        """Check what holds at every moment."""
        begun = Counter(self.bench.begun)
        assert all(times <= self.promised[name] for name, times in begun.items())

    def check_counts(self) -> None:
        """Check that a pool which was never restarted knows what became of every job."""
        seen, results = self.seen, self.bench.results.values()
        lost = len(self.promised) - seen.taken - seen.refused
        assert 0 <= lost <= len(self.cancelled), "only an asker who gave up at once goes uncounted"
        # A job that was told, or whose asker gave up, may expire and nobody hears of it.
        expired = sum(result == "JobExpired" for result in results)
        assert expired <= seen.expired <= expired + len(self.told) + len(self.cancelled)
        assert sum(result.endswith(" done") or result == "No" for result in results) <= seen.done
        crashes = sum(result.startswith(("crashed:", "ended:")) for result in results)
        assert crashes <= seen.failed

    async def finish_everything(self) -> None:
        """Let all jobs end, and count them."""
        for _ in range(200):
            await settle()
            if not self.bench.in_hand and self.bench.results.keys() == self.bench.scopes.keys():
                break
            await self.bench.finish_all()
        self.seen = await self.bench.statistics()


async def ignoring_the_end(what: Any, *arguments: Any) -> None:
    """Ask for something that the pool may not live to see."""
    try:
        await what(*arguments)
    except (ProcExited, ChildStartFailed):
        pass


@settings(max_examples=200)
@given(spec=SPECS, worker=WORKERS, script=STEPS)
async def test_each_job_is_answered_exactly_once(
    spec: dict[str, Any], worker: dict[str, Any], script: list[Step]
) -> None:
    """Whatever happens, each asker gets one answer, and each job its attempts and no more."""
    player = Player(spec, worker)
    bench = player.bench
    async with bench.serve(max_restarts=1000):
        await player.play(script)
        await player.finish_everything()
        player.check()
    assert bench.results.keys() == bench.scopes.keys()
    statistics = player.seen
    assert (statistics.queued, statistics.running) == (0, 0)
    assert statistics.taken + statistics.refused <= len(player.promised)
    done = {name for name, result in bench.results.items() if result == f"{name} done"}
    assert done <= set(bench.begun)
    if spec["max_restarts"] == 1000:
        player.check_counts()


@settings(max_examples=60)
@given(
    spec=SPECS,
    worker=WORKERS,
    script=STEPS,
    how=st.sampled_from(["kill", "stop", "cancel", "shutdown"]),
)
async def test_whenever_it_ends_nobody_waits(
    spec: dict[str, Any], worker: dict[str, Any], script: list[Step], how: str
) -> None:
    """A pool that is killed, stopped or left after any script leaves nobody waiting."""
    player = Player(spec, {"shutdown": 1.0, **worker})
    bench = player.bench
    async with bench.serve():
        await player.play(script)
        pool = bench.app.find("pool")
        if how == "kill":
            pool.kill()
        elif how == "stop":
            pool.stop()
        elif how == "shutdown":
            bench.tasks.start_soon(pool.shutdown, 0.5)
            await anyio.lowlevel.checkpoint()
    assert bench.results.keys() == bench.scopes.keys()
    player.check()

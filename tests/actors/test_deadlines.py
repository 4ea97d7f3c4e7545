"""Tests of `actors.deadlines`: many deadlines, few timers, none early."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorSystem, AskTimeout
from actors.backends import current_backend
from actors.deadlines import TICKS, Deadlines
from actors.testing import START, Backend, backend_options
from tests.kit.actors import Ask, pair


class Waiting:
    """Note when the time was up."""

    def __init__(self, log: list[tuple[str, float]] | None = None, name: str = "") -> None:
        self.due, self.tick = 0.0, 0
        self.log = [] if log is None else log
        self.name = name

    def expire(self) -> None:
        """Note the time."""
        self.log.append((self.name, anyio.current_time() - START))


async def test_a_deadline_is_never_early_and_hardly_late() -> None:
    """A deadline expires once, at its time or at most one tick later."""
    deadlines = Deadlines(current_backend())
    waiting = {seconds: Waiting() for seconds in (0.0, 0.001, 0.25, 1.0, 3600.0)}
    for seconds, entry in waiting.items():
        deadlines.add(entry, seconds)
    await anyio.sleep(4000)
    for seconds, entry in waiting.items():
        ((_, when),) = entry.log
        assert seconds <= when <= seconds + 1.01 / TICKS
    assert len(deadlines) == 0


async def test_a_discarded_deadline_does_not_expire() -> None:
    """What is discarded is forgotten; discarding it again does nothing."""
    deadlines = Deadlines(current_backend())
    kept, gone = Waiting(), Waiting()
    deadlines.add(kept, 1)
    deadlines.add(gone, 1)
    deadlines.discard(gone)
    deadlines.discard(gone)
    assert len(deadlines) == 1
    await anyio.sleep(2)
    assert (len(kept.log), len(gone.log)) == (1, 0)
    deadlines.discard(kept)


async def test_a_deadline_that_is_met_at_once_is_hardly_touched() -> None:
    """What is discarded soon never gets a bucket; what stays gets one."""
    deadlines = Deadlines(current_backend())
    for _ in range(100):
        waiting = Waiting()
        deadlines.add(waiting, 5)
        deadlines.discard(waiting)
    kept = Waiting()
    deadlines.add(kept, 5)
    assert (len(deadlines), len(deadlines._buckets)) == (1, 0)
    await anyio.sleep(1)
    assert (len(deadlines), len(deadlines._buckets)) == (1, 1)
    deadlines.discard(kept)
    assert len(deadlines) == 0
    deadlines.close()


async def test_closing_forgets_all() -> None:
    """After close nothing expires, and no timer is left."""
    deadlines = Deadlines(current_backend())
    waiting = Waiting()
    deadlines.add(waiting, 1)
    deadlines.close()
    deadlines.close()
    await anyio.sleep(2)
    assert (waiting.log, len(deadlines)) == ([], 0)


async def test_what_expires_may_add_a_deadline() -> None:
    """A deadline may be added and discarded by one that expires."""
    deadlines = Deadlines(current_backend())
    later = Waiting()

    class Chained(Waiting):
        def expire(self) -> None:
            super().expire()
            deadlines.discard(other)
            deadlines.add(later, 1)

    first, other = Chained(), Waiting()
    deadlines.add(first, 1)
    deadlines.add(other, 2)
    await anyio.sleep(5)
    assert (len(first.log), len(other.log), len(later.log)) == (1, 0, 1)


@pytest.mark.parametrize(("hours", "left"), [(200, 200), (300, 44)])
async def test_many_empty_buckets_are_swept(hours: int, left: int) -> None:
    """Deadlines hours off that are met take no memory till then: few are left, many are swept."""
    deadlines = Deadlines(current_backend())
    waiting = [Waiting() for _ in range(hours)]
    kept = Waiting()
    deadlines.add(kept, 7200)
    for number, entry in enumerate(waiting):
        deadlines.add(entry, 3600 * (number + 1))
    await anyio.sleep(1)
    for entry in waiting:
        deadlines.discard(entry)
    assert (len(deadlines), len(deadlines._buckets)) == (1, left)
    deadlines.add(waiting[0], 1)
    await anyio.sleep(7200)
    assert (len(kept.log), len(waiting[0].log), len(deadlines)) == (1, 1, 0)


@given(
    plan=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 5), st.booleans()), max_size=40),
    name=st.sampled_from(["asyncio", "trio"]),
)
def test_any_plan_of_deadlines_is_kept(
    plan: list[tuple[float, float, bool]], name: Backend
) -> None:
    """Whatever is added and discarded when, what stays expires in time and nothing else does."""
    log: dict[int, float] = {}

    async def main() -> None:
        deadlines = Deadlines(current_backend())

        async def one(number: int, timeout: float, delay: float, discard: bool) -> None:
            class Entry(Waiting):
                def expire(self) -> None:
                    log[number] = anyio.current_time()

            await anyio.sleep(delay)
            entry, begun = Entry(), anyio.current_time()
            deadlines.add(entry, timeout)
            if discard:
                await anyio.sleep(timeout / 2)
                deadlines.discard(entry)
                if timeout > 0.01:
                    assert number not in log
            await anyio.sleep(timeout + 1)
            if discard and timeout > 0.01:
                assert number not in log
            elif not discard:
                assert begun + timeout <= log[number] <= begun + timeout + 1.01 / TICKS

        async with anyio.create_task_group() as group:
            for number, (timeout, delay, discard) in enumerate(plan):
                group.start_soon(one, number, timeout, delay, discard)
        assert len(deadlines) == 0
        deadlines.close()

    backend, options = backend_options(name)
    anyio.run(main, backend=backend, backend_options=options)


@pytest.mark.core
@pytest.mark.dead_letters
async def test_an_ask_ends_at_its_deadline() -> None:
    """Asks of one actor system with different timeouts end each at its own time."""
    ended: dict[float, float] = {}

    async def wait(seconds: float) -> None:
        began = anyio.current_time()
        try:
            await one.ref.ask(Ask(lambda _: anyio.sleep_forever()), timeout=seconds)
        except AskTimeout:
            ended[seconds] = anyio.current_time() - began

    async with ActorSystem() as system:
        one = await pair(system)
        async with anyio.create_task_group() as group:
            for seconds in (0.03, 0.01, 0.02):
                group.start_soon(wait, seconds)
        one.ref.kill()
        await one.ref.wait()
    for seconds, taken in ended.items():
        assert seconds <= taken < seconds + 0.2
    assert len(ended) == 3

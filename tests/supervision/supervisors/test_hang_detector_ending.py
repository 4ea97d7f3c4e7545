"""Tests of what becomes of a child that was found to hang, and of a supervisor with other work."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest

from actors import Crashed, Event, Killed, ProcEnded, StopError, on
from actors.testing import settle
from supervision import (
    Application,
    ChildSpec,
    ChildState,
    TerminateChild,
    TreeExited,
    Watchdog,
    WhichChildren,
)
from supervision.errors import Wedged
from supervision.events import ChildHung, Next
from supervision.supervisors.hang_detector import SLICE
from tests.kit.watched import LATEST, LIMIT, Beater, Deaf, Note, Observed, Worker, silent, watched

pytestmark = pytest.mark.dead_letters


# -- a crash like any other --------------------------------------------------------------------


# -- those that do not die ---------------------------------------------------------------------


async def test_it_is_said_again_as_long_as_it_is_not_dead() -> None:
    """Of one that swallows its cancellation it is said once a limit; when it dies it comes back."""
    seen = Observed()
    gate = anyio.Event()
    dog = Watchdog(heartbeat=LIMIT)
    spec = watched(partial(Deaf, gate), watchdog=dog, shutdown=0, restart="transient")
    async with seen.serve(spec) as app:
        await anyio.sleep(LIMIT * LATEST + 3 * LIMIT * 1.1)
        found = seen.hung()
        assert [event.seconds > 0 for _, event in found] == [False, True, True, True]
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(found)]
        assert all(LIMIT <= gap <= LIMIT * 1.1 for gap in gaps)
        (child,) = await app.supervisor.ask(WhichChildren())
        assert child.state is ChildState.RUNNING
        assert [(level, path) for level, path, text in seen.lines if "not dead" in text] == [
            ("WARNING", "/top/child")
        ] * 3
        gate.set()
        await settle()
        first, second = seen.exits()
        assert (first.reason, first.next) == (Crashed(found[0][1].error), Next.RESTART)
        assert not second.reason.is_abnormal


async def test_an_on_stop_that_hangs_is_killed() -> None:
    """A child that ended by itself and hangs in its on_stop is killed, said, and restarted."""

    class Stopping(Worker):
        @on(Note)
        async def note(self, message: Note) -> None:
            self.context.stop()

        async def on_stop(self, reason: Any) -> None:
            await silent()

    seen = Observed()
    async with seen.serve(watched(Stopping, shutdown=0)) as app:
        child = app.find("child")
        child.tell(Note(0))
        began = anyio.current_time()
        assert await child.wait() == Killed()
        assert LIMIT <= anyio.current_time() - began <= LIMIT * LATEST
        (error,) = [event.error for _, event in seen.events if isinstance(event, StopError)]
        assert isinstance(error, Wedged)
        assert error.activity == "in on_stop"
        await settle()
        assert child.is_alive


async def test_an_on_stop_that_hangs_after_the_crash_is_killed_one_limit_later() -> None:
    """A child whose on_stop hangs after it was found to hang is killed when it hangs there, too."""

    class Twice(Worker):
        async def on_stop(self, reason: Any) -> None:
            await silent()

    seen = Observed()
    async with seen.serve(watched(Twice, shutdown=0)) as app:
        child = app.find("child")
        child.tell(Note(1000.0))
        began = anyio.current_time()
        assert await child.wait() == Killed()
        assert 2 * LIMIT <= anyio.current_time() - began <= 2 * LIMIT * LATEST
        assert [found.error.activity for _, found in seen.hung()] == ["handling Note", "in on_stop"]


class SlowStop(Worker):
    """Take longer to stop than anybody is watched."""

    async def on_stop(self, reason: Any) -> None:
        await anyio.sleep(LIMIT * 5)


@pytest.mark.parametrize("found", [False, True])
async def test_a_child_that_waits_for_its_own_children_does_not_hang(found: bool) -> None:
    """A child that stops its own children, found to hang before or not, is not killed for it."""

    class Parent(Worker):
        async def on_start(self) -> None:
            await self.context.spawn(SlowStop, shutdown=None)

        @on(Note)
        async def note(self, message: Note) -> None:
            await anyio.sleep(message.seconds)
            self.context.stop()

    seen = Observed()
    dog = Watchdog(handler=LIMIT, heartbeat=LIMIT * 2)
    async with seen.serve(watched(Parent, watchdog=dog, shutdown=LIMIT * 10)) as app:
        child = app.find("child")
        child.tell(Note(1000.0 if found else 0.0))
        reason = await child.wait()
        if found:
            first, *others = seen.hung()
            assert reason == Crashed(first[1].error)
            assert {again.error.activity for _, again in others} == {"stopping"}
        else:
            assert not reason.is_abnormal
            assert seen.hung() == []


# -- the supervisor has other things to do -----------------------------------------------------


async def test_nobody_is_accused_because_nobody_looked() -> None:
    """A supervisor that was busy for long charges nobody for the time in which it did not look."""
    seen = Observed()
    slow = ChildSpec("slow", SlowStop, shutdown=1000.0)
    beats = watched(partial(Beater, LIMIT - 0.01, 1000), watchdog=Watchdog(heartbeat=LIMIT))
    async with seen.serve(slow, beats) as app:
        await anyio.sleep(LIMIT * 2.4)
        await app.supervisor.ask(TerminateChild("slow"), timeout=1000)
        await anyio.sleep(LIMIT * 10)
        assert seen.hung() == []


def stand_still(seconds: float) -> None:
    """Let time pass in which the loop does not turn."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        trio.lowlevel.current_clock().jump(seconds)
    else:
        loop: Any = asyncio.get_running_loop()
        loop.jump(seconds)


@pytest.mark.parametrize("offset", [0.0, 0.9, 1.1, 3.3])
async def test_nobody_is_accused_because_the_loop_stood_still(offset: float) -> None:
    """When the loop stood still for long, those who could not beat meanwhile are left alone."""
    seen = Observed()
    beats = watched(partial(Beater, LIMIT / 3, 1000), watchdog=Watchdog(heartbeat=LIMIT))
    async with seen.serve(beats):
        for _ in range(5):
            await anyio.sleep(LIMIT * 2 + offset)
            stand_still(LIMIT * 10)
        await anyio.sleep(LIMIT * 10)
        assert seen.hung() == []


async def test_a_stop_at_the_same_time_is_a_stop() -> None:
    """A child that hangs when it is terminated is killed at its deadline, and not restarted."""
    seen = Observed()
    async with seen.serve(watched(Worker, shutdown=LIMIT * 3)) as app:
        app.find("child").tell(Note(1000.0))
        await anyio.sleep(1.0)
        await app.supervisor.ask(TerminateChild("child"), timeout=1000)
        await anyio.sleep(LIMIT * 3)
        assert seen.hung() == []
        (child,) = await app.supervisor.ask(WhichChildren())
        assert child.state is ChildState.TERMINATED


@pytest.mark.parametrize("after", [0.0, 0.001, LIMIT * 0.5])
async def test_a_stop_of_the_tree_wins_over_a_hang(after: float) -> None:
    """A tree that is stopped when a child was just found to hang stops in its deadlines."""
    seen = Observed()
    gate = anyio.Event()
    dog = Watchdog(heartbeat=LIMIT)
    async with seen.serve(watched(partial(Deaf, gate), watchdog=dog, shutdown=2.0)):
        await seen.found.wait()
        await anyio.sleep(after)
        opened = anyio.current_time()
        gate.set()
    assert anyio.current_time() - opened <= 2.0
    assert len(seen.hung()) == 1


class Crowd(Observed):
    """Serve more children than are looked at in a row, of which an early and a late one hang."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self.call = call

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, ChildHung):
            self.call()

    @asynccontextmanager
    async def serve_crowd(self) -> AsyncGenerator[Application, None]:
        """Serve them; both are found at the same time."""
        dog = Watchdog(handler=LIMIT)
        specs = [ChildSpec(str(number), Worker, watchdog=dog) for number in range(SLICE * 3)]
        async with self.serve(*specs, max_restarts=10) as app:
            for id in ("1", str(SLICE * 2 + 1)):
                app.find(id).tell(Note(1000.0))
            yield app


async def test_many_looks_let_others_have_their_turn() -> None:
    """Between the slices of looks, what can run runs."""
    first, met = anyio.Event(), []
    seen = Crowd(first.set)

    async def other() -> None:
        await first.wait()
        met.append(len(seen.hung()))

    async with anyio.create_task_group() as tasks, seen.serve_crowd():
        tasks.start_soon(other)
        await anyio.sleep(LIMIT * LATEST)
        assert met == [1]
        assert len(seen.hung()) == 2


async def test_a_supervisor_killed_between_two_slices_leaves_nothing() -> None:
    """A supervisor that is killed in the middle of its looks ends with all its children."""
    apps: list[Application] = []
    seen = Crowd(lambda: apps[0].supervisor.kill())
    with pytest.raises(TreeExited):  # noqa: PT012 - the block is what is cancelled
        async with seen.serve_crowd() as app:
            apps.append(app)
            await anyio.sleep_forever()
    assert len(seen.hung()) == 1
    ended = [event for _, event in seen.events if isinstance(event, ProcEnded)]
    assert len(ended) == SLICE * 3 + 1


async def test_the_log_says_where_it_hangs() -> None:
    """The line of the crash names the message, the time and the user's own code, in one line."""
    seen = Observed()
    async with seen.serve(watched(partial(Beater, 1.0, 0), watchdog=Watchdog(heartbeat=LIMIT))):
        await anyio.sleep(LIMIT * LATEST)
    (line,) = [text for level, _, text in seen.lines if level == "ERROR"]
    assert re.fullmatch(
        r"crashed: Wedged: without a sign of life for \d+\.\d s"
        r" at \S*watched\.py:\d+ in silent, from \S*watched\.py:\d+ in Beater\.run;"
        r" 0 restarts so far; restarting it now",
        line,
    )

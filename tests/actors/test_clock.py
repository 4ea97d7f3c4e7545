"""Tests of `actors.clock`: virtual time on asyncio and trio."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from math import inf
from typing import Literal, TypeVar

import anyio
import anyio.abc
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.testing import FOREVER, START, VirtualClockEventLoop, backend_options

_T = TypeVar("_T")

HOUR = 3600.0
YEAR = 365 * 24 * HOUR


async def test_a_long_sleep_takes_no_real_time() -> None:
    """A sleep of a year ends at once and moves the clock by exactly a year."""
    began = time.monotonic()
    await anyio.sleep(YEAR)
    assert anyio.current_time() == START + YEAR
    assert time.monotonic() - began < 5


async def test_the_clock_stands_still_while_tasks_can_run() -> None:
    """No time passes as long as some task has something to do."""
    turns = 0

    async def be_busy() -> None:
        nonlocal turns
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()
            turns += 1

    with anyio.fail_after(0.001):
        async with anyio.create_task_group() as group:
            group.start_soon(be_busy)
            group.start_soon(be_busy)
    assert (turns, anyio.current_time()) == (2000, START)


async def test_a_timeout_expires_at_its_deadline() -> None:
    """A deadline that is reached cancels at that time, inner ones first, also a sleep for ever."""
    inner = anyio.move_on_after(5)
    with anyio.move_on_after(HOUR) as outer:
        with inner:
            await anyio.sleep(YEAR)
        assert anyio.current_time() == START + 5
        await anyio.sleep_forever()
    assert (inner.cancelled_caught, outer.cancelled_caught) == (True, True)
    assert anyio.current_time() == START + HOUR


async def test_worker_threads_return_their_results() -> None:
    """With no timer pending, a thread is waited for in real time and no virtual time passes."""

    def work() -> float:
        time.sleep(0.02)
        return anyio.from_thread.run(read_the_clock)

    async def read_the_clock() -> float:
        return anyio.current_time()

    assert await anyio.to_thread.run_sync(work) == START


async def test_time_jumps_while_a_thread_works() -> None:
    """A timeout around a thread expires at once: the clock cannot see what the thread does."""
    release = threading.Event()
    with anyio.move_on_after(HOUR) as scope:
        await anyio.to_thread.run_sync(release.wait, 0.05, abandon_on_cancel=True)
    release.set()
    assert scope.cancelled_caught
    assert anyio.current_time() == START + HOUR


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals on Windows")
async def test_signals_arrive() -> None:
    """A signal wakes a loop that waits for nothing else."""
    with anyio.open_signal_receiver(signal.SIGUSR1) as received:
        os.kill(os.getpid(), signal.SIGUSR1)
        async for number in received:
            assert number == signal.SIGUSR1
            break


def test_a_cancelled_timer_moves_nothing() -> None:
    """The clock never goes to the deadline of a timer that was cancelled."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(HOUR, pytest.fail, "was cancelled").cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert _run_virtual(main()) == START + 1


@given(st.lists(st.floats(min_value=0, max_value=1e5), max_size=8))
def test_any_timers_fire_in_order_and_on_time(delays: list[float]) -> None:
    """Each timer fires at its deadline, give or take the resolution of the clock."""
    fired: list[tuple[float, float]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def wait(delay: float) -> None:
            await asyncio.sleep(delay)
            fired.append((delay, loop.time() - START))

        await asyncio.gather(*map(wait, delays))

    _run_virtual(main())
    assert sorted(delay for delay, _ in fired) == sorted(delays)
    assert [at for _, at in fired] == sorted(at for _, at in fired)
    assert all(at == pytest.approx(delay, abs=1e-8) for delay, at in fired)


def test_rounding_never_stops_the_clock() -> None:
    """Ninety years on, where floats are coarser than the loop's resolution, timers still fire."""
    delays = [1e-9, 1e-7, 0.1, 1 / 3, 7.0]
    late = 90 * YEAR

    async def main() -> float:
        await asyncio.sleep(late)
        for delay in delays:
            await asyncio.sleep(delay)
        await asyncio.gather(*map(asyncio.sleep, delays))
        return asyncio.get_running_loop().time()

    expected = START + late + sum(delays) + max(delays)
    assert _run_virtual(main()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("ahead", [FOREVER * 1.01, 1e300, inf])
def test_a_timer_beyond_forever_never_fires(ahead: float) -> None:
    """A timer more than `FOREVER` ahead can be cancelled and keeps no loop busy."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        handle = loop.call_later(ahead, pytest.fail, "never due")
        await asyncio.to_thread(time.sleep, 0.01)
        handle.cancel()
        assert handle.cancelled()
        return loop.time()

    assert _run_virtual(main()) == START


def test_what_is_ready_goes_before_any_jump() -> None:
    """A file descriptor that is ready is served before the clock goes to the next timer."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        served_at: asyncio.Future[float] = loop.create_future()
        near, far = socket.socketpair()
        with near, far:
            far.send(b"x")
            loop.call_later(HOUR, pytest.fail, "jumped too early")
            loop.add_reader(near, lambda: served_at.set_result(loop.time()))
            try:
                return await served_at
            finally:
                loop.remove_reader(near)

    assert _run_virtual(main()) == START


def test_a_thread_wakes_a_loop_that_waits() -> None:
    """With no timer pending the loop sleeps until `call_soon_threadsafe` wakes it."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        timer = threading.Timer(0.05, loop.call_soon_threadsafe, [answer.set_result, None])
        timer.start()
        began = time.process_time()
        await answer
        return time.process_time() - began

    assert _run_virtual(main()) < 0.025


def test_closing_waits_for_the_threads_of_the_executor() -> None:
    """A thread that still works when the loop closes is awaited, without a warning."""
    finished = threading.Event()

    def work() -> None:
        time.sleep(0.03)
        finished.set()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    _run_virtual(main())
    assert finished.is_set()


def test_an_unknown_backend_is_refused() -> None:
    """A name that is not one of the three is an error that lists them."""
    with pytest.raises(ValueError, match="unknown backend 'curio': choose asyncio, trio or uvloop"):
        backend_options("curio")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["trio", "uvloop"])
def test_eager_tasks_are_of_asyncio_alone(name: Literal["trio", "uvloop"]) -> None:
    """Eager tasks are refused on other backends instead of being left out in silence."""
    with pytest.raises(ValueError, match=f"{name} has no eager tasks: choose asyncio"):
        backend_options(name, eager_tasks=True)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="has eager tasks")
def test_eager_tasks_need_python_3_12() -> None:
    """Before Python 3.12 eager tasks are refused with the version that they need."""
    with pytest.raises(ValueError, match=r"3\.12"):
        backend_options("asyncio", eager_tasks=True)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks before Python 3.12")
@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("real_time", [True, False])
def test_eager_tasks_run_at_once(real_time: bool, eager: bool) -> None:
    """With eager tasks a new task has run to its first wait when `create_task` returns."""
    steps: list[str] = []

    async def child() -> None:
        steps.append("child")

    async def main() -> None:
        task = asyncio.create_task(child())
        steps.append("parent")
        await task

    backend, options = backend_options("asyncio", real_time=real_time, eager_tasks=eager)
    anyio.run(main, backend=backend, backend_options=options)
    assert steps == (["child", "parent"] if eager else ["parent", "child"])


def test_a_backend_is_imported_only_when_it_is_asked_for() -> None:
    """Whoever uses asyncio needs neither trio nor uvloop to be installed."""
    program = """
import sys
from actors.testing import backend_options
backend_options("asyncio")
assert not {"trio", "uvloop"} & set(sys.modules), "imported too much"
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _run_virtual(main: Coroutine[object, object, _T]) -> _T:
    with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
        return runner.run(main)


def test_timers_of_one_moment_fire_in_the_order_in_which_they_were_set() -> None:
    """Of many timers that are due at the same moment of virtual time, the first set comes first."""

    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        handles = [loop.call_at(loop.time() + 1.0, fired.append, number) for number in range(50)]
        for handle in handles[::3]:
            handle.cancel()
        await asyncio.sleep(2.0)
        return fired

    with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
        assert runner.run(main()) == [number for number in range(50) if number % 3]

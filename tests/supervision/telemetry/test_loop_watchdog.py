"""Tests of the loop watchdog, with real threads: what blocks is named, and an idle loop is let be.

Code that blocks waits here for the very line that says so; nothing depends on how long that takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from loguru import logger

from actors import Actor, ActorSystem, Event, on
from actors.clock import Backend, backend_options
from supervision import ChildSpec, SupervisorSpec, serve
from supervision.events import LoopStalled
from supervision.telemetry import LoopWatchdog
from supervision.telemetry import loop_watchdog as stalls
from supervision.telemetry.loop_watchdog import check_stalls
from tests.kit.shops import each_loop

ROOT = Path(__file__).parents[3]
SOON = 0.02
"""A stall so short is noticed, in seconds."""

pytestmark = pytest.mark.real_time
core = pytest.mark.core


def run(main: Callable[[], Awaitable[None]], loop: Backend) -> None:
    """Run a loop as programs do: under pytest trio is the guest of a loop that nobody knows."""
    backend, options = backend_options(loop, real_time=True)
    anyio.run(main, backend=backend, backend_options=options)


class Lines:
    """Hear what is said, and wait for it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self._more = threading.Condition()

    def __call__(self, level: str, text: str) -> None:
        with self._more:
            self.heard.append((level, text))
            self._more.notify_all()

    def block_until(self, count: int) -> None:
        """Block this thread until so many lines were said."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.heard) >= count, 20)

    def texts(self) -> list[str]:
        """Return the lines without their numbers."""
        return [text.partition(" for ")[0].partition(" after ")[0] for _, text in self.heard]


async def turn() -> None:
    """Let the loop turn a few times, so that it takes what threads have handed over."""
    for _ in range(3):
        await anyio.sleep(0.001)


async def in_thread(call: Callable[[], Any]) -> Any:
    """Call from a thread while this loop waits for it."""
    return await anyio.to_thread.run_sync(call)


def blocked(call: Callable[[], None]) -> None:
    """Call from a thread while this one, with its loop, is blocked."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


@core
async def test_the_blocking_code_is_named() -> None:
    """What blocks the loop is said with its place while it blocks, and its length afterwards."""
    lines, events = Lines(), list[Event]()
    async with ActorSystem() as system:
        system.events.subscribe(events.append)
        with LoopWatchdog(system, SOON, say=lines):
            await anyio.sleep(0.001)
            began = time.monotonic()
            lines.block_until(1)
            lasted = time.monotonic() - began
            await turn()
    (level, first), (_, second) = lines.heard
    assert level == "WARNING"
    assert first.startswith("event loop blocked for 0.")
    assert "test_loop_watchdog.py" in first
    assert " in Lines.block_until, from " in first
    assert "in test_the_blocking_code_is_named" in first
    assert second.startswith("event loop goes on after 0.")
    (event,) = events
    assert isinstance(event, LoopStalled)
    assert SOON / 2 <= event.seconds <= lasted + 1.0
    functions = [place.function for place in event.stack]
    assert "Lines.block_until" in functions
    assert functions.index("test_the_blocking_code_is_named") < functions.index("Lines.block_until")


@core
async def test_each_stall_is_said_once() -> None:
    """However long a stall lasts it gets one line when it is noticed; the next one gets another."""
    lines = Lines()
    async with ActorSystem() as system:
        with LoopWatchdog(system, SOON, say=lines):
            for stall in (1, 3):
                lines.block_until(stall)
                time.sleep(2 * SOON)  # noqa: ASYNC251 - it blocks on purpose
                await turn()
    assert lines.texts() == ["event loop blocked", "event loop goes on"] * 2


class Counting:
    """Be an actor system whose loop notes how often it is asked."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.events = system.events
        self.asked = 0

    @property
    def backend(self) -> Counting:
        """Return what asks."""
        return self

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        """Note that the loop is asked, and ask it."""
        self.asked += 1
        return self.system.backend.call_soon_threadsafe(call)


@each_loop
def test_an_idle_loop_is_not_woken(loop: Backend) -> None:
    """While the loop waits, nobody asks it anything."""

    async def main() -> None:
        async with ActorSystem() as system:
            counting, looks = Counting(system), list[float]()
            with LoopWatchdog(counting, 0.004) as dog:
                look = dog._look

                def count(elapsed: float) -> None:
                    looks.append(elapsed)
                    look(elapsed)

                dog._look = count  # type: ignore[method-assign]
                await anyio.sleep(0.05)
                # A look may fall into the instant in which the loop goes to sleep, or wakes.
                assert counting.asked <= 2 < len(looks)

    run(main, loop)


@each_loop
def test_the_stack_tells_waiting_from_running(loop: Backend) -> None:
    """Seen from a thread, a loop waits while it waits for that thread, not while it is blocked."""

    async def main() -> None:
        place = stalls._LoopThread()

        def waits() -> bool:
            for _ in range(1000):
                if place.waits():
                    return True
                time.sleep(0.001)  # it is on its way
            return False

        assert await in_thread(waits)
        seen: list[tuple[bool, list[tuple[CodeType, int]]]] = []
        blocked(lambda: seen.append((place.waits(), place.stack())))
        ((waiting, stack),) = seen
        assert not waiting
        assert "blocked" in [code.co_name for code, _ in stack]

    run(main, loop)


async def test_a_loop_that_is_not_known_is_never_taken_for_waiting() -> None:
    """Where the call that runs the loop cannot be found, the loop is asked instead."""
    place = stalls._LoopThread()
    place._base = None
    assert await in_thread(place.waits) is False


@core
async def test_code_that_held_the_gil_is_named_afterwards() -> None:
    """When the thread could not run for want of the GIL, the stall is over, and said as such."""
    lines, events = Lines(), list[Event]()
    async with ActorSystem() as system:
        system.events.subscribe(events.append)
        with LoopWatchdog(system, 100.0, say=lines) as dog:
            blocked(lambda: dog._look(150.0))
            await turn()
    ((level, text),) = lines.heard
    assert level == "WARNING"
    assert text.startswith("event loop was blocked for 150.0 s at ")
    assert "in blocked, from" in text
    (event,) = events
    assert isinstance(event, LoopStalled)
    assert event.seconds == 150.0
    assert event.stack[-1].function.endswith("join") or event.stack[-1].file.endswith(
        "threading.py"
    )


@pytest.mark.parametrize(
    ("gap", "worked", "charged"),
    [(0.25, 0.0, 0.25), (10.0, 0.0, 0.5), (10.0, 4.0, 0.5), (10.0, 9.5, 10.0), (0.25, 0.25, 0.25)],
)
def test_a_process_that_stood_still_has_no_stall(
    monkeypatch: pytest.MonkeyPatch, gap: float, worked: float, charged: float
) -> None:
    """A long gap counts in full only if the loop's thread worked for most of it."""
    now, used = 100.0, 3.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: used)
    monkeypatch.setattr(time, "pthread_getcpuclockid", lambda ident: 7, raising=False)
    clock = stalls._Clock(0.5, 1)
    now, used = now + gap, used + worked
    assert clock.lap() == charged
    assert clock.lap() == 0.0


async def test_a_stall_that_ends_while_it_is_looked_at_is_none() -> None:
    """When the loop has answered before anything was said, nothing is said."""
    lines = Lines()
    async with ActorSystem() as system:
        with LoopWatchdog(system, 100.0, say=lines) as dog:
            question = stalls._Question()
            question.ended_at, question.waited = time.monotonic(), 200.0
            blocked(lambda: dog._report(question))
            assert question.stack is None
    assert lines.heard == []


@core
async def test_the_thread_ends_with_the_block() -> None:
    """However the block is left, the thread has ended: no new one is there."""
    before = set(threading.enumerate())  # some of which are about to end by themselves

    def new() -> set[threading.Thread]:
        return set(threading.enumerate()) - before

    async with ActorSystem() as system:
        with LoopWatchdog(system, SOON):
            await anyio.lowlevel.checkpoint()
            assert len(new()) == 1
        assert not new()
        with pytest.raises(KeyError), LoopWatchdog(system, 100.0):
            raise KeyError("left")
        assert not new()
        with anyio.CancelScope() as scope, LoopWatchdog(system, 100.0):
            scope.cancel()
            await anyio.sleep(1)
        assert not new()


async def test_a_stall_that_ends_with_the_block_harms_nobody() -> None:
    """A loop that is asked, and left before it answers, answers later without an error."""
    lines = Lines()
    async with ActorSystem() as system:
        with LoopWatchdog(system, SOON, say=lines):
            lines.block_until(1)
        await turn()
    assert lines.texts() == ["event loop blocked", "event loop goes on"]


async def test_a_log_that_is_stuck_does_not_stop_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """When `say` never returns, the end of the process comes nevertheless, after the farewell."""
    monkeypatch.setattr("supervision.telemetry.speaker.SPEECH", 0.001)
    ended, gate = list[object](), threading.Event()

    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        ended.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    async with ActorSystem() as system:
        with LoopWatchdog(
            system,
            100.0,
            abort_after=200.0,
            say=lambda level, text: void(gate.wait()),
            farewell=lambda: ended.append("farewell"),
        ) as dog:
            question = stalls._Question()
            question.waited = 200.0

            def report() -> None:
                with pytest.raises(Ended):
                    dog._report(question)

            blocked(report)
            gate.set()
    assert ended == ["farewell", 70]


def void(_: object) -> None:
    """Throw a value away."""


def test_the_place_is_the_users_own_as_far_as_possible() -> None:
    """A place names the user's own calls, and the library's innermost one where that blocks."""
    own, library = void.__code__, json.loads.__code__
    path = os.path.relpath(__file__)
    inside = f"{library.co_filename}:7 in loads"
    assert stalls._whereabouts([]) == ""
    assert stalls._whereabouts([(library, 3), (own, 5)]) == f" at {path}:5 in void"
    assert (
        stalls._whereabouts([(own, 5), (library, 7)])
        == f" at {path}:5 in void (inside of {inside})"
    )
    assert stalls._whereabouts([(library, 7)]) == f" at {inside}"


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan")])
def test_limits_that_cannot_be_meant_are_refused(value: float) -> None:
    """A limit is a finite number of seconds above zero, and the end comes not before the line."""
    with pytest.raises(ValueError, match="stall_after is a number of seconds > 0, or None, not"):
        check_stalls(value, None)
    with pytest.raises(ValueError, match="abort_after is a number of seconds > 0, or None, not"):
        check_stalls(1.0, value)
    with pytest.raises(ValueError, match=r"abort_after is at least stall_after, 1.0, not 0.5"):
        check_stalls(1.0, 0.5)
    with pytest.raises(ValueError, match="abort_after is at least stall_after, None, not 5"):
        check_stalls(None, 5)
    unused: Any = None
    with pytest.raises(ValueError, match="stall_after"):
        LoopWatchdog(unused, value)


# -- in a tree -----------------------------------------------------------------------------------


class Blocking(Actor[str]):
    """Block the loop until the log says so."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    @on(str)
    def block(self, message: str) -> None:
        self.lines.block_until(1)


@core
async def test_serve_watches_when_it_is_told_to() -> None:
    """With `stall_after`, a handler that blocks is named in the log and on the event stream."""
    lines, events = Lines(), list[Event]()
    sink = logger.add(lambda line: lines("", str(line)), format="{message}", level="WARNING")
    try:
        tree = SupervisorSpec("shop", [ChildSpec("till", lambda: Blocking(lines))])
        async with serve(tree, observe=[events.append], stall_after=SOON) as app:
            till: Any = app.find("till")
            till.tell("now")
            await turn()
    finally:
        logger.remove(sink)
    first, second = (text for _, text in lines.heard)
    assert first.startswith("/shop event loop blocked for 0.")
    assert "in Blocking.block" in first
    assert second.startswith("/shop event loop goes on after")
    assert [type(event) for event in events].count(LoopStalled) == 1


async def test_serve_does_not_watch_by_itself() -> None:
    """Without `stall_after`, no thread is started; a bad one is refused before anything starts."""
    before = set(threading.enumerate())
    events: list[Event] = []
    async with serve(SupervisorSpec("shop")):
        assert not set(threading.enumerate()) - before
    with pytest.raises(ValueError, match="stall_after"):
        async with serve(SupervisorSpec("shop"), observe=[events.append], stall_after=-1.0):
            pass
    assert events == []


PROGRAM = """
import sys, time
from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, run

async def blocks(shutdown: CancellationToken) -> None:
    time.sleep(float(sys.argv[2]))

job = ChildSpec("job", task(blocks), restart="transient", significant=True)
run(
    SupervisorSpec("app", [job], auto_shutdown="any_significant"),
    backend=sys.argv[1],
    stall_after=0.1,
    abort_after=0.2 if sys.argv[3] == "abort" else None,
    log=sys.argv[4] == "log",
)
"""


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a process whose loop blocks."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )


@each_loop
@pytest.mark.parametrize("log", ["log", "silent"])
def test_run_ends_a_process_that_stands_still(loop: str, log: str) -> None:
    """With `abort_after`, the process is ended with exit code 70, and it is said where it stood."""
    done = run_program(loop, "60", "abort", log)
    assert done.returncode == 70, done.stderr
    lines = done.stderr.splitlines()
    assert "CRITICAL | /app event loop blocked for 0." in lines[-1]
    assert "in blocks: ending the process, exit code 70" in lines[-1]
    assert len([line for line in lines if "WARNING" in line]) == (log == "log")


@pytest.mark.parametrize("log", ["log", "silent"])
def test_run_watches_by_default(log: str) -> None:
    """A stall in `run` gets its two lines, unless it is to be silent, and the process goes on."""
    done = run_program("asyncio", "0.4", "", log)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == (2 if log == "log" else 0)
    assert all("/app event loop " in line for line in warnings)

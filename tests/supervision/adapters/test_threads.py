"""Tests of `blocking`: a thread that is told to stop, waited for, and at the worst left alone."""

import contextvars
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    Crashed,
    Killed,
    Normal,
    ProcEnded,
    ProcStarted,
    Shutdown,
    StopError,
)
from actors.testing import Recorder
from supervision import BRUTAL_KILL, ChildSpec, SupervisorSpec, blocking, serve
from supervision.adapters import BlockingToken
from supervision.events import LogLines, ThreadAbandoned
from tests.kit.actors import spawned
from tests.kit.errors import Boom

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.real_time

SHORT = 0.02


class Stuck:
    """Be a function that does not end before it is let go; note its thread."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.gate = threading.Event()
        self.inside = threading.Event()
        self.threads: list[threading.Thread] = []
        self.token: BlockingToken | None = None

    def __call__(self, shutdown: BlockingToken) -> None:
        self.threads.append(threading.current_thread())
        self.token = shutdown
        self.inside.set()
        self.gate.wait()
        if self.error is not None:
            raise self.error

    async def wait_inside(self) -> None:
        """Wait until the thread is in here."""
        await anyio.to_thread.run_sync(self.inside.wait)

    def let_go(self) -> None:
        """Let the thread end, and wait for that."""
        self.gate.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Give a function that is stuck until the test has ended."""
    function = Stuck()
    yield function
    function.let_go()


def wait_for_stop(shutdown: BlockingToken) -> None:
    """Obey."""
    shutdown.wait()


# -- the life of a thread --------------------------------------------------------------------------


@pytest.mark.core
async def test_it_runs_in_a_thread_of_its_own() -> None:
    """The function runs in a daemon thread that is named for the child."""
    threads: list[threading.Thread] = []

    def work(shutdown: BlockingToken) -> None:
        threads.append(threading.current_thread())

    async with spawned(blocking(work), id="poller") as proc:
        assert await proc.wait() == Normal()
    (thread,) = threads
    assert thread is not threading.main_thread()
    assert (thread.name, thread.daemon) == ("blocking /poller", True)
    thread.join(5)  # it has said that it is over, and is about to be
    assert not thread.is_alive()


@pytest.mark.core
async def test_an_orderly_stop_waits_for_the_thread() -> None:
    """Told to stop, the thread hears of it, and the child ends when the thread has."""
    trace: list[object] = []

    def work(shutdown: BlockingToken) -> None:
        assert not shutdown.cancelled
        assert shutdown.reason is None
        assert shutdown.wait(60)
        trace.extend([shutdown.cancelled, shutdown.reason])

    async with spawned(blocking(work)) as proc:
        assert await proc.shutdown() == Shutdown()
        assert trace == [True, Shutdown()]


async def test_a_wait_can_time_out() -> None:
    """Waiting with a timeout paces a loop: False at the timeout, True when it is to stop."""
    answers: list[bool] = []

    def work(shutdown: BlockingToken) -> None:
        answers.append(shutdown.wait(0))
        answers.append(shutdown.wait(timeout=0.001))
        answers.append(shutdown.wait(timeout=1e12))

    async with spawned(blocking(work)) as proc:
        await anyio.sleep(SHORT)
        await proc.shutdown()
    assert answers == [False, False, True]


async def test_what_blocks_can_be_woken() -> None:
    """A call registered with `on_cancel` is made at the stop, and not if it was taken back."""
    trace: list[str] = []

    def work(shutdown: BlockingToken) -> None:
        event = threading.Event()
        shutdown.on_cancel(event.set)
        shutdown.on_cancel(lambda: trace.append("never"))()
        event.wait()
        shutdown.on_cancel(lambda: trace.append("at once"))

    async with spawned(blocking(work)) as proc:
        await proc.shutdown()
    assert trace == ["at once"]


@pytest.mark.parametrize("stopping", [False, True])
async def test_an_error_is_a_crash_with_the_traceback_of_the_thread(stopping: bool) -> None:
    """What the function raises, told to stop or not, is the crash, and shows where it arose."""
    error = Boom("in the thread")
    gate = threading.Event()

    def deep() -> None:
        raise error

    def work(shutdown: BlockingToken) -> None:
        shutdown.wait() if stopping else gate.wait()
        deep()

    async with spawned(blocking(work)) as proc:
        gate.set()
        reason = await (proc.shutdown() if stopping else proc.wait())
    assert isinstance(reason, Crashed)
    assert reason.error is error
    frames = traceback.extract_tb(error.__traceback__)
    assert [frame.name for frame in frames][-2:] == ["work", "deep"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_the_thread_has_a_context_of_its_own(backend: str) -> None:
    """It sees the context variables of whoever started it, and may run an event loop."""
    variable = contextvars.ContextVar("variable", default="default")
    seen: list[str] = []
    variable.set("set")

    async def main() -> None:
        await anyio.sleep(0.001)
        seen.append(variable.get())

    async with spawned(blocking(lambda shutdown: anyio.run(main, backend=backend))) as proc:
        assert await proc.wait() == Normal()
    assert seen == ["set"]


# -- threads that do not end -----------------------------------------------------------------------


@pytest.mark.core
async def test_killed_it_abandons_its_thread(stuck: Stuck) -> None:
    """A kill ends the child at once; an event names the thread and where it is."""
    async with ActorSystem() as system:
        with Recorder(system, ProcEnded, ThreadAbandoned) as recorder:
            proc = await system.spawn(blocking(stuck), id="stuck")
            await stuck.wait_inside()
            proc.kill()
            proc.kill()
            assert await proc.wait() == Killed()
        abandoned, ended = recorder.events
        assert isinstance(abandoned, ThreadAbandoned)
        assert isinstance(ended, ProcEnded)
        assert (abandoned.ref, abandoned.thread) == (proc, "blocking /stuck")
        assert Stuck.__call__.__code__ in [code for code, _ in abandoned.stack]
        assert stuck.threads[0].is_alive()
        # It was told to stop, so it may still end by itself.
        assert stuck.token is not None
        assert stuck.token.cancelled
        assert stuck.token.wait(0)


@pytest.mark.parametrize("shutdown", [SHORT, BRUTAL_KILL])
async def test_the_deadline_abandons_the_thread(stuck: Stuck, shutdown: Any) -> None:
    """A thread that does not obey in time, or is to have no time, is left alone."""
    tree = SupervisorSpec("top", [ChildSpec("stuck", blocking(stuck), shutdown=shutdown)])
    async with serve(tree) as app:
        with Recorder(app.system, ThreadAbandoned, ProcEnded) as recorder:
            await stuck.wait_inside()
            app.supervisor.stop()
            await app.wait()
    abandoned, ended, _ = recorder.events
    assert isinstance(abandoned, ThreadAbandoned)
    assert isinstance(ended, ProcEnded)
    assert ended.reason == Killed()


async def test_killed_in_the_turn_in_which_it_starts(stuck: Stuck) -> None:
    """A kill before `run` has begun starts no thread."""
    async with ActorSystem() as system:

        def kill(event: object) -> None:
            if isinstance(event, ProcStarted):
                event.ref.kill()

        system.events.subscribe(kill)
        with Recorder(system, ThreadAbandoned) as recorder:
            proc = await system.spawn(blocking(stuck))
            assert await proc.wait() == Killed()
        assert recorder.events == []
    assert stuck.threads == []


async def test_what_an_abandoned_thread_raises_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, stuck: Stuck
) -> None:
    """An error that nobody waits for any more goes where errors of threads go."""
    raised: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    stuck.error = Boom("late")
    async with spawned(blocking(stuck)) as proc:
        await stuck.wait_inside()
        proc.kill()
        await proc.wait()
    stuck.let_go()
    assert raised == [stuck.error]


async def test_an_error_in_the_turn_of_the_kill_is_not_lost(stuck: Stuck) -> None:
    """When the thread has raised before the kill came, the error is told, and nothing abandoned."""
    stuck.error = Boom("just before")
    async with ActorSystem() as system:
        with Recorder(system, StopError, ThreadAbandoned) as recorder:
            proc = await system.spawn(blocking(stuck))
            system.monitor(proc, lambda down: None)
            await stuck.wait_inside()
            stuck.let_go()  # blocks the loop: it cannot have heard yet
            proc.kill()
            assert await proc.wait() == Killed()
        (event,) = recorder.events
        assert isinstance(event, StopError)
        assert event.error is stuck.error


async def test_the_log_says_where_the_thread_is(stuck: Stuck) -> None:
    """The log line of an abandoned thread is an error with its name and its place."""
    lines: list[tuple[str, str, str]] = []
    async with ActorSystem() as system:
        system.events.subscribe(LogLines(lambda *line: lines.append(line)))
        proc = await system.spawn(blocking(stuck), id="stuck")
        await stuck.wait_inside()
        proc.kill()
        await proc.wait()
    level, path, text = next(line for line in lines if "thread" in line[2])
    assert (level, path) == ("ERROR", "/stuck")
    assert text.startswith("its thread 'blocking /stuck' has not ended and is left alone at ")
    assert "test_threads.py:" in text
    assert "in Stuck.__call__" in text


PROGRAM = """
import sys, threading
from supervision import *

def stuck(shutdown):
    print("stuck", flush=True)
    threading.Event().wait()

def stop(shutdown):
    import os, signal
    os.kill(os.getpid(), signal.SIGTERM)
    shutdown.wait()

tree = SupervisorSpec("top", [
    ChildSpec("stuck", blocking(stuck), shutdown=0.05),
    ChildSpec("stop", blocking(stop)),
])
run(tree, backend=sys.argv[1])
"""


@pytest.mark.parametrize("loop", ["asyncio", "trio", "uvloop"])
def test_the_process_ends_although_a_thread_does_not(loop: str) -> None:
    """`run` leaves with exit code 0 when a thread was abandoned, and does not wait for it."""
    command = [sys.executable, "-c", PROGRAM, loop]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "its thread 'blocking /top/stuck' has not ended" in done.stderr
    assert "ending the process" not in done.stderr


# -- at the door -----------------------------------------------------------------------------------


async def coroutine_function(shutdown: CancellationToken) -> None:
    """Be no blocking function."""


@pytest.mark.parametrize(
    ("fn", "text"), [(None, "not None"), ("poll", "not 'poll'"), (coroutine_function, "use task")]
)
def test_what_is_no_blocking_function_is_refused(fn: Any, text: str) -> None:
    """Anything but a plain function is refused where it is given."""
    with pytest.raises(TypeError, match=text):
        blocking(fn)


def test_factories_are_values() -> None:
    """Factories of the same function are equal and print as they are written."""
    same: Callable[[BlockingToken], None] = wait_for_stop
    assert blocking(wait_for_stop) == blocking(same)
    assert len({blocking(wait_for_stop), blocking(same)}) == 1
    assert blocking(wait_for_stop) != blocking(print)
    assert repr(ChildSpec("x", blocking(wait_for_stop))) == (
        "ChildSpec('x', blocking(wait_for_stop))"
    )

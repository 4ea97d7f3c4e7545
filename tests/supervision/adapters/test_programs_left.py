"""Tests of `subprocess`: what could be left behind, by a family, by other rights, by force."""

import os
import signal
import subprocess as system_subprocess
import sys
from pathlib import Path

import anyio
import pytest

from actors import Crashed, Killed, Normal, Shutdown, StopError
from actors.testing import Recorder
from supervision.adapters import kill_programs
from tests.supervision.programs import (
    FOREVER,
    STUBBORN,
    Opening,
    failure,
    is_running,
    no_processes_left,
    programs,
    wait_until_gone,
)

__all__ = ["no_processes_left"]

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_processes_left")]

PID = "say('pid', os.getpid()); "


# -- what it has started itself --------------------------------------------------------------------

FAMILY = "grandchild = child('signal.signal(15, signal.SIG_IGN); time.sleep(60)');"


@pytest.mark.parametrize("how", ["exit", "crash", "stop", "kill"])
@pytest.mark.core
async def test_grandchildren_do_not_survive(how: str) -> None:
    """However a program ends, what it has left in its process group is gone before its end."""
    end = {"exit": "sys.exit(0)", "crash": "os.abort()"}.get(how, "time.sleep(60)")
    async with programs() as run:
        ref = await run.spawn(f"{FAMILY} say('grandchild', grandchild); {end}")
        pid = int(await run.wait_for("grandchild"))
        if how == "stop":
            assert await ref.shutdown() == Shutdown()
        elif how == "kill":
            ref.kill()
        await ref.wait()
        assert not is_running(pid)


async def test_the_stop_signal_goes_to_the_whole_group() -> None:
    """By default SIGTERM reaches what the program has started, too, as from a terminal."""
    code = """
signal.signal(signal.SIGTERM, lambda *_: None)
worker = child("signal.signal(15, signal.SIG_DFL); say('worker ready'); time.sleep(60)")
say('worker ended by', os.waitpid(worker, 0)[1])
"""
    async with programs() as run:
        ref = await run.spawn(code)
        await run.wait_for("worker ready")
        ref.stop()
        assert await ref.wait() == Normal()
        assert run.said[-1] == f"worker ended by {int(signal.SIGTERM)}"


async def test_the_stop_signal_can_go_to_the_program_alone() -> None:
    """With `stop_group=False` the program stops what it has started itself."""
    code = """
def stop(*_):
    os.kill(worker, signal.SIGUSR1)
    say('worker ended by', os.waitpid(worker, 0)[1])
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
worker = child("signal.signal(15, signal.SIG_DFL); say('worker ready'); time.sleep(60)")
say('knows its worker')
time.sleep(60)
"""
    async with programs() as run:
        ref = await run.spawn(code, stop_group=False)
        await run.wait_for("worker ready")
        await run.wait_for("knows its worker")
        assert await ref.shutdown() == Shutdown()
        assert run.said[-1] == f"worker ended by {int(signal.SIGUSR1)}"


@pytest.mark.core
async def test_a_daemon_does_not_hold_up_the_end() -> None:
    """What moved to a session of its own escapes, and its hold on the output is no hindrance."""
    daemon = "os.setsid(); say('daemon', os.getpid()); time.sleep(60)"
    async with programs() as run:
        ref = await run.spawn(f"child({daemon!r}); time.sleep(60)")
        pid = int(await run.wait_for("daemon"))
        try:
            assert await ref.shutdown() == Shutdown()
            assert is_running(pid)
        finally:
            os.kill(pid, signal.SIGKILL)
        await wait_until_gone(pid)


async def test_a_daemon_that_writes_on_does_not_hold_up_the_end() -> None:
    """Output of an escaped process that never ends is not read for ever."""
    daemon = (
        "os.setsid(); say('daemon', os.getpid()); [os.write(1, b'x' * 999) for _ in iter(int, 1)]"
    )
    async with programs() as run:
        ref = await run.spawn(f"child({daemon!r}); time.sleep(60)")
        pid = int(await run.wait_for("daemon"))
        ref.kill()
        assert await ref.wait() == Killed()
        await wait_until_gone(pid)  # by SIGPIPE: nobody reads it any more


# -- what cannot be killed -------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [False, True])
async def test_a_program_that_may_not_be_killed_is_left_alone(
    stop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that has become another user is not waited for for ever; an event says so."""
    opening = Opening(monkeypatch, wait=False)
    async with programs() as run:
        with Recorder(run.system, StopError) as recorder:
            ref = await run.spawn(PID + FOREVER)
            await run.wait_for("ready")

            def refuse(pid: int, number: int) -> None:
                if number:  # 0 is a look whether it is there
                    raise PermissionError(1, "Operation not permitted")

            with monkeypatch.context() as patch:
                patch.setattr(os, "killpg", refuse)
                patch.setattr(os, "kill", refuse)
                if stop:
                    reason = await ref.shutdown()
                    assert isinstance(reason, Crashed)
                    assert isinstance(reason.error, PermissionError)
                else:
                    ref.kill()
                    assert await ref.wait() == Killed()
            (event,) = recorder.events
            assert isinstance(event.error, PermissionError)
            assert "runs on" in event.error.__notes__[0]
        (process,) = opening.processes
        process.kill()
        await process.wait()


# -- the process is ended by force -----------------------------------------------------------------


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
async def test_a_group_that_is_not_there_any_more(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that cannot be signaled, as it dies in this moment, is no hindrance to the end."""
    async with programs() as run:
        ref = await run.spawn(PID + "say('ready'); sys.stdin.read(); time.sleep(0.02)")

        def refuse(group: int, number: int) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(os, "killpg", refuse)
            ref.kill()
            assert await ref.wait() == Killed()
        assert run.left_at_end == []


def test_what_is_running_can_be_killed_at_once() -> None:
    """`kill_programs` kills every program of this process, from any thread."""

    async def main() -> None:
        async with programs() as run:
            ref = await run.spawn(STUBBORN)
            await run.wait_for("ready")
            kill_programs()
            assert failure(await ref.wait()).returncode == -signal.SIGKILL

    anyio.run(main)
    kill_programs()


PROGRAM = """
import os, signal, sys, time
import supervision.process.signals
from supervision import *
supervision.process.signals.PATIENCE = 0.1

def stuck(line):
    print(line, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
program = subprocess([sys.executable, "-ISc", code], ready=stuck)
run(SupervisorSpec("top", [ChildSpec("program", program)]), backend=sys.argv[1], grace=0.1)
"""


@pytest.mark.parametrize("loop", ["asyncio", "trio", "uvloop"])
def test_a_forced_end_of_the_process_kills_its_programs(loop: str) -> None:
    """When `run` has to end a process whose loop is stuck, its programs do not outlive it."""
    done = system_subprocess.run(
        [sys.executable, "-c", PROGRAM, loop],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "ending the process" in done.stderr
    anyio.run(wait_until_gone, int(done.stdout))


ORDERLY = """
import sys
from supervision import *

code = '''
import signal
numbers = [signal.SIGINT, signal.SIGTERM]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("up", flush=True)
print("got", signal.Signals(signal.sigwait(numbers)).name)
'''

program = subprocess([sys.executable, "-ISc", code], ready=lambda line: line == "up")
ready = periodic(lambda: print("ready", flush=True), every=60, immediately=True)
tree = SupervisorSpec("top", [ChildSpec("program", program), ChildSpec("ready", ready)])
run(tree, backend=sys.argv[1])
"""


@pytest.mark.parametrize("loop", ["asyncio", "trio", "uvloop"])
def test_ctrl_c_reaches_the_supervisor_alone(loop: str) -> None:
    """A SIGINT to the whole process group of the supervisor comes to a program as its SIGTERM."""
    process = system_subprocess.Popen(
        [sys.executable, "-c", ORDERLY, loop],
        cwd=ROOT,
        stdout=system_subprocess.PIPE,
        stderr=system_subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert "/top/program stdout: got SIGTERM" in log
    assert "got SIGINT" not in log
    assert "/top/program stopped" in log

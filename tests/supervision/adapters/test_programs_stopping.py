"""Tests of `subprocess`: stopped, killed, given up, by force: no process is left, no family."""

import os
import signal
import subprocess as system_subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from actors import ActorSystem, Crashed, Killed, Normal, Shutdown, StartFailed, StopError
from actors.testing import Recorder
from supervision import BRUTAL_KILL, ChildSpec, SupervisorSpec, serve, subprocess
from supervision.adapters import process_group
from tests.kit.programs import (
    FOREVER,
    STUBBORN,
    Opening,
    Programs,
    exists,
    failure,
    is_running,
    no_processes_left,
    open_files,
    programs,
    python,
    wait_until_gone,
)

__all__ = ["no_processes_left"]

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_processes_left")]

PID = "say('pid', os.getpid()); "
SHORT = 0.05


# -- told to stop ----------------------------------------------------------------------------------


@pytest.mark.core
async def test_a_stop_is_sigterm() -> None:
    """Told to stop, the program gets SIGTERM; ending by that is in order."""
    async with programs() as run:
        ref = await run.ready(PID + FOREVER)
        assert await ref.shutdown() == Shutdown()
        assert run.left_at_end == []


@pytest.mark.parametrize("code", [0, 128 + signal.SIGTERM, 9])
async def test_some_exit_codes_are_in_order_at_a_stop(code: int) -> None:
    """A program that catches the signal may say something and end with 0, or 128 + its number."""
    async with programs() as run:
        ref = await run.spawn(
            f"signal.signal(signal.SIGTERM, lambda *_: (say('bye'), sys.exit({code})));{FOREVER}"
        )
        await run.wait_for("ready")
        reason = await ref.shutdown()
        if code == 9:
            assert failure(reason).returncode == 9
        else:
            assert reason == Shutdown()
        assert run.said == ["ready", "bye"]


async def test_another_stop_signal() -> None:
    """`stop_signal` is what tells it to stop, and ending by that signal is in order."""
    async with programs() as run:
        ref = await run.ready(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "signal.signal(signal.SIGINT, signal.SIG_DFL);" + FOREVER,
            stop_signal=signal.SIGINT,
        )
        assert await ref.shutdown(20) == Shutdown()


async def test_the_deadline_kills_a_stubborn_program() -> None:
    """A program that takes no notice of the signal is killed at the deadline, and reaped."""
    async with programs() as run:
        ref = await run.ready(PID + STUBBORN)
        begin = time.monotonic()
        assert await ref.shutdown(SHORT) == Killed()
        assert time.monotonic() - begin >= SHORT
        assert run.left_at_end == []


async def test_a_second_stop_changes_nothing() -> None:
    """Told to stop twice, the program gets one signal and all of its time."""
    async with programs() as run:
        ref = await run.ready(
            "signal.signal(signal.SIGTERM, lambda *_: say('signal'));" + FOREVER + ";time.sleep(60)"
        )
        ref.stop()
        await run.wait_for("signal")
        ref.stop()
        assert await ref.shutdown(SHORT) == Killed()
        assert run.said == ["ready", "signal"]


async def test_a_stopped_program_can_be_killed() -> None:
    """A program that somebody has suspended does not hold up the stop beyond the deadline."""
    async with programs() as run:
        ref = await run.ready(PID + STUBBORN)
        os.kill(run.pids[0], signal.SIGSTOP)
        os.waitid(os.P_PID, run.pids[0], os.WSTOPPED)  # noqa: ASYNC222 - it stops at once
        assert await ref.shutdown(SHORT) == Killed()
        assert run.left_at_end == []


# -- killed ----------------------------------------------------------------------------------------


@pytest.mark.core
async def test_a_kill_is_sigkill() -> None:
    """Killed, the program is dead and reaped before the end of the child is announced."""
    async with programs() as run:
        ref = await run.ready(PID + STUBBORN)
        ref.kill()
        ref.kill()
        assert await ref.wait() == Killed()
        assert run.left_at_end == []


async def test_a_kill_during_a_stop() -> None:
    """A kill while the program takes its time to stop does not wait for the deadline."""
    async with programs() as run:
        ref = await run.ready(PID + STUBBORN)
        ref.stop()
        await anyio.sleep(0.01)
        ref.kill()
        assert await ref.wait() == Killed()
        assert run.left_at_end == []


async def test_a_brutal_kill_does_not_ask() -> None:
    """Under BRUTAL_KILL the program gets no SIGTERM."""
    said: list[str] = []
    program = subprocess(
        python("signal.signal(signal.SIGTERM, lambda *_: say('asked'));" + FOREVER),
        ready=lambda line: line == "ready",
    )
    tree = SupervisorSpec("top", [ChildSpec("program", program, shutdown=BRUTAL_KILL)])
    async with serve(tree, observe=[lambda event: said.append(getattr(event, "line", ""))]):
        pass
    assert "ready" in said
    assert "asked" not in said


async def test_what_it_said_before_the_kill_is_told() -> None:
    """The lines that are in the pipe at a kill are told before the end."""
    async with programs() as run:
        ref = await run.spawn(
            "signal.signal(signal.SIGTERM, signal.SIG_IGN); say('one'); " + FOREVER
        )
        await run.wait_for("one")
        # The loop is not running while this waits, so nothing takes the line out of the pipe.
        time.sleep(0.02)  # noqa: ASYNC251
        ref.kill()
        await ref.wait()
        assert run.said == ["one", "ready"]


@pytest.mark.parametrize("turns", [*range(16), 20, 30, 50])
async def test_killed_at_any_turn(turns: int) -> None:
    """Whichever turn of the loop a kill lands in, no process and no file is left."""
    async with programs() as run, anyio.create_task_group() as tasks:
        await run.run("")  # so that what a loop opens once is open
        before = open_files()

        async def spawn() -> None:
            try:
                await (await run.spawn(PID + FOREVER)).wait()
            except StartFailed:
                pass

        tasks.start_soon(spawn)
        while (ref := run.system.find("/p1")) is None:
            await anyio.lowlevel.checkpoint()
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        ref.kill()
        assert await ref.wait() == Killed()
        assert run.left_at_end == []
        assert open_files() == before


@pytest.mark.parametrize("how", ["kill", "shutdown", "cancel"])
async def test_given_up_while_the_program_is_being_started(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that is given up in the middle of the fork waits for that, and kills what it gave."""
    opening = Opening(monkeypatch)
    async with programs() as run, anyio.create_task_group() as tasks:

        async def spawn() -> None:
            with anyio.CancelScope() as scope:
                cancel.append(scope.cancel)
                with pytest.raises(StartFailed):
                    await run.spawn(FOREVER)
            done.set()

        cancel: list[Callable[[], None]] = []
        done = anyio.Event()
        tasks.start_soon(spawn)
        await opening.opened.wait()
        ref = run.system.find("/p0")
        assert ref is not None
        if how == "kill":
            ref.kill()
        elif how == "cancel":
            cancel[0]()
        else:
            tasks.start_soon(ref.shutdown)
        await anyio.sleep(0.01)
        assert not done.is_set()
        (process,) = opening.processes
        assert exists(process.pid)
        opening.go_on.set()
        await done.wait()
        assert not exists(process.pid)


async def test_after_a_kill_nobody_asks_whether_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that come with the end of a killed start are told, but are no matter for `ready`."""
    opening = Opening(monkeypatch)
    asked: list[str] = []
    code = "say('one'); open('said', 'w').close(); time.sleep(60)"
    async with programs() as run, anyio.create_task_group() as tasks:

        async def spawn() -> None:
            await run.fail_to_start(code, cwd=tmp_path, ready=lambda line: bool(asked.append(line)))

        tasks.start_soon(spawn)
        await opening.opened.wait()
        while not (tmp_path / "said").exists():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.001)
        ref = run.system.find("/p0")
        assert ref is not None
        ref.kill()
        await anyio.sleep(0.01)
        opening.go_on.set()
    assert run.said == ["one"]
    assert asked == []


async def test_the_cancellation_of_the_host_leaves_no_process() -> None:
    """When the task that owns the system is cancelled, the programs are gone with it."""
    with anyio.CancelScope() as scope:
        async with ActorSystem() as system:
            run = Programs(system)
            await run.spawn(PID + FOREVER)
            await run.wait_for("ready")
            scope.cancel()
            await anyio.sleep_forever()
    assert not exists(run.pids[0])


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
    daemon = "os.setsid(); say('daemon', os.getpid()); [os.write(1, b'x') for _ in iter(int, 1)]"
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
            ref = await run.ready(PID + FOREVER)

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
        os.kill(process.pid, signal.SIGKILL)
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
            ref = await run.ready(STUBBORN)
            process_group.kill_programs()
            assert failure(await ref.wait()).returncode == -signal.SIGKILL

    anyio.run(main)
    process_group.kill_programs()


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
    command = [sys.executable, "-c", PROGRAM, loop]
    done = system_subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
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

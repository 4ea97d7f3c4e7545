"""Tests of `subprocess`: told to stop, killed, given up: whatever lands, no process is left."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from actors import ActorSystem, Killed, Shutdown, StartFailed
from supervision import BRUTAL_KILL, ChildSpec, SupervisorSpec, serve, subprocess
from tests.supervision.programs import (
    FOREVER,
    STUBBORN,
    Opening,
    Programs,
    exists,
    failure,
    no_processes_left,
    open_files,
    programs,
    python,
)

__all__ = ["no_processes_left"]

ROOT = Path(__file__).parent.parent.parent
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
        ref = await run.ready(PID + FOREVER)
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

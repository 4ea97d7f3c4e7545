"""Tests of what a program inherits, and of what this process keeps while one is started."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run as system_run

import anyio
import anyio.to_thread
import pytest

from supervision.adapters.opening import Program, hear_of_children, open_program
from tests.kit.programs import FOREVER, failure, no_processes_left, open_files, programs, python

__all__ = ["no_processes_left"]

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_processes_left")]

STATE = """
numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
say("blocked", *sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
say("ignored", *sorted(n for n in numbers if signal.getsignal(n) is signal.SIG_IGN))
say("open", *sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")))
"""


@contextmanager
def odd_state() -> Generator[None]:
    """Have signals blocked and ignored, and a descriptor that is inherited."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    ignored = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    extra = os.dup2(0, 77, inheritable=True)
    try:
        yield
    finally:
        os.close(extra)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


async def test_a_program_inherits_nothing_odd() -> None:
    """A program has no signal blocked or ignored but Python's own, and three descriptors."""
    async with programs() as run:
        plain = await run.spawn(STATE)
        await plain.wait()
        expected, run.said = run.said, []
        with odd_state():
            odd = await run.spawn(STATE)
            await odd.wait()
    assert run.said == expected
    assert run.said[0] == "blocked"


async def test_a_program_can_be_stopped_though_the_signal_is_blocked_here() -> None:
    """Whoever blocks SIGTERM for himself can stop a program all the same."""
    with odd_state():
        async with programs() as run:
            ref = await run.ready(FOREVER)
            assert str(await ref.shutdown(2.0)) == "shutdown"


PENDING = """
import os, signal, sys
import anyio
from supervision.adapters.opening import open_program

async def main():
    for _ in range(2):
        await (await open_program(["true"])).wait()
        meanings = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
        print(signal.sigpending(), *meanings)

signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_signal_is_lost_by_the_start_of_a_program(backend: str) -> None:
    """A signal that is blocked here and pending stays so, and what is set is set again."""
    # In a process of its own: here are threads that do not block it.
    done = system_run([sys.executable, "-c", PENDING, backend], capture_output=True, text=True)
    assert (
        done.stdout.splitlines() == [f"{ {signal.SIGTERM} } {signal.SIG_DFL} {signal.SIG_IGN}"] * 2
    )


async def test_an_ignored_sigchld_is_put_right() -> None:
    """The exit code of a program is known, also where the exits of children were ignored."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert await (await open_program(["sh", "-c", "exit 3"])).wait() == 3
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        hear_of_children()
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_without_pidfd_a_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exit of a process is no event of the loop, it is waited for by a thread."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    codes: list[int] = []

    async def wait(program: Program) -> None:
        codes.append(await program.wait())

    async with anyio.create_task_group() as tasks:
        for code in (0, 4):
            tasks.start_soon(wait, await open_program(["sh", "-c", f"exit {code}"]))
    assert sorted(codes) == [0, 4]


async def test_a_wait_that_is_cancelled_leaves_nothing_open() -> None:
    """The wait for an exit can be given up, and begun again."""
    before = open_files()
    program = await open_program(["sleep", "60"])
    with anyio.move_on_after(0.01):
        await program.wait()
    assert open_files() == before
    os.kill(program.pid, signal.SIGKILL)
    assert await program.wait() == -signal.SIGKILL


async def test_elsewhere_than_in_the_main_thread_masks_are_put_right_too() -> None:
    """In another thread, where no disposition can be changed, the program has a clean mask."""

    def open_there() -> list[int]:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

        async def main() -> list[int]:
            program = await open_program(["sleep", "60"])
            os.kill(program.pid, signal.SIGTERM)
            return [await program.wait()]

        return anyio.run(main)

    assert await anyio.to_thread.run_sync(open_there) == [-signal.SIGTERM]


@pytest.mark.parametrize("cwd", [True, False])
async def test_what_was_missing_is_named(tmp_path: Path, cwd: bool) -> None:
    """A program that cannot be started says whether the folder or the program was not there."""
    async with programs() as run:
        missing = str(tmp_path / "missing")
        if cwd:
            error = await run.fail_to_start("", cwd=missing)
            assert missing in str(failure(error.reason))
        with pytest.raises(FileNotFoundError) as caught:
            await open_program(python("") if cwd else [missing], cwd=missing if cwd else None)
        assert caught.value.filename == missing


async def test_a_suspended_program_can_obey() -> None:
    """SIGCONT follows the signal that stops, so that what was suspended stops in time."""
    code = "signal.signal(signal.SIGTERM, lambda *_: (say('saved'), sys.exit(0)));" + FOREVER
    async with programs() as run:
        ref = await run.ready("say('pid', os.getpid());" + code)
        os.kill(run.pids[0], signal.SIGSTOP)
        await ref.shutdown(5.0)
    assert run.said[-1] == "saved"

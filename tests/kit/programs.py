"""Small programs for tests of `subprocess`, and looks at what is left of them.

`Programs` serves as a system to spawn them in, hears all that they say, and knows their process
numbers: each program tells its own one first. The fixture `no_processes_left`, to be used by each
module of such tests, fails a test that leaves a child process behind, dead or alive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Never

import anyio
import pytest

from actors import (
    ActorSystem,
    Crashed,
    Down,
    Event,
    ExitReason,
    ProcEnded,
    ProcFailedToStart,
    Ref,
    StartFailed,
)
from actors.testing import Recorder
from supervision import subprocess
from supervision.adapters.opening import Program, open_program
from supervision.errors import ProcessFailed
from supervision.events import ProcessOutput

FOREVER = "say('ready'); time.sleep(60)"
"""A program that runs until it is ended."""

STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER
"""One that does not obey."""

BEGIN = """
import os, signal, sys, time
def say(*words):  # not by print, which a signal handler must not do in the middle of another
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def child(code):
    if pid := os.fork():
        return pid
    try:
        exec(code)
    finally:
        os._exit(0)
"""


def python(code: str) -> list[str]:
    """Return the command line that runs a bit of Python, which may `say` something."""
    return [sys.executable, "-I", "-S", "-c", BEGIN + code]


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number that is not just a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not Path("/proc/self").exists()


async def wait_until_gone(pid: int) -> None:
    """Wait until a process that is no child of this one is gone."""
    with anyio.fail_after(5):
        while is_running(pid):  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.001)


def exists(pid: int) -> bool:
    """Tell whether a process has this number, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Programs:
    """Spawn programs, and hear what they say and how they end."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.said: list[str] = []
        self.ends: list[ExitReason] = []
        self.left_at_end: list[int] = []
        self.pids: list[int] = []
        self.downs: list[Down] = []
        system.events.subscribe(self.hear)
        self.recorder = Recorder(system, ProcessOutput)
        self.recorder.__enter__()

    def hear(self, event: Event) -> None:
        """Write down what was said; look at the end whether a process is left."""
        match event:
            case ProcessOutput(stream=stream, line=line):
                self.said.append(line if stream == "stdout" else f"stderr: {line}")
                if line.startswith("pid "):
                    self.pids.append(int(line.split()[1]))
            case ProcEnded(reason=reason) | ProcFailedToStart(reason=reason):
                self.ends.append(reason)
                self.left_at_end += [pid for pid in self.pids if exists(pid)]
            case _:
                pass

    async def spawn(self, code: str, *, timeout: float | None = None, **options: Any) -> Ref[Never]:
        """Start a bit of Python as a child; its exit is heard of."""
        ref = await self.system.spawn(
            subprocess(python(code), **options), id=f"p{len(self.ends)}", start_timeout=timeout
        )
        self.system.monitor(ref, self.downs.append)
        return ref

    async def ready(self, code: str, **options: Any) -> Ref[Never]:
        """Start a bit of Python and wait until it says that it is ready."""
        ref = await self.spawn(code, **options)
        await self.wait_for("ready")
        return ref

    async def run(self, code: str, **options: Any) -> ExitReason:
        """Start a bit of Python and wait for its end."""
        ref = await self.spawn(code, **options)
        return await ref.wait()

    async def fail_to_start(self, code: str, **options: Any) -> StartFailed:
        """Start a bit of Python that does not get ready."""
        with pytest.raises(StartFailed) as caught:
            await self.spawn(code, **options)
        return caught.value

    async def wait_for(self, words: str) -> str:
        """Wait for a line that begins with these words; returns the rest of it."""
        event = await self.recorder.wait_for(
            ProcessOutput, lambda event: event.line.startswith(words), timeout=20
        )
        return event.line.removeprefix(words).strip()


@asynccontextmanager
async def programs() -> AsyncGenerator[Programs, None]:
    """Open a system for programs."""
    async with ActorSystem() as system:
        yield Programs(system)


def failure(reason: ExitReason) -> ProcessFailed:
    """Return the failure that a program crashed with."""
    assert isinstance(reason, Crashed), reason
    assert isinstance(reason.error, ProcessFailed), reason
    return reason.error


class Opening:
    """Hold the start of programs up, after the fork and before anybody hears of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, wait: bool = True) -> None:
        self.opened, self.go_on = anyio.Event(), anyio.Event()
        self.processes: list[Program] = []
        self.wait = wait
        monkeypatch.setattr("supervision.adapters.programs.open_program", self.open)

    async def open(self, *args: Any, **options: Any) -> Program:
        """Stand in for `open_program`."""
        process = await open_program(*args, **options)
        self.processes.append(process)
        self.opened.set()
        if self.wait:
            await self.go_on.wait()
        return process


@pytest.fixture
def no_processes_left() -> Iterator[None]:
    """Fail the test if it leaves a child process."""
    yield
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    pytest.fail(f"a child process is left: {pid or 'running'}")


def open_files() -> Sequence[str]:
    """List the file descriptors of this process, where the system tells them."""
    folder = Path("/proc/self/fd")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

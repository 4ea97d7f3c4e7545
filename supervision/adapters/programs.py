"""Run a program as a child of a supervisor: its exit is the child's exit.

`subprocess(argv)` makes a child of an operating-system process. POSIX only.

==============  ==================================================================================
when            what happens
==============  ==================================================================================
start           the program is started; ready at once, or at the line that `ready` waits for
exit code 0     the child ends, Normal
other ends      the child crashes: `Crashed(ProcessFailed(argv, returncode, last_lines))`
told to stop    `stop_signal` (SIGTERM), then SIGCONT, if it was suspended; the child waits for the
                exit, which is Shutdown then
killed          SIGKILL at once, as also at the child's `shutdown` deadline, and when its start is
                given up; the process is dead and reaped before the child's end is announced
output          a line is an event, `ProcessOutput(ref, stream, line)`, which the log writes
==============  ==================================================================================

It has no signal blocked or ignored, and no descriptor but the three, whatever this process has.
It runs in a session and process group of its own. So a Ctrl-C in the terminal reaches the
supervisor alone, which then stops its children in order. Whatever the program has started itself
and left in its group is killed when the program has ended; what moved to a session of its own (a
daemon, `setsid`) escapes. As PID 1 of a container, use an init that reaps orphans (`--init`).

When the supervising process itself is killed with SIGKILL, nobody is left to stop the program: it
runs on. Linux could tie it to its parent (PR_SET_PDEATHSIG), but not from pure Python. What ends
both is outside: a systemd unit (KillMode=control-group) or a container. (A forced end by `run`,
for a loop that is stuck, does kill the programs.)

>>> import anyio, sys
>>> from actors import ActorSystem
>>> program = "import time; print('listening', flush=True); time.sleep(60)"
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         system.events.subscribe(lambda event: print(getattr(event, "line", None)))
...         ready = lambda line: "listening" in line
...         server = await system.spawn(subprocess([sys.executable, "-c", program], ready=ready))
...         print(await server.shutdown())
>>> anyio.run(main)
listening
None
None
shutdown
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from subprocess import DEVNULL
from typing import Final, Literal, Never, TypeAlias, final

import anyio
from attrs import frozen

from actors import CancellationToken, Proc, StopError
from supervision.adapters.functions import only_error
from supervision.adapters.hosted import Hosted
from supervision.adapters.opening import Program, open_program
from supervision.adapters.pipes import Pipe
from supervision.adapters.process_group import ProcessGroup
from supervision.describe import printable
from supervision.errors import ProcessFailed, SpecError
from supervision.event_types import ProcessOutput

__all__ = ["Output", "Subprocess", "subprocess"]


Output: TypeAlias = Literal["events", "inherit", "discard"]
"""What becomes of the output of a program."""

LAST_LINES: Final = 10
"""How many of the last lines of standard error a crash tells."""

LONGEST_LAST_LINE: Final = 500
"""How many characters of each such line."""

STREAMS: Final[tuple[Literal["stderr", "stdout"], ...]] = ("stderr", "stdout")
"""The pipes of a program; what is left in them at its end is told from the last to the first."""


def subprocess(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    output: Output = "events",
    ready: Callable[[str], bool] | None = None,
    stop_signal: int = signal.SIGTERM,
    stop_group: bool = True,
) -> Subprocess:
    r"""Run a program until it ends or is told to stop.

    - `argv`: the program and its arguments. No shell is involved; `["sh", "-c", "..."]` is one.
    - `env`: all of its environment; default None: that of this process.
    - `cwd`: its working directory; default None: that of this process.
    - `output`: "events" (default): each line of standard output and standard error is an event
      `ProcessOutput`; "inherit": both go where those of this process go; "discard". Standard input
      is empty in any case. Lines of more than 8192 characters come in pieces; what is no
      UTF-8 as `\xNN`.
    - `ready`: asked with each line whether the program is ready now; default None: it is ready as
      soon as it runs. Use it with the `start_timeout` of the child's spec. Ending before that
      is a failed start, with whatever exit code.
    - `stop_signal`: what tells it to stop, default SIGTERM. Ending by this signal, with code 0, or
      with 128 + the signal's number is in order then, any other end is a crash.
    - `stop_group`: whether that signal goes to all of its process group, as from a terminal
      (default), or to the program alone, for those that stop their own workers.

    A program that cannot be started is a failed start (ProcessFailed, with the OSError as cause).
    The lines in a pipe at the exit are told before the child's end. When nobody takes the output
    out of the pipe fast enough, the program waits: nothing is dropped, nothing piles up.

    Raises TypeError or SpecError for an option that cannot be meant, and NotImplementedError on
    Windows.
    """
    if sys.platform == "win32":
        raise NotImplementedError("subprocess needs POSIX: process groups, signals, pipes")
    if ready is not None and not callable(ready):
        raise TypeError(f"subprocess: ready is a function of a line, not {ready!r}")
    if ready is not None and output != "events":
        raise _wrong("ready", f"it looks at the output, so output is 'events', not {output!r}")
    if output not in ("events", "inherit", "discard"):
        raise _wrong("output", f"{output!r} is not 'events', 'inherit' or 'discard'")
    if stop_signal not in signal.valid_signals() or stop_signal in (signal.SIGKILL, signal.SIGSTOP):
        raise _wrong("stop_signal", f"{stop_signal!r} is no signal that a program could obey")
    if not isinstance(stop_group, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _wrong("stop_group", f"{stop_group!r} is not a bool")
    return Subprocess(
        _checked(argv),
        None if env is None else tuple(sorted(env.items())),
        None if cwd is None else os.fspath(cwd),
        output,
        ready,
        int(stop_signal),
        stop_group,
    )


def _checked(argv: object) -> tuple[str, ...]:
    if isinstance(argv, str | bytes) or not isinstance(argv, Sequence) or not argv:
        raise TypeError(f"subprocess: argv is a list of a program and its arguments, not {argv!r}")
    arguments: list[str] = []
    for argument in argv:  # pyright: ignore[reportUnknownVariableType]
        if isinstance(argument, os.PathLike):
            argument = os.fspath(argument)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        if not isinstance(argument, str) or "\0" in argument:
            raise TypeError(f"subprocess: an argument is a text without NUL, not {argument!r}")
        arguments.append(argument)
    return tuple(arguments)


def _wrong(option: str, problem: str) -> SpecError:
    return SpecError("subprocess", option, problem)


@final
@frozen(repr=False)
class Subprocess:
    """A factory of procs that run one program; compares by its options."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] | None
    cwd: str | None
    output: Output
    ready: Callable[[str], bool] | None
    stop_signal: int
    stop_group: bool

    def __call__(self) -> Proc[Never]:
        """Make the proc of one incarnation."""
        return SubprocessProc(self)

    def __repr__(self) -> str:
        # Neither the arguments nor the environment: a tree is printed, and they hold passwords.
        program, *arguments = self.argv
        return f"subprocess([{program!r}{', ...' if arguments else ''}])"


@final
class SubprocessProc(Hosted):
    """One program in one incarnation: started, passed on, and seen to its end.

    A `ProcessGroup` holds the process. This looks after what comes out of its pipes, tells it to
    stop, and turns its end into an exit of the child.
    """

    def __init__(self, service: Subprocess) -> None:
        super().__init__()
        self._service = service
        self._group = ProcessGroup(self._left_alone)
        self._told = False
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    async def live(self, shutdown: CancellationToken) -> None:
        """Start the program, pass its output on, see it end."""
        pipes: list[Pipe] = []
        with ExitStack() as stack:
            if self._service.output == "events":
                for stream in STREAMS:
                    pipes.append(Pipe(stream))
                    stack.callback(self._finish, pipes[-1])
            await self._attend(pipes, shutdown)
        self._conclude()

    async def _attend(self, pipes: list[Pipe], shutdown: CancellationToken) -> None:
        group = self._group
        try:
            async with anyio.create_task_group() as tasks:
                try:
                    tasks.start_soon(group.hold, partial(self._open, pipes))
                    await group.opened.wait()
                    if group.runs and self._service.ready is None:
                        self.ready()
                    for pipe in pipes:
                        tasks.start_soon(self._pass_on, pipe)
                    tasks.start_soon(self._obey, shutdown)
                    await group.gone.wait()
                    tasks.cancel_scope.cancel()
                finally:
                    group.kill()
            return
        except BaseExceptionGroup as errors:
            error = only_error(errors)
        raise error

    async def _open(self, pipes: list[Pipe]) -> Program:
        service = self._service
        other = None if service.output == "inherit" else DEVNULL
        ends = {pipe.stream: pipe.write_end for pipe in pipes}
        try:
            return await open_program(
                service.argv,
                stdout=ends.get("stdout", other),
                stderr=ends.get("stderr", other),
                cwd=service.cwd,
                env=None if service.env is None else dict(service.env),
            )
        finally:
            for pipe in pipes:
                pipe.close_writing()

    async def _obey(self, shutdown: CancellationToken) -> None:
        await shutdown.wait()
        self._told = True
        self._group.tell(self._service.stop_signal, group=self._service.stop_group)

    def _left_alone(self, error: PermissionError) -> None:
        self._publish(StopError(self.context.ref, error))

    # -- its output -------------------------------------------------------------------------------

    async def _pass_on(self, pipe: Pipe) -> None:
        while data := await pipe.read():
            self._tell(pipe, pipe.cutter.feed(data))

    def _finish(self, pipe: Pipe) -> None:
        """Pass on what the process has left in a pipe, and close that."""
        try:
            self._tell(pipe, pipe.rest())
        finally:
            pipe.close()

    def _tell(self, pipe: Pipe, lines: Sequence[str]) -> None:
        for line in lines:
            if pipe.stream == "stderr":
                self._last.append(printable(line[:LONGEST_LAST_LINE]))
            self._publish(ProcessOutput(self.context.ref, pipe.stream, line))
            ready = self._service.ready
            # No more questions to the user's code after a kill.
            if ready is not None and not self.is_ready and not self._group.doomed and ready(line):
                self.ready()

    def _publish(self, event: ProcessOutput | StopError) -> None:
        events = self.context.system.events
        if events.heard:
            events.publish(event)

    # -- its end ----------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """Turn the exit code into an exit of the child."""
        argv, stop = self._service.argv, self._service.stop_signal
        refused, code = self._group.refused, self._group.returncode
        if refused is not None:
            raise ProcessFailed(argv, None, problem=str(refused)) from refused
        if not self.is_ready:
            raise ProcessFailed(argv, code, self._last, problem="before it was ready")
        if code and not (self._told and code in (-stop, 128 + stop)):
            raise ProcessFailed(argv, code, self._last)

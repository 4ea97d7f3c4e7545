"""Hold the process of a program, and whatever that starts, until nothing of it is left.

A program gets a process group of its own. One task, `hold`, is with it from the fork until it is
reaped and its group is empty, and cannot be cancelled: a cancellation that struck between the fork
and the moment when anybody knows of the process would leave it behind for ever. All the others
only send signals, which never waits.

Guarantees: when `gone` is set, the process is dead and reaped, and what it left in its group has
been killed; `kill` works at any time, also before the process is there, which is killed as soon as
it is. The exception is a process that may not be killed, since it has become another user:
it is left alone, and whoever made this is told.

>>> import anyio
>>> from functools import partial
>>> from supervision.adapters.opening import open_program
>>> sleeper = partial(open_program, ["sleep", "60"])
>>> async def main() -> None:
...     group = ProcessGroup()
...     async with anyio.create_task_group() as tasks:
...         tasks.start_soon(group.hold, sleeper)
...         await group.opened.wait()
...         group.kill()
...         await group.gone.wait()
...     print(group.returncode)
>>> anyio.run(main)
-9
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final, final

import anyio

from supervision.adapters.opening import Program

__all__ = ["ProcessGroup", "kill_programs"]


SWEEP: Final = (0.0, *(0.001 * 2**step for step in range(7)))
"""Pauses, in seconds, in which the rest of a killed group should go. Not more: where the first
process of a container reaps no orphans, they never do, though they are dead."""


_running: set[int] = set()
"""The process groups that are there because of this module."""


def kill_programs() -> None:
    """Kill all programs of this process at once: it is about to be ended by force.

    May be called from any thread; nothing is reaped.
    """
    for group in tuple(_running):
        _kill_group(group)


def _kill_group(group: int) -> bool:
    """Kill what is left of a group; False when nothing is.

    The number of a group is taken as long as anything is in it, so it cannot mean another one.
    """
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS: only zombies are left
        return False
    return True


def _ignore(error: PermissionError) -> None:
    pass


@final
class ProcessGroup:
    """One process that leads a group of its own, from before its fork until it is reaped.

    `opened` is set when it runs, or could not be started (`refused` says why); `gone` when it has
    ended. `left_alone`, default: nobody, is told when it may not be killed.
    """

    def __init__(self, left_alone: Callable[[PermissionError], None] = _ignore) -> None:
        self.opened, self.gone = anyio.Event(), anyio.Event()
        self.refused: Exception | None = None
        self.doomed = False
        """Whether it was to be killed, be it there or not."""
        self._left_alone = left_alone
        self._process: Program | None = None
        self._holding = anyio.CancelScope(shield=True)

    @property
    def runs(self) -> bool:
        """Tell whether it could be started."""
        return self._process is not None

    @property
    def returncode(self) -> int | None:
        """Return the exit code, minus the number of the signal that ended it; None until then."""
        return None if self._process is None else self._process.returncode

    async def hold(self, start: Callable[[], Awaitable[Program]]) -> None:
        """Start the process, and be with it until it is gone; not to be cancelled."""
        with self._holding:
            try:
                self._process = await start()
            except (OSError, ValueError) as error:
                self.refused = error
            self.opened.set()
            if self._process is not None:
                await self._outlast(self._process)
        self.gone.set()

    async def _outlast(self, process: Program) -> None:
        """Wait until the process is reaped, and see to it that it leaves nothing behind."""
        group = process.pid
        _running.add(group)
        try:
            if self.doomed:
                self.kill()
            await process.wait()
            for pause in SWEEP:
                if not _kill_group(group):
                    break
                await anyio.sleep(pause)
        finally:
            _running.discard(group)

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the process, or to all of its group; nothing happens when it is gone."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            if group:
                try:
                    os.killpg(process.pid, number)
                    return
                except PermissionError:
                    pass  # macOS says so of a group of zombies, too: ask for the program alone
            os.kill(process.pid, number)
        except ProcessLookupError:
            pass  # reaped in this moment

    def tell(self, number: int, *, group: bool) -> None:
        """Send a signal that is to be obeyed, also by who was suspended by somebody."""
        self.signal(number, group=group)
        self.signal(signal.SIGCONT, group=group)

    def kill(self) -> None:
        """Kill the group, unless it is gone; never waits."""
        if self.gone.is_set():
            return
        self.doomed = True
        try:
            self.signal(signal.SIGKILL, group=True)
        except PermissionError as error:
            # It has become another user. Waiting for it could take for ever.
            self._holding.cancel()
            assert self._process is not None
            error.add_note(f"process {self._process.pid} is left alone: it runs on")
            self._left_alone(error)

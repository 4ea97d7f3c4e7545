"""Print how far the run has come, and the tables when it is done.

What is printed here is the application's output. Its log lines are made by `supervision.run`,
out of the events of the actor system, and go to stderr.
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from actors import Actor, Crashed, Event, ExitReason, ProcEnded, on
from examples.ingest.messages import (
    STORE,
    Advanced,
    GetProgress,
    PrintTables,
    Progress,
    ReporterMessage,
    Summarize,
    find,
)
from examples.ingest.tables import draw, number, plural


@final
class Reporter(Actor[ReporterMessage]):
    """Report on the reading of `log`; `parsers` is the path of their supervisor in the tree."""

    def __init__(self, log: Path, parsers: str) -> None:
        self._log = log
        self._parsers = f"{parsers}/"
        self._crashes = 0
        self._tenth = 0
        self._done = False

    async def on_start(self) -> None:
        """Say where the reading begins, and count the crashes of parsers from now on."""
        self._store = find(self.context, STORE)
        progress = await self._store.ask(GetProgress())
        self._tenth = self._percent(progress) // 10
        where = "from its beginning"
        if progress.offset:
            where = f"from byte {number(progress.offset)}, after {_lines(progress)}"
        print(f"Reading {self._log.name} {where}", flush=True)
        self._subscription = self.context.system.events.subscribe(self._hear)

    async def on_stop(self, reason: ExitReason) -> None:
        """Say how far it came, if it is not done.

        The store is still there when the whole tree stops: it started earlier. It is not when
        it has crashed and its supervisor stops all who depend on it.
        """
        self._subscription.cancel()
        if not self._done and self._store.is_alive:
            progress = await self._store.ask(GetProgress())
            print(f"Stopped at {self._percent(progress)} %, after {_lines(progress)}", flush=True)

    @on(Advanced)
    def advance(self, message: Advanced) -> None:
        """Print a line for each tenth of the log."""
        percent = self._percent(message.progress)
        if percent // 10 > self._tenth:
            self._tenth = percent // 10
            print(f"{self._tenth * 10:4} %  {_lines(message.progress)}", flush=True)

    @on(PrintTables)
    async def print_tables(self, message: PrintTables) -> None:
        """Print what is in the database, all of it from one moment."""
        summary = await self._store.ask(Summarize(), timeout=None)
        print(draw(summary, message.progress), flush=True)
        left = self._size() - message.progress.offset
        if left:
            print(f"{plural(left, 'byte')} of an unfinished line are left for the next run")
        times = plural(self._crashes, "time")
        print(f"In this run parsers crashed {times}; each was started again", flush=True)
        self._done = True

    def _hear(self, event: Event) -> None:
        match event:
            case ProcEnded(ref=ref, reason=Crashed()) if ref.path.startswith(self._parsers):
                self._crashes += 1
            case _:
                pass

    def _percent(self, progress: Progress) -> int:
        size = self._size()
        return min(100, progress.offset * 100 // size) if size else 100

    def _size(self) -> int:
        return self._log.stat().st_size


def _lines(progress: Progress) -> str:
    return f"{plural(progress.read, 'line')}, {number(progress.set_aside)} set aside"

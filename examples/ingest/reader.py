"""Read the log batch by batch: have each line parsed, have the batch saved, take the next.

The reader holds every line until it is saved, so no line can get lost between two procs. It asks
the store before it reads on, which is all the back-pressure that there has to be.

Its end is the end of the whole tree: it is the significant child.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Never, final

from anyio import create_task_group, to_thread

from actors import CancellationToken, Crashed, ExitReason, Proc, ProcExited, Ref
from examples.ingest.combined import MalformedLine
from examples.ingest.lines import Lines
from examples.ingest.messages import (
    REPORTER,
    STORE,
    Advanced,
    CountRows,
    GetProgress,
    Hit,
    Line,
    Parse,
    PrintTables,
    Save,
    find,
    parser_name,
)


class LinesLost(Exception):
    """The rows in the database are not as many as the lines that were read."""


@final
class Reader(Proc[Never]):
    """Read `log`, `batch` lines at a time, with the help of `parsers` parsers."""

    def __init__(self, log: Path, parsers: int, batch: int) -> None:
        self._log = log
        self._count = parsers
        self._batch = batch

    async def on_start(self) -> None:
        """Find the others, and the place in the log where the last run stopped."""
        self._store = find(self.context, STORE)
        self._reporter = find(self.context, REPORTER)
        self._parsers = [find(self.context, parser_name(n + 1)) for n in range(self._count)]
        progress = await self._store.ask(GetProgress())
        self._lines = await to_thread.run_sync(Lines, self._log, progress.offset)

    async def run(self, shutdown: CancellationToken) -> None:
        """Work until the log is done or the reader is told to stop, between two batches."""
        while not shutdown.cancelled:
            start = self._lines.offset
            batch = await to_thread.run_sync(self._lines.next_batch, self._batch)
            if not batch:
                await self._finish()
                return
            try:
                parsed = await self._parse(start, self._lines.offset, batch)
                # A busy disk may take its time. A store that crashes fails the ask at once.
                progress = await self._store.ask(parsed, timeout=30.0)
            except (ProcExited, ExceptionGroup):
                if shutdown.cancelled:
                    # Who is leaving waits for nobody who is down: the batch is for the next run.
                    return
                raise
            self._reporter.tell(Advanced(progress))

    async def on_stop(self, reason: ExitReason) -> None:
        """Close the log."""
        self._lines.close()

    async def _parse(self, start: int, end: int, batch: list[Line]) -> Save:
        hits: list[tuple[int, Hit]] = []
        set_aside: list[tuple[Line, str]] = []
        # One iterator for all: each parser takes the next line when it is free.
        lines = iter(batch)
        async with create_task_group() as lanes:
            for parser in self._parsers:
                lanes.start_soon(_use, parser, lines, hits, set_aside)
        return Save(start, end, len(batch), tuple(hits), tuple(set_aside))

    async def _finish(self) -> None:
        # Counting the rows of a large database takes its time.
        rows = await self._store.ask(CountRows(), timeout=None)
        if rows.read != rows.stored + rows.set_aside:
            raise LinesLost(
                f"{rows.read} lines were read, but {rows.stored} are stored"
                f" and {rows.set_aside} set aside"
            )
        await self._reporter.ask(PrintTables(rows), timeout=None)


async def _use(
    parser: Ref[Parse],
    lines: Iterator[Line],
    hits: list[tuple[int, Hit]],
    set_aside: list[tuple[Line, str]],
) -> None:
    """Give one parser line after line; a line that crashes it is set aside."""
    for line in lines:
        try:
            hits.append((line.offset, await parser.ask(Parse(line))))
        except ProcExited as exited:
            match exited.reason:
                case Crashed(MalformedLine() as error):
                    set_aside.append((line, str(error)))
                case Crashed(error):
                    # A mistake in the parser; the line is not lost, and the tables name it.
                    set_aside.append((line, repr(error)))
                case _:
                    # Not the line's fault: the parser was stopped. The batch is not saved.
                    raise

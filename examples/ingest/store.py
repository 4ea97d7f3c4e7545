"""Own the database: the only proc that touches it.

SQLite blocks its caller for as long as the disk takes, so each call is made in a worker thread.
Small batches in the loop's own thread would be simpler, but then a slow disk holds up everything
else that lives in the loop: the signals, the other procs' mail, their deadlines. The actor still
handles one message at a time, so no two threads ever meet in the database.

An error of SQLite (a full disk, a locked file) crashes the store. The batch in hand is rolled back,
whoever asked gets the crash as the cause of `ProcExited`, and the supervisor starts the store and
all who depend on it again: they go on where the last transaction ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from anyio import to_thread

from actors import Actor, ExitReason, on
from examples.ingest.database import Database
from examples.ingest.messages import (
    CountRows,
    GetProgress,
    Progress,
    Save,
    StoreMessage,
    Summarize,
    Summary,
)


@final
class Store(Actor[StoreMessage]):
    """Keep what was read of `log` in the SQLite file `database`."""

    def __init__(self, database: str, log: Path) -> None:
        self._path = database
        self._log = log

    async def on_start(self) -> None:
        """Open the database; who starts after the store can rely on it."""
        self._database = await to_thread.run_sync(Database, self._path, self._log)

    async def on_stop(self, reason: ExitReason) -> None:
        """Close the database."""
        await to_thread.run_sync(self._database.close)

    @on(Save)
    async def save(self, message: Save) -> Progress:
        """Commit one batch."""
        return await to_thread.run_sync(self._database.save, message)

    @on(GetProgress)
    async def progress(self, message: GetProgress) -> Progress:
        """Say how far the log was read."""
        return await to_thread.run_sync(self._database.progress)

    @on(CountRows)
    async def count_rows(self, message: CountRows) -> Progress:
        """Say it by counting."""
        return await to_thread.run_sync(self._database.count_rows)

    @on(Summarize)
    async def summarize(self, message: Summarize) -> Summary:
        """Sum up."""
        return await to_thread.run_sync(self._database.summarize)

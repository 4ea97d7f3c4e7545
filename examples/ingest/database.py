"""Keep hits and set-aside lines in SQLite, each line once, with the offset that they reach.

Guarantee: after any end of the process, also SIGKILL and the loss of power, the rows in the
database are exactly those of the lines before `Progress.offset`.

It holds because one transaction writes the rows and moves the offset, from where the batch began;
when it is somewhere else by now, nothing is written. SQLite's write-ahead log makes a commit
cheap: it is not forced to disk each time, so a loss of power may undo the last ones, whole.

All of this is ordinary blocking code; the store calls it in a worker thread.
"""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from pathlib import Path

from examples.ingest.messages import Line, Progress, Save, Summary

IN_MEMORY = ":memory:"

_values = attrgetter("host", "user", "time", "method", "path", "status", "size", "referer", "agent")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS hits (
    offset INTEGER PRIMARY KEY,
    host TEXT NOT NULL, user TEXT NOT NULL, time INTEGER NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL, size INTEGER NOT NULL,
    referer TEXT NOT NULL, agent TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS set_aside (
    offset INTEGER PRIMARY KEY, text BLOB NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS progress (
    log TEXT PRIMARY KEY,
    offset INTEGER NOT NULL, read INTEGER NOT NULL, stored INTEGER NOT NULL,
    set_aside INTEGER NOT NULL
);
"""


class OtherLog(Exception):
    """The database holds another log. An offset means something in one log only."""


class OutOfStep(Exception):
    """The batch does not begin where the database ends: somebody else writes to it, too."""


class Database:
    """Open the database at `path` for one log. Raises OtherLog, sqlite3.Error."""

    def __init__(self, path: str, log: Path) -> None:
        # Used from worker threads, from one at a time.
        self._connection = sqlite3.connect(path, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            self._claim(path, str(log.resolve()))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; what was not committed is gone."""
        self._connection.close()

    def _claim(self, path: str, log: str) -> None:
        with self._connection as connection:
            connection.execute(
                "INSERT INTO progress SELECT ?, 0, 0, 0, 0"
                " WHERE NOT EXISTS (SELECT 1 FROM progress)",
                (log,),
            )
            (known,) = connection.execute("SELECT log FROM progress").fetchone()
        if known != log:
            raise OtherLog(f"{path} holds {known}; give {log} a database of its own")

    def save(self, batch: Save) -> Progress:
        """Write all of a batch or nothing. Raises OutOfStep, sqlite3.Error."""
        with self._connection as connection:
            moved = connection.execute(
                "UPDATE progress SET offset = ?, read = read + ?, stored = stored + ?,"
                " set_aside = set_aside + ? WHERE offset = ?",
                (batch.end, batch.read, len(batch.hits), len(batch.set_aside), batch.start),
            )
            if moved.rowcount != 1:
                raise OutOfStep(f"the database is no longer at byte {batch.start}")
            connection.executemany(
                "INSERT INTO hits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((offset, *_values(hit)) for offset, hit in batch.hits),
            )
            connection.executemany(
                "INSERT INTO set_aside VALUES (?, ?, ?)",
                [(line.offset, line.text, reason) for line, reason in batch.set_aside],
            )
        return self.progress()

    def progress(self) -> Progress:
        """Return how far the log was read."""
        query = "SELECT offset, read, stored, set_aside FROM progress"
        return Progress(*self._connection.execute(query).fetchone())

    def count_rows(self) -> Progress:
        """Return the same, but with the rows counted."""
        query = (
            "SELECT offset, read, (SELECT count(*) FROM hits), (SELECT count(*) FROM set_aside)"
            " FROM progress"
        )
        return Progress(*self._connection.execute(query).fetchone())

    def set_aside(self) -> list[tuple[Line, str]]:
        """Return the lines that were set aside, with their reasons, in the order of the log."""
        query = "SELECT offset, text, reason FROM set_aside ORDER BY offset"
        return [(Line(offset, text), why) for offset, text, why in self._connection.execute(query)]

    def summarize(self) -> Summary:
        """Sum up for the tables, in an order that does not depend on chance."""
        fetch = self._connection.execute
        return Summary(
            tuple(fetch("SELECT status, count(*), sum(size) FROM hits GROUP BY 1 ORDER BY 1")),
            tuple(fetch("SELECT path, count(*) FROM hits GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8")),
            tuple(
                fetch(
                    "SELECT path, count(*) FROM hits WHERE status >= 500"
                    " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 4"
                )
            ),
            tuple(fetch("SELECT reason, count(*) FROM set_aside GROUP BY 1 ORDER BY 2 DESC, 1")),
        )

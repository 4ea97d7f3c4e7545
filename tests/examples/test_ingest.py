"""The ingest example as a whole: it loses no line, whatever happens to it."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import frozen

from actors import Crashed, Event, ProcEnded, ProcStarted, Shutdown
from examples.ingest.generate import Entry, generate
from examples.ingest.messages import Progress
from examples.ingest.tree import SAMPLE, Settings, tree
from supervision import serve

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
BY_COMMAND = [sys.executable, "-m", "supervision", "run", "examples/ingest/tree.py:tree"]
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@frozen
class Log:
    """A generated log, and what is in it."""

    path: Path
    entries: Sequence[Entry]

    @property
    def done(self) -> Progress:
        """Return how it is when all of it was read."""
        bad = sum(1 for entry in self.entries if entry.kind)
        count = len(self.entries)
        return Progress(self.path.stat().st_size, count, count - bad, bad)


def write_log(path: Path, lines: int, malformed: float, seed: int = 5) -> Log:
    """Generate a log."""
    entries = tuple(generate(lines=lines, seed=seed, malformed=malformed))
    path.write_bytes(b"".join(entry.text + b"\n" for entry in entries))
    return Log(path, entries)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Give a log that takes about a second."""
    return write_log(tmp_path_factory.mktemp("log") / "access.log", 40_000, 0.01)


def command(*arguments: object) -> list[str]:
    """Return the command line of the application."""
    return [sys.executable, "-m", "examples.ingest", *map(str, arguments)]


def ingest(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the application to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the application."""
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_back(database: Path) -> Progress:
    """Return what is in the database, the rows counted; fails when that does not fit together."""
    with sqlite3.connect(database) as connection:
        fetch = connection.execute
        assert fetch("PRAGMA integrity_check").fetchone() == ("ok",)
        noted = fetch("SELECT offset, read, stored, set_aside FROM progress").fetchone()
        (hits,) = fetch("SELECT count(*) FROM hits").fetchone()
        (set_aside,) = fetch("SELECT count(*) FROM set_aside").fetchone()
    connection.close()
    found = Progress(noted[0], noted[1], hits, set_aside)
    assert found == Progress(*noted)
    assert found.read == found.stored + found.set_aside
    return found


@BACKENDS
def test_the_sample_gives_exact_totals(backend: str, tmp_path: Path) -> None:
    """Each well-formed line is a hit with its status, and the run ends by itself with code 0."""
    done = ingest("--database", tmp_path / "db", "--backend", backend)
    assert done.returncode == 0, done.stderr
    lines = SAMPLE.read_bytes().splitlines()
    entries = list(generate(lines=4000, seed=2025, malformed=0.01))
    assert [entry.text for entry in entries] == lines
    good = [entry.text.split(b'" ')[1].split()[0] for entry in entries if not entry.kind]
    found = read_back(tmp_path / "db")
    assert found == Progress(SAMPLE.stat().st_size, 4000, len(good), 4000 - len(good))
    with sqlite3.connect(tmp_path / "db") as connection:
        statuses = dict(connection.execute("SELECT status, count(*) FROM hits GROUP BY 1"))
    connection.close()
    assert statuses == Counter(int(status) for status in good)
    printed = done.stdout.split()
    assert (
        printed[-18:]
        == (
            f"read 4,000 stored {len(good):,} set aside {4000 - len(good)} In this run parsers"
            f" crashed {4000 - len(good)} times; each was started again"
        ).split()
    )
    assert done.stderr.rstrip().endswith("exit code 0")


@BACKENDS
def test_malformed_lines_are_set_aside_with_their_reasons(backend: str, tmp_path: Path) -> None:
    """What is set aside is byte by byte what is malformed, each line with why."""
    log = write_log(tmp_path / "log", 2_000, 0.2)
    done = ingest(log.path, "--database", tmp_path / "db", "--backend", backend)
    assert done.returncode == 0, done.stderr
    expected: list[tuple[int, bytes]] = []
    offset = 0
    for entry in log.entries:
        if entry.kind:
            expected.append((offset, entry.text))
        offset += len(entry.text) + 1
    with sqlite3.connect(tmp_path / "db") as connection:
        rows = connection.execute(
            "SELECT offset, text, reason FROM set_aside ORDER BY 1"
        ).fetchall()
    connection.close()
    assert [(offset, text) for offset, text, _ in rows] == expected
    assert {"empty", "no status", "not UTF-8", "impossible time"} < {why for *_, why in rows}


@BACKENDS
def test_a_run_that_is_told_to_stop_is_resumed(backend: str, log: Log, tmp_path: Path) -> None:
    """SIGTERM stops in reverse order with all saved that was read; the next run does the rest."""
    database = tmp_path / "db"
    first = start(log.path, "--database", database, "--backend", backend)
    assert first.stdout is not None
    for line in first.stdout:
        if "20 %" in line:
            first.send_signal(signal.SIGTERM)
            break
    output, errors = first.communicate(timeout=30)
    assert first.returncode == 0, errors
    halfway = read_back(database)
    assert 0 < halfway.read < len(log.entries)
    assert f"after {halfway.read:,} lines, {halfway.set_aside:,} set aside" in output
    ends = [f"/ingest{name} stopped" for name in ("/reader", "/reporter", "/parsers", "/store", "")]
    places = [errors.index(end) for end in ends]
    assert places == sorted(places)

    second = ingest(log.path, "--database", database, "--backend", backend)
    assert second.returncode == 0, second.stderr
    assert f"from byte {halfway.offset:,}, after {halfway.read:,} lines" in second.stdout
    assert read_back(database) == log.done


@BACKENDS
def test_a_run_that_is_killed_is_resumed(backend: str, log: Log, tmp_path: Path) -> None:
    """Killed ten times at random moments, it ends with the exact totals all the same."""
    database = tmp_path / "db"
    chance = random.Random(f"killed on {backend}")
    reached = [0]
    # Two are killed before they have said anything, four when they begin to read, and four when
    # they have read at least a tenth.
    heard = [0] * 2 + [1] * 4 + [2] * 4
    chance.shuffle(heard)
    for lines in heard:
        process = start(log.path, "--database", database, "--backend", backend)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.03))
        process.kill()
        process.communicate(timeout=30)
        if database.exists() and database.stat().st_size:
            reached.append(_offset(database))
        assert process.returncode == -signal.SIGKILL or reached[-1] == log.done.offset
    assert reached == sorted(reached)
    assert len({offset for offset in reached if 0 < offset < log.done.offset}) >= 3

    last = ingest(log.path, "--database", database, "--backend", backend)
    assert last.returncode == 0, last.stderr
    assert read_back(database) == log.done


def _offset(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'progress'")
        (made,) = tables.fetchone()
        begun = made and connection.execute("SELECT count(*) FROM progress").fetchone() == (1,)
    connection.close()
    # It may be killed before the tables are made.
    return read_back(database).offset if begun else 0


@BACKENDS
def test_a_finished_log_is_not_read_again(backend: str, tmp_path: Path) -> None:
    """A second run over the same log changes nothing, and reads on when the log has grown."""
    log = write_log(tmp_path / "log", 300, 0.1)
    arguments = (log.path, "--database", tmp_path / "db", "--backend", backend)
    first, second = ingest(*arguments), ingest(*arguments)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "parsers crashed 0 times" in second.stdout
    assert read_back(tmp_path / "db") == log.done
    with log.path.open("ab") as writer:
        writer.write(log.entries[0].text + b"\nunfini")
    third = ingest(*arguments)
    assert third.returncode == 0
    assert "6 bytes of an unfinished line are left for the next run" in third.stdout
    assert read_back(tmp_path / "db").read == 301


@BACKENDS
def test_a_spent_budget_ends_the_run(backend: str, tmp_path: Path) -> None:
    """With too small a budget it gives up with exit code 1; nothing is lost for the next run."""
    log = write_log(tmp_path / "log", 1_000, 1.0)
    arguments = (log.path, "--database", tmp_path / "db", "--backend", backend, "--batch", 20)
    broken = ingest(*arguments, "--restarts", 5)
    assert broken.returncode == 1
    assert "/ingest/parsers gave up: more than 5 restarts in 1 s" in broken.stderr
    assert "/ingest gave up: more than 3 restarts in 60 s" in broken.stderr
    assert read_back(tmp_path / "db").read < 1_000
    assert ingest(*arguments).returncode == 0
    assert read_back(tmp_path / "db") == log.done


def test_a_missing_log_is_one_clear_line(tmp_path: Path) -> None:
    """A log that cannot be read gives one line and exit code 2, whatever it is started by."""
    missing = tmp_path / "missing.log"
    done = ingest(missing)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"ingest: cannot read {missing}: No such file or directory\n"
    by_command = subprocess.run(
        BY_COMMAND,
        cwd=ROOT,
        env={**ENVIRONMENT, "INGEST_LOG": str(missing)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (by_command.returncode, by_command.stdout) == (2, "")
    assert by_command.stderr.count("\n") == 1
    assert "FileNotFoundError" in by_command.stderr


@BACKENDS
def test_the_command_runs_the_tree(backend: str, tmp_path: Path) -> None:
    """`super-visor run` runs the same tree, with its settings from the environment."""
    done = subprocess.run(
        [*BY_COMMAND, "--backend", backend],
        cwd=ROOT,
        env={**ENVIRONMENT, "INGEST_DATABASE": str(tmp_path / "db")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_back(tmp_path / "db").read == 4000
    crashes = [line for line in done.stderr.splitlines() if "crashed while handling Parse" in line]
    assert len(crashes) == read_back(tmp_path / "db").set_aside


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM hits WHERE offset = (SELECT max(offset) FROM hits)", "lines were read, but"),
        ("UPDATE progress SET log = '/elsewhere'", "holds /elsewhere; give"),
        ("UPDATE progress SET offset = 1000000000", "but 1000000000 were read of it before"),
    ],
)
def test_a_database_that_does_not_fit_is_noticed(change: str, problem: str, tmp_path: Path) -> None:
    """A missing row, another log and a log that shrank each end the run with exit code 1."""
    log = write_log(tmp_path / "log", 200, 0.1)
    assert ingest(log.path, "--database", tmp_path / "db").returncode == 0
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute(change)
    connection.close()
    done = ingest(log.path, "--database", tmp_path / "db")
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real_time
@pytest.mark.dead_letters  # the line in hand at a crash
async def test_a_crash_of_the_store_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When SQLite fails, the store and all who depend on it start again and go on exactly there."""
    log = write_log(tmp_path / "log", 3_000, 0.02)
    database = tmp_path / "db"
    crashes: list[str] = []
    readers: list[int] = []

    def watch(event: Event) -> None:
        """Mend the database when the store has crashed."""
        match event:
            case ProcStarted(ref=ref, incarnation=number) if ref.path == "/ingest/reader":
                readers.append(number)
            case ProcEnded(ref=ref, reason=Crashed(error)) if ref.path == "/ingest/store":
                crashes.append(str(error))
                _execute(database, "DROP TRIGGER full")
            case _:
                pass

    settings = Settings(log.path, str(database), batch=100)
    _prepare(settings)
    async with serve(tree(settings), observe=[watch]) as app:
        assert await app.wait() == Shutdown()
    assert crashes == ["disk full"]
    assert readers == [1, 2], "one round: the reader was started again with the store, not before"
    assert read_back(database) == log.done
    assert capsys.readouterr().out.count("Reading log from byte") == 1


def _prepare(settings: Settings) -> None:
    """Make a database in which the insert of a row in the midst of the log fails."""
    from examples.ingest.database import Database

    Database(settings.database, settings.log).close()
    half = settings.log.stat().st_size // 2
    _execute(
        Path(settings.database),
        f"CREATE TRIGGER full BEFORE INSERT ON hits WHEN NEW.offset > {half}"
        " BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )


def _execute(database: Path, statement: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.real_time
@pytest.mark.dead_letters  # the line in hand at a crash
async def test_a_killed_parser_does_not_cost_a_good_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line whose parser was killed from outside is read again, not set aside."""
    log = write_log(tmp_path / "log", 3_000, 0.02)
    kills = 3

    def kill_sometimes(event: Event) -> None:
        nonlocal kills
        match event:
            case ProcEnded(ref=ref, reason=Crashed()) if kills and "/parsers/" in ref.path:
                kills -= 1
                other = "1" if not ref.path.endswith("1") else "2"
                app.find(f"parsers/parser-{other}").kill()
            case _:
                pass

    settings = Settings(log.path, str(tmp_path / "db"), batch=100)
    async with serve(tree(settings)) as app:
        app.system.events.subscribe(kill_sometimes)
        assert await app.wait() == Shutdown()
    assert kills == 0
    assert read_back(tmp_path / "db") == log.done

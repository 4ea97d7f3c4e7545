"""The parts of the ingest example that know nothing of actors: lines, database and the like."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from examples.ingest import generate
from examples.ingest.combined import MalformedLine, parse_line
from examples.ingest.database import IN_MEMORY, Database, OtherLog, OutOfStep
from examples.ingest.lines import LONGEST, Lines, LogTooShort
from examples.ingest.messages import Hit, Line, Progress, Save
from examples.ingest.tree import SAMPLE

GOOD = (
    b'203.0.113.9 - ada [04/Mar/2025:06:25:13 +0100] "GET /cart?item=7 HTTP/1.1" 200 5316 '
    b'"https://shop.example/" "Mozilla/5.0"'
)
HIT = Hit("::1", "-", 0, "GET", "/", 200, 1, "-", "-")


@pytest.mark.parametrize("name", ["combined", "generate", "lines", "tables"])
def test_docstring_examples_hold(name: str) -> None:
    """Each example in a docstring of the application gives what it shows."""
    result = doctest.testmod(importlib.import_module(f"examples.ingest.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_a_good_line_gives_all_its_fields() -> None:
    """The query is cut off the path, and the time is taken with its zone."""
    assert parse_line(GOOD) == Hit(
        host="203.0.113.9",
        user="ada",
        time=1741065913,
        method="GET",
        path="/cart",
        status=200,
        size=5316,
        referer="https://shop.example/",
        agent="Mozilla/5.0",
    )


@pytest.mark.parametrize(
    ("request_", "method", "path"),
    [
        (b"HEAD / HTTP/2.0", "HEAD", "/"),
        (b"-", "-", "-"),
        (b"", "-", ""),
        (rb"\x16\x03\x01", "-", r"\x16\x03\x01"),
        (rb"GET /a\"b HTTP/1.1", "GET", r"/a\"b"),
        (b"GET /two words HTTP/1.1", "-", "GET /two words HTTP/1.1"),
    ],
)
def test_requests_that_are_no_http_are_hits_all_the_same(
    request_: bytes, method: str, path: str
) -> None:
    """What a server logs about a broken request is a well-formed line."""
    hit = parse_line(GOOD.replace(b"GET /cart?item=7 HTTP/1.1", request_))
    assert (hit.method, hit.path) == (method, path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (GOOD, b"", "empty"),
        (b"ada", b"\xe9ve", "not UTF-8"),
        (b"ada", b"a\0a", "control characters"),
        (b"GET", b"x" * LONGEST, "longer than any log line"),
        (GOOD, b" ", "no client address"),
        (GOOD, b"203.0.113.9", "no identity"),
        (GOOD, b"203.0.113.9 -", "no user"),
        (b"[04/Mar", b"[4/Mar", "no time"),
        (b"04/Mar", b"31/Feb", "impossible time"),
        (b"Mar", b"Mrz", "impossible time"),
        (b"06:25:13", b"24:00:00", "impossible time"),
        (b"+0100", b"+9900", "impossible time"),
        (b'1.1" 200', b"1.1 200", "no status"),
        (b'"GET', b"GET", "no request in quotes"),
        (b" 200 ", b" 2OO ", "no status"),
        (b" 200 ", b" 600 ", "no status"),
        (b" 5316 ", b" 5k ", "no size"),
        (b' "https', b" https", "no referer in quotes"),
        (b'"Mozilla/5.0"', b'"Mozilla/5.0', "no user agent in quotes"),
        (b'"Mozilla/5.0"', b'"Mozilla/5.0" 0.003', "more than a log line"),
    ],
)
def test_a_malformed_line_says_what_is_wrong(old: bytes, new: bytes, reason: str) -> None:
    """The reason names the first thing that is not as it should be."""
    assert old in GOOD
    with pytest.raises(MalformedLine) as caught:
        parse_line(GOOD.replace(old, new, 1))
    assert str(caught.value) == reason


def test_the_generator_knows_which_lines_are_malformed() -> None:
    """Exactly the lines that are marked so cannot be parsed, and every kind of them occurs."""
    kinds: set[str] = set()
    for entry in generate.generate(lines=4000, seed=11, malformed=0.3):
        kinds.add(entry.kind)
        assert b"\n" not in entry.text
        if entry.kind:
            with pytest.raises(MalformedLine):
                parse_line(entry.text)
        else:
            parse_line(entry.text)
    assert len(kinds) == 10


def test_the_sample_is_what_the_generator_makes_by_default() -> None:
    """The sample can be made again, byte by byte, and is small enough to ship."""
    entries = generate.generate(
        lines=generate.LINES, seed=generate.SEED, malformed=generate.MALFORMED
    )
    text = b"".join(entry.text + b"\n" for entry in entries)
    assert SAMPLE.read_bytes() == text
    assert len(text) < 600_000


def test_lines_know_their_offsets(tmp_path: Path) -> None:
    """Offsets count bytes, line ends are cut off, and a last line without its end is left."""
    log = tmp_path / "log"
    log.write_bytes(b"caf\xc3\xa9\r\n\nlast\nunfinished")
    with Lines(log, 0) as lines:
        assert lines.next_batch(10) == [Line(0, b"caf\xc3\xa9"), Line(7, b""), Line(8, b"last")]
        assert lines.offset == 13
        assert lines.next_batch(10) == []
        with log.open("ab") as writer:
            writer.write(b" no more\n")
        assert lines.next_batch(10) == [Line(13, b"unfinished no more")]


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST])
def test_an_endless_line_is_not_kept(tmp_path: Path, length: int) -> None:
    """Of a line that is longer than any log line only the beginning is kept in memory."""
    log = tmp_path / "log"
    log.write_bytes(b"x" * length + b"\nnext\n" + b"y" * length)
    with Lines(log, 0) as lines:
        long, following = lines.next_batch(10)
        assert long == Line(0, b"x" * min(length, LONGEST))
        assert following == Line(length + 1, b"next")
        assert lines.offset == length + 6


def test_a_log_that_shrank_is_refused(tmp_path: Path) -> None:
    """A log with less bytes than were read of it is another log."""
    log = tmp_path / "log"
    log.write_bytes(b"short\n")
    with pytest.raises(LogTooShort, match="has 6 bytes, but 7 were read of it before"):
        Lines(log, 7)


def test_a_batch_is_saved_once(tmp_path: Path) -> None:
    """A batch that does not begin where the last one ended changes nothing."""
    database = Database(IN_MEMORY, tmp_path / "log")
    batch = Save(0, 9, 3, ((0, HIT), (3, HIT)), ((Line(6, b"?"), "empty"),))
    assert database.save(batch) == Progress(9, 3, 2, 1)
    for again in (batch, Save(12, 15, 1, ((12, HIT),), ())):
        with pytest.raises(OutOfStep, match="no longer at byte"):
            database.save(again)
    assert database.progress() == database.count_rows() == Progress(9, 3, 2, 1)
    assert database.set_aside() == [(Line(6, b"?"), "empty")]
    database.close()


def test_a_batch_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    """When one row is refused by the database, no row is written and the offset stays."""
    database = Database(IN_MEMORY, tmp_path / "log")
    with pytest.raises(Exception, match="UNIQUE"):
        database.save(Save(0, 6, 2, ((0, HIT), (0, HIT)), ()))
    assert database.count_rows() == Progress(0, 0, 0, 0)
    database.close()


def test_a_database_belongs_to_one_log(tmp_path: Path) -> None:
    """Opening a database for another log is an error that names both."""
    path = str(tmp_path / "db")
    Database(path, tmp_path / "one").close()
    with pytest.raises(OtherLog, match=r"holds .*one; give .*two a database of its own"):
        Database(path, tmp_path / "two")

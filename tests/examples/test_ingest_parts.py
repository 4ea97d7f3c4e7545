"""The parts of the ingest example that know nothing of actors: lines, database and the like."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from examples.ingest import generate
from examples.ingest.combined import MalformedLine, parse_line
from examples.ingest.database import IN_MEMORY, Database, OutOfStep
from examples.ingest.lines import LONGEST, Lines
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


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 3 * LONGEST])
def test_lines_know_their_offsets(tmp_path: Path, length: int) -> None:
    """Offsets count bytes, line ends are cut off, an unended line is left, a long one cut short."""
    log = tmp_path / "log"
    log.write_bytes(b"caf\xc3\xa9\r\n\nlast\n" + b"x" * length + b"\nunfinished")
    with Lines(log, 0) as lines:
        assert lines.next_batch(10) == [
            *(Line(0, b"caf\xc3\xa9"), Line(7, b""), Line(8, b"last")),
            Line(13, b"x" * LONGEST),
        ]
        assert lines.offset == 14 + length
        assert lines.next_batch(10) == []
        with log.open("ab") as writer:
            writer.write(b" no more\n")
        assert lines.next_batch(10) == [Line(14 + length, b"unfinished no more")]


def test_a_batch_is_saved_once_and_whole(tmp_path: Path) -> None:
    """A batch that is not the next one, or of which a row is refused, changes nothing."""
    database = Database(IN_MEMORY, tmp_path / "log")
    with pytest.raises(Exception, match="UNIQUE"):
        database.save(Save(0, 6, 2, ((0, HIT), (0, HIT)), ()))
    assert database.count_rows() == Progress(0, 0, 0, 0)
    batch = Save(0, 9, 3, ((0, HIT), (3, HIT)), ((Line(6, b"?"), "empty"),))
    assert database.save(batch) == Progress(9, 3, 2, 1)
    for again in (batch, Save(12, 15, 1, ((12, HIT),), ())):
        with pytest.raises(OutOfStep, match="no longer at byte"):
            database.save(again)
    assert database.progress() == database.count_rows() == Progress(9, 3, 2, 1)
    assert database.set_aside() == [(Line(6, b"?"), "empty")]
    database.close()

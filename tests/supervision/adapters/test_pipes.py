"""Tests of the pipes through which a program's output comes, and of how bytes become lines."""

import os

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.adapters.pipes import CAPACITY, LONGEST_LINE, LineCutter, Pipe
from supervision.describe import printable
from tests.kit.programs import open_files


async def test_reading_waits_for_bytes() -> None:
    """A read gives what has been written, and nothing at the end."""
    pipe = Pipe("stdout")
    got: list[bytes] = []

    async def read() -> None:
        while data := await pipe.read():
            got.append(data)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for text in (b"one", b"two"):
            assert pipe.write_end is not None
            os.write(pipe.write_end, text)
            await anyio.wait_all_tasks_blocked()
        pipe.close_writing()
    assert b"".join(got) == b"onetwo"
    pipe.close()


def test_the_rest_is_had_at_once() -> None:
    """What is in a pipe can be had without waiting, and without an end."""
    pipe = Pipe("stderr")
    assert pipe.write_end is not None
    assert pipe.rest() == []
    os.write(pipe.write_end, b"x\n" * 30_000 + b"y")
    assert pipe.rest() == ["x"] * 30_000 + ["y"]
    assert pipe.rest() == []
    pipe.close()


def test_the_rest_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who writes faster than this reads does not keep it reading."""
    pipe = Pipe("stdout")
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda fd, size: b"x" * size)
        assert sum(map(len, pipe.rest())) == CAPACITY
    pipe.close()


def test_closing_leaves_nothing_open() -> None:
    """Both ends are closed, whether or not the one for the program was before."""
    before = open_files()
    for early in (True, False):
        pipe = Pipe("stdout")
        assert open_files() != before
        if early:
            pipe.close_writing()
            pipe.close_writing()
        pipe.close()
        assert open_files() == before


def cut(*chunks: bytes, limit: int = LONGEST_LINE) -> list[str]:
    """Feed all chunks and return all lines."""
    cutter = LineCutter(limit)
    lines = [line for chunk in chunks for line in cutter.feed(chunk)]
    return lines + cutter.end()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b""], []),
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"one\r\ntwo\r\n"], ["one", "two"]),
        ([b"o", b"ne", b"\n", b"two"], ["one", "two"]),
        ([b"one\r", b"\ntwo\r"], ["one", "two"]),
        ([b"\n\n"], ["", ""]),
        ([b"10 %\r20 %\r\n"], ["10 %\r20 %"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"caf\xc3"], ["caf\\xc3"]),
        ([b"\xff\x00\x1b[2J\n"], ["\\xff\x00\x1b[2J"]),
    ],
)
def test_lines_are_cut_at_line_feeds(chunks: list[bytes], lines: list[str]) -> None:
    """A line ends at a line feed or at the end of all, wherever the chunks are cut."""
    assert cut(*chunks) == lines


def test_a_line_is_given_as_soon_as_it_is_complete() -> None:
    """Nothing that is complete waits for what comes after it."""
    cutter = LineCutter()
    assert cutter.feed(b"one\ntw") == ["one"]
    assert cutter.feed(b"o\n") == ["two"]
    assert cutter.end() == []


def test_a_long_line_comes_in_pieces() -> None:
    """A line longer than the limit is told in pieces, before its end has come."""
    cutter = LineCutter(4)
    assert cutter.feed(b"abcdefghij") == ["abcd", "efgh"]
    assert cutter.feed(b"kl\n") == ["ijkl"]
    assert cutter.feed(b"abcd\r") == []
    assert cutter.feed(b"\n") == ["abcd"]


def test_a_cutter_can_be_used_again_after_the_end() -> None:
    """What was left of one stream does not get into the next one."""
    cutter = LineCutter()
    assert cutter.feed(b"half \xe2") == []
    assert cutter.end() == ["half \\xe2"]
    assert cutter.feed(b"whole\n") == ["whole"]


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 9))
def test_nothing_is_lost_and_nothing_is_long(chunks: list[bytes], limit: int) -> None:
    """For any bytes the lines hold all of the text, however it comes, and keep the limit."""
    lines = cut(*chunks, limit=limit)
    assert all(len(line) <= limit for line in lines)
    text = b"".join(chunks).decode("utf-8", "backslashreplace")
    together = text.replace("\n", "").replace("\r", "")
    assert "".join(lines).replace("\r", "") == together
    assert [line for line in lines if "\n" in line] == []


@given(st.lists(st.binary(max_size=30), max_size=10), st.integers(1, 9))
def test_chunks_make_no_difference(chunks: list[bytes], limit: int) -> None:
    """The same bytes give the same lines in one chunk and in many."""
    assert cut(*chunks, limit=limit) == cut(b"".join(chunks), limit=limit)


@given(st.text())
def test_a_printable_text_stays_in_its_line(text: str) -> None:
    """What is printable has no character that a terminal or a log would obey, but a tab."""
    shown = printable(text)
    assert all(character.isprintable() or character == "\t" for character in shown)
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓", "plain ✓"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\tb", "a\tb"),
        ("a\rb\x00", "a\\rb\\x00"),
        ("next\u2028line\x85", "next\\u2028line\\x85"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    """Control characters and their like are shown as escapes."""
    assert printable(text) == shown

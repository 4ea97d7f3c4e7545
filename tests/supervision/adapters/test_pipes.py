"""Tests of the pipes through which a program's output comes."""

import os

import anyio
import pytest

from supervision.adapters.pipes import CAPACITY, Pipe
from tests.supervision.programs import open_files


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

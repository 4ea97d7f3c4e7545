"""Tests of the voice of watching threads, and of what a log line loads."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from supervision.telemetry.speaker import Speaker, helper_thread, is_helper, say
from tests.actors.test_hostile_objects import HOSTILE

ROOT = Path(__file__).parents[3]


def test_a_line_is_said_by_a_thread_of_its_own() -> None:
    """Whoever speaks waits for the line, which is written by a helper thread."""
    said: list[tuple[str, str, bool]] = []

    def speak(level: str, text: str) -> None:
        said.append((level, text, is_helper(threading.current_thread())))

    assert Speaker(speak).say("INFO", "text")
    assert said == [("INFO", "text", True)]
    assert not is_helper(threading.current_thread())


def test_a_line_that_is_stuck_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that never returns holds the speaker up for a moment only, and each line anew."""
    monkeypatch.setattr("supervision.telemetry.speaker.SPEECH", 0.001)
    gate = threading.Event()
    speaker = Speaker(lambda level, text: void(gate.wait(10)))
    assert [speaker.say("INFO", "one"), speaker.say("INFO", "two")] == [True, True]
    gate.set()


def void(_: object) -> None:
    """Throw a value away."""


def test_without_threads_it_is_said_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started, the speaker says so instead of raising."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not Speaker().say("INFO", "text")


def test_a_helper_keeps_no_process_alive() -> None:
    """The threads of the package are daemons, and known by their names."""
    thread = helper_thread(lambda: None, "signals")
    assert (thread.daemon, thread.name, is_helper(thread)) == (True, "supervision signals", True)


def test_say_leaves_braces_alone_and_binds_the_path() -> None:
    """A text with braces or markup reaches the log as it is, and its record carries the path."""
    heard: list[str] = []
    handler = logger.add(heard.append, format="{level} {extra[path]} {message}", colorize=False)
    try:
        say("ERROR", "/shop/{x}", "broke <red>{0}</red> {y!r}")
    finally:
        logger.remove(handler)
    assert heard == ["ERROR /shop/{x} /shop/{x} broke <red>{0}</red> {y!r}\n"]


PROGRAM = """
import sys
from supervision.events import LogLines
from supervision.telemetry import {name}
print("loguru" in sys.modules, end=" ")
{act}
print("loguru" in sys.modules)
"""


@pytest.mark.parametrize(
    ("name", "act", "loads"),
    [
        ("say", "LogLines()", False),
        ("say", "say('INFO', '/shop', 'text')", True),
        ("say_about", "say_about('/shop')", True),
        ("compact_log", "compact_log()", True),
    ],
)
def test_loguru_is_loaded_when_it_is_needed(name: str, act: str, loads: bool) -> None:
    """Who writes no line does not load loguru; who may have to in a hurry loads it before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name=name, act=act)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.split() == ["False", str(loads)]


def test_an_error_is_on_the_record_with_its_innermost_calls() -> None:
    """Sinks for machines get the exception; of a deep traceback the rest is counted."""
    records: list[Any] = []

    def down(depth: int) -> None:
        if depth:
            down(depth - 1)
        raise KeyError("deep")

    handler = logger.add(lambda message: records.append(message.record))  # type: ignore[attr-defined]
    try:
        for depth in (0, 100):
            try:
                down(depth)
            except KeyError as error:
                say("ERROR", "/shop", "crashed", error)
    finally:
        logger.remove(handler)
    shallow, deep = records
    assert shallow["exception"].type is KeyError
    assert "frames_left_out" not in shallow["extra"]
    assert len(list(traceback.walk_tb(deep["exception"].traceback))) == 50
    assert deep["extra"]["frames_left_out"] == 52
    assert deep["message"] == "/shop crashed"


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_error_that_cannot_be_shown_is_logged_all_the_same(kind: type[BaseException]) -> None:
    """A sink that asks an error for its text or its class loses no line for what comes of that."""
    written: list[str] = []
    sink = logger.add(written.append, serialize=True)
    try:
        try:
            raise kind()
        except BaseException as error:
            say("ERROR", "/x", "crashed", error)
    finally:
        logger.remove(sink)
    (line,) = written
    record = json.loads(line)["record"]
    assert record["message"] == "/x crashed"
    assert record["exception"]["traceback"]
    assert kind.__name__ in (record["exception"]["type"] + record["exception"]["value"])

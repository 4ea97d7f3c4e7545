"""Tests of how errors are told in a line, and of what the log looks like through loguru."""

import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from loguru import logger

from supervision.describe import at, where
from supervision.telemetry.explain import explain_error
from supervision.telemetry.speaker import say

ROOT = Path(__file__).parents[3]
HERE = str(Path(__file__)).removeprefix(f"{Path.cwd()}/")


def check(row: int) -> None:
    """Crash below the caller."""
    if row < 0:
        raise ValueError(f"row {row}\nis {{broken}}")


def _raised(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def _text(text: str) -> str:
    return re.sub(r"[.]py:[0-9]+", ".py:N", text)


def test_an_error_is_told_with_its_cause() -> None:
    """An error that was raised from another one tells that one, too."""

    def act() -> None:
        try:
            check(-5)
        except ValueError as error:
            raise LookupError("no row") from error

    assert _text(explain_error(_raised(act))) == (
        f"LookupError: no row at {HERE}:N in act, from {HERE}:N in _raised,"
        f" because of ValueError: row -5 is {{broken}} at {HERE}:N in check, from {HERE}:N in act"
    )


def test_a_group_is_told_with_all_that_is_in_it() -> None:
    """A group tells its errors, also of groups inside, but no more than five, and how many more."""
    inner = ExceptionGroup("inner", [KeyError("a"), ValueError("b")])
    group = ExceptionGroup("outer", [inner, OSError("c")])
    assert explain_error(group) == "outer: inner: KeyError: 'a'; ValueError: b; OSError: c"
    group = ExceptionGroup("many", [ValueError(str(number)) for number in range(12)])
    assert explain_error(group).endswith("; ValueError: 4; and 7 more")


def test_only_the_users_own_code_is_shown() -> None:
    """The way through libraries and the standard library is left out of a place."""
    error = _raised(lambda: re.sub("x", lambda match: check(-1) or "", "x"))
    assert "sre" not in where(error)
    assert where(error).startswith(f" at {HERE}:")


def test_an_error_without_traceback_has_no_place() -> None:
    """What was never raised, or not in anybody's code, has no place to tell."""
    assert where(None) == ""
    assert where(ValueError()) == ""


def _code(filename: str, name: str = "f") -> CodeType:
    return compile("", filename, "exec").replace(co_qualname=name)


LIBRARY = "/usr/lib/python3/site-packages/"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["/app/a.py", "/app/b.py"], " at /app/b.py:2 in f, from /app/a.py:1 in f"),
        (["/app/a.py", LIBRARY + "lib/x.py"], " at /app/a.py:1 in f"),
        ([LIBRARY + "lib/x.py"], " at lib/x.py:1 in f"),
        ([LIBRARY + "anyio/x.py"], ""),
        (["<frozen importlib>"], ""),
        ([], ""),
    ],
)
def test_a_place_is_cut_to_what_helps(files: list[str], expected: str) -> None:
    """Own code goes before libraries, libraries before nothing; an installed program is one."""
    assert at([(_code(file), line) for line, file in enumerate(files, start=1)]) == expected


def test_a_deep_place_is_cut_to_the_innermost_calls() -> None:
    """A recursion without end does not make a line without end."""

    def down() -> None:
        down()

    assert where(_raised(down)).count(", from ") == 3


# -- loguru ---------------------------------------------------------------------------------------


def test_say_leaves_braces_alone_and_binds_the_path() -> None:
    """A text with braces or markup reaches the log as it is, and its record carries the path."""
    heard: list[str] = []
    handler = logger.add(heard.append, format="{level} {extra[path]} {message}", colorize=False)
    try:
        say("ERROR", "/shop/{x}", "broke <red>{0}</red> {y!r}")
    finally:
        logger.remove(handler)
    assert heard == ["ERROR /shop/{x} /shop/{x} broke <red>{0}</red> {y!r}\n"]


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


def test_a_group_of_groups_is_not_followed_for_ever() -> None:
    """What is nested too deep is not shown."""
    error: Exception = ValueError("innermost")
    for _ in range(2000):
        error = ExceptionGroup("group", [error])
    assert explain_error(error).startswith("group: group: group: ExceptionGroup: group")


PROGRAM = """
import sys
from loguru import logger
{setup}
from actors import task
from supervision import ChildSpec, SupervisorSpec, run
async def job(shutdown):
    logger.info("my own line")
run(SupervisorSpec(
    "shop", [ChildSpec("job", task(job), restart="transient", significant=True)],
    auto_shutdown="any_significant",
))
"""


def _program(setup: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(setup=setup)]
    environment = {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)


@pytest.mark.real_time
def test_the_usual_log_is_compact_and_leaves_other_lines_alone() -> None:
    """As loguru comes, lines of the tree show no place in this package; yours show theirs."""
    done = _program("")
    assert done.returncode == 0
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.]\d{3}"
    first, *rest = done.stderr.splitlines()
    assert re.fullmatch(stamp + r" \| INFO     \| /shop starts on asyncio, as process \d+", first)
    assert any(re.fullmatch(stamp + r" \| INFO     \| /shop/job started", line) for line in rest)
    own = stamp + r" \| INFO     \| __main__:job:\d+ - my own line"
    assert any(re.fullmatch(own, line) for line in rest)
    assert rest[-1].endswith("| /shop ended by itself; exit code 0")


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("setup", "environment"),
    [
        ('logger.remove(); logger.add(sys.stderr, format="mine {message}")', {}),
        ("", {"LOGURU_FORMAT": "mine {message}"}),
    ],
)
def test_a_configured_log_is_left_as_it_is(setup: str, environment: dict[str, str]) -> None:
    """Handlers that you have set up, or LOGURU_FORMAT, are not touched, and none is added."""
    done = _program(setup, **environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert "mine /shop/job started\n" in done.stderr
    assert all(line.startswith("mine ") for line in done.stderr.splitlines())

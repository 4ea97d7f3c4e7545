"""Tests of `compact_log`: what the log of `run` looks like through loguru."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

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

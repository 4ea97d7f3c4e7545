"""The fixture that watches every test catches what it is there for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

TESTS = """
import anyio
import pytest
from actors import ActorSystem, task
from tests.actors.kit import Doer, Note, forever, pair


async def test_clean():
    async with ActorSystem() as system:
        await pair(system)


async def lose():
    async with ActorSystem() as system:
        one = await pair(system)
        await one.ref.shutdown()
        one.ref.tell(Note("lost"))


async def test_bad_letter():
    await lose()


def test_bad_letter_of_a_plain_test():
    anyio.run(lose)


@pytest.mark.dead_letters
async def test_good_letter():
    await lose()


async def test_good_letter_by_argument(dead_letters):
    await lose()
    assert [letter.message for letter in dead_letters] == [Note("lost")]


async def test_bad_system():
    await ActorSystem("open").__aenter__()


async def leak():
    async with ActorSystem() as system:
        system._hub.backend.start(lambda cage: forever_main(), "stray")


async def forever_main():
    await anyio.sleep(1)


async def test_bad_task():
    await leak()


@pytest.mark.leaks
async def test_good_leak():
    await leak()


async def test_bad_timer():
    async with ActorSystem() as system:
        system.backend.call_at(system.backend.now() + 1000, system.kill)


async def test_bad_by_itself():
    assert False, "own"


@pytest.fixture
async def system():
    async with ActorSystem() as system:
        yield system


async def test_clean_with_a_fixture(system):
    await system.spawn(task(forever))


async def test_good_letter_after_the_bad():
    pass
"""


def test_what_is_left_behind_fails_a_test(tmp_path: Path) -> None:
    """Tests fail for leaks and unexpected dead letters, on both backends, and others do not."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    core\n    real_time\naddopts = --import-mode=importlib\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) \S*::(\w+\S*)", ran.stdout, re.MULTILINE)
    assert len(outcomes) == 23, ran.stdout
    for outcome, name in outcomes:
        assert outcome == ("FAILED" if "_bad" in name.replace("the_bad", "") else "PASSED"), name

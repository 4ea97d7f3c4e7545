"""Tests of `actors.pytest_plugin`: what is left behind or lost fails a test, nothing else does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = 'pytest_plugins = ["actors.pytest_plugin"]'
IMPORTED = "from actors.testing import dead_letters, no_dead_letters, no_leaks"

CONFTEST = """
import pytest
from actors.testing import backend_options

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return backend_options(request.param)
"""

SETTINGS = """
[pytest]
anyio_mode = auto
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
usefixtures = no_leaks no_dead_letters
addopts = --strict-markers
"""

MARKERS = """
markers =
    dead_letters
    leaks
"""

TESTS = """
import anyio
import pytest
from actors import ActorSystem, Proc

class Deaf(Proc[str]):
    async def run(self, shutdown):
        await shutdown.wait()

async def test_clean():
    async with ActorSystem() as system:
        await system.spawn(Deaf)

async def lose():
    async with ActorSystem() as system:
        ref = await system.spawn(Deaf)
        await ref.shutdown()
        ref.tell("lost")

async def test_bad_letter():
    await lose()

def test_bad_letter_of_a_plain_test():
    anyio.run(lose)

async def test_bad_letters_in_mail_that_is_thrown_away():
    async with ActorSystem() as system:
        ref = await system.spawn(Deaf)
        ref.tell("unread")
        assert not system.events.heard

@pytest.mark.dead_letters
async def test_good_letter():
    await lose()

async def test_good_letter_by_argument(dead_letters):
    await lose()
    assert [letter.message for letter in dead_letters] == ["lost"]

async def test_bad_system():
    await ActorSystem("open").__aenter__()

async def never(cage):
    await anyio.sleep(1)

async def leak():
    async with ActorSystem() as system:
        system.backend.start(never, "stray")

async def test_bad_task():
    await leak()

async def test_bad_task_that_ends_late():
    await leak()
    await anyio.sleep(2)

@pytest.mark.leaks
async def test_good_leak():
    await leak()

async def test_bad_timer():
    async with ActorSystem() as system:
        system.backend.call_at(system.backend.now() + 1000, system.kill)

async def test_bad_by_itself():
    await leak()
    assert False, "own"

@pytest.fixture
async def system():
    async with ActorSystem() as system:
        yield system

async def test_clean_with_a_fixture(system):
    await system.spawn(Deaf)

@pytest.fixture
async def careless():
    yield await ActorSystem("of a fixture").__aenter__()

async def test_broken_fixture(careless):
    pass

async def test_good_after_the_bad():
    pass
"""


@pytest.mark.parametrize("way", [PLUGIN, IMPORTED])
def test_what_is_left_behind_or_lost_fails_a_test(tmp_path: Path, way: str) -> None:
    """Tests fail for leaks and unexpected dead letters, on both backends, and others do not."""
    (tmp_path / "conftest.py").write_text(f"{way}\n{CONFTEST}")
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(SETTINGS + (MARKERS if way == IMPORTED else ""))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) \S*::test_([a-z]+)", ran.stdout, re.MULTILINE)
    expected = {"clean": "PASSED", "good": "PASSED", "bad": "FAILED"}
    wrong = [
        (name, outcome) for outcome, name in outcomes if expected.get(name, outcome) != outcome
    ]
    assert wrong == [], ran.stdout
    # Two backends each, and two errors of a fixture; the plain test has no backends.
    assert len(outcomes) == 2 * 14 + 1 + 2, ran.stdout
    assert "actor system 'of a fixture' was not left" in ran.stdout
    assert "dead letter: 'lost' to /deaf-1: shutdown" in ran.stdout


def test_the_fixtures_alone_need_pytest() -> None:
    """`actors.testing` is imported without pytest, and offers the fixtures to those who ask."""
    program = (
        "import sys, actors.testing as t; assert 'pytest' not in sys.modules; t.no_leaks;"
        " assert 'pytest' in sys.modules; assert not hasattr(t, 'no_such_thing')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)

"""Tests with pytest-asyncio and with anyio's plugin, those that the README shows among them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from actors import Actor, ActorSystem, Request, on


class Double(Request[int]):
    """Ask for twice a number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Doubler(Actor[Double]):
    """Double."""

    @on(Double)
    async def double(self, message: Double) -> int:
        """Answer."""
        await asyncio.sleep(0)
        return message.number * 2


README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## In tests\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("example", "passed"), [(0, 2), (1, 1)], ids=["anyio", "pytest-asyncio"])
def test_the_examples_of_the_readme_pass(tmp_path: Path, example: int, passed: int) -> None:
    """What the README shows under "In tests" passes as it stands, in a project of its own."""
    block = re.findall(r"^```python\n(.*?)^```", SECTION, re.M | re.S)[example]
    (tmp_path / "test_it.py").write_text(block, encoding="utf-8")
    settings = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(settings, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.asyncio
async def test_actors_run_under_pytest_asyncio() -> None:
    """An actor system runs in whichever asyncio loop the test brings along."""
    async with ActorSystem() as system:
        doubler = await system.spawn(Doubler)
        assert await doubler.ask(Double(21)) == 42
    assert not doubler.is_alive

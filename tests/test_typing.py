"""What the type checkers see: the files of tests/typing under mypy and pyright, both strict.

These files hold good uses, with `assert_type`, and wrong ones. A wrong use carries the ignore
comments of both checkers, with the codes of the errors. So the ordinary runs of mypy and pyright
over the repository take the files as they are, and refuse a comment that suppresses nothing.

Here the comments are taken away, and the errors have to be on exactly the lines that had them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))
WRONG = re.compile(r"  # type: ignore\[[a-z, -]+\]  # pyright: ignore\[[A-Za-z, ]+\]$")

Place = tuple[str, int]


def wrong_lines(path: Path) -> list[Place]:
    """List the lines of a file that are marked as wrong, counted from one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(path.name, number) for number, line in enumerate(lines, start=1) if WRONG.search(line)]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Copy the files to a folder of their own, without the ignore comments."""
    for path in FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        text = "\n".join(WRONG.sub("", line) for line in lines)
        (tmp_path / path.name).write_text(text + "\n", encoding="utf-8")
    return tmp_path


def run(checker: str, *arguments: str, folder: Path) -> str:
    """Run a checker in a folder and return what it printed; exit code 1 means errors found."""
    done = subprocess.run(
        [sys.executable, "-m", checker, *arguments],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def compare(found: dict[Place, str]) -> None:
    """Check that the errors are on exactly the marked lines."""
    expected = {place for path in FILES for place in wrong_lines(path)}
    missed = [f"{name}:{line}: a wrong use is no error" for name, line in expected - found.keys()]
    wrong = [f"{name}:{line}: {found[name, line]}" for name, line in found.keys() - expected]
    assert sorted(missed) + sorted(wrong) == []


def test_mypy_finds_exactly_the_wrong_uses(bare: Path, pytestconfig: pytest.Config) -> None:
    """Under `mypy --strict` the marked lines are errors, and no others."""
    pytest.importorskip("mypy")
    assert pytestconfig.cache is not None
    output = run(
        "mypy",
        f"--config-file={ROOT / 'pyproject.toml'}",
        f"--cache-dir={pytestconfig.cache.mkdir('mypy')}",
        "--output=json",
        *(path.name for path in FILES),
        folder=bare,
    )
    errors = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    names = {path.name for path in FILES}
    compare(
        {
            (error["file"], error["line"]): error["message"]
            for error in errors
            # What is wrong in the packages themselves is found by the ordinary run.
            if error["severity"] == "error" and error["file"] in names
        }
    )


def test_pyright_finds_exactly_the_wrong_uses(bare: Path) -> None:
    """Under pyright in strict mode the marked lines are errors, and no others."""
    pytest.importorskip("pyright")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings: dict[str, Any] = {
        **project["tool"]["pyright"],
        "include": ["."],
        "extraPaths": [str(ROOT)],
    }
    (bare / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    output = run("pyright", "--outputjson", f"--pythonpath={sys.executable}", folder=bare)
    compare(
        {
            (Path(error["file"]).name, error["range"]["start"]["line"] + 1): error["message"]
            for error in json.loads(output)["generalDiagnostics"]
            if error["severity"] == "error"
        }
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_wrong_use_names_the_errors_of_both_checkers(path: Path) -> None:
    """Each file has good and wrong uses, and each comment that hides an error is for both."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    half_marked = [line for line in lines if "# type:" in line or "# pyright:" in line]
    assert len(half_marked) == len(wrong_lines(path)) >= 10
    assert text.count("assert_type(") >= 2

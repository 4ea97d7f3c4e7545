"""What the documentation shows is executed: docstrings, README and examples.

Docstring examples are doctests; an asynchronous one ends with `anyio.run(main)`. A block of the
README that is fenced as `python` is a program of its own, run as a user would run it, unless the
line before its fence is `<!-- continue -->`: then it follows on the block before it. Each
`examples/*.py` is run as a script, and each `examples/*/` that has a `__main__.py` as a module.
All of them must end with exit code 0.
"""

from __future__ import annotations

import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent
PACKAGES = ("actors", "supervision")
CONTINUE = "<!-- continue -->"
PYTHON = ("python", "python3", "py")
_FENCE = re.compile(r"( *)(`{3,}|~{3,}) *([\w+-]*)")


@frozen
class Program:
    """Python code of the README: its first line there, counted from one, and its lines."""

    line: int
    text: str


def modules() -> list[str]:
    """Name every module of the packages, as it is imported."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names]


def kits() -> list[str]:
    """Name every module of the tests' own kit that shows an example."""
    paths = sorted((ROOT / "tests" / "kit").glob("*.py"))
    return [f"tests.kit.{path.stem}" for path in paths if ">>> " in path.read_text("utf-8")]


def programs(text: str) -> list[Program]:
    """Cut the python blocks out of Markdown; blocks that continue are one program.

    Every line stays at the number that it has in the text, so that a traceback points there.
    """
    found: list[Program] = []
    margin, fence, language, before = "", "", "", ""
    block: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not fence:
            if opening := _FENCE.match(line):
                margin, fence, language = opening.groups()
                block = [""] * number
            elif line.strip():
                before = line.strip()
        elif not line.strip().startswith(fence) or line.strip(" " + fence[0]):
            block.append(line.removeprefix(margin))
        else:
            if language in PYTHON:
                found = _add(found, block, continues=before == CONTINUE)
            fence, before = "", ""
    return found


def _add(found: list[Program], block: list[str], continues: bool) -> list[Program]:
    first = next((number for number, line in enumerate(block, start=1) if line), len(block))
    if not continues:
        return [*found, Program(first, "\n".join(block))]
    if not found:
        raise ValueError(f"line {first}: there is no block before this one to continue")
    *others, last = found
    lines = last.text.split("\n")
    return [*others, Program(last.line, "\n".join(lines + block[len(lines) :]))]


def examples() -> list[Path]:
    """List what is to be run in examples/: scripts, and directories that hold Python files."""
    scripts = sorted((ROOT / "examples").glob("[!_]*.py"))
    folders = sorted((ROOT / "examples").glob("[!._]*/"))
    return [*scripts, *(path for path in folders if any(path.rglob("*.py")))]


README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.dead_letters
@pytest.mark.parametrize("name", modules())
def test_docstring_examples_hold(name: str) -> None:
    """Each module opens with an example, and all examples of its docstrings give what they show."""
    documentation = importlib.import_module(name).__doc__ or ""
    assert ">>> " in documentation, f"the docstring of {name} has no example (>>> ...)"
    _check_examples(name)


@pytest.mark.dead_letters
@pytest.mark.parametrize("name", kits())
def test_examples_of_the_kit_hold(name: str) -> None:
    """All examples in the docstrings of the tests' own kit give what they show."""
    _check_examples(name)


@pytest.mark.parametrize("program", programs(README), ids=lambda program: f"line-{program.line}")
def test_readme_blocks_run(program: Program, tmp_path: Path) -> None:
    """Each python block of the README runs to its end."""
    script = tmp_path / "README.py"
    script.write_text(program.text, encoding="utf-8")
    _run(str(script), cwd=tmp_path)


@pytest.mark.parametrize("example", examples(), ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    """Each example runs to its end."""
    module = ("-m", f"examples.{example.name}")
    _run(*(module if example.is_dir() else (str(example),)), cwd=tmp_path)


def test_markdown_is_cut_at_its_python_blocks() -> None:
    """Python blocks become programs with their line numbers; other blocks are left alone."""
    text = f"""
```python
one = 1
```
```sh
```python
exit 1
```
{CONTINUE}

~~~~ python
two = one + 1
~~~
~~~~
- in a list:
  ```py
  if True:
      three = 3
  ```
"""
    first, second = programs(text)
    assert (first.line, second.line) == (3, 17)
    assert first.text.split("\n") == ["", "", "one = 1", *[""] * 8, "two = one + 1", "~~~"]
    assert second.text.strip() == "if True:\n    three = 3"


def _check_examples(name: str) -> None:
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(importlib.import_module(name), name):
        runner.run(test, out=report.write)
    assert runner.summarize(verbose=False).failed == 0, report.getvalue()


def _run(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}")

"""Tests of the doors of both packages: what they name, and that they load nothing unasked."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Every face that is made with `lazy_door`.
DOORS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("actors", "supervision")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "= lazy_door(" in path.read_text(encoding="utf-8") and path.name != "lazy.py"
}


def imports_and_table(door: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Read what a face imports for the checkers, and the table that it gives to Python."""
    tree = ast.parse(DOORS[door].read_text(encoding="utf-8"))
    (choice,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = {
        str(node.module): {alias.name for alias in node.names}
        for node in choice.body
        if isinstance(node, ast.ImportFrom)
    }
    (call,) = (node for node in ast.walk(choice) if isinstance(node, ast.Call))
    table: dict[str, str] = ast.literal_eval(call.args[1])
    return imports, {module: set(names.split()) for module, names in table.items()}


@pytest.mark.parametrize("door", DOORS)
def test_the_names_of_a_door_agree(door: str) -> None:
    """What the checkers see, what Python finds, `__all__` and `dir` are the same names."""
    imports, table = imports_and_table(door)
    assert imports == table
    face = importlib.import_module(door)
    assert set(face.__all__) == set().union(*table.values())
    assert set(face.__all__) <= set(dir(face))
    for name in face.__all__:
        assert getattr(face, name) is not None


@pytest.mark.parametrize("door", DOORS)
def test_a_door_loads_nothing_unasked(door: str) -> None:
    """The import of a door loads no module behind it, and a name loads the one where it lives."""
    _, table = imports_and_table(door)
    module, names = next(iter(table.items()))
    program = f"""
import sys, {door}
behind = {set(table)!r} & set(sys.modules)
assert not behind, behind
{door}.{min(names)}
assert {module!r} in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_is_not_there_is_an_error(door: str) -> None:
    """A door says in Python's own words that it has no such name."""
    face = importlib.import_module(door)
    with pytest.raises(AttributeError, match=f"module '{door}' has no attribute 'nothing'"):
        face.nothing  # noqa: B018

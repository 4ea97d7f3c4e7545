"""The house: rooms on floors, imports that go strictly downwards, and doors between rooms.

The tables below are the order of the house. A module may import those that stand before it, and
other rooms and packages through their faces alone (`from supervision.specs import ChildSpec`, not
from a module inside). Inside of a room any order will do that has no cycle. Imports inside
functions and under `TYPE_CHECKING` count like all others.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.once

# Modules and rooms (a name with a slash), lowest first.
FLOORS: dict[str, str] = {
    "actors": (
        "lazy seconds texts shapes exits errors names backends/ clock messages cancellation "
        "dead_letters deadlines mail mailbox address waits timer ref notices events vitals "
        "brokering context functions message_types dispatch actor engine/ threads system __init__ "
        "pytest_plugin testing"
    ),
    "supervision": (
        "exit_codes describe errors event_types keys specs/ supervisors/ tasks/ pool/ "
        "adapters/ telemetry/ application/ process/ events __init__ __main__"
    ),
}

# The packages below each package, and the doors through which they may be used.
DOORS: dict[str, tuple[str, ...]] = {
    "actors": (),
    "supervision": (
        "actors",
        "actors.brokering",
        "actors.lazy",
        "actors.seconds",
        "actors.texts",
        "actors.testing",
    ),
}

# What is not the standard library: where it may be imported, "*" standing for everywhere.
_EITHER_LOOP = ("actors.backends", "actors.clock")
OUTSIDE: dict[str, tuple[str, ...]] = {
    "anyio": ("*",),
    "attrs": ("*",),
    "asyncio": _EITHER_LOOP,
    "trio": _EITHER_LOOP,
    "uvloop": _EITHER_LOOP,
    "outcome": _EITHER_LOOP,
    "sniffio": _EITHER_LOOP,
    # Where a pytest plugin is asked for.
    "pytest": ("actors.pytest_plugin",),
    # Where data enters or leaves the process.
    "cattrs": (),
    # What writes log lines.
    "loguru": ("supervision.telemetry",),
}


@pytest.mark.parametrize("package", FLOORS)
def test_every_import_goes_down(package: str) -> None:
    """A module imports only what stands below it, and other rooms only through their faces."""
    assert violations(ROOT, package, FLOORS[package]) == []


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("low", "from actors.high import x", "imports actors.high, which stands above it"),
        ("low", "from . import high", "imports actors.high, which stands above it"),
        ("low", "def f():\n    import actors.high", "imports actors.high, which stands above it"),
        ("low", "if TYPE_CHECKING:\n    from .high import x", "stands above it"),
        ("low", "from actors import x", "imports actors.__init__, which stands above it"),
        ("low", "from actors.nowhere import x", "imports actors.nowhere, which has no place"),
        ("low", "import supervision", "imports supervision, which is no door"),
        ("low", "from loguru import logger", "imports loguru, which only"),
        ("low", "import numpy", "imports numpy, which is not a dependency"),
        ("high", "from actors.room.one import x", "imports actors.room.one past its face"),
        ("room/one", "from actors.room.two import x", "stands in a circle"),
        ("room/one", "from actors.room import x", "imports its own face"),
        ("stranger", "", "has no place; add it to FLOORS in tests/test_floors.py"),
    ],
)
def test_a_forbidden_import_is_caught(
    tmp_path: Path, module: str, line: str, complaint: str
) -> None:
    """Each form of a forbidden import is found, with its file."""
    _fake_package(tmp_path, {module: line})
    (found,) = violations(tmp_path, "actors", "low room/ high __init__")
    assert complaint in found
    assert found.startswith(f"actors/{module}.py:")


def test_imports_that_go_down_pass(tmp_path: Path) -> None:
    """Downward imports, the standard library and the base dependencies are all in order."""
    _fake_package(
        tmp_path,
        {
            "low": "import anyio.abc, collections.abc\nfrom attrs import frozen",
            "high": "from . import low\nfrom .low import x\nfrom actors.room import y",
        },
    )
    assert violations(tmp_path, "actors", "low room/ high __init__") == []


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("from actors import Ref", True),
        ("from actors.testing import probe", True),
        ("from actors.ref import Ref", False),
        ("import actors.ref", False),
    ],
)
def test_supervision_uses_the_doors_alone(tmp_path: Path, line: str, allowed: bool) -> None:
    """`supervision` may import `actors` and what stands beside that door, but nothing behind it."""
    (tmp_path / "supervision").mkdir()
    (tmp_path / "supervision" / "errors.py").write_text(line)
    found = violations(tmp_path, "supervision", FLOORS["supervision"])
    expected = [] if allowed else ["supervision/errors.py:1: imports actors.ref, which is no door"]
    assert found == expected


def violations(root: Path, package: str, floors: str) -> list[str]:
    """List the imports of a package that break the order, as `path:line: complaint`."""
    order = [place.rstrip("/") for place in floors.split()]
    found: list[str] = []
    inside: dict[str, dict[str, set[str]]] = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root / package).with_suffix("").parts
        place = path.relative_to(root).as_posix()
        if parts[0] not in order:
            found.append(f"{place}:1: has no place; add it to FLOORS in tests/test_floors.py")
            continue
        for line, target in _imports(path, root):
            complaint = _complaint(package, parts, target, order)
            if complaint is not None:
                found.append(f"{place}:{line}: imports {complaint}")
            elif len(parts) > 1 and target.startswith(f"{package}.{parts[0]}."):
                graph = inside.setdefault(parts[0], {})
                graph.setdefault(parts[-1], set()).add(target.split(".")[2])
    return found + list(_circles(package, inside))


def _circles(package: str, inside: Mapping[str, dict[str, set[str]]]) -> Iterator[str]:
    for room, graph in inside.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1]
            yield f"{package}/{room}/{min(circle)}.py:1: stands in a circle: {' -> '.join(circle)}"


def _imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the module of each import, at any depth; `from room import module` too."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            target = ".".join([*above, *filter(None, [node.module])])
            modules = [f"{target}.{alias.name}" for alias in node.names]
            folder = root / target.replace(".", "/")
            known = [module for module in modules if _is_module(folder, module.split(".")[-1])]
            for module in known or [target]:
                yield node.lineno, module


def _is_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _complaint(
    package: str, importer: tuple[str, ...], target: str, order: list[str]
) -> str | None:
    top, *rest = target.split(".")
    if top == package:
        return _inside(package, importer, rest or ["__init__"], order)
    if top in FLOORS:
        return None if target in DOORS[package] else f"{target}, which is no door"
    if top in OUTSIDE:
        allowed = OUTSIDE[top]
        if "*" in allowed or f"{package}.{importer[0]}" in allowed:
            return None
        return f"{top}, which only {', '.join(allowed)} may use"
    return None if top in sys.stdlib_module_names else f"{top}, which is not a dependency"


def _inside(
    package: str, importer: tuple[str, ...], target: list[str], order: list[str]
) -> str | None:
    name = ".".join([package, *target])
    if target[0] not in order:
        return f"{name}, which has no place in FLOORS"
    if target[0] == importer[0]:
        return None if len(target) > 1 or importer == ("__init__",) else f"its own face, {name}"
    if order.index(target[0]) > order.index(importer[0]):
        return f"{name}, which stands above it"
    if len(target) > 1 and importer[0] not in ("__init__", "events"):
        return f"{name} past its face"
    return None


def _fake_package(root: Path, modules: Mapping[str, str]) -> None:
    """Write a package of two modules, a room between them and a door, with `modules` in place."""
    room = {"room/one": "x = 1", "room/two": "from actors.room.one import x"}
    door = {"__init__": "from actors import low", "room/__init__": "from actors.room.one import x"}
    for name, text in {"low": "", **room, "high": "", **door, **modules}.items():
        path = root / "actors" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

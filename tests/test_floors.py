"""The floors of both packages: imports go strictly downwards, whatever form they take.

The tables below are the order of the house. A module may import those that stand before it, on
a lower floor or further left on its own, and nothing else; so there can be no cycle. Imports
inside functions and under `TYPE_CHECKING` count like all others. `room.module` is a module in a
room, `room` alone is its face (`__init__`): whoever is not in the room imports the face.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS: dict[str, dict[str, str]] = {
    "actors": {
        "0 ground": "lazy exits errors names backends.base backends._asyncio backends._trio"
        " backends clock messages cancellation",
        "1 parts": "dead_letters deadlines mailbox address timer ref notices events vitals",
        "2 writing": "context functions message_types dispatch actor",
        "3 engine": "engine.life engine.receiver engine.links engine.background engine.inline"
        " engine.ending engine.stopping engine.incarnation engine.spawning engine.children engine"
        " threads system",
        "4 doors": "__init__ testing",
    },
    "supervision": {
        "0 ground": "errors backoff watchdog specs events",
        "1 deciding": "intensity plan requests changes lines"
        " routing pool_messages pool_orders pool_spec",
        "2 kinds": "budgets records watches changing keeper supervisor dynamic partition jobs"
        " mapping tasks hosting pipes services blocking subprocesses",
        "3 running": "logs signals stalls reports recording applying application running drawing"
        " targets config cli pool_workers pool_resizing pool_dispatcher pool health observer",
        "4 doors": "__init__ __main__",
    },
}

# The packages below each package, and the doors through which they may be used.
DOORS: dict[str, dict[str, tuple[str, ...]]] = {
    "actors": {},
    "supervision": {"actors": ("__init__", "testing", "lazy")},
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
    # Where data enters or leaves the process.
    "cattrs": ("actors.wire", "supervision.config"),
    # The one subscriber that turns events into log lines.
    "loguru": ("supervision.logs",),
}


@pytest.mark.parametrize("package", FLOORS)
def test_every_import_goes_down(package: str) -> None:
    """A module imports only what stands below it, and other packages only as the tables allow."""
    assert violations(ROOT, package, FLOORS) == []


@pytest.mark.parametrize("package", FLOORS)
def test_the_tables_name_each_module_once(package: str) -> None:
    """A module has exactly one place in its package."""
    names = _order(FLOORS[package])
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("low", "from actors.high import x", "imports actors.high, which stands above it"),
        ("low", "import actors.high as h", "imports actors.high, which stands above it"),
        ("low", "from . import high", "imports actors.high, which stands above it"),
        ("low", "from .high import x", "imports actors.high, which stands above it"),
        ("low", "from actors import x", "imports actors.__init__, which stands above it"),
        ("low", "def f():\n    import actors.high", "imports actors.high, which stands above it"),
        ("low", "if TYPE_CHECKING:\n    from .high import x", "stands above it"),
        ("low", "from actors.low import x", "imports actors.low, which stands above it"),
        ("low", "from actors.nowhere import x", "imports actors.nowhere, which has no place"),
        ("low", "from actors.room import x", "imports actors.room, which stands above it"),
        ("low", "import supervision", "imports supervision, which it must not use"),
        ("low", "import asyncio.events", "imports asyncio, which only"),
        ("low", "from loguru import logger", "imports loguru, which only"),
        ("low", "import numpy", "imports numpy, which is not a dependency"),
        ("room.inner", "from actors.high import x", "imports actors.high, which stands above it"),
        ("high", "from actors.room.inner import x", "imports actors.room.inner, which is behind"),
        ("high", "from actors.nested.deep import x", "imports actors.nested, which has no place"),
    ],
)
def test_a_forbidden_import_is_caught(
    tmp_path: Path, module: str, line: str, complaint: str
) -> None:
    """Each form of an upward or foreign import is found, with its file and its line."""
    floors = _fake_package(tmp_path, {"low": "", "high": "", module: line})
    (found,) = violations(tmp_path, "actors", {"actors": floors})
    assert complaint in found
    assert f"{module.replace('.', '/')}.py:{1 + line.count(chr(10))}: " in found


def test_imports_that_go_down_pass(tmp_path: Path) -> None:
    """Downward imports, the standard library and the base dependencies are all in order."""
    floors = _fake_package(
        tmp_path,
        {
            "low": "import anyio.abc, collections.abc\nfrom attrs import frozen",
            "room.inner": "from actors.low import x",
            "room": "from actors.room.inner import x",
            "high": "from . import low, room\nfrom .low import x\nfrom actors.room import y",
            "__init__": "from actors import low, high\nfrom actors.high import x",
        },
    )
    assert violations(tmp_path, "actors", {"actors": floors}) == []


def test_a_module_without_a_place_is_caught(tmp_path: Path) -> None:
    """A new module must be given its place in the table first."""
    floors = _fake_package(tmp_path, {"low": ""})
    (tmp_path / "actors" / "stranger.py").write_text("")
    (found,) = violations(tmp_path, "actors", {"actors": floors})
    assert found == "actors/stranger.py:1: has no place; add it to FLOORS in tests/test_floors.py"


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("from actors import Ref", True),
        ("import actors", True),
        ("from actors.testing import probe", True),
        ("from actors import testing", True),
        ("from actors.ref import Ref", False),
        ("from actors import ref", False),
    ],
)
def test_supervision_uses_the_doors_alone(tmp_path: Path, line: str, allowed: bool) -> None:
    """`supervision` may import `actors` and `actors.testing`, but nothing behind them."""
    (tmp_path / "supervision").mkdir()
    (tmp_path / "supervision" / "plan.py").write_text(line)
    floors = {**FLOORS, "supervision": {"0": "plan"}}
    found = violations(tmp_path, "supervision", floors)
    if allowed:
        assert found == []
    else:
        assert found == ["supervision/plan.py:1: imports actors.ref, which is not a door"]


def violations(root: Path, package: str, floors: Mapping[str, Mapping[str, str]]) -> list[str]:
    """List the imports of a package that break the order, as `path:line: complaint`."""
    orders = {name: _order(table) for name, table in floors.items()}
    found: list[str] = []
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root / package).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        place = path.relative_to(root).as_posix()
        if name not in orders[package]:
            found.append(f"{place}:1: has no place; add it to FLOORS in tests/test_floors.py")
            continue
        for line, target in _imports(path, package, orders):
            complaints = _complaints(package, name, target, orders[package])
            found += [f"{place}:{line}: imports {complaint}" for complaint in complaints]
    return found


def _imports(
    path: Path, package: str, orders: Mapping[str, list[str]]
) -> Iterator[tuple[int, str]]:
    """Yield the line and the module of each import, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            target = node.module or ""
            if node.level:
                target = f"{package}.{target}".rstrip(".")
            yield from ((node.lineno, module) for module in _modules(target, node, orders))


def _modules(target: str, node: ast.ImportFrom, orders: Mapping[str, list[str]]) -> set[str]:
    """Return the modules that `from target import ...` means: submodules, or `target` itself."""
    top, _, below = target.partition(".")
    prefix = f"{below}." if below else ""
    names = (prefix + alias.name for alias in node.names)
    return {f"{top}.{name}" if name in orders.get(top, ()) else target for name in names}


def _complaints(package: str, name: str, target: str, order: list[str]) -> Iterator[str]:
    top, _, module = target.partition(".")
    module = module or "__init__"
    if top == package:
        yield from _inside(package, name, module, order)
    elif top in FLOORS:
        if top not in DOORS[package]:
            yield f"{top}, which it must not use"
        elif module not in DOORS[package][top]:
            yield f"{top}.{module}, which is not a door"
    elif top in OUTSIDE:
        here = f"{package}.{name}"
        if not {"*", here, here.rpartition(".")[0]} & set(OUTSIDE[top]):
            yield f"{top}, which only {', '.join(OUTSIDE[top])} may use"
    elif top not in sys.stdlib_module_names:
        yield f"{top}, which is not a dependency"


def _inside(package: str, name: str, module: str, order: list[str]) -> Iterator[str]:
    room = module.rpartition(".")[0]
    if module not in order:
        yield f"{package}.{module.partition('.')[0]}, which has no place in FLOORS"
    elif order.index(module) >= order.index(name) and not module == name == "__init__":
        yield f"{package}.{module}, which stands above it"
    elif room and room not in (name, name.rpartition(".")[0]):
        yield f"{package}.{module}, which is behind the face of its room"


def _order(floors: Mapping[str, str]) -> list[str]:
    """Put the modules of all floors into one row, lowest first."""
    return " ".join(floors.values()).split()


def _fake_package(root: Path, modules: dict[str, str]) -> dict[str, str]:
    (root / "actors" / "room").mkdir(parents=True)
    for name, text in modules.items():
        file = "room/__init__" if name == "room" else name.replace(".", "/")
        (root / "actors" / f"{file}.py").write_text(text)
    return {"0": "low room.inner room high __init__"}

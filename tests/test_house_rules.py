"""The house rules that a program can check: sizes, docstrings, marks, changelog, top level."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
PACKAGES = ("actors", "supervision")
SOURCES = sorted(
    path for folder in (*PACKAGES, "tests", "examples") for path in (ROOT / folder).rglob("*.py")
)

MOST_LINES = 600
MOST_LINES_OF_FUNCTION = 60
MEDIAN_LINES_OF_FUNCTION = 10

# What may stand at the top level beside dotfiles; the last line is what building leaves behind
# or what an unpacked source distribution has.
TOP_LEVEL = {
    *("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"),
    *("actors", "examples", "supervision", "tests"),
    *("PKG-INFO", "build", "dist"),
}

# In two pieces, or this file would break its own rule.
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parse(path: Path) -> ast.Module:
    """Parse a file, once for all rules."""
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(*packages: str) -> list[Path]:
    """List the files of some packages."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def test_files_and_functions_are_short() -> None:
    """No file has more than 600 lines and no function more than 60."""
    assert [path for path in SOURCES if path.read_bytes().count(b"\n") > MOST_LINES] == []
    assert [
        f"{path.relative_to(ROOT)}:{function.lineno}: {function.name}"
        for path in SOURCES
        for function in _functions(parse(path))
        if _length(function) > MOST_LINES_OF_FUNCTION
    ] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_most_functions_are_very_short(package: str) -> None:
    """The median function of a package has less than ten lines."""
    lengths = [_length(node) for path in modules(package) for node in _functions(parse(path))]
    assert statistics.median(lengths) < MEDIAN_LINES_OF_FUNCTION


def test_everything_public_has_a_docstring() -> None:
    """Every public module, class, function and method of the packages says what it is."""
    classes = classes_of(*map(parse, modules(*PACKAGES)))
    assert [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(*PACKAGES)
        for line, name in undocumented(parse(path), classes)
    ] == []


def test_every_test_states_its_rule() -> None:
    """The docstring of each test is one sentence."""
    tests = [
        (f"{path.relative_to(ROOT)}:{function.lineno}", ast.get_docstring(function))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for function in _functions(parse(path))
        if function.name.startswith("test_")
    ]
    assert tests
    assert [place for place, text in tests if not text or not is_one_sentence(text)] == []


def test_private_names_stay_in_their_room() -> None:
    """What a room keeps to itself is used in the room's own tests only."""
    owners: dict[str, set[str]] = {}
    for path in modules(*PACKAGES):
        for name in private_names(parse(path)) | set(filter(_is_private, [path.stem])):
            owners.setdefault(name, set()).add(room_of(path))
    assert [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in ("tests", "examples")
        for path in modules(folder)
        for line, name in private_uses(parse(path))
        if room_of(path) not in owners.get(name, {room_of(path)})
    ] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("thing._x; thing.y; thing.__dict__", ["_x"]),
        ("from actors import _x, y; import actors._y; from trio._core import _z", ["_x", "_y"]),
        ("patch.setattr(thing, '_x', 1); patch.setattr('room.thing._y', 1)", ["_x", "_y"]),
        ("class C:\n    def f(self): return self._x", ["_x"]),
        ("class C:\n    def f(self, it): self._x = it._x; it._g()\n    def _g(self): ...", []),
    ],
)
def test_private_uses_are_found(source: str, names: list[str]) -> None:
    """Attributes, imports and patches of what a module does not define itself are found."""
    assert [name for _, name in private_uses(ast.parse(source))] == names


def test_no_marks_are_left() -> None:
    """Nothing in the repository is marked as still to be done."""
    texts = [
        *SOURCES,
        *ROOT.glob("*.md"),
        *ROOT.glob("*.toml"),
        *(path for path in (ROOT / ".ci").glob("*") if path.is_file()),
    ]
    marked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MARKS.search(line)
    ]
    assert marked == []


def test_the_changelog_knows_the_version() -> None:
    """The changelog has a section for what is unreleased, or for the version of the package."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert {"Unreleased", version} & set(sections)


def test_nothing_else_stands_at_the_top_level() -> None:
    """The top level holds what the architecture names, and dotfiles."""
    strangers = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - TOP_LEVEL
    assert strangers - {"__pycache__"} == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", ["the module"]),
        ("'''D.'''\ndef f(): ...\nasync def g(): ...\nclass C: ...", ["f", "g", "C"]),
        ("'''D.'''\ndef _f(): ...\nclass C:\n    '''D.'''\n    def f(self): ...", ["C.f"]),
        ("'''D.'''\n@overload\ndef f(): ...\ndef f():\n    '''D.'''\n    def inner(): ...", []),
        (
            "'''D.'''\nclass A:\n    '''D.'''\n    def f(self): '''D.'''\n"
            "class B(m.A[int]): '''D.'''\n"
            "class C(B):\n    '''D.'''\n    def f(self): ...\n    def g(self): ...",
            ["C.g"],
        ),
    ],
)
def test_what_is_undocumented_is_found(source: str, names: list[str]) -> None:
    """Public definitions are found, unless they are inner ones or inherit their docstring."""
    tree = ast.parse(source)
    assert [name for _, name in undocumented(tree, classes_of(tree))] == names


def classes_of(*trees: ast.Module) -> dict[str, ast.ClassDef]:
    """Map the names of classes to their definitions."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def undocumented(
    module: ast.Module, classes: Mapping[str, ast.ClassDef]
) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each public definition without a docstring.

    A method that overrides one with a docstring has that one; base classes are looked up in
    `classes`.
    """
    if not ast.get_docstring(module):
        yield 1, "the module"
    yield from _undocumented_in(module, "", classes)


def room_of(path: Path) -> str:
    """Return the room of a module, or of the room's tests."""
    folders = path.parent.relative_to(ROOT).parts
    return "/".join(folders[folders[:1] == ("tests",) :])


def private_names(module: ast.Module) -> set[str]:
    """Return the names with one leading underscore that a module defines."""
    found: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                found.add(name)
            case _:
                pass
    return set(filter(_is_private, found))


def private_uses(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each use of a private name that stands elsewhere."""
    own = private_names(module)
    for node in ast.walk(module):
        names: list[str] = []
        match node:
            case ast.Attribute(attr=name):
                names = [name]
            case ast.ImportFrom(module=str(place), names=aliases):
                names = _in_packages(f"{place}.{alias.name}" for alias in aliases)
            case ast.Import(names=aliases):
                names = _in_packages(alias.name for alias in aliases)
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=arguments):
                texts = [it.value for it in arguments[:2] if isinstance(it, ast.Constant)]
                names = [text.rpartition(".")[2] for text in texts if isinstance(text, str)]
            case _:
                pass
        yield from ((node.lineno, name) for name in names if _is_private(name) and name not in own)


def _in_packages(imported: Iterable[str]) -> list[str]:
    """Split what is imported of the packages into names."""
    return [name for path in imported if path.startswith(PACKAGES) for name in path.split(".")]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_one_sentence(text: str) -> bool:
    """Tell whether a docstring is one sentence with a full stop."""
    return text.endswith(".") and not re.search(r"[.!?]\s+[A-Z`]|\n\n", text)


def _undocumented_in(
    parent: ast.AST, prefix: str, classes: Mapping[str, ast.ClassDef]
) -> Iterator[tuple[int, str]]:
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, _Function | ast.ClassDef):
            yield from _undocumented_in(node, prefix, classes)
        elif not node.name.startswith("_") and not _speaks_through_another(node):
            if not (ast.get_docstring(node) or _inherits_docstring(parent, node.name, classes)):
                yield node.lineno, prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _undocumented_in(node, f"{prefix}{node.name}.", classes)


def _inherits_docstring(owner: ast.AST, name: str, classes: Mapping[str, ast.ClassDef]) -> bool:
    """Tell whether a base class of `owner` documents a method of that name."""
    if not isinstance(owner, ast.ClassDef):
        return False
    for base in owner.bases:
        known = classes.get(ast.unparse(base).partition("[")[0].rpartition(".")[2])
        if known is not None and known is not owner:
            here = (node for node in known.body if isinstance(node, _Function))
            if any(node.name == name and ast.get_docstring(node) for node in here):
                return True
            if _inherits_docstring(known, name, classes):
                return True
    return False


def _speaks_through_another(node: _Function | ast.ClassDef) -> bool:
    """Tell whether a decorator says that the docstring stands elsewhere."""
    last_words = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(last_words & {"overload", "override", "setter", "deleter"})


def _functions(module: ast.Module) -> Iterator[_Function]:
    return (node for node in ast.walk(module) if isinstance(node, _Function))


def _length(function: _Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1

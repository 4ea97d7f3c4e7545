"""Tests of targets: what is found, and the one line about each thing that is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervision import SupervisorSpec
from supervision.process.targets import TargetError, load

MODULE = """
import sys
from supervision import ChildSpec, SupervisorSpec
from actors import task

async def work(shutdown): ...

tree = SupervisorSpec("shop", [ChildSpec("db", task(work))])
worker = ChildSpec("db", task(work))
nothing = None
number = 3

class Trees:
    inner = SupervisorSpec("inner")

class Lazy:
    @property
    def tree(self):
        raise LookupError("no settings")

lazy = Lazy()

def make(): return tree
def returns_nothing(): pass
def returns_list(): return [tree]
def wants_more(settings): return tree
def fails(): raise RuntimeError("first line\\nsecond line")
def leaves(): sys.exit(5)
def twice(): return SupervisorSpec("shop", [worker, worker])
def interrupted(): raise KeyboardInterrupt
async def coroutine(): return tree
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a folder with a module; what was imported is forgotten."""
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "shop.py").write_text(MODULE)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "id"),
    [
        ("shop:tree", "shop"),
        ("shop.py:tree", "shop"),
        ("./shop.py:tree", "shop"),
        ("shop:make", "shop"),
        ("shop:Trees.inner", "inner"),
    ],
)
def test_a_tree_is_found(target: str, id: str) -> None:
    """A module or a file names a tree, or a callable that returns one, at any depth."""
    found = load(target)
    assert isinstance(found, SupervisorSpec)
    assert found.id == id


def test_a_target_may_be_elsewhere(folder: Path) -> None:
    """A module in a package, a file by its path, and what it imports from beside it are found."""
    (folder / "sub").mkdir()
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "sub" / "neighbor_of_main.py").write_text(MODULE)
    (folder / "sub" / "main_of_sub.py").write_text("from neighbor_of_main import tree")
    assert load("sub/main_of_sub.py:tree").id == "shop"
    assert load("sub.neighbor_of_main:tree").id == "shop"
    assert load(f"{folder / 'shop.py'}:tree").id == "shop"


def test_a_file_does_not_take_the_place_of_another_module(folder: Path) -> None:
    """A file that is called like a module in use does not become that module."""
    import json

    (folder / "json.py").write_text(MODULE)
    assert load("json.py:tree").id == "shop"
    assert sys.modules["json"] is json


def test_a_file_that_fails_leaves_no_half_a_module(folder: Path) -> None:
    """A file whose import failed can be mended and loaded again."""
    (folder / "broken_once.py").write_text("raise ValueError")
    with pytest.raises(TargetError):
        load("broken_once.py:tree")
    assert "broken_once" not in sys.modules
    (folder / "broken_once.py").write_text(MODULE + "\n# mended")
    assert load("broken_once.py:tree").id == "shop"


OR_CALLABLE = "not a SupervisorSpec or a callable that returns one"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("shop.py", "'shop.py' names no attribute; write shop.py:ATTRIBUTE"),
        ("", "'' names no attribute; write MODULE:ATTRIBUTE"),
        (":tree", "':tree' names no module; write MODULE:tree"),
        ("stop.py:tree", "there is no file stop.py"),
        ("stop:tree", "cannot import stop: ModuleNotFoundError: No module named 'stop'"),
        ("./shop:tree", "./shop is no module; a file is written with its .py"),
        ("shop:tee", "shop has no attribute 'tee'"),
        ("shop:worker", f"shop:worker is a ChildSpec, {OR_CALLABLE}"),
        ("shop:number", f"shop:number is an int, {OR_CALLABLE}"),
        ("shop:returns_nothing", "shop:returns_nothing returned None, not a SupervisorSpec"),
        ("shop:coroutine", "shop:coroutine is a coroutine function; write it with def"),
        (
            "shop:wants_more",
            "shop:wants_more raised TypeError: wants_more() missing 1 required positional"
            " argument: 'settings'",
        ),
        (
            "shop:fails",
            "shop:fails raised RuntimeError: first line second line at shop.py:27 in fails",
        ),
        ("shop:leaves", "shop:leaves raised SystemExit: 5 at shop.py:28 in leaves"),
        (
            "shop:lazy.tree",
            "shop:lazy.tree raised LookupError: no settings at shop.py:19 in Lazy.tree",
        ),
    ],
)
def test_what_is_no_tree_has_one_clear_line(target: str, line: str) -> None:
    """Each way of naming no tree is told in one line, with the place where there is one."""
    with pytest.raises(TargetError) as caught:
        load(target)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def tree(:", "cannot import bad.py: SyntaxError: invalid syntax (bad.py, line 1)"),
        (
            "import sys\nsys.exit('no settings')",
            "cannot import bad.py: SystemExit: no settings at bad.py:2 in <module>",
        ),
        (
            "import no_such_library",
            "cannot import bad.py: ModuleNotFoundError: No module named 'no_such_library'"
            " at bad.py:1 in <module>",
        ),
        (
            "from supervision import SupervisorSpec\nSupervisorSpec('shop', max_restarts=-1)",
            "bad.py: bad spec: shop: max_restarts: -1 is negative; give an int >= 0"
            " at bad.py:2 in <module>",
        ),
        (
            "def __getattr__(name): raise OSError('disk')",
            "bad.py:tree raised OSError: disk at bad.py:1 in __getattr__",
        ),
    ],
)
def test_what_cannot_be_imported_has_one_clear_line(folder: Path, source: str, line: str) -> None:
    """Whatever happens while a target is imported is told in one line."""
    (folder / "bad.py").write_text(source)
    with pytest.raises(TargetError) as caught:
        load("bad.py:tree")
    assert str(caught.value) == line


def test_a_bad_spec_in_a_callable_is_called_one() -> None:
    """A SpecError is told as such, with path, field and place."""
    with pytest.raises(TargetError) as caught:
        load("shop:twice")
    text = str(caught.value)
    assert text.startswith("shop:twice: bad spec: shop/db: id: ")
    assert text.endswith(" at shop.py:29 in twice")


def test_an_interrupt_is_not_a_bad_target() -> None:
    """Ctrl-C while a target is loaded is passed on."""
    with pytest.raises(KeyboardInterrupt):
        load("shop:interrupted")

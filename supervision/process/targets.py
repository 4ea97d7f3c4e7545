"""Find the tree that a command line names: `package.module:attribute` or `path/file.py:attribute`.

The attribute is a `SupervisorSpec`, or something to call without arguments that returns one. A file
is imported as if Python itself ran it: its neighbors can be imported, and it never takes the place
of a module of the same name. Guarantees: what does not fit is one clear line, never a traceback.

>>> load("shop.py")
Traceback (most recent call last):
    ...
supervision.process.targets.TargetError: 'shop.py' names no attribute; write shop.py:ATTRIBUTE
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any, TypeGuard, final

from supervision.describe import describe_error, where
from supervision.errors import SpecError
from supervision.specs import ChildSpec

__all__ = ["TargetError", "load"]


@final
class TargetError(ValueError):
    """A target that is no tree; its text says in one line why."""


def load(target: str) -> ChildSpec[Any]:
    """Import a target and return its tree.

    Raises TargetError, a ValueError, in whatever way that fails; and KeyboardInterrupt.
    """
    source, _, attribute = target.rpartition(":")
    if not source and ":" in target:
        raise TargetError(f"{target!r} names no module; write MODULE:{attribute or 'ATTRIBUTE'}")
    if not source or not attribute:
        name = source or attribute or "MODULE"
        raise TargetError(f"{target!r} names no attribute; write {name}:ATTRIBUTE")
    found = _find(_import(source), source, attribute)
    verb = "is"
    if callable(found):
        found, verb = _call(target, found), "returned"
    if _is_tree(found):
        return found
    if inspect.iscoroutine(found):
        found.close()  # or Python complains that nobody awaited it
        raise TargetError(f"{target} is a coroutine function; write it with def")
    wanted = "a SupervisorSpec"
    if verb == "is":
        wanted += " or a callable that returns one"
    raise TargetError(f"{target} {verb} {_kind(found)}, not {wanted}")


def _is_tree(found: object) -> TypeGuard[ChildSpec[Any]]:
    return isinstance(found, ChildSpec) and found.kind == "supervisor"


def _kind(found: object) -> str:
    name = type(found).__name__
    return "None" if found is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _find(module: ModuleType, source: str, attribute: str) -> object:
    found: object = module
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise TargetError(f"{source} has no attribute {attribute!r}") from None
    except Exception as error:
        # A module or a class may compute its attributes.
        raise TargetError(f"{source}:{attribute} raised {_what(error)}") from error
    return found


def _call(target: str, make: Any) -> object:
    try:
        return make()
    except SpecError as error:
        raise TargetError(f"{target}: bad spec: {error}{where(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{target} raised {_what(error)}") from error


def _what(error: BaseException) -> str:
    return f"{describe_error(error)}{where(error)}"


def _import(source: str) -> ModuleType:
    # As `python -m` does: modules beside the user are found.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        if source.endswith(".py"):
            return _import_file(source)
        if os.sep in source:
            raise TargetError(f"{source} is no module; a file is written with its .py")
        return importlib.import_module(source)
    except TargetError:
        raise
    except SpecError as error:
        raise TargetError(f"{source}: bad spec: {error}{where(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"cannot import {source}: {_what(error)}") from error


def _import_file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise TargetError(f"there is no file {path}")
    path = os.path.abspath(path)
    folder, name = os.path.split(path)
    name = name.removesuffix(".py")
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != path:
        name = f"{name}_target"  # a file called json.py must not become the json of everybody
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    # Its neighbors can be imported, as if the file were run by Python itself.
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module

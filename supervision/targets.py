"""Find the tree that a command line names: `package.module:attribute` or `path/file.py:attribute`.

The attribute is a `SupervisorSpec`, or something to call without arguments that returns one. What
does not fit is one clear line, never a traceback.

>>> load("shop.py")
Traceback (most recent call last):
    ...
supervision.targets.TargetError: 'shop.py' names no attribute; write shop.py:ATTRIBUTE
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, TypeGuard, final

from supervision.errors import SpecError, describe_error
from supervision.logs import where
from supervision.specs import ChildSpec

__all__ = ["TargetError", "load"]


@final
class TargetError(Exception):
    """Say in one line why a target is no tree."""


def load(target: str) -> ChildSpec[Any]:
    """Import a target and return its tree. Raises TargetError in whatever way it fails."""
    source, _, attribute = target.rpartition(":")
    if not source or not attribute:
        name = source or attribute or "MODULE"
        raise TargetError(f"{target!r} names no attribute; write {name}:ATTRIBUTE")
    found: object = _import(source)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{source} has no attribute {attribute!r}")
        found = getattr(found, part)
    if callable(found) and not _is_spec(found):
        found = _call(target, found)
    if not _is_spec(found) or found.kind != "supervisor":
        kind = type(found).__name__
        raise TargetError(
            f"{target} is a {kind}, not a SupervisorSpec or a callable that returns one"
        )
    return found


def _is_spec(found: object) -> TypeGuard[ChildSpec[Any]]:
    return isinstance(found, ChildSpec)


def _call(target: str, make: Any) -> object:
    try:
        return make()
    except SpecError as error:
        raise TargetError(f"{target}: bad spec: {error}") from error
    except Exception as error:
        raise TargetError(f"{target} raised {describe_error(error)}{where(error)}") from error


def _import(source: str) -> ModuleType:
    # As `python -m` does: modules beside the user are found.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return _import_file(source) if source.endswith(".py") else importlib.import_module(source)
    except TargetError:
        raise
    except SpecError as error:
        raise TargetError(f"{source}: bad spec: {error}{where(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"cannot import {source}: {describe_error(error)}") from error


def _import_file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise TargetError(f"there is no file {path}")
    folder, name = os.path.split(os.path.abspath(path))
    name = name.removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    # Its neighbors can be imported, as if the file were run by Python itself.
    sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

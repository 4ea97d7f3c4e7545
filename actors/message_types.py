"""Find out which message types a proc class takes, from what stands for `M` in its bases.

`Actor[Deposit | Balance]` says it, but so may a type alias, a base class of the user's own, a
generic one whose parameter is filled in later, or a text that is resolved in the class's module.

>>> from actors import CancellationToken, Proc
>>> class Sink(Proc[int | str]):
...     async def run(self, shutdown: CancellationToken) -> None: ...
>>> class Bigger(Sink): ...
>>> mailbox_types(Bigger)
(<class 'int'>, <class 'str'>)
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import (
    Any,
    ForwardRef,
    Never,
    NoReturn,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    is_typeddict,
)

from actors.context import Proc

__all__ = ["check_message_class", "mailbox_types"]

PROC: type = cast("type", Proc)


def mailbox_types(cls: type) -> tuple[type, ...] | None:
    """Return the message types of a proc class, None when its parameter says nothing definite."""
    parameter = _parameter(cls)
    return None if parameter is None else _flatten(parameter, cls)


def _parameter(cls: type) -> object:
    """Find what stands for `M` of `Proc[M]` in `cls`; None when it is left open."""
    for base in _bases(cls):
        origin = _class_of(base)
        if not issubclass(origin, PROC):
            continue
        arguments = get_args(base)
        if vars(origin).get("__direct__") or origin is PROC:
            return _definite(arguments[0] if arguments else None)
        inner = _parameter(origin)
        if inner is not None:
            return inner
        # A generic class of the user's own: its open parameter is filled in by this base.
        template = _template(origin)
        parameters = getattr(origin, "__parameters__", ())
        if arguments and template is not None:
            return _definite(_substitute(template, dict(zip(parameters, arguments, strict=False))))
    return None


def _template(cls: type) -> object:
    for base in _bases(cls):
        if issubclass(_class_of(base), PROC):
            arguments = get_args(base)
            return arguments[0] if arguments else None
    return None


def _bases(cls: type) -> tuple[object, ...]:
    """Return the bases as they were written, with their parameters."""
    written: tuple[object, ...] = vars(cls).get("__orig_bases__", cls.__bases__)
    return written


def _class_of(base: object) -> type:
    found: object = get_origin(base) or base
    return found if isinstance(found, type) else object


def _substitute(template: object, known: dict[object, object]) -> object:
    if isinstance(template, TypeVar):
        return known.get(template)
    parts = get_args(template)
    if not parts:
        return template
    filled = tuple(_substitute(part, known) for part in parts)
    # Union[...], because `|` cannot be spelled for a tuple of parts.
    return Union[filled] if _is_union(template) else (get_origin(template) or template)  # noqa: UP007


def _definite(parameter: object) -> object:
    if isinstance(parameter, TypeVar) or parameter in (None, Any, object):
        return None
    if _is_union(parameter) and any(_definite(part) is None for part in get_args(parameter)):
        return None
    return parameter


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _flatten(annotation: object, cls: type) -> tuple[type, ...]:
    """Return the classes in a union, an alias of one, or a single class."""
    if isinstance(annotation, str | ForwardRef):
        annotation = _resolve(annotation, cls)
    alias: object = getattr(annotation, "__value__", None)  # `type X = A | B` of Python 3.12
    if alias is not None:
        return _flatten(alias, cls)
    if _is_union(annotation):
        return _unique(kind for part in get_args(annotation) for kind in _flatten(part, cls))
    if annotation is Never or annotation is NoReturn:
        return ()
    origin = get_origin(annotation) or annotation
    if not isinstance(origin, type):
        raise TypeError(
            f"{cls.__qualname__}: a mailbox is a class or a union of classes, not {annotation!r}"
        )
    check_message_class(cls.__qualname__, origin)
    return (origin,)


def check_message_class(where: str, kind: type) -> None:
    """Refuse what messages are never instances of by their class. Raises TypeError."""
    if getattr(kind, "_is_protocol", False) or is_typeddict(kind):
        what = "TypedDict" if is_typeddict(kind) else "Protocol"
        raise TypeError(
            f"{where}: {kind.__name__} is a {what}, but a message finds its handler by its class; "
            "name classes, or derive them from a common one"
        )


def _resolve(annotation: str | ForwardRef, cls: type) -> object:
    text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
    module = sys.modules.get(cls.__module__)
    try:
        return eval(text, vars(module) if module is not None else {})
    except NameError:
        raise TypeError(
            f"{cls.__qualname__}: mailbox {text!r} is not defined yet; define the messages first"
        ) from None


def _unique(kinds: Iterable[type]) -> tuple[type, ...]:
    return tuple(dict.fromkeys(kinds))

"""Find out, once for each class, which messages it takes and which method handles each.

The table of an actor class is built when the class is created, so that a mistake is an error at
import and not at night: a message type without handler, two handlers for one type, a handler for
a type that is not in the mailbox. Senders look the type of each message up in the same table.

>>> from actors import Actor, on
>>> class Ping: ...
>>> class Pong: ...
>>> class Player(Actor[Ping | Pong]):
...     @on(Ping)
...     def ping(self, message: Ping) -> None: ...
Traceback (most recent call last):
    ...
TypeError: Player: no handler for Pong; add a method with @on(Pong), or take it out of the mailbox
"""

from __future__ import annotations

import dis
import inspect
import sys
import types
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from types import CodeType
from typing import (
    Any,
    ForwardRef,
    Never,
    NoReturn,
    TypeVar,
    Union,
    cast,
    final,
    get_args,
    get_origin,
)

from actors.context import Proc
from actors.messages import Request

__all__ = ["MARK", "Dispatch", "Handler", "Open", "build", "mailbox_types"]

MARK = "__actor_handles__"
PROC: type = cast("type", Proc)


@final
class Handler:
    """Know how to call the method for one message type."""

    __slots__ = ("function", "replies", "takes_reply")

    def __init__(self, function: Callable[..., object], takes_reply: bool, replies: bool) -> None:
        self.function = function
        self.takes_reply = takes_reply
        self.replies = replies


@final
class Dispatch:
    """Be the table of one actor class.

    `types` maps each accepted type to its Handler. `told` has the functions of messages that nobody
    is answered for, `answers` those of requests whose result is the answer: the two fast lanes
    of the receive loop. `inline` has those of the latter that an asker may call itself.
    Subclasses of an accepted type are accepted too; each is entered when it first comes.
    """

    __slots__ = ("answers", "inline", "owner", "plain_run", "told", "types")

    def __init__(self, owner: str, *, plain_run: bool) -> None:
        self.owner = owner
        self.plain_run = plain_run
        self.types: dict[type, object] = {}
        self.told: dict[type, Callable[..., Any]] = {}
        self.answers: dict[type, Callable[..., Any]] = {}
        self.inline: dict[type, Callable[..., Any]] = {}

    def add(self, kind: type, handler: Handler) -> None:
        """Enter a handler for a type."""
        self.types[kind] = handler
        function = handler.function
        if not handler.replies:
            self.told[kind] = function
        elif not handler.takes_reply:
            self.answers[kind] = function
            # Not when `run` is overridden: what it wraps around the loop, it wraps around handlers.
            if self.plain_run:
                if not inspect.iscoroutinefunction(function):
                    self.inline[kind] = function
                elif never_waits(function):
                    self.inline[kind] = partial(finished, function)

    def admit(self, kind: type, path: str) -> None:
        """Enter a subclass of an accepted type. Raises TypeError for anything else."""
        for base in kind.__mro__[1:]:
            handler = self.types.get(base)
            if isinstance(handler, Handler):
                self.add(kind, handler)
                return
        accepted = ", ".join(sorted(entry.__name__ for entry in self.types)) or "nothing"
        raise TypeError(
            f"{path} ({self.owner}) does not accept {kind.__name__}; it accepts {accepted}"
        )


@final
class Open:
    """Be what a proc that is no actor accepts: its mailbox types, or anything when unknown."""

    __slots__ = ("accepted", "inline", "owner", "types")

    def __init__(self, owner: str, accepted: tuple[type, ...] | None) -> None:
        self.owner = owner
        self.accepted = accepted
        self.types: dict[type, object] = {}
        self.inline: dict[type, Callable[..., Any]] = {}

    def admit(self, kind: type, path: str) -> None:
        """Enter a type that is accepted. Raises TypeError for anything else."""
        if self.accepted is not None and not issubclass(kind, self.accepted):
            names = ", ".join(sorted(entry.__name__ for entry in self.accepted)) or "no messages"
            raise TypeError(
                f"{path} ({self.owner}) does not accept {kind.__name__}; it accepts {names}"
            )
        self.types[kind] = None


def never_waits(function: Callable[..., object]) -> bool:
    """Tell whether a coroutine function has nothing in it at which it could wait."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or not code.co_flags & inspect.CO_COROUTINE:
        return False  # only marked as one, or something that is called
    return all(step.opname != "YIELD_VALUE" for step in dis.get_instructions(code))


def finished(
    function: Callable[..., Coroutine[Any, Any, Any]], proc: object, message: object
) -> Any:
    """Call a coroutine function that never waits; returns its result."""
    try:
        function(proc, message).send(None)
    except StopIteration as done:
        result: Any = done.value
        # Work as an answer is handed over as it is, and not done for it.
        return _just(result) if inspect.iscoroutine(result) else result
    raise AssertionError("it cannot wait")


async def _just(result: object) -> object:
    return result


def mailbox_types(cls: type) -> tuple[type, ...] | None:
    """Return the message types of a proc class, None when its parameter says nothing definite."""
    parameter = _parameter(cls)
    return None if parameter is None else _flatten(parameter, cls)


def build(cls: type, *, plain_run: bool) -> Dispatch:
    """Build the table of an actor class. Raises TypeError that says what is wrong in it.

    `plain_run` tells that the receive loop is all of its body.
    """
    dispatch = Dispatch(cls.__qualname__, plain_run=plain_run)
    for kind, name in _marked(cls).items():
        dispatch.add(kind, _handler(cls, kind, name))
    accepted = mailbox_types(cls)
    if accepted is None:
        return dispatch
    for kind in dispatch.types:
        if kind not in accepted:
            names = ", ".join(entry.__name__ for entry in accepted) or "nothing"
            raise TypeError(
                f"{cls.__qualname__}: handler for {kind.__name__}, which is not in the mailbox "
                f"({names})"
            )
    for kind in accepted:
        if kind not in dispatch.types:
            raise TypeError(
                f"{cls.__qualname__}: no handler for {kind.__name__}; add a method with "
                f"@on({kind.__name__}), or take it out of the mailbox"
            )
    return dispatch


def _marked(cls: type) -> dict[type, str]:
    """Collect type -> method name, the nearest class in the order of resolution first."""
    found: dict[type, str] = {}
    for base in cls.__mro__:
        here: dict[type, str] = {}
        for name, value in vars(base).items():
            for kind in getattr(value, MARK, ()):
                if kind in here:
                    raise TypeError(
                        f"{cls.__qualname__}: two handlers for {kind.__name__}: "
                        f"{here[kind]} and {name}"
                    )
                here[kind] = name
        for kind, name in here.items():
            found.setdefault(kind, name)
    return found


def _handler(cls: type, kind: type, name: str) -> Handler:
    # By name, so that a subclass may override the method without repeating @on.
    function = getattr(cls, name)
    where = f"{cls.__qualname__}.{name}"
    if not callable(function):
        raise TypeError(f"{where}: a handler is a method, not {function!r}")
    try:
        inspect.signature(function).bind(None, None)
        takes_reply = False
    except TypeError:
        try:
            inspect.signature(function).bind(None, None, None)
        except TypeError:
            raise TypeError(
                f"{where}: a handler takes (self, message) or (self, message, reply)"
            ) from None
        takes_reply = True
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{where}: a handler with yield would never run; return, or pipe, instead")
    replies = issubclass(kind, Request)
    if takes_reply and not replies:
        raise TypeError(f"{where}: takes a reply, but {kind.__name__} is no Request: nobody asks")
    return Handler(function, takes_reply, replies)


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
    return (origin,)


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

"""Find out, once for each class, which messages it takes and which method handles each.

The table of an actor class is built when the class is created, so that a mistake is an error at
import and not at night: a message type without handler, two handlers for one type, a handler for
a type that is not in the mailbox. Senders look the type of each message up in the same table.
Which hooks a class defines (`on_start`, `on_stop`, ...) is found out here, too: `Traits`.

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
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from types import CodeType
from typing import Any, final

from actors.context import Proc
from actors.functions import TaskProc
from actors.mail import Accepts
from actors.message_types import mailbox_types
from actors.messages import Request
from actors.seconds import check_seconds
from actors.shapes import MARK

__all__ = [
    "Dispatch",
    "Handler",
    "Open",
    "Traits",
    "accepted_by",
    "build",
    "hibernation_of",
    "label",
    "traits_of",
]


@final
class Handler:
    """The method for one message type, and how it is called."""

    __slots__ = ("function", "replies", "takes_reply")

    def __init__(self, function: Callable[..., object], takes_reply: bool, replies: bool) -> None:
        self.function = function
        self.takes_reply = takes_reply
        self.replies = replies


@final
class Dispatch:
    """The table of one actor class.

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
    """What a proc that is no actor accepts: its mailbox types, or anything when unknown."""

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
    """Return whether a coroutine function has nothing in it at which it could wait."""
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
    others = getattr(function, MARK, (kind,))
    if kind not in others:
        raise TypeError(
            f"{where}: it handles {others[0].__name__}, and hides the handler for {kind.__name__} "
            "of that name; choose another name"
        )
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


@final
class Traits:
    """What one class defines.

    `starts`, `stops`, `traps_exits`, `hears_undelivered`: it has the hook. `actor`: it has
    handlers; `plain_actor`: and the receive loop is all of its body. `hibernate_after`: seconds.
    """

    __slots__ = (
        "accepts",
        "actor",
        "dispatch",
        "hibernate_after",
        "hears_undelivered",
        "plain_actor",
        "starts",
        "stops",
        "traps_exits",
    )

    def __init__(self, cls: type[Proc[Any]]) -> None:
        self.starts = _defines(cls, "on_start")
        self.stops = _defines(cls, "on_stop")
        self.traps_exits = _defines(cls, "on_exit")
        self.hears_undelivered = _defines(cls, "on_undelivered")
        self.dispatch: Dispatch | None = getattr(cls, "__dispatch__", None)
        self.actor = self.dispatch is not None
        self.plain_actor = self.dispatch is not None and self.dispatch.plain_run
        # What wraps the loop could not be left and entered again.
        self.hibernate_after: float | None = None
        if self.plain_actor:
            self.hibernate_after = hibernation_of(cls)
        self.accepts: Accepts = self.dispatch or Open(cls.__qualname__, mailbox_types(cls))


def hibernation_of(cls: type) -> float | None:
    """Return after how many seconds an actor hibernates. Raises TypeError and ValueError."""
    seconds: float | None = getattr(cls, "hibernate_after", None)
    check_seconds(f"{cls.__qualname__}: hibernate_after", seconds, none=True)
    return seconds


def traits_of(proc: Proc[Any]) -> Traits:
    """Return the traits of a proc's class."""
    cls = type(proc)
    traits: Traits | None = vars(cls).get("__traits__")
    if traits is None:
        traits = Traits(cls)
        setattr(cls, "__traits__", traits)  # noqa: B010 - a cache beside the class's own names
    return traits


def accepted_by(proc: Proc[Any]) -> Accepts:
    """Return the table of the message types that a proc takes."""
    if isinstance(proc, TaskProc):
        # All functions share one class; the error for a message names the function.
        return Open(label(proc.function), ())
    return traits_of(proc).accepts


def label(start: Callable[..., object]) -> str:
    """Return a short name for what a factory makes."""
    while isinstance(start, partial):
        start = start.func
    return _tidied(getattr(start, "__name__", type(start).__name__))


@lru_cache(1024)
def _tidied(name: str) -> str:
    return name.strip("<>").lower().replace("/", "-")


def _defines(cls: type[Proc[Any]], hook: str) -> bool:
    return getattr(cls, hook) is not getattr(Proc, hook)

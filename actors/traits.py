"""Know what a proc class brings along, found out once for each class.

Which hooks it defines, whether it wraps the receive loop, which messages it takes: none of that
changes between incarnations, so none of it is looked up for each.

>>> from actors import Actor, on
>>> class Ping: ...
>>> class Ponger(Actor[Ping]):
...     @on(Ping)
...     def ping(self, message: Ping) -> None: ...
...     async def on_start(self) -> None: ...
>>> traits = traits_of(Ponger())
>>> traits.starts, traits.stops, traits.plain_actor
(True, False, True)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, final

from actors.actor import Actor
from actors.context import Proc, TaskProc
from actors.dispatch import Dispatch, Open, mailbox_types
from actors.mailbox import Accepts

__all__ = ["Traits", "accepted_by", "label", "traits_of"]

_OWN_RUN: object = vars(Actor)["run"]


@final
class Traits:
    """Tell what one class defines.

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
        self.actor = issubclass(cls, Actor)
        run: object = cls.run
        self.plain_actor = run is _OWN_RUN
        self.dispatch: Dispatch | None = cls.__dispatch__ if issubclass(cls, Actor) else None
        # What wraps the loop could not be left and entered again.
        self.hibernate_after: float | None = None
        if issubclass(cls, Actor) and self.plain_actor:
            self.hibernate_after = cls.hibernate_after
        self.accepts: Accepts = self.dispatch or Open(cls.__qualname__, mailbox_types(cls))


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

"""Give an address a name that knows which messages are understood there.

A `Name[M]` is a value: two names with the same text are the same name. It is made once,
beside the messages, and used on both sides: to spawn under it and to look it up. `whereis`
returns a `Ref[M]`, so that the type checker goes along.

>>> class Ping:
...     pass
>>> PINGER = Name[Ping]("pinger")
>>> PINGER == Name[Ping]("pinger"), str(PINGER)
(True, 'pinger')
>>> Name[Ping]("")
Traceback (most recent call last):
    ...
ValueError: a name is a text of at least one character, not ''
"""

from __future__ import annotations

from typing import Generic, TypeVar, final

from attrs import Attribute, field, frozen

__all__ = ["Name"]

M = TypeVar("M")


def _check(_name: object, _attribute: Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a name is a text of at least one character, not {value!r}")


@final
@frozen
class Name(Generic[M]):
    """The name of an address that accepts messages of type `M`.

    `text` is what tells names apart, within one actor system. Raises ValueError when it is empty
    or not a string.
    """

    text: str = field(validator=_check)

    def __str__(self) -> str:
        return self.text

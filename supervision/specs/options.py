"""The words that specs are written in.

They are OTP's, as enums; an option takes the word itself, too ("transient"). The converters let a
wrong value through as it is: the checks that follow report it, for only they know the path.

>>> Restart("transient"), Restart("transient") == "transient"
(Restart.TRANSIENT, True)
>>> INFINITY
INFINITY
"""

from __future__ import annotations

from enum import Enum, StrEnum
from math import inf
from typing import Final, Literal, TypeVar, cast, final

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AutoShutdown",
    "Restart",
    "ShutdownPolicy",
    "Strategy",
    "WhenSpent",
    "as_auto_shutdown",
    "as_restart",
    "as_shutdown",
    "as_strategy",
    "as_when_spent",
]

AnyEnum = TypeVar("AnyEnum", bound=Enum)


class _Word(StrEnum):
    """An enum of OTP's words, which prints as it is written in code."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


@final
class Strategy(_Word):
    """Who is restarted when a child needs a restart.

    `ONE_FOR_ONE`: that child alone. `ONE_FOR_ALL`: all children. `REST_FOR_ONE`: that child
    and those that start after it.
    """

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


@final
class Restart(_Word):
    """The exits after which a child is restarted.

    `PERMANENT`: after every one. `TRANSIENT`: after abnormal ones. `TEMPORARY`: never.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


@final
class AutoShutdown(_Word):
    """When the end of significant children ends their supervisor.

    `NEVER`; `ANY_SIGNIFICANT`: with the first of them; `ALL_SIGNIFICANT`: with the last.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


@final
class WhenSpent(_Word):
    """What happens when a child needs more restarts than its own budget allows.

    `ESCALATE`: its supervisor gives up. `PARK`: the child stays down until `RestartChild`
    revives it, and its siblings go on.
    """

    ESCALATE = "escalate"
    PARK = "park"


@final
class ShutdownPolicy(Enum):
    """The two ways of stopping a child that are not a number of seconds.

    `INFINITY`: ask and wait for as long as it takes. `BRUTAL_KILL`: kill without asking.
    """

    INFINITY = "infinity"
    BRUTAL_KILL = "brutal_kill"

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


INFINITY: Final = ShutdownPolicy.INFINITY
BRUTAL_KILL: Final = ShutdownPolicy.BRUTAL_KILL


def _as_word(kind: type[AnyEnum], value: object) -> AnyEnum:
    try:
        return kind(value)
    except ValueError:
        return cast("AnyEnum", value)


def as_strategy(
    value: Strategy | Literal["one_for_one", "one_for_all", "rest_for_one"],
) -> Strategy:
    """Return the `Strategy` that a word stands for."""
    return _as_word(Strategy, value)


def as_restart(value: Restart | Literal["permanent", "transient", "temporary"]) -> Restart:
    """Return the `Restart` that a word stands for."""
    return _as_word(Restart, value)


def as_auto_shutdown(
    value: AutoShutdown | Literal["never", "any_significant", "all_significant"],
) -> AutoShutdown:
    """Return the `AutoShutdown` that a word stands for."""
    return _as_word(AutoShutdown, value)


def as_when_spent(value: WhenSpent | Literal["escalate", "park"]) -> WhenSpent:
    """Return the `WhenSpent` that a word stands for."""
    return _as_word(WhenSpent, value)


def as_shutdown(
    value: float | ShutdownPolicy | Literal["infinity", "brutal_kill"],
) -> float | ShutdownPolicy:
    """Return seconds as they are, or the `ShutdownPolicy` that a word stands for."""
    if isinstance(value, str):
        return _as_word(ShutdownPolicy, value)
    return INFINITY if value == inf else value

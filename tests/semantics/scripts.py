"""Scripts for supervisor trees: what a tree looks like, and what happens to it.

A script is plain data. The reference model plays it, the engine plays it, and so does Erlang where
it is installed; nothing here knows any of the three. The repr of a script is the code that makes
it, so that a failure can be pasted into a test.

- `Worker`, `Tree`, `Dynamic` describe children. Words are OTP's; times are in seconds.
- Commands happen one after the other. Each has settled before the next begins, as far as no time
  needs to pass; only `Wait` lets time pass. A command about something that does not run then, or
  does not exist, does nothing.

>>> Script(Tree("top", [Worker("a", starts=["ok", "fail"])]), [Crash("top/a"), Wait(2)])
Script(Tree('top', (Worker('a', starts=('ok', 'fail')),)), (Crash('top/a'), Wait(2)))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any, Literal, TypeAlias, cast

from attrs import NOTHING, Attribute, field, fields, frozen

__all__ = [
    "ATTEMPT",
    "AnyChild",
    "AutoShutdown",
    "Call",
    "Command",
    "Count",
    "Crash",
    "Delete",
    "Dynamic",
    "End",
    "Kill",
    "KillTogether",
    "RestartOne",
    "Script",
    "Start",
    "Step",
    "Stop",
    "Strategy",
    "Terminate",
    "Tree",
    "Wait",
    "Which",
    "Worker",
    "below",
]

Step = Literal["ok", "slow", "fail", "slow fail", "broken", "ignore", "slow ignore"]
"""What one start does. "slow" takes `ATTEMPT` seconds; "broken" fails before a proc is made."""

ATTEMPT = 1.0
"""So many seconds a slow start takes."""

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
Words: TypeAlias = Literal["permanent", "transient", "temporary"]
Patience: TypeAlias = float | Literal["brutal_kill"]


def _children(value: Iterable[AnyChild]) -> tuple[AnyChild, ...]:
    return tuple(value)


def _commands(value: Iterable[Command]) -> tuple[Command, ...]:
    return tuple(value)


def _paths(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _starts(value: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(value)


class Code:
    """Be something whose repr is the code that makes it, without what is left at default."""

    def __repr__(self) -> str:
        shown: list[str] = []
        for option in cast("Sequence[Attribute[Any]]", fields(cast("type[Any]", type(self)))):
            value = getattr(self, option.name)
            if option.default is NOTHING or (value and option.name == "children"):
                shown.append(repr(value))
            elif value != option.default:
                text = "inf" if value == inf else repr(value)
                shown.append(f"{option.name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show Hypothesis and IPython the same."""
        printer.text(repr(self))


# -- children --------------------------------------------------------------------------------------


@frozen(repr=False)
class Worker(Code):
    """Describe a child that works.

    `starts` are its first starts, over the whole script and through all incarnations of its
    supervisors; `then` are all further ones. `stop` is how many seconds it takes to stop, however
    it ends; a kill cuts that short. `stop_fails`: it raises at the end of that. `backoff` is the
    pause before each restart, None for none; `start_timeout` how long a start may take.
    """

    id: str
    restart: Words = "permanent"
    shutdown: Patience = 5.25
    significant: bool = False
    starts: tuple[Step, ...] = field(default=(), converter=_starts)
    then: Step = "ok"
    stop: float = 0.0
    stop_fails: bool = False
    backoff: float | None = None
    start_timeout: float | None = None

    @property
    def quick(self) -> bool:
        """Tell whether it starts and stops without any code of its own."""
        return not self.starts and self.then == "ok" and not self.stop and not self.stop_fails


@frozen(repr=False)
class Tree(Code):
    """Describe a supervisor with children in order."""

    id: str
    children: tuple[AnyChild, ...] = field(default=(), converter=_children)
    strategy: Strategy = "one_for_one"
    max_restarts: int = 3
    max_seconds: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    restart: Words = "permanent"
    shutdown: Patience = inf
    significant: bool = False


@frozen(repr=False)
class Dynamic(Code):
    """Describe a dynamic supervisor, which starts with no children."""

    id: str
    max_children: int | None = None
    max_restarts: int = 3
    max_seconds: float = 5.0
    restart: Words = "permanent"
    shutdown: Patience = inf
    significant: bool = False


AnyChild: TypeAlias = Worker | Tree | Dynamic


def below(child: AnyChild, path: str) -> Iterator[tuple[str, AnyChild]]:
    """Go through a tree in start order, with paths; `path` is that of `child`."""
    yield path, child
    if isinstance(child, Tree):
        for inner in child.children:
            yield from below(inner, f"{path}/{inner.id}")


# -- commands --------------------------------------------------------------------------------------


@frozen(repr=False)
class Wait(Code):
    """Let seconds pass."""

    seconds: float


@frozen(repr=False)
class Crash(Code):
    """Make a running worker crash."""

    path: str


@frozen(repr=False)
class End(Code):
    """Make a running worker end by itself: "normal", "shutdown", or "shutdown detail"."""

    path: str
    reason: Literal["normal", "shutdown", "shutdown detail"] = "normal"


@frozen(repr=False)
class Kill(Code):
    """Kill a worker or a supervisor with all that is below, also while it starts or stops."""

    path: str


@frozen(repr=False)
class KillTogether(Code):
    """Kill several quick workers in this order, before anybody hears of the first."""

    paths: tuple[str, ...] = field(converter=_paths)


@frozen(repr=False)
class Stop(Code):
    """Tell a worker or supervisor to shut down, from outside and without a deadline.

    One that is starting is cut short: nobody needs what is half started.
    """

    path: str


@frozen(repr=False)
class Start(Code):
    """Ask a supervisor to start one more child."""

    path: str
    spec: AnyChild


@frozen(repr=False)
class Terminate(Code):
    """Ask a supervisor to terminate a child."""

    path: str
    id: str


@frozen(repr=False)
class RestartOne(Code):
    """Ask a supervisor to start a child again that does not run."""

    path: str
    id: str


@frozen(repr=False)
class Delete(Code):
    """Ask a supervisor to remove the spec of a child that does not run."""

    path: str
    id: str


@frozen(repr=False)
class Count(Code):
    """Ask a supervisor to count its children."""

    path: str


@frozen(repr=False)
class Which(Code):
    """Ask a supervisor for its children; every supervisor is asked that after every command."""

    path: str


Call: TypeAlias = Start | Terminate | RestartOne | Delete | Count | Which
Command: TypeAlias = Wait | Crash | End | Kill | KillTogether | Stop | Call


@frozen(repr=False)
class Script(Code):
    """Be a tree and what happens to it. At the end, whatever goes on, it is told to stop."""

    tree: Tree
    commands: tuple[Command, ...] = field(converter=_commands)

    def times(self, fraction: float = 1 / 1024) -> Sequence[float]:
        """Return when each command happens, in seconds after the start; the last is the end.

        Each is a `fraction` of a second later, and the fraction below all those of the durations in
        scripts. So what two commands set going never meets at the same moment, where the order
        would be undefined. The first comes 100 seconds after the start, which is over then.
        """
        times: list[float] = []
        now = 0.0
        for index, command in enumerate((*self.commands, None)):
            if isinstance(command, Wait):
                now += command.seconds
            times.append(now + 100.0 + (index + 1) * fraction)
        return times

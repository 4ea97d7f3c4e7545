"""Play a script in the reference model: a small, sequential simulator of OTP's supervisors.

It is pure: the same script gives the same `Played`, no event loop and no clock of the machine takes
part. `Rules` say whether OTP itself is played, or this project with its named differences.

>>> from tests.semantics.scripts import Crash, Script, Tree, Worker
>>> played = play(Script(Tree("top", [Worker("a"), Worker("b")]), [Crash("top/a")]))
>>> [f"{entry.what} {entry.id}" for entry in played.trace if entry.parent == "top"][:5]
['started a', 'started b', 'ended a', 'exit a', 'started a']
>>> played.trees[0]
(('top', 'running'), ('top/a', 'running'), ('top/b', 'running'))
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

from attrs import Factory, define

from tests.semantics.model_keeping import KeepingLife
from tests.semantics.model_lives import Address, Answer, Ask, Happened, Life, Rules, World
from tests.semantics.model_supervisor import SupervisorLife
from tests.semantics.scripts import (
    AnyChild,
    Call,
    Command,
    Count,
    Crash,
    Delete,
    Dynamic,
    End,
    Kill,
    KillTogether,
    RestartOne,
    Script,
    Start,
    Stop,
    Terminate,
    Tree,
    Wait,
    Which,
    below,
)

__all__ = ["LookedAt", "Model", "Played", "dynamic_of", "play", "supervisors_of"]

LookedAt: TypeAlias = tuple[tuple[str, str], ...]
"""Every address with its state: starting, running, stopping, or down."""


@define
class Played:
    """Keep what came of a script: all that happened, all answers, the tree after each command.

    `answers` are by command; the number is its place in the script. Each has the time it came.
    `ambiguous`: the outcome hangs on an order that is not defined, so there is nothing to compare.
    `unheard`: the actor system says that nobody heard of a crash; in a tree that never happens.
    """

    trace: list[Happened] = Factory(list[Happened])
    answers: dict[str, tuple[float, Answer]] = Factory(dict[str, tuple[float, Answer]])
    trees: list[LookedAt] = Factory(list[LookedAt])
    ambiguous: bool = False
    unheard: bool = False


def play(script: Script, rules: Rules | None = None, fraction: float = 1 / 1024) -> Played:
    """Play a whole script, by the rules of this project unless others are given.

    `fraction` is how far commands are apart, in seconds.
    """
    return Model(script, Rules() if rules is None else rules).play(fraction)


def supervisors_of(script: Script) -> list[str]:
    """List the paths of all supervisors that can ever be there."""
    return sorted({path for path, spec in _all(script) if isinstance(spec, Tree | Dynamic)})


def dynamic_of(script: Script) -> list[str]:
    """List the paths of the dynamic ones among them."""
    return sorted({path for path, spec in _all(script) if isinstance(spec, Dynamic)})


def _all(script: Script) -> Iterator[tuple[str, AnyChild]]:
    yield from below(script.tree, script.tree.id)
    for command in script.commands:
        if isinstance(command, Start):
            yield from below(command.spec, f"{command.path}/{command.spec.id}")


class Model:
    """Play one script."""

    def __init__(self, script: Script, rules: Rules) -> None:
        self.script = script
        self.world = World(rules)
        self.played = Played(trace=self.world.trace)
        self.supervisors = supervisors_of(script)
        tree = script.tree
        self.root = SupervisorLife(self.world, Address(self.world, tree.id), tree, None)

    def play(self, fraction: float) -> Played:
        """Start the tree, run all commands, stop the tree."""
        world, times = self.world, self.script.times(fraction)
        self.root.begin()
        for number, command in enumerate(self.script.commands):
            world.clock.run_until(times[number])
            self.do(number, command)
            world.clock.settle()
            self.look(number)
        world.clock.run_until(times[-1])
        if self.root.phase == "running":
            self.root.ask_to_stop(None)
        world.clock.run_until(times[-1] + 1e6)
        self.played.ambiguous = world.ambiguous
        return self.played

    # -- commands ----------------------------------------------------------------------------------

    def do(self, number: int, command: Command) -> None:
        """Carry a command out."""
        match command:
            case Crash(path):
                self.end(path, "crashed")
            case End(path, reason):
                self.end(path, reason)
            case Stop(path):
                life = self.life(path)
                if life is not None:
                    life.ask_to_stop(None)
            case Kill(path):
                self.kill(path)
            case KillTogether(paths):
                for path in paths:
                    self.kill(path)
            case Start() | Terminate() | RestartOne() | Delete() | Count() | Which():
                self.ask(f"{number}: {command!r}", command)
            case Wait():
                pass

    def life(self, path: str) -> Life | None:
        """Return the life at a path."""
        address = self.world.addresses.get(path)
        return None if address is None else address.life

    def end(self, path: str, reason: str) -> None:
        """Make what runs there end."""
        life = self.life(path)
        if life is not None and life.phase == "running":
            life.order(reason)

    def kill(self, path: str) -> None:
        """Kill what is there."""
        life = self.life(path)
        if life is not None:
            life.kill()

    def ask(self, key: str, call: Call) -> None:
        """Ask the supervisor that a call is for."""
        answer = partial(self.answered, key)
        address = self.world.addresses.get(call.path)
        if address is None:
            answer("gone")
        else:
            address.ask(Ask(call, answer))

    def answered(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        assert key not in self.played.answers, "answered twice"
        self.played.answers[key] = (self.world.clock.now, answer)

    # -- looking -----------------------------------------------------------------------------------

    def look(self, number: int) -> None:
        """Look at the tree, and ask all supervisors for their children."""
        if self.world.addresses.get(self.root.address.path) is self.root.address:
            self.played.trees.append(tuple(self.states(self.root.address)))
        else:
            self.played.trees.append(())
        for path in self.supervisors:
            if self.life(path) is not None:
                self.ask(f"{number}: {Which(path)!r}", Which(path))
        self.world.clock.settle()

    def states(self, address: Address) -> Iterator[tuple[str, str]]:
        """Go through the tree, in start order."""
        life = address.life
        yield address.path, "down" if life is None else life.phase
        if isinstance(life, KeepingLife):
            for entry in life.entries:
                yield from self.states(entry.address)

"""Fit random scripts for OTP: leave out what is this project's own, and what would take long.

>>> from tests.semantics.scripts import Crash, Dynamic, Script, Stop, Tree, Wait, Worker
>>> fitted(Script(Tree("top", [Dynamic("d"), Worker("a", stop=50)]), [Stop("top"), Wait(20)]))
Script(Tree('top', (Worker('a', shutdown=1.5, stop=4),), max_seconds=3600.0), (Wait(3),))
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from attrs import evolve
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.semantics.model import supervisors_of
from tests.semantics.scripts import (
    AnyChild,
    Command,
    Dynamic,
    Kill,
    Script,
    Start,
    Stop,
    Tree,
    Wait,
    Worker,
)
from tests.semantics.scripts_random import SCRIPTS

UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

__all__ = ["fitted", "some_scripts"]

MOST_COMMANDS = 12
"""With so many, their fractions of a second do not meet those of durations (see `Script.times`)."""


def fitted(script: Script) -> Script:
    """Return the script as far as OTP can play it, within seconds."""
    commands = [*_fitted_commands(script)][:MOST_COMMANDS]
    tree = _fitted_child(script.tree)
    assert isinstance(tree, Tree)
    return Script(tree, commands)


def _fitted_child(child: AnyChild) -> AnyChild | None:
    if isinstance(child, Dynamic):
        return None
    if isinstance(child, Worker):
        patience = child.shutdown if child.shutdown in (inf, "brutal_kill") else 1.5
        stop = min(child.stop, 4)
        return evolve(child, shutdown=patience, stop=stop, backoff=None, start_timeout=None)
    children = [_fitted_child(inner) for inner in child.children]
    # A supervisor that is killed leaves orphans in OTP; the window is in whole seconds there.
    kept = [inner for inner in children if inner is not None]
    return evolve(child, children=kept, shutdown=inf, max_seconds=3600.0)


def _fitted_commands(script: Script) -> Iterator[Command]:
    supervisors = supervisors_of(script)
    for command in script.commands:
        if isinstance(command, Stop):
            continue  # nobody but its parent stops a process in OTP
        if isinstance(command, Kill) and command.path in supervisors:
            continue
        if isinstance(command, Wait):
            yield Wait(min(command.seconds, 3))
        elif isinstance(command, Start):
            spec = _fitted_child(command.spec)
            if spec is not None:
                yield Start(command.path, spec)
        else:
            yield command


def some_scripts(count: int, number: int = 0) -> list[Script]:
    """Make random scripts for OTP: always the same ones for the same number."""
    found: list[Script] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=UNHURRIED,
    )
    @given(SCRIPTS)
    def collect(script: Script) -> None:
        found.append(fitted(script))

    collect()
    return found

"""Tests of the reference model by itself, written by hand from the statements on OTP's semantics.

The same scripts are played by Erlang/OTP in `test_otp.py`, and by the engine in `test_model.py`.
A diary reads `+a` for a child that got ready, `-a` for one that ended, `!a` for a start that
failed, `~a` for one that was ignored.
"""

import doctest
import importlib

import pytest

from tests.semantics import model
from tests.semantics.model_lives import Rules
from tests.semantics.model_rules import RULES, Rule
from tests.semantics.scripts import Crash, Script, Tree, Wait, Worker

MODULES = (
    "model",
    "model_comparison",
    "model_keeping",
    "model_lives",
    "model_mistakes",
    "model_rules",
    "model_supervisor",
    "model_time",
    "otp",
    "otp_scripts",
    "scripts",
    "scripts_random",
)

SIGNS = {"started": "+", "ended": "-", "failed": "!", "ignored": "~"}


def diary(script: Script, rules: Rules) -> str:
    """Play a script, and write down what happened to the children of the root."""
    return " ".join(
        SIGNS[entry.what] + entry.id
        for entry in model.play(script, rules).trace
        if entry.parent == "top" and entry.what in SIGNS
    )


@pytest.mark.parametrize("rules", [Rules(), Rules.otp()], ids=["ours", "otp"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_the_model_follows_the_statement(rule: Rule, rules: Rules) -> None:
    """The model does what a numbered statement says, with and without the named differences."""
    assert diary(rule.script, rules) == rule.diary


def test_a_window_of_whole_seconds_forgets_later() -> None:
    """A restart is forgotten exactly after `max_seconds` here, and up to a second later in OTP."""
    tree = Tree("top", [Worker("a")], max_restarts=1, max_seconds=5.0)
    script = Script(tree, [Wait(0.5), Crash("top/a"), Wait(5.25), Crash("top/a")])
    assert diary(script, Rules()) == "+a -a +a -a +a -a"
    assert diary(script, Rules.otp()) == "+a -a +a -a"


@pytest.mark.parametrize("name", MODULES)
def test_the_example_of_the_module_runs(name: str) -> None:
    """Every module of the comparison opens with an example that works."""
    found = doctest.testmod(importlib.import_module(f"tests.semantics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0

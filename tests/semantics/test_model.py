"""Tests that the engine does what the reference model of OTP does, on random scripts.

By default they play a few hundred scripts, the same ones each time. `MODEL_SCRIPTS=5000` plays so
many on each backend, others in each run. A failure ends with the smallest script that was found,
as code to paste into `FOUND` below.
"""

import os
from math import inf

import pytest
from hypothesis import HealthCheck, given, settings

from tests.semantics.model_comparison import agree
from tests.semantics.model_rules import RULES, Rule
from tests.semantics.scripts import (
    Command,
    Count,
    Crash,
    Kill,
    Script,
    Start,
    Stop,
    Terminate,
    Tree,
    Wait,
    Worker,
)
from tests.semantics.scripts_random import SCRIPTS

pytestmark = [pytest.mark.dead_letters, pytest.mark.timeout(3600)]

LONG = int(os.environ.get("MODEL_SCRIPTS", "0"))
SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
PROFILE = settings(
    max_examples=LONG or 300,
    derandomize=not LONG,
    database=None,
    suppress_health_check=[*SLOW, HealthCheck.large_base_example],
)


def in_t(workers: list[Worker], commands: list[Command]) -> Script:
    """Make a script about the workers of a supervisor below the root."""
    return Script(Tree("top", [Tree("t", workers)]), commands)


FOUND = (
    # A retry that waited in the mail of a supervisor that was killed, taken for one of the next
    # incarnation's own: that one was tried again ahead of what was queued before it (1.6.1).
    in_t(
        [
            Worker("a", starts=["ok", "slow fail", "ok", "fail"]),
            Worker("b", stop=2),
            Worker("c", starts=["ok", "slow"]),
        ],
        [
            Crash("top/t/a"),
            Terminate("top/t", "b"),
            Wait(1),
            Kill("top/t"),
            Crash("top/t/a"),
            Count("top/t"),
            Wait(9),
        ],
    ),
    # Told to stop in the middle of its start: what was started goes in reverse order.
    in_t(
        [
            Worker("qa"),
            Worker("b", shutdown="brutal_kill", stop=2),
            Worker("c", stop=1),
            Worker("d", starts=["ok", "slow"]),
        ],
        [Kill("top/t"), Stop("top/t"), Wait(9)],
    ),
    # The same, and a child raises while it stops: that is no crash that nobody heard of (1.7.3).
    in_t(
        [Worker("a", stop_fails=True), Worker("c", starts=["ok", "slow"])],
        [Kill("top/t"), Stop("top/t")],
    ),
    # A start that has failed, and stops what had started for longer than the order to stop leaves.
    Script(
        Tree("top", []),
        [
            Start(
                "top",
                Tree(
                    "t9",
                    [
                        Worker("a", shutdown=inf, stop=50),
                        Worker("b", starts=["slow"], start_timeout=0.6875),
                    ],
                ),
            ),
        ],
    ),
)
"""Scripts on which model and engine differed once, and others that random ones seldom come to."""


@pytest.mark.parametrize("script", FOUND, ids=repr)
async def test_what_was_found_once_stays_as_it_is(script: Script) -> None:
    """Engine and model agree on the scripts on which they differed once."""
    assert await agree(script)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
async def test_the_engine_follows_the_statement(rule: Rule) -> None:
    """Engine and model agree on the scripts of the numbered statements."""
    assert await agree(rule.script)


@PROFILE
@given(script=SCRIPTS)
async def test_the_engine_does_what_the_model_does(script: Script) -> None:
    """Any script gives the same starts, exits, decisions, answers and trees in both."""
    await agree(script)

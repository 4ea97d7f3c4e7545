"""Tests that the reference model does what the real supervisors of Erlang/OTP do.

They are skipped where `escript` is missing (Debian: `apt-get install erlang-base`). They run in
real time, many scripts at once. `MODEL_SCRIPTS=5000` plays so many, others in each run.
"""

import os
import random
from pathlib import Path

import pytest

from tests.semantics import otp
from tests.semantics.model_comparison import shown
from tests.semantics.model_mistakes import MISTAKES
from tests.semantics.model_rules import RULES
from tests.semantics.otp_scripts import fitted, some_scripts
from tests.semantics.scripts import Script

pytestmark = [
    pytest.mark.once,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        otp.ESCRIPT is None,
        reason="Erlang is not installed: no escript on the PATH (Debian: erlang-base)",
    ),
]

LONG = int(os.environ.get("MODEL_SCRIPTS", "0"))
AT_ONCE = 100


def compare(scripts: list[Script], folder: Path) -> None:
    """Compare what OTP does with the model; what differs gets more chances, alone and slowly."""
    for script, seen in zip(scripts, otp.play(scripts, folder), strict=True):
        found = otp.difference(script, seen)
        for slower in (3, 9):
            if found is not None:
                (alone,) = otp.play([script], folder, scale=slower * otp.SCALE)
                found = otp.difference(script, alone)
        assert found is None, f"{found}\nThe script:\n{shown(script)}"


def test_the_model_knows_the_mistakes_as_otp_does(tmp_path: Path) -> None:
    """OTP makes none of the first ten known mistakes either."""
    compare([fitted(mistake.script) for mistake in MISTAKES], tmp_path)


def test_the_model_knows_the_statements_as_otp_does(tmp_path: Path) -> None:
    """OTP does what the numbered statements say of it."""
    compare([fitted(rule.script) for rule in RULES], tmp_path)


def test_the_model_does_what_otp_does(tmp_path: Path) -> None:
    """Random scripts give the same starts, exits and answers in the model and in OTP."""
    numbers = [random.randrange(2**32) for _ in range(LONG // AT_ONCE)] or [0]
    for number in numbers:
        compare(some_scripts(AT_ONCE if LONG else 60, number), tmp_path)

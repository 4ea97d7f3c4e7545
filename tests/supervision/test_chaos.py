"""An hour in the life of a tree to which everything happens, and the checks that watch it.

`CHAOS_SEEDS=17,18` runs other seeds than the usual one, `CHAOS_MINUTES=600` for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from attrs import evolve

from actors import ExitReason
from actors.cell import Incarnation
from supervision import Strategy
from supervision.supervisors import supervisor as supervisor
from supervision.supervisors.child import ChildRecord
from supervision.supervisors.intensity import Intensity, Permit
from supervision.supervisors.limits import RestartLimits
from supervision.supervisors.plan import Member, Round, restart_round, stop_order
from tests.supervision.chaos import Chaos

SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "1").split(",")]
MINUTES = float(os.environ.get("CHAOS_MINUTES", "60"))


@pytest.mark.dead_letters
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_tree_keeps_its_promises_in_an_hour_of_chaos(seed: int) -> None:
    """Two hundred procs keep every promise through crashes, hangs, kills and changes."""
    chaos = Chaos(seed, seconds=60.0 * MINUTES)
    await chaos.run()
    assert chaos.faults == [], "\n".join(
        ["what was seen:", *map(str, chaos.history), "what is wrong:", *chaos.faults]
    )
    if MINUTES >= 60.0:
        # It was a bad hour, indeed: everything that can befall a tree did so.
        assert min(chaos.done[deed] for deed in chaos.deeds) > 5
        assert {"ChildHung", "RestartFailed", "ChildParked", "Ignored"} <= chaos.seen.keys()
        assert chaos.budgets.gave_up > 3
        assert {"answered", "No", "ProcExited", "AskTimeout"} <= chaos.answered.keys()
        assert sum(chaos.sizes) / len(chaos.sizes) > 120
    if "CHAOS_SEEDS" in os.environ:
        print(seed, chaos.seen, chaos.done, chaos.answered, chaos.budgets.gave_up)


def _generous(intensity: Intensity) -> bool:
    return len(intensity.attempts) > intensity.max_restarts + 1


def _stingy(intensity: Intensity) -> bool:
    return len(intensity.attempts) >= max(1, intensity.max_restarts)


def _stop_forwards(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(reversed(stop_order(members)))


def _start_backwards(strategy: Strategy, members: Iterable[Member], id: str) -> Round:
    plan = restart_round(strategy, members, id)
    return evolve(plan, start=tuple(reversed(plan.start)))


def _forget_one(strategy: Strategy, members: Iterable[Member], id: str) -> Round:
    plan = restart_round(strategy, members, id)
    return evolve(plan, start=tuple(one for one in plan.start if one != plan.start[0] or one == id))


def _lose_mail(life: Any, reason: ExitReason) -> None:
    life.address.keep = False
    _GIVE_UP_MAIL(life, reason)


def _count_twice(limits: RestartLimits, record: ChildRecord, now: float) -> Permit:
    _SPEND(limits, record, now)
    return _SPEND(limits, record, now)


_GIVE_UP_MAIL = Incarnation._give_up_mail
_SPEND = RestartLimits.spend

MISTAKES: dict[str, tuple[object, str, object, str]] = {
    "one restart too many": (Intensity, "exceeded", property(_generous), "there were more"),
    "one restart too few": (Intensity, "exceeded", property(_stingy), "there were only"),
    "counted twice": (RestartLimits, "spend", _count_twice, "there were only"),
    "stopped in order of start": (supervisor, "stop_order", _stop_forwards, "started after it"),
    "started backwards": (supervisor, "restart_round", _start_backwards, "is not ready"),
    "a sibling forgotten": (supervisor, "restart_round", _forget_one, "is not ready"),
    "mail not kept": (Incarnation, "_give_up_mail", _lose_mail, "keeps its mail"),
}


@pytest.mark.dead_letters
@pytest.mark.parametrize("mistake", MISTAKES)
async def test_an_engine_with_a_mistake_is_found_out(
    mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake that is put into the engine on purpose is seen within half an hour of chaos."""
    where, name, wrong, words = MISTAKES[mistake]
    monkeypatch.setattr(where, name, wrong)
    chaos = Chaos(1, seconds=30 * 60.0)
    await chaos.run()
    assert any(words in fault for fault in chaos.faults), chaos.faults

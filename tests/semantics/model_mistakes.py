"""The first ten mistakes of re-implementations, each put into the engine on purpose.

The comparison with the reference model is worth what it can catch. So each `Mistake` breaks the
engine in one of the ways that OTP's imitations are known for, and brings a small script on which a
comparison must fail then. Without the mistake, model and engine agree on all of these scripts.

>>> [mistake.name for mistake in MISTAKES][:2]
['1: one restart too few', '2: failed attempts are not counted']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import anyio
import pytest
from attrs import evolve, frozen

from actors import Exited, ExitReason, Ref
from supervision import ChildState, Restart, Strategy
from supervision.supervisors import base
from supervision.supervisors import supervisor as engine
from supervision.supervisors.base import BaseSupervisor
from supervision.supervisors.child import ChildRecord
from supervision.supervisors.intensity import Intensity
from supervision.supervisors.internal import TryAgain
from supervision.supervisors.plan import Member, Round, restart_round
from supervision.supervisors.supervisor import Supervisor
from tests.semantics.scripts import (
    Count,
    Crash,
    End,
    KillTogether,
    Script,
    Stop,
    Terminate,
    Tree,
    Wait,
    Worker,
)

__all__ = ["MISTAKES", "Mistake"]

INSIDES: Any = BaseSupervisor
"""What is broken into: also where nobody else should look."""

Break: TypeAlias = Callable[[pytest.MonkeyPatch], None]
Rounds: TypeAlias = Callable[[Strategy, list[Member], str], Round]


@frozen
class Mistake:
    """Be one mistake: its number and name, how to make it, and a script that shows it."""

    name: str
    make: Break
    script: Script


def plan(rounds: Rounds) -> Break:
    """Make the supervisor follow other plans for its rounds."""

    def wrong(strategy: Strategy, members: Iterable[Member], id: str) -> Round:
        return rounds(strategy, list(members), id)

    return lambda patch: patch.setattr(engine, "restart_round", wrong)


# -- the budget ------------------------------------------------------------------------------------


def one_too_few(patch: pytest.MonkeyPatch) -> None:
    """Allow one restart less than agreed: `>=` for `>` (1.5.2)."""

    def exceeded(window: Intensity) -> bool:
        return len(window.attempts) >= window.max_restarts

    patch.setattr(Intensity, "exceeded", property(exceeded))


def uncounted(patch: pytest.MonkeyPatch) -> None:
    """Count no attempt that follows a failed one (1.5.4)."""
    patch.setattr(base, "TryAgain", lambda id, ticket, counted: TryAgain(id, ticket, counted=True))


# -- a start that fails ----------------------------------------------------------------------------


def loop_inside(patch: pytest.MonkeyPatch) -> None:
    """Try again within the restart, deaf to everything else (1.6.1)."""
    restart = Supervisor.restart

    async def wrong(self: Supervisor, record: ChildRecord) -> None:
        await restart(self, record)
        for other in [*self.records.values()]:
            if other.state is ChildState.RESTARTING:
                await self.try_again(TryAgain(other.spec.id, other.ticket, counted=False))

    patch.setattr(Supervisor, "restart", wrong)


def dies_of_it(patch: pytest.MonkeyPatch) -> None:
    """End when a restart does not succeed (1.2.3 v 1.6.1)."""

    def wrong(self: BaseSupervisor[Any], record: ChildRecord, reason: ExitReason) -> None:
        raise RuntimeError(f"{record.spec.id} did not start again")

    patch.setattr(BaseSupervisor, "restart_failed", wrong)


def other_way_round(strategy: Strategy, members: list[Member], id: str) -> Round:
    """Go on at the failed child under one_for_all, start over under rest_for_one (1.6.3, 1.6.4)."""
    again = any(m.id == id and m.state is ChildState.RESTARTING for m in members)
    swapped = {
        Strategy.ONE_FOR_ALL: Strategy.REST_FOR_ONE,
        Strategy.REST_FOR_ONE: Strategy.ONE_FOR_ALL,
    }
    return restart_round(swapped.get(strategy, strategy) if again else strategy, members, id)


def stopped_at_once(patch: pytest.MonkeyPatch) -> None:
    """Stop what a failed round had started, instead of leaving it to the retry (1.6.3)."""
    restart = Supervisor.restart

    async def wrong(self: Supervisor, record: ChildRecord) -> None:
        await restart(self, record)
        if any(other.state is ChildState.RESTARTING for other in self.records.values()):
            await self.stop_all()

    patch.setattr(Supervisor, "restart", wrong)


# -- rounds ----------------------------------------------------------------------------------------


def not_revived(strategy: Strategy, members: list[Member], id: str) -> Round:
    """Leave those down that did not run (1.4.4)."""
    right = restart_round(strategy, members, id)
    ran = {member.id for member in members if member.state is ChildState.RUNNING} | {id}
    return evolve(right, start=tuple(name for name in right.start if name in ran))


def temporary_ones_too(strategy: Strategy, members: list[Member], id: str) -> Round:
    """Bring temporary siblings back (1.4.5)."""
    lasting = [evolve(member, restart=Restart.PERMANENT) for member in members]
    return restart_round(strategy, lasting, id)


def crashed_first(strategy: Strategy, members: list[Member], id: str) -> Round:
    """Start the crashed child first instead of at its place (1.4.2)."""
    right = restart_round(strategy, members, id)
    return evolve(right, start=(id, *(name for name in right.start if name != id)))


def deaths_counted(patch: pytest.MonkeyPatch) -> None:
    """Count the death of a sibling that is stopped in a round (1.4.7)."""
    note_stopped = INSIDES.note_stopped

    def wrong(self: Any, record: ChildRecord, reason: ExitReason, seconds: float) -> None:
        note_stopped(self, record, reason, seconds)
        if reason.is_abnormal:
            self.limits.spend(record, anyio.current_time())

    patch.setattr(BaseSupervisor, "note_stopped", wrong)


def any_incarnation(patch: pytest.MonkeyPatch) -> None:
    """Take the exit of an old incarnation for that of the new one (1.3.4, 1.7.4)."""
    on_exit = INSIDES.on_exit

    async def wrong(self: BaseSupervisor[Any], exited: Exited) -> None:
        ref: Ref[Any] = exited.ref
        known = [record.child for record in self.records.values() if record.child.ref == ref]
        number = known[0].incarnation if known else exited.incarnation
        await on_exit(self, evolve(exited, incarnation=number))

    patch.setattr(BaseSupervisor, "on_exit", wrong)


def restarts_while_stopping(patch: pytest.MonkeyPatch) -> None:
    """Restart a child that is found dead when the stop has begun (1.8.5)."""
    stop_all = Supervisor.stop_all

    async def wrong(self: Supervisor) -> None:
        for record in self.records.values():
            if record.state is ChildState.RUNNING and not record.child.ref.is_alive:
                await self.start(record)
        await stop_all(self)

    patch.setattr(Supervisor, "stop_all", wrong)


MISTAKES = (
    Mistake(
        "1: one restart too few",
        one_too_few,
        Script(Tree("top", [Worker("a")], max_restarts=1), [Crash("top/a")]),
    ),
    Mistake(
        "2: failed attempts are not counted",
        uncounted,
        Script(
            Tree("top", [Worker("a", starts=["ok", "fail", "fail"])], max_restarts=1),
            [Crash("top/a")],
        ),
    ),
    Mistake(
        "3: a retry loop inside the restart",
        loop_inside,
        Script(
            Tree("top", [Worker("a", starts=["ok", "slow fail"])]), [Crash("top/a"), Count("top")]
        ),
    ),
    Mistake(
        "4: a failed restart ends the supervisor",
        dies_of_it,
        Script(Tree("top", [Tree("t", [Worker("a", starts=["ok", "fail"])])]), [Crash("top/t/a")]),
    ),
    Mistake(
        "5: one_for_all goes on at the failed child",
        plan(other_way_round),
        Script(
            Tree("top", [Worker("a"), Worker("b", starts=["ok", "fail"])], "one_for_all"),
            [Crash("top/b")],
        ),
    ),
    Mistake(
        "5: rest_for_one starts over",
        plan(other_way_round),
        Script(
            Tree(
                "top",
                [Worker("a"), Worker("b"), Worker("c", starts=["ok", "fail"])],
                "rest_for_one",
            ),
            [Crash("top/b")],
        ),
    ),
    Mistake(
        "6: restarted siblings are stopped when the round fails",
        stopped_at_once,
        Script(
            Tree(
                "top",
                [Worker("a"), Worker("b"), Worker("c", starts=["ok", "fail"])],
                "rest_for_one",
            ),
            [Crash("top/b")],
        ),
    ),
    Mistake(
        "7: an ended child is not revived",
        plan(not_revived),
        Script(
            Tree("top", [Worker("a", restart="transient"), Worker("b")], "one_for_all"),
            [End("top/a"), Crash("top/b")],
        ),
    ),
    Mistake(
        "7: a temporary child is revived",
        plan(temporary_ones_too),
        Script(
            Tree("top", [Worker("a"), Worker("b", restart="temporary")], "one_for_all"),
            [Crash("top/a")],
        ),
    ),
    Mistake(
        "8: the crashed child starts first",
        plan(crashed_first),
        Script(Tree("top", [Worker("a"), Worker("b")], "one_for_all"), [Crash("top/b")]),
    ),
    Mistake(
        "9: deaths in a round are counted",
        deaths_counted,
        Script(
            Tree("top", [Worker("qa"), Worker("qb")], "one_for_all", max_restarts=2),
            [KillTogether(["top/qa", "top/qb"]), Crash("top/qa")],
        ),
    ),
    Mistake(
        "9: an old exit hits the new incarnation",
        any_incarnation,
        Script(
            Tree("top", [Tree("t", [Worker("qa"), Worker("qb")], "one_for_all")]),
            [KillTogether(["top/t/qa", "top/t/qb"])],
        ),
    ),
    Mistake(
        "10: a restart after the stop has begun",
        restarts_while_stopping,
        Script(
            Tree("top", [Worker("a"), Worker("b", stop=2)]),
            [Terminate("top", "b"), Stop("top"), Crash("top/a"), Wait(3)],
        ),
    ),
)

"""Budgets of restarts and backoffs: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from random import Random
from typing import Any, assert_type

from actors import CancellationToken, Event, Ref, task
from supervision import (
    Backoff,
    ChildInfo,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    SupervisorMessage,
    SupervisorSpec,
    WhenSpent,
    WhichChildren,
)
from supervision.events import ChildParked, Next


async def work(shutdown: CancellationToken) -> None:
    """Do nothing."""


def specs() -> None:
    """Give a child a budget of its own."""
    spec = ChildSpec("a", task(work), max_restarts=3, max_seconds=60, when_spent=WhenSpent.PARK)
    assert_type(spec.when_spent, WhenSpent)
    assert_type(spec.max_restarts, int | None)
    assert_type(spec.max_seconds, float | None)
    ChildSpec("a", task(work), max_restarts=0)
    ChildSpec("a", task(work), max_restarts=0, when_spent="escalate")
    assert_type(SupervisorSpec("top", max_restarts=1).max_restarts, int)
    assert_type(DynamicSupervisorSpec("top", max_seconds=1).max_seconds, float)

    ChildSpec("a", task(work), max_restarts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("a", task(work), when_spent="stay down")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("a", task(work), when_spent=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("a", task(work), 3)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    SupervisorSpec("top", max_restarts=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    spec.when_spent = WhenSpent.ESCALATE  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def backoffs() -> None:
    """Draw the pauses under a seed."""
    backoff = Backoff(0.1, 30.0, seed=7)
    assert_type(backoff.seed, int | None)
    assert_type(backoff.generator("/top/a"), Random | None)
    backoff.delay(1, Random(7))

    Backoff(0.1, 30.0, seed="7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Backoff(0.1, 30.0, 7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    backoff.generator(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    backoff.delay(1, backoff.generator("/top/a"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def hear(event: Event) -> None:
    """Hear of a parked child."""
    match event:
        case ChildParked(ref=ref, error=error):
            assert_type(ref, Ref[Any])
            assert_type(error, IntensityExceeded)
            assert_type(error.child, str | None)
            assert_type(error.parked, bool)
            assert_type(error.budget, str)
        case _:
            assert_type(Next("park it"), Next)


async def ask(supervisor: Ref[SupervisorMessage]) -> None:
    """Look at the children, and revive those that are parked."""
    for info in await supervisor.ask(WhichChildren()):
        assert_type(info, ChildInfo)
        assert_type(info.restart_in, float | None)
        assert_type(info.failures, int)
        if info.state is ChildState.PARKED:
            assert_type(await supervisor.ask(RestartChild(info.id)), Ref[Any] | None)

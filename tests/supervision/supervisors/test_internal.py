"""Tests of what supervisors tell themselves: every kind takes it, and no user sees it."""

from typing import Any

import pytest

from actors import ActorSystem, AnyRef, CancellationToken, DeadLetter, task
from actors.testing import settle
from supervision import (
    ChildSpec,
    DynamicSupervisorSpec,
    PartitionSupervisorSpec,
    SupervisorSpec,
    TaskSupervisorSpec,
    WhichChildren,
)
from supervision.supervisors.internal import LookAround, TryAgain


async def work(shutdown: CancellationToken) -> None:
    """Run until told to stop."""
    await shutdown.wait()


KINDS = [
    SupervisorSpec("top"),
    DynamicSupervisorSpec("top"),
    TaskSupervisorSpec("top"),
    PartitionSupervisorSpec("top", ChildSpec("part", task(work)), partitions=0),
]


@pytest.mark.parametrize("spec", KINDS, ids=lambda spec: type(spec).__name__)
async def test_every_kind_takes_its_own_reminders(spec: ChildSpec[Any]) -> None:
    """A reminder of a restart that nobody waits for, or of a look at nobody, changes nothing."""
    async with ActorSystem() as system:
        top: AnyRef = await system.spawn(spec.start, id="top")
        top.tell(TryAgain("nobody", 7, counted=True))
        top.tell(LookAround())
        assert await top.ask(WhichChildren()) == ()


async def test_a_reminder_that_is_left_over_is_no_dead_letter() -> None:
    """What a supervisor has told itself and does not come to is lost without a word."""
    letters: list[DeadLetter] = []
    async with ActorSystem() as system:
        top: AnyRef = await system.spawn(SupervisorSpec("top").start, id="top")
        system.events.subscribe(
            lambda event: letters.append(event) if isinstance(event, DeadLetter) else None
        )
        top.kill()
        top.tell(TryAgain("nobody", 7, counted=True))
        top.tell(LookAround())
        await top.wait()
        top.tell(LookAround())
        await settle()
    assert letters == []

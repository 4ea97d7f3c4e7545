"""Tests of the books on one child: what is shown of it."""

from typing import Never

from actors import Actor, ActorSystem, CancellationToken, task
from supervision import Backoff, ChildSpec, ChildState
from supervision.plan import Member
from supervision.records import Record


async def nothing(shutdown: CancellationToken) -> None:
    """Do nothing."""


class Owner(Actor[Never]):
    """Own the address of a child that never runs."""

    async def on_start(self) -> None:
        """Open the books."""
        spec = ChildSpec("a", task(nothing), backoff=Backoff(1.0, 8.0))
        self.record = Record(spec, self.context.child(spec.id))


async def test_what_is_shown_follows_the_state() -> None:
    """`restart_in` is there while restarting, never negative; failures fade when healthy."""
    owner = Owner()
    async with ActorSystem() as system:
        await system.spawn(lambda: owner)
        record = owner.record
        record.failures, record.ready_at, record.due = 2, 10.0, 20.0
        shown: dict[ChildState, tuple[object, ...]] = {}
        for record.state in ChildState:
            first, later = record.info(15.0), record.info(21.0)
            shown[record.state] = (
                first.restart_in,
                later.restart_in,
                first.failures,
                later.failures,
            )
        down = (None, None, 2, 2)
        assert shown == {
            ChildState.RUNNING: (None, None, 2, 0),
            ChildState.TERMINATED: down,
            ChildState.RESTARTING: (5.0, 0.0, 2, 2),
            ChildState.PARKED: down,
        }
        assert record.member == Member("a", state=ChildState.PARKED)

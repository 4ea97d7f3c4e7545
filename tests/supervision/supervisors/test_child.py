"""Tests of the books on one child: what is due, what is shown, what is forgotten."""

import pytest

from actors import Actor, ActorSystem, CancellationToken, on, task
from supervision import Backoff, ChildSpec, ChildState, SupervisorSpec
from supervision.supervisors.child import ChildRecord
from supervision.supervisors.plan import Member


async def nothing(shutdown: CancellationToken) -> None:
    """Do nothing."""


class Tick:
    """Reach an owner after a while."""


class Owner(Actor[Tick]):
    """Own the address of a child that never runs."""

    def __init__(self, spec: ChildSpec[object]) -> None:
        self.spec = spec

    async def on_start(self) -> None:
        """Open the books."""
        self.record = ChildRecord(self.spec, self.context.child(self.spec.id))
        self.record.timer = self.context.send_after(1.0, Tick())
        self.record.ticket = 7

    @on(Tick)
    def tick(self, message: Tick) -> None:
        """Never get that far."""
        raise AssertionError("the timer was taken back")


async def record_of(system: ActorSystem, spec: ChildSpec[object]) -> ChildRecord:
    """Make a record with a retry that is due in a second."""
    owners: list[Owner] = []

    def make() -> Owner:
        owners.append(Owner(spec))
        return owners[0]

    await system.spawn(make)
    return owners[0].record


async def test_a_retry_that_is_taken_back_has_neither_ticket_nor_timer() -> None:
    """`void` cancels the timer and makes the ticket worthless, also the second time."""
    async with ActorSystem() as system:
        record = await record_of(system, ChildSpec("a", task(nothing)))
        timer = record.timer
        assert timer is not None
        assert timer.active
        for _ in range(2):
            record.void()
            assert (record.ticket, record.timer, timer.active) == (0, None, False)


@pytest.mark.parametrize("state", ChildState)
async def test_standing_down_is_the_end_of_every_state(state: ChildState) -> None:
    """Whatever a child was, it is terminated afterwards, and nothing is due."""
    async with ActorSystem() as system:
        record = await record_of(system, ChildSpec("a", task(nothing)))
        record.state = state
        record.stand_down()
        assert (record.state, record.ticket, record.timer) == (ChildState.TERMINATED, 0, None)


async def test_forgiving_is_a_new_budget_without_failures() -> None:
    """`forgive` empties the child's own budget; a child without one still has none."""
    async with ActorSystem() as system:
        record = await record_of(system, ChildSpec("a", task(nothing), max_restarts=1))
        assert record.budget is not None
        record.budget.window = record.budget.window.attempt(1.0)
        record.failures = 3
        record.forgive()
        assert record.budget.window.attempts == ()
        assert record.failures == 0
        assert (await record_of(system, SupervisorSpec("s"))).budget is None


async def test_what_is_shown_follows_the_state() -> None:
    """`restart_in` is there while restarting, never negative; failures fade when healthy."""
    backoff = Backoff(1.0, 8.0)
    async with ActorSystem() as system:
        record = await record_of(system, ChildSpec("a", task(nothing), backoff=backoff))
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

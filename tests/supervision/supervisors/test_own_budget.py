"""Tests of a child's own budget in a running supervisor: what spends it, and escalating."""

import anyio
import pytest

from actors import Killed, Normal, Shutdown
from actors.testing import settle
from supervision import IntensityExceeded, RestartChild, SupervisorSpec
from supervision.events import ChildExited, ChildParked, Next, SupervisorGaveUp
from tests.kit.errors import Boom
from tests.kit.stage import Stage

pytestmark = pytest.mark.dead_letters

PARKING = {"max_restarts": 0, "when_spent": "park"}


# -- what is spent, and when -------------------------------------------------------------------


async def test_exactly_as_many_restarts_as_its_own_budget_allows() -> None:
    """A child is restarted as often as its own budget allows; the next exit parks it."""
    stage = Stage()
    child = stage.child("a", max_restarts=2, when_spent="park")
    async with stage.serve([child, stage.child("b")], max_restarts=100):
        await stage.crash_often("a", 2)
        assert await stage.states() == {"a": "running", "b": "running"}
        await stage.crash_often("a", 1)
        assert await stage.states() == {"a": "parked", "b": "running"}
        assert stage.take() == ["+a", "+b", "-a", "+a", "-a", "+a", "-a"]
        await anyio.sleep(1000.0)
        assert stage.take() == []
        (event,) = stage.told(ChildParked)
        assert event.ref == stage.refs["a"]
        said = "/top parked child a: more than 2 restarts in 5 s; last crash: Boom: a"
        assert str(event.error) == said
    nexts = [Next.RESTART, Next.RESTART, Next.PARK]
    assert [event.next for event in stage.told(ChildExited)] == nexts


async def test_its_own_window_is_its_own() -> None:
    """Restarts are forgotten when they leave the child's window, whatever the supervisor's is."""
    stage = Stage()
    child = stage.child("a", max_restarts=1, max_seconds=60.0, when_spent="park")
    async with stage.serve([child], max_restarts=1, max_seconds=1.0):
        for _ in range(5):
            await stage.crash_often("a", 1, every=60.25)
        assert await stage.states() == {"a": "running"}
        await stage.crash_often("a", 2, every=30.0)
        assert await stage.states() == {"a": "parked"}


@pytest.mark.parametrize("reason", [Normal(), Shutdown("enough"), Killed()], ids=str)
async def test_every_exit_that_is_restarted_counts(reason: Normal | Shutdown | Killed) -> None:
    """A permanent child is parked by exits without an error, too; there are no crashes then."""
    stage = Stage()
    async with stage.serve([stage.child("a", **PARKING)]):
        stage.end("a", reason)
        await settle()
        assert await stage.states() == {"a": "parked"}
    (event,) = stage.told(ChildParked)
    assert (event.error.crashes, event.error.__cause__) == ((), None)


async def test_an_exit_that_is_not_restarted_spends_nothing() -> None:
    """A transient child that ends well is terminated, not parked, and its budget stays."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient", **PARKING)]):
        stage.end("a")
        await settle()
        assert await stage.states() == {"a": "terminated"}
        await stage.top.ask(RestartChild("a"))
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "parked"}


async def test_a_round_is_charged_to_the_child_that_caused_it() -> None:
    """A sibling that a round moves has spent nothing, nor has the supervisor for its child."""
    stage = Stage()
    children = [stage.child("a", max_restarts=3), stage.child("b", **PARKING)]
    async with stage.serve(children, strategy="one_for_all", max_restarts=0):
        await stage.crash_often("a", 3)
        assert await stage.states() == {"a": "running", "b": "running"}
        await stage.crash_often("b", 1)
        assert await stage.states() == {"a": "running", "b": "parked"}


async def test_a_restarted_supervisor_begins_with_empty_budgets() -> None:
    """When a supervisor comes back, so do its parked children, with all their restarts."""
    stage = Stage()
    children = [stage.child("a", max_restarts=1, when_spent="park"), stage.child("b")]
    inner = SupervisorSpec("in", children, max_restarts=0)
    async with stage.serve([inner], max_restarts=5) as app:
        await stage.crash_often("a", 2)
        assert await stage.states(app.find("in")) == {"a": "parked", "b": "running"}
        await stage.crash_often("b", 1)
        assert await stage.states(app.find("in")) == {"a": "running", "b": "running"}
        await stage.crash_often("a", 1)
        assert await stage.states(app.find("in")) == {"a": "running", "b": "running"}


# -- escalate ----------------------------------------------------------------------------------


async def test_escalating_is_giving_up() -> None:
    """By default the supervisor gives up when a child's own budget is spent, and says whose."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", max_restarts=1, max_seconds=60),
        stage.child("c"),
    ]
    async with stage.dying(children, max_restarts=100) as app:
        stage.take()
        await stage.crash_often("b", 1, every=30.0)
        stage.crash("b", last := Boom("again"))
        await app.wait()
    assert stage.take() == ["-b", "+b", "-b", "-c", "-a"]
    assert [event.next for event in stage.told(ChildExited)] == [Next.RESTART, Next.GIVE_UP]
    assert isinstance(stage.exited.reason, Shutdown)
    error = stage.exited.reason.detail
    assert isinstance(error, IntensityExceeded)
    assert str(error) == (
        "/top gave up: child b needed more than 1 restart in 60 s; last crash: Boom: again"
    )
    assert (error.child, error.parked, error.__cause__) == ("b", False, last)
    assert [str(crash) for crash in error.crashes] == ["b", "again"]
    assert [event.error for event in stage.told(SupervisorGaveUp)] == [error]


async def test_the_supervisors_own_budget_is_not_blamed_on_a_child() -> None:
    """When the supervisor's budget is spent the error is its own, with what was charged to it."""
    stage = Stage()
    children = [stage.child("a", max_restarts=9), stage.child("b"), stage.child("c")]
    async with stage.dying(children, max_restarts=1) as app:
        await stage.crash_often("a", 5)
        await stage.crash_often("b", 1)
        stage.crash("c")
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    error = stage.exited.reason.detail
    assert isinstance(error, IntensityExceeded)
    assert (error.child, error.max_restarts) == (None, 1)
    assert [str(crash) for crash in error.crashes] == ["b", "c"]

"""Tests of what both kinds of supervisor have in common, and of the parts of the keeper."""

import anyio
import pytest

from actors import Crashed, Killed, Shutdown
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    ChildStartFailed,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    WhichChildren,
)
from supervision.keeper import patience, start_failed
from tests.supervision.kit import Boom, Stage, Worker

pytestmark = pytest.mark.dead_letters

KINDS = pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
Kind = type[SupervisorSpec] | type[DynamicSupervisorSpec]


def test_patience_is_the_time_that_a_child_gets() -> None:
    """Seconds stay as they are, infinity is no limit, and a brutal kill gives no time."""
    stage = Stage()
    cases = {2.5: 2.5, 0: 0, INFINITY: None, BRUTAL_KILL: 0.0}
    for shutdown, expected in cases.items():
        assert patience(stage.child("a", shutdown=shutdown)) == expected
    assert patience(SupervisorSpec("in")) is None


def test_a_failed_start_carries_its_crash() -> None:
    """The error for a child that did not start has its crash as cause, if there was one."""
    error = Boom("no")
    assert start_failed("a", Crashed(error)).__cause__ is error
    assert start_failed("a", Killed()).__cause__ is None
    assert str(start_failed("a", Killed())) == "a failed to start: killed"


@KINDS
async def test_a_flood_of_requests_delays_no_stop(kind: Kind) -> None:
    """A stop overtakes the requests that wait; they become dead letters."""
    stage = Stage()
    stage.losable += (WhichChildren,)
    async with stage.serve(kind("top")) as app:
        for _ in range(1000):
            app.supervisor.tell(WhichChildren())
        assert await app.supervisor.shutdown() == Shutdown()


@KINDS
async def test_a_start_that_catches_everything_cannot_hold_its_supervisor(kind: Kind) -> None:
    """A half-started child that swallows cancellation is cancelled again until it is gone."""
    stage = Stage()
    swallowed = 0

    async def stubborn(worker: Worker) -> None:
        nonlocal swallowed
        for _ in range(3):
            try:
                await anyio.sleep(100.0)
            except BaseException:
                swallowed += 1

    async with stage.serve(kind("top")) as app:
        spec = stage.child("a", start=[stubborn], start_timeout=1.0)
        began = anyio.current_time()
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: TimeoutError"):
            await app.supervisor.ask(StartChild(spec))
        assert swallowed == 3
        assert anyio.current_time() - began == pytest.approx(1.0, abs=0.5)

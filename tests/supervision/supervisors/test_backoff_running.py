"""Tests of restarts that wait: the supervisor stays responsive, and a stop cancels them."""

import anyio
import pytest

from actors import ProcExited
from actors.testing import settle
from supervision import (
    Backoff,
    ChildRestarting,
    DeleteChild,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import Next, RestartFailed
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Life

pytestmark = pytest.mark.dead_letters

STEADY = Backoff(10.0, 10.0, jitter=False)
GROWING = Backoff(1.0, 8.0, jitter=False)


async def test_a_supervisor_stays_responsive_while_a_restart_waits() -> None:
    """While a restart waits the child is restarting, and the supervisor serves everybody."""
    stage = Stage()
    async with stage.serve([stage.child("a", backoff=STEADY), stage.child("b")]) as app:
        stage.crash("a")
        await settle()
        began = anyio.current_time()
        assert await stage.states() == {"a": "restarting", "b": "running"}
        await app.supervisor.ask(StartChild(stage.child("c")))
        stage.crash("b")
        await settle()
        assert anyio.current_time() - began < 1.0
        assert await stage.states() == {"a": "restarting", "b": "running", "c": "running"}
        for request in (RestartChild("a"), DeleteChild("a")):
            with pytest.raises(ChildRestarting):
                await app.supervisor.ask(request)  # type: ignore[arg-type]


async def test_a_deleted_and_added_child_gets_no_old_restart() -> None:
    """A pending restart does not fire for another child that took the id."""
    stage = Stage()
    async with stage.serve([stage.child("a", backoff=STEADY)]) as app:
        stage.crash("a")
        await settle()
        await app.supervisor.ask(TerminateChild("a"))
        await app.supervisor.ask(DeleteChild("a"))
        await app.supervisor.ask(StartChild(stage.child("a", backoff=STEADY)))
        await anyio.sleep(5.0)
        stage.crash("a")
        await anyio.sleep(6.0)
        assert await stage.states() == {"a": "restarting"}
        await anyio.sleep(5.0)
        assert await stage.states() == {"a": "running"}


async def test_the_requests_of_a_cancelled_restart_fail() -> None:
    """When a pending restart is taken back, requests that waited for it fail at once."""
    stage = Stage()
    async with stage.serve([stage.child("a", backoff=STEADY)]) as app:
        stage.crash("a")
        await settle()
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                began = anyio.current_time()
                with pytest.raises(ProcExited, match=r"^/top/a ended before it answered Life"):
                    await stage.refs["a"].ask(Life(), timeout=None)
                assert anyio.current_time() == began

            tasks.start_soon(ask)
            await settle()
            await app.supervisor.ask(TerminateChild("a"))
        assert [text for text, _ in stage.take_dead()] == ["Life"]


async def test_failed_starts_grow_the_delay_too() -> None:
    """A restart that fails is tried again after the next longer delay, however long it was down."""
    stage = Stage()
    starts = [None, *(Boom(str(number)) for number in range(5))]
    async with stage.serve([stage.child("a", start=starts, backoff=GROWING)], max_restarts=10):
        stage.crash("a")
        await anyio.sleep(1 + 2 + 4 + 8 + 8 + 7.9)
        assert stage.take() == ["+a", "-a", *["!a"] * 5]
        await anyio.sleep(0.2)
        assert stage.take() == ["+a"]
    assert [event.delay for event in stage.told(RestartFailed)] == [2.0, 4.0, 8.0, 8.0, 8.0]
    assert {event.next for event in stage.told(RestartFailed)} == {Next.WAIT}


async def test_a_delayed_restart_counts_once() -> None:
    """A restart is counted when the child exits, and not again when its delay is over."""
    stage = Stage()
    child = stage.child("a", backoff=STEADY, max_restarts=2, max_seconds=60.0)
    async with stage.dying([child], max_restarts=0) as app:
        await stage.crash_often("a", 2, every=11.0)
        assert await stage.states() == {"a": "running"}
        stage.crash("a")
        await app.wait()


@pytest.mark.parametrize("kind", ["worker", "supervisor"])
async def test_a_child_with_a_backoff_is_tried_for_ever(kind: str) -> None:
    """A backoff without `max_restarts` is charged to no budget, however often the child ends."""
    stage = Stage()
    steps = [None, None, *(Boom("start") for _ in range(20)), None]
    poller = stage.child("a", start=steps, backoff=Backoff(1.0, 60.0, seed=1))
    if kind == "supervisor":
        one = stage.child("x", start=[None, Boom("start"), None], restart="temporary")
        poller = SupervisorSpec("a", [one], backoff=STEADY)
    async with stage.serve([stage.child("db"), poller], max_restarts=0) as app:
        ref = app.find("a")
        for _ in range(20):
            ref.kill()
            await anyio.sleep(100.0 if kind == "worker" else 25.0)
        await anyio.sleep(1000.0)
        assert ref.is_alive
        assert await stage.states() == {"db": "running", "a": "running"}
        assert stage.take().count("+db") == 1


async def test_siblings_stay_up_while_the_round_waits() -> None:
    """Under one_for_all nobody is stopped before the delay is over; then the round goes."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", backoff=STEADY), stage.child("c")]
    async with stage.serve(children, strategy="one_for_all"):
        stage.take()
        stage.crash("b")
        await anyio.sleep(9.0)
        assert stage.take() == ["-b"]
        assert await stage.states() == {"a": "running", "b": "restarting", "c": "running"}
        await anyio.sleep(2.0)
        assert stage.take() == ["-c", "-a", "+a", "+b", "+c"]


async def test_a_supervisor_with_a_backoff_of_its_own() -> None:
    """A nested supervisor may have a backoff, which delays the restart of its whole subtree."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")], max_restarts=0, backoff=STEADY)
    async with stage.serve([inner], max_restarts=5):
        stage.crash("x")
        await anyio.sleep(9.0)
        assert stage.take() == ["+in/x", "+in", "-in/x", "-in"]
        await anyio.sleep(2.0)
        assert stage.take() == ["+in/x", "+in"]

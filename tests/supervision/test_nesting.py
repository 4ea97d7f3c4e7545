"""Tests of trees: supervisors under supervisors, and what climbs from one to the next."""

from functools import partial

import anyio
import pytest

from actors import ActorSystem, Shutdown
from actors.testing import settle
from supervision import (
    DynamicSupervisorSpec,
    IntensityExceeded,
    StartChild,
    Supervisor,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from tests.supervision.kit import Boom, Stage, Worker

pytestmark = pytest.mark.dead_letters


async def test_a_tree_that_fails_in_the_turn_in_which_the_block_ends_is_told() -> None:
    """A tree that has failed by the end of the block is told, though nobody was cancelled."""
    stage = Stage()
    async with stage.dying([stage.child("a")], max_restarts=0) as app:
        stage.crash("a")
        with anyio.CancelScope(shield=True):
            await app.wait()


async def test_a_proc_of_a_tree_can_reach_its_own_supervisor() -> None:
    """A child may ask its own supervisor for a sibling, and be served."""
    stage = Stage()
    answers: list[int] = []

    async def ask_above(worker: Worker) -> None:
        await stage.top.ask(StartChild(stage.child("b")))
        answers.append(len(await stage.top.ask(WhichChildren())))

    async with stage.serve([stage.child("a")]):
        stage.act("a", ask_above)
        await settle()
    assert answers == [2]


async def test_a_child_that_asks_for_its_own_end_is_killed_at_its_deadline() -> None:
    """A child that waits for its own termination cannot hang its supervisor."""
    stage = Stage()

    async def end_me(worker: Worker) -> None:
        await stage.top.ask(TerminateChild("a"), timeout=None)

    async with stage.serve([stage.child("a", shutdown=2.0)]):
        began = anyio.current_time()
        stage.act("a", end_me)
        await anyio.sleep(1.0)
        assert await stage.states() == {"a": "terminated"}
        assert anyio.current_time() - began == pytest.approx(2.0)


async def test_serving_again_begins_afresh() -> None:
    """A spec can be served any number of times, each time from its beginning."""
    stage = Stage()
    tree = SupervisorSpec("top", [*stage.children("ab"), DynamicSupervisorSpec("jobs")])
    for _ in range(2):
        async with stage.serve(tree) as app:
            await app.find("jobs").ask(StartChild(stage.child("job")))
            assert stage.take() == ["+a", "+b", "+jobs", "+jobs/job"]
        assert stage.take() == ["-jobs/job", "-jobs", "-b", "-a"]


async def test_a_supervisor_in_a_bare_system_reports_its_end_there() -> None:
    """A supervisor that gives up in a system of its own ends well: nothing is raised there."""
    stage = Stage()
    spec = SupervisorSpec("top", [stage.child("a")], max_restarts=0)
    async with ActorSystem() as system:
        top = await system.spawn(partial(Supervisor, spec), id="top")
        stage.crash("a", Boom("a"))
        reason = await top.wait()
    assert isinstance(reason, Shutdown)
    assert isinstance(reason.detail, IntensityExceeded)

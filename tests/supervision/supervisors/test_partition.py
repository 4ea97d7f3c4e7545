"""Tests of `Partitions`: a handle leads to the partitions, whatever befalls their supervisor."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import anyio
import pytest

from actors import ActorSystem, ProcExited
from actors.testing import settle
from supervision import (
    Partitions,
    PartitionSupervisorSpec,
    SupervisorSpec,
    serve,
)
from supervision.supervisors import (
    PartitionSupervisor,
)
from supervision.supervisors import partition as partition
from tests.kit.partitions import handle, serving, spec
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note

pytestmark = pytest.mark.dead_letters


async def test_routing_does_not_wait_for_the_supervisor() -> None:
    """While the supervisor is busy with one partition, the others are reached as ever."""
    async with serving(2, starts={1: [None, 100.0]}) as (stage, partitions):
        stage.crash("1")
        await settle()
        began = anyio.current_time()
        assert await partitions.ask(0, Life()) == 1
        partitions.tell("ada", Note("hello"))
        await partitions.send(0, Note("again"))
        assert anyio.current_time() == began
        assert await partitions.ask(1, Life(), timeout=None) == 2
        assert [note[2] for note in stage.notes] == ["hello", "again"]


async def test_a_handle_survives_a_restart_of_the_supervisor() -> None:
    """A handle leads to the new partitions when their supervisor was restarted, resized or not."""
    stage = Stage()
    make = partial(spec(stage, 2).make)
    tree = SupervisorSpec("top", [PartitionSupervisorSpec("p", lambda n: make(n), partitions=2)])
    async with stage.serve(tree) as app:
        partitions = Partitions[Note | Life](app.find("p"))
        await partitions.resize(4)
        old = partitions.refs
        app.find("p").kill()
        await settle()
        assert len(partitions) == 2
        assert [await partitions.ask(key, Life()) for key in range(2)] == [1, 1]
        assert set(partitions.refs).isdisjoint(old)
        with pytest.raises(ProcExited):
            await old[0].ask(Life())


async def test_a_handle_may_be_made_early_and_kept_late() -> None:
    """A handle works as soon as its supervisor is ready, and leads nowhere alive after its end."""
    made = spec(Stage(), 1)
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: PartitionSupervisor(made), id="top")
        early: Partitions[Note | Life] = Partitions(ref)
        assert early == Partitions[Any](ref)
        assert hash(early) == hash(Partitions[Any](ref))
        assert repr(early) == "<Partitions /top, 1 now>"
        assert bool(early)
        await ref.shutdown()
        with pytest.raises(ProcExited):
            await early.ask("ada", Life())
        early.tell("ada", Note("lost"))
        with pytest.raises(ProcExited):
            await early.resize(5)


async def test_nothing_is_kept_of_a_supervisor_that_is_gone() -> None:
    """When the last handle of a supervisor that ended is gone, so is all that it led to."""
    gc.collect()
    before = len(partition._routes)
    stage = Stage()
    async with serve(spec(stage, 2)) as app:
        stage.app = app
        assert len(handle(stage)) == 2
        assert len(partition._routes) == before + 1
    del app, stage
    gc.collect()
    assert len(partition._routes) == before

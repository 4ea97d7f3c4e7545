"""Tests of children whose errors and reasons go wrong when they are looked at."""

from __future__ import annotations

from functools import partial
from typing import Any, Never

import anyio
import pytest

from actors import AnyRef, CancellationToken, Proc, Shutdown, task
from actors.testing import settle
from supervision import (
    ChildSpec,
    ChildStartFailed,
    ChildState,
    PartitionSupervisorSpec,
    StartChild,
    SupervisorSpec,
    WhichChildren,
    serve,
)
from supervision.events import LogLines
from supervision.supervisors import ResizePartitions
from tests.actors.test_hostile_objects import HOSTILE
from tests.kit.actors import forever
from tests.supervision.telemetry.test_logs import Lines

HOSTILE_KINDS = pytest.mark.parametrize("kind", HOSTILE)


class Difficult(Proc[Never]):
    """Raise, or end with, what nobody can look at."""

    def __init__(self, place: str, kind: type[BaseException]) -> None:
        self.place, self.kind = place, kind

    async def on_start(self) -> None:
        if self.place == "start":
            raise self.kind()

    async def run(self, shutdown: CancellationToken) -> None:
        await anyio.sleep(1)
        if self.place == "run":
            raise self.kind()
        self.context.stop(Shutdown(self.kind()))


@HOSTILE_KINDS
@pytest.mark.parametrize("place", ["start", "run", "reason"])
async def test_a_child_with_a_hostile_error_harms_no_sibling(
    kind: type[BaseException], place: str
) -> None:
    """Whatever a child fails, crashes or ends with, its supervisor goes on, and the log says it."""
    lines = Lines()
    spec = ChildSpec("x", partial(Difficult, place, kind), max_restarts=1, when_spent="park")
    tree = SupervisorSpec("shop", [ChildSpec("db", task(forever))])
    async with serve(tree, observe=[LogLines(lines.write)]) as app:
        if place == "start":
            with pytest.raises(ChildStartFailed) as failed:
                await app.supervisor.ask(StartChild(spec))
            assert type(failed.value.__cause__) is kind
            assert any("/shop/x did not start" in line for line in lines)
        else:
            await app.supervisor.ask(StartChild(spec))
            await anyio.sleep(10)
            states = [child.state for child in await app.supervisor.ask(WhichChildren())]
            assert states == [ChildState.RUNNING, ChildState.PARKED]
            said = "crashed" if place == "run" else "stopped"
            assert any(f" /shop/x {said}" in line for line in lines)
        assert app.find("db").statistics().incarnation == 1


@HOSTILE_KINDS
async def test_a_hostile_maker_of_partitions_fails_the_resize_alone(
    kind: type[BaseException],
) -> None:
    """What a function that makes partitions raises is a refusal; the partitions go on."""

    def make(number: int) -> ChildSpec[Any]:
        if number:
            raise kind()
        return ChildSpec("0", task(forever))

    async with serve(PartitionSupervisorSpec("parts", make, partitions=1)) as app:
        partitions: AnyRef = app.supervisor
        with pytest.raises(ChildStartFailed):
            await partitions.ask(ResizePartitions(2))
        await settle()
        assert app.find("0").statistics().incarnation == 1

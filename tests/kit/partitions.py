"""Partition supervisors with scripted workers, for their tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from supervision import ChildSpec, Partitions, PartitionSupervisorSpec
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note, Step


def spec(stage: Stage, partitions: int | None, **options: Any) -> PartitionSupervisorSpec[Any]:
    """Make the spec of a partition supervisor at the root, with scripted workers."""
    starts: dict[int, Sequence[Step]] = options.pop("starts", {})
    stops: dict[int, Step] = options.pop("stops", {})
    of_child = options.pop("child", {})

    def make(number: int) -> ChildSpec[Any]:
        start, stop = starts.pop(number, ()), stops.get(number)
        return stage.child(str(number), start=start, stop=stop, **of_child)

    return PartitionSupervisorSpec("top", make, partitions=partitions, **options)


def handle(stage: Stage) -> Partitions[Note | Life]:
    """Make a handle of the partitions at the root."""
    return Partitions[Note | Life](stage.top)


@asynccontextmanager
async def serving(
    partitions: int | None, **options: Any
) -> AsyncGenerator[tuple[Stage, Partitions[Note | Life]]]:
    """Serve a partition supervisor with scripted workers; yield their stage and a handle."""
    stage = Stage()
    async with stage.serve(spec(stage, partitions, **options)):
        yield stage, handle(stage)

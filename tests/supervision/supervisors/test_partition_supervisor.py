"""Tests of `PartitionSupervisor`: its spec, what makes its partitions, restarts and requests."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors import Name
from actors.testing import settle
from supervision import (
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChildSpec,
    Partitions,
    PartitionSupervisorSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from supervision.errors import PartitionsFixed
from supervision.events import ChildStopped
from supervision.supervisors import (
    GetPartition,
    PartitionSupervisor,
    ResizePartitions,
)
from supervision.supervisors import partition as partition
from tests.kit.errors import Boom
from tests.kit.partitions import handle, serving, spec
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note, Worker

pytestmark = pytest.mark.dead_letters

# -- specs -----------------------------------------------------------------------------------------


def test_a_spec_checks_what_it_is_given() -> None:
    """A wrong option is a SpecError that names the path and the field."""
    child = ChildSpec("w", partial(Worker, Stage(), "w"))
    make = PartitionSupervisorSpec
    with pytest.raises(SpecError, match="p: partitions: -1 is negative"):
        make("p", child, partitions=-1)
    with pytest.raises(SpecError, match=r"p: partitions: 1\.5 is not an int"):
        make("p", child, partitions=1.5)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="p: child: 'w' is neither a ChildSpec nor a function"):
        make("p", "w")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="p/w: restart: a temporary partition"):
        make("p", ChildSpec("w", child.start, restart="temporary"))
    with pytest.raises(SpecError, match="p/w: name: all partitions would have it"):
        make("p", ChildSpec("w", child.start, name=Name("w")))
    with pytest.raises(SpecError, match="p/w: significant: means nothing"):
        make("p", ChildSpec("w", child.start, significant=True, restart="transient"))
    with pytest.raises(TypeError, match="PartitionSupervisor wants a PartitionSupervisorSpec"):
        PartitionSupervisor(DynamicSupervisorSpec("p"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Partitions wants the Ref of a supervisor"):
        Partitions("p")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no key"):
        GetPartition(1.5)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="ResizePartitions: partitions: True is not an int"):
        ResizePartitions(True)
    assert repr(make("p", child, partitions=3)).startswith(
        "PartitionSupervisorSpec('p', ChildSpec("
    )
    assert make("p", child, partitions=3) == make("p", child, partitions=3)


async def test_a_function_makes_each_spec_once() -> None:
    """The function is called once for each number, and its spec gets the number as its id."""
    stage, called = Stage(), list[int]()

    def make(number: int) -> ChildSpec[Any]:
        called.append(number)
        return ChildSpec("any", partial(Worker, stage, str(number)), shutdown=number + 1)

    async with stage.serve(PartitionSupervisorSpec("top", make, partitions=2)):
        await handle(stage).resize(0)
        await handle(stage).resize(3)
        specs = [await stage.top.ask(GetChildSpec(str(number))) for number in range(3)]
        assert [(spec.id, spec.shutdown) for spec in specs] == [("0", 1), ("1", 2), ("2", 3)]
        assert called == [0, 1, 2]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("nothing", "is not a ChildSpec"),
        (ChildSpec("w", partial(Worker, Stage(), "w"), restart="temporary"), "temporary partition"),
        (Boom("no spec"), "0 failed to start: Boom: no spec"),
    ],
    ids=["nothing", "temporary", "raises"],
)
async def test_a_bad_function_fails_the_start(made: Any, expected: str) -> None:
    """What the function makes is checked when it is made, and its error is that of the start."""

    def make(number: int) -> ChildSpec[Any]:
        if isinstance(made, Exception):
            raise made
        return made  # type: ignore[no-any-return]

    with pytest.raises(ChildStartFailed) as caught:
        async with serve(PartitionSupervisorSpec("p", make, partitions=1)):
            pass
    assert expected in str(caught.value)
    async with serve(PartitionSupervisorSpec("p", make, partitions=0)) as app:
        partitions = Partitions[Any](app.supervisor)
        with pytest.raises((ChildStartFailed, SpecError), match=expected):
            await partitions.resize(1)
        assert len(partitions) == 0


async def test_partitions_can_be_supervisors() -> None:
    """A partition may be a whole tree, and a partition supervisor part of one."""
    stage = Stage()
    inner = SupervisorSpec("cell", stage.children("ab"))
    tree = SupervisorSpec("top", [PartitionSupervisorSpec("cells", inner, partitions=2)])
    paths = ["cells/0/a", "cells/0/b", "cells/0", "cells/1/a", "cells/1/b", "cells/1", "cells"]
    async with stage.serve(tree) as app:
        assert stage.take() == ["+" + path for path in paths]
        assert len(Partitions[Any](app.find("cells"))) == 2


# -- life ------------------------------------------------------------------------------------------


async def test_a_partition_that_does_not_start_stops_those_before_it() -> None:
    """When a partition does not start, those before it are stopped in reverse order."""
    stage = Stage()
    with pytest.raises(ChildStartFailed, match="2 failed to start"):
        async with stage.serve(spec(stage, 4, starts={2: [Boom()]})):
            pass
    assert stage.take() == ["+0", "+1", "!2", "-1", "-0"]
    assert [event.ref.path for event in stage.told(ChildStopped)] == ["/top/1", "/top/0"]


async def test_each_partition_is_restarted_alone() -> None:
    """A crash restarts one partition and leaves the others; its ref and its mail survive."""
    async with serving(3) as (stage, partitions):
        before = partitions.refs
        stage.take()
        stage.crash("1")
        partitions.tell(1, Note("kept"))
        await settle()
        assert stage.take() == ["-1", "+1"]
        assert stage.notes == [("1", 2, "kept")]
        assert partitions.refs == before
        assert [await partitions.ask(key, Life()) for key in range(3)] == [1, 2, 1]


# -- requests --------------------------------------------------------------------------------------


async def test_partitions_come_and_go_with_a_resize_alone() -> None:
    """Starting, deleting, and restarting what was resized away are refused."""
    stage = Stage()
    async with stage.serve(spec(stage, 2)):
        await handle(stage).resize(1)
        for request in (StartChild(stage.child("x")), StartChild(stage.child("0"))):
            with pytest.raises(PartitionsFixed, match="ResizePartitions alone"):
                await stage.top.ask(request)
        for id in "01":
            with pytest.raises(PartitionsFixed):
                await stage.top.ask(DeleteChild(id))
        with pytest.raises(PartitionsFixed):
            await stage.top.ask(RestartChild("1"))
        for unknown in (DeleteChild("9"), RestartChild("9"), TerminateChild("9")):
            with pytest.raises(ChildNotFound):
                await stage.top.ask(unknown)
        await stage.top.ask(TerminateChild("0"))
        await stage.top.ask(RestartChild("0"))
        assert await handle(stage).ask("ada", Life()) == 2

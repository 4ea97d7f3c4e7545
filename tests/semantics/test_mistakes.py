"""What re-implementations of OTP get wrong, 21: starts that are cut short.

`STATEMENTS.md` maps each mistake to its tests: most of the first 22 are shown not to be made here
by those of the statement that they hurt (`test_1_*.py`).
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Ref, Shutdown
from actors.testing import settle
from supervision import StartChild, SupervisorSpec
from tests.kit.stage import Stage
from tests.kit.statements import ROUNDS, answer_to

pytestmark = pytest.mark.dead_letters


MOMENTS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
"""Each await of a start of four seconds is hit in its middle, and at its very end."""


def slow_tree(stage: Stage) -> list[Any]:
    """Make a tree whose workers take one second each to start."""
    a, x, y, b = stage.children("axyb", start=[1.0, 1.0])
    return [a, SupervisorSpec("in", [x, y]), b]


def runs_code(stage: Stage) -> bool:
    """Tell whether any code of a worker is running."""
    hooks = ("start", "run", "stop")
    return any(stage.is_inside(id, hook) for id in "axyb" for hook in hooks)


BACK = ["b", "in/y", "in/x", "in", "a"]
"""In this order a slow tree is stopped, as far as it got."""


def check_taken_back(stage: Stage) -> None:
    """Check that all that got ready has ended, in reverse order, and was asked to."""
    trace = [entry for entry in stage.take() if entry[0] != "!"]
    up = [entry[1:] for entry in trace if entry[0] == "+"]
    gone = [id for id in BACK if id in up]
    assert trace == [*(f"+{id}" for id in up), *(f"-{id}" for id in gone)]
    workers = [id.rpartition("/")[2] for id in gone if id != "in"]
    assert stage.reasons == [(id, Shutdown()) for id in workers]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_mistake_21_a_start_that_is_cancelled_leaves_nothing_half_started(
    moment: float,
) -> None:
    """Cancelled at any await of the start, what was started is stopped in reverse order."""
    stage = Stage()
    with anyio.move_on_after(moment):
        async with stage.serve(slow_tree(stage)):
            await anyio.sleep_forever()
    check_taken_back(stage)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["shutdown", "kill"])
async def test_mistake_21_a_supervisor_that_must_end_while_it_starts_children(
    how: str, moment: float
) -> None:
    """Told to stop, it finishes the start in hand first, as in OTP; killed, it takes all along."""
    stage = Stage()
    below = SupervisorSpec("sub", slow_tree(stage))
    async with stage.serving([SupervisorSpec("host", restart="temporary")]) as app:
        host: Ref[Any] = app.find("host")
        stage.losable += (StartChild,)
        stage.tasks.start_soon(answer_to, host, StartChild(below))
        await settle()
        await anyio.sleep(moment)
        began = anyio.current_time()
        if how == "kill":
            host.kill()
        else:
            await host.shutdown(None)
        await host.wait()
        assert anyio.current_time() == began + (0.0 if how == "kill" else 4.0 - moment)
        trace = [entry for entry in stage.take() if "sub/" in entry]
        up = [entry[1:] for entry in trace if entry[0] == "+"]
        assert "host/sub/b" not in up or how == "shutdown" or moment >= 4.0
        assert sorted(entry[1:] for entry in trace if entry[0] == "-") == sorted(up)
        if how == "shutdown":
            assert [id for id, _ in stage.reasons] == ["b", "y", "x", "a"]
        assert not runs_code(stage)


@pytest.mark.parametrize("moment", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("strategy", ROUNDS)
@pytest.mark.parametrize("how", ["shutdown", "kill"])
async def test_mistake_21_a_supervisor_that_must_end_in_a_round(
    how: str, strategy: Any, moment: float
) -> None:
    """Told to stop in a round of restarts, it finishes that and stops all; killed, it does not."""
    stage = Stage()
    tree = [stage.child("a", start=[None, 1.0]), stage.child("b", start=[None, 1.0])]
    inner: Any = SupervisorSpec("in", tree, strategy=strategy, restart="temporary")
    async with stage.serve([inner]) as app:
        ref = app.find("in")
        stage.take()
        stage.crash("a")
        await settle()
        await anyio.sleep(moment)
        if how == "kill":
            ref.kill()
        else:
            await ref.shutdown(None)
        await ref.wait()
        trace = [entry for entry in stage.take() if entry[0] != "!"]
        assert not runs_code(stage)
    assert sorted(trace[:2]) == ["-in/a", "-in/b"]
    if how == "shutdown":
        assert trace[2:] == ["+in/a", "+in/b", "-in/b", "-in/a", "-in"]
    else:
        up = [entry[1:] for entry in trace if entry[0] == "+"]
        assert up == ["in/a", "in/b"][: len(up)]
        assert abs(len(up) - moment) <= 1.0  # whoever is due in this very moment may be ready
        assert trace[-1] == "-in"
        assert sorted(trace[2:-1]) == [*(f"+{id}" for id in up), *(f"-{id}" for id in up)]

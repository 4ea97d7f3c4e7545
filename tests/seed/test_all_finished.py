"""When all procs have finished, the tree ends well."""

import anyio
import pytest

from actors import CancellationToken, Shutdown, task
from supervision import AutoShutdown, ChildSpec, Restart, SupervisorSpec, serve

pytestmark = pytest.mark.dead_letters


def working(done: list[str], id: str, seconds: float) -> ChildSpec:  # type: ignore[type-arg]
    """Make a proc that is done after a while."""

    async def work(shutdown: CancellationToken) -> None:
        with anyio.move_on_after(seconds):
            await shutdown.wait()
        done.append(id)

    return ChildSpec(id, task(work), restart=Restart.TRANSIENT, significant=True)


async def test_the_tree_ends_well_with_its_last_proc() -> None:
    """When the last of the significant procs is done the tree ends, and nothing is raised."""
    done: list[str] = []
    tree = SupervisorSpec(
        "job",
        [working(done, "slow", 3.0), working(done, "quick", 1.0), working(done, "middle", 2.0)],
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    )
    async with serve(tree) as app:
        began = anyio.current_time()
        assert await app.wait() == Shutdown()
        assert anyio.current_time() - began == pytest.approx(3.0)
        assert done == ["quick", "middle", "slow"]


async def test_helpers_are_stopped_when_the_work_is_done() -> None:
    """Procs that are not significant are stopped when the significant ones have finished."""
    done: list[str] = []

    async def helper(shutdown: CancellationToken) -> None:
        await shutdown.wait()
        done.append("helper")

    tree = SupervisorSpec(
        "job",
        [ChildSpec("helper", task(helper)), working(done, "work", 1.0)],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    async with serve(tree) as app:
        await app.wait()
    assert done == ["work", "helper"]

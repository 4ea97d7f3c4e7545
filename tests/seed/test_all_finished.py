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


async def test_a_nested_tree_that_is_done_ends_its_parent() -> None:
    """A significant subtree that has finished lets the tree above finish as well."""
    done: list[str] = []
    inner = SupervisorSpec(
        "inner",
        [working(done, "a", 1.0), working(done, "b", 2.0)],
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        restart=Restart.TRANSIENT,
        significant=True,
    )
    tree = SupervisorSpec("job", [inner], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    async with serve(tree) as app:
        assert await app.wait() == Shutdown()
    assert done == ["a", "b"]


async def test_a_crash_on_the_way_does_not_count_as_finished() -> None:
    """A significant transient proc that crashes is started again, and finishes later."""
    attempts: list[float] = []

    async def flaky(shutdown: CancellationToken) -> None:
        attempts.append(anyio.current_time())
        await anyio.sleep(1.0)
        if len(attempts) < 3:
            raise ConnectionError("down")

    child = ChildSpec("flaky", task(flaky), restart=Restart.TRANSIENT, significant=True)
    tree = SupervisorSpec("job", [child], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    async with serve(tree) as app:
        assert await app.wait() == Shutdown()
    assert len(attempts) == 3


async def test_without_significant_procs_the_tree_stays() -> None:
    """A tree whose procs are done stays up when it was not said that their end matters."""
    done: list[str] = []

    async def once(shutdown: CancellationToken) -> None:
        done.append("once")

    child = ChildSpec("once", task(once), restart=Restart.TEMPORARY)
    async with serve(SupervisorSpec("job", [child])) as app:
        with anyio.move_on_after(100.0) as scope:
            await app.wait()
        assert scope.cancelled_caught
        assert done == ["once"]

"""Procs start in the order given, and each is ready before the next begins."""

import anyio
import pytest

from actors import CancellationToken, Proc, task
from supervision import ChildSpec, SupervisorSpec, serve

pytestmark = pytest.mark.dead_letters


def slow_starter(diary: list[str], id: str, seconds: float) -> type[Proc[object]]:
    """Make a proc class that takes its time to get ready, and says when it is."""

    class Slow(Proc[object]):
        async def on_start(self) -> None:
            diary.append(f"{id} begins")
            await anyio.sleep(seconds)
            diary.append(f"{id} is ready")

        async def run(self, shutdown: CancellationToken) -> None:
            diary.append(f"{id} runs")
            await shutdown.wait()

    return Slow


async def test_each_proc_is_ready_before_the_next_begins() -> None:
    """The slowest first, none begins before the one before it is ready."""
    diary: list[str] = []
    children = [
        ChildSpec(id, slow_starter(diary, id, seconds))
        for id, seconds in (("db", 30.0), ("cache", 20.0), ("web", 10.0))
    ]
    began = anyio.current_time()
    async with serve(SupervisorSpec("shop", children)):
        assert anyio.current_time() - began == pytest.approx(60.0)
        assert [entry for entry in diary if not entry.endswith("runs")] == [
            "db begins",
            "db is ready",
            "cache begins",
            "cache is ready",
            "web begins",
            "web is ready",
        ]
    assert {entry for entry in diary if entry.endswith("runs")} == {
        "db runs",
        "cache runs",
        "web runs",
    }


async def test_a_ready_proc_runs_while_the_next_starts() -> None:
    """Being ready is not being done: the first works while the second still starts."""
    ticks: list[float] = []

    async def tick(shutdown: CancellationToken) -> None:
        while not shutdown.cancelled:
            ticks.append(anyio.current_time())
            with anyio.move_on_after(1.0):
                await shutdown.wait()

    children = [ChildSpec("clock", task(tick)), ChildSpec("slow", slow_starter([], "slow", 10.5))]
    async with serve(SupervisorSpec("shop", children)):
        assert len(ticks) == 11

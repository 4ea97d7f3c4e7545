"""Tests of changes to a running tree that meet what is under way: a pending restart, a watch."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest

from actors import Actor, CancellationToken, on, task
from actors.testing import settle
from supervision import (
    Backoff,
    ChildSpec,
    ChildState,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    Watchdog,
    WhichChildren,
    serve,
)
from supervision.supervisors.hang_detector import FEW, HangDetector

pytestmark = pytest.mark.dead_letters

LOG: list[str] = []


class Moody(Actor[str]):
    """Write down its starts; the first so many of its restarts fail. Crash when told "crash"."""

    failures = 0

    def __init__(self, name: str, version: int) -> None:
        self.name, self.version = name, version

    async def on_start(self) -> None:
        """Start, or fail."""
        if self.name == "b" and LOG and Moody.failures:
            Moody.failures -= 1
            raise OSError("not yet")
        LOG.append(f"{self.name}{self.version}")

    @on(str)
    async def told(self, message: str) -> None:
        """Crash, or hang."""
        if message == "crash":
            raise ValueError
        await anyio.sleep_forever()


def tree(strategy: Any, *ids: str, version: int = 0) -> SupervisorSpec:
    """Make a tree of children, of which b waits between its restarts."""
    children = [
        ChildSpec(
            id,
            partial(Moody, id, version if id != "b" else 0),
            backoff=Backoff(10.0, 10.0, jitter=False) if id == "b" else None,
        )
        for id in ids
    ]
    return SupervisorSpec("top", children, strategy=strategy, max_restarts=99)


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_who_waits_for_a_sibling_is_started_by_the_round(strategy: str) -> None:
    """A change starts nobody ahead of one that is being restarted, if that one comes first."""
    LOG.clear()
    async with serve(tree(strategy, "b", "c")) as app:
        Moody.failures = 1
        app.find("b").tell("crash")
        await anyio.sleep(15)  # the restart was due at 10, and failed; the next is due at 20
        states = {child.id: child.state for child in await app.supervisor.ask(WhichChildren())}
        assert states == {"b": ChildState.RESTARTING, "c": ChildState.TERMINATED}
        LOG.clear()
        report = await app.apply(tree(strategy, "b", "c", "d", version=1))
        assert not report.failed
        await settle()
        assert LOG == []
        await anyio.sleep(10)
        assert LOG == ["b0", "c1", "d1"]
        states = {child.id: child.state for child in await app.supervisor.ask(WhichChildren())}
        assert set(states.values()) == {ChildState.RUNNING}


async def test_a_tighter_watchdog_holds_at_once() -> None:
    """After a change a child is watched by the new limit, not from the next look of the old on."""
    LOG.clear()

    def watched(limit: float) -> SupervisorSpec:
        start = partial(Moody, "a", 0)
        return SupervisorSpec("top", [ChildSpec("a", start, watchdog=Watchdog(handler=limit))])

    async with serve(watched(3600.0)) as app:
        await app.apply(watched(1.0))
        began = anyio.current_time()
        app.find("a").tell("hang")
        await app.find("a").wait()
        assert 1.0 <= anyio.current_time() - began <= 1.5
        assert len(LOG) >= 1


async def test_watches_over_those_that_are_gone_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brief children with long limits leave no watch behind: what waits is bounded by who lives."""

    async def work(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    seen: list[HangDetector] = []
    begin = HangDetector.begin

    def noted(self: HangDetector, *arguments: Any) -> None:
        seen.append(self)
        begin(self, *arguments)

    monkeypatch.setattr(HangDetector, "begin", noted)
    async with serve(DynamicSupervisorSpec("top")) as app:
        for number in range(5 * FEW):
            spec = ChildSpec(f"w{number}", task(work), watchdog=Watchdog(handler=86_400.0))
            await app.supervisor.ask(StartChild(spec))
            await app.supervisor.ask(TerminateChild(spec.id))
        (watches,) = set(seen)
        assert len(watches._watched) == 0
        assert len(watches._due) <= FEW + 1

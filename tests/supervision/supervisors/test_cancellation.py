"""Tests of what strikes a supervisor in each of its states: cancellation, kills and crashes.

Every test plays every scene of `scenes.py`. The stage checks after each one that no code runs any
more, that each start has its end, and that no task is left; the virtual clock that nothing hangs.
"""

import asyncio

import anyio
import pytest

from actors import Killed, Shutdown
from actors.testing import backend_options, settle
from supervision import (
    ChildStartFailed,
    IntensityExceeded,
    RestartChild,
    StartChild,
    TerminateChild,
    TreeExited,
)
from supervision.events import ChildRestarted
from tests.kit.errors import Boom
from tests.kit.scenes import SCENES, Outcome, Scene, host, play
from tests.kit.stage import Stage

pytestmark = pytest.mark.dead_letters

ALL = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
RUNNING = [name for name, scene in SCENES.items() if not scene.starting and not scene.leaving]
IN_SERVICE = pytest.mark.parametrize("scene", [SCENES[name] for name in RUNNING], ids=RUNNING)


def check_cancelled(scene: Scene, outcome: Outcome) -> None:
    """Check how a cancelled host ended: cancelled, unless its tree had an error to tell."""
    if scene.gives_up:
        # An error is worth more than the news that nobody waits any more.
        assert isinstance(outcome.error, TreeExited)
        assert str(outcome.error.__cause__) == "a"
        assert not outcome.cancelled
    else:
        assert outcome.error is None
        assert outcome.cancelled or scene.leaving


def starts(trace: list[str]) -> list[str]:
    """Return the starts in a trace."""
    return [entry for entry in trace if entry.startswith("+")]


@ALL
@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_the_host_is_cancelled(scene: Scene, how: str) -> None:
    """A cancelled host stops its tree in order, in whatever state it is, and is then cancelled."""
    stage = Stage()

    def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        if how == "cancel":
            scope.cancel()
        else:
            scope.deadline = anyio.current_time() + 0.1

    outcome = await play(stage, scene, strike)
    check_cancelled(scene, outcome)
    if scene.starting and how == "cancel":
        assert starts(stage.trace) in (["+a"], ["+a", "+in/x"], ["+a", "+b"])
    assert outcome.lasted <= 3.0


@ALL
@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_task_of_the_host_is_cancelled_the_asyncio_way(scene: Scene, times: int) -> None:
    """`Task.cancel`, once or repeatedly, leaves nothing behind, and is not swallowed."""

    async def main() -> None:
        stage = Stage()
        stage.losable += (StartChild, TerminateChild, RestartChild)
        outcome = Outcome()
        async with anyio.create_task_group() as stage.tasks:
            work = host(stage, scene, anyio.CancelScope(), outcome, None)
            task = asyncio.create_task(work)
            await anyio.sleep(0.5)
            for _ in range(times):
                task.cancel()
                await anyio.sleep(0.1)
            await asyncio.wait([task])
            gave_up = scene.gives_up and isinstance(outcome.error, TreeExited)
            assert task.cancelled() is not gave_up
            assert gave_up or outcome.error is None
        stage.check_gone()

    backend, options = backend_options("asyncio")
    anyio.run(main, backend=backend, backend_options=options)


@IN_SERVICE
@pytest.mark.parametrize("with_children", [False, True])
async def test_the_supervisor_is_killed(scene: Scene, with_children: bool) -> None:
    """A killed supervisor takes all with it at once, killed already or not; the caller is told."""
    stage = Stage()

    def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        children = list(stage.refs.values()) if with_children else []
        for ref in (*children, stage.top, *children):
            ref.kill()

    outcome = await play(stage, scene, strike)
    assert isinstance(outcome.error, TreeExited)
    assert with_children or outcome.error.reason == Killed()
    assert outcome.lasted <= 0.7


@IN_SERVICE
async def test_the_supervisor_is_told_to_stop(scene: Scene) -> None:
    """A supervisor that is told to stop ends well, in whatever state it is, or gives up."""
    stage = Stage()

    async def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        reason = await stage.top.shutdown(None)
        assert isinstance(reason, Shutdown)
        assert isinstance(reason.detail, IntensityExceeded) is scene.gives_up
        if not scene.gives_up:
            scope.cancel()

    outcome = await play(stage, scene, strike)
    assert isinstance(outcome.error, TreeExited) is scene.gives_up


@ALL
async def test_the_whole_system_is_killed(scene: Scene) -> None:
    """Killing the system ends every state at once, without a hang and without a leak."""
    stage = Stage()

    def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        if scene.starting:
            scope.cancel()
        else:
            stage.app.system.kill()

    outcome = await play(stage, scene, strike)
    if not scene.starting and not scene.leaving:
        assert isinstance(outcome.error, TreeExited)
        assert outcome.error.reason == Killed()


@pytest.mark.parametrize("how", ["crash", "kill"])
@pytest.mark.parametrize("victim", ["a", "b", "c"])
@ALL
async def test_a_child_is_struck(scene: Scene, victim: str, how: str) -> None:
    """A child that ends in any state of its supervisor neither hangs it nor is forgotten."""
    stage = Stage()

    def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        ref = stage.refs.get(victim)
        if ref is None:
            return
        if how == "kill":
            ref.kill()
        elif ref.is_alive:
            stage.crash(victim)

    outcome = await play(stage, scene, strike, stay=20.0)
    if outcome.error is not None:
        assert isinstance(outcome.error, TreeExited | ChildStartFailed)
        assert scene.gives_up or scene.starting
    assert not outcome.cancelled
    if scene.leaving:
        assert stage.told(ChildRestarted) == [], "nobody comes back once stopping has begun"


@IN_SERVICE
async def test_host_and_supervisor_are_struck_together(scene: Scene) -> None:
    """A kill and a cancellation in the same turn leave nothing behind either."""
    stage = Stage()

    def strike(stage: Stage, scope: anyio.CancelScope) -> None:
        stage.top.kill()
        scope.cancel()

    outcome = await play(stage, scene, strike)
    assert outcome.cancelled or isinstance(outcome.error, TreeExited)


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.leaving])
async def test_a_kill_shortens_the_shutdown(name: str) -> None:
    """A supervisor that is killed while it stops its children is gone at once, with them."""
    stage = Stage()
    outcome = await play(stage, SCENES[name], lambda stage, scope: stage.top.kill())
    assert outcome.lasted <= 0.7
    assert outcome.error is None


async def test_a_tree_that_is_giving_up_when_its_block_ends_is_told() -> None:
    """The crash that made a tree give up reaches the caller, though the block has ended well."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", stop=1.0)]
    async with stage.dying(children, max_restarts=0):
        stage.crash("a", error := Boom("a"))
        await settle()
    assert stage.exited.__cause__ is error
    assert stage.take() == ["+a", "+b", "-a", "-b"]

"""Scenes for tests of cancellation: each brings a supervisor into one state, for a second.

A scene is served by a host task of its own. `play` lets it run for half a second, so that the
state is there, then strikes: cancels the host, kills the supervisor, crashes a child, whatever.
The host's end is recorded in `Outcome`; that nothing is left is checked by the stage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
from attrs import define, frozen

from actors import ProcExited, Request
from supervision import (
    INFINITY,
    Backoff,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage

Spec = ChildSpec[Any]


@frozen
class Scene:
    """Describe a tree, and how it gets into the state that is meant.

    `starting`: the state is there while `serve` has not begun its block; `leaving`: it comes when
    the block is left. `gives_up`: it ends with the tree giving up.
    """

    tree: Callable[[Stage], Spec]
    go: Callable[[Stage], Awaitable[None] | None] = lambda stage: None
    starting: bool = False
    leaving: bool = False
    gives_up: bool = False


@define
class Outcome:
    """Record how the host of a scene ended, and when."""

    error: BaseException | None = None
    cancelled: bool = False
    lasted: float = 0.0


def top(stage: Stage, *children: Spec, **options: Any) -> Spec:
    """Make the tree of a scene, with a budget that is not its point."""
    return SupervisorSpec("top", children, **{"max_restarts": 20} | options)


def ask(stage: Stage, request: Request[Any]) -> None:
    """Ask the supervisor beside the scene; that it may end meanwhile is no matter."""

    async def asking() -> None:
        try:
            await stage.top.ask(request, timeout=None)
        except (ProcExited, ChildStartFailed):
            pass

    stage.tasks.start_soon(asking)


def three(strategy: str = "one_for_one", **scripts: Any) -> Callable[[Stage], Spec]:
    """Make three children of which b takes a second for something."""

    def make(stage: Stage) -> Spec:
        b = stage.child("b", **scripts)
        return top(stage, stage.child("a"), b, stage.child("c"), strategy=strategy)

    return make


def nested(**scripts: Any) -> Callable[[Stage], Spec]:
    """Make the same of a supervisor's child."""

    def make(stage: Stage) -> Spec:
        inner = SupervisorSpec("in", [stage.child("x"), stage.child("b", **scripts)])
        return top(stage, stage.child("a"), inner, stage.child("c"))

    return make


def _failing(stage: Stage) -> Spec:
    children = stage.child("a"), stage.child("b", **STOPPING), stage.child("c", start=[Boom()])
    return top(stage, *children)


def _parking(stage: Stage) -> Spec:
    """Make three children of which b is parked in the round of a, and c then takes a second."""
    b = stage.child("b", start=[None, Boom()], max_restarts=0, when_spent="park")
    children = stage.child("a"), b, stage.child("c", start=[None, 1.0])
    return top(stage, *children, strategy="one_for_all")


def _giving_up(stage: Stage) -> Spec:
    children = stage.child("a"), stage.child("b", **STOPPING), stage.child("c")
    return top(stage, *children, max_restarts=0)


def _ending(stage: Stage) -> Spec:
    a = stage.child("a", restart="temporary", significant=True)
    children = a, stage.child("b", **STOPPING), stage.child("c")
    return top(stage, *children, auto_shutdown="any_significant")


def crash(id: str) -> Callable[[Stage], None]:
    """Crash a child."""
    return lambda stage: stage.crash(id)


async def _terminate_then_restart(stage: Stage) -> None:
    await stage.top.ask(TerminateChild("b"))
    ask(stage, RestartChild("b"))


async def _start_a_job(stage: Stage) -> None:
    await stage.app.find("jobs").ask(StartChild(stage.child("b", **STOPPING)))


SLOW = Backoff(1.0, 1.0, jitter=False)
STOPPING: dict[str, Any] = {"stop": 1.0, "shutdown": INFINITY}
FAILS = [None, Boom(), Boom(), Boom()]

SCENES: dict[str, Scene] = {
    "starting child 2 of 3": Scene(three(start=[1.0]), starting=True),
    "starting a nested child": Scene(nested(start=[1.0]), starting=True),
    "stopping after a failed start": Scene(_failing, starting=True),
    "running": Scene(three()),
    "stop phase of one_for_all": Scene(three("one_for_all", **STOPPING), crash("a")),
    "start phase of one_for_all": Scene(three("one_for_all", start=[None, 1.0]), crash("a")),
    "stop phase of rest_for_one": Scene(three("rest_for_one", **STOPPING), crash("a")),
    "start phase of rest_for_one": Scene(three("rest_for_one", start=[None, 1.0]), crash("a")),
    "restarting one alone": Scene(three(start=[None, 1.0]), crash("b")),
    "waiting for a backoff": Scene(three("one_for_all", backoff=SLOW), crash("b")),
    "between retries": Scene(three("one_for_all", backoff=SLOW, start=FAILS), crash("b")),
    "retrying": Scene(
        three("rest_for_one", start=[None, Boom(), Boom(), 1.0, Boom(), Boom()]), crash("b")
    ),
    "going on without a parked child": Scene(_parking, crash("a")),
    "terminating a child": Scene(three(**STOPPING), lambda stage: ask(stage, TerminateChild("b"))),
    "starting a child by request": Scene(
        lambda stage: top(stage, stage.child("a"), stage.child("c")),
        lambda stage: ask(stage, StartChild(stage.child("b", start=[1.0]))),
    ),
    "restarting a child by request": Scene(three(start=[None, 1.0]), _terminate_then_restart),
    "giving up": Scene(_giving_up, crash("a"), gives_up=True),
    "shutting down automatically": Scene(_ending, lambda stage: stage.end("a")),
    "shutting down": Scene(three(**STOPPING), leaving=True),
    "shutting down a nested one": Scene(nested(**STOPPING), leaving=True),
    "shutting down a dynamic one": Scene(
        lambda stage: top(stage, stage.child("a"), DynamicSupervisorSpec("jobs")),
        _start_a_job,
        leaving=True,
    ),
}


async def play(
    stage: Stage,
    scene: Scene,
    strike: Callable[[Stage, anyio.CancelScope], Awaitable[None] | None],
    *,
    stay: float | None = None,
) -> Outcome:
    """Serve a scene in a host of its own, and strike when its state is there.

    The host leaves the block `stay` seconds after it began; by default never.
    """
    outcome = Outcome()
    scope = anyio.CancelScope()
    stage.losable += (StartChild, TerminateChild, RestartChild)  # in hand when it strikes
    async with anyio.create_task_group() as stage.tasks:
        stage.tasks.start_soon(partial(host, stage, scene, scope, outcome, stay))
        await anyio.sleep(0.5)
        struck = strike(stage, scope)
        if struck is not None:
            await struck
    return outcome


async def host(
    stage: Stage, scene: Scene, scope: anyio.CancelScope, outcome: Outcome, stay: float | None
) -> None:
    """Serve a scene until it is left, ends, or is cancelled."""
    began = anyio.current_time()
    try:
        with scope:
            async with stage.serve(scene.tree(stage)) as app:
                going = scene.go(stage)
                if going is not None:
                    await going
                if scene.leaving:
                    return
                if stay is None:
                    await app.wait()
                    await anyio.sleep_forever()
                await anyio.sleep(stay)
                if app.supervisor.is_alive:
                    await stage.states()
    except (TreeExited, Exception) as error:
        outcome.error = error
    finally:
        outcome.cancelled = scope.cancelled_caught
        outcome.lasted = anyio.current_time() - began

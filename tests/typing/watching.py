"""Watchdogs, vitals and stalls: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from typing import assert_type

from actors import (
    ActorSystem,
    CancellationToken,
    Child,
    Event,
    Exited,
    Place,
    Proc,
    Ref,
    Vitals,
    task,
)
from supervision import ChildSpec, DynamicSupervisorSpec, SupervisorSpec, Watchdog, run, serve
from supervision.errors import Wedged
from supervision.events import ChildHung, LoopStalled
from supervision.telemetry import LoopWatchdog


async def beating(shutdown: CancellationToken) -> None:
    """Be a plain coroutine function."""


class Owner(Proc[object]):
    """Own a child and look at it."""

    async def run(self, shutdown: CancellationToken) -> None:
        child: Child[str] = self.context.child("child")
        vitals = child.vitals()
        assert_type(vitals, Vitals | None)
        if vitals is not None:
            assert_type(vitals.work, object)
            assert_type(vitals.activity, str)
            assert_type(vitals.last_beat, float | None)
            vitals.activity = "idle"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        assert_type(child.stack(), tuple[Place, ...])
        child.fail(TimeoutError("hangs"))
        child.fail("hangs")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(self.context.beat(), None)
        self.context.beat(1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    def on_exit(self, exited: Exited) -> None:
        """Take note of an exit."""


def specs() -> None:
    """Give specs a watchdog."""
    dog = Watchdog(handler=30.0, heartbeat=10)
    assert_type(dog.handler, float | None)
    assert_type(dog.period, float)
    ChildSpec("a", task(beating), watchdog=dog)
    ChildSpec("a", task(beating), watchdog=None)
    ChildSpec("a", task(beating), watchdog=30.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Watchdog(30.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Watchdog(handler="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SupervisorSpec("top", watchdog=dog)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    DynamicSupervisorSpec("top", watchdog=dog)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def hear(event: Event) -> None:
    """Hear of what hangs."""
    match event:
        case ChildHung(ref=ref, error=error, seconds=seconds):
            assert_type(error, Wedged)
            assert_type(error.stack, tuple[Place, ...])
            assert_type(seconds, float)
            assert isinstance(ref, Ref)
        case LoopStalled(seconds=seconds, stack=stack):
            assert_type(seconds, float)
            assert_type(stack, tuple[Place, ...])
        case _:
            pass


async def loops(system: ActorSystem) -> None:
    """Watch an event loop."""
    with LoopWatchdog(system, 0.5, abort_after=60.0, say=print) as dog:
        assert_type(dog, LoopWatchdog)
    LoopWatchdog(0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    LoopWatchdog(system, say=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serve(SupervisorSpec("top"), stall_after=0.5, observe=[hear]):
        pass
    serve(SupervisorSpec("top"), stall_after="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run(SupervisorSpec("top"), stall_after=None, abort_after=None)


def runs() -> None:
    """Run with limits for stalls."""
    run(SupervisorSpec("top"), abort_after="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

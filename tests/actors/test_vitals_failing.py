"""Tests of ending a proc from outside, as if it had crashed where it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    Crashed,
    Killed,
    Proc,
    ProcExited,
    StopError,
)
from actors.testing import settle
from tests.actors.sleepers import (
    Brief,
    Hang,
    Napping,
    Query,
    Sleeper,
    Wrapped,
    own,
)

pytestmark = pytest.mark.dead_letters

each_kind = pytest.mark.parametrize("kind", [Sleeper, Wrapped, Napping])


@each_kind
async def test_fail_is_a_crash_where_it_hangs(kind: type[Sleeper]) -> None:
    """A failed child crashes with the error, whose traceback is the stack where it hung."""
    async with ActorSystem() as system:
        child = await own(system, kind)
        child.ref.tell(Hang())
        await settle()
        stack = child.stack()
        error = TimeoutError("hangs")
        child.fail(error)
        assert await child.ref.wait() == Crashed(error)
        frames = []
        step = error.__traceback__
        while step is not None:
            frames.append((step.tb_frame.f_code.co_qualname, step.tb_lineno))
            step = step.tb_next
        assert frames == [(place.function, place.line) for place in stack]


async def test_fail_fails_the_asker_and_runs_on_stop() -> None:
    """The asker of the request in hand gets ProcExited with the error; on_stop hears the reason."""
    reasons: list[object] = []

    class Stopping(Sleeper):
        async def on_stop(self, reason: Any) -> None:
            reasons.append(reason)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        child = await own(system, Stopping)
        raised: list[BaseException | None] = []

        async def ask() -> None:
            try:
                await child.ref.ask(Query(), timeout=1000)
            except ProcExited as error:
                raised.append(error.__cause__)

        tasks.start_soon(ask)
        await settle()
        error = TimeoutError("hangs")
        child.fail(error)
        await child.ref.wait()
        await settle()
        assert raised == [error]
        assert reasons == [Crashed(error)]


async def test_fail_ends_idle_and_dormant_actors_and_procs() -> None:
    """Fail works whatever the child does: waiting for mail, with and without a task, or looping."""

    class Looping(Proc[object]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for _ in self.context.inbox():
                pass
            await anyio.sleep_forever()

    async with ActorSystem() as system:
        for start in (Brief, Wrapped, Looping):
            child = await own(system, start)
            await settle()
            error = TimeoutError("silent")
            child.fail(error)
            child.fail(KeyError("too late"))
            assert await child.ref.wait() == Crashed(error)


async def test_fail_in_on_stop_kills() -> None:
    """A child that hangs in its own on_stop is killed, and the error is published."""

    class Hanging(Brief):
        async def on_stop(self, reason: Any) -> None:
            await anyio.sleep_forever()

    async with ActorSystem() as system:
        errors: list[BaseException] = []
        system.events.subscribe(
            lambda event: errors.append(event.error) if isinstance(event, StopError) else None
        )
        child = await own(system, Hanging)
        child.ref.stop()
        await settle()
        error = TimeoutError("hangs")
        child.fail(error)
        child.fail(KeyError("too late"))
        assert await child.ref.wait() == Killed()
        assert errors == [error]
        assert error.__traceback__ is not None


async def test_a_kill_wins_over_fail_and_fail_over_stop() -> None:
    """A kill after a fail makes it Killed; a stop after a fail changes nothing."""
    async with ActorSystem() as system:
        child = await own(system, Sleeper)
        child.ref.tell(Hang())
        await settle()
        child.fail(TimeoutError("hangs"))
        child.ref.kill()
        assert await child.ref.wait() == Killed()
        child = await own(system, Sleeper)
        child.ref.tell(Hang())
        await settle()
        error = TimeoutError("hangs")
        child.fail(error)
        child.tell_to_stop(5.0)
        assert await child.ref.wait() == Crashed(error)


async def test_fail_keeps_a_traceback_that_is_there() -> None:
    """An error that was raised somewhere keeps the traceback that it has."""
    async with ActorSystem() as system:
        child = await own(system, partial(Sleeper))
        try:
            raise TimeoutError("raised")
        except TimeoutError as error:
            raised = error
        before = raised.__traceback__
        child.ref.tell(Hang())
        await settle()
        child.fail(raised)
        await child.ref.wait()
        assert raised.__traceback__ is before

"""Tests of `actors.context.Proc`: its hooks, their order, and what lands in them."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from itertools import product

import anyio
import pytest

from actors import (
    ActorSystem,
    Crashed,
    ExitReason,
    Ignore,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    StopError,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Life, Trapper, crash, fail, given, obey, pair, raising, sleep

# -- the hooks of a proc ---------------------------------------------------------------------------


@pytest.mark.core
async def test_the_hooks_run_in_their_order() -> None:
    """First on_start, then run, then on_stop with the exit reason, in one task."""
    log: list[object] = []
    tasks: set[int] = set()

    async def note(_: object) -> None:
        tasks.add(anyio.get_current_task().id)

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, log, start=note, run=note, stop=note))
        assert await ref.wait() == Normal()
    assert log == ["start", "run", Normal(), "stop"]
    assert len(tasks) == 1
    assert anyio.get_current_task().id not in tasks


async def test_an_error_in_on_start_is_a_failed_start() -> None:
    """What on_start raises is the cause of StartFailed; neither run nor on_stop runs."""
    log: list[object] = []
    async with ActorSystem() as system:
        with pytest.raises(StartFailed) as caught:
            await system.spawn(partial(Life, log, start=crash), id="life")
        assert (caught.value.path, str(caught.value.__cause__)) == ("/life", "broken")
        assert isinstance(caught.value.reason, Crashed)
        assert system.snapshot() == ()
    assert log == ["start"]


async def test_ignore_in_on_start_means_not_needed() -> None:
    """Ignore is handed to whoever starts the proc, as itself; nothing of the proc stays."""
    log: list[object] = []

    async def ignore(_: object) -> None:
        raise Ignore("not today")

    async with ActorSystem() as system:
        with pytest.raises(Ignore, match="not today"), Recorder(system) as recorder:
            await system.spawn(partial(Life, log, start=ignore))
        assert system.snapshot() == ()
        assert recorder.events == []
    assert log == ["start"]


async def test_an_error_in_run_is_a_crash() -> None:
    """What run raises is the crash; on_stop runs with it."""
    log: list[object] = []
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            ref = await system.spawn(partial(Life, log, run=crash))
            reason = await ref.wait()
    assert log[2:] == [reason, "stop"]
    assert isinstance(reason, Crashed)
    assert raised.errors == [reason.error]


async def test_an_error_in_on_stop_turns_an_orderly_exit_into_a_crash() -> None:
    """What on_stop raises is the exit reason of a proc that would have ended orderly."""
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            with Recorder(system, StopError) as recorder:
                ref = await system.spawn(partial(Life, [], stop=crash))
                assert isinstance(await ref.wait(), Crashed)
            assert len(recorder) == 1
    assert raised.texts == ["broken"]


async def test_an_error_in_on_stop_does_not_hide_the_crash() -> None:
    """A proc that crashed and fails to tidy up keeps its reason; both errors are raised."""

    async def other(_: object) -> None:
        raise KeyError("other")

    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            ref = await system.spawn(partial(Life, [], run=crash, stop=other))
            reason = await ref.wait()
            assert isinstance(reason, Crashed)
            assert str(reason.error) == "broken"
    assert sorted(raised.texts) == ["'other'", "broken"]


async def test_a_kill_during_what_on_stop_has_started_is_a_kill() -> None:
    """A proc that is killed while children of its on_stop stop exits with Killed."""

    async def start_another(life: Life) -> None:
        await life.context.spawn(partial(Life, [], run=obey, stop=sleep))

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], stop=start_another))
        await settle()
        ref.kill()
        assert await ref.wait() == Killed()


async def test_on_stop_finds_the_children_gone() -> None:
    """The children have been stopped in reverse order before on_stop runs."""
    log: list[object] = []

    async def start_two(life: Life) -> None:
        for number in (1, 2):
            child = await life.context.spawn(
                given(Life([], run=obey)), id=str(number), shutdown=1.0
            )
            system.monitor(child, lambda down: log.append(down.ref.path))

    async with ActorSystem() as system:
        await system.spawn(partial(Life, log, start=start_two), id="top")
    assert log == ["start", "run", "/top/2", "/top/1", Normal(), "stop"]


@pytest.mark.parametrize("step", ["start", "stop"])
async def test_a_proc_may_spawn_in_each_step(step: str) -> None:
    """A child started in on_start or in on_stop is stopped with its parent as any other."""
    log: list[object] = []

    async def start_child(life: Life) -> None:
        await life.context.spawn(partial(Life, log, run=obey))

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], **{step: start_child}))
        assert await ref.wait() == Normal()
        assert log == ["start", "run", Shutdown(), "stop"]


@pytest.mark.parametrize("step", ["start", "run", "stop"])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_exiting_the_program_in_any_step_brings_the_system_down(
    step: str, kind: type[BaseException]
) -> None:
    """SystemExit and KeyboardInterrupt stop the others in order and are raised as themselves."""
    log: list[object] = []

    async def leave(_: object) -> None:
        raise kind(3)

    with raising(kind):
        async with ActorSystem() as system:
            await system.spawn(partial(Life, log, run=obey))
            await settle()
            await system.spawn(partial(Life, [], **{step: leave}))
            await anyio.sleep_forever()
    assert log == ["start", "run", Shutdown(), "stop"]


@pytest.mark.parametrize("told", [False, True])
async def test_a_proc_that_leaks_cancellation_has_crashed(
    told: bool, anyio_backend_name: str
) -> None:
    """A CancelledError that leaks out of a proc is a crash, unless it was told to stop."""
    if anyio_backend_name == "trio":
        pytest.skip("trio lets nobody make a Cancelled")

    async def leak(life: Life) -> None:
        if told:
            await life.context.shutdown
        raise anyio.get_cancelled_exc_class()

    with nullcontext() if told else raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            ref = await system.spawn(partial(Life, [], run=leak))
            if told:
                assert await ref.shutdown() == Shutdown()
            else:
                assert isinstance(await ref.wait(), Crashed)
    if raised is not None:
        assert [type(error) for error in raised.errors] == [anyio.get_cancelled_exc_class()]


@pytest.mark.parametrize("how", ["kill", "link"])
@pytest.mark.parametrize("step", ["start", "run"])
async def test_code_that_swallows_cancellation_is_cancelled_again(how: str, step: str) -> None:
    """Cancellation is a level: code that swallows it gets it again at its next await."""
    swallowed = 0

    async def stubborn(_: object) -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                swallowed += 1

    async with ActorSystem() as system:
        partner = await pair(system, Trapper)
        async with anyio.create_task_group() as group:

            async def start() -> None:
                try:
                    await system.spawn(partial(Life, [], **{step: stubborn}), id="life")
                except StartFailed as error:
                    reasons.append(error.reason)

            reasons: list[ExitReason] = []
            group.start_soon(start)
            await settle()
            ref = system.find("/life")
            assert ref is not None
            await partner.do(lambda self: self.context.link(ref))
            system.monitor(ref, lambda down: reasons.append(down.reason))
            (ref if how == "kill" else partner.ref).kill()
            await ref.wait()
        assert swallowed == 3
        for reason in reasons:
            assert isinstance(reason, Killed if how == "kill" else Crashed)
        assert len(reasons) == (2 if step == "start" else 1)


@pytest.mark.parametrize("step", ["start", "run", "stop"])
@pytest.mark.parametrize("watched", [True, False])
async def test_another_error_while_cancelled_is_not_lost(step: str, watched: bool) -> None:
    """What code raises while it is killed changes no reason; it is a StopError, and raised."""

    async def clumsy(_: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            fail()

    reasons: list[ExitReason] = []

    async def start(system: ActorSystem) -> None:
        try:
            await system.spawn(partial(Life, [], **{step: clumsy}), id="life")
        except StartFailed as error:
            reasons.append(error.reason)

    with raising(BaseExceptionGroup) if not watched else nullcontext() as raised:
        async with ActorSystem() as system:
            with Recorder(system, StopError) as recorder:
                async with anyio.create_task_group() as group:
                    group.start_soon(start, system)
                    await settle()
                    ref = system.find("/life")
                    assert ref is not None
                    if watched:
                        system.monitor(ref, lambda down: reasons.append(down.reason))
                    ref.kill()
                    assert await ref.wait() == Killed()
            assert [str(event.error) for event in recorder] == ["broken"]
    assert set(reasons) <= {Killed()}
    if raised is not None:
        assert raised.texts == ["broken"]


async def test_code_that_exits_the_program_while_it_is_cancelled_is_heard() -> None:
    """SystemExit counts also when it is raised in an on_start that is given up."""

    async def leave(_: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise SystemExit(3)

    with raising(SystemExit):
        async with ActorSystem() as system:
            with anyio.move_on_after(1):
                await system.spawn(partial(Life, [], start=leave))
            await anyio.sleep(1)


async def test_shielded_code_is_cut_short_on_asyncio_alone(anyio_backend_name: str) -> None:
    """On trio a kill waits for what user code has shielded, on asyncio it does not."""
    log: list[str] = []

    async def careful(_: object) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3)
            log.append("done")
        await anyio.sleep_forever()

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], run=careful))
        await settle()
        ref.kill()
        assert await ref.wait() == Killed()
    assert log == (["done"] if anyio_backend_name == "trio" else [])


class Odd(BaseException):
    """Be no Exception."""


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        *product(["start", "run", "stop"], [Odd, StopIteration, StopAsyncIteration]),
        ("run", Ignore),  # which means something in a start alone
    ],
)
async def test_an_odd_error_is_a_crash_like_any_other(step: str, kind: type[BaseException]) -> None:
    """Whatever is raised in a proc, its end is announced and the error is raised."""

    async def odd(_: object) -> None:
        raise kind

    with raising(BaseException) as raised:
        async with ActorSystem() as system:
            ref = await system.spawn(partial(Life, [], **{step: odd}))
            assert isinstance(await ref.wait(), Crashed)
    if step == "start":
        assert isinstance(raised.error, StartFailed)
    else:
        assert len(raised.errors) == 1


@pytest.mark.parametrize("gap", [None, 0.0, 0.0001, 0.3])
@pytest.mark.parametrize("rounds", [1, 2, 5])
async def test_cancelling_every_task_ends_everything(
    rounds: int, gap: float | None, anyio_backend_name: str
) -> None:
    """When somebody cancels all tasks of an asyncio loop, also repeatedly, all procs end."""
    if anyio_backend_name == "trio":
        pytest.skip("trio cancels scopes alone")
    ended: list[ExitReason] = []

    async def slow(_: object) -> None:
        await anyio.sleep(0.5)

    async def start(life: Life) -> None:
        for _ in range(3):
            await life.context.spawn(partial(Life, [], run=obey, stop=slow))

    async def own() -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(partial(Life, [], start=start, run=obey, stop=slow))
            system.monitor(ref, lambda down: ended.append(down.reason))
            await anyio.sleep_forever()

    owner = asyncio.ensure_future(own())
    await settle()
    others = {task for task in asyncio.all_tasks() if "/life" in task.get_name()} | {owner}
    for _ in range(rounds):
        for entry in others:
            entry.cancel()
        if gap is not None:
            await anyio.sleep(gap)
    with anyio.fail_after(100), raising(BaseException):
        await owner
    assert len(ended) == 1

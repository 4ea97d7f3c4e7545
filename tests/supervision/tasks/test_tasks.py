"""Tests of `Tasks.run`, `Tasks.start`, their limits, and the end of a `TaskSupervisor`."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import pytest

from actors import (
    Actor,
    ActorSystem,
    AskCycle,
    Crashed,
    ExitReason,
    Killed,
    Proc,
    ProcEnded,
    ProcExited,
    Refusal,
    Request,
    Shutdown,
    on,
)
from actors.testing import Recorder, settle
from supervision import (
    ChildExists,
    ChildSpec,
    ChildState,
    CountChildren,
    DynamicSupervisorSpec,
    SpecError,
    StartChild,
    Supervisor,
    SupervisorSpec,
    Tasks,
    TaskSupervisorSpec,
    TerminateChild,
    TooManyChildren,
    WhichChildren,
)
from supervision.events import ChildExited, Next
from supervision.tasks import TaskSupervisor
from tests.kit.errors import Boom
from tests.kit.tasks import Diary, double, fail, hang, ids, only, serving

# -- awaited ---------------------------------------------------------------------------------------


async def test_a_task_is_a_child_with_the_name_of_its_function() -> None:
    """A task that runs is listed among the children, under the name of its function."""
    async with serving() as (app, tasks), anyio.create_task_group() as group:
        group.start_soon(tasks.run, double, 1)
        group.start_soon(tasks.run, partial(partial(double), 1))
        group.start_soon(tasks.run, lambda: double(1))
        await settle()
        assert sorted(await ids(app)) == ["double", "double", "task"]
        assert all(
            info.state is ChildState.RUNNING for info in await app.supervisor.ask(WhichChildren())
        )


async def test_a_task_has_a_context_of_its_own() -> None:
    """A task neither sees nor changes the context variables of its caller."""
    variable = ContextVar("variable", default="default")

    async def look() -> str:
        found = variable.get()
        variable.set("changed")
        return found

    async with serving() as (_, tasks):
        variable.set("caller")
        assert await tasks.run(look) == "default"
        assert variable.get() == "caller"


async def test_callers_run_side_by_side() -> None:
    """Ten tasks of a second take a second; each caller has its result, and nothing is left."""
    results: list[int] = []
    async with serving() as (app, tasks):

        async def call(number: int) -> None:
            results.append(await tasks.run(double, number))

        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(call, number)
        assert anyio.current_time() - began == pytest.approx(1)
        assert sorted(results) == [2 * number for number in range(10)]
        assert await app.supervisor.ask(WhichChildren()) == ()


@pytest.mark.parametrize(
    "error",
    [Boom("x"), Refusal("no"), ProcExited("/a", Killed()), ExceptionGroup("two", [Boom(), Boom()])],
    ids=repr,
)
async def test_an_error_raises_in_the_caller_alone(error: Exception) -> None:
    """What an awaited task raises reaches its caller as it is, and nobody else."""
    async with serving(max_restarts=0) as (app, tasks):
        with Recorder(app.system, ProcEnded) as recorder:
            with pytest.raises(type(error)) as caught:
                await tasks.run(fail, error)
            assert caught.value is error
            assert [str(event.reason) for event in recorder.events] == ["normal"]
        assert await tasks.run(double, 1) == 2


async def test_a_cancellation_that_leaks_out_of_a_task_is_no_cancellation_of_the_caller() -> None:
    """A task that ends with a cancellation of its own has crashed, which its caller hears."""
    cancelled = anyio.get_cancelled_exc_class()
    if cancelled is not asyncio.CancelledError:
        pytest.skip("trio's cannot be made by hand")
    async with serving() as (_, tasks):
        with pytest.raises(ProcExited) as caught:
            await tasks.run(fail, cancelled())
        assert isinstance(caught.value.reason, Crashed)
        assert isinstance(caught.value.__cause__, cancelled)


@pytest.mark.parametrize("reason", [Killed(), Shutdown()], ids=str)
async def test_a_task_that_is_ended_raises_proc_exited(reason: ExitReason) -> None:
    """The caller of a task that is killed or terminated gets ProcExited with the task's path."""
    diary: Diary = []
    async with serving() as (app, tasks):

        async def call() -> None:
            with pytest.raises(ProcExited) as caught:
                await tasks.run(hang, diary)
            assert caught.value.reason == reason
            assert caught.value.path.startswith("/jobs/hang-")

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            child = await only(app)
            if reason == Killed():
                child.ref.kill()
            else:
                await app.supervisor.ask(TerminateChild(child.id))
        assert diary == ["hang begins", "hang is gone"]


async def test_a_result_in_spite_of_a_stop_is_a_result() -> None:
    """A task that catches its cancellation and returns has returned."""

    async def stubborn() -> str:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "done"
        raise AssertionError

    async with serving() as (app, tasks), anyio.create_task_group() as group:

        async def call() -> None:
            assert await tasks.run(stubborn) == "done"

        group.start_soon(call)
        await app.supervisor.ask(TerminateChild((await only(app)).id))


# -- cancelled callers -----------------------------------------------------------------------------


async def test_a_cancelled_caller_takes_its_task_along() -> None:
    """When a caller is cancelled, its task is cancelled, and gone before the caller goes on."""
    diary: Diary = []
    async with serving() as (app, tasks):
        began = anyio.current_time()
        with anyio.move_on_after(1):
            await tasks.run(hang, diary, 2.0)
        assert diary == ["hang begins", "hang is gone"]
        assert anyio.current_time() - began == pytest.approx(3)
        assert await ids(app) == []


async def test_a_task_that_will_not_go_is_killed() -> None:
    """A task that does not end within its shutdown time after a cancellation is killed."""
    diary: Diary = []
    async with serving(task_shutdown=3.0) as (app, tasks):
        began = anyio.current_time()
        with Recorder(app.system, ProcEnded) as recorder:
            with anyio.move_on_after(1):
                await tasks.run(hang, diary, 10.0)
            (event,) = recorder.events
            assert event.reason == Killed()
        # On trio, what is shielded holds up even a kill.
        shielded = anyio.get_cancelled_exc_class() is not asyncio.CancelledError
        assert anyio.current_time() - began == pytest.approx(11 if shielded else 4)
        assert await ids(app) == []


async def test_an_error_of_a_cancelled_task_is_a_crash() -> None:
    """What a task raises after its caller has gone is reported as its crash, not lost."""

    async def bad() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise Boom

    async with serving() as (app, tasks):
        with Recorder(app.system, ChildExited) as recorder:
            with anyio.move_on_after(1):
                await tasks.run(bad)
            await settle()
            (event,) = recorder.events
            assert event.next is Next.REMOVE
            assert isinstance(event.reason, Crashed)
            assert isinstance(event.reason.error, Boom)


@pytest.mark.parametrize("turns", range(12))
async def test_a_caller_may_be_cancelled_in_any_turn(turns: int) -> None:
    """In whichever turn of the loop a caller is cancelled, its task never begins or is gone."""
    diary: Diary = []
    async with serving() as (app, tasks):
        async with anyio.create_task_group() as group:
            group.start_soon(tasks.run, partial(hang, diary))
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert diary in ([], ["hang begins", "hang is gone"])
        begun = list(diary)
        await settle()
        assert diary == begun
        assert await ids(app) == []


async def test_a_caller_cancelled_while_the_supervisor_is_busy_goes_at_once() -> None:
    """A task that waits to be started when its caller is cancelled is never begun."""
    diary: Diary = []

    class Slow(Proc[Any]):
        async def on_start(self) -> None:
            await anyio.sleep(10)

        async def run(self, shutdown: object) -> None: ...

    async with serving() as (app, tasks), anyio.create_task_group() as group:
        slow = StartChild(ChildSpec("slow", Slow, restart="temporary"))
        group.start_soon(partial(app.supervisor.ask, slow, timeout=None))
        await settle()
        began = anyio.current_time()
        with anyio.move_on_after(1):
            await tasks.run(hang, diary)
        assert anyio.current_time() - began == pytest.approx(1)
        await anyio.sleep(20)
        assert diary == []
        assert await ids(app) == []


async def test_asyncio_cancels_a_caller_as_well() -> None:
    """A caller that is cancelled through its asyncio task takes its task along, too."""
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        pytest.skip("there are no asyncio tasks here")
    diary: Diary = []
    async with serving() as (_, tasks):
        caller = asyncio.create_task(tasks.run(hang, diary, 1.0))
        await settle()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert diary == ["hang begins", "hang is gone"]


@pytest.mark.parametrize("steps", [1, 2])
async def test_a_call_that_is_thrown_away_takes_its_task_along(steps: int) -> None:
    """A coroutine of a call that is closed before its end tells its task to go."""
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        pytest.skip("trio's cannot be driven by hand")
    diary: Diary = []
    async with serving() as (app, tasks):
        call = tasks.run(partial(hang, diary))
        for _ in range(steps):
            call.send(None)
            await settle()
        assert await ids(app) == ["hang"]
        call.close()
        await settle()
        assert await ids(app) == []
        assert diary == ["hang begins", "hang is gone"]


@pytest.mark.dead_letters
async def test_a_task_that_asks_its_waiting_caller_is_told_so() -> None:
    """A task that asks the actor which waits for it gets AskCycle, and not a timeout."""

    class Report(Request[str]):
        pass

    class Read(Request[str]):
        pass

    class Reader(Actor[Report | Read]):
        def __init__(self, tasks: Tasks) -> None:
            self.tasks = tasks

        async def read(self) -> str:
            return await self.context.ref.ask(Read())

        @on(Report)
        async def report(self, message: Report) -> str:
            return await self.tasks.run(self.read)

        @on(Read)
        def answer(self, message: Read) -> str:
            return "read"

    async with serving() as (app, tasks):
        reader = await app.system.spawn(partial(Reader, tasks), id="reader")
        app.system.monitor(reader, lambda down: None)
        with pytest.raises(ProcExited) as caught:
            await reader.ask(Report())
        assert isinstance(caught.value.__cause__, AskCycle)


# -- fire and forget -------------------------------------------------------------------------------


async def test_start_does_not_wait() -> None:
    """A task that is started runs on its own, and its ref can stop it."""
    diary: Diary = []
    async with serving() as (app, tasks):
        ref = await tasks.start(hang, diary)
        await settle()
        assert await ids(app) == ["hang"]
        assert await ref.shutdown() == Shutdown()
        assert diary == ["hang begins", "hang is gone"]
        await settle()
        assert await ids(app) == []


async def test_a_transient_task_is_restarted() -> None:
    """A transient task is called again after a crash, and leaves when it has returned."""
    calls: list[int] = []

    async def flaky(argument: int) -> None:
        calls.append(argument)
        if len(calls) < 3:
            raise Boom

    async with serving() as (app, tasks):
        await tasks.start(flaky, 7, restart="transient")
        await settle()
        assert calls == [7, 7, 7]
        assert await ids(app) == []


async def test_an_id_is_taken_once() -> None:
    """A task can be given an id, and a second one with it is refused while the first is there."""
    async with serving() as (app, tasks):
        ref = await tasks.start(anyio.sleep, 10, id="nightly")
        assert ref.path == "/jobs/nightly"
        with pytest.raises(ChildExists):
            await tasks.start(anyio.sleep, 10, id="nightly")
        await ref.wait()
        await tasks.start(anyio.sleep, 10, id="nightly")
        assert (await app.supervisor.ask(CountChildren())).active == 1


# -- limits, and mistakes --------------------------------------------------------------------------


async def test_too_many_tasks_are_refused() -> None:
    """A task beyond `max_tasks` is refused in its caller, and there is room again after an end."""
    async with serving(max_tasks=2) as (_, tasks):
        first = await tasks.start(anyio.sleep, 1)
        await tasks.start(anyio.sleep, 2)
        for call in (tasks.run(double, 1), tasks.start(anyio.sleep, 1)):
            with pytest.raises(TooManyChildren, match="max_tasks=2"):
                await call
        await first.wait()
        assert await tasks.run(double, 1) == 2
        assert await tasks.run(double, 2) == 4


@pytest.mark.parametrize("wrong", [None, "double"])
async def test_what_is_no_function_is_refused_at_the_door(wrong: Any) -> None:
    """Each call raises TypeError for what cannot be called, and names itself."""
    async with serving() as (_, tasks):
        with pytest.raises(TypeError, match="run wants a coroutine function"):
            await tasks.run(wrong)
        with pytest.raises(TypeError, match="start wants a coroutine function"):
            await tasks.start(wrong)
        with pytest.raises(TypeError, match="map wants a coroutine function"):
            tasks.map(wrong, [], limit=1)


async def test_what_is_no_coroutine_function_fails_in_its_caller() -> None:
    """A coroutine in place of its function, or a plain function, is a TypeError of the call."""
    async with serving() as (_, tasks):
        with pytest.raises(TypeError, match="give double, without calling it"):
            await tasks.run(double(1))  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await tasks.run(lambda: 5)  # type: ignore[arg-type, return-value]


def test_specs_and_handles_check_what_they_are_given() -> None:
    """A wrong option raises where it is written."""
    with pytest.raises(SpecError, match="jobs: max_tasks: -1 is negative"):
        TaskSupervisorSpec("jobs", max_tasks=-1)
    with pytest.raises(SpecError, match="jobs: max_tasks: '3' is not an int"):
        TaskSupervisorSpec("jobs", max_tasks="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Tasks wants the Ref"):
        Tasks("jobs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TaskSupervisor wants a TaskSupervisorSpec"):
        TaskSupervisor(DynamicSupervisorSpec("jobs"))  # type: ignore[arg-type]
    spec = TaskSupervisorSpec("jobs", max_tasks=3)
    assert repr(spec) == "TaskSupervisorSpec('jobs', max_tasks=3)"
    assert spec.kind == "supervisor"


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.dead_letters  # the request that nobody could answer any more
@pytest.mark.parametrize("how", ["shutdown", "kill", "stop"])
async def test_callers_hear_of_the_supervisors_end(how: str) -> None:
    """Callers whose supervisor is stopped or killed get ProcExited, and no task is left."""
    diary: Diary = []
    ended: list[type[Exception]] = []
    async with ActorSystem() as system:
        spec = SupervisorSpec("top", [TaskSupervisorSpec("jobs", restart="temporary")])
        await system.spawn(lambda: Supervisor(spec), id="top")
        jobs = system.find("/top/jobs")
        assert jobs is not None
        tasks = Tasks(jobs)

        async def call() -> None:
            try:
                await tasks.run(hang, diary)
            except ProcExited as error:
                ended.append(type(error))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
            await settle()
            group.start_soon(call)  # this one is still being started
            if how == "kill":
                jobs.kill()
            elif how == "stop":
                jobs.stop()
            else:
                await jobs.shutdown()
        assert ended == [ProcExited] * 4
        assert diary.count("hang begins") == diary.count("hang is gone")
        with pytest.raises(ProcExited):
            await tasks.run(hang, diary)
        with pytest.raises(ProcExited):
            await tasks.start(hang, diary)


async def test_a_task_takes_keyword_arguments() -> None:
    """`run` hands keyword arguments on to the function."""

    async def join(*parts: str, sep: str) -> str:
        return sep.join(parts)

    async with serving() as (_, tasks):
        assert await tasks.run(join, "a", "b", sep="-") == "a-b"

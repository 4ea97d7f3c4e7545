"""Tests of procs that live in work on the side: what is open is closed, wherever the end lands."""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    Crashed,
    ExitReason,
    Ignore,
    Killed,
    Normal,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    Ref,
    Shutdown,
    StartFailed,
    StopError,
)
from actors.testing import Recorder, settle
from supervision import ChildSpec, SupervisorSpec, TreeExited, serve
from supervision.adapters.functions import only_error
from supervision.adapters.hosted import Hosted
from tests.kit.errors import Boom

Body = Callable[["Open", CancellationToken], Awaitable[None]]


class Open(Hosted):
    """Note when it is open and when it is closed; the body does the rest."""

    def __init__(self, trace: list[str], body: Body) -> None:
        super().__init__()
        self.trace = trace
        self.body = body

    async def live(self, shutdown: CancellationToken) -> None:
        """Open, do it, close."""
        self.trace.append("open")
        try:
            await self.body(self, shutdown)
        finally:
            self.trace.append("closed")


async def obey(proc: Open, shutdown: CancellationToken) -> None:
    """Be ready, and wait for the end."""
    proc.ready()
    await shutdown.wait()
    proc.trace.append("told")


async def deaf(proc: Open, shutdown: CancellationToken) -> None:
    """Be ready, and take no notice of the token."""
    proc.ready()
    await anyio.sleep_forever()


async def brief(proc: Open, shutdown: CancellationToken) -> None:
    """End by itself, without ever having been ready."""


async def refuses(error: Exception, proc: Open, shutdown: CancellationToken) -> None:
    """Raise before it is ready."""
    raise error


async def crashes(proc: Open, shutdown: CancellationToken) -> None:
    """Raise in the very turn in which it is ready."""
    proc.ready()
    raise Boom("later")


async def closes_badly(proc: Open, shutdown: CancellationToken) -> None:
    """Raise while it is closing."""
    proc.ready()
    try:
        await anyio.sleep_forever()
    finally:
        raise Boom("closing")


async def test_ready_ends_the_start() -> None:
    """Whoever starts the proc waits until `live` says that it is ready."""
    trace: list[str] = []
    gate = anyio.Event()

    async def body(proc: Open, shutdown: CancellationToken) -> None:
        await gate.wait()
        assert not proc.is_ready
        proc.ready()
        proc.ready()
        assert proc.is_ready
        await shutdown.wait()

    async def spawn() -> None:
        await system.spawn(partial(Open, trace, body))
        trace.append("started")

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        tasks.start_soon(spawn)
        await settle()
        assert trace == ["open"]
        gate.set()
    assert trace == ["open", "started", "closed"]


async def fails_to_stop(proc: Open, shutdown: CancellationToken) -> None:
    """Raise after it was told to stop."""
    await obey(proc, shutdown)
    raise ERROR


ERROR = Boom("closing")


@pytest.mark.parametrize(
    ("body", "reason", "between"),
    [
        (obey, Shutdown(), ["told"]),
        (brief, Normal(), []),
        (deaf, Killed(), []),
        (fails_to_stop, Crashed(ERROR), ["told"]),
    ],
)
async def test_a_stop_lets_it_finish(body: Body, reason: ExitReason, between: list[str]) -> None:
    """It may return by itself, or at a stop, in its time; an error of its own is a crash."""
    trace: list[str] = []
    async with ActorSystem() as system:
        with Recorder(system, ProcStarted, ProcEnded, ProcFailedToStart) as recorder:
            proc = await system.spawn(partial(Open, trace, body))
            system.monitor(proc, lambda down: None)
            await settle()
            before = anyio.current_time()
            assert await proc.shutdown(3.0) == reason
            assert anyio.current_time() - before == (3.0 if body is deaf else 0.0)
        assert recorder.events == [ProcStarted(proc), ProcEnded(proc, reason)]
    assert trace == ["open", *between, "closed"]


async def test_an_error_before_it_is_ready_is_a_failed_start() -> None:
    """What `live` raises before `ready` is why the start failed, the same object, unwrapped."""
    trace: list[str] = []
    error = Boom("no")
    async with ActorSystem() as system:
        with pytest.raises(StartFailed) as caught:
            await system.spawn(partial(Open, trace, partial(refuses, error)))
        assert caught.value.reason == Crashed(error)
        with pytest.raises(Ignore):  # which means what it means in any `on_start`
            await system.spawn(partial(Open, trace, partial(refuses, Ignore())))
    assert trace == ["open", "closed"] * 2


async def test_an_error_after_it_was_ready_is_a_crash() -> None:
    """What `live` raises once it was ready is a crash of a proc that had started."""
    trace: list[str] = []
    async with ActorSystem() as system:
        with Recorder(system, ProcStarted, ProcEnded, ProcFailedToStart) as recorder:
            proc = await system.spawn(partial(Open, trace, crashes))
            system.monitor(proc, lambda down: None)
            reason = await proc.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, Boom)
        assert [type(event) for event in recorder.events] == [ProcStarted, ProcEnded]


def note_end(trace: list[str], event: object) -> None:
    """Note the announcement of an end."""
    if isinstance(event, ProcEnded | ProcFailedToStart):
        trace.append(f"ended {event.reason}")


async def test_killed_in_the_turn_in_which_it_starts() -> None:
    """A kill between the end of `on_start` and the beginning of `run` leaves nothing open."""
    trace: list[str] = []
    async with ActorSystem() as system:

        def kill(event: object) -> None:
            if isinstance(event, ProcStarted):
                event.ref.kill()

        system.events.subscribe(kill)
        system.events.subscribe(partial(note_end, trace))
        proc = await system.spawn(partial(Open, trace, deaf))
        assert await proc.wait() == Killed()
    assert trace == ["open", "closed", "ended killed"]


@pytest.mark.parametrize("in_the_same_turn", [False, True])
@pytest.mark.parametrize("how", ["kill", "shutdown", "cancel", "timeout"])
async def test_given_up_while_it_starts(how: str, in_the_same_turn: bool) -> None:
    """A start that is killed, stopped, cancelled or too slow leaves nothing open."""
    trace: list[str] = []
    started: list[Ref[object]] = []
    stuck = anyio.Event()

    async def body(proc: Open, shutdown: CancellationToken) -> None:
        started.append(proc.context.ref)
        stuck.set()
        if in_the_same_turn:
            proc.ready()
        await anyio.sleep_forever()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        system.events.subscribe(partial(note_end, trace))

        async def spawn() -> None:
            try:
                timeout = 5.0 if how == "timeout" else None
                await system.spawn(partial(Open, trace, body), start_timeout=timeout)
            except StartFailed:
                trace.append("failed")

        tasks.start_soon(spawn)
        await stuck.wait()
        if how == "kill":
            started[0].kill()
        elif how == "shutdown":
            await started[0].shutdown()
        elif how == "cancel":
            tasks.cancel_scope.cancel()
        else:
            await anyio.sleep(6)
    if in_the_same_turn:
        assert trace[0] == "open"
        assert trace.count("closed") == 1
        assert trace[-1].startswith("ended") or trace[-1] == "failed"
    else:
        assert trace[:2] == ["open", "closed"]
        assert "ended" in trace[2]
        assert ("failed" in trace) == (how != "cancel")


@pytest.mark.parametrize("turns", range(12))
async def test_killed_at_any_turn(turns: int) -> None:
    """Whichever turn of the loop a kill lands in, nothing is opened, or it is closed at the end."""
    trace: list[str] = []

    async def spawn() -> None:
        try:
            await (await system.spawn(partial(Open, trace, deaf), id="doomed")).wait()
        except StartFailed:
            pass

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        system.events.subscribe(partial(note_end, trace))
        tasks.start_soon(spawn)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        while (proc := system.find("/doomed")) is None:
            await anyio.lowlevel.checkpoint()
        proc.kill()
    assert trace in (["ended killed"], ["open", "closed", "ended killed"])


async def test_an_error_while_it_is_killed_is_not_lost() -> None:
    """What is raised while closing after a kill is told as a late error; the exit is Killed."""
    async with ActorSystem() as system:
        with Recorder(system, StopError) as recorder:
            proc = await system.spawn(partial(Open, [], closes_badly))
            system.monitor(proc, lambda down: None)
            await settle()
            proc.kill()
            assert await proc.wait() == Killed()
        assert [type(event.error) for event in recorder.events] == [Boom]


async def test_each_incarnation_opens_anew() -> None:
    """Under a supervisor every incarnation closes before the next one opens."""
    trace: list[str] = []

    async def body(proc: Open, shutdown: CancellationToken) -> None:
        proc.ready()
        await anyio.sleep(1)
        raise Boom

    spec = SupervisorSpec("top", [ChildSpec("open", partial(Open, trace, body))], max_restarts=2)
    with pytest.raises(TreeExited):
        async with serve(spec) as app:
            await app.wait()
    assert trace == ["open", "closed"] * 3


def test_one_error_is_taken_out_of_its_group() -> None:
    """A group of one is that error, with the cause that it had; others stay groups."""
    error = Boom("one")
    error.__cause__ = KeyError("cause")
    assert only_error(ExceptionGroup("", [error])) is error
    assert isinstance(error.__cause__, KeyError)
    group = ExceptionGroup("", [error, Boom("two")])
    assert only_error(group) is group

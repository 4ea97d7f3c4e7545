"""Tests of incarnations: whatever lands on a proc, in whichever phase, it ends properly.

The matrix at the top brings a proc into each phase of its life and lets each event land there; a
small model says how it must end. The fixture that watches every test sees to it that nothing is
left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Crashed,
    Down,
    Event,
    Exited,
    ExitReason,
    Killed,
    LinkBroken,
    Normal,
    Proc,
    ProcExited,
    ProcStarted,
    Ref,
    Request,
    Shutdown,
    StartFailed,
    on,
)
from actors.testing import settle, without_fast_paths

pytestmark = pytest.mark.dead_letters


@frozen
class Work(Request[str]):
    """Ask for the work of a phase."""


class BodyError(Exception):
    """Leave the block of the actor system."""


class Case:
    """Be one run of the matrix: the proc under test, its partner, and what was seen."""

    def __init__(self, group: anyio.abc.TaskGroup, event: Callable[[Case], None]) -> None:
        self.group = group
        self.event = event
        self.log: list[str] = []
        self.downs: list[ExitReason] = []
        self.start_error: StartFailed | None = None
        self.answer: object = None
        self.outcome: BaseException | None = None
        self.body_error: Exception | None = None
        self.over = anyio.Event()
        self.scope = anyio.CancelScope()
        self.task: asyncio.Task[object] | None = None
        self.system: ActorSystem
        self.partner: Partner
        self.subject: Proc[Work]
        self.ref: Ref[Work]

    def fire(self) -> None:
        """Let the event land now."""
        self.event(self)

    def bind(self, subject: Proc[Work]) -> Proc[Work]:
        """Keep the proc under test."""
        self.subject = subject
        return subject

    def watch(self) -> None:
        """Monitor the subject and link it to its partner."""
        ref = self.system.find("/subject")
        assert ref is not None
        self.ref = ref
        self.system.monitor(ref, self._heard)
        self.partner.context.link(ref)

    def _heard(self, down: Down) -> None:
        self.downs.append(down.reason)
        self.over.set()

    async def host(self, phase: type[Phase]) -> None:
        """Own the actor system."""
        if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
            self.task = asyncio.current_task()
        try:
            with self.scope:
                try:
                    await self._system(phase)
                except BaseException as error:
                    self.outcome = error
                    raise
        except (asyncio.CancelledError, BodyError):
            pass

    async def _system(self, phase: type[Phase]) -> None:
        async with ActorSystem() as system:
            self.system = system
            self.partner = Partner()
            await system.spawn(lambda: self.partner, id="partner")
            with anyio.move_on_after(60):
                try:
                    await phase.reach(self)
                except StartFailed as error:
                    self.start_error = error
                    self.over.set()
                await self.over.wait()
            if self.body_error is not None:
                raise self.body_error

    async def ask(self) -> None:
        """Ask the subject for its work, and keep what comes of it."""
        try:
            self.answer = await self.ref.ask(Work(), timeout=None)
        except ProcExited as error:
            self.answer = error


class Partner(Proc[object]):
    """Be linked to the subject, and survive it."""

    async def run(self, shutdown: CancellationToken) -> None:
        async for _ in self.context.inbox():
            pass

    def on_exit(self, exited: Exited) -> None:
        pass


class Logged:
    """Note when on_stop runs; it takes a second."""

    case: Case

    async def on_stop(self, reason: ExitReason) -> None:
        self.case.log.append("stop")
        await anyio.sleep(1)
        self.case.log.append("stopped")


class Phase(Logged, Actor[Work]):
    """Be a subject; `obeys` tells whether it stops soon when told to."""

    obeys = True

    def __init__(self, case: Case) -> None:
        self.case = case

    @on(Work)
    async def work(self, message: Work) -> str:
        return "done"

    @classmethod
    async def start(cls, case: Case) -> None:
        await case.system.spawn(lambda: case.bind(cls(case)), id="subject")
        case.watch()

    @classmethod
    async def reach(cls, case: Case) -> None:
        """Bring the subject into the phase, and let the event land."""
        await cls.start(case)
        await case.ref.ask(Work())
        await settle()
        case.fire()


class Parked(Phase):
    """Wait for mail."""


class WithoutTask(Phase):
    """Wait for the first mail; there is no task yet."""

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        await settle()
        case.fire()


class Hibernating(Phase):
    """Have worked, and let go of the task since."""

    hibernate_after = 1.0

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        await case.ref.ask(Work())
        await anyio.sleep(3)
        case.fire()


class Woken(Hibernating):
    """Be awake for the second time."""

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        for _ in range(2):
            await case.ref.ask(Work())
            await anyio.sleep(3)
        await case.ref.ask(Work())
        case.fire()


class Starting(Phase):
    """Be in on_start."""

    async def on_start(self) -> None:
        self.case.group.start_soon(self.go_on)
        await anyio.sleep_forever()

    async def go_on(self) -> None:
        self.case.watch()
        await settle()
        self.case.fire()

    @classmethod
    async def reach(cls, case: Case) -> None:
        await case.system.spawn(lambda: case.bind(cls(case)), id="subject")


class Ready(Phase):
    """Be ready, while the one who started it does not know yet."""

    async def on_start(self) -> None:
        self.case.watch()

    @classmethod
    async def reach(cls, case: Case) -> None:
        def started(event: Event) -> None:
            if isinstance(event, ProcStarted):
                case.fire()

        case.system.events.subscribe(started)
        await case.system.spawn(lambda: case.bind(cls(case)), id="subject")


class PlainHandler(Phase):
    """Be in a plain handler."""

    @on(Work)
    def work(self, message: Work) -> str:
        self.case.fire()
        return "done"

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        case.group.start_soon(case.ask)


class QueuedHandler(PlainHandler):
    """Be in a plain handler, in its own task."""

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        case.ref.tell(Work())
        await settle()


class Awaiting(Phase):
    """Be in a handler that waits for ever."""

    obeys = False

    @on(Work)
    async def work(self, message: Work) -> str:
        await anyio.sleep_forever()
        return "never"

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        case.group.start_soon(case.ask)
        await settle()
        case.fire()


class StartingChild(Awaiting):
    """Wait for a child that never gets ready."""

    @on(Work)
    async def work(self, message: Work) -> str:
        await self.context.spawn(NeverReady)
        return "never"


class Piping(Phase):
    """Have work on the side."""

    @on(Work)
    async def work(self, message: Work) -> str:
        self.context.pipe(anyio.sleep_forever(), into=lambda _: Work())
        return "done"


class StoppingChildren(Phase):
    """Be told to stop, and wait for a child that takes its time."""

    @on(Work)
    async def work(self, message: Work) -> str:
        await self.context.spawn(SlowToStop)
        return "done"

    @classmethod
    async def reach(cls, case: Case) -> None:
        await cls.start(case)
        await case.ref.ask(Work())
        case.ref.stop()
        await settle()
        case.fire()


class Stopping(StoppingChildren):
    """Be in on_stop."""

    @on(Work)
    async def work(self, message: Work) -> str:
        return "done"


class NeverReady(Proc[object]):
    """Start for ever."""

    async def on_start(self) -> None:
        await anyio.sleep_forever()

    async def run(self, shutdown: CancellationToken) -> None:
        raise AssertionError("it never got ready")


class SlowToStop(Proc[object]):
    """Take two seconds to stop."""

    async def run(self, shutdown: CancellationToken) -> None:
        await shutdown

    async def on_stop(self, reason: ExitReason) -> None:
        await anyio.sleep(2)


class Running(Logged, Proc[Work]):
    """Run for ever, deaf to the token."""

    obeys = False

    def __init__(self, case: Case) -> None:
        self.case = case

    async def run(self, shutdown: CancellationToken) -> None:
        await anyio.sleep_forever()

    @classmethod
    async def reach(cls, case: Case) -> None:
        await case.system.spawn(lambda: case.bind(cls(case)), id="subject")
        case.watch()
        await settle()
        case.fire()


class AwaitingToken(Running):
    """Wait for the token."""

    obeys = True

    async def run(self, shutdown: CancellationToken) -> None:
        await shutdown


class Reading(Running):
    """Wait at the inbox."""

    obeys = True

    async def run(self, shutdown: CancellationToken) -> None:
        async for _ in self.context.inbox():
            pass


# -- what lands ------------------------------------------------------------------------------------


def kill(case: Case) -> None:
    """Kill it."""
    case.system.find("/subject").kill()


def kill_twice(case: Case) -> None:
    """Kill it, and again."""
    kill(case)
    ref = case.system.find("/subject")
    if ref is not None:
        ref.kill()


def stop(case: Case) -> None:
    """Let it stop after what is queued."""
    case.system.find("/subject").stop()


def shut_down(case: Case) -> None:
    """Shut it down, with ten seconds of patience."""
    case.group.start_soon(partial(case.system.find("/subject").shutdown, timeout=10))


def shut_down_twice(case: Case) -> None:
    """Shut it down, and again."""
    shut_down(case)
    shut_down(case)


def break_link(case: Case) -> None:
    """Let its partner die."""
    case.partner.context.ref.kill()


def cancel_token(case: Case) -> None:
    """Cancel its own token."""
    case.subject.context.shutdown.cancel()


def cancel_scope(case: Case) -> None:
    """Cancel the scope of the system's owner."""
    case.scope.cancel()


def fail_body(case: Case) -> None:
    """Let the block of the system fail."""
    case.body_error = BodyError()
    case.over.set()


def cancel_task(case: Case) -> None:
    """Cancel the task of the system's owner; its scope on trio."""
    if case.task is None:
        case.scope.cancel()
    else:
        case.task.cancel()


def cancel_task_twice(case: Case) -> None:
    """Cancel it again when all is quiet."""

    async def again() -> None:
        await settle()
        cancel_task(case)

    cancel_task(case)
    case.group.start_soon(again)


PHASES = [
    *(Starting, Ready, WithoutTask, Hibernating, Woken, Parked, PlainHandler, QueuedHandler),
    *(Awaiting, StartingChild, Piping),
    *(StoppingChildren, Stopping, Running, AwaitingToken, Reading),
]
SLEEPING = [WithoutTask, Hibernating, Woken]
KILLS = [kill, kill_twice]
ORDERS = [shut_down, shut_down_twice, cancel_scope, cancel_task, fail_body]
EVENTS = [*KILLS, *ORDERS, stop, break_link, cancel_token, cancel_task_twice]


def expected(phase: type, event: object, native: bool) -> tuple[ExitReason, list[str]]:
    """Say how the subject must end, and how far on_stop must get."""
    stopping = phase in (StoppingChildren, Stopping)
    begun = ["stop"] if phase is Stopping else []
    if event in KILLS:
        return Killed(), begun
    if event is cancel_task_twice and native and phase is not Starting:
        # The first one tells it to stop, the second kills what is left.
        return Killed(), ["stop"] if phase.obeys and phase is not StoppingChildren else []
    if phase is Starting:
        return (LINK_BROKEN if event is break_link else Shutdown()), []
    if stopping:
        return Normal(), ["stop", "stopped"]
    if event is break_link:
        return LINK_BROKEN, ["stop", "stopped"]
    if not phase.obeys:
        return Killed(), []
    return (Normal() if event is stop else Shutdown()), ["stop", "stopped"]


LINK_BROKEN = Crashed(LinkBroken("/partner", Killed()))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
async def test_whatever_lands_in_any_phase_ends_in_order(
    phase: type[Phase], event: Callable[[Case], None], anyio_backend_name: str
) -> None:
    """Each event in each phase ends the proc once, with the right reason and its on_stop."""
    if phase is Starting and event is fail_body:
        pytest.skip("the body waits for the start")
    await run_case(phase, event, native=anyio_backend_name == "asyncio")


@pytest.mark.parametrize("event", [kill, shut_down, stop, break_link], ids=lambda e: e.__name__)
@pytest.mark.parametrize(
    "phase", [phase for phase in PHASES if phase not in SLEEPING], ids=lambda phase: phase.__name__
)
async def test_no_fast_path_makes_a_difference(
    phase: type[Phase], event: Callable[[Case], None]
) -> None:
    """What lands in a phase has the same consequences where nothing is done for speed alone."""
    with without_fast_paths():
        await run_case(phase, event, native=False)


async def run_case(phase: type[Phase], event: Callable[[Case], None], *, native: bool) -> None:
    """Run one case of the matrix, and compare it with what must be."""
    with anyio.fail_after(1000):
        async with anyio.create_task_group() as group:
            case = Case(group, event)
            group.start_soon(case.host, phase)
    reason, log = expected(phase, event, native)
    assert [repr(down) for down in case.downs] == [repr(reason)]
    assert case.log == log
    if phase is Starting and event in (*KILLS, break_link, shut_down, shut_down_twice):
        assert case.start_error is not None
        assert repr(case.start_error.reason) == repr(reason)
    if phase in (Awaiting, StartingChild):
        assert isinstance(case.answer, ProcExited)
        assert repr(case.answer.reason) == repr(reason)
    check_outcome(case, event)


def check_outcome(case: Case, event: object) -> None:
    """See that the host ended by what was done to it, and by nothing else."""
    if event is fail_body:
        assert isinstance(case.outcome, BodyError)
    elif event in (cancel_scope, cancel_task, cancel_task_twice):
        assert isinstance(case.outcome, anyio.get_cancelled_exc_class())
    else:
        assert case.outcome is None

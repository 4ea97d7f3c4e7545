"""Tests of what both kinds of supervisor have in common: requests, and the books on a child."""

from contextlib import suppress
from typing import Any, Never, cast

import anyio
import pytest

from actors import (
    Actor,
    ActorSystem,
    AnyRef,
    CancellationToken,
    Crashed,
    Killed,
    Proc,
    Shutdown,
    task,
)
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    Backoff,
    ChildInfo,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    DeleteChild,
    DynamicSupervisorSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from supervision.supervisors.child import ChildRecord, shutdown_timeout, start_failed
from supervision.supervisors.plan import Member
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Worker, forever

pytestmark = pytest.mark.dead_letters

KINDS = pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
Kind = type[SupervisorSpec] | type[DynamicSupervisorSpec]


def test_patience_is_the_time_that_a_child_gets() -> None:
    """Seconds stay as they are, infinity is no limit, and a brutal kill gives no time."""
    stage = Stage()
    cases = {2.5: 2.5, 0: 0, INFINITY: None, BRUTAL_KILL: 0.0}
    for shutdown, expected in cases.items():
        assert shutdown_timeout(stage.child("a", shutdown=shutdown)) == expected
    assert shutdown_timeout(SupervisorSpec("in")) is None


def test_a_failed_start_carries_its_crash() -> None:
    """The error for a child that did not start has its crash as cause, if there was one."""
    error = Boom("no")
    assert start_failed("a", Crashed(error)).__cause__ is error
    assert start_failed("a", Killed()).__cause__ is None
    assert str(start_failed("a", Killed())) == "a failed to start: killed"


@KINDS
async def test_a_flood_of_requests_delays_no_stop(kind: Kind) -> None:
    """A stop overtakes the requests that wait; they become dead letters."""
    stage = Stage()
    stage.losable += (WhichChildren,)
    async with stage.serve(kind("top")) as app:
        for _ in range(1000):
            app.supervisor.tell(WhichChildren())
        assert await app.supervisor.shutdown() == Shutdown()


@KINDS
async def test_a_start_that_catches_everything_cannot_hold_its_supervisor(kind: Kind) -> None:
    """A half-started child that swallows cancellation is cancelled again until it is gone."""
    stage = Stage()
    swallowed = 0

    async def stubborn(worker: Worker) -> None:
        nonlocal swallowed
        for _ in range(3):
            try:
                await anyio.sleep(100.0)
            except BaseException:
                swallowed += 1

    async with stage.serve(kind("top")) as app:
        spec = stage.child("a", start=[stubborn], start_timeout=1.0)
        began = anyio.current_time()
        with pytest.raises(ChildStartFailed, match=r"^a failed to start: TimeoutError"):
            await app.supervisor.ask(StartChild(spec))
        assert swallowed == 3
        assert anyio.current_time() - began == pytest.approx(1.0, abs=0.5)


def test_requests_are_frozen_values() -> None:
    """Requests compare by value and cannot be changed; nor can what they are answered with."""
    assert TerminateChild("a") == TerminateChild("a") != TerminateChild("b")
    assert repr(DeleteChild("a")) == "DeleteChild(id='a')"
    with pytest.raises(AttributeError):
        RestartChild("a").id = "b"  # type: ignore[misc]
    info = ChildInfo("a", cast("Any", None), ChildState.RUNNING, 0, "worker")
    assert (info.restart_in, info.failures) == (None, 0), "nothing is pending unless it is said"
    with pytest.raises(AttributeError):
        info.failures = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("db", "StartChild: spec: 'db' is not a ChildSpec"),
        (None, "StartChild: spec: None is not a ChildSpec"),
        (ChildSpec, f"StartChild: spec: {ChildSpec!r} is not a ChildSpec"),
    ],
)
def test_start_child_takes_a_spec(value: object, text: str) -> None:
    """`StartChild` of something else is refused when it is made."""
    with pytest.raises(SpecError) as caught:
        StartChild(value)  # type: ignore[arg-type]
    assert str(caught.value) == text


async def test_a_told_request_is_carried_out() -> None:
    """A request that is told instead of asked is carried out; a refusal of it goes nowhere."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0) as app:
        app.supervisor.tell(TerminateChild("ghost"))
        app.supervisor.tell(StartChild(stage.child("a")))
        app.supervisor.tell(StartChild(stage.child("bad", start=[Boom()])))
        app.supervisor.tell(TerminateChild("a"))
        await settle()
        infos = await app.supervisor.ask(WhichChildren())
        assert [(info.id, str(info.state)) for info in infos] == [("a", "terminated")]
        assert all(isinstance(info, ChildInfo) for info in infos)


# -- the books on one child ------------------------------------------------------------------------


async def nothing(shutdown: CancellationToken) -> None:
    """Do nothing."""


class Owner(Actor[Never]):
    """Own the address of a child that never runs."""

    async def on_start(self) -> None:
        """Open the books."""
        spec = ChildSpec("a", task(nothing), backoff=Backoff(1.0, 8.0))
        self.record = ChildRecord(spec, self.context.child(spec.id))


async def test_what_is_shown_follows_the_state() -> None:
    """`restart_in` is there while restarting, never negative; failures fade when healthy."""
    owner = Owner()
    async with ActorSystem() as system:
        await system.spawn(lambda: owner)
        record = owner.record
        record.failures, record.ready_at, record.due = 2, 10.0, 20.0
        shown: dict[ChildState, tuple[object, ...]] = {}
        for record.state in ChildState:
            first, later = record.info(15.0), record.info(21.0)
            shown[record.state] = (
                first.restart_in,
                later.restart_in,
                first.failures,
                later.failures,
            )
        down = (None, None, 2, 2)
        assert shown == {
            ChildState.RUNNING: (None, None, 2, 0),
            ChildState.TERMINATED: down,
            ChildState.RESTARTING: (5.0, 0.0, 2, 2),
            ChildState.PARKED: down,
        }
        assert record.member == Member("a", state=ChildState.PARKED)


@KINDS
async def test_requests_wait_as_long_as_the_specs_allow(kind: Kind) -> None:
    """Without a timeout a request waits for slow starts and stops, its own and those before it."""
    stage = Stage()
    async with stage.serve(kind("top")) as app, anyio.create_task_group() as tasks:
        top = app.supervisor
        slow = stage.child("a", start=[60.0], start_timeout=100.0, stop=60.0, shutdown=100.0)
        began = anyio.current_time()
        tasks.start_soon(top.ask, StartChild(slow))
        await settle()
        assert [info.id for info in await top.ask(WhichChildren())] == ["a"]
        assert anyio.current_time() - began == pytest.approx(60.0)
        await top.ask(TerminateChild("a"))
        assert anyio.current_time() - began == pytest.approx(120.0)


@KINDS
@pytest.mark.parametrize(
    ("step", "seconds"), [(6.0, 6.0), (forever, 10.0)], ids=["slow", "endless"]
)
async def test_a_start_in_hand_cannot_hold_up_the_end(
    kind: Kind, step: Any, seconds: float
) -> None:
    """A start that is in hand when the tree is left goes on for a while, and is then cut short."""
    stage = Stage()
    request = StartChild(stage.child("a", start=[step]))

    async def ask(top: AnyRef) -> None:
        with suppress(ChildStartFailed):
            await top.ask(request)

    async with anyio.create_task_group() as tasks:
        async with stage.serve(kind("top")) as app:
            tasks.start_soon(ask, app.supervisor)
            await settle()
            began = anyio.current_time()
        assert anyio.current_time() - began == pytest.approx(seconds)


async def test_a_round_in_hand_cannot_hold_up_the_end() -> None:
    """Each start of a round that goes on after the tree is left is cut short after a while."""
    stage = Stage()
    slow, endless = stage.child("a", start=[None, 6.0]), stage.child("b", start=[None, forever])
    async with stage.serve([slow, endless], strategy="one_for_all"):
        stage.crash("a")
        await settle()
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(16.0)


class Unresolved(Proc["NotThere"]):  # type: ignore[name-defined]
    """A proc whose messages are imported for type checkers only."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        await shutdown.wait()


class Unprintable:
    """A detail of a reason that cannot be printed."""

    def __str__(self) -> str:
        raise Boom("no text")


@KINDS
async def test_what_belongs_to_a_child_harms_no_supervisor(kind: Kind) -> None:
    """An annotation that cannot be resolved and a reason without a text are that child's alone."""
    stage = Stage()
    async with stage.serve(kind("top")) as app:
        top = app.supervisor
        await top.ask(StartChild(stage.child("a", restart="transient")))
        await top.ask(StartChild(stage.child("b")))
        with pytest.raises(ChildStartFailed, match="c failed to start: TypeError"):
            await top.ask(StartChild(ChildSpec("c", Unresolved)))
        stage.end("a", Shutdown(Unprintable()))
        await settle()
        assert (await stage.states(top))["b"] == "running"


@KINDS
async def test_a_bad_spec_is_a_bad_spec_also_when_its_id_is_taken(kind: Kind) -> None:
    """What cannot be meant is said before what cannot be had, as in OTP."""
    stage = Stage()
    async with stage.serve(kind("top")) as app:
        await app.supervisor.ask(StartChild(stage.child("a")))
        bad = stage.child("a", significant=True, restart="transient")
        with pytest.raises(SpecError, match="significant"):
            await app.supervisor.ask(StartChild(bad))

"""Tests of the events that tell what supervisors decide."""

import anyio
import pytest

from actors import Crashed, Event, Ignore, Killed, Normal, ProcEnded, ProcStarted, Shutdown
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
    Backoff,
    ChildStartFailed,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from supervision.events import (
    ChildExited,
    ChildRemoved,
    ChildRestarted,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)
from tests.supervision.kit import DECISIONS, Boom, Stage

pytestmark = pytest.mark.dead_letters


def test_each_decision_is_an_event() -> None:
    """All decisions of supervisors are events of the one stream, and frozen."""
    assert all(issubclass(kind, Event) for kind in DECISIONS)
    event = SupervisorEnding.__attrs_attrs__  # type: ignore[attr-defined]
    assert [field.name for field in event] == ["ref", "id"]


async def test_a_restart_is_told_from_exit_to_readiness() -> None:
    """A crash is followed by its decision, the new start, and the news that it is ready."""
    stage = Stage()
    heard: list[Event] = []
    tree = SupervisorSpec("top", [stage.child("a")])
    async with serve(tree, observe=[heard.append]) as app:
        ref = app.find("a")
        heard.clear()
        stage.crash("a", error := Boom())
        await settle()
        kinds = (ProcStarted, ProcEnded, *DECISIONS)
        assert [type(event) for event in heard if isinstance(event, kinds)] == [
            ProcEnded,
            ChildExited,
            ProcStarted,
            ChildRestarted,
        ]
        assert ChildExited(ref, Crashed(error), 0, Next.RESTART) in heard
        assert ChildRestarted(ref, 1) in heard


@pytest.mark.parametrize(
    ("restart", "next"),
    [
        ("permanent", Next.RESTART),
        ("transient", Next.KEEP),
        ("temporary", Next.REMOVE),
    ],
)
async def test_what_comes_next_is_said(restart: str, next: Next) -> None:
    """The event of an exit says what the supervisor does about it."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart=restart)]):
        stage.end("a")
        await settle()
    (event,) = stage.told(ChildExited)
    assert (event.ref, event.reason, event.next) == (stage.refs["a"], Normal(), next)


@pytest.mark.parametrize("way", ["end", "ignore", "terminate", "fail"])
async def test_a_child_that_is_forgotten_is_an_event(way: str) -> None:
    """Whenever a child leaves its supervisor, that is published once, with its ref."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top")) as app:
        removed: list[ChildRemoved] = []
        app.system.events.subscribe(
            lambda event: removed.append(event) if isinstance(event, ChildRemoved) else None
        )
        if way == "fail":
            with pytest.raises(ChildStartFailed):
                await app.supervisor.ask(StartChild(stage.child("a", start=[Boom()])))
        else:
            child = stage.child("a", restart="transient", start=[None, Ignore()])
            await app.supervisor.ask(StartChild(child))
            assert removed == []
        if way == "end":
            stage.end("a")
        elif way == "ignore":
            stage.crash("a")
        elif way == "terminate":
            await app.supervisor.ask(TerminateChild("a"), timeout=None)
        await settle()
        assert [event.ref.path for event in removed] == ["/top/a"]


async def test_a_dynamic_supervisor_says_that_it_removes_a_child() -> None:
    """A transient child that ended well leaves its dynamic supervisor, which says so."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top")) as app:
        await app.supervisor.ask(StartChild(stage.child("a", restart="transient")))
        stage.end("a")
        await settle()
    assert [event.next for event in stage.told(ChildExited)] == [Next.REMOVE]


async def test_a_waiting_restart_says_how_long() -> None:
    """With a backoff the event says that the restart comes later, and when."""
    stage = Stage()
    slow = Backoff(2.0, 60.0, jitter=False)
    async with stage.serve([stage.child("a", backoff=slow, start=[None, Boom("again")])]):
        stage.crash("a")
        await anyio.sleep(30.0)
    (exited,) = stage.told(ChildExited)
    (failed,) = stage.told(RestartFailed)
    assert (exited.next, exited.delay) == (Next.WAIT, 2.0)
    assert (failed.next, failed.delay, str(failed.reason)) == (
        Next.WAIT,
        4.0,
        "crashed: Boom: again",
    )


async def test_a_failed_restart_is_told() -> None:
    """A restart that did not succeed is told with its reason, and that it is tried again."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, error := Boom("again")])]):
        stage.crash("a")
        await settle()
    (event,) = stage.told(RestartFailed)
    assert event == RestartFailed(stage.refs["a"], Crashed(error), Next.RESTART, 0.0)


async def test_giving_up_is_told_once_with_its_error() -> None:
    """A supervisor that gives up says so once, before it stops its children."""
    stage = Stage()
    async with stage.dying(stage.children("ab"), max_restarts=0) as app:
        top = app.supervisor
        stage.crash("a")
        await app.wait()
    kinds = [type(event) for event in stage.decisions]
    assert kinds == [ChildExited, SupervisorGaveUp, ChildStopped]
    (event,) = stage.told(SupervisorGaveUp)
    assert event.ref == top
    assert event.error.path == "/top"
    assert stage.told(ChildExited)[0].next is Next.GIVE_UP


async def test_automatic_shutdown_is_told_with_the_child() -> None:
    """A supervisor that shuts down automatically says which child was the reason."""
    stage = Stage()
    child = stage.child("a", restart="temporary", significant=True)
    async with stage.serve([child], auto_shutdown="any_significant") as app:
        top = app.supervisor
        stage.end("a")
        await app.wait()
    assert stage.told(SupervisorEnding) == [SupervisorEnding(top, "a")]


async def test_each_stopped_child_is_told() -> None:
    """Stopping is told child by child, with the reason, the time, and whether it was expected."""
    stage = Stage()
    children = [
        stage.child("good", stop=1.5),
        stage.child("killed", shutdown=BRUTAL_KILL),
        stage.child("late", shutdown=1.0, stop=9.0),
        stage.child("bad", stop=Boom("bad")),
    ]
    async with stage.serve(children):
        pass
    told = [
        (event.ref.path, str(event.reason), event.expected, round(event.seconds, 3))
        for event in stage.told(ChildStopped)
    ]
    assert told == [
        ("/top/bad", "crashed: Boom: bad", False, 0.0),
        ("/top/late", "killed", False, 1.0),
        ("/top/killed", "killed", True, 0.0),
        ("/top/good", "shutdown", True, 1.5),
    ]


async def test_a_broken_handler_disturbs_no_supervisor() -> None:
    """An event handler that raises is reported at the end, and the tree goes on meanwhile."""
    stage = Stage()

    def broken(event: Event) -> None:
        if isinstance(event, ChildExited):
            raise Boom("handler")

    tree = SupervisorSpec("top", [stage.child("a")])

    async def crash_once() -> None:
        async with serve(tree, observe=[broken, stage.hear]):
            stage.crash("a")
            await settle()
            assert stage.take() == ["+a", "-a", "+a"]

    with pytest.raises(BaseExceptionGroup) as caught:
        await crash_once()
    assert [str(error) for error in caught.value.exceptions] == ["handler"]


def test_events_are_values() -> None:
    """Events compare by value, so that a test can write down what it expects."""
    reason = Shutdown()
    ref: object = object()
    one = ChildStopped(ref, reason, True, 0.5)  # type: ignore[arg-type]
    same = ChildStopped(ref, Shutdown(), True, 0.5)  # type: ignore[arg-type]
    assert one == same
    assert one != ChildStopped(ref, Killed(), True, 0.5)  # type: ignore[arg-type]

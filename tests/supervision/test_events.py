"""Tests of the events that tell what supervisors decide."""

import pytest

from actors import Crashed, Event, Ignore, ProcEnded, ProcStarted
from actors.testing import settle
from supervision import (
    BRUTAL_KILL,
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
)
from tests.kit.errors import Boom
from tests.kit.stage import DECISIONS, Stage

pytestmark = pytest.mark.dead_letters


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


async def test_a_failed_restart_is_told() -> None:
    """A restart that did not succeed is told with its reason, and that it is tried again."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, error := Boom("again")])]):
        stage.crash("a")
        await settle()
    (event,) = stage.told(RestartFailed)
    assert event == RestartFailed(stage.refs["a"], Crashed(error), Next.RESTART)


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

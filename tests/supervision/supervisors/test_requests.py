"""Tests of the requests as values, and of the exact text of each refusal."""

import pytest

from actors import Refusal, Request
from actors.testing import settle
from supervision import (
    Backoff,
    ChildInfo,
    ChildSpec,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChild,
    GetChildSpec,
    RestartChild,
    SpecError,
    StartChild,
    SupervisionError,
    TerminateChild,
    WhichChildren,
)
from tests.supervision.kit import Boom, Life, Stage

pytestmark = pytest.mark.dead_letters


def test_requests_are_frozen_values() -> None:
    """Requests compare by value and cannot be changed."""
    assert TerminateChild("a") == TerminateChild("a") != TerminateChild("b")
    assert repr(DeleteChild("a")) == "DeleteChild(id='a')"
    with pytest.raises(AttributeError):
        RestartChild("a").id = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    "kind",
    [
        StartChild,
        TerminateChild,
        RestartChild,
        DeleteChild,
        WhichChildren,
        CountChildren,
        GetChild,
        GetChildSpec,
    ],
)
def test_every_message_of_a_supervisor_is_a_request(kind: type) -> None:
    """Each message of a supervisor is answered, so each is a request."""
    assert issubclass(kind, Request)


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


REFUSED = [
    (
        "StartChild running",
        "ChildExists: child 'a' is already started as /top/a",
    ),
    (
        "StartChild down",
        "ChildExists: child 'down' is already present but not running; restart or delete it",
    ),
    ("StartChild failing", "ChildStartFailed: new failed to start: Boom: no"),
    (
        "StartChild significant",
        "SpecError: top/new: significant: means nothing under auto_shutdown 'never'; give the "
        "supervisor 'any_significant' or 'all_significant'",
    ),
    ("TerminateChild ghost", "ChildNotFound: there is no child 'ghost'"),
    ("RestartChild ghost", "ChildNotFound: there is no child 'ghost'"),
    ("RestartChild a", "ChildRunning: child 'a' is running; terminate it first"),
    ("RestartChild again", "ChildRestarting: child 'again' is being restarted; terminate it first"),
    ("DeleteChild ghost", "ChildNotFound: there is no child 'ghost'"),
    ("DeleteChild a", "ChildRunning: child 'a' is running; terminate it first"),
    ("DeleteChild again", "ChildRestarting: child 'again' is being restarted; terminate it first"),
    ("GetChild ghost", "ChildNotFound: there is no child 'ghost'"),
    ("GetChildSpec ghost", "ChildNotFound: there is no child 'ghost'"),
]


@pytest.mark.parametrize(("request_text", "refusal"), REFUSED)
async def test_each_refusal_has_its_text(request_text: str, refusal: str) -> None:
    """A request that cannot be met is refused with one clear line, and the supervisor goes on."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("down"),
        stage.child("again", backoff=Backoff(50.0, 50.0, jitter=False)),
    ]
    async with stage.serve(children) as app:
        await app.supervisor.ask(TerminateChild("down"))
        stage.crash("again")
        await settle()
        kind, _, what = request_text.partition(" ")
        with pytest.raises(SupervisionError) as caught:
            await app.supervisor.ask(make_request(stage, kind, what))  # type: ignore[arg-type]
        assert f"{type(caught.value).__name__}: {caught.value}" == refusal
        assert isinstance(caught.value, Refusal) is not isinstance(caught.value, SpecError)
        assert await stage.states() == {"a": "running", "down": "terminated", "again": "restarting"}


def make_request(stage: Stage, kind: str, what: str) -> object:
    """Make the request that one line of the table means."""
    if kind == "StartChild":
        match what:
            case "running":
                return StartChild(stage.child("a"))
            case "down":
                return StartChild(stage.child("down"))
            case "failing":
                return StartChild(stage.child("new", start=[Boom("no")]))
            case _:
                return StartChild(stage.child("new", restart="temporary", significant=True))
    kinds = (TerminateChild, RestartChild, DeleteChild, GetChild, GetChildSpec)
    return {entry.__name__: entry for entry in kinds}[kind](what)


async def test_too_many_children_are_refused() -> None:
    """A dynamic supervisor that is full refuses one more with its limit."""
    stage = Stage()
    async with stage.serve(DynamicSupervisorSpec("top", max_children=0)) as app:
        with pytest.raises(SupervisionError, match=r"^the limit of max_children=0 is reached$"):
            await app.supervisor.ask(StartChild(stage.child("a")))


async def test_a_supervisor_takes_only_its_requests() -> None:
    """A message that is no request to a supervisor is refused at the sender."""
    stage = Stage()
    async with stage.serve([]) as app:
        with pytest.raises(TypeError, match=r"/top"):
            app.supervisor.tell("stop")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"/top"):
            await app.supervisor.ask(Life())  # type: ignore[arg-type]
        assert await stage.states() == {}


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

"""Tests of the requests as values, and of the exact text of each refusal."""

from typing import Any, cast

import pytest

from actors.testing import settle
from supervision import (
    ChildInfo,
    ChildSpec,
    ChildState,
    DeleteChild,
    RestartChild,
    SpecError,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from tests.supervision.kit import Boom, Stage

pytestmark = pytest.mark.dead_letters


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
        (ChildSpec, "StartChild: spec: <class 'supervision.specs.ChildSpec'> is not a ChildSpec"),
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

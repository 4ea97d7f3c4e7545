"""OTP 1.2: how a supervisor starts, and what becomes of a start that fails or is not needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from actors import ActorSystem, Crashed, Ignore, Proc, Shutdown, StartFailed
from actors.testing import settle
from supervision import (
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    RestartChild,
    StartChild,
    Supervisor,
    SupervisorSpec,
)
from supervision.events import ChildExited
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import answer_to, ends, exits, starts
from tests.kit.workers import Worker

pytestmark = pytest.mark.dead_letters

RESTARTS = ["permanent", "transient", "temporary"]


def raising(error: BaseException) -> Callable[[], Proc[Any]]:
    """Return a factory that raises."""

    def start() -> Proc[Any]:
        raise error

    return start


def bad_start(stage: Stage, kind: str) -> ChildSpec[Any]:
    """Make a child `bad` whose start goes wrong in one of the ways that there are."""
    match kind:
        case "on_start raises":
            return stage.child("bad", start=[Boom("bad")])
        case "the factory raises":
            return ChildSpec("bad", raising(Boom("bad")))
        case "something else is returned":
            return ChildSpec("bad", lambda: "a proc")  # type: ignore[arg-type, return-value]
        case _:
            return stage.child("bad", start=[100.0], start_timeout=1.0)


BAD_STARTS = {
    "on_start raises": Boom,
    "the factory raises": Boom,
    "something else is returned": TypeError,
    "it takes too long": TimeoutError,
}


async def test_1_2_1_each_child_is_ready_before_the_next_begins() -> None:
    """Children start one after the other, in order, and the supervisor is ready after the last."""
    stage = Stage()
    diary: list[str] = []

    async def slowly(worker: Worker) -> None:
        diary.append(f"{worker.id} begins")
        await anyio.sleep({"a": 3.0, "b": 2.0}.get(worker.id, 1.0))
        diary.append(f"{worker.id} is ready")

    inner = SupervisorSpec("in", [stage.child(id, start=[slowly]) for id in "xy"])
    tree = [stage.child("a", start=[slowly]), inner, stage.child("b", start=[slowly])]
    began = anyio.current_time()
    async with stage.serve(tree):
        assert diary == [f"{id} {what}" for id in "axyb" for what in ("begins", "is ready")]
        assert anyio.current_time() - began == pytest.approx(7.0)
        assert stage.take() == ["+a", "+in/x", "+in/y", "+in", "+b"]


@pytest.mark.parametrize("kind", BAD_STARTS)
async def test_1_2_3_a_failed_start_takes_back_what_was_started(kind: str) -> None:
    """Whatever goes wrong is an error; those before it stop in reverse, and no later one starts."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("t", restart="temporary"),
        stage.child("i", start=[Ignore()]),
        stage.child("b"),
        bad_start(stage, kind),
        stage.child("z"),
    ]
    with pytest.raises(ChildStartFailed) as caught:
        async with stage.serve(children, max_restarts=10):
            pytest.fail("the tree must not start")
    reason = caught.value.reason
    assert caught.value.id == "bad"
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, BAD_STARTS[kind])
    assert caught.value.__cause__ is reason.error
    assert stage.take() == [*starts("at"), "~i", "+b", "!bad", *ends("bta")]


@pytest.mark.parametrize("restart", RESTARTS)
async def test_1_2_3_no_restart_is_tried_at_the_start(restart: str) -> None:
    """A failed first start is never tried again, whatever restart type and budget."""
    stage = Stage()
    bad = stage.child("bad", start=[Boom("bad"), None], restart=restart)
    with pytest.raises(ChildStartFailed):
        async with stage.serve([stage.child("a"), bad], max_restarts=100):
            pass
    assert stage.take() == ["+a", "!bad", "-a"]
    assert exits(stage) == []


async def test_1_2_3_the_failed_start_is_the_exit_reason() -> None:
    """The supervisor's own start fails, and the reason names the child and why it did not start."""
    spec = SupervisorSpec("top", [Stage().child("bad", start=[error := Boom("bad")])])
    async with ActorSystem() as system:
        with pytest.raises(StartFailed) as caught:
            await system.spawn(partial(Supervisor, spec), id="top")
        assert system.snapshot() == ()
    reason = caught.value.reason
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, ChildStartFailed)
    assert (reason.error.id, reason.error.reason) == ("bad", Crashed(error))


async def test_1_2_4_reasons_nest() -> None:
    """The reason of an inner supervisor is that of the outer's child, and so on to the top."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x"), stage.child("bad", start=[Boom("deep")])])
    middle = SupervisorSpec("mid", [inner, stage.child("y")])
    with pytest.raises(ChildStartFailed) as caught:
        async with stage.serve([stage.child("a"), middle]):
            pass
    ids: list[str] = []
    error: BaseException = caught.value
    while isinstance(error, ChildStartFailed):
        ids.append(error.id)
        assert isinstance(error.reason, Crashed)
        error = error.reason.error
    assert ids == ["mid", "in", "bad"]
    assert isinstance(error, Boom)
    assert stage.take() == ["+a", "+mid/in/x", "!mid/in/bad", "-mid/in/x", "!mid/in", "!mid", "-a"]


@pytest.mark.parametrize("where", ["on_start", "factory"])
@pytest.mark.parametrize("restart", RESTARTS)
async def test_1_2_5_an_ignored_child_is_kept_unless_temporary(restart: Any, where: str) -> None:
    """An ignored child has no proc; its spec is kept for `RestartChild`, a temporary is dropped."""
    stage = Stage()
    if where == "on_start":
        spec = stage.child("i", start=[Ignore()], restart=restart)
    else:
        makers = iter([raising(Ignore()), stage.child("i").start])
        spec = ChildSpec("i", lambda: next(makers)(), restart=restart)
    async with stage.serve([stage.child("a"), spec, stage.child("b")]):
        if restart == "temporary":
            assert await stage.states() == {"a": "running", "b": "running"}
            assert await answer_to(stage.top, RestartChild("i")) == "ChildNotFound"
        else:
            assert await stage.states() == {"a": "running", "i": "terminated", "b": "running"}
            assert await answer_to(stage.top, RestartChild("i")) == "/top/i"
            assert list(await stage.states()) == ["a", "i", "b"]


async def test_1_2_6_what_makes_a_supervisor_may_ignore_or_raise() -> None:
    """Whoever starts a supervisor gets the Ignore, the error or the wrong value of its maker."""
    async with ActorSystem() as system:
        with pytest.raises(Ignore):
            await system.spawn(raising(Ignore()), id="top")
        with pytest.raises(StartFailed) as caught:
            await system.spawn(raising(error := Boom("init")), id="top")
        assert caught.value.reason == Crashed(error)
        with pytest.raises(StartFailed, match=r"TypeError: .* returned None") as caught:
            await system.spawn(lambda: None, id="top")  # type: ignore[arg-type, return-value]
        assert isinstance(caught.value.reason, Crashed)
        assert system.snapshot() == ()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_1_2_7_an_exit_after_a_start_waits_for_the_whole_start(strategy: str) -> None:
    """A child that crashes while siblings still start is handled after the whole start."""
    stage = Stage()

    async def late(worker: Worker) -> None:
        stage.crash("a")
        await anyio.sleep(1.0)

    children = [stage.child("a"), stage.child("b", start=[late]), stage.child("c", start=[1.0])]
    async with stage.serve(children, strategy=strategy, max_restarts=1):
        await settle()
        round = ["+a"] if strategy == "one_for_one" else [*ends("cb"), *starts("abc")]
        assert stage.take() == ["+a", "-a", "+b", "+c", *round]
    assert exits(stage) == ["a: restart"]


async def test_1_2_7_the_exit_of_a_failed_start_is_ignored() -> None:
    """A proc whose start failed makes no exit that its supervisor would handle."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0, strategy="one_for_all"):
        for kind in BAD_STARTS:
            assert await answer_to(stage.top, StartChild(bad_start(stage, kind))) == (
                "ChildStartFailed"
            )
            await settle()
        assert await stage.states() == {"a": "running"}
    assert stage.told(ChildExited) == []


async def test_1_2_8_a_starting_supervisor_answers_nobody() -> None:
    """Requests to a supervisor that is still starting wait until the start is done."""
    stage = Stage()
    began = anyio.current_time()
    answers: list[tuple[str, float]] = []

    async def ask() -> None:
        await settle()
        top = system.find("/top")
        assert top is not None
        answer = await answer_to(top, CountChildren())
        answers.append((answer, anyio.current_time() - began))

    spec = SupervisorSpec("top", [stage.child(id, start=[2.0]) for id in "ab"])
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await system.spawn(partial(Supervisor, spec), id="top")
    counts = "ChildCounts(specs=2, active=2, supervisors=0, workers=2)"
    ((answer, seconds),) = answers
    assert answer == counts
    assert seconds == pytest.approx(4.0)


async def test_1_2_8_a_stop_during_the_start_takes_back_what_was_started() -> None:
    """A supervisor that is stopped while it starts cuts that short, and what had started stops."""
    stage = Stage()
    spec = SupervisorSpec("top", [*stage.children("ab"), stage.child("c", start=[9.0])])
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        system.events.subscribe(stage.hear)

        async def start() -> None:
            with pytest.raises(StartFailed) as caught:
                await system.spawn(partial(Supervisor, spec), id="top")
            assert caught.value.reason == Shutdown()

        tasks.start_soon(start)
        began = anyio.current_time()
        await anyio.sleep(1.0)
        top = system.find("/top")
        assert top is not None
        assert await top.shutdown(None) == Shutdown()
        assert anyio.current_time() - began == pytest.approx(1.0)
        assert stage.take() == [*starts("ab"), "!c", *ends("ba")]
        assert stage.reasons == [("b", Shutdown()), ("a", Shutdown())]
        assert system.snapshot() == ()

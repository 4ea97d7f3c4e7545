"""OTP 1.12: what else a supervisor does and does not do."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import pytest

from actors import Ignore
from actors.testing import settle
from supervision import (
    ChildSpec,
    DeleteChild,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    serve,
)
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import ROUNDS, answer_to, crash_times, ends, starts
from tests.kit.workers import Note, Worker

pytestmark = pytest.mark.dead_letters


@contextmanager
def counting() -> Generator[list[int], None, None]:
    """Count the lines of the two packages that are run meanwhile."""
    lines = [0]

    def begin(frame: FrameType, event: str, argument: object) -> Any:
        module: str = frame.f_globals.get("__name__", "")
        return go_on if module.partition(".")[0] in ("actors", "supervision") else None

    def go_on(frame: FrameType, event: str, argument: object) -> Any:
        lines[0] += event == "line"
        return go_on

    before = sys.gettrace()
    sys.settrace(begin)
    try:
        yield lines
    finally:
        sys.settrace(before)


class Argument:
    """Be something that a child is started with."""


class Holder(Worker):
    """Be started with an argument, which it does not keep."""

    def __init__(self, argument: Argument, stage: Stage, id: str) -> None:
        super().__init__(stage, id)


@pytest.mark.parametrize("spec", [SupervisorSpec("top"), DynamicSupervisorSpec("top")], ids=str)
async def test_1_12_1_an_unknown_message_is_refused_at_its_sender(spec: ChildSpec[Any]) -> None:
    """What a supervisor does not know never reaches it: its sender gets a TypeError."""
    stage = Stage()
    async with stage.serve(spec):
        await stage.top.ask(StartChild(stage.child("a")))
        top: Any = stage.top
        for unknown in (Note("hello"), "text", None, TerminateChild):
            with pytest.raises(TypeError):
                top.tell(unknown)
            with pytest.raises(TypeError):
                await top.send(unknown)
            with pytest.raises(TypeError):
                await top.ask(unknown)
        await settle()
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a"]


@pytest.mark.parametrize("how", ["ended", "crashed", "terminated", "failed", "ignored"])
@pytest.mark.parametrize("kind", [SupervisorSpec, DynamicSupervisorSpec])
async def test_1_12_2_nothing_is_kept_of_a_temporary_child_that_is_gone(
    kind: type[SupervisorSpec | DynamicSupervisorSpec], how: str
) -> None:
    """What a temporary child was started with is not kept when it is gone."""
    stage = Stage()
    gone: list[weakref.ref[Argument]] = []

    async def start() -> None:
        argument = Argument()
        gone.append(weakref.ref(argument))
        factory = partial(Holder, argument, stage, "t")
        step = {"failed": Boom(), "ignored": Ignore()}.get(how)
        stage.starts["t"] = stage.starts["t"].__class__([step])
        await answer_to(stage.top, StartChild(ChildSpec("t", factory, restart="temporary")))

    async with stage.serve(kind("top", max_restarts=0)):
        stage.child("t")
        await start()
        if how in ("failed", "ignored"):
            assert not stage.refs["t"].is_alive
        else:
            gc.collect()
            assert gone[0]() is not None
        match how:
            case "ended":
                stage.end("t")
            case "crashed":
                stage.crash("t")
            case "terminated":
                await stage.top.ask(TerminateChild("t"))
            case _:
                pass
        await settle()
        assert await stage.states() == {}
        stage.decisions.clear()  # a diary holds the crash, and that its traceback
        stage.refs.clear()  # a ref of one that never was up knows why, and so does its traceback
        gc.collect()
        assert gone[0]() is None


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_12_3_the_start_order_is_kept(strategy: str) -> None:
    """Restarts, failed and ignored starts and deletes do not change the order of the others."""
    stage = Stage()
    tree = stage.children("abcdef", restart="transient")
    async with stage.serve(tree, strategy=strategy, max_restarts=20):
        stage.starts["c"].extend([Boom(), None, Boom(), Ignore(), None])
        for id in "bcae":
            await crash_times(stage, id, 1)
        await stage.top.ask(TerminateChild("b"))
        await stage.top.ask(RestartChild("b"))
        stage.end("e")
        await settle()
        await stage.top.ask(TerminateChild("d"))
        await stage.top.ask(DeleteChild("d"))
        await answer_to(stage.top, StartChild(stage.child("n", start=[Boom()])))
        await stage.top.ask(StartChild(stage.child("g")))
        assert list(await stage.states()) == list("abcefg")
        stage.take()
        stage.starts["c"].clear()
        await crash_times(stage, "a", 1)
        assert stage.take()[-6:] == starts("abcefg")
    assert stage.take() == ends("gfecba")


@pytest.mark.parametrize("kind", ["supervisor", "dynamic"])
async def test_1_12_4_long_lists_are_cheap(kind: str) -> None:
    """To start and to stop one child takes the same number of steps among few and among many."""

    async def steps(size: int) -> float:
        stage = Stage()
        children = [ChildSpec(f"w{number}", partial(Worker, stage, "w")) for number in range(size)]
        static = kind == "supervisor"
        tree = SupervisorSpec("top", children) if static else DynamicSupervisorSpec("top")
        with counting() as lines:
            async with serve(tree) as app:
                for child in () if static else children:
                    await app.supervisor.ask(StartChild(child))
                await settle()
        return lines[0] / size

    few, many = await steps(20), await steps(400)
    assert few > 100
    assert many < few * 1.1

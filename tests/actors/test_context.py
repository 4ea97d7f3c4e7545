"""Tests of `actors.context`: what a context offers, tasks as procs, and the inbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    Child,
    Context,
    Crashed,
    Down,
    ExitReason,
    LinkBroken,
    Normal,
    Proc,
    ProcExited,
    Ref,
    Shutdown,
    task,
)
from actors.testing import settle
from tests.kit.actors import (
    Ask,
    Do,
    Doer,
    Life,
    Note,
    Trapper,
    crash,
    fail,
    forever,
    given,
    obey,
    pair,
    raising,
)

# -- task ------------------------------------------------------------------------------------------


async def test_a_coroutine_function_is_a_proc() -> None:
    """`task` makes a factory of `async def f(shutdown)`: ready at once, over when it returns."""
    seen: list[bool] = []

    async def work(shutdown: CancellationToken) -> None:
        seen.append(shutdown.cancelled)
        await shutdown
        seen.append(shutdown.cancelled)

    async with ActorSystem() as system:
        ref = await system.spawn(task(work))
        assert ref.path == "/work-1"
        assert await ref.shutdown() == Shutdown()
    assert seen == [False, True]


def test_task_factories_compare_by_their_function() -> None:
    """Two factories of one function are equal, and say what they are."""
    assert task(forever) == task(forever) != task(crash)
    assert hash(task(forever)) == hash(task(forever))
    assert repr(task(forever)) == "task(forever)"


def test_task_wants_a_function() -> None:
    """Anything that cannot be called is refused when the factory is made."""
    with pytest.raises(TypeError, match="coroutine function of one token"):
        task("work")  # type: ignore[arg-type]


# -- the context -----------------------------------------------------------------------------------


async def test_the_context_is_there_from_before_on_start() -> None:
    """In on_start, for which its starter waits, a proc knows its ref, system, token and number."""
    seen: list[object] = []

    async def look(life: Life) -> None:
        context = life.context
        seen.extend((context.path, context.system, context.incarnation, context.ref.path))
        await anyio.sleep(10)
        seen.append(context.shutdown.cancelled)

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], start=look, run=obey), id="life")
        assert seen == ["/life", system, 1, "/life", False]
        assert ref.path == "/life"


def test_a_context_is_made_by_the_engine_alone() -> None:
    """A Context has no public constructor."""
    with pytest.raises(TypeError, match=r"self\.context"):
        Context()


async def test_a_token_is_the_incarnations_own() -> None:
    """Cancelling the token tells this proc to stop, and neither its parent nor its sibling."""
    async with ActorSystem() as system:
        parent = await pair(system)
        lives = [Life([], run=obey), Life([], run=obey)]
        refs = [
            await parent.ref.ask(Ask(lambda self, life=life: self.context.spawn(given(life))))
            for life in lives
        ]
        lives[0].context.shutdown.cancel("enough")
        assert await refs[0].wait() == Shutdown()
        assert refs[1].is_alive
        assert not lives[1].context.shutdown.cancelled
        assert parent.ref.is_alive


@pytest.mark.parametrize("reason", [Normal(), Shutdown("done"), Crashed(ValueError("own"))])
@pytest.mark.parametrize("kind", ["actor", "inbox", "token"])
async def test_a_proc_stops_itself_with_a_reason(reason: ExitReason, kind: str) -> None:
    """`context.stop(reason)` ends the proc with that reason; the default is Normal."""

    class Stopper(Proc[Note]):
        async def run(self, shutdown: CancellationToken) -> None:
            if kind == "inbox":
                async for _ in self.context.inbox():
                    self.context.stop(reason)
            else:
                await go.wait()
                self.context.stop(reason)
                await shutdown

    go = anyio.Event()
    async with ActorSystem() as system:
        down: list[Down] = []
        ref: Ref[Any] = await system.spawn(Doer if kind == "actor" else Stopper)
        system.monitor(ref, down.append)
        if kind != "token":
            ref.tell(Do(lambda self: self.context.stop(reason)) if kind == "actor" else Note(""))
        go.set()
        await settle()
        assert down == [Down(ref, reason)]


@pytest.mark.core
@pytest.mark.dead_letters
async def test_a_child_is_linked_to_its_parent() -> None:
    """A child that ends abnormally takes its parent along, its crash as the cause."""
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            parent = await pair(system, id="parent")
            child = await parent.ref.ask(Ask(lambda self: self.context.spawn(Doer, id="child")))
            child.tell(Ask(fail))
            reason = await parent.ref.wait()
            assert isinstance(reason, Crashed)
            assert isinstance(reason.error, LinkBroken)
            assert reason.error.path == "/parent/child"
            assert str(reason.error.__cause__) == "broken"
    assert len(raised.errors) == 1


@pytest.mark.dead_letters
async def test_a_trapping_parent_hears_of_its_children() -> None:
    """A parent that defines on_exit hears of each end of a child and lives on."""
    async with ActorSystem() as system:
        parent = await pair(system, Trapper)
        spawn = Ask(lambda self: self.context.spawn(Doer))
        one, two = await parent.ref.ask(spawn), await parent.ref.ask(spawn)
        one.tell(Ask(fail))
        await settle()
        two.stop()
        await settle()
        assert [(exited.ref, exited.reason.is_abnormal) for exited in parent.log] == [
            (one, True),
            (two, False),
        ]
        assert parent.ref.is_alive


async def test_an_orderly_end_of_a_child_leaves_its_parent_alone() -> None:
    """A child that ends with Normal or Shutdown takes nobody along, and its id is free again."""
    async with ActorSystem() as system:
        parent = await pair(system)
        spawn = Ask(lambda self: self.context.spawn(Doer, id="child"))
        for _ in range(2):
            child = await parent.ref.ask(spawn)
            assert await child.shutdown() == Shutdown()
        assert parent.ref.is_alive


async def test_a_context_that_outlived_its_proc_starts_nothing() -> None:
    """A proc that has ended can start no child, which nobody would ever stop."""
    async with ActorSystem() as system:
        one = await pair(system)
        await one.ref.shutdown()
        with pytest.raises((ProcExited, RuntimeError)):
            await one.actor.context.spawn(task(forever))
        with raising(Exception):
            child: Child[object] = one.actor.context.child("late")
            await child.start(task(forever))


BEGINNINGS: dict[str, Callable[[Context[Any], Ref[Any]], object]] = {
    "send_after": lambda context, other: context.send_after(1, Note("late")),
    "send_every": lambda context, other: context.send_every(1, Note("late")),
    "pipe": lambda context, other: context.pipe(anyio.sleep(1), into=Note),
    "monitor": lambda context, other: context.monitor(other),
    "link": lambda context, other: context.link(other),
    "child": lambda context, other: context.child("late"),
    "stash": lambda context, other: context.stash(),
}


@pytest.mark.parametrize("use", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_a_context_that_outlived_its_proc_binds_nothing(
    use: Callable[[Context[Any], Ref[Any]], object],
) -> None:
    """The context of an incarnation that has ended reaches neither the clock nor other procs."""
    async with ActorSystem() as system:
        owner, other = await pair(system, Trapper), await pair(system)
        child = await owner.ref.ask(Ask(lambda self: self.context.child("child")))
        first, second = Doer(), Doer()
        await owner.ref.ask(Ask(lambda _: child.start(given(first))))
        await owner.ref.ask(Ask(lambda _: child.kill()))
        await owner.ref.ask(Ask(lambda _: child.start(given(second))))
        with pytest.raises(RuntimeError, match="has ended; its context is of no use any more"):
            use(first.context, other.ref)
        first.context.stop()
        first.context.shutdown.cancel()
        await other.ref.shutdown()
        await anyio.sleep(3)
        assert second.log == []
        assert child.ref.is_alive


async def test_what_a_context_took_is_taken_back_by_the_end() -> None:
    """Once its proc has ended, taking back a link, a monitor, a timer or mail does nothing."""
    async with ActorSystem() as system:
        one, other = await pair(system), await pair(system)
        context = one.actor.context
        context.link(other.ref)
        monitor = context.monitor(other.ref)
        timer = context.send_after(1, Note("late"))
        await one.ref.shutdown()
        context.unlink(other.ref)
        context.demonitor(monitor)
        timer.cancel()
        context.unstash_all()
        context.stop()
        assert other.ref.is_alive
        assert one.actor.log == []


# -- the inbox -------------------------------------------------------------------------------------


# -- options ---------------------------------------------------------------------------------------


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"shutdown": "5"}, TypeError, "one: shutdown is a number of seconds >= 0, or None, not '5'"),
    ({"shutdown": -1}, ValueError, "one: shutdown is a number of seconds >= 0, or None, not -1"),
    ({"start_timeout": 0}, ValueError, "one: start_timeout is a number of seconds > 0, or None"),
    ({"start_timeout": "x"}, TypeError, "one: start_timeout is a number of seconds > 0, or None"),
    ({"mailbox": 10}, TypeError, "one: mailbox is a Mailbox, not 10"),
    ({"name": "n"}, TypeError, "one: name is a Name or None, not 'n'"),
    ({"id": ""}, ValueError, "an id is a text without '/', of at least one character, not ''"),
    (
        {"id": "a/b"},
        ValueError,
        "an id is a text without '/', of at least one character, not 'a/b'",
    ),
    ({"id": "/"}, ValueError, "an id is a text without '/', of at least one character, not '/'"),
    ({"id": 3}, ValueError, "an id is a text without '/', of at least one character, not 3"),
]


@pytest.mark.parametrize(("options", "kind", "text"), BAD)
async def test_an_option_that_cannot_be_meant_is_refused(
    options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    """`spawn` names the option that is wrong and what would be right, and nothing is started."""
    async with ActorSystem() as system:
        with pytest.raises(kind, match=re.escape(text)):
            await system.spawn(Doer, **{"id": "one", **options})
        assert system.snapshot() == ()

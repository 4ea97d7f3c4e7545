"""Tests of `hibernate_after`: an actor without a task, and nobody but the memory knows."""

from __future__ import annotations

import asyncio
import math
import sys
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from actors import (
    Actor,
    ActorSystem,
    AskTimeout,
    Crashed,
    Down,
    Exited,
    ExitReason,
    Killed,
    LinkBroken,
    Normal,
    ProcEnded,
    ProcExited,
    ProcStarted,
    Ref,
    Refusal,
    Reply,
    Request,
    Shutdown,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Do, Doer, Later, Note, Plain, fail, given
from tests.kit.players import in_order

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")
PATIENCE = 2.0


class Dozer(Doer):
    """Do what it is told, and hibernate."""

    hibernate_after = PATIENCE
    replies: list[Reply[str]]

    def __init__(self) -> None:
        super().__init__()
        self.replies = []

    def on_down(self, down: Down) -> None:
        """Write down."""
        self.log.append(str(down.reason))


LATE = Later(lambda dozer, reply: dozer.replies.append(reply))


class Tidy(Dozer):
    """Have something to do at the end."""

    async def on_stop(self, reason: ExitReason) -> None:
        """Take a turn, and write down."""
        await anyio.lowlevel.checkpoint()
        self.log.append(reason)


class Trapper(Dozer):
    """Trap exits."""

    async def on_exit(self, exited: Exited) -> None:
        """Take a turn, and write down."""
        await anyio.lowlevel.checkpoint()
        self.log.append(str(exited.reason))


class Starter(Dozer):
    """Have something to do at the start."""

    async def on_start(self) -> None:
        """Write down."""
        self.log.append("start")


def tasks_of(*refs: Ref[Any]) -> int:
    """Count the tasks of procs that the event loop has, by their names."""
    paths = {ref.path for ref in refs}
    if "trio" in sys.modules and sys.modules["trio"].lowlevel.in_trio_run():
        root = sys.modules["trio"].lowlevel.current_root_task()
        names = [task.name for group in root.child_nurseries for task in group.child_tasks]
    else:
        names = [task.get_name() for task in asyncio.all_tasks()]
    return sum(name in paths for name in names)


async def sleeping(system: ActorSystem, cls: type[Dozer] = Dozer) -> tuple[Any, Ref[Any]]:
    """Start an actor, wake it once and let it hibernate."""
    actor = cls()
    ref = await system.spawn(lambda: actor)
    system.monitor(ref, lambda down: None)
    await lull(ref)
    return actor, cast("Ref[Any]", ref)


async def lull(ref: Ref[Any]) -> None:
    """Give an actor a task, and let it hibernate."""
    ref.tell(Do(lambda _: None))
    await settle()
    assert tasks_of(ref) == 1, "it has a task for a while"
    await anyio.sleep(PATIENCE + 0.1)
    assert tasks_of(ref) == 0, "it has none any more"
    assert ref.is_alive


every_class = pytest.mark.parametrize("cls", [Dozer, Tidy, Trapper, Starter])
most_classes = pytest.mark.parametrize("cls", [Dozer, Tidy, Trapper])
each_end = pytest.mark.parametrize(
    ("how", "reason"), [("kill", Killed()), ("stop", Normal()), ("shutdown", Shutdown())]
)


def end(ref: Ref[Any], how: str) -> None:
    """Let a proc end in one way or another, at once."""
    match how:
        case "crash":
            ref.tell(Do(fail))
        case "shutdown":
            ref.tell(Do(lambda self: self.context.stop(Shutdown())))
        case _:
            getattr(ref, how)()


@every_class
async def test_the_tasks_are_given_back(cls: type[Dozer]) -> None:
    """Of many actors that hibernate none has a task, again and again."""
    async with ActorSystem() as system:
        refs = [await system.spawn(cls) for _ in range(50)]
        for _ in range(3):
            for ref in refs:
                ref.tell(Do(lambda _: None))
            await settle()
            assert tasks_of(*refs) == 50
            await anyio.sleep(PATIENCE + 0.1)
            assert tasks_of(*refs) == 0


async def test_who_is_busy_does_not_hibernate() -> None:
    """An actor that gets a message in time, or whose handler takes long, keeps its task."""
    async with ActorSystem() as system:
        ref = await system.spawn(Dozer)
        for _ in range(5):
            ref.tell(Do(lambda _: None))
            await anyio.sleep(PATIENCE - 0.1)
            assert tasks_of(ref) == 1
        ref.tell(Do(lambda _: anyio.sleep(3 * PATIENCE)))
        await anyio.sleep(2 * PATIENCE)
        assert tasks_of(ref) == 1


@every_class
async def test_state_and_incarnation_are_kept(cls: type[Dozer]) -> None:
    """An actor that wakes up is the same incarnation with the same state; nobody hears of it."""
    async with ActorSystem() as system:
        with Recorder(system, ProcStarted, ProcEnded) as recorder:
            actor, ref = await sleeping(system, cls)
            began = list(actor.log)
            for text in ("one", "two"):
                ref.tell(Note(text))
                await anyio.sleep(PATIENCE + 1)
            assert actor.log == [*began, "one", "two"]
            assert ref.statistics().incarnation == 1
            assert ref.statistics().handled == 3
            assert len(recorder) == 1


async def test_context_variables_are_kept() -> None:
    """What a handler set before the nap, the handlers after it see, also one asked in it."""
    async with ActorSystem() as system:
        _, ref = await sleeping(system)

        def move(_: object) -> None:
            PLACE.set(f"{PLACE.get()}, on")

        seen: list[str] = []
        ref.tell(Do(move))
        await anyio.sleep(PATIENCE + 1)
        await ref.ask(Plain(move))
        ref.tell(Do(lambda _: seen.append(PLACE.get())))
        await anyio.sleep(PATIENCE + 1)
        assert await ref.ask(Plain(lambda _: PLACE.get())) == "nowhere, on, on"
        assert seen == ["nowhere, on, on"]
        assert PLACE.get() == "nowhere"


async def test_a_question_does_not_need_a_task() -> None:
    """A hibernated actor answers and refuses as ever."""
    async with ActorSystem() as system:
        actor, ref = await sleeping(system)
        assert await ref.ask(Plain(lambda dozer: dozer is actor)) is True

        def refuse(_: object) -> None:
            raise Refusal("no")

        with pytest.raises(Refusal):
            await ref.ask(Plain(refuse))
        assert tasks_of(ref) == 0


async def test_what_was_stashed_or_kept_waits_through_the_nap() -> None:
    """Stashed messages and requests, and replies that are kept, outlast a nap."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        actor, ref = await sleeping(system)
        answers: list[object] = []
        done: list[str] = []

        async def ask(request: Request[Any]) -> None:
            answers.append(await ref.ask(request, timeout=None))

        def once(dozer: Dozer, what: str) -> str:
            done.append(what)
            if done.count(what) == 1:
                dozer.context.stash()
            return what

        tasks.start_soon(ask, LATE)
        tasks.start_soon(ask, Plain(lambda dozer: once(dozer, "asked")))
        await settle()
        ref.tell(Do(lambda dozer: once(dozer, "told")))
        await anyio.sleep(3 * PATIENCE)
        assert tasks_of(ref) == 0
        actor.replies[0].send("at last")
        await settle()
        assert answers == ["at last"]
        ref.tell(Do(lambda dozer: dozer.context.unstash_all()))
        await settle()
        assert done == ["asked", "told"] * 2
        assert answers == ["at last", "asked"]


async def test_timers_wake_it() -> None:
    """Timers of a hibernated actor fire at their time, and into a task."""
    async with ActorSystem() as system:
        actor, ref = await sleeping(system)
        began = anyio.current_time()

        def note(dozer: Dozer) -> None:
            dozer.log.append(round(anyio.current_time() - began, 2))

        def set_timers(dozer: Dozer) -> None:
            dozer.context.send_after(7, Do(note))
            dozer.context.send_every(10, Do(note))

        await ref.ask(Plain(set_timers))
        await anyio.sleep(31)
        assert actor.log == [7, 10, 20, 30]


@pytest.mark.dead_letters
@pytest.mark.parametrize("how", ["kill", "stop", "crash"])
async def test_monitors_work_both_ways(how: str) -> None:
    """A hibernated actor hears of an end that it watches, and its own end is heard of."""
    async with ActorSystem() as system:
        (watcher, watching), (_, watched) = await sleeping(system), await sleeping(system)
        await watching.ask(Plain(lambda dozer: dozer.context.monitor(watched)))
        end(watched, how)
        await settle()
        expected = {"kill": "killed", "stop": "normal", "crash": "crashed: ValueError: broken"}
        assert watcher.log == [expected[how]]


@pytest.mark.dead_letters
@most_classes
@pytest.mark.parametrize("how", ["kill", "crash", "stop"])
async def test_links_work_both_ways(cls: type[Dozer], how: str) -> None:
    """A hibernated actor shares the fate of one that it is linked to, whoever of them it is."""
    async with ActorSystem() as system:
        (actor, ref), (_, other) = await sleeping(system, cls), await sleeping(system)
        await ref.ask(Plain(lambda dozer: dozer.context.link(other)))
        end(other, how)
        await settle()
        if cls is Trapper:
            assert len(actor.log) == 1
            assert ref.is_alive
        elif how == "stop":
            assert ref.is_alive
        else:
            reason = await ref.wait()
            assert isinstance(reason, Crashed)
            assert isinstance(reason.error, LinkBroken)
            assert actor.log == ([reason] if cls is Tidy else [])


@every_class
@each_end
async def test_it_ends_as_it_is_told(cls: type[Dozer], how: str, reason: ExitReason) -> None:
    """A hibernated actor is stopped, shut down and killed; `on_stop` runs, but when killed."""
    async with ActorSystem() as system:
        actor, ref = await sleeping(system, cls)
        began = anyio.current_time()
        if how == "shutdown":
            assert await ref.shutdown() == reason
        else:
            getattr(ref, how)()
        assert await ref.wait() == reason
        assert anyio.current_time() == began
        if cls is Tidy:
            assert actor.log == ([] if reason == Killed() else [reason])
        assert not ref.is_alive
        with pytest.raises(ProcExited):
            await ref.ask(Plain(lambda dozer: 1))


@most_classes
@each_end
async def test_its_children_live_on_and_end_with_it(
    cls: type[Dozer], how: str, reason: ExitReason
) -> None:
    """The children of a hibernated actor go on, and end before it does."""
    async with ActorSystem() as system:
        _, ref = await sleeping(system, cls)
        child = Tidy()

        async def spawn(dozer: Dozer) -> None:
            await dozer.context.spawn(lambda: child, id="child")

        ref.tell(Do(spawn))
        await anyio.sleep(2 * PATIENCE)
        assert tasks_of(ref) == 0
        below = child.context.ref
        assert await below.ask(Plain(lambda dozer: 5)) == 5
        below.tell(Note("hello"))
        await anyio.sleep(2 * PATIENCE)
        with Recorder(system, ProcEnded) as recorder:
            if how == "shutdown":
                await ref.shutdown()
            else:
                getattr(ref, how)()
            assert await ref.wait() == reason
        assert [event.ref for event in recorder] == [below, ref]
        assert child.log == (["hello"] if how == "kill" else ["hello", Shutdown()])


@pytest.mark.dead_letters
@most_classes
@pytest.mark.parametrize("inside", [False, True])
async def test_the_end_of_a_child_reaches_it(cls: type[Dozer], inside: bool) -> None:
    """A hibernated actor whose child is killed ends with it, or hears of it."""
    async with ActorSystem() as system:
        actor, ref = await sleeping(system, cls)
        children: list[Ref[Any]] = []

        async def spawn(dozer: Dozer) -> None:
            children.append(await dozer.context.spawn(Dozer))

        ref.tell(Do(spawn))
        await anyio.sleep(2 * PATIENCE)
        if inside:
            await ref.ask(Plain(lambda _: children[0].kill()))
        else:
            children[0].kill()
        await settle()
        if cls is Trapper:
            assert actor.log == ["killed"]
            return
        assert not ref.is_alive
        reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, LinkBroken)


@pytest.mark.parametrize("first", [True, False], ids=["before it naps", "when it naps"])
@pytest.mark.parametrize(
    "how", ["tell", "ask", "late", "send", "stop", "kill", "shutdown", "down", "link"]
)
@pytest.mark.dead_letters
async def test_nothing_is_lost_in_the_turn_of_the_nap(how: str, first: bool) -> None:
    """Whatever comes in the very turn in which an actor falls asleep is seen to."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        actor, (stuck, other) = Tidy(), [await system.spawn(Dozer) for _ in range(2)]
        ref = await system.spawn(lambda: actor)
        for watched in (ref, other):
            system.monitor(watched, lambda down: None)
        done: list[str] = []

        async def act() -> None:
            # Its timeout expires together with the patience of the actor, in the same turn.
            with pytest.raises(AskTimeout):
                await stuck.ask(LATE, timeout=PATIENCE)
            assert tasks_of(ref) == int(first), "it has woken up, and has not run yet"
            await come(how, actor, ref, other)
            done.append(how)

        def prepare(dozer: Dozer) -> None:
            if how == "link":
                dozer.context.link(other)
            else:
                dozer.context.monitor(other)

        with in_order():
            await ref.ask(Plain(prepare))
            if first:
                tasks.start_soon(act)
                await settle()
            ref.tell(Do(lambda _: None))
            await settle()
            if not first:
                tasks.start_soon(act)
            with anyio.move_on_after(2 * PATIENCE):
                await ref.wait()
            await settle()
        assert done == [how]
        ends = {"stop": Normal(), "shutdown": Shutdown()}
        if how == "link":
            assert isinstance(await ref.wait(), Crashed)
        else:
            seen = {"down": ["normal"], "kill": []}
            assert actor.log == seen.get(how, [ends.get(how, "seen")])
            assert ref.is_alive == (how not in (*ends, "kill"))


async def come(how: str, actor: Dozer, ref: Ref[Any], other: Ref[Any]) -> None:
    """Come to an actor, in this very turn where that is possible."""
    match how:
        case "tell":
            ref.tell(Note("seen"))
        case "send":
            await ref.send(Note("seen"))
        case "ask":
            await ref.ask(Plain(lambda dozer: dozer.log.append("seen")), timeout=1)
        case "late":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(ref.ask, LATE, timeout=1))
                await settle()
                actor.replies[0].send("")
            actor.log.append("seen")
        case "down":
            other.stop()
        case "link":
            other.kill()
            with pytest.raises(ProcExited):
                await ref.ask(Plain(lambda dozer: 1), timeout=1)
        case "shutdown":
            await ref.shutdown(timeout=1)
        case _:
            getattr(ref, how)()


async def test_a_flood_of_naps_loses_nothing() -> None:
    """Actors whose nap ends at the same moment as their mail comes handle each message once."""
    async with ActorSystem() as system:
        actors = [Dozer() for _ in range(20)]
        refs = [await system.spawn(given(actor)) for actor in actors]
        for number in range(40):
            for place, ref in enumerate(refs):
                ref.tell(Note(f"{number}"))
                if (place + number) % 3 == 0:
                    await anyio.lowlevel.checkpoint()
            await anyio.sleep(PATIENCE + (number - 20) / 8192)
        await settle()
        for actor in actors:
            assert actor.log == [f"{number}" for number in range(40)]


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -1, True, "soon"])
def test_a_time_that_cannot_be_meant_is_refused_at_the_class(seconds: object) -> None:
    """`hibernate_after` is a finite number of seconds or None, or the class statement raises."""
    with pytest.raises((TypeError, ValueError), match="hibernate_after is a number"):
        type("Sleeper", (Actor,), {"hibernate_after": seconds})

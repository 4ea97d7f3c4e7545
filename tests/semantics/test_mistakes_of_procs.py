"""What re-implementations of OTP get wrong, 23 to 29: calls, monitors and names.

Each test is aimed at one mistake, as in `test_mistakes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    AskCycle,
    AskTimeout,
    Crashed,
    DeadLetter,
    Down,
    Killed,
    Name,
    NameTaken,
    NoProc,
    Normal,
    ProcExited,
    Ref,
    Reply,
    Request,
    on,
)
from actors.testing import settle
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import crash_times

pytestmark = pytest.mark.dead_letters


@frozen
class Slow(Request[str]):
    """Be answered with the text, so many seconds later."""

    text: str
    seconds: float = 0.0


@frozen
class Do:
    """Call a function with the server."""

    act: Callable[[Any], Any]


@frozen
class Held(Request[int]):
    """Be kept, to be answered later."""


class Server(Actor[Slow | Do | Held]):
    """Answer late, and write down what else comes."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.held: list[Reply[int]] = []

    async def on_start(self) -> None:
        """Write it down."""
        self.log.append("started")

    @on(Slow)
    async def slow(self, message: Slow) -> str:
        """Wait, then answer."""
        await anyio.sleep(message.seconds)
        self.log.append(message.text)
        return message.text

    @on(Do)
    async def do(self, message: Do) -> None:
        """Call it."""
        result = message.act(self)
        if result is not None:
            await result

    @on(Held)
    def hold(self, message: Held, reply: Reply[int]) -> None:
        """Keep it."""
        self.held.append(reply)

    def on_down(self, down: Down) -> None:
        """Write it down."""
        self.log.append(down)


async def serve(system: ActorSystem, **options: Any) -> tuple[Ref[Any], list[Any]]:
    """Spawn a server; return it with its log."""
    log: list[Any] = []
    return await system.spawn(partial(Server, log), **options), log


def crash(server: Server) -> None:
    """Crash."""
    raise Boom("as told")


async def test_mistake_23_a_late_reply_answers_nobody(dead_letters: list[DeadLetter]) -> None:
    """A reply that comes after its asker gave up is dropped: the next ask gets its own."""
    async with ActorSystem() as system:
        ref, log = await serve(system)
        asker, heard = await serve(system)

        async def ask_twice(server: Server) -> None:
            with pytest.raises(AskTimeout):
                await ref.ask(Slow("late", 2.0), timeout=1.0)
            server.log.append(await ref.ask(Slow("own", 1.0), timeout=5.0))
            await anyio.sleep(10.0)

        asker.tell(Do(ask_twice))
        await anyio.sleep(20.0)
        assert heard == ["started", "own"]
        assert log == ["started", "late", "own"]
    assert dead_letters == []


@pytest.mark.parametrize("how", ["normal", "crash", "kill"])
async def test_mistake_24_a_monitor_of_the_dead_fires_at_once(how: str) -> None:
    """Whoever begins to monitor a proc that has ended gets a Down with `NoProc` at once."""
    async with ActorSystem() as system:
        ref, _ = await serve(system)
        watcher, log = await serve(system)
        system.monitor(ref, lambda down: None)  # so that the crash is no surprise to the system
        if how == "crash":
            ref.tell(Do(crash))
        else:
            getattr(ref, {"normal": "stop", "kill": "kill"}[how])()
        await ref.wait()
        watcher.tell(Do(lambda server: ignore(server.context.monitor(ref))))
        await settle()
        assert log == ["started", Down(ref, NoProc())]


def ignore(value: object) -> None:
    """Do nothing with it."""


async def test_mistake_24_a_down_comes_behind_the_last_words() -> None:
    """A Down never overtakes what the dead one had sent to its watcher."""
    async with ActorSystem() as system:
        ref, _ = await serve(system)
        watcher, log = await serve(system)
        watcher.tell(Do(lambda server: ignore(server.context.monitor(ref))))
        await settle()

        async def last_words(server: Server) -> None:
            for number in range(3):
                watcher.tell(Do(partial(note, number)))
            server.context.stop()

        # The watcher is busy, so that words and Down all wait for it.
        watcher.tell(Do(lambda server: anyio.sleep(1.0)))
        ref.tell(Do(last_words))
        await anyio.sleep(2.0)
        assert log == ["started", 0, 1, 2, Down(ref, Normal())]


def note(number: int, server: Server) -> None:
    """Write a number down."""
    server.log.append(number)


async def test_mistake_25_a_call_to_oneself_fails_at_once() -> None:
    """An actor that asks itself gets AskCycle in no time, and lives on."""
    async with ActorSystem() as system:
        ref, log = await serve(system)

        async def ask_self(server: Server) -> None:
            try:
                await server.context.ref.ask(Slow("never"), timeout=None)
            except AskCycle as error:
                server.log.append(type(error))

        began = anyio.current_time()
        ref.tell(Do(ask_self))
        assert await ref.ask(Slow("well")) == "well"
        assert anyio.current_time() == began
        assert log == ["started", AskCycle, "well"]


@pytest.mark.parametrize(
    ("where", "how"),
    [
        *((where, how) for where in ("in hand", "queued", "kept") for how in ("kill", "crash")),
        *(("kept", how) for how in ("stop", "stop itself")),
    ],
)
async def test_mistake_25_a_call_fails_with_the_end_of_its_server(where: str, how: str) -> None:
    """Whoever waits for an answer learns of the end of the server at once, with its reason."""
    errors: list[tuple[ProcExited, float]] = []

    async def ask(ref: Ref[Any], request: Any) -> None:
        with pytest.raises(ProcExited) as caught:
            await ref.ask(request, timeout=None)
        errors.append((caught.value, anyio.current_time()))

    async def crash_later(server: Server) -> None:
        await anyio.sleep(3.0)
        raise Boom("as told")

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref, _ = await serve(system)
        system.monitor(ref, lambda down: None)
        if where == "queued":
            ref.tell(Do(crash_later))
        tasks.start_soon(ask, ref, Held() if where == "kept" else Slow("never", 50.0))
        await settle()
        if how == "kill":
            ref.kill()
        elif how == "stop":
            ref.stop()
        elif how == "stop itself":
            ref.tell(Do(lambda server: server.context.stop()))
        elif where == "kept":
            ref.tell(Do(crash_later))
        elif where == "in hand":
            other, _ = await serve(system)
            other.tell(Do(lambda server: server.context.link(ref)))
            other.tell(Do(crash_later))
        reason = await ref.wait()
        ended = anyio.current_time()
        await settle()
        ((error, at),) = errors
        assert at == ended
        assert error.reason == reason
        assert isinstance(reason, {"kill": Killed, "crash": Crashed}.get(how, Normal))


@pytest.mark.parametrize("how", ["cancelled", "timed out", "killed"])
@pytest.mark.parametrize("request_type", [Slow, Held])
async def test_mistake_26_a_caller_that_is_gone_does_not_harm_the_server(
    how: str, request_type: type[Slow | Held]
) -> None:
    """A request whose asker is gone is worked off; the answer to nobody, however given, is none."""
    request: Any = Slow("gone", 3.0) if request_type is Slow else Held()
    async with ActorSystem() as system:
        ref, log = await serve(system)
        asker, _ = await serve(system)
        if how == "killed":
            asker.tell(Do(lambda server: ref.ask(request, timeout=None)))
            await settle()
            asker.kill()
        elif how == "cancelled":
            with anyio.move_on_after(1.0):
                await ref.ask(request, timeout=None)
        else:
            with pytest.raises(AskTimeout):
                await ref.ask(request, timeout=1.0)
        if request_type is Held:
            ref.tell(Do(lambda server: server.held.pop().send(1)))
        assert await ref.ask(Slow("next")) == "next"
        assert log == ["started", *(["gone"] if request_type is Slow else []), "next"]


async def test_mistake_27_what_a_start_goes_on_with_comes_before_all_mail() -> None:
    """`on_start` is done before any message, also one that came while it ran, or was kept."""
    stage = Stage()

    class Late(Server):
        async def on_start(self) -> None:
            self.context.ref.tell(Do(partial(note, 1)))
            await anyio.sleep(1.0)
            self.log.append("ready")

    async with ActorSystem() as system:
        log: list[Any] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(system.spawn, partial(Late, log), id="late"))
            await settle()
            ref: Any = system.find("/late")
            ref.tell(Do(partial(note, 2)))
        await settle()
        assert log == ["ready", 1, 2]
    async with stage.serve([stage.child("a", start=[None, 1.0])]):
        seen: list[bool] = []
        stage.crash("a")
        await settle()
        stage.act("a", lambda worker: seen.append(stage.is_inside("a", "start")))
        await anyio.sleep(2.0)
        assert seen == [False]


async def test_mistake_28_a_name_is_free_when_the_death_is_seen() -> None:
    """A proc that has ended has no name any more for whoever learns of its end."""
    name = Name[Any]("desk")
    found: list[Any] = []
    async with ActorSystem() as system:
        ref, _ = await serve(system, name=name)
        system.monitor(ref, lambda down: found.append(system.whereis(name)))
        ref.kill()
        await ref.wait()
        found.append(system.whereis(name))
        other, _ = await serve(system, name=name)
        assert found == [None, None]
        assert system.whereis(name) == other


async def test_mistake_28_a_restart_finds_its_name_free() -> None:
    """A child with a name is restarted under it, whoever killed whom in which order."""
    stage = Stage()
    name = Name[Any]("desk")
    async with stage.serve(
        [stage.child("a", name=name), stage.child("b")], strategy="one_for_all", max_restarts=9
    ) as app:
        for _ in range(3):
            await crash_times(stage, "a", 1)
            assert app.system.whereis(name) == app.find("a")
            await crash_times(stage, "b", 1)
        assert [info.restarts for info in await stage.infos()] == [6, 6]


async def test_mistake_29_a_dead_holder_neither_blocks_a_name_nor_is_found() -> None:
    """A name belongs to one proc that lives: taken as long as that does, and free at its end."""
    name = Name[Any]("desk")
    async with ActorSystem() as system:
        for end in ("kill", "stop", "crash"):
            ref, _ = await serve(system, name=name)
            system.monitor(ref, lambda down: None)
            with pytest.raises(NameTaken):
                await serve(system, name=name)
            assert system.whereis(name) == ref
            if end == "crash":
                ref.tell(Do(crash))
            else:
                getattr(ref, end)()
            await ref.wait()
            assert system.whereis(name) is None

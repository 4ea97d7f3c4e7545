"""Tests of user objects that go wrong where the engine meets them: none takes more than itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Crashed,
    DeadLetter,
    Event,
    HandlerFailed,
    ProcEnded,
    ProcExited,
    Shutdown,
    StartFailed,
    on,
    task,
)
from actors.testing import settle
from tests.kit.actors import Ask, Do, Doer, Plain, given, pair, raising


class Unprintable(Exception):
    """Have no text."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Lying(Exception):
    """Have no class."""

    @property
    def __class__(self) -> Any:
        raise KeyboardInterrupt

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


@dataclass(frozen=True)
class Frozen(Exception):
    """Take no notes."""

    item: str = "pencils"


class Unhashable(BaseException):
    """Be no Exception, compare with nothing and have no hash."""

    def __eq__(self, other: object) -> bool:
        raise ValueError

    def add_note(self, note: str) -> None:
        """Refuse."""
        raise ValueError

    def __hash__(self) -> int:
        raise ValueError


pytestmark = pytest.mark.dead_letters


class Heart(Actor[Lying]):
    """Count."""

    heard = 0

    @on(Lying)
    def hear(self, message: Lying) -> None:
        """Count."""
        self.heard += 1


HOSTILE = [Unprintable, Lying, Frozen, Unhashable]


def found(raised: Any, kind: type[BaseException]) -> bool:
    """Return whether an error of a type was raised, and nothing else."""
    return [type(error) for error in raised.errors] == [kind]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("inline", [False, True])
async def test_a_crash_with_a_hostile_error_is_a_crash_like_any(
    kind: type[BaseException], inline: bool
) -> None:
    """Its asker hears of it, and its siblings go on; also when it was answered in its turn."""

    async def crash(_: object) -> None:
        raise kind()

    def crash_at_once(_: object) -> None:
        raise kind()

    async with ActorSystem() as system:
        doer, sibling = await pair(system), await pair(system)
        ends: list[Event] = []
        system.events.subscribe(ends.append)
        with pytest.raises(ProcExited) as told:
            await doer.ref.ask(Plain(crash_at_once) if inline else Ask(crash))
        assert type(told.value.__cause__) is kind
        assert not doer.ref.is_alive
        (end,) = [event for event in ends if isinstance(event, ProcEnded)]
        assert str(end.reason).startswith(f"crashed: {kind.__name__}")
        assert await sibling.ref.ask(Plain(lambda _: 1)) == 1


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("place", ["event", "monitor", "token", "undelivered", "on_stop"])
async def test_a_hostile_error_in_a_callback_disturbs_no_end(
    kind: type[BaseException], place: str
) -> None:
    """Whatever a callback raises at an end, all hear of the end, and it is told of."""

    def bad(*_: object) -> None:
        raise kind()

    class Bad(Doer):
        def on_undelivered(self, message: object) -> None:
            if place == "undelivered":
                bad()

        async def on_stop(self, reason: object) -> None:
            if place == "on_stop":
                bad()

    failed: list[HandlerFailed] = []
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            doer = await pair(system, Bad)
            if place == "event":
                system.events.subscribe(bad)
                system.events.subscribe(
                    lambda event: failed.append(event) if isinstance(event, HandlerFailed) else None
                )
            elif place == "monitor":
                system.monitor(doer.ref, bad)
            elif place == "token":
                doer.actor.context.shutdown.on_cancel(bad)
            doer.ref.tell(Do(lambda _: anyio.sleep(0.1)))
            await settle()
            doer.ref.tell(Do(lambda _: None))
            assert (await doer.ref.shutdown()).is_abnormal == (place == "on_stop")
    assert found(raised, kind)
    assert [type(event.error) for event in failed] == ([kind] if place == "event" else [])


async def test_a_proc_of_a_frozen_class_does_not_start() -> None:
    """A proc that cannot hold its context is a failed start, and leaves nothing behind."""

    @frozen
    class Still(Actor[str]):
        path: str = ""

        @on(str)
        def hear(self, message: str) -> None: ...

    async with ActorSystem() as system:
        with pytest.raises(StartFailed):
            await system.spawn(Still, id="still")
        assert system.snapshot() == ()


async def test_whatever_a_factory_raises_is_a_failed_start() -> None:
    """A factory that raises a BaseException takes nobody along but what it was to make."""

    def factory() -> Doer:
        raise Unhashable

    async with ActorSystem() as system:
        with pytest.raises(StartFailed) as raised:
            await system.spawn(factory)
        assert type(raised.value.__cause__) is Unhashable


async def test_an_exit_inside_of_a_group_brings_the_system_down() -> None:
    """SystemExit ends the system also when it comes in a group, as from a task group."""

    async def leave(shutdown: CancellationToken) -> None:
        raise BaseExceptionGroup("tasks", [ValueError(), BaseExceptionGroup("", [SystemExit(3)])])

    with raising(SystemExit):
        async with ActorSystem() as system:
            await system.spawn(task(leave))
            await anyio.sleep_forever()


async def test_a_message_is_not_asked_what_it_is() -> None:
    """A message whose class lies is a message like any, also when nobody handles it."""
    lie = Lying()
    async with ActorSystem() as system:
        doer = Heart()
        heart = await system.spawn(given(doer))
        letters: list[Event] = []
        heart.tell(lie)
        await settle()
        system.events.subscribe(letters.append)
        heart.tell(lie)
        heart.kill()
        await heart.wait()
        heart.tell(lie)
        assert doer.heard == 1
        assert len([event for event in letters if type(event) is DeadLetter]) == 2


def test_each_text_is_bounded() -> None:
    """The text of a reason that holds others is no longer than a text may be."""
    error: Exception = ValueError("x" * 3000)
    for _ in range(100):
        error = ProcExited("/a", Crashed(error), "Go")
    assert len(str(Crashed(error))) < 1100
    assert str(Shutdown(Unprintable())) == "shutdown ((its text cannot be printed))"

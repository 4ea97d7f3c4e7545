"""What is wrong with a call is said at the call: options of spawn, handlers that cannot run."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from actors import Actor, ActorSystem, Request, on


class Note:
    """Be told."""


class Count(Request[int]):
    """Ask how many notes there were."""


class Counter(Actor[Note | Count]):
    """Count notes."""

    def __init__(self) -> None:
        self.notes = 0

    @on(Note)
    def note(self, message: Note) -> None:
        """Count."""
        self.notes += 1

    @on(Count)
    def count(self, message: Count) -> int:
        """Answer."""
        return self.notes


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
    """`spawn` names the option that is wrong and what would be right, and nothing else is lost."""
    async with ActorSystem() as system:
        other = await system.spawn(Counter, id="other")
        with pytest.raises(kind, match=re.escape(text)):
            await system.spawn(Counter, **{"id": "one", **options})
        assert system.find("/one") is None
        assert await other.ask(Count()) == 0
    assert not other.is_alive


@pytest.mark.real_time
async def test_a_tell_from_another_thread_arrives() -> None:
    """A `tell` from another thread wakes the receiver through its event loop."""
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        await anyio.to_thread.run_sync(counter.tell, Note())
        await anyio.sleep(0.03)
        assert counter.statistics().queued == 0  # before an ask could have woken it
        assert await counter.ask(Count()) == 1


def test_a_handler_with_yield_is_refused() -> None:
    """A generator as a handler is a TypeError when the class is created: it would never run."""
    with pytest.raises(TypeError, match="a handler with yield would never run"):

        class Yielding(Actor[Note]):
            """Yield."""

            @on(Note)
            def note(self, message: Note) -> Any:
                """Yield."""
                yield 1


@pytest.mark.dead_letters
async def test_a_crash_that_nobody_heard_of_says_who_crashed() -> None:
    """The error in the group that leaving a system raises has a note with path and message type."""

    class Fragile(Counter):
        """Crash at a note."""

        def note(self, message: Note) -> None:
            """Crash."""
            raise ValueError("dropped")

    async def crash() -> None:
        async with ActorSystem() as system:
            fragile = await system.spawn(Fragile, id="fragile")
            fragile.tell(Note())
            await fragile.wait()

    with pytest.raises(BaseExceptionGroup) as raised:
        await crash()
    assert raised.value.exceptions[0].__notes__ == ["crashed: /fragile, handling Note"]

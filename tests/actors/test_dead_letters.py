"""Tests of the reasons of dead letters: a kind for programs, a text for people."""

from __future__ import annotations

import anyio.lowlevel
import pytest

from actors import Actor, ActorSystem, DeadLetter, DeadLetterKind, DeadLetterReason, on
from actors.testing import Recorder

TEXTS = {
    DeadLetterKind.IN_HAND: "in hand when WORDS",
    DeadLetterKind.ENDED: "WORDS",
    DeadLetterKind.MAILBOX_FULL: "mailbox full WORDS",
    DeadLetterKind.NOT_ACCEPTED: "WORDS",
    DeadLetterKind.DROPPED_AT_RESTART: "dropped at the restart of its receiver (WORDS)",
    DeadLetterKind.GIVEN_UP: "WORDS",
}


@pytest.mark.parametrize("kind", DeadLetterKind)
def test_each_kind_has_its_text(kind: DeadLetterKind) -> None:
    """The text of a reason is a sentence made of its kind and its detail."""
    assert str(DeadLetterReason(kind, "WORDS")) == TEXTS[kind]


class Fuse(Actor[str]):
    """Crash at the first message."""

    @on(str)
    async def burn(self, message: str) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError(message)


@pytest.mark.dead_letters
async def test_the_kind_tells_what_became_of_a_message() -> None:
    """What was in hand, what waited and what came too late have each their kind."""
    async with ActorSystem() as system:
        with Recorder(system, DeadLetter) as recorder:
            fuse = await system.spawn(Fuse)
            system.monitor(fuse, lambda down: None)
            fuse.tell("in hand")
            fuse.tell("waits")
            await fuse.wait()
            fuse.tell("too late")
    assert [(letter.message, letter.why.kind) for letter in recorder] == [
        ("in hand", DeadLetterKind.IN_HAND),
        ("waits", DeadLetterKind.ENDED),
        ("too late", DeadLetterKind.ENDED),
    ]

"""Tests of the parts of an incarnation: fields of one class, made when they are needed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Child,
    Context,
    Exited,
    Proc,
    Ref,
    Request,
    on,
)
from actors.engine import Incarnation
from actors.engine.background import Background
from actors.engine.links import Links
from actors.engine.receiver import Receiver
from actors.ref import address_of
from tests.kit.actors import Note, pair


class Work(Request[str]):
    """Ask for work."""


class Quiet(Actor[Work]):
    """Answer when asked."""

    @on(Work)
    async def work(self, message: Work) -> str:
        await anyio.lowlevel.checkpoint()
        return "done"


async def test_an_incarnation_makes_its_parts_when_they_are_needed() -> None:
    """An incarnation has no ancestors but parts, those that it uses, and none after its end."""
    async with ActorSystem() as system:
        quiet = await system.spawn(Quiet)
        life = address_of(quiet).occupant
        assert isinstance(life, Incarnation)
        assert Incarnation.__mro__ == (Incarnation, object)
        await quiet.ask(Work())
        assert life._receiver is not None
        assert [life._links, life._background] == [None, None]
        system.monitor(quiet, lambda down: None)
        assert life._links is not None
        quiet.stop()
        await quiet.wait()
        assert [life._receiver, life._links] == [None, None]


@pytest.mark.parametrize(
    "use",
    [
        lambda context, other: context.link(other),
        lambda context, other: context.unlink(other),
        lambda context, other: context.monitor(other),
        lambda context, other: context.send_after(1, Note("late")),
        lambda context, other: context.pipe(anyio.sleep(1), into=Note),
        lambda context, other: context.stash(),
        lambda context, other: context.unstash_all(),
    ],
    ids=["link", "unlink", "monitor", "send_after", "pipe", "stash", "unstash_all"],
)
async def test_a_context_that_outlived_its_proc_leaves_no_part_behind(
    use: Callable[[Context[Any], Ref[Any]], object],
) -> None:
    """What is made of an incarnation after its end goes without the garbage collector."""
    async with ActorSystem() as system:
        one, other = await pair(system), await pair(system)
        system.monitor(other.ref, lambda down: None)  # so that it has its links already
        context = one.actor.context
        await one.ref.shutdown()
        del one.actor
        before = parts()
        gc.disable()
        try:
            with suppress(RuntimeError):
                use(context, other.ref)
            del context
            assert parts() == before
        finally:
            gc.enable()


def parts() -> list[int]:
    """Count the parts of incarnations that there are."""
    kinds = [type(one) for one in gc.get_objects()]
    return [kinds.count(kind) for kind in (Links, Background, Receiver)]


class Reader(Proc[str]):
    """Read the inbox once, and keep what it is read with."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Read one message."""
        self.inbox = self.context.inbox()
        await anext(self.inbox)


async def test_an_inbox_that_outlived_its_proc_takes_no_mail() -> None:
    """The mail that waits when a proc has ended is none of its old inbox's, or of a new one's."""

    class Owner(Proc[object]):
        async def run(self, shutdown: CancellationToken) -> None:
            child: Child[str] = self.context.child("reader")
            reader = Reader()
            await child.start(lambda: reader)
            child.ref.tell("first")
            child.ref.tell("second")
            await child.ref.wait()
            with pytest.raises(StopAsyncIteration):
                await anext(reader.inbox)
            with pytest.raises(RuntimeError, match="has ended"):
                reader.context.inbox()
            assert child.ref.statistics().queued == 1
            await child.start(Reader)
            await child.ref.wait()
            assert child.ref.statistics().queued == 0

        def on_exit(self, exited: Exited) -> None:
            """Trap exits."""

    async with ActorSystem() as system:
        await (await system.spawn(Owner)).wait()

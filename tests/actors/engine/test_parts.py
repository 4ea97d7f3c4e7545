"""Tests of the parts of an incarnation: fields of one class, made when they are needed."""

from __future__ import annotations

import anyio

from actors import Actor, ActorSystem, Request, on
from actors.engine import Incarnation
from actors.ref import address_of


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

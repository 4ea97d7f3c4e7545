"""Procs to look at from outside: some hang, in one way or another, in the hand of an owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Child,
    Exited,
    Proc,
    Reply,
    Request,
    Vitals,
    on,
)


class Hang:
    """Have the handler wait for ever."""


class Stash:
    """Have the handler stash the message and wait for ever."""


class Nap:
    """Have the handler wait for a second."""


@frozen
class Query(Request[int]):
    """Ask something that is never answered."""


@frozen
class Later(Request[int]):
    """Ask something whose handler takes a reply."""


async def deep(gate: anyio.Event) -> None:
    """Wait two calls below the handler."""
    await deeper(gate)


async def deeper(gate: anyio.Event) -> None:
    """Wait."""
    await gate.wait()


class Sleeper(Actor[Hang | Nap | Stash | Query | Later]):
    """Hang in one way or another."""

    def __init__(self) -> None:
        self.gate = anyio.Event()

    @on(Hang)
    async def hang(self, message: Hang) -> None:
        await deep(self.gate)

    @on(Nap)
    async def nap(self, message: Nap) -> None:
        await anyio.sleep(1)

    @on(Stash)
    async def stash(self, message: Stash) -> None:
        self.context.stash()
        await deep(self.gate)

    @on(Query)
    async def query(self, message: Query) -> int:
        await deep(self.gate)
        return 1

    @on(Later)
    async def later(self, message: Later, reply: Reply[int]) -> None:
        await deep(self.gate)
        reply.send(1)


class Wrapped(Sleeper):
    """Wrap the receive loop in code of its own."""

    async def run(self, shutdown: CancellationToken) -> None:
        await super().run(shutdown)


class Napping(Sleeper):
    """Hibernate."""

    hibernate_after = 0.1


class Owner(Proc[object]):
    """Own a child on behalf of a test."""

    def __init__(self) -> None:
        self.exits: list[Exited] = []

    async def run(self, shutdown: CancellationToken) -> None:
        await shutdown.wait()
        await anyio.sleep_forever()

    def on_exit(self, exited: Exited) -> None:
        self.exits.append(exited)


async def own(system: ActorSystem, start: Callable[[], Proc[Any]]) -> Child[Any]:
    """Start a proc in the hand of an owner."""
    owner = Owner()
    await system.spawn(lambda: owner, shutdown=0)
    child: Child[Any] = owner.context.child("child")
    await child.start(start)
    return child


def look(child: Child[Any]) -> Vitals:
    """Look at a child that runs."""
    vitals = child.vitals()
    assert vitals is not None
    return vitals


class Brief(Actor[str]):
    """End when told to."""

    @on(str)
    def hear(self, message: str) -> None:
        pass

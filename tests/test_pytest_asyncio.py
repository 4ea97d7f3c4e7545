"""Those who test with pytest-asyncio can go on: actors need nothing of anyio's plugin."""

from __future__ import annotations

import asyncio

import pytest

from actors import Actor, ActorSystem, Request, on


class Double(Request[int]):
    """Ask for twice a number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Doubler(Actor[Double]):
    """Double."""

    @on(Double)
    async def double(self, message: Double) -> int:
        """Answer."""
        await asyncio.sleep(0)
        return message.number * 2


@pytest.mark.asyncio
async def test_actors_run_under_pytest_asyncio() -> None:
    """An actor system runs in whichever asyncio loop the test brings along."""
    async with ActorSystem() as system:
        doubler = await system.spawn(Doubler)
        assert await doubler.ask(Double(21)) == 42
    assert not doubler.is_alive

"""A proc that lives by itself, for tests of what the adapters make."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from actors import ActorSystem, Proc, Ref

__all__ = ["spawned"]


@asynccontextmanager
async def spawned(start: Callable[[], Proc[Any]], **options: Any) -> AsyncGenerator[Ref[Any]]:
    """Spawn a proc in a system of its own; its crash is for the test to look at."""
    async with ActorSystem() as system:
        ref = await system.spawn(start, **options)
        system.monitor(ref, lambda down: None)
        yield ref

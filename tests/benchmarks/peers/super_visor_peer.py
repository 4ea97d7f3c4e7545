"""Measure this project the way the peers are measured, in the present interpreter."""

from __future__ import annotations

import asyncio

from tests.benchmarks import lifecycle, messaging, supervised
from tests.benchmarks.peers import kit

kit.main(
    {
        "tell": lambda size: asyncio.run(messaging.tell(size))[0],
        "ask": lambda size: asyncio.run(messaging.ask(size))[0],
        "ping_pong": lambda size: asyncio.run(messaging.ping_pong(size))[0],
        "spawn_stop": lambda size: asyncio.run(lifecycle.spawn_and_stop(size))[0],
        "restart": lambda size: asyncio.run(supervised.restart(size))[0],
    }
)

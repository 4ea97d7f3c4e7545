"""Hide everything that differs between asyncio and trio: the one room that asks which loop runs.

`current_backend` gives the `Backend` of the loop that runs here; each loop has a file of its own,
which is imported when it is first needed.

>>> import anyio
>>> async def main() -> str:
...     backend = current_backend()
...     waiter: Waiter[str] = backend.new_waiter()
...     backend.call_at(backend.now() + 0.001, lambda: waiter.set_result("woken"))
...     return await waiter
>>> anyio.run(main, backend="asyncio"), anyio.run(main, backend="trio")
('woken', 'woken')
"""

from __future__ import annotations

import sys

from actors.backends.base import (
    Backend,
    Block,
    Interrupted,
    InterruptibleTask,
    TimerHandle,
    Waiter,
    Wakeable,
)

__all__ = [
    "Backend",
    "Block",
    "Interrupted",
    "InterruptibleTask",
    "TimerHandle",
    "Waiter",
    "Wakeable",
    "current_backend",
]


def current_backend() -> Backend:
    """Return the backend of the event loop that runs here.

    Raises RuntimeError when called outside of an event loop.
    """
    trio = sys.modules.get("trio")
    # Asked first, because trio in guest mode runs inside an asyncio loop. An old trio that somebody
    # else has imported, and that could not serve here, must not break asyncio programs.
    in_trio_run = None if trio is None else getattr(trio.lowlevel, "in_trio_run", None)
    if in_trio_run is not None and in_trio_run():
        from actors.backends._trio import TrioBackend

        return TrioBackend()
    from actors.backends._asyncio import AsyncioBackend

    return AsyncioBackend()

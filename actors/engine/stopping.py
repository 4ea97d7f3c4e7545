"""Stop children: one after the other, the youngest first, each within its own time.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, ExitReason, Proc
>>> class Floor(Proc[object]):
...     def __init__(self, number: int) -> None:
...         self.number = number
...     async def run(self, shutdown: CancellationToken) -> None:
...         await shutdown.wait()
...     async def on_stop(self, reason: ExitReason) -> None:
...         print("floor", self.number, reason)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         for number in range(3):
...             await system.spawn(lambda: Floor(number))
>>> anyio.run(main)
floor 2 shutdown
floor 1 shutdown
floor 0 shutdown
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from actors.address import Address, Occupant
from actors.backends import Backend, Waiter
from actors.waits import pauses

__all__ = ["CHILDLESS", "stop_children"]

CHILDLESS: dict[str, Address] = {}
"""Stands for the children of those who never had one; nothing is ever put in."""


async def stop_children(
    backend: Backend,
    children: dict[str, Address],
    killed: Callable[[], bool],
    on_cancel: Callable[[], None],
    owner: Occupant | None = None,
) -> bool:
    """Stop all children one after the other, the youngest first, each within its own time.

    Each is awaited before the next is told; `owner`, if it is a proc, is known to wait for it.
    Returns whether a cancellation was taken in.
    """
    taken_in = False
    waiting: list[Address] = []
    while children:
        # Not the last key each time: a dict looks for it among all that were deleted.
        if len(waiting) != len(children):
            waiting = list(children.values())
        address = waiting.pop()
        life = address.occupant
        if life is not None:
            if killed():
                life.kill()
            else:
                life.tell_to_stop(address.shutdown_timeout)
            taken_in |= await backend.outlast(partial(_arm, owner, life), on_cancel)
            if owner is not None:
                owner.wait_is_over()
        if children.get(address.id) is address:
            del children[address.id]
            address.end("its owner has ended")
    return taken_in


def _arm(owner: Occupant | None, child: Occupant, waiter: Waiter[Any]) -> bool:
    alive = child.on_end(waiter)
    if alive and owner is not None:
        pauses(owner, child.address, waiter)
    return alive

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

from actors.address import Address
from actors.backends import Backend

__all__ = ["CHILDLESS", "stop_children"]

CHILDLESS: dict[str, Address] = {}
"""Stands for the children of those who never had one; nothing is ever put in."""


async def stop_children(
    backend: Backend,
    children: dict[str, Address],
    killed: Callable[[], bool],
    on_cancel: Callable[[], None],
) -> bool:
    """Stop all children one after the other, the youngest first, each within its own time.

    Each is awaited before the next is told. Returns whether a cancellation was taken in.
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
            taken_in |= await backend.outlast(life.on_end, on_cancel)
        if children.get(address.id) is address:
            del children[address.id]
            address.end("its owner has ended")
    return taken_in

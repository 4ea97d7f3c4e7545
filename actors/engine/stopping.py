"""Carry out the orders that reach an incarnation: stop, shut down, kill, crash, take down.

Each may come at any time, from its own code, from others in the same turn, or while it has no task
at all, and any number of times. None of them waits. The first reason to stop stays; a kill
overrules all of it, and takes the children along.

>>> import anyio
>>> from actors import Actor, ActorSystem, on
>>> class Word(Actor[str]):
...     @on(str)
...     def word(self, message: str) -> None: ...
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         refs = [await system.spawn(Word) for _ in range(3)]
...         refs[0].stop()
...         refs[1].kill()
...         await refs[2].shutdown()
...         print([str(await ref.wait()) for ref in refs])
>>> anyio.run(main)
['normal', 'killed', 'shutdown']
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

from actors.address import STOP, Address
from actors.backends import Backend, InterruptibleTask, TimerHandle, Waiter
from actors.context import Core
from actors.engine.links import Bonded
from actors.engine.receiver import TOLD
from actors.exits import Crashed, ExitReason, Killed, Normal, Shutdown
from actors.messages import Envelope

__all__ = ["CHILDLESS", "Ordered", "Phase", "stop_children"]


class Phase(IntEnum):
    """Tell how far an incarnation has come."""

    STARTING = 0
    RUNNING = 1
    STOPPING = 2
    ENDED = 3


CHILDLESS: dict[str, Address] = {}
"""Stands for the children of those who never had one; nothing is ever put in."""


class Ordered(Bonded):
    """Be the part of an incarnation that takes orders.

    `killed` implies a verdict. `children` are the addresses it owns, in order of start.
    """

    __slots__ = (
        "_own_task",
        "_deadline",
        "_deadline_at",
        "_ended",
        "_own_decision",
        "_system",
        "children",
        "killed",
        "owner",
        "phase",
    )

    def __init__(self, system: Core, owner: Ordered | None) -> None:
        super().__init__()
        self._system = system
        self.owner = owner
        self.phase = Phase.STARTING
        self.killed = False
        self._own_decision = False
        self.children = CHILDLESS
        self._deadline: TimerHandle | None = None
        self._deadline_at = 0.0
        self._ended: list[Waiter[ExitReason]] | None = None
        self._own_task: InterruptibleTask | None = None

    @property
    def system(self) -> Core:
        """Return the actor system."""
        return self._system

    def own_children(self) -> dict[str, Address]:
        """Return the children, to add one."""
        if self.children is CHILDLESS:
            self.children = {}
        return self.children

    def finish(self, reason: ExitReason, started: bool) -> None:
        """Announce the end; implemented above."""
        raise NotImplementedError

    def failure(self, error: BaseException) -> ExitReason:
        """Return the exit reason for what was raised; implemented above."""
        raise NotImplementedError

    def late(self, error: BaseException) -> None:
        """Report what was raised when the exit reason was settled already; implemented above."""
        raise NotImplementedError

    @property
    def lives(self) -> bool:
        """Tell whether it is starting or running, not stopping."""
        return self.phase <= Phase.RUNNING

    @property
    def hears(self) -> bool:
        """Tell whether news still matter: it lives, and its fate is not sealed."""
        return self.lives and self.verdict is None

    def check_not_ended(self) -> None:
        """Refuse what would begin after the end. Raises RuntimeError."""
        if self.phase is Phase.ENDED:
            raise RuntimeError(f"{self.address.path} has ended; its context is of no use any more")

    def on_end(self, waiter: Waiter[Any]) -> None:
        """Wake `waiter` with the exit reason when it has ended."""
        if self._ended is None:
            self._ended = []
        self._ended.append(waiter)

    def finish_queued(self) -> None:
        """Stop it after what is queued."""
        if self._ends_at_once(Normal()):
            return
        if self.traits.actor or self.reads_inbox:
            self.address.notify(STOP)
        else:
            self._tell(Normal())

    def stop_self(self, reason: ExitReason) -> None:
        """Stop after the message in hand, before anything else; the first reason stays."""
        if self.lives and not self._own_decision and not self._ends_at_once(reason):
            self._own_decision = True
            self.told = reason
            self.cancel_token()
            self.address.signal(TOLD, first=True)

    def _tell(self, reason: ExitReason) -> None:
        """Be told from outside: after the message in hand, and the control that came before."""
        if self.told is None and self.lives and not self._ends_at_once(reason):
            self.told = reason
            self.cancel_token()
            self.address.signal(TOLD)

    def crash(self, error: BaseException) -> None:
        """Crash with what was raised outside of its own task."""
        if self.told is not None and isinstance(error, self.system.backend.cancelled_error()):
            if isinstance(self.in_hand, Envelope):
                self.remember(self.in_hand)
            self.in_hand = None  # it was told to stop, and that is what it does
        elif self.hears:
            self.take_down(self.failure(error))
        else:
            self.late(error)

    def token_cancelled(self) -> None:
        """Be told to stop through the token."""
        self._tell(Shutdown())

    def tell_to_stop(self, timeout: float | None) -> None:
        """Stop it after the message in hand; kill it at the deadline."""
        if self.phase is Phase.ENDED:
            return
        if self.phase is Phase.STARTING:
            # Nobody needs what is half started. Its on_start is cancelled; its children,
            # if it has some already, are stopped in order.
            self.take_down(Shutdown())
        else:
            self._tell(Shutdown())
        if timeout is not None and self.phase < Phase.ENDED:
            self._set_deadline(timeout)

    def _set_deadline(self, timeout: float) -> None:
        """Kill it in `timeout` seconds, unless it is to be killed earlier anyway."""
        backend = self.system.backend
        when = backend.now() + timeout
        if self._deadline is not None:
            if self._deadline_at <= when:
                return
            self._deadline.cancel()
        self._deadline_at = when
        self._deadline = backend.call_at(when, self.kill)

    def take_down(self, reason: ExitReason) -> None:
        """Interrupt this incarnation; it ends with `reason`."""
        # Never at once, even if it has no task: this may be called in the middle of the
        # announcement of another's end, and the others there are to hear of that one first.
        if self.lives and self.verdict is None:
            self.verdict = reason
            if self.phase is Phase.RUNNING and self.in_hand is None:
                self.address.signal(TOLD, first=True)  # seen before mail if it was just woken
            self._interrupt()

    def _interrupt(self) -> None:
        if self._own_task is None:
            self.address.wake()  # it has no task yet, but something to do at its end
        else:
            self._own_task.interrupt()

    def _ends_at_once(self, reason: ExitReason) -> bool:
        """End an incarnation that has no task, if there is nothing to do for one at its end."""
        stand_in: Any = self.address.waiter
        if stand_in is not self or self.children or self._side:
            return False
        if self.traits.stops and not self.killed:
            return False
        self.finish(reason, started=True)
        return True

    def kill(self) -> None:
        """Cancel it and all that it started, the youngest first."""
        doomed: list[Ordered] = [self]
        while doomed:
            life = doomed.pop()
            if life.killed or life.phase is Phase.ENDED:
                continue
            life.killed = True
            if life._ends_at_once(Killed()):
                continue
            if not isinstance(life.verdict, Crashed) or life.phase is not Phase.STARTING:
                life.verdict = Killed()
            for address in life.children.values():
                if isinstance(address.occupant, Ordered):
                    doomed.append(address.occupant)
            # The loop of an actor that kills itself sees the mark, its handlers the interrupt.
            life.address.signal(TOLD)
            life._interrupt()

    def start_timed_out(self, timeout: float) -> None:
        """Kill it because it did not get ready in time."""
        if self.phase is Phase.STARTING and self.verdict is None:
            self.verdict = Crashed(TimeoutError(f"not ready within {timeout:g} s"))
            self.kill()


async def stop_children(
    backend: Backend,
    children: dict[str, Address],
    killed: Callable[[], bool],
    on_cancel: Callable[[], None],
) -> bool:
    """Stop all children one after the other, the youngest first, each with its own timeout.

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
        if isinstance(life, Ordered):
            if killed():
                life.kill()
            else:
                life.tell_to_stop(address.shutdown_timeout)
            taken_in |= await backend.outlast(partial(arm, life), on_cancel)
        if children.get(address.id) is address:
            del children[address.id]
            address.end("its owner has ended")
    return taken_in


def arm(life: Ordered, waiter: Waiter[Any]) -> bool:
    """Have `waiter` woken at the end of `life`; False when that is past."""
    if life.phase is Phase.ENDED:
        return False
    life.on_end(waiter)
    return True

"""Hold a child in its owner's hand: reserve its address, start it again, look at it, stop it.

`context.child` gives an `OwnedChild`, an address whose owner starts one incarnation after the
other; supervisors are built on it. What it can say of the incarnation it reads from its suspended
calls.

>>> import anyio
>>> from actors import ActorSystem, Exited, Proc, CancellationToken, task
>>> async def fragile(shutdown: CancellationToken) -> None:
...     raise ValueError("dropped")
>>> class Keeper(Proc[object]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         child = self.context.child("fragile")
...         for _ in range(2):
...             await child.start(task(fragile))
...             print(child.incarnation, await child.ref.wait())
...     def on_exit(self, exited: Exited) -> None:
...         pass
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         keeper = await system.spawn(Keeper)
...         await keeper.wait()
>>> anyio.run(main)
1 crashed: ValueError: dropped
2 crashed: ValueError: dropped
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import dropwhile
from types import CoroutineType
from typing import Any, TypeVar, final

from actors.address import Address
from actors.context import Child, Proc
from actors.dispatch import label
from actors.engine.incarnation import Incarnation
from actors.engine.life import Phase
from actors.engine.receiver import Receiver
from actors.engine.spawning import new_address, spawn_into, start_incarnation
from actors.engine.stopping import CHILDLESS
from actors.errors import NameTaken, StartFailed
from actors.events import ProcReleased
from actors.exits import Crashed, ExitReason
from actors.mail import unwrap
from actors.mailbox import Mailbox
from actors.names import Name
from actors.ref import Ref, ref_of
from actors.vitals import Place, Step, Vitals, code_of, places, steps_of, traceback_of

__all__ = ["OwnedChild", "reserve_child", "spawn_child"]

M = TypeVar("M")

# What stands between the engine and the user's code, in the stack of an incarnation's task.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_BACKENDS = os.path.join(_PACKAGE, "backends") + os.sep
_RECEIVE = Receiver.receive.__code__
_HOOK = Receiver._call_hook.__code__  # pyright: ignore[reportPrivateUsage]
_STOPPING = Incarnation._tidy.__code__  # pyright: ignore[reportPrivateUsage]


async def spawn_child(
    owner: Incarnation,
    start: Callable[[], Proc[M]],
    id: str | None,
    name: Name[M] | None,
    mailbox: Mailbox,
    shutdown: float | None,
    start_timeout: float | None,
) -> Ref[M]:
    """Start a child that is linked to its owner."""
    owner.check_not_ended()
    owner.labels += 1
    chosen = f"{label(start)}-{owner.labels}" if id is None else id
    address = _address_below(owner, chosen, name, mailbox, shutdown)
    return await spawn_into(owner.system, address, owner.children, start, owner, start_timeout)


def reserve_child(
    owner: Incarnation,
    id: str,
    name: Name[M] | None,
    mailbox: Mailbox,
    shutdown: float | None,
) -> Child[M]:
    """Reserve an address for a child."""
    owner.check_not_ended()
    address = _address_below(owner, id, name, mailbox, shutdown)
    address.owned = True
    return OwnedChild(owner, address)


def _address_below(
    owner: Incarnation,
    id: str,
    name: Name[Any] | None,
    mailbox: Mailbox,
    shutdown: float | None,
) -> Address:
    if owner.children is CHILDLESS:
        owner.children = {}
    above = owner.address
    return new_address(above.runtime, above.path, owner.children, id, name, mailbox, shutdown)


@final
class OwnedChild(Child[Any]):
    """The address of a child, in its owner's hand."""

    __slots__ = ("_address", "_owner", "_suspended")

    def __init__(self, owner: Incarnation, address: Address) -> None:
        self._owner = owner
        self._address = address
        self._suspended = False

    @property
    def ref(self) -> Ref[Any]:
        """Return the child's address."""
        return ref_of(self._address)

    @property
    def incarnation(self) -> int:
        """Return how many times it was started."""
        return self._address.incarnation

    async def start(self, start: Callable[[], Proc[Any]], *, timeout: float | None = None) -> None:
        """Start the next incarnation and wait until it is ready."""
        address = self._address
        if address.occupant is not None:
            raise RuntimeError(f"{address.path} is still running")
        if self._owner.children.get(address.id) is not address:
            raise RuntimeError(f"{address.path} was released")
        if self._suspended:
            try:
                address.take_name()
            except NameTaken as error:
                raise StartFailed(address.path, Crashed(error)) from error
            address.reopen()
            self._suspended = False
        await start_incarnation(self._owner.system, address, start, self._owner, timeout)

    @property
    def reason(self) -> ExitReason:
        """Return how the last incarnation ended."""
        return self._address.reason

    def tell_to_stop(self, timeout: float | None) -> None:
        """Stop the incarnation, without waiting."""
        life = self._address.occupant
        if isinstance(life, Incarnation):
            life.tell_to_stop(timeout)

    async def stop(self, timeout: float | None) -> ExitReason:
        """Stop the incarnation and wait for its death."""
        return await ref_of(self._address).shutdown(timeout)

    async def kill(self) -> ExitReason:
        """Kill the incarnation and wait for its death."""
        ref = ref_of(self._address)
        ref.kill()
        return await ref.wait()

    def vitals(self) -> Vitals | None:
        """Look at the incarnation."""
        life = self._address.occupant
        return vitals_of(life) if isinstance(life, Incarnation) else None

    def stack(self) -> tuple[Place, ...]:
        """Return where the incarnation waits."""
        life = self._address.occupant
        return places(own_steps(life)) if isinstance(life, Incarnation) else ()

    def fail(self, error: BaseException) -> None:
        """Crash the incarnation."""
        life = self._address.occupant
        if isinstance(life, Incarnation):
            fail(life, error)

    def suspend(self, why: str) -> None:
        """Take no mail while no incarnation is to come."""
        if self._suspended:
            self._address.why = why
        else:
            self._suspended = True
            self._address.end(why)

    def release(self, why: str) -> None:
        """Give the address up for good."""
        address = self._address
        if address.occupant is not None:
            raise RuntimeError(f"{address.path} is still running")
        if self._owner.children.get(address.id) is address:
            del self._owner.children[address.id]
        address.end(why)
        events = self._owner.system.events
        if events.heard:
            events.publish(ProcReleased(ref_of(address)))


# -- an incarnation, seen from outside -------------------------------------------------------------


def vitals_of(life: Incarnation) -> Vitals:
    """Return what an incarnation is doing."""
    work: object = None
    name = activity = ""
    stopping = life.phase is Phase.STOPPING
    if stopping:
        work, name = _work(_steps(life, _STOPPING))
    elif not _waits_for_mail(life):
        if life.traits.actor:
            work, name = _work(_steps(life, _RECEIVE))
        elif life.in_hand is not None and life.receiver.reads_inbox:
            work, name = (life.number, life.handled), "inbox"
    if life.in_hand is not None and work is not None and not stopping:
        activity = f"handling {type(unwrap(life.in_hand)).__name__}"
    elif work is not None:
        activity = f"in {name}"
    return Vitals(life.number, work, activity, life.last_beat, stopping)


def fail(life: Incarnation, error: BaseException) -> None:
    """Crash an incarnation with `error`, wherever it is."""
    if not isinstance(error, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"fail takes an exception, not {error!r}")
    if error.__traceback__ is None:
        error.__traceback__ = traceback_of(own_steps(life))
    if life.hears:
        life.take_down(life.failure(error))
    elif life.phase is Phase.STOPPING and not life.killed:
        life.late(error)
        life.kill()


def own_steps(life: Incarnation) -> list[Step]:
    """Return the calls of its task from the first on that is the user's; none while idle."""
    if life.traits.actor and _waits_for_mail(life):
        return []
    found: list[Step] = []
    for step in _all_steps(life):
        code = code_of(step)
        if _is_guard(step):
            found.clear()  # what is further out is the engine's
        elif found or not code.co_filename.startswith(_PACKAGE):
            found.append(step)
    return found


def _waits_for_mail(life: Incarnation) -> bool:
    waiter = life.address.waiter
    return life.task is None or (waiter is not None and not waiter.done())


def _all_steps(life: Incarnation) -> Iterator[Step]:
    return steps_of(life.system.backend.coroutine_of(life.task))


def _steps(life: Incarnation, outside: object) -> Iterator[Step]:
    """Walk along the calls of its task that are inside of the engine's call `outside`."""
    steps = dropwhile(lambda step: code_of(step) is not outside, _all_steps(life))
    next(steps, None)
    return steps


def _is_guard(step: Step) -> bool:
    code = code_of(step)
    return code.co_name == "guard" and code.co_filename.startswith(_BACKENDS)


def _work(steps: Iterator[Step]) -> tuple[object, str]:
    """Find the user's coroutine that the engine awaits, and its name; None when it awaits none.

    The name is the hook's if a hook has returned it.
    """
    last: CoroutineType[Any, Any, Any] | None = None
    hook = ""
    for step in steps:
        if not isinstance(step, CoroutineType):
            break
        file = step.cr_code.co_filename
        if step.cr_code is _HOOK and step.cr_frame is not None:
            hook = step.cr_frame.f_locals["name"]
        elif file != _RECEIVE.co_filename and step.cr_code.co_name != "guard":
            name = hook or step.cr_code.co_name
            return (None, "") if file.startswith(_BACKENDS) else (step, name)
        last = step
    # A plain hook that returned something else to await.
    return (last, hook) if last is not None and last.cr_code is _HOOK else (None, "")

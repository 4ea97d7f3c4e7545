"""Start procs: from a factory to an address with a living incarnation.

Whoever starts a proc waits until it is ready. When that wait is cancelled, the half-started proc is
stopped first, and gone before the cancellation goes on. Three ways in: `ActorSystem.spawn`,
`context.spawn` (a linked child), and `context.child` (an address whose owner starts one
incarnation after the other).

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

import inspect
import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import dropwhile
from types import CoroutineType
from typing import Any, final

from actors.address import Address, Runtime, unwrap
from actors.backends import Waiter
from actors.context import Child, Core, Proc
from actors.dispatch import Open, accepted_by, label
from actors.engine.incarnation import Incarnation
from actors.engine.receiver import Reader
from actors.engine.stopping import Phase, arm
from actors.errors import IdTaken, Ignore, NameTaken, StartFailed
from actors.events import ProcFailedToStart
from actors.exits import Crashed, ExitReason
from actors.mailbox import Mailbox
from actors.names import Name
from actors.ref import Ref, make_ref, ref_of
from actors.vitals import Place, Step, Vitals, code_of, places, steps_of_task, traceback_of

__all__ = ["Life", "OwnedChild", "new_address", "spawn_into"]

_NOTHING_YET = Open("not started", None)

# What stands between the engine and the user's code, in the stack of an incarnation's task.
_ENGINE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_BACKENDS = os.path.join(_ENGINE, "backends") + os.sep
_READER = Reader.receive.__code__.co_filename
_RECEIVE = Reader.receive.__code__
_HOOK = Reader._call_hook.__code__  # pyright: ignore[reportPrivateUsage]
_STOPPING = Incarnation._tidy.__code__  # pyright: ignore[reportPrivateUsage]


class Life(Incarnation):
    """Be an incarnation that can start others: the whole thing."""

    __slots__ = ()

    async def spawn(
        self,
        start: Callable[[], Proc[Any]],
        id: str | None,
        name: Name[Any] | None,
        mailbox: Mailbox,
        shutdown: float | None,
        start_timeout: float | None,
    ) -> Ref[Any]:
        """Start a linked child."""
        self.check_not_ended()
        self.labels += 1
        address = new_address(
            self.address.runtime,
            self.address.path,
            self.own_children(),
            f"{label(start)}-{self.labels}" if id is None else id,
            name,
            mailbox,
            shutdown,
        )
        return await spawn_into(self.system, address, self.children, start, self, start_timeout)

    def child(
        self, id: str, name: Name[Any] | None, mailbox: Mailbox, shutdown: float | None
    ) -> Child[Any]:
        """Reserve an address for a child."""
        self.check_not_ended()
        runtime = self.address.runtime
        address = new_address(
            runtime, self.address.path, self.own_children(), id, name, mailbox, shutdown
        )
        address.owned = True
        return OwnedChild(self, address)

    # -- seen from outside ----------------------------------------------------------------------

    def vitals(self) -> Vitals:
        """Say what it is doing."""
        work: object = None
        activity = ""
        stopping = self.phase is Phase.STOPPING
        if stopping:
            work = _work(self._steps(_STOPPING))
        elif not self._waits_for_mail:
            if self.traits.actor:
                work = _work(self._steps(_RECEIVE))
            elif self.in_hand is not None and self.reads_inbox:
                work = (self.number, self.handled)
        if self.in_hand is not None and work is not None and not stopping:
            activity = f"handling {type(unwrap(self.in_hand)).__name__}"
        elif work is not None:
            activity = f"in {_name(work)}"
        return Vitals(self.number, work, activity, self.last_beat, stopping)

    @property
    def _waits_for_mail(self) -> bool:
        waiter = self.address.waiter
        return self.task is None or (waiter is not None and not waiter.done())

    def _steps(self, outside: object) -> Iterator[Step]:
        """Walk along the calls of its task that are inside of the engine's call `outside`."""
        steps = dropwhile(lambda step: code_of(step) is not outside, steps_of_task(self.task))
        next(steps, None)
        return steps

    def own_steps(self) -> list[Step]:
        """Return the calls of its task from the first on that is the user's; none while idle."""
        if self.traits.actor and self._waits_for_mail:
            return []
        found: list[Step] = []
        for step in steps_of_task(self.task):
            code = code_of(step)
            if code.co_name == "guard" and code.co_filename.startswith(_BACKENDS):
                found.clear()  # what is further out is the engine's
            elif found or not code.co_filename.startswith(_ENGINE):
                found.append(step)
        return found

    def fail(self, error: BaseException) -> None:
        """Crash it with `error`, wherever it is."""
        if error.__traceback__ is None:
            error.__traceback__ = traceback_of(self.own_steps())
        if self.hears:
            self.take_down(self.failure(error))
        elif self.phase is Phase.STOPPING and not self.killed:
            self.late(error)
            self.kill()


def _name(work: object) -> str:
    """Return the name of the function that a coroutine runs."""
    return work.cr_code.co_name if isinstance(work, CoroutineType) else "inbox"


def _work(steps: Iterator[Step]) -> object:
    """Find the user's coroutine that the engine awaits; None when it awaits none."""
    last: CoroutineType[Any, Any, Any] | None = None
    for step in steps:
        if not isinstance(step, CoroutineType):
            break
        file = step.cr_code.co_filename
        if file != _READER and step.cr_code.co_name != "guard":
            return None if file.startswith(_BACKENDS) else step
        last = step
    # A plain hook that returned something else to await.
    return last if last is not None and last.cr_code is _HOOK else None


@final
class OwnedChild(Child[Any]):
    """Be the address of a child, in its owner's hand."""

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
        return life.vitals() if isinstance(life, Life) else None

    def stack(self) -> tuple[Place, ...]:
        """Say where the incarnation waits."""
        life = self._address.occupant
        return places(life.own_steps()) if isinstance(life, Life) else ()

    def fail(self, error: BaseException) -> None:
        """Crash the incarnation."""
        life = self._address.occupant
        if isinstance(life, Life):
            life.fail(error)

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


def new_address(
    runtime: Runtime,
    parent: str,
    siblings: dict[str, Address],
    id: str,
    name: Name[Any] | None,
    mailbox: Mailbox,
    shutdown_timeout: float | None,
) -> Address:
    """Make an address among `siblings`.

    Raises IdTaken, NameTaken; ValueError and TypeError for an option that cannot be meant.
    """
    _check(id, name, mailbox, shutdown_timeout)
    path = f"{parent}/{id}"
    if name is not None and name.text in runtime.names:
        raise NameTaken(name.text, runtime.names[name.text].path)
    if id in siblings:
        raise IdTaken(path)
    address = Address(runtime, path, id, mailbox, _NOTHING_YET)
    address.shutdown_timeout = shutdown_timeout
    if name is not None:
        address.name = name.text
        address.take_name()
    address.ref = make_ref(address)
    siblings[id] = address
    return address


def _check(id: object, name: object, mailbox: object, shutdown_timeout: object) -> None:
    if not isinstance(id, str) or not id or "/" in id:
        raise ValueError(f"an id is a text without '/', of at least one character, not {id!r}")
    if name is not None and not isinstance(name, Name):
        raise TypeError(f"{id}: name is a Name or None, not {name!r}")
    if not isinstance(mailbox, Mailbox):
        raise TypeError(f"{id}: mailbox is a Mailbox, not {mailbox!r}")
    _check_seconds(id, "shutdown", shutdown_timeout, zero=True)


def _check_seconds(id: str, option: str, value: object, *, zero: bool) -> None:
    if value is None:
        return
    least = ">= 0" if zero else "> 0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{id}: {option} is a number of seconds {least}, or None, not {value!r}")
    if not (0 <= value < math.inf) or (value == 0 and not zero):
        raise ValueError(f"{id}: {option} is a number of seconds {least}, or None, not {value!r}")


async def spawn_into(
    system: Core,
    address: Address,
    siblings: dict[str, Address],
    start: Callable[[], Proc[Any]],
    owner: Incarnation | None,
    timeout: float | None,
) -> Ref[Any]:
    """Start the one incarnation that an address is for; on failure nothing of it stays."""
    try:
        await start_incarnation(system, address, start, owner, timeout)
    except BaseException:
        if siblings.get(address.id) is address:
            del siblings[address.id]
        address.end("its start failed")
        raise
    return ref_of(address)


async def start_incarnation(
    system: Core,
    address: Address,
    start: Callable[[], Proc[Any]],
    owner: Incarnation | None,
    timeout: float | None,
) -> None:
    """Make a proc, give it a task and wait until it is ready."""
    _check_seconds(address.id, "start_timeout", timeout, zero=False)
    await system.give_way()  # before anything has begun: it may be cancelled here
    if owner is not None:
        owner.check_not_ended()
    try:
        proc = make_proc(start)
    except Ignore:
        raise
    except Exception as error:
        reason = Crashed(error)
        if system.events.heard:
            system.events.publish(
                ProcFailedToStart(ref_of(address), reason, address.incarnation + 1)
            )
        raise StartFailed(address.path, reason) from error
    address.take(accepted_by(proc))
    life = Life(system, address, proc, owner)
    if life.begin():
        return
    ready: Waiter[None] = system.backend.new_waiter()
    life.ready = ready
    timer = None
    if timeout is not None:
        timer = system.backend.call_at(
            system.backend.now() + timeout, partial(life.start_timed_out, timeout)
        )
    waits = owner is not None and owner.waits_for(address)
    try:
        await ready
    except (StartFailed, Ignore):
        raise
    except BaseException:
        # Cancelled. It may have become ready in this very turn; it goes either way.
        life.tell_to_stop(address.shutdown_timeout)
        # If its owner was interrupted, that is known by now: only others' cancellations count.
        task = owner.own_task if waits and owner is not None else None
        await system.backend.outlast(partial(arm, life), life.kill, task)
        raise
    finally:
        if waits and owner is not None:
            owner.wait_is_over()
        if timer is not None:
            timer.cancel()


def make_proc(start: Callable[[], Proc[Any]]) -> Proc[Any]:
    """Call a factory. Raises TypeError when what it returns is no new proc."""
    if isinstance(start, Proc):
        raise TypeError(f"start is a class or a factory, not {start!r}: give it without calling it")
    proc = start()
    if not isinstance(proc, Proc):  # pyright: ignore[reportUnnecessaryIsInstance]
        if inspect.iscoroutine(proc):
            proc.close()
            raise TypeError(f"{label(start)} is a coroutine function; use task({label(start)})")
        raise TypeError(f"start makes a Proc, but {label(start)} returned {proc!r}")
    if hasattr(proc, "context"):
        raise TypeError(
            f"start makes a new proc each time, but {label(start)} returned one that has run before"
        )
    return proc

"""Start procs: from a factory to an address with a living incarnation.

Whoever starts a proc waits until it is ready. When that wait is cancelled, the half-started proc is
stopped first, and gone before the cancellation goes on.

>>> import anyio
>>> from actors import ActorSystem, Ignore, Proc, StartFailed, CancellationToken
>>> class Lamp(Proc[object]):
...     def __init__(self, error: Exception | None = None) -> None:
...         self.error = error
...     async def on_start(self) -> None:
...         if self.error is not None:
...             raise self.error
...     async def run(self, shutdown: CancellationToken) -> None:
...         await shutdown.wait()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         print((await system.spawn(Lamp, id="bright")).is_alive)
...         for error in (ValueError("no power"), Ignore("it is day")):
...             try:
...                 await system.spawn(lambda: Lamp(error), id="dark")
...             except (StartFailed, Ignore) as reason:
...                 print(type(reason).__name__, reason)
>>> anyio.run(main)
True
StartFailed /dark did not start: crashed: ValueError: no power
Ignore it is day
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from sys import float_info
from typing import Any

from actors.address import Address, Runtime
from actors.backends import Waiter
from actors.context import Core, Proc
from actors.dispatch import Open, accepted_by, label
from actors.engine.incarnation import Incarnation
from actors.engine.life import Phase
from actors.errors import IdTaken, Ignore, NameTaken, StartFailed
from actors.events import ProcFailedToStart
from actors.exits import Crashed
from actors.mailbox import Mailbox
from actors.names import Name
from actors.ref import Ref, make_ref, ref_of
from actors.waits import waits_for

__all__ = ["new_address", "spawn_into", "start_incarnation"]

_NOTHING_YET = Open("not started", None)


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
    if not (0 <= value <= float_info.max) or (value == 0 and not zero):
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
        variables = address.runtime.variables.copy()
        proc = variables.run(make_proc, start)
        address.take(accepted_by(proc))
        life = Incarnation(system, address, proc, owner)
        life.variables = variables
    except Ignore:
        raise
    except BaseException as error:
        # Nothing here waits, so whatever comes is the user's, a CancelledError too.
        reason = Crashed(error)
        if reason.process_end is not None:
            raise
        if system.events.heard:
            system.events.publish(
                ProcFailedToStart(ref_of(address), reason, address.incarnation + 1)
            )
        raise StartFailed(address.path, reason) from error
    if life.begin():
        return
    ready: Waiter[None] = system.backend.new_waiter()
    life.ready = ready
    timer = None
    if timeout is not None:
        timer = system.backend.call_at(
            system.backend.now() + timeout, partial(_give_up_start, life, timeout)
        )
    waits = waits_for(address, ready)  # whoever spawns, whether it is the owner or not
    try:
        await ready
    except (StartFailed, Ignore):
        raise
    except BaseException:
        # Cancelled. It may have become ready in this very turn; it goes either way.
        life.tell_to_stop(address.shutdown_timeout)
        # If its owner was interrupted, that is known by now: only others' cancellations count.
        task = owner.own_task if owner is not None and waits is owner else None
        await system.backend.outlast(life.on_end, life.kill, task)
        raise
    finally:
        if waits is not None:
            waits.wait_is_over()
        if timer is not None:
            timer.cancel()


def _give_up_start(life: Incarnation, timeout: float) -> None:
    """Kill an incarnation that did not get ready in time."""
    if life.phase is Phase.STARTING and life.verdict is None:
        life.verdict = Crashed(TimeoutError(f"not ready within {timeout:g} s"))
        life.kill()


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

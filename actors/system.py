"""Own everything: the one door through which procs come into being.

An `ActorSystem` is an async context manager and the only owner of tasks. Leaving it stops what it
spawned, in reverse order, each within its own deadline, and waits until all of it is gone. That
also holds when the block is left by an error or cancelled; a second cancellation of the waiting
task (asyncio) kills what is left. A crash that nobody supervised, linked or monitored is raised
when the system is left: nothing dies silently. Until then the first 16 are kept as they are, up to
100 as text without the state of what has crashed, and more are only counted. On asyncio it may be
entered in one task and left in another, as fixtures and start and stop hooks do; on trio the task
that enters it leaves it.

>>> import anyio
>>> from actors import Actor, Name, on
>>> class Greet:
...     def __init__(self, whom: str) -> None:
...         self.whom = whom
>>> GREETER = Name[Greet]("greeter")
>>> class Greeter(Actor[Greet]):
...     @on(Greet)
...     def greet(self, message: Greet) -> None:
...         print("hello", message.whom)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await system.spawn(Greeter, name=GREETER)
...         greeter = system.whereis(GREETER)
...         assert greeter is not None
...         greeter.tell(Greet("ada"))
...         greeter.stop()
...         print(await greeter.wait())
>>> anyio.run(main)
hello ada
normal
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeVar, final

from attrs import frozen

from actors.address import Address, Runtime, instruments
from actors.backends import Backend, Block, current_backend
from actors.context import DEFAULT_MAILBOX, Child, IncarnationView, Proc
from actors.dead_letters import DeadLetterReason
from actors.dispatch import label
from actors.engine import (
    Incarnation,
    Phase,
    new_address,
    reserve_child,
    spawn_child,
    spawn_into,
    stop_children,
)
from actors.errors import NameNotFound, SystemClosed
from actors.events import DeadLetter, EventStream
from actors.exits import NoProc
from actors.mailbox import Mailbox
from actors.names import Name
from actors.notices import Down, Watch
from actors.ref import AnyRef, Ref, address_of, ref_of
from actors.shapes import check_plain
from actors.texts import is_a, process_end, without_frames
from actors.threads import ThreadsafeRef

__all__ = ["ActorSystem", "ProcInfo"]

M = TypeVar("M")

STARTS_IN_A_ROW = 32
"""So many actors without `on_start` are started before others get their turn."""

WHOLE_ERRORS = 16
"""So many errors that nobody heard of are kept as they are; of more, the text of their frames."""

MOST_ERRORS = 100
"""So many are kept until the end at all; the rest is counted."""


@final
@frozen
class ProcInfo:
    """One address of the live tree, and what lives below it.

    `state` is "starting", "running", "stopping", or "down" (kept by its owner for the next
    incarnation).
    """

    path: str
    ref: Ref[Any]
    state: str
    queued: int
    incarnation: int
    children: tuple[ProcInfo, ...]


@final
class ActorSystem:
    """The owner of all procs, which stops them; used with `async with`, once.

    A proc lives in a copy of the context in which its system was opened, in each incarnation, and
    whoever spawned it. `carry` (default: none) names context variables that travel with each
    message and timer, and are what its handler sees; what they cost, they cost only then.
    """

    def __init__(self, name: str = "main", *, carry: Iterable[ContextVar[Any]] = ()) -> None:
        self.name = name
        self._carry = check_carry(carry)
        self.events = EventStream(self._report)
        self.backend: Backend
        self._runtime: Runtime
        self._children: dict[str, Address] = {}
        # Most without their frames, which hold on to all the state of what has ended.
        self._errors: list[BaseException] = []
        self._origins: list[int] = []
        self._more_errors = 0
        self._fatal: BaseException | None = None
        self._block: Block | None = None
        self._labels = 0
        self._in_a_row = 0
        self._state = "was not entered; use it with 'async with'"

    async def __aenter__(self) -> Self:
        if self._block is not None:
            raise SystemClosed(self.name, "was entered before; make a new one")
        self._runtime = instruments.make_runtime(
            self.name, current_backend(), self._dead_letter, self._hears_letters
        )
        self._runtime.carry_along(self._carry)
        self.backend = self._runtime.backend
        self._block = self.block()
        self._block.__enter__()
        self._state = ""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._state = "is closing"
        taken_in = await stop_children(
            self.backend, self._children, lambda: self._killed, self.kill
        )
        self._state = "is closed"
        self._runtime.close()
        assert self._block is not None
        swallowed = self._block.__exit__(kind, error, traceback)
        group = self._unheard(None if swallowed else error)
        if self._fatal is not None:
            self._block.annotate(self._fatal)
            raise self._fatal from group
        if group is not None:
            raise group
        if taken_in and error is None:
            # Owed to whoever cancelled while the procs were being stopped.
            raise self.backend.cancelled_error()
        return swallowed

    def _unheard(self, error: BaseException | None) -> BaseExceptionGroup[BaseException] | None:
        """Return what nobody has heard of, with the error of the block if there is one."""
        errors = [
            entry
            for entry, origin in zip(self._errors, self._origins, strict=True)
            if origin != id(error) or type(entry) is not type(error)
        ]
        if not errors:
            return None
        if error is not None and not is_a(error, self.backend.cancelled_error()):
            errors.insert(0, error)
        more = f", and {self._more_errors} more" if self._more_errors else ""
        return BaseExceptionGroup(f"crashes in actor system {self.name!r}{more}", errors)

    # -- what users call ------------------------------------------------------------------------

    async def spawn(
        self,
        start: Callable[[], Proc[M]],
        *,
        id: str | None = None,
        name: Name[M] | None = None,
        mailbox: Mailbox = DEFAULT_MAILBOX,
        shutdown: float | None = 5.0,
        start_timeout: float | None = None,
    ) -> Ref[M]:
        """Start a proc and wait until it is ready.

        `start` is a class or a factory without arguments. `id` is its path's last part; default:
        the name, or one made up from the class. `shutdown` (seconds, default 5.0; None: no
        limit) is how long it may take to stop when the system is left; `start_timeout` (default
        None) how long to get ready. Raises StartFailed (whose cause is the error), Ignore,
        IdTaken, NameTaken, SystemClosed. Cancelled, the half-started proc is stopped first.
        """
        if self._state:
            raise SystemClosed(self.name, self._state)
        self._runtime.check_here(self.name)
        self._labels += 1
        chosen = id
        if chosen is None:
            chosen = f"{label(start)}-{self._labels}"
            if isinstance(name, Name):
                chosen = name.text.replace("/", "-")
        address = new_address(self._runtime, "", self._children, chosen, name, mailbox, shutdown)
        return await spawn_into(self, address, self._children, start, None, start_timeout)

    def whereis(self, name: Name[M]) -> Ref[M] | None:
        """Return the address that has this name now, or None."""
        address = self._runtime.names.get(name.text)
        return None if address is None else ref_of(address)

    def require(self, name: Name[M]) -> Ref[M]:
        """Return the address that has this name now. Raises NameNotFound."""
        ref = self.whereis(name)
        if ref is None:
            raise NameNotFound(name.text)
        return ref

    def find(self, path: str) -> AnyRef | None:
        """Return the address at a path like `/shop/workers/3`, or None when there is none."""
        level = self._children
        address: Address | None = None
        for part in path.removeprefix("/").split("/"):
            address = level.get(part)
            if address is None:
                return None
            level = _below(address)
        return None if address is None else ref_of(address)

    def monitor(self, ref: Ref[Any], call: Callable[[Down], None]) -> Watch:
        """Call a plain function once when the present incarnation behind `ref` ends.

        For code that is not in a proc; a proc uses `context.monitor`. `call` runs in the turn of
        the loop in which the end is announced and must not wait. At once, with NoProc, when none is
        running. What `call` raises is raised when the system is left.
        """
        self._runtime.check_here(self.name)
        check_plain("a monitor's call", call)
        life = address_of(ref).occupant
        if not isinstance(life, Incarnation):
            watch = Watch(ref, self._careful(call), None)
            watch.fire(NoProc())
            return watch
        return Watch(ref, self._careful(call), life.links.watchers)

    def _careful(self, call: Callable[[Down], None]) -> Callable[[Down], None]:
        def guarded(down: Down) -> None:
            try:
                call(down)
            except BaseException as error:
                self._report(error)

        return guarded

    def snapshot(self) -> tuple[ProcInfo, ...]:
        """Return the live tree as frozen values, in order of start."""
        return _snapshot(self._children)

    def threadsafe(self, ref: Ref[M]) -> ThreadsafeRef[M]:
        """Return a handle to `ref` for other threads; may be called in any thread, too."""
        return ThreadsafeRef(ref)

    def kill(self) -> None:
        """Kill everything at once; leaving the system still waits for its death."""
        if self._block is not None:
            self._runtime.check_here(self.name)
        self._killed = True
        for address in reversed(list(self._children.values())):  # some end at once, and leave
            if address.occupant is not None:
                address.occupant.kill()

    def block(self) -> Block:
        """Make a `with` block that may be cancelled; on asyncio any task may leave it."""
        return self.backend.block()

    # -- what the engine calls ------------------------------------------------------------------

    _killed = False

    async def spawn_child(
        self,
        owner: IncarnationView,
        start: Callable[[], Proc[M]],
        id: str | None,
        name: Name[M] | None,
        mailbox: Mailbox,
        shutdown: float | None,
        start_timeout: float | None,
    ) -> Ref[M]:
        """Start a child of a proc; what `context.spawn` comes to."""
        assert isinstance(owner, Incarnation)
        return await spawn_child(owner, start, id, name, mailbox, shutdown, start_timeout)

    def reserve_child(
        self,
        owner: IncarnationView,
        id: str,
        name: Name[M] | None,
        mailbox: Mailbox,
        shutdown: float | None,
    ) -> Child[M]:
        """Reserve an address for a child of a proc; what `context.child` comes to."""
        assert isinstance(owner, Incarnation)
        return reserve_child(owner, id, name, mailbox, shutdown)

    def unheard(self, error: BaseException) -> None:
        """Keep an error that nobody was told of, to raise it at the end."""
        if len(self._errors) < MOST_ERRORS:
            whole = len(self._errors) < WHOLE_ERRORS
            self._errors.append(error if whole else without_frames(error))
            self._origins.append(id(error))
        else:
            self._more_errors += 1

    def _report(self, error: BaseException) -> None:
        """Take what a plain function of the user's raised in the middle of the engine."""
        if (end := process_end(error)) is not None:
            self.fatal(end)
        else:
            self.unheard(error)

    def fatal(self, error: BaseException) -> None:
        """Bring the system down: SystemExit or KeyboardInterrupt left a proc."""
        if self._fatal is None:
            self._fatal = error
            if self._block is not None:
                self._block.cancel()

    async def give_way(self) -> None:
        """Let others run after a number of starts that needed no waiting."""
        self._in_a_row += 1
        if self._in_a_row >= STARTS_IN_A_ROW:
            self._in_a_row = 0
            await self.backend.checkpoint()

    def forget(self, address: Address) -> None:
        """Drop an address of its own that has ended."""
        if self._children.get(address.id) is address:
            del self._children[address.id]

    def _hears_letters(
        self, address: Address, mail: Iterable[object], why: DeadLetterReason
    ) -> bool:
        """Tell whether anybody hears of dead letters, whatever they are."""
        return self.events.heard

    def _dead_letter(self, address: Address, message: object, why: DeadLetterReason) -> None:
        if self.events.heard:
            self.events.publish(DeadLetter(ref_of(address), message, why))


def check_carry(carry: Iterable[ContextVar[Any]]) -> tuple[ContextVar[Any], ...]:
    """Return the context variables to carry. Raises TypeError for anything else."""
    wanted: Any = carry
    if isinstance(wanted, Iterable):
        variables = tuple(carry)
        if all(isinstance(entry, ContextVar) for entry in variables):  # pyright: ignore[reportUnnecessaryIsInstance]
            return variables
    raise TypeError(f"carry takes context variables, like (REQUEST_ID,), not {carry!r}")


def _snapshot(roots: dict[str, Address]) -> tuple[ProcInfo, ...]:
    """Build the tree bottom-up without recursion: it may be deeper than Python's stack."""
    order: list[Address] = []
    pending = list(roots.values())
    while pending:
        address = pending.pop()
        order.append(address)
        pending.extend(_below(address).values())
    done: dict[Address, ProcInfo] = {}
    for address in reversed(order):
        children = tuple(done.pop(child) for child in _below(address).values())
        done[address] = ProcInfo(
            path=address.path,
            ref=ref_of(address),
            state=_state(address),
            queued=address.size,
            incarnation=address.incarnation,
            children=children,
        )
    return tuple(done[address] for address in roots.values())


def _below(address: Address) -> dict[str, Address]:
    life = address.occupant
    return life.children if isinstance(life, Incarnation) else {}


def _state(address: Address) -> str:
    life = address.occupant
    return Phase(life.phase).name.lower() if isinstance(life, Incarnation) else "down"

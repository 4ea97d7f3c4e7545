"""Write a proc: its hooks, and the context through which it reaches the rest.

A `Proc[M]` is anything that starts, runs until it is told to stop, and stops. Its life:
`on_start` (whoever starts it waits for that), `run`, then its own children are stopped in reverse
order, then `on_stop`. `self.context` is there from before `on_start`. A killed proc runs no
more code of its own; its children are killed with it, and gone before its end is announced.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken
>>> class Adder(Proc[int]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         total = 0
...         async for received in self.context.inbox():
...             total += received.message
...         print("sum", total)
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         adder = await system.spawn(Adder)
...         adder.tell(20)
...         adder.tell(22)
...         adder.stop()
...         await adder.wait()
>>> anyio.run(main)
sum 42
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, cast, final

from actors.address import Address
from actors.backends import Backend
from actors.cancellation import CancellationToken
from actors.events import EventStream
from actors.exits import ExitReason, Normal
from actors.mailbox import Mailbox
from actors.names import Name
from actors.notices import Down, Exited, Monitor, Received
from actors.ref import Ref
from actors.shapes import check_hooks
from actors.timer import Timer
from actors.vitals import Place, Vitals

__all__ = ["Child", "Context", "Core", "IncarnationView", "LinksView", "Proc", "SystemView"]

M = TypeVar("M")
N = TypeVar("N")
T = TypeVar("T")

DEFAULT_MAILBOX = Mailbox()


class Proc(ABC, Generic[M]):
    """The unit of concurrency and supervision; `M` is the type of the messages it takes."""

    context: Context[M]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_hooks(cls, Proc)

    async def on_start(self) -> None:
        """Get ready; whoever starts the proc waits until this returns.

        Raise anything for a failed start, Ignore for "not needed now". `on_stop` does not run
        then. Cancelled when the start is given up.
        """

    @abstractmethod
    async def run(self, shutdown: CancellationToken) -> None:
        """Do the work until `shutdown` is cancelled; returning is a Normal exit.

        Told to stop and returned: the exit is Shutdown. Raising is a crash. Cancelled only when
        the proc is killed, or when an abnormal end of a linked proc takes it along.
        """

    async def on_stop(self, reason: ExitReason) -> None:
        """Tidy up; runs after every start that succeeded, unless the proc was killed.

        `reason` is how it is about to exit. Its children have ended already. Raising here turns
        an orderly exit into a crash. Cancelled when the proc is killed meanwhile.
        """

    def on_down(self, down: Down) -> Awaitable[None] | None:
        """Hear that a monitored proc has ended; may be `async def`."""
        return None

    def on_exit(self, exited: Exited) -> Awaitable[None] | None:
        """Hear that a linked proc or a child has ended; may be `async def`.

        Defining it traps exits: without it, an abnormal end of a linked proc ends this one too,
        with `Crashed(LinkBroken(...))`.
        """
        return None

    def on_undelivered(self, message: M) -> None:
        """Hear of a message to this proc that nobody will handle.

        That is: the one in hand when it crashed, and what was still queued when its mailbox was
        given up. Not called after a kill. A plain function; it runs when the incarnation has
        ended, so it can only set the message aside.
        """


class SystemView(Protocol):
    """The actor system, as a proc sees it."""

    @property
    def name(self) -> str:
        """Return the system's name."""
        ...

    @property
    def events(self) -> EventStream:
        """Return the system's event stream."""
        ...

    def whereis(self, name: Name[M]) -> Ref[M] | None:
        """Return the address that has this name now, or None."""
        ...

    def require(self, name: Name[M]) -> Ref[M]:
        """Return the address that has this name now. Raises NameNotFound."""
        ...

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
        """Start a proc of the system's own, linked to nobody; see `ActorSystem.spawn`."""
        ...


class Core(SystemView, Protocol):
    """What an incarnation asks of its actor system."""

    backend: Backend

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
        """Start a child that is linked to its owner."""
        ...

    def reserve_child(
        self,
        owner: IncarnationView,
        id: str,
        name: Name[M] | None,
        mailbox: Mailbox,
        shutdown: float | None,
    ) -> Child[M]:
        """Reserve an address for a child."""
        ...

    def unheard(self, error: BaseException) -> None:
        """Keep an error that nobody was told of, to raise it at the end."""

    def fatal(self, error: BaseException) -> None:
        """Bring the system down: SystemExit or KeyboardInterrupt left a proc."""

    async def give_way(self) -> None:
        """Let others run, now and then."""

    def forget(self, address: Address) -> None:
        """Drop an address of the system's own that has ended."""


class ReceiverView(Protocol):
    """The part of an incarnation that receives, as a context sees it."""

    async def receive(self) -> bool:
        """Hand the mail to the handlers until it is time to stop."""
        ...

    def inbox(self) -> AsyncIterator[Received[Any]]:
        """Iterate over the mail."""
        ...

    def stash(self) -> None:
        """Put the message in hand aside."""

    def unstash_all(self) -> None:
        """Queue again what was put aside."""


class LinksView(Protocol):
    """The links and monitors of an incarnation, as a context sees them."""

    @property
    def bound(self) -> bool:
        """Return whether anybody hears of the end of this proc."""
        ...

    def monitor(self, ref: Ref[Any]) -> Monitor:
        """Watch a proc."""
        ...

    def demonitor(self, monitor: Monitor) -> None:
        """Watch no more."""

    def forget(self, monitor: Monitor) -> None:
        """Forget a monitor whose Down has come."""

    def link(self, ref: Ref[Any]) -> None:
        """Share the fate of a proc."""

    def unlink(self, ref: Ref[Any]) -> None:
        """Share it no more."""


class BackgroundView(Protocol):
    """The timers and pipes of an incarnation, as a context sees them."""

    def send_later(self, delay: float, interval: float | None, message: object) -> Timer:
        """Send to the proc itself."""
        ...

    def pipe(
        self,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> None:
        """Await beside the proc."""


class IncarnationView(Protocol):
    """The incarnation behind a context."""

    number: int

    @property
    def system(self) -> Core:
        """Return the actor system."""
        ...

    @property
    def token(self) -> CancellationToken:
        """Return the incarnation's own token."""
        ...

    @property
    def receiver(self) -> ReceiverView:
        """Return the part that receives."""
        ...

    @property
    def links(self) -> LinksView:
        """Return its links and monitors."""
        ...

    @property
    def background(self) -> BackgroundView:
        """Return its timers and pipes."""
        ...

    def stop_self(self, reason: ExitReason) -> None:
        """Stop after the message in hand."""

    def beat(self) -> None:
        """Note a sign of life."""


class Child(ABC, Generic[M]):
    """The address of a child, whose incarnations its owner starts and stops one after the other.

    Made by `context.child`. This is what supervisors are built on: between incarnations the
    address is kept, and its mail waits. The owner hears of each end through its `on_exit`.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def ref(self) -> Ref[M]:
        """Return the child's address; the same for all its incarnations."""

    @property
    @abstractmethod
    def incarnation(self) -> int:
        """Return how many times it was started; 0 before the first."""

    @abstractmethod
    async def start(self, start: Callable[[], Proc[M]], *, timeout: float | None = None) -> None:
        """Start the next incarnation and wait until it is ready.

        `timeout` in seconds, default None; past it the half-started child is killed. Raises
        StartFailed when it did not get ready (`reason` says how), Ignore when it is not
        needed now, RuntimeError while the previous incarnation is there. Cancelled, the
        half-started child is stopped, and gone, before the cancellation goes on.
        """

    @property
    @abstractmethod
    def reason(self) -> ExitReason:
        """Return how the last incarnation ended; NoProc before there was one."""

    @abstractmethod
    def tell_to_stop(self, timeout: float | None) -> None:
        """Stop the incarnation after the message in hand; kill it `timeout` seconds later.

        Never waits; `ref.wait` does. None as timeout means never. Nothing happens when none runs.
        """

    @abstractmethod
    async def stop(self, timeout: float | None) -> ExitReason:
        """Stop the incarnation and wait for its death; returns its exit reason.

        Asks, waits `timeout` seconds (None: for ever), then kills and waits. Returns the last
        reason at once when none runs.
        """

    @abstractmethod
    async def kill(self) -> ExitReason:
        """Kill the incarnation and wait for its death; returns its exit reason."""

    @abstractmethod
    def vitals(self) -> Vitals | None:
        """Look at what the incarnation is doing; None while none runs.

        A plain call, of a microsecond or two. It costs the child nothing, now or before.
        """

    @abstractmethod
    def stack(self) -> tuple[Place, ...]:
        """Return where in its own code the incarnation waits, the outermost call first.

        Empty when it waits for mail, or when none runs. What other tasks do on its behalf (in a
        task group of its own, or piped) is not seen.
        """

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Treat the incarnation as crashed with `error`: it is interrupted where it is.

        Never waits; `ref.wait` does. The stack of where it was becomes the traceback of `error`,
        unless that has one. The code is cancelled until it has left; `on_stop` runs. Found in
        its `on_stop`, it is killed instead, and the error is published as StopError. Nothing
        happens when none runs, or its end is decided already.
        """

    @abstractmethod
    def suspend(self, why: str) -> None:
        """Take no mail while no incarnation is to come: it becomes dead letters, `why` says so.

        The name is free meanwhile. The next `start` opens the address again.
        """

    @abstractmethod
    def release(self, why: str) -> None:
        """Give the address up for good, with its name; its mail becomes dead letters.

        Raises RuntimeError while an incarnation is there.
        """


@final
class Context(Generic[M]):
    """What a proc reaches from inside: its address, children, links, monitors and timers.

    One for each incarnation, made by the engine. To be used from the proc's own code, in the thread
    of its event loop: what changes anything raises RuntimeError in another one.
    """

    __slots__ = ("_life", "_ref")

    _life: IncarnationView
    _ref: Ref[M]

    def __init__(self) -> None:
        raise TypeError("a Context has no public constructor; a proc finds its own in self.context")

    @property
    def ref(self) -> Ref[M]:
        """Return the proc's own address."""
        return self._ref

    @property
    def path(self) -> str:
        """Return the proc's place in the tree."""
        return self._ref.path

    @property
    def system(self) -> SystemView:
        """Return the actor system: its name, its events, its registry of names."""
        return self._life.system

    @property
    def shutdown(self) -> CancellationToken:
        """Return the token that is cancelled when this proc is told to stop.

        It is this incarnation's own. Cancelling it tells the proc to stop, and nobody else.
        """
        return self._life.token

    @property
    def incarnation(self) -> int:
        """Return which start of this address this is, from 1."""
        return self._life.number

    async def spawn(
        self,
        start: Callable[[], Proc[N]],
        *,
        id: str | None = None,
        name: Name[N] | None = None,
        mailbox: Mailbox = DEFAULT_MAILBOX,
        shutdown: float | None = 5.0,
        start_timeout: float | None = None,
    ) -> Ref[N]:
        """Start a linked child and wait until it is ready.

        It is stopped when this proc stops, in reverse order of start, within `shutdown` seconds
        (default 5.0; None: no limit). When it ends abnormally this proc ends too, unless it
        traps exits with `on_exit`. `id` (default: made up from the class) is the last part of
        its path. `start_timeout` in seconds, default None. Raises StartFailed, Ignore, IdTaken,
        NameTaken. Cancelled, the half-started child is stopped first.
        """
        life = self._life
        return await life.system.spawn_child(
            life, start, id, name, mailbox, shutdown, start_timeout
        )

    def child(
        self,
        id: str,
        *,
        name: Name[N] | None = None,
        mailbox: Mailbox = DEFAULT_MAILBOX,
        shutdown: float | None = 5.0,
    ) -> Child[N]:
        """Reserve the address of a child whose incarnations this proc starts and stops itself.

        `shutdown` in seconds (default 5.0; None: no limit; 0: killed as soon as asked) is for the
        case that this proc ends without having stopped it. Raises IdTaken, NameTaken.
        """
        return self._life.system.reserve_child(self._life, id, name, mailbox, shutdown)

    def monitor(self, ref: Ref[Any]) -> Monitor:
        """Get one `on_down` when the present incarnation behind `ref` ends.

        At once, with reason NoProc, when none is running. Monitors stack: two give two.
        """
        return self._life.links.monitor(ref)

    def demonitor(self, monitor: Monitor) -> None:
        """Take a monitor back: its Down will not come, even if it is already queued."""
        self._life.links.demonitor(monitor)

    def link(self, ref: Ref[Any]) -> None:
        """Share the fate of another proc, both ways; at most one link for each pair.

        When no proc runs there: `on_exit` with NoProc if this proc traps exits, else raises
        ProcExited.
        """
        self._life.links.link(ref)

    def unlink(self, ref: Ref[Any]) -> None:
        """Take a link back; nothing happens when there is none."""
        self._life.links.unlink(ref)

    def send_after(self, delay: float, message: M) -> Timer:
        """Send `message` to this proc in `delay` seconds (>= 0); never early.

        Finding its mailbox full, it is a dead letter. Raises ValueError for a bad delay,
        TypeError for a message that this proc does not accept.
        """
        return self._life.background.send_later(delay, None, message)

    def send_every(self, interval: float, message: M) -> Timer:
        """Send `message` to this proc every `interval` seconds (> 0), first after one interval.

        Missed ticks are left out. Raises like `send_after`.
        """
        return self._life.background.send_later(interval, interval, message)

    def pipe(
        self,
        awaitable: Awaitable[T],
        *,
        into: Callable[[T], M],
        failed: Callable[[Exception], M] | None = None,
    ) -> None:
        """Await something beside this proc; its result comes back as the message `into(result)`.

        The proc goes on with its mail meanwhile. An error comes back as `failed(error)`, or, by
        default, crashes this proc with it. The work is cancelled when this incarnation ends.
        Such a message needs no room in a bounded mailbox.
        """
        self._life.background.pipe(awaitable, into, failed)

    def stash(self) -> None:
        """Put the message in hand aside until `unstash_all`; what its handler returns is no answer.

        After a crash, stashed mail is treated like queued mail. Raises RuntimeError when no
        message is in hand.
        """
        self._life.receiver.stash()

    def unstash_all(self) -> None:
        """Queue what was stashed again, in its order, in front of what waits."""
        self._life.receiver.unstash_all()

    def stop(self, reason: ExitReason = Normal()) -> None:  # noqa: B008 - a frozen value
        """Stop this proc after the message in hand; it exits with `reason` (default Normal).

        A proc that is no actor is told through its token and its inbox. Raises TypeError for
        what is no exit reason; a text goes into `Shutdown("...")`.
        """
        self._life.stop_self(reason)

    def inbox(self) -> AsyncIterator[Received[M]]:
        """Iterate over the messages, for procs that are not actors; ends when told to stop.

        A request comes with its `reply`. `on_down` and `on_exit` are called between messages.
        """
        return self._life.receiver.inbox()

    def beat(self) -> None:
        """Give a sign of life: whoever watches this proc sees when the last one was.

        It notes the time, and that is all, so it may be called in the innermost loop. From the
        event loop's own thread only. A supervisor watches for it when the child's spec says so.
        """
        self._life.beat()


def receive(context: Context[Any]) -> Awaitable[bool]:
    """Run the receive loop behind a context; the body of an actor."""
    return context._life.receiver.receive()  # pyright: ignore[reportPrivateUsage]


def make_context(life: IncarnationView, ref: Ref[Any]) -> Context[Any]:
    """Make the context of an incarnation."""
    context = object.__new__(cast("type[Context[Any]]", Context))
    context._life = life  # pyright: ignore[reportPrivateUsage]
    context._ref = ref  # pyright: ignore[reportPrivateUsage]
    return context

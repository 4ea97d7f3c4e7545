"""Test actors: without real waiting, without guessing when they are done, seeing all they do.

Six tools, each usable alone:

- `backend_options`: run a test on asyncio, trio or uvloop, on a virtual clock where that is
  possible (asyncio and trio), so that sleeps and timeouts cost no time;
- `settle`: let everything that can run, run, and no time pass;
- `Recorder`: keep the events of an actor system, and wait for one;
- `Probe`: stand in for an actor, and look at what it was sent;
- `without_fast_paths`: see what happens when nothing is done for the sake of speed alone;
- `no_leaks`, `no_dead_letters`: fixtures of pytest's that fail a test for what it leaves behind or
  loses (`actors.pytest_plugin`, which says how to use them; only these import pytest).

>>> import anyio
>>> from attrs import frozen
>>> from actors import Actor, ActorSystem, Normal, ProcEnded, Ref, on
>>> @frozen
... class Pong:
...     number: int
>>> @frozen
... class Ping:
...     number: int
...     sender: Ref[Pong]
>>> class Player(Actor[Ping]):
...     @on(Ping)
...     async def ping(self, message: Ping) -> None:
...         await anyio.sleep(3600)
...         message.sender.tell(Pong(message.number))
>>> async def test() -> None:
...     async with ActorSystem() as system:
...         player = await system.spawn(Player)
...         probe = Probe[Pong]()
...         player.tell(Ping(1, await probe.spawn(system)))
...         assert await probe.receive(timeout=4000) == Pong(1)
...         with Recorder(system, ProcEnded) as recorder:
...             player.stop()
...             await settle()
...         assert recorder.events == [ProcEnded(player, Normal())]
>>> backend, options = backend_options("asyncio")
>>> anyio.run(test, backend=backend, backend_options=options)

With pytest, the fixture is all that is needed to run every coroutine test on both backends
(`anyio_mode = "auto"` in its settings, anyio 4.11 or later; pytest-asyncio in its strict mode):

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(request):
        return backend_options(request.param)

The probe is Akka's TestProbe; waiting until all is idle is trio's `wait_all_tasks_blocked`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, final, overload

import anyio

from actors.address import fast_paths
from actors.backends import current_backend
from actors.cancellation import CancellationToken
from actors.clock import FOREVER, START, Backend, VirtualClockEventLoop, backend_options
from actors.context import Proc, SystemView
from actors.events import Event, Subscription
from actors.messages import Reply
from actors.names import Name
from actors.notices import Down, Received
from actors.ref import Ref

if TYPE_CHECKING:
    from actors.pytest_plugin import dead_letters, no_dead_letters, no_leaks

__all__ = [
    "FOREVER",
    "START",
    "Backend",
    "Probe",
    "Recorder",
    "VirtualClockEventLoop",
    "backend_options",
    "dead_letters",
    "no_dead_letters",
    "no_leaks",
    "settle",
    "without_fast_paths",
]

M = TypeVar("M")
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the fixtures only when they are asked for: not everybody has pytest."""
        if name not in ("dead_letters", "no_dead_letters", "no_leaks"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from actors import pytest_plugin

        return getattr(pytest_plugin, name)


async def settle() -> None:
    """Let every other task run until all of them wait: for time, for I/O, or for this one.

    No time passes on a virtual clock: timers that are due now fire, later ones do not. Does not
    return while some task is busy for ever. Several tasks may settle at once. Cancelling it
    only ends the wait.
    """
    await current_backend().settle()


@contextmanager
def without_fast_paths() -> Generator[None, None, None]:
    """Let the actor systems that are entered in this block do without what is only for speed.

    Then every message goes through the mailbox, also a request to an idle actor, and every actor
    has a task from its start. Nothing but the time that it takes may tell the difference; to
    show that, run a test both ways. Not to be used by several threads at once.

    >>> from actors import Actor, ActorSystem, Request, on
    >>> class Ask(Request[str]): ...
    >>> class Answerer(Actor[Ask]):
    ...     @on(Ask)
    ...     def answer(self, message: Ask) -> str:
    ...         return "the same"
    >>> async def main() -> str:
    ...     async with ActorSystem() as system:
    ...         return await (await system.spawn(Answerer)).ask(Ask())
    >>> with without_fast_paths():
    ...     slowly = anyio.run(main)
    >>> slowly == anyio.run(main)
    True
    """
    before, fast_paths.enabled = fast_paths.enabled, False
    try:
        yield
    finally:
        fast_paths.enabled = before


@final
class Recorder(Generic[E]):
    """The events of an actor system, from the start of a `with` block to its end.

    `Recorder(system)` keeps all; `Recorder(system, ProcStarted, ProcEnded)` those of these types.
    `ref` (default None: any) keeps those about one address. What was recorded stays readable
    after the block.
    """

    @overload
    def __init__(
        self: Recorder[Event], system: SystemView, *, ref: Ref[Any] | None = None
    ) -> None: ...
    @overload
    def __init__(
        self, system: SystemView, *kinds: type[E], ref: Ref[Any] | None = None
    ) -> None: ...
    def __init__(self, system: SystemView, *kinds: type[E], ref: Ref[Any] | None = None) -> None:
        self._system = system
        self._kinds: tuple[type[Event], ...] = kinds or (Event,)
        self._ref = ref
        self._events: list[E] = []
        self._subscription: Subscription | None = None
        self._more = anyio.Event()

    def __enter__(self) -> Self:
        if self._subscription is not None:
            raise RuntimeError("this recorder is running already")
        self._subscription = self._system.events.subscribe(self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._subscription is not None
        self._subscription.cancel()
        self._subscription = None

    def _take(self, event: Event) -> None:
        if isinstance(event, self._kinds) and self._is_about(event):
            self._events.append(cast("E", event))
            self._more.set()

    def _is_about(self, event: Event) -> bool:
        return self._ref is None or getattr(event, "ref", None) == self._ref

    @property
    def events(self) -> list[E]:
        """Return what was recorded so far, in its order; the list is a copy."""
        return list(self._events)

    def of(self, kind: type[F]) -> list[F]:
        """Return the recorded events of one type."""
        return [event for event in self._events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self._events.clear()

    async def wait_for(
        self,
        kind: type[F],
        where: Callable[[F], bool] | None = None,
        *,
        timeout: float | None = 5.0,
    ) -> F:
        """Return the first event of a type for which `where` holds; waits until there is one.

        What was recorded before counts, too. `timeout` in seconds, default 5.0, None for ever;
        past it raises TimeoutError, which lists what was recorded. Cancelling it only ends
        the wait.
        """
        with anyio.move_on_after(timeout):
            while True:
                for event in self.of(kind):
                    if where is None or where(event):
                        return event
                if self._more.is_set():
                    self._more = anyio.Event()
                await self._more.wait()
        seen = "".join(f"\n    {event}" for event in self._events) or " nothing"
        raise TimeoutError(f"no {kind.__name__} within {timeout:g} s; recorded:{seen}")

    def __iter__(self) -> Iterator[E]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"<Recorder of {len(self._events)} events>"


@final
class Probe(Proc[M]):
    """A stand-in for an actor: it takes every message and hands them to the test, one by one.

    `Probe[Pong]()` accepts whatever it is sent; the parameter is for the type checker. Spawn
    it with its own `spawn`, or give `lambda: probe` where a factory is wanted. It also reports the
    ends of the procs that it is told to `watch`, and traps no exits.
    """

    def __init__(self) -> None:
        self._received: deque[Received[M]] = deque()
        self._downs: deque[Down] = deque()
        self._more = anyio.Event()

    async def spawn(
        self, system: SystemView, *, id: str | None = None, name: Name[M] | None = None
    ) -> Ref[M]:
        """Start the probe, once, and return its address. `id` and `name` as for any proc."""
        return await system.spawn(self._self, id=id or "probe", name=name)

    def _self(self) -> Probe[M]:
        return self

    @property
    def ref(self) -> Ref[M]:
        """Return the probe's address. Raises AttributeError before it was spawned."""
        return self.context.ref

    async def run(self, shutdown: CancellationToken) -> None:
        """Take messages until told to stop."""
        async for received in self.context.inbox():
            self._received.append(received)
            self._more.set()
            del received  # or a reply that the test throws away would live on here

    def on_down(self, down: Down) -> None:
        """Keep the news of an end."""
        self._downs.append(down)
        self._more.set()

    def watch(self, ref: Ref[Any]) -> None:
        """Monitor a proc; `down` gives the news of its end."""
        self.context.monitor(ref)

    async def receive(self, *, timeout: float | None = 5.0) -> M:
        """Take the next message; waits until there is one.

        `timeout` in seconds, default 5.0, None for ever; past it raises TimeoutError. Cancelled,
        no message is lost.
        """
        return (await self.receive_item(timeout=timeout)).message

    async def receive_item(self, *, timeout: float | None = 5.0) -> Received[M]:
        """Take the next message together with its `reply`, which is None when it was told.

        Like `receive`; a probe answers a request by that reply.
        """
        await self._wait(self._received, "message", timeout)
        return self._received.popleft()

    async def answer(self, value: object, *, timeout: float | None = 5.0) -> M:
        """Take the next message, which is a request, and answer it with `value`; returns it.

        `value` may be an exception, which the asker gets raised. Raises AssertionError when
        the message was told, so that nobody waits for an answer, and like `receive`.
        """
        received = await self.receive_item(timeout=timeout)
        reply: Reply[Any] | None = received.reply
        if reply is None:
            raise AssertionError(f"nobody asked {received.message!r}: it was told")
        if isinstance(value, Exception):
            reply.fail(value)
        else:
            reply.send(value)
        return received.message

    async def down(self, *, timeout: float | None = 5.0) -> Down:
        """Take the news of the next end of a proc that is watched; waits like `receive`."""
        await self._wait(self._downs, "end of a watched proc", timeout)
        return self._downs.popleft()

    @property
    def waiting(self) -> tuple[M, ...]:
        """Return the messages that came and were not taken yet, in their order."""
        return tuple(received.message for received in self._received)

    async def _wait(self, items: deque[Any], what: str, timeout: float | None) -> None:
        with anyio.move_on_after(timeout):
            while not items:
                if self._more.is_set():
                    self._more = anyio.Event()
                await self._more.wait()
        if not items:
            raise TimeoutError(f"no {what} for the probe within {timeout:g} s")

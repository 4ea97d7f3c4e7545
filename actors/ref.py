"""Send to an address and decide over the life of the proc behind it.

A `Ref[M]` is a stable address: it stays the same when its proc is restarted, can be sent inside
messages, and compares and hashes by address. It is contravariant: a ref that accepts
`Deposit | Balance` can be passed where a `Ref[Deposit]` is wanted.

Guarantees: messages of one sender arrive in order, each at most once; `tell` to an address that
has ended is a dead letter and never an error; `ask` never outlives its timeout, and fails at
once when the receiver ends first.

>>> import anyio
>>> from actors import Actor, ActorSystem, Request, on
>>> class Double(Request[int]):
...     def __init__(self, number: int) -> None:
...         self.number = number
>>> class Doubler(Actor[Double]):
...     @on(Double)
...     def double(self, message: Double) -> int:
...         return message.number * 2
>>> async def main() -> int:
...     async with ActorSystem() as system:
...         doubler = await system.spawn(Doubler)
...         return await doubler.ask(Double(21))
>>> anyio.run(main)
42
"""

from __future__ import annotations

from threading import get_ident
from typing import Any, Generic, NoReturn, Self, TypeAlias, TypeVar, cast, final

from attrs import frozen

from actors.address import UNLIMITED, Address, current_occupant
from actors.backends import Waiter
from actors.errors import ended
from actors.exits import ExitReason
from actors.messages import DEFAULT_TIMEOUT, NOT_NOW, Envelope, Question, Request
from actors.seconds import check_seconds
from actors.waits import asker_of, sender_of, waits_for

__all__ = ["AnyRef", "Ref", "Statistics"]

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


@final
@frozen
class Statistics:
    """The counts of what went through an address.

    `queued` and `stashed` messages wait now; `capacity` is None without limit; `handled` counts the
    messages that the present incarnation was given, in steps of a batch; `incarnation` counts
    starts, from 1.
    """

    queued: int
    stashed: int
    capacity: int | None
    handled: int
    incarnation: int


@final
class Ref(Generic[M_contra]):
    """The stable address of a proc. Made by `spawn`; there is no public constructor."""

    __slots__ = ("__weakref__", "_address")

    _address: Address

    def __init__(self) -> None:
        raise TypeError("a Ref has no public constructor; spawn returns one")

    # -- messages ---------------------------------------------------------------------------

    def tell(self, message: M_contra) -> None:
        """Queue a message and go on; never waits.

        An address that has ended makes it a dead letter. Raises MailboxFull when a bounded mailbox
        has no room and its overflow is WAIT or RAISE; raises TypeError when the receiver
        does not accept messages of this type. In another thread a receiver that waits for mail
        raises RuntimeError; whether a busy one is told from there is not looked at, for speed.
        """
        address = self._address
        if type(message) not in address.types:
            address.accepts.admit(type(message), address.path)
        if address.simple:
            if address.waiter is not None:
                address.wake()  # first: in another thread it is refused, and nothing was queued
            address.queue.append(message)
        elif not address.offer(message):
            raise address.overfull(message, "use send, which waits for room")

    async def send(self, message: M_contra) -> None:
        """Queue a message; waits while a bounded mailbox with overflow WAIT is full.

        Waiting senders are let in in the order in which they came. Raises TypeError like `tell`;
        raises MailboxFull when overflow is RAISE, or when a proc would wait for room in its
        own mailbox, or in that of one who waits for it; RuntimeError in another thread or event
        loop. Cancelled while it waits, the message is not sent.
        """
        address = self._address
        address.runtime.check_here(address.path)
        if type(message) not in address.types:
            address.accepts.admit(type(message), address.path)
        # First give way, then send: a loop of sends is no busy loop, and a sender that is
        # cancelled here has not sent.
        await address.runtime.backend.checkpoint()
        if address.simple:
            address.put(message)
        elif not address.offer(message):
            waiter: Waiter[None] = address.runtime.backend.new_waiter()
            sender, hint = sender_of(address, waiter)
            if hint:
                raise address.overfull(message, hint)
            entry = address.park(message, waiter)
            try:
                await waiter
            finally:
                entry.item = None  # let in, or given up: either way nobody looks there again
                if sender is not None:
                    sender.wait_is_over()

    async def ask(
        self, request: Question[M_contra, R], *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> R:
        """Send a request and wait for its answer.

        `timeout` in seconds, default 5.0 or what the request's class says, None for no limit,
        includes the wait for room in the mailbox. Raises AskTimeout when no answer came in time;
        ProcExited at once when the receiver ends first, has ended, or is down and the asker was
        told to stop; the Refusal that it answered with; NoReply when it threw the reply away;
        AskCycle when it waits for the asker, or for its end; MailboxFull, TypeError, RuntimeError
        like `send`. Cancelled, the request may still be handled. A handler that cannot wait may
        run in this call.
        """
        address, kind = self._address, type(request)
        if timeout is not DEFAULT_TIMEOUT and timeout is not None:
            check_seconds("a timeout", timeout, none=True)
        runtime, idle = address.runtime, address.occupant
        if get_ident() != runtime.home:
            raise runtime.elsewhere(address.path)
        envelope: Envelope | None = None
        if address.waiter is not None and runtime.inline and idle is not None:  # no need to wake it
            function = address.accepts.inline.get(kind)
            answer: Any = NOT_NOW if function is None else idle.answer_now(request, function)
            if type(answer) is not Envelope:  # nor NOT_NOW, which is one, too
                return answer  # type: ignore[no-any-return]
            envelope = None if answer is NOT_NOW else answer
        if kind not in address.types:
            address.accepts.admit(kind, address.path)
        if not isinstance(request, Request):
            raise _not_a_request(kind, address)
        if timeout is DEFAULT_TIMEOUT:
            timeout = _own_timeout(request)
        asker = asker_of(address, kind)
        if envelope is None:
            envelope = Envelope(request, runtime.backend.new_waiter(), address.path, asker)
            _post(address, envelope)
        elif envelope.settled:
            await runtime.backend.checkpoint()  # as when it is waited for: interruptions land here
        else:
            envelope.asker = asker
        waiter: Waiter[Any] = envelope.waiter
        if timeout is not None:
            envelope.timeout = timeout
            runtime.deadlines.add(envelope, timeout)
        if asker is not None:
            asker.asking, asker.asked = address, envelope
            if asker.told is not None:
                asker.hurry()
        try:
            return await waiter
        except RuntimeError:
            _check_loop(address, envelope)
            raise  # it is the answer
        finally:
            if asker is not None:
                asker.wait_is_over()
            if timeout is not None:
                runtime.deadlines.discard(envelope)

    # -- life -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Let the proc stop after what is queued; it exits with Normal. Never waits.

        A proc that reads no inbox is told through its token. Nothing happens when none runs.
        """
        address = self._address
        address.runtime.check_here(address.path)
        if address.occupant is not None:
            address.occupant.finish_queued()

    async def shutdown(self, timeout: float | None = 5.0) -> ExitReason:
        """Stop the proc after the message in hand and wait for its end; returns how it ended.

        It exits with Shutdown. `timeout` in seconds, default 5.0, None for ever: at the deadline it
        is killed, and its death is waited for. The deadline holds also when this call is
        cancelled. Raises ValueError for a negative timeout, RuntimeError when a proc waits for
        its own end. Returns the last exit reason when no proc runs.
        """
        if timeout is not None:
            check_seconds("a timeout", timeout, none=True)
        address = self._address
        address.runtime.check_here(address.path)
        occupant = address.occupant
        if occupant is not None:
            self._check_not_self("wait", "context.stop() stops it after this message")
            occupant.tell_to_stop(timeout)
        return await self.wait()

    def kill(self) -> None:
        """Cancel the proc at once, and all that it started; its `on_stop` does not run.

        Never waits; `wait` tells when it is gone. Nothing happens when none runs. On trio, code in
        a shielded scope is not cut short and holds the death up; on asyncio it is.
        """
        address = self._address
        address.runtime.check_here(address.path)
        if address.occupant is not None:
            address.occupant.kill()

    async def wait(self) -> ExitReason:
        """Wait until the present incarnation has ended; returns its exit reason.

        Returns the last reason at once when none runs (NoProc if there never was one). Raises
        RuntimeError when a proc waits for its own end. Cancelling it only ends the wait.
        """
        address = self._address
        address.runtime.check_here(address.path)
        living = address.occupant
        if living is None:
            await address.runtime.backend.checkpoint()
            return address.reason
        self._check_not_self("wait", "it would wait for ever")
        waiter: Waiter[ExitReason] = address.runtime.backend.new_waiter()
        living.on_end(waiter)
        # Whoever asks this proc meanwhile, and is waited for by it, had better know.
        occupant = waits_for(address, waiter)
        try:
            return await waiter
        finally:
            living.forget(waiter)
            if occupant is not None:
                occupant.wait_is_over()

    @property
    def is_alive(self) -> bool:
        """Return whether an incarnation is there now: starting, running or stopping."""
        return self._address.occupant is not None

    @property
    def path(self) -> str:
        """Return the place in the tree, like `/shop/workers/3`."""
        return self._address.path

    def statistics(self) -> Statistics:
        """Return what went through this address, as a frozen value."""
        address = self._address
        occupant = self._address.occupant
        return Statistics(
            queued=address.size,
            stashed=0 if occupant is None else occupant.stashed,
            capacity=None if address.capacity == UNLIMITED else address.capacity,
            handled=0 if occupant is None else occupant.handled,
            incarnation=address.incarnation,
        )

    # -- identity ---------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Ref) and self._address is other._address)

    def __hash__(self) -> int:
        return hash(self._address)

    def __repr__(self) -> str:
        return f"<Ref {self._address.path}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self  # a value: the copy of a message that holds it reaches the same proc

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is an address of this process and cannot be pickled")

    def _check_not_self(self, call: str, instead: str) -> None:
        occupant = current_occupant.get()
        address = self._address
        if occupant is None or occupant is not address.occupant:
            return
        if address.runtime.backend.current_task() is occupant.task:
            raise RuntimeError(f"{address.path} cannot {call} for its own end; {instead}")


AnyRef: TypeAlias = Ref[Any]
"""A ref whose messages are not known here: looked up by path, or taken from an event."""


def make_ref(address: Address) -> Ref[Any]:
    """Make a ref to an address."""
    ref = object.__new__(cast("type[Ref[Any]]", Ref))
    ref._address = address  # pyright: ignore[reportPrivateUsage]
    return ref


def address_of(ref: Ref[Any]) -> Address:
    """Return the address that a ref stands for. Raises TypeError for anything else."""
    if not isinstance(ref, Ref):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a Ref is wanted, not {ref!r}")
    return ref._address  # pyright: ignore[reportPrivateUsage]


def ref_of(address: Address) -> Ref[Any]:
    """Return the ref of an address; a new one when it has ended and let go of its own."""
    ref = address.ref
    return make_ref(address) if ref is None else cast("Ref[Any]", ref)


def _not_a_request(kind: type, address: Address) -> TypeError:
    return TypeError(
        f"{kind.__name__} is no Request, so {address.path} cannot answer it; "
        "derive it from Request[...], or tell it"
    )


def _own_timeout(request: Request[Any]) -> float | None:
    """Return the timeout that a class of requests has. Raises like `check_seconds`."""
    timeout = request.__timeout__
    if timeout is not DEFAULT_TIMEOUT:  # else it would be the clock that fails, for all who wait
        check_seconds("a timeout", timeout, none=True)
    return timeout


def post_question(
    address: Address, request: Question[Any, Any], waiter: Waiter[Any], timeout: float | None
) -> Envelope:
    """Send a request for somebody whom `waiter` stands for, who waits outside of the loop.

    Raises like `Ref.ask` when it cannot be sent. Who is woken takes the deadline back.
    """
    kind = type(request)
    if kind not in address.types:
        address.accepts.admit(kind, address.path)
    if not isinstance(request, Request):
        raise _not_a_request(kind, address)
    if timeout is DEFAULT_TIMEOUT:
        timeout = _own_timeout(request)
    envelope = Envelope(request, waiter, address.path, None)
    _post(address, envelope)
    if timeout is not None and not envelope.settled:
        envelope.timeout = timeout
        address.runtime.deadlines.add(envelope, timeout)
    return envelope


def _check_loop(address: Address, envelope: Envelope) -> None:
    """Raise RuntimeError for an ask that no task of the running event loop can wait for."""
    if not envelope.settled:
        address.take_back(envelope)  # the receiver's own loop stands still meanwhile
        raise address.runtime.elsewhere(address.path) from None


def _post(address: Address, envelope: Envelope) -> None:
    if address.simple:
        address.queue.append(envelope)
        if address.waiter is not None:
            address.wake()
        return
    if not address.open:
        # Checked here and not in `offer`: the asker learns it from the exception alone.
        raise ended(address.path, address.reason, type(envelope.message).__name__)
    if not address.offer(envelope):
        address.park(envelope, None)

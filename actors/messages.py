"""Say what can be asked, and how it is answered.

Any class is a message. A class derived from `Request[R]` is a message that is answered with
an `R`; `ask` infers `R` from it. A handler answers by returning, or it takes a `Reply[R]`
as its last argument and answers later, from anywhere in the same process.

An answer reaches its asker at most once; one that comes after the asker gave up is dropped.
A `Reply` that is thrown away unanswered fails its asker at once.

>>> from attrs import frozen
>>> @frozen
... class Balance(Request[int]):
...     owner: str
>>> def question(asked: Question[Balance, int]) -> str:
...     return type(asked).__name__
>>> question(Balance("ada"))
'Balance'

The typing (a phantom method that carries the request's own type and its answer's) is known
from typed actor libraries such as Akka's `ask` and fits both mypy and pyright.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from threading import get_ident
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, cast, final

from actors.backends import Backend, Waiter
from actors.errors import AskTimeout, NoReply
from actors.texts import answer_of, is_a, process_end

__all__ = ["Asker", "Envelope", "Question", "Reply", "Request"]

M_co = TypeVar("M_co", covariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Question(Protocol[M_co, R_co]):
    """A message of type `M_co` whose answer is an `R_co`; every `Request` is one."""

    def __request__(self) -> tuple[M_co, R_co]:
        """Carry the two types for the checker; never called."""
        ...


class DefaultTimeout(float):
    """The seconds that an ask waits to which nobody gave a timeout: known by its identity."""

    __slots__ = ()


DEFAULT_TIMEOUT: Final = DefaultTimeout(5.0)
"""Seconds that an ask waits for its answer, as in OTP."""


class Request(Generic[R]):
    """The base of messages that are answered with an `R`.

    A class of requests that take their time says so: `__timeout__` (default 5.0) is the timeout of
    an ask to which none is given, in seconds; None: no limit.
    """

    __slots__ = ()

    __timeout__: ClassVar[float | None] = DEFAULT_TIMEOUT

    def __request__(self) -> tuple[Self, R]:
        """Carry the two types for the checker. Raises TypeError when called."""
        raise TypeError("__request__ exists for type checkers only")


class Asker(Protocol):
    """The proc that waits for an answer."""

    def wait_is_over(self) -> None:
        """Take note that nobody can be said to wait for anybody any more."""
        ...


class Home(Protocol):
    """The actor system of a request: its event loop, and the thread of that."""

    home: int
    backend: Backend


@final
class Nobody:
    """The waiter of a request that nobody waits for yet: it counts as settled."""

    __slots__ = ()

    def done(self) -> bool:
        """Return True: there is nobody to wake."""
        return True

    def set_result(self, result: object, /) -> None:
        """Wake nobody."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Wake nobody."""

    def __await__(self) -> Generator[Any, None, object]:
        """Wait for nobody. Raises RuntimeError."""
        raise RuntimeError("nobody answers here")


NOBODY = Nobody()


@final
class Envelope:
    """A request on its way through a mailbox, together with where its answer goes.

    `turn` counts how often it was handed out; a stashed one is handed out again. `carried` has the
    values of the context variables that travel along, and is there only if any do.
    """

    carried: tuple[object, ...]

    __slots__ = ("asker", "carried", "due", "message", "path", "tick", "timeout", "turn", "waiter")

    def __init__(
        self, message: object, waiter: Waiter[object], path: str, asker: Asker | None
    ) -> None:
        self.message = message
        self.waiter = waiter
        self.path = path
        self.asker = asker
        self.timeout = self.due = 0.0
        self.turn = self.tick = 0

    def answer(self, value: object) -> None:
        """Give the asker its answer; dropped when the asker has gone."""
        if not self.waiter.done():
            self.waiter.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Give the asker an error; dropped when the asker has gone."""
        if not self.waiter.done():
            self.waiter.set_exception(error)

    def expire(self) -> None:
        """Tell the asker that its time is up."""
        self.fail(AskTimeout(self.path, type(self.message).__name__, self.timeout))

    @property
    def settled(self) -> bool:
        """Return whether the asker got something, or gave up."""
        return self.waiter.done()


NOT_NOW = Envelope(None, NOBODY, "", None)
"""Stands for an answer that could not be had at once: nothing was done."""


@final
class Reply(Generic[R_contra]):
    """The answer to one request, now or later; it may be kept, or sent on inside a message.

    The engine makes replies; there is nothing to construct by hand. Answering twice raises
    RuntimeError. When the asker gave up meanwhile, or the message was only told, the answer
    is dropped. When the actor ends first, the asker gets `ProcExited`.
    """

    __slots__ = ("__weakref__", "_answered", "_envelope", "_home", "_turn", "_type")

    _envelope: Envelope | None
    _home: Home
    _answered: bool
    _turn: int
    _type: str

    def __init__(self) -> None:
        raise TypeError("a Reply is made by the engine; take it as the handler's last argument")

    def send(self, value: R_contra) -> None:
        """Answer the request with `value`; never waits."""
        envelope = self._use()
        if envelope is not None:
            self._at_home(partial(envelope.answer, value))

    def fail(self, error: Exception) -> None:
        """Answer the request with an error, raised in the asker; usually a `Refusal`.

        What would end or cancel more than the ask there (a cancellation that was caught,
        SystemExit, StopIteration) is the cause of a RuntimeError. Raises TypeError when `error` is
        no exception; the request is still unanswered then.
        """
        if not isinstance(error, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"fail takes an exception to raise in the asker, not {error!r}")
        envelope = self._use()
        if envelope is not None:
            cancelled = self._home.backend.cancelled_error()
            if is_a(error, (StopIteration, GeneratorExit, cancelled)) or process_end(error):
                error = answer_of(error)
            self._at_home(partial(envelope.fail, error))

    def _at_home(self, call: Callable[[], None]) -> None:
        """Call in the thread of the event loop: only there can anybody be woken."""
        if get_ident() == self._home.home:
            call()
        else:  # nobody waits any more when the loop has gone
            self._home.backend.call_soon_threadsafe(call)

    @property
    def wanted(self) -> bool:
        """Return whether somebody still waits for this answer."""
        return self._envelope is not None and not self._answered and not self._envelope.settled

    @property
    def owed(self) -> Envelope | None:
        """Return the request that it answers, for the engine; None if that was told."""
        return self._envelope

    def _use(self) -> Envelope | None:
        if self._answered:
            raise RuntimeError(f"this {self._type} was answered already")
        if self._envelope is not None and self._turn != self._envelope.turn:
            raise RuntimeError(f"this {self._type} was stashed; it comes with a new reply")
        self._answered = True
        return self._envelope

    def __del__(self) -> None:
        # Not __init__-ed: `Reply()` raised, there is nobody to tell.
        envelope = getattr(self, "_envelope", None)
        if envelope is not None and not self._answered and self._turn == envelope.turn:
            # In whatever thread it was dropped, or the garbage collector came by.
            error = NoReply(envelope.path, type(envelope.message).__name__)
            self._at_home(partial(envelope.fail, error))


def make_reply(envelope: Envelope | None, message: object, home: Home) -> Reply[object]:
    """Make the reply to a request; without an envelope (it was told) every answer is dropped."""
    reply = object.__new__(cast("type[Reply[object]]", Reply))
    reply._envelope = envelope  # pyright: ignore[reportPrivateUsage]
    reply._turn = 0 if envelope is None else envelope.turn  # pyright: ignore[reportPrivateUsage]
    reply._home = home  # pyright: ignore[reportPrivateUsage]
    reply._answered = False  # pyright: ignore[reportPrivateUsage]
    reply._type = type(message).__name__  # pyright: ignore[reportPrivateUsage]
    return reply

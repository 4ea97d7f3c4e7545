"""Name everything that can go wrong between procs.

Every error of this package is an `ActorError` and says which message type and which path it is
about. A `Refusal` is different in kind: it is an *answer*. A handler raises one to say no,
its asker gets that very exception, and the actor lives on.

>>> class InsufficientFunds(Refusal):
...     pass
>>> error = AskTimeout("/account", "Balance", 5.0)
>>> print(error)
/account did not answer Balance within 5 s
>>> isinstance(error, TimeoutError), isinstance(InsufficientFunds(7), ActorError)
(True, True)
"""

from __future__ import annotations

from typing import final

from actors.exits import Crashed, ExitReason

__all__ = [
    "ActorError",
    "AskCycle",
    "AskTimeout",
    "IdTaken",
    "Ignore",
    "LinkBroken",
    "MailboxFull",
    "NameNotFound",
    "NameTaken",
    "NoReply",
    "ProcExited",
    "Refusal",
    "StartFailed",
    "SystemClosed",
]


class ActorError(Exception):
    """The base of every error that this package raises."""


class _Told(ActorError):
    """An error whose arguments stand apart from its text, so that it can be copied and pickled."""

    text = ""

    def __str__(self) -> str:
        return self.text


class Refusal(ActorError):
    """An answer that is an error; subclass it for each way of saying no.

    Raised by a handler (or given to `Reply.fail`) it reaches the asker as it is. The actor
    that raised it does not crash.
    """


class Ignore(Exception):
    """What `on_start` raises when the proc is not needed now; no failure."""


@final
class AskTimeout(_Told, TimeoutError):
    """No answer came in time; the receiver goes on and a late answer is dropped."""

    def __init__(self, path: str, message: str, timeout: float) -> None:
        self.text = f"{path} did not answer {message} within {timeout:g} s"
        self.path = path
        self.message = message
        self.timeout = timeout
        self.args = (path, message, timeout)  # TimeoutError, an OSError, keeps none by itself


@final
class ProcExited(_Told):
    """The receiver ended before it answered; `reason` is its exit reason."""

    alone = False
    """Whether its asker is the only one who was told of that crash."""

    def __init__(self, path: str, reason: ExitReason, message: str | None = None) -> None:
        what = "" if message is None else f" before it answered {message}"
        self.text = f"{path} ended{what}: {reason}"
        self.path = path
        self.reason = reason
        self.message = message


@final
class MailboxFull(_Told):
    """A bounded mailbox had no room for the message."""

    def __init__(self, path: str, message: str, capacity: int, hint: str) -> None:
        self.text = f"mailbox of {path} is full ({capacity}): {message} not taken; {hint}"
        self.path = path
        self.message = message
        self.capacity = capacity


@final
class NoReply(_Told):
    """The receiver threw the `Reply` away without answering."""

    def __init__(self, path: str, message: str) -> None:
        self.text = f"{path} threw away the reply to {message} unanswered"
        self.path = path
        self.message = message


@final
class AskCycle(_Told):
    """An ask that can never be answered: those in `chain` wait for each other."""

    def __init__(self, message: str, chain: tuple[str, ...]) -> None:
        self.text = f"asking {message} would wait for ever: {' -> '.join(chain)}"
        self.message = message
        self.chain = chain


@final
class LinkBroken(_Told):
    """A linked proc ended abnormally and took this one with it."""

    def __init__(self, path: str, reason: ExitReason) -> None:
        self.text = f"linked {path} ended: {reason}"
        self.path = path
        self.reason = reason


@final
class NameNotFound(_Told):
    """Nobody has the name now."""

    def __init__(self, name: str) -> None:
        self.text = f"nobody has the name {name!r}"
        self.name = name


@final
class NameTaken(_Told):
    """Another live address holds the name; `path` is the holder."""

    def __init__(self, name: str, path: str) -> None:
        self.text = f"name {name!r} is taken by {path}"
        self.name = name
        self.path = path


@final
class IdTaken(_Told):
    """A sibling at the same path is still there."""

    def __init__(self, path: str) -> None:
        self.text = f"{path} is taken by a sibling; choose another id or leave it out"
        self.path = path


@final
class StartFailed(_Told):
    """A proc did not get ready; `reason` is how its start ended.

    `__cause__` is the exception that its factory or `on_start` raised, if one did.
    """

    def __init__(self, path: str, reason: ExitReason) -> None:
        self.text = f"{path} did not start: {reason}"
        self.path = path
        self.reason = reason


@final
class SystemClosed(_Told):
    """The actor system is not open, so nothing can be started in it."""

    def __init__(self, system: str, problem: str) -> None:
        self.text = f"actor system {system!r} {problem}"
        self.system = system


def ended(path: str, reason: ExitReason, message: str | None = None) -> ProcExited:
    """Return the error for one who waits for a proc that has ended; its crash is the cause."""
    error = ProcExited(path, reason, message)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.error
    return error

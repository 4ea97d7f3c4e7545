"""Every error that supervision raises, and every refusal that a supervisor answers with.

Guarantees:

- Each error derives from `SupervisionError`, keeps what it knows in typed attributes, and
  has a text of exactly one line that names the child, path or field concerned.
- The refusals (`ChildExists` to `ChildStartFailed`) are `actors.Refusal`s as well: a
  supervisor answers a request with one and lives on.
- Errors compare by identity, as exceptions do. Making one never fails, not even when the
  exception that it reports cannot be printed.

Worked example, a start that failed two floors down:

>>> from actors import Crashed
>>> cause = Crashed(ConnectionError("port 5432 is closed"))
>>> inner = ChildStartFailed("db", cause)
>>> outer = ChildStartFailed("storage", Crashed(inner))
>>> print(outer)
storage/db failed to start: ConnectionError: port 5432 is closed
>>> outer.id, outer.path, outer.root is cause
('storage', 'storage/db', True)
"""

from __future__ import annotations

from typing import Any, final

from actors import Crashed, ExitReason, Ref, Refusal, Shutdown

__all__ = [
    "ChildExists",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildStartFailed",
    "IntensityExceeded",
    "SpecError",
    "SupervisionError",
    "TooManyChildren",
    "TreeExited",
    "describe_error",
    "describe_reason",
]


def describe_error(error: BaseException) -> str:
    """Tell an exception in one line: its type and, if it has one, its text."""
    name, text = type(error).__name__, _one_line(error)
    return f"{name}: {text}" if text else name


def describe_reason(reason: ExitReason) -> str:
    """Tell an exit reason in one line, ready to stand after a colon.

    >>> describe_reason(Crashed(KeyError("ada"))), describe_reason(Shutdown("deploy"))
    ("KeyError: 'ada'", 'shutdown (deploy)')
    """
    return describe_error(reason.error) if isinstance(reason, Crashed) else _one_line(reason)


def _one_line(value: object) -> str:
    try:
        return " ".join(str(value).split())
    except Exception:
        # User code: a broken __str__ must not take the supervisor down with it.
        return "(its text cannot be printed)"


class SupervisionError(Exception):
    """Be the base of every error of this package."""


@final
class SpecError(SupervisionError, ValueError):
    """Report a spec that cannot be meant, at the moment when it is made.

    `path` is the place in the tree as far as it is known there (`shop/db`, or `db` alone),
    `field` the option that is wrong, and `problem` says what is wrong with it and what
    would be right.
    """

    def __init__(self, path: str, field: str, problem: str) -> None:
        super().__init__(f"{path}: {field}: {problem}")
        self.path = path
        self.field = field
        self.problem = problem


@final
class ChildExists(SupervisionError, Refusal):
    """Refuse to start a child whose id is taken.

    `ref` is the running child (OTP: `already_started`), or None when the id is known but
    has no running proc: ended, terminated or restarting (OTP: `already_present`).
    """

    def __init__(self, id: str, ref: Ref[Any] | None) -> None:
        if ref is None:
            text = f"child {id!r} is already present but not running; restart or delete it"
        else:
            text = f"child {id!r} is already started as {ref.path}"
        super().__init__(text)
        self.id = id
        self.ref = ref


@final
class ChildNotFound(SupervisionError, Refusal):
    """Refuse a request about a child that the supervisor does not have."""

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no child {id!r}")
        self.id = id


@final
class ChildRunning(SupervisionError, Refusal):
    """Refuse to restart or delete a child that runs; terminate it first."""

    def __init__(self, id: str) -> None:
        super().__init__(f"child {id!r} is running; terminate it first")
        self.id = id


@final
class ChildRestarting(SupervisionError, Refusal):
    """Refuse to restart or delete a child that is being restarted already."""

    def __init__(self, id: str) -> None:
        super().__init__(f"child {id!r} is being restarted; terminate it first")
        self.id = id


@final
class TooManyChildren(SupervisionError, Refusal):
    """Refuse one more child than a dynamic supervisor's `max_children` allows."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the limit of max_children={limit} is reached")
        self.limit = limit


@final
class ChildStartFailed(SupervisionError, Refusal):
    """Report a child that did not start, and why.

    `id` is the child, `reason` how its start ended. When the child is a supervisor whose
    own child failed, `reason` holds another `ChildStartFailed`; then `path` is the way
    down, innermost id last, and `root` is the reason at its end.
    """

    def __init__(self, id: str, reason: ExitReason) -> None:
        inner = _nested(reason)
        path: str = id if inner is None else f"{id}/{inner.path}"
        root: ExitReason = reason if inner is None else inner.root
        super().__init__(f"{path} failed to start: {describe_reason(root)}")
        self.id = id
        self.reason = reason
        self.path: str = path
        self.root: ExitReason = root


def _nested(reason: ExitReason) -> ChildStartFailed | None:
    # OTP wraps this reason in `shutdown`; a proc whose on_start raises has it in `Crashed`.
    match reason:
        case (
            Crashed(error=ChildStartFailed() as inner)
            | Shutdown(detail=ChildStartFailed() as inner)
        ):
            return inner
        case _:
            return None


@final
class IntensityExceeded(SupervisionError):
    """Say that a supervisor gave up: its children needed more restarts than allowed.

    `path` is the supervisor, `max_restarts` and `max_seconds` (seconds) its budget, and
    `crashes` the errors that used it up, oldest first; it is empty when every restart
    followed an exit without an error.
    """

    def __init__(
        self,
        path: str,
        max_restarts: int,
        max_seconds: float,
        crashes: tuple[BaseException, ...] = (),
    ) -> None:
        restarts = "1 restart" if max_restarts == 1 else f"{max_restarts} restarts"
        last = f"; last crash: {describe_error(crashes[-1])}" if crashes else ""
        super().__init__(f"{path} gave up: more than {restarts} in {max_seconds:g} s{last}")
        self.path = path
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self.crashes = crashes


@final
class TreeExited(SupervisionError):
    """Report that the supervisor at the root of a served tree ended on its own.

    `path` is that supervisor and `reason` its exit reason.
    """

    def __init__(self, path: str, reason: ExitReason) -> None:
        super().__init__(f"{path} exited: {describe_reason(reason)}")
        self.path = path
        self.reason = reason

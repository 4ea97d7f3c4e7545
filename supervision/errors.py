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

import signal
from collections.abc import Iterable, Sequence
from typing import Any, final

from actors import Crashed, ExitReason, Place, Ref, Refusal, Shutdown
from actors.texts import is_a
from supervision.describe import describe_error, describe_reason, is_own, one_line

__all__ = [
    "ChildExists",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildStartFailed",
    "IntensityExceeded",
    "NoPartitions",
    "PartitionsFixed",
    "ProcessFailed",
    "SpecError",
    "SupervisionError",
    "TooManyChildren",
    "TreeExited",
    "Wedged",
]


class SupervisionError(Exception):
    """The base of every error of this package."""


@final
class SpecError(SupervisionError, ValueError):
    """A spec that cannot be meant; raised at the moment when it is made.

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
    """The refusal to start a child whose id is taken.

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
    """The refusal of a request about a child that the supervisor does not have."""

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no child {id!r}")
        self.id = id


@final
class ChildRunning(SupervisionError, Refusal):
    """The refusal to restart or delete a child that runs; terminate it first."""

    def __init__(self, id: str) -> None:
        super().__init__(f"child {id!r} is running; terminate it first")
        self.id = id


@final
class ChildRestarting(SupervisionError, Refusal):
    """The refusal to restart or delete a child that is being restarted already."""

    def __init__(self, id: str) -> None:
        super().__init__(f"child {id!r} is being restarted; terminate it first")
        self.id = id


@final
class TooManyChildren(SupervisionError, Refusal):
    """The refusal of one more child than a dynamic supervisor's `max_children` allows.

    Or one more task than a task supervisor's `max_tasks` allows; `option` is that word.
    """

    def __init__(self, limit: int, option: str = "max_children") -> None:
        super().__init__(f"the limit of {option}={limit} is reached")
        self.limit = limit
        self.option = option


@final
class NoPartitions(SupervisionError, Refusal):
    """The refusal to route a key: the partition supervisor at `path` has no partitions now."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} has no partitions now; resize it, or wait until it is ready")
        self.path = path


@final
class PartitionsFixed(SupervisionError, Refusal):
    """The refusal to change a partition supervisor's children otherwise than by a resize."""

    def __init__(self, id: str) -> None:
        super().__init__(f"partition {id!r} comes and goes with ResizePartitions alone")
        self.id = id


@final
class ChildStartFailed(SupervisionError, Refusal):
    """A child that did not start, and why.

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
        case Crashed(error=inner) | Shutdown(detail=inner) if is_a(inner, ChildStartFailed):
            return inner
        case _:
            return None


@final
class IntensityExceeded(SupervisionError):
    """A budget of restarts that is spent: a supervisor gave up, or parked a child.

    `path` is the supervisor, `max_restarts` and `max_seconds` (seconds) the budget, and
    `crashes` the errors that used it up, oldest first; it is empty when every restart
    followed an exit without an error. `child` is the id of the child whose own budget it
    was, None when it was the supervisor's, for all its children together. `parked` tells
    that the child was parked, so that its supervisor goes on.

    >>> print(IntensityExceeded("/shop", 3, 5.0, child="db"))
    /shop gave up: child db needed more than 3 restarts in 5 s
    >>> print(IntensityExceeded("/shop", 3, 5.0, (KeyError("x"),), child="db", parked=True))
    /shop parked child db: more than 3 restarts in 5 s; last crash: KeyError: 'x'
    """

    def __init__(
        self,
        path: str,
        max_restarts: int,
        max_seconds: float,
        crashes: tuple[BaseException, ...] = (),
        *,
        child: str | None = None,
        parked: bool = False,
    ) -> None:
        last = f"; last crash: {describe_error(crashes[-1])}" if crashes else ""
        if parked:
            what = f"parked child {child}:"
        else:
            what = "gave up:" if child is None else f"gave up: child {child} needed"
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        super().__init__(f"{path} {what} more than {self.budget}{last}")
        self.path = path
        self.crashes = crashes
        self.child = child
        self.parked = parked

    @property
    def budget(self) -> str:
        """Return the budget in words, such as "3 restarts in 5 s"."""
        restarts = "1 restart" if self.max_restarts == 1 else f"{self.max_restarts} restarts"
        return f"{restarts} in {self.max_seconds:g} s"


@final
class Wedged(SupervisionError):
    """A child that hung, and where: what its watchdog makes it crash with.

    `path` is the child, `activity` what it was busy with, `seconds` for how long, and `stack` where
    in its own code it waited, the outermost call first (empty when it waited for mail). That
    stack is also the error's traceback.

    >>> stack = (Place("/srv/shop.py", 40, "Shop.buy"), Place("/srv/bank.py", 7, "Bank.pay"))
    >>> print(Wedged("/shop", "handling Buy", 31.25, stack))
    /shop hangs: handling Buy for 31.2 s, at /srv/bank.py:7 in Bank.pay
    """

    def __init__(
        self, path: str, activity: str, seconds: float, stack: tuple[Place, ...] = ()
    ) -> None:
        self.path = path
        self.activity = activity
        self.seconds = seconds
        self.stack = stack
        super().__init__(f"{path} hangs: {self.problem}{self.place}")

    @property
    def problem(self) -> str:
        """Return what it is busy with, and for how long, in words."""
        return f"{self.activity} for {self.seconds:.1f} s"

    @property
    def place(self) -> str:
        """Return the last place in code of the user's own, else the very last, after ", at "."""
        own = [place for place in self.stack if is_own(place.file)]
        return f", at {(own or self.stack)[-1]}" if self.stack else ""


@final
class ProcessFailed(SupervisionError):
    """A program that did not end as it should: the crash of a `subprocess` child.

    `argv` is the program and its arguments; `returncode` its exit code, minus the number of the
    signal that ended it, or None when it could not be started; `last_lines` are the last lines of
    its standard error, and `problem` is what else there is to say.
    """

    def __init__(
        self,
        argv: Sequence[str],
        returncode: int | None,
        last_lines: Iterable[str] = (),
        *,
        problem: str = "",
    ) -> None:
        lines = tuple(last_lines)
        ended = _ended(returncode)
        more = f": {problem}" if problem and returncode is None else f" {problem}".rstrip()
        last = next((f": {line}" for line in reversed(lines) if line.strip()), "")
        # Not the arguments: they hold passwords, and this text goes into logs.
        super().__init__(one_line(f"{argv[0]} {ended}{more}{last}"))
        self.argv = tuple(argv)
        self.returncode = returncode
        self.last_lines = lines
        self.problem = problem


def _ended(returncode: int | None) -> str:
    if returncode is None:
        return "could not be started"
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


@final
class TreeExited(SupervisionError):
    """The end of a served tree: the supervisor at its root ended on its own.

    `path` is that supervisor and `reason` its exit reason.
    """

    def __init__(self, path: str, reason: ExitReason) -> None:
        super().__init__(f"{path} exited: {describe_reason(reason)}")
        self.path = path
        self.reason = reason

"""Say how a proc ended.

An exit reason is a frozen value: it can be compared, matched, sent and kept. There are five,
and nothing else ever stands where an `ExitReason` is promised. Whether a
transient child is restarted depends on `is_abnormal`: `Normal` and `Shutdown` are orderly ends,
all others are not (the rule is OTP's: normal, shutdown and {shutdown, T} are not abnormal).

>>> Shutdown("deploy").is_abnormal, Killed().is_abnormal
(False, True)
>>> def describe(reason: ExitReason) -> str:
...     match reason:
...         case Crashed(error):
...             return f"crashed: {error}"
...         case _:
...             return str(reason)
>>> describe(Crashed(ValueError("no such row")))
'crashed: no such row'
>>> describe(Normal())
'normal'
"""

from __future__ import annotations

from typing import TypeAlias, final

from attrs import field, frozen
from attrs.validators import instance_of

from actors.texts import describe, process_end, text_of

__all__ = ["Crashed", "ExitReason", "Killed", "NoProc", "Normal", "Shutdown", "check_reason"]


@final
@frozen
class Normal:
    """The proc was done: its body returned, or `stop()` was obeyed."""

    @property
    def is_abnormal(self) -> bool:
        """Return whether a supervisor sees a failure here; always False."""
        return False

    def __str__(self) -> str:
        return "normal"


@final
@frozen
class Shutdown:
    """The proc was told to stop by its owner; `detail` (default None) may say why."""

    detail: object = None

    @property
    def is_abnormal(self) -> bool:
        """Return whether a supervisor sees a failure here; always False."""
        return False

    def __str__(self) -> str:
        return "shutdown" if self.detail is None else f"shutdown ({text_of(self.detail)})"


@final
@frozen
class Killed:
    """The proc was killed: its task was cancelled and its `on_stop` did not run."""

    @property
    def is_abnormal(self) -> bool:
        """Return whether a supervisor sees a failure here; always True."""
        return True

    def __str__(self) -> str:
        return "killed"


@final
@frozen
class Crashed:
    """An exception left the proc's code; `error` is that exception."""

    error: BaseException = field(validator=instance_of(BaseException))

    @property
    def is_abnormal(self) -> bool:
        """Return whether a supervisor sees a failure here; always True."""
        return True

    @property
    def process_end(self) -> BaseException | None:
        """Return the SystemExit or KeyboardInterrupt that `error` is, or holds in a group."""
        return process_end(self.error)

    def __str__(self) -> str:
        return f"crashed: {describe(self.error)}"


@final
@frozen
class NoProc:
    """There was no running proc at that address when it was asked for."""

    @property
    def is_abnormal(self) -> bool:
        """Return whether a supervisor sees a failure here; always True."""
        return True

    def __str__(self) -> str:
        return "no proc"


def check_reason(reason: object) -> None:
    """Refuse what is no exit reason. Raises TypeError."""
    if not isinstance(reason, Normal | Shutdown | Killed | Crashed | NoProc):
        raise TypeError(f"an exit reason is wanted, like Shutdown('maintenance'), not {reason!r}")


ExitReason: TypeAlias = Normal | Shutdown | Killed | Crashed | NoProc
"""How a proc ended: one of the five frozen values of this module."""

"""Watch over the root of a served tree for its block, and find the error to raise for its end.

A block that serves a tree must not go on when the tree has failed. A `Guard` hears of the end of
the root, cancels the block if that was a failure, and makes the error that is raised then.

=================================  =========================================================
the root                           is that a failure?
=================================  =========================================================
gave up, crashed                   yes
was killed                         yes, unless the block has asked for its stop: then it was late
exited with Shutdown or Normal     no: told to stop, or ended by automatic shutdown
=================================  =========================================================

Guarantees: a failure is raised once, by whoever asks first, with all that led there as its cause:
the crashes, and what was raised while stopping, each once.

>>> from actors import Crashed, Killed, Shutdown
>>> failed(Crashed(KeyError("ada"))), failed(Killed()), failed(Shutdown("deploy"))
(True, True, False)
>>> error = OSError("disk full")
>>> one_error("shop", [None, error, error])
OSError('disk full')
>>> one_error("shop", [error, KeyError("ada")])
ExceptionGroup('what brought shop down', [OSError('disk full'), KeyError('ada')])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

from actors import Crashed, Down, ExitReason, Killed, Ref, Shutdown
from actors.texts import is_a
from supervision.application.stop_recorder import StopRecorder
from supervision.errors import IntensityExceeded, TreeExited
from supervision.supervisors import SupervisorMessage

__all__ = ["Guard", "failed", "joined", "one_error"]


class Block(Protocol):
    """The block that a tree is served in, as far as its guard is concerned."""

    def cancel(self) -> None:
        """Cancel what runs in it."""
        ...

    def annotate(self, error: BaseException) -> None:
        """Say on an error that the block did not hear of it, if that is so."""
        ...


@final
class Guard:
    """The end of a root, for the block that serves its tree.

    `block` is cancelled when the tree fails. `asked`: whether the block has had the tree stopped;
    to be killed for being late is no failure of the tree then.
    """

    def __init__(self, id: str, recorder: StopRecorder) -> None:
        self.block: Block | None = None
        self.reason: ExitReason | None = None
        self.recorder = recorder
        self.asked = False
        self.root: Ref[SupervisorMessage] | None = None
        self.application: object = None  # which lives as long as the root; it is of no use here
        self._id = id
        self._raised = False

    def hear(self, down: Down) -> None:
        """Take in that the root has ended."""
        self.reason = down.reason
        if self._failed() and self.block is not None:
            self.block.cancel()

    def error(self) -> TreeExited | None:
        """Return the error to raise when the tree has failed, and nobody was given it yet."""
        if self._raised or self.reason is None or not self._failed():
            return None
        self._raised = True
        error = TreeExited(self._id, self.reason)
        error.__cause__ = self._cause()
        if self.block is not None:
            self.block.annotate(error)
        return error

    def late_error(self) -> TreeExited | None:
        """Return the error to raise after the block was left: only for what the tree did itself."""
        # Killed now means killed by whoever left the block and would not wait.
        return None if isinstance(self.reason, Killed) else self.error()

    def _failed(self) -> bool:
        late = self.asked and isinstance(self.reason, Killed)
        return self.reason is not None and failed(self.reason) and not late

    def _cause(self) -> BaseException | None:
        found: list[BaseException | None] = []
        match self.reason:
            case Crashed(error):
                found.append(error)
            case Shutdown(detail=gave_up) if is_a(gave_up, IntensityExceeded):
                found.extend(gave_up.crashes or (gave_up,))
            case _:
                pass
        return one_error(self._id, [*found, *self.recorder.errors])


def failed(reason: ExitReason) -> bool:
    """Tell whether a root supervisor that ended so has failed: gave up, crashed or was killed."""
    gave_up = isinstance(reason, Shutdown) and is_a(reason.detail, IntensityExceeded)
    return reason.is_abnormal or gave_up


def joined(tree: str, error: BaseException, exited: TreeExited) -> Exception:
    """Return what to raise when a tree has failed and its block raised as well."""
    if is_a(error, Exception):
        return ExceptionGroup(f"{tree} failed, and so did its block", [error, exited])
    return exited


def one_error(tree: str, errors: Sequence[BaseException | None]) -> BaseException | None:
    """Return the one error there is, or the group of all, each of them once; None if none is."""
    distinct = list({id(error): error for error in errors if error is not None}.values())
    if len(distinct) > 1:
        return BaseExceptionGroup(f"what brought {tree} down", distinct)
    return distinct[0] if distinct else None

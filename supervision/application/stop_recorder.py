"""Record how a tree stops, from its events: what a `StopReport` is made of.

A `StopRecorder` is subscribed to the event stream before the tree starts. While the tree runs it
keeps nothing but what hangs in the air: a proc that has ended until its supervisor says what comes
of it, and what was stopped below a supervisor that is not back yet.

Guarantees: what came back, or was stopped on purpose while the tree went on, is history and in no
report; once the root has ended the report does not change any more.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> from supervision import ChildSpec, Supervisor, SupervisorSpec
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> spec = SupervisorSpec("shop", [ChildSpec("db", task(work))])
>>> async def main() -> None:
...     recorder = StopRecorder("/shop")
...     async with ActorSystem() as system:
...         system.events.subscribe(recorder)
...         await system.spawn(lambda: Supervisor(spec), id="shop")
...     assert recorder.report is not None
...     print([(proc.path, proc.in_time) for proc in recorder.report.stopped])
>>> anyio.run(main)
[('/shop/db', True)]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast, final

import anyio

from actors import (
    Crashed,
    Event,
    ExitReason,
    ProcEnded,
    ProcFailedToStart,
    ProcInfo,
    ProcReleased,
    ProcStarted,
    StopError,
)
from supervision.application.stop_report import StoppedProc, StopReport, leaves
from supervision.event_types import (
    ChildExited,
    ChildStopped,
    ChildStopping,
    Next,
    SupervisorStopping,
)

__all__ = ["StopRecorder"]


MOST_UNSAID = 10_000
"""So many ended procs of one owner are kept that it has said nothing about; then the oldest go."""


@final
class _Proc:
    """What is known of one proc that is stopping, or has stopped."""

    __slots__ = (
        "ended_at",
        "errors",
        "expected",
        "path",
        "reason",
        "supervised",
        "timeout",
        "told_at",
        "turn",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.reason: ExitReason | None = None
        self.expected: bool | None = None
        self.told_at: float | None = None
        self.timeout: float | None = None
        self.ended_at = 0.0
        self.turn = 0
        self.supervised = True
        self.errors: list[BaseException] = []

    def note(self, error: BaseException) -> None:
        if not any(error is known for known in self.errors):
            self.errors.append(error)

    def stopped(self) -> StoppedProc:
        assert self.reason is not None
        seconds = None if self.told_at is None else max(0.0, self.ended_at - self.told_at)
        expected = not self.reason.is_abnormal if self.expected is None else self.expected
        return StoppedProc(
            self.path,
            self.reason,
            expected,
            seconds,
            self.timeout,
            tuple(self.errors),
            self.supervised,
        )


_Procs: TypeAlias = dict[str, _Proc]
_Heard: TypeAlias = (
    ProcStarted
    | ProcFailedToStart
    | ProcEnded
    | ProcReleased
    | StopError
    | ChildExited
    | ChildStopping
    | ChildStopped
    | SupervisorStopping
)


@final
class StopRecorder:
    """A subscriber that learns how the tree with this root is stopped; `report` is there then.

    An event alone does not tell whether an end belongs to a stop. Three books hold what is known:
    `_stopping`, all that has ended since the root began to stop (or since the tree began to
    start); `_open`, the same below a supervisor that stops while the tree goes on, which is
    history as soon as that is back; `_unsaid`, what has ended while nobody was stopping, until its
    owner says what comes of it. A kill of the owner makes `_unsaid` part of the owner's stop.
    """

    def __init__(self, root: str) -> None:
        self.report: StopReport | None = None
        self._root = root
        self._below = root + "/"
        self._began: float | None = None
        self._began_outside = 0.0
        self._turns = 0
        # All that ends in the tree, from the beginning of its stop; None before that.
        self._stopping: _Procs | None = None
        # The same below supervisors that stop while the tree goes on.
        self._open: dict[str, _Procs] = {}
        # What has ended, by owner, until the owner says what comes of it.
        self._unsaid: dict[str, _Procs] = {}
        self._actions: dict[type[Event], Callable[[str, Any], None]] = {
            ProcStarted: self._started,
            ProcFailedToStart: self._failed_to_start,
            ProcEnded: self._ended,
            ProcReleased: self._released,
            StopError: self._raised,
            ChildExited: self._exited,
            ChildStopping: self._child_stopping,
            ChildStopped: self._child_stopped,
            SupervisorStopping: self._supervisor_stopping,
        }

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        action = self._actions.get(type(event))
        if action is not None and self.report is None:
            path = cast("_Heard", event).ref.path
            if path.startswith(self._below) or path == self._root:
                action(path, event)

    # -- what others ask ------------------------------------------------------------------------

    def start_begins(self) -> None:
        """Record what ends from now on, since a start that fails leaves that behind."""
        self._stopping = {}

    def start_succeeded(self) -> None:
        """Forget what has ended so far: the tree has started."""
        if self.report is None and self._began is None:
            self._stopping = None

    def stop_begins(self) -> None:
        """Record all that ends from now on; nothing happens when the stop has begun before."""
        if self._began is not None or self.report is not None:
            return
        self._began = anyio.current_time()
        self._began_outside = time.monotonic()
        found = {} if self._stopping is None else self._stopping
        for procs in (*self._open.values(), *self._unsaid.values()):
            found.update(procs)
        self._open.clear()
        self._unsaid.clear()
        self._stopping = found

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """Return what was raised while stopping, in the order of the ends."""
        if self.report is not None:
            return self.report.errors
        return tuple(error for proc in self._recorded() for error in proc.errors)

    def so_far(self, roots: Sequence[ProcInfo]) -> StopReport:
        """Return the report as far as it goes, with what has not ended; also in another thread."""
        if self.report is not None:
            return self.report
        began = self._began
        # No thread but the loop's can read the loop's clock.
        seconds = 0.0 if began is None else time.monotonic() - self._began_outside
        return self._made(None, seconds, leaves(roots))

    # -- events -----------------------------------------------------------------------------------

    def _started(self, path: str, event: ProcStarted) -> None:
        """Forget how it ended: it is back."""
        if self._stopping is not None:
            self._stopping.pop(path, None)
        elif self._open or self._unsaid:
            self._open.pop(path, None)
            self._settle(path)

    def _failed_to_start(self, path: str, event: ProcFailedToStart) -> None:
        if path == self._root:
            self._finish(event.reason)
        elif self._stopping is None:
            self._open.pop(path, None)

    def _ended(self, path: str, event: ProcEnded) -> None:
        orphans = self._unsaid.pop(path, None)
        if path == self._root:
            if orphans:
                self._open.setdefault(path, {}).update(orphans)
            self._finish(event.reason)
            return
        place = self._place(path)
        if place is None and not event.owned:
            self._settle(path)  # a proc's own child: nobody is going to say more of it
            return
        if orphans:
            # Its children have ended with it, without a word from it: it was killed, or crashed.
            (self._open.setdefault(path, {}) if place is None else place).update(orphans)
        proc = self._known(path)
        self._turns += 1
        proc.turn, proc.reason = self._turns, event.reason
        proc.ended_at = anyio.current_time()
        proc.supervised = event.owned
        if isinstance(event.reason, Crashed):
            proc.note(event.reason.error)

    def _raised(self, path: str, event: StopError) -> None:
        self._known(path).note(event.error)

    def _exited(self, path: str, event: ChildExited) -> None:
        """Hear what comes of a child that ended by itself."""
        over = event.next in (Next.KEEP, Next.REMOVE, Next.PARK)
        if self._stopping is not None:
            # A supervisor that gives up while the tree starts says so before any stop begins.
            if over or self._began is None:
                self._stopping.pop(path, None)
        else:
            self._settle(path)
            if over:
                self._open.pop(path, None)

    def _released(self, path: str, event: ProcReleased) -> None:
        if self._place(path) is None:
            self._settle(path)

    def _supervisor_stopping(self, path: str, event: SupervisorStopping) -> None:
        if path == self._root:
            self.stop_begins()
        elif self._place(path) is None:
            self._open.setdefault(path, {})

    def _child_stopping(self, path: str, event: ChildStopping) -> None:
        if self._place(path) is not None:
            proc = self._known(path)
            proc.told_at = anyio.current_time()
            proc.timeout = event.timeout

    def _child_stopped(self, path: str, event: ChildStopped) -> None:
        if self._place(path) is None:
            # Stopped on purpose, while its supervisor goes on.
            self._settle(path)
            self._open.pop(path, None)
            return
        proc = self._known(path)
        proc.expected = event.expected
        if proc.reason is None:  # it had ended before anybody listened
            self._turns += 1
            proc.turn, proc.reason, proc.ended_at = self._turns, event.reason, 0.0

    # -- the books --------------------------------------------------------------------------------

    def _place(self, path: str) -> _Procs | None:
        """Return where to note what becomes of a proc whose supervisor is stopping, else None."""
        if self._stopping is not None:
            return self._stopping
        owner = path
        while self._open and len(owner := _owner(owner)) >= len(self._root):
            found = self._open.get(owner)
            if found is not None:
                return found
        return None

    def _known(self, path: str) -> _Proc:
        place = self._place(path)
        if place is None:
            place = self._unsaid.setdefault(_owner(path), {})
            if len(place) >= MOST_UNSAID:
                del place[next(iter(place))]
        proc = place.get(path)
        if proc is None:
            proc = place[path] = _Proc(path)
        return proc

    def _settle(self, path: str) -> None:
        """Drop what hung in the air about a proc."""
        owner = _owner(path)
        procs = self._unsaid.get(owner)
        if procs is not None and procs.pop(path, None) is not None and not procs:
            del self._unsaid[owner]

    def _finish(self, reason: ExitReason) -> None:
        self.stop_begins()  # at the latest now: it was killed, or crashed
        assert self._began is not None
        self.report = self._made(reason, anyio.current_time() - self._began, ())
        self._stopping = None

    def _recorded(self) -> list[_Proc]:
        """Return the procs that have ended in a stop, in the order of their ends."""
        # One step for other threads: a list of the values is not interrupted.
        procs = list((self._stopping or {}).values())
        ended = (proc for proc in procs if proc.reason is not None)
        return sorted(ended, key=lambda proc: proc.turn)

    def _made(self, reason: ExitReason | None, seconds: float, left: tuple[str, ...]) -> StopReport:
        stopped = tuple(proc.stopped() for proc in self._recorded())
        return StopReport(self._root, reason, seconds, stopped, left)


def _owner(path: str) -> str:
    return path.rpartition("/")[0]

"""Serve a tree of supervisors inside a program of your own.

`async with serve(tree) as app:` starts the tree, runs the block, and stops the tree in reverse
order when the block is left, in whatever way. It touches no signals; `run` does.

============================  =============================================================
the tree                      what the block sees
============================  =============================================================
cannot start                  `serve` raises ChildStartFailed; what had started is stopped
gives up, crashes, is killed  the block is cancelled; then TreeExited is raised
ends by automatic shutdown    nothing; `wait()` returns Shutdown
============================  =============================================================

The cause of TreeExited is the crash that led there; when there are several, also errors raised
while stopping, a group of them, in order.

However the tree stops, `Application.report` tells how that went, also after the block. `stop` stops
it at once, inside of the block.

>>> import anyio
>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec
>>> async def work(shutdown: CancellationToken) -> None:
...     await shutdown.wait()
>>> async def main() -> None:
...     async with serve(SupervisorSpec("shop", [ChildSpec("db", task(work))])) as app:
...         print(app.find("db").path, app.find("db").is_alive)
>>> anyio.run(main)
/shop/db True
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import final

import anyio

from actors import (
    ActorSystem,
    AnyRef,
    Crashed,
    Down,
    Event,
    ExitReason,
    Killed,
    Ref,
    Shutdown,
    StartFailed,
)
from supervision.application.apply import ApplyReport, apply_tree, check_change
from supervision.application.stop_recorder import StopRecorder
from supervision.application.stop_report import StopReport
from supervision.errors import ChildNotFound, ChildStartFailed, IntensityExceeded, TreeExited
from supervision.specs import BRUTAL_KILL, ChildSpec
from supervision.supervisors import SupervisorMessage, shutdown_timeout, start_failed
from supervision.telemetry import LoopWatchdog, say_about

__all__ = ["Application", "check_tree", "serve", "serve_in"]


@final
class Application:
    """Reach a tree that is being served."""

    def __init__(
        self,
        system: ActorSystem,
        supervisor: Ref[SupervisorMessage],
        tree: ChildSpec[SupervisorMessage],
        guard: Guard,
    ) -> None:
        self.system = system
        self.supervisor = supervisor
        self.guard = guard
        self._tree = tree
        self._changing = anyio.Lock()

    def find(self, path: str) -> AnyRef:
        """Return the ref of a child by its path below the root, like `workers/w1`.

        A plain call. The ref is valid also while the child is down. Raises ChildNotFound.
        """
        ref = self.system.find(f"{self.supervisor.path}/{path.strip('/')}")
        if ref is None:
            raise ChildNotFound(path)
        return ref

    async def wait(self) -> ExitReason:
        """Wait until the root supervisor has ended; returns how. Cancelling only ends the wait."""
        return await self.supervisor.wait()

    @property
    def report(self) -> StopReport | None:
        """Return how the tree was stopped, also after the block; None until it has ended."""
        return self.guard.recorder.report

    async def stop(self) -> StopReport:
        """Stop the tree in order, now, and wait until it is gone; returns how that went.

        The root exits with Shutdown, the block goes on, `wait` returns at once. Each child has its
        own shutdown time; the root's, `INFINITY` by default, bounds the whole: past it everything
        is killed, which the report says and nothing raises. A second call, at the same time or
        later, gives the same report. Cancelling it only ends the wait: the stop goes on. For
        code beside the tree: a proc of the tree that waits for it is killed at its own deadline.
        """
        self.guard.asked = True
        self.guard.recorder.begin()
        if self._tree.shutdown is BRUTAL_KILL:
            self.supervisor.kill()
            await self.supervisor.wait()
        else:
            await self.supervisor.shutdown(shutdown_timeout(self._tree))
        report = self.report
        assert report is not None
        return report

    async def apply(
        self, tree: ChildSpec[SupervisorMessage], *, dry_run: bool = False
    ) -> ApplyReport:
        """Make the running tree into another one: start, stop and restart only what differs.

        `tree` has the root of the running one. Everything that is to go is stopped first, in
        reverse order of start; then what is new starts, in order; see `changes` for what counts as
        a difference, and what is only changed in place. From the first step on, a supervisor that
        is restarted begins with the new tree. `dry_run`, default False: only list the steps.

        A step that fails is in the report, not raised, and undoes nothing; the next call tries it
        again. Calls at the same time are served one after the other. Raises TypeError when `tree`
        is no supervisor's spec, SpecError for one that the running tree cannot become, ProcExited
        when the root has ended. Cancelled, it goes no further: what was done stands, and a child
        that was stopped to be replaced is started by the next call. There is no timeout: a step
        takes as long as its child takes to start or stop. A proc of the tree must not wait for a
        change that stops itself.
        """
        check_tree(tree)
        async with self._changing:
            check_change(self._tree, tree)
            if not dry_run:
                self._tree = tree
            return await apply_tree(self.system, self.supervisor, tree, dry_run=dry_run)


@asynccontextmanager
async def serve(
    tree: ChildSpec[SupervisorMessage],
    *,
    observe: Sequence[Callable[[Event], None]] = (),
    stall_after: float | None = None,
) -> AsyncGenerator[Application, None]:
    """Start a tree, and stop it when the block is left.

    `observe`: event handlers that hear everything from the first start on, default none.
    `stall_after` in seconds, default None (nobody watches): say through loguru, and as
    `LoopStalled`, when the event loop stands still for so long, in whatever code. Raises
    TypeError when `tree` is no supervisor's spec, ValueError for a `stall_after` that cannot be
    meant, ChildStartFailed, TreeExited. When the block raises, the tree is stopped, then the
    error goes on. Cancelled, the tree is stopped in order before the cancellation goes on, each
    child within its shutdown time.
    """
    check_tree(tree)
    application: Application | None = None
    try:
        async with ActorSystem(tree.id) as system:
            for handler in observe:
                system.events.subscribe(handler)
            with _watching(system, tree, stall_after):
                async with serve_in(system, tree) as application:
                    try:
                        yield application
                    finally:
                        application.guard.recorder.begin()
    except GeneratorExit:
        raise
    except BaseException as error:
        # The tree may have been giving up when the block was left: errors win over cancellation.
        late = None if application is None else application.guard.say_late()
        if late is None:
            raise
        raise _joined(tree.id, error, late) from late.__cause__
    late = application.guard.say_late()
    if late is not None:
        raise late


def _watching(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], stall_after: float | None
) -> AbstractContextManager[object]:
    if stall_after is None:
        return nullcontext()
    return LoopWatchdog(system, stall_after, say=say_about(f"/{tree.id}"))


@asynccontextmanager
async def serve_in(
    system: ActorSystem,
    tree: ChildSpec[SupervisorMessage],
    recorder: StopRecorder | None = None,
) -> AsyncGenerator[Application, None]:
    """Start a tree in a system that is there already; it is stopped with the system.

    `recorder`: what is to record the stop, default a new one.
    """
    if recorder is None:
        recorder = StopRecorder(f"/{tree.id}")
    system.events.subscribe(recorder)
    root = await _start(system, tree, recorder)
    guard = Guard(tree.id, recorder)
    if root.is_alive:
        system.monitor(root, guard.hear)
    else:
        # It was ready, and over, before we had our turn.
        guard.hear(Down(root, await root.wait()))
    try:
        with guard.scope:
            yield Application(system, root, tree, guard)
    except Exception as error:
        # The tree goes down with the block; if it had failed before, both are said.
        exited = guard.say_once()
        if exited is not None:
            raise _joined(tree.id, error, exited) from None
        raise
    exited = guard.say_once()
    if exited is not None:
        raise exited


def _joined(id: str, error: BaseException, exited: TreeExited) -> Exception:
    """Return what to raise when a tree has failed and its block raised as well."""
    if isinstance(error, Exception):
        return ExceptionGroup(f"{id} failed, and so did its block", [error, exited])
    return exited


def failed(reason: ExitReason) -> bool:
    """Tell whether a root supervisor that ended so has failed: gave up, crashed or was killed."""
    gave_up = isinstance(reason, Shutdown) and isinstance(reason.detail, IntensityExceeded)
    return reason.is_abnormal or gave_up


def check_tree(tree: object) -> None:
    """Refuse what is no supervisor's spec. Raises TypeError."""
    if not isinstance(tree, ChildSpec) or tree.kind != "supervisor":
        raise TypeError(f"a tree is a SupervisorSpec, not {tree!r}")


async def _start(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], recorder: StopRecorder
) -> Ref[SupervisorMessage]:
    recorder.collect()
    try:
        root = await system.spawn(
            tree.start,
            id=tree.id,
            name=tree.name,
            shutdown=shutdown_timeout(tree),
            start_timeout=tree.start_timeout,
        )
    except StartFailed as failure:
        match failure.reason:
            case Crashed(error=ChildStartFailed() as error):
                raise error from _group(tree.id, [error.__cause__, *recorder.errors])
            case reason:
                cause = _group(tree.id, [failure.__cause__, *recorder.errors])
                raise start_failed(tree.id, reason) from cause
    recorder.clear()
    return root


@final
class Guard:
    """Cancel the block when the tree fails, and say why.

    `asked`: whether the block has had the tree stopped; to be killed for being late is no failure
    of the tree then.
    """

    def __init__(self, id: str, recorder: StopRecorder) -> None:
        self.scope = anyio.CancelScope()
        self.reason: ExitReason | None = None
        self.recorder = recorder
        self.asked = False
        self._id = id
        self._said = False

    def hear(self, down: Down) -> None:
        """Be told that the root has ended."""
        self.reason = down.reason
        if self._failed():
            self.scope.cancel()

    def say_once(self) -> TreeExited | None:
        """Return the error to raise when the tree has failed, and nobody raised it yet."""
        if self._said or self.reason is None or not self._failed():
            return None
        self._said = True
        error = TreeExited(self._id, self.reason)
        error.__cause__ = self._cause()
        return error

    def say_late(self) -> TreeExited | None:
        """Return the error to raise after the block was left: only what the tree did itself."""
        # Killed now means killed by whoever left the block and would not wait.
        return None if isinstance(self.reason, Killed) else self.say_once()

    def _failed(self) -> bool:
        late = self.asked and isinstance(self.reason, Killed)
        return self.reason is not None and failed(self.reason) and not late

    def _cause(self) -> BaseException | None:
        found: list[BaseException | None] = []
        match self.reason:
            case Crashed(error):
                found.append(error)
            case Shutdown(detail=IntensityExceeded() as gave_up):
                found.extend(gave_up.crashes or (gave_up,))
            case _:
                pass
        return _group(self._id, [*found, *self.recorder.errors])


def _group(tree: str, errors: Sequence[BaseException | None]) -> BaseException | None:
    """Return the one error there is, or the group of all, each of them once."""
    distinct = list({id(error): error for error in errors if error is not None}.values())
    if len(distinct) > 1:
        return BaseExceptionGroup(f"what brought {tree} down", distinct)
    return distinct[0] if distinct else None

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
from contextlib import asynccontextmanager
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
    StopError,
)
from supervision.errors import (
    ChildNotFound,
    ChildStartFailed,
    IntensityExceeded,
    TreeExited,
)
from supervision.events import ChildExited, ChildRestarted, ChildStopped, Next, SupervisorGaveUp
from supervision.keeper import patience, start_failed
from supervision.requests import SupervisorMessage
from supervision.specs import ChildSpec

__all__ = ["Application", "check_tree", "serve", "serve_in"]


@final
class Application:
    """Reach a tree that is being served."""

    def __init__(
        self, system: ActorSystem, supervisor: Ref[SupervisorMessage], guard: Guard
    ) -> None:
        self.system = system
        self.supervisor = supervisor
        self.guard = guard

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


@asynccontextmanager
async def serve(
    tree: ChildSpec[SupervisorMessage], *, observe: Sequence[Callable[[Event], None]] = ()
) -> AsyncGenerator[Application, None]:
    """Start a tree, and stop it when the block is left.

    `observe`: event handlers that hear everything from the first start on, default none. Raises
    TypeError when `tree` is no supervisor's spec, ChildStartFailed, TreeExited. When the block
    raises, the tree is stopped, then the error goes on. Cancelled, the tree is stopped in
    order before the cancellation goes on, each child within its shutdown time.
    """
    check_tree(tree)
    application: Application | None = None
    try:
        async with ActorSystem(tree.id) as system:
            for handler in observe:
                system.events.subscribe(handler)
            async with serve_in(system, tree) as application:
                yield application
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


@asynccontextmanager
async def serve_in(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage]
) -> AsyncGenerator[Application, None]:
    """Start a tree in a system that is there already; it is stopped with the system."""
    errors = _StopErrors()
    system.events.subscribe(errors)
    root = await _start(system, tree, errors)
    guard = Guard(tree.id, errors)
    if root.is_alive:
        system.monitor(root, guard.hear)
    else:
        # It was ready, and over, before we had our turn.
        guard.hear(Down(root, await root.wait()))
    try:
        with guard.scope:
            yield Application(system, root, guard)
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
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], errors: _StopErrors
) -> Ref[SupervisorMessage]:
    errors.begin(f"/{tree.id}")
    try:
        root = await system.spawn(
            tree.start,
            id=tree.id,
            name=tree.name,
            shutdown=patience(tree),
            start_timeout=tree.start_timeout,
        )
    except StartFailed as failure:
        match failure.reason:
            case Crashed(error=ChildStartFailed() as error):
                raise error from errors.joined(tree.id, [error.__cause__])
            case reason:
                cause = errors.joined(tree.id, [failure.__cause__])
                raise start_failed(tree.id, reason) from cause
    errors.clear()
    return root


@final
class Guard:
    """Cancel the block when the tree fails, and say why."""

    def __init__(self, id: str, errors: _StopErrors) -> None:
        self.scope = anyio.CancelScope()
        self.reason: ExitReason | None = None
        self._id = id
        self._errors = errors
        self._said = False

    def hear(self, down: Down) -> None:
        """Be told that the root has ended."""
        self.reason = down.reason
        if failed(down.reason):
            self.scope.cancel()

    def say_once(self) -> TreeExited | None:
        """Return the error to raise when the tree has failed, and nobody raised it yet."""
        if self._said or self.reason is None or not failed(self.reason):
            return None
        self._said = True
        error = TreeExited(self._id, self.reason)
        error.__cause__ = self._cause()
        return error

    def say_late(self) -> TreeExited | None:
        """Return the error to raise after the block was left: only what the tree did itself."""
        # Killed now means killed by whoever left the block and would not wait.
        return None if isinstance(self.reason, Killed) else self.say_once()

    def _cause(self) -> BaseException | None:
        found: list[BaseException | None] = []
        match self.reason:
            case Crashed(error):
                found.append(error)
            case Shutdown(detail=IntensityExceeded() as gave_up):
                found.extend(gave_up.crashes or (gave_up,))
            case _:
                pass
        return self._errors.joined(self._id, found)


@final
class _StopErrors:
    """Collect what is raised while supervisors stop their children, having given up.

    What happened below a supervisor that came back, or that its parent can do without, is history.
    """

    def __init__(self) -> None:
        self._stopping: set[str] = set()
        self._errors: list[tuple[str, BaseException]] = []

    def __call__(self, event: Event) -> None:
        match event:
            case SupervisorGaveUp(ref=ref):
                self._stopping.add(ref.path)
            case ChildRestarted(ref=ref) | ChildExited(ref=ref, next=Next.KEEP | Next.REMOVE):
                self._forget(ref.path)
            case StopError(ref=ref, error=error) if self._stopping:
                self._note(ref.path, error)
            case ChildStopped(ref=ref, reason=Crashed(error)) if self._stopping:
                self._note(ref.path, error)
            case _:
                pass

    def begin(self, path: str) -> None:
        """Collect from now on what is raised below `path`."""
        self._stopping.add(path)

    def clear(self) -> None:
        """Begin anew: what was collected is history."""
        self._stopping.clear()
        self._errors.clear()

    def joined(self, tree: str, first: Sequence[BaseException | None]) -> BaseException | None:
        """Return the one error there is, or the group of all: `first`, then those collected."""
        found = [error for error in first if error is not None]
        found.extend(error for _, error in self._errors)
        distinct = list({id(error): error for error in found}.values())
        if len(distinct) > 1:
            return BaseExceptionGroup(f"what brought {tree} down", distinct)
        return distinct[0] if distinct else None

    def _note(self, path: str, error: BaseException) -> None:
        if any(_below(path, root) for root in self._stopping):
            self._errors.append((path, error))

    def _forget(self, root: str) -> None:
        if self._stopping:
            self._stopping = {path for path in self._stopping if not _below(path, root)}
            self._errors = [entry for entry in self._errors if not _below(entry[0], root)]


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")

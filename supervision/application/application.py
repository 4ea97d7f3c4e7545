"""Serve a tree of supervisors inside a program of your own.

`async with serve(tree) as app:` starts the tree, runs the block, and stops the tree in reverse
order when the block is left, in whatever way. It touches no signals; `run` does. On asyncio it may
be entered in one task and left in another, as fixtures and the hooks of frameworks do.

============================  =============================================================
the tree                      what the block sees
============================  =============================================================
cannot start                  `serve` raises ChildStartFailed; what had started is stopped
gives up, crashes, is killed  the block is cancelled; then TreeExited is raised
ends by automatic shutdown    nothing; `wait()` returns Shutdown
============================  =============================================================

The cause of TreeExited is the crash that led there; when there are several, also errors raised
while stopping, a group of them, in order.

When the task that entered the block has ended, there is nothing to cancel: TreeExited is raised
where the block is left, and a note says so.

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

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, final
from weakref import WeakValueDictionary

import anyio

from actors import (
    ActorSystem,
    AnyRef,
    Context,
    Crashed,
    Down,
    Event,
    ExitReason,
    Ref,
    StartFailed,
)
from actors.texts import is_a
from supervision.application.guard import Guard, joined, one_error
from supervision.application.stop_recorder import StopRecorder
from supervision.application.stop_report import StopReport
from supervision.errors import ChildNotFound, ChildStartFailed
from supervision.specs import BRUTAL_KILL, ChildSpec
from supervision.supervisors import SupervisorMessage, shutdown_timeout
from supervision.telemetry import LoopWatchdog, say_about

if TYPE_CHECKING:
    from supervision.application.apply import ApplyReport

__all__ = ["Application", "check_tree", "serve", "serve_in"]


@final
class Application:
    """A tree that is being served: its root, its refs, its stop, its change into another one."""

    def __init__(
        self, system: ActorSystem, tree: ChildSpec[SupervisorMessage], guard: Guard
    ) -> None:
        self.system = system
        self._guard = guard
        self._tree = tree
        self._applying = anyio.Lock()

    @staticmethod
    def of(context: Context[Any]) -> Application:
        """Return the application whose tree a proc is in, from its first start to its last stop.

        A plain call, for procs under `run` and under `serve`: `Application.of(self.context)`.
        Raises LookupError for a proc in another system.
        """
        path = context.path
        application = _SERVED.get((id(context.system), path.split("/", 2)[1]))
        if application is None:
            raise LookupError(f"{path} is in no tree that is served")
        return application

    @property
    def supervisor(self) -> Ref[SupervisorMessage]:
        """Return the address of the root."""
        guard = self._guard
        if guard.root is None:  # it is about to start
            guard.root = self.system.find(f"/{self._tree.id}")
            assert guard.root is not None
        return guard.root

    def find(self, path: str) -> AnyRef:
        """Return the ref of a child by its path below the root, like `workers/w1`.

        The whole path will do, too, as the log prints it: `/shop/workers/w1`. A plain call. The
        ref is valid also while the child is down. Raises ChildNotFound.
        """
        root = self.supervisor.path
        whole = path.startswith(f"{root}/") or path == root
        ref = self.system.find(path.rstrip("/") if whole else f"{root}/{path.strip('/')}")
        if ref is None:
            raise ChildNotFound(path)
        return ref

    async def wait(self) -> ExitReason:
        """Wait until the root supervisor has ended; returns how. Cancelling only ends the wait."""
        return await self.supervisor.wait()

    @property
    def report(self) -> StopReport | None:
        """Return how the tree was stopped, also after the block; None until it has ended."""
        return self._guard.recorder.report

    async def stop(self) -> StopReport:
        """Stop the tree in order, now, and wait until it is gone; returns how that went.

        The root exits with Shutdown, the block goes on, `wait` returns at once. Each child has its
        own shutdown time; the root's, `INFINITY` by default, bounds the whole: past it everything
        is killed, which the report says and nothing raises. A second call, at the same time or
        later, gives the same report. Cancelling it only ends the wait: the stop goes on. For
        code beside the tree: a proc of the tree that waits for it is killed at its own deadline.
        """
        self._guard.asked = True
        self._guard.recorder.stop_begins()
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
        reverse order of start; then what is new starts, in order. What differs decides what is
        done, as the table in `supervision/application/diff.py` has it. From the first step on, a
        supervisor that is restarted begins with the new tree. `dry_run`, default False: only list
        the steps.

        A step that fails is in the report, not raised, and undoes nothing; the next call tries it
        again. Calls at the same time are served one after the other. Raises TypeError when `tree`
        is no supervisor's spec, SpecError for one that the running tree cannot become, ProcExited
        when the root has ended. Cancelled, it goes no further: what was done stands, and a child
        that was stopped to be replaced is started by the next call. There is no timeout: a step
        takes as long as its child takes to start or stop. A proc of the tree must not wait for a
        change that stops itself.
        """
        # Loaded here, for few trees are ever changed, and a third of what `run` loads is for that.
        from supervision.application.apply import apply_tree, check_root

        check_tree(tree)
        async with self._applying:
            check_root(self._tree, tree)
            if not dry_run:
                self._tree = tree
            return await apply_tree(self.system, self.supervisor, tree, dry_run=dry_run)


_SERVED: WeakValueDictionary[tuple[int, str], Application] = WeakValueDictionary()
"""The applications that there are, by their system and the id of their root.

A root that lives keeps its guard, that its application, and that the system.
"""


@asynccontextmanager
async def serve(
    tree: ChildSpec[SupervisorMessage],
    *,
    observe: Sequence[Callable[[Event], None]] = (),
    carry: Iterable[ContextVar[Any]] = (),
    stall_after: float | None = None,
) -> AsyncGenerator[Application, None]:
    """Start a tree, and stop it when the block is left.

    `observe`: event handlers that hear everything from the first start on, default none. `carry`:
    context variables that travel with each message, default none; see `ActorSystem`.
    `stall_after` in seconds, default None (nobody watches): say through loguru, and as
    `LoopStalled`, when the event loop stands still for so long, in whatever code. Raises
    TypeError when `tree` is no supervisor's spec, ValueError for a `stall_after` that cannot be
    meant, ChildStartFailed, TreeExited. When the block raises, the tree is stopped, then the
    error goes on. Cancelled, the tree is stopped in order before the cancellation goes on, each
    child within its shutdown time.
    """
    check_tree(tree)
    guard = Guard(tree.id, StopRecorder(f"/{tree.id}"))
    try:
        async with ActorSystem(tree.id, carry=carry) as system:
            for handler in observe:
                system.events.subscribe(handler)
            with _watching(system, tree, stall_after):
                async with _serving(system, tree, guard) as application:
                    try:
                        yield application
                    finally:
                        guard.recorder.stop_begins()
    except GeneratorExit:
        raise
    except BaseException as error:
        # The tree may have been giving up when the block was left: errors win over cancellation.
        late = guard.late_error()
        if late is None:
            raise
        raise joined(tree.id, error, late) from late.__cause__
    late = guard.late_error()
    if late is not None:
        raise late


def _watching(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], stall_after: float | None
) -> AbstractContextManager[object]:
    if stall_after is None:
        return nullcontext()
    return LoopWatchdog(system, stall_after, say=say_about(f"/{tree.id}"))


def serve_in(
    system: ActorSystem,
    tree: ChildSpec[SupervisorMessage],
    recorder: StopRecorder | None = None,
) -> AbstractAsyncContextManager[Application]:
    """Start a tree in a system that is there already; it is stopped with the system.

    `recorder`: what is to record the stop, default a new one.
    """
    return _serving(system, tree, Guard(tree.id, recorder or StopRecorder(f"/{tree.id}")))


@asynccontextmanager
async def _serving(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], guard: Guard
) -> AsyncGenerator[Application, None]:
    application = guard.application = Application(system, tree, guard)
    _SERVED[id(system), tree.id] = application
    system.events.raises_failures = False  # an observer must not fail an orderly end
    system.events.subscribe(guard.recorder)
    root = await _start(system, tree, guard.recorder)
    guard.root = root  # it may be over already, and not to be found any more
    guard.block = block = system.block()
    if root.is_alive:
        system.monitor(root, guard.hear)
    else:
        # It was ready, and over, before we had our turn.
        guard.hear(Down(root, await root.wait()))
    try:
        with block:
            yield application
    except Exception as error:
        # The tree goes down with the block; if it had failed before, both are said.
        exited = guard.error()
        if exited is not None:
            raise joined(tree.id, error, exited) from None
        raise
    exited = guard.error()
    if exited is not None:
        raise exited


def check_tree(tree: object) -> None:
    """Refuse what is no supervisor's spec. Raises TypeError."""
    if not isinstance(tree, ChildSpec) or tree.kind != "supervisor":
        raise TypeError(f"a tree is a SupervisorSpec, not {tree!r}")


async def _start(
    system: ActorSystem, tree: ChildSpec[SupervisorMessage], recorder: StopRecorder
) -> Ref[SupervisorMessage]:
    recorder.start_begins()
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
            case Crashed(error) if is_a(error, ChildStartFailed):
                raise error from one_error(tree.id, [error.__cause__, *recorder.errors])
            case reason:
                cause = one_error(tree.id, [failure.__cause__, *recorder.errors])
                raise ChildStartFailed(tree.id, reason) from cause
    recorder.start_succeeded()
    return root

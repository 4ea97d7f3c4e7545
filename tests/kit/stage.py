"""Scripted procs for tests of supervisors: each start and each end leaves a trace.

A `Stage` makes child specs whose procs do what their script says, serves a tree of them, and
keeps the diary of everything that happened, in order: `+a` for a proc that got ready, `-a` for
one whose end was announced, `!a` for a start that failed, `~a` for one that was ignored. Paths are
relative to the root, which itself is left out.

Leaving `Stage.serve` checks that every proc that started has ended, that none of its code runs any
more, that no task is left over, and that no message was lost but those the test has taken note of.

    stage = Stage()
    async with stage.serve([stage.child("a"), stage.child("b")]):
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "+b", "-a", "+a"]
    assert stage.take() == ["-b", "-a"]
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from actors import (
    AnyRef,
    Crashed,
    DeadLetter,
    Event,
    ExitReason,
    Killed,
    Normal,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    Ref,
)
from actors.testing import settle
from supervision import (
    Application,
    ChildInfo,
    ChildSpec,
    ChildState,
    CountChildren,
    StartChild,
    SupervisorMessage,
    SupervisorSpec,
    TreeExited,
    WhichChildren,
    serve,
)
from supervision.events import (
    ChildExited,
    ChildParked,
    ChildRestarted,
    ChildStopped,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)
from tests.kit.errors import Boom
from tests.kit.workers import Act, Gate, Life, Note, Script, Step, Worker

DECISIONS = (
    ChildExited,
    ChildParked,
    ChildRestarted,
    ChildStopped,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)


class Stage:
    """Make scripted children, serve them, and keep the diary."""

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.everything: list[str] = []
        self.decisions: list[Event] = []
        self.dead: list[DeadLetter] = []
        self.losable: tuple[type, ...] = (Act,)
        self.notes: list[tuple[str, int, str]] = []
        self.reasons: list[tuple[str, ExitReason]] = []
        self.refs: dict[str, Ref[Act | Note | Life]] = {}
        self.starts: dict[str, deque[Step]] = {}
        self.stops: dict[str, Step] = {}
        self.app: Application
        self.tasks: TaskGroup
        self.exited: TreeExited
        self._inside: Counter[tuple[str, str]] = Counter()
        self._lives: Counter[tuple[str, int]] = Counter()

    # -- making -----------------------------------------------------------------------------------

    def child(
        self, id: str, *, start: Sequence[Step] = (), stop: Step = None, **options: Any
    ) -> ChildSpec[Act | Note | Life]:
        """Make a spec; `start` has one step for each of the first incarnations."""
        self.starts[id] = deque(start)
        self.stops[id] = stop
        return ChildSpec(id, partial(Worker, self, id), **options)

    def children(self, ids: str, **options: Any) -> list[ChildSpec[Act | Note | Life]]:
        """Make one spec for each letter."""
        return [self.child(id, **options) for id in ids]

    @asynccontextmanager
    async def serve(
        self, children: Sequence[ChildSpec[Any]] | ChildSpec[Any], **options: Any
    ) -> AsyncGenerator[Application, None]:
        """Serve a tree, named `top` if only children are given; then check that it is gone."""
        tree = children
        if not isinstance(tree, ChildSpec):
            tree = SupervisorSpec("top", tree, **options)
        before = Counter(task_names())
        try:
            async with serve(tree, observe=[self.hear]) as self.app:
                yield self.app
        finally:
            with anyio.CancelScope(shield=True):
                await settle()
            self.check_gone()
            assert not Counter(task_names()) - before, "tasks are left over"

    @asynccontextmanager
    async def serving(
        self, children: Sequence[ChildSpec[Any]] | ChildSpec[Any], **options: Any
    ) -> AsyncGenerator[Application, None]:
        """Serve like `serve`, with a task group of the test's own in `tasks`."""
        async with anyio.create_task_group() as self.tasks, self.serve(children, **options) as app:
            yield app

    @asynccontextmanager
    async def dying(
        self, children: Sequence[ChildSpec[Any]] | ChildSpec[Any], **options: Any
    ) -> AsyncGenerator[Application, None]:
        """Serve a tree that is to end with an error, which is kept in `exited`."""
        try:
            async with self.serve(children, **options) as app:
                yield app
        except TreeExited as error:
            self.exited = error
        else:
            raise AssertionError("the tree did not end by itself")

    def check_gone(self) -> None:
        """Check that nothing runs, that all was announced, and that no message was lost."""
        assert +self._inside == Counter(), "code still runs"
        assert +self._lives == Counter(), "an end was not announced"
        assert [(letter.ref.path, letter.message, str(letter.why)) for letter in self.dead] == []

    # -- watching ---------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Write an event down."""
        match event:
            case ProcStarted(ref, incarnation):
                self._lives[ref.path, incarnation] += 1
                self._mark("+", ref)
            case ProcEnded(ref, _, incarnation):
                self._lives[ref.path, incarnation] -= 1
                self._mark("-", ref)
            case ProcFailedToStart(ref):
                self._mark("!", ref)
            case DeadLetter(message=message) if not isinstance(message, self.losable):
                self.dead.append(event)
            case _ if isinstance(event, DECISIONS):
                self.decisions.append(event)
            case _:
                pass

    def _mark(self, sign: str, ref: AnyRef) -> None:
        if ref.path.count("/") > 1:
            self.write(sign, ref.path)

    def write(self, sign: str, path: str) -> None:
        """Write one entry into the diary, with the path relative to the root."""
        entry = sign + path.split("/", 2)[2]
        self.trace.append(entry)
        self.everything.append(entry)

    @contextmanager
    def inside(self, id: str, hook: str) -> Iterator[None]:
        """Mark a section of a worker's code."""
        self._inside[id, hook] += 1
        try:
            yield
        finally:
            self._inside[id, hook] -= 1

    def is_inside(self, id: str, hook: str) -> bool:
        """Tell whether this hook of a worker is running."""
        return self._inside[id, hook] > 0

    def take(self) -> list[str]:
        """Return the trace so far, and begin a new one."""
        trace, self.trace = self.trace, []
        return trace

    def take_dead(self) -> list[tuple[str, str]]:
        """Return what became of messages that nobody handled: each with the reason."""
        dead, self.dead = self.dead, []
        return [
            (
                entry.message.text
                if isinstance(entry.message, Note)
                else type(entry.message).__name__,
                str(entry.why),
            )
            for entry in dead
        ]

    def told(self, kind: type[Event]) -> list[Any]:
        """Return the decisions of one kind."""
        return [event for event in self.decisions if isinstance(event, kind)]

    # -- doing ------------------------------------------------------------------------------------

    @property
    def top(self) -> Ref[SupervisorMessage]:
        """Return the root supervisor."""
        return self.app.supervisor

    def act(self, id: str, what: Script) -> None:
        """Make a worker call a function of itself."""
        self.refs[id].tell(Act(what))

    def crash(self, id: str, error: BaseException | None = None) -> None:
        """Make a worker crash; it is over after `settle`."""

        def crash(worker: Worker) -> None:
            raise Boom(id) if error is None else error

        self.act(id, crash)

    async def crash_often(self, id: str, times: int, *, every: float = 0.0) -> None:
        """Make a worker crash so many times, each time after it is up again."""
        for _ in range(times):
            self.crash(id)
            await settle()
            await anyio.sleep(every)

    def end(self, id: str, reason: ExitReason = Normal()) -> None:  # noqa: B008 - a frozen value
        """Make a worker end by itself."""
        if isinstance(reason, Crashed):
            self.crash(id, reason.error)
        elif isinstance(reason, Killed):
            self.refs[id].kill()
        else:
            self.act(id, lambda worker: worker.context.stop(reason))

    @asynccontextmanager
    async def busy(self, supervisor: Ref[SupervisorMessage] | None = None) -> AsyncGenerator[None]:
        """Keep a supervisor busy for a second, so that what happens meanwhile waits in order."""
        spec = ChildSpec("gate", partial(Gate, self, "gate"), restart="temporary")
        target = self.top if supervisor is None else supervisor
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(target.ask, StartChild(spec), timeout=None))
            await settle()
            yield
        await settle()

    async def states(self, supervisor: Ref[SupervisorMessage] | None = None) -> dict[str, str]:
        """Return the state of each child, in start order."""
        return {info.id: str(info.state) for info in await self.infos(supervisor)}

    async def infos(
        self, supervisor: Ref[SupervisorMessage] | None = None
    ) -> tuple[ChildInfo, ...]:
        """Return what a supervisor tells of its children, after checking it against the truth."""
        target = self.top if supervisor is None else supervisor
        infos = await target.ask(WhichChildren())
        counts = await target.ask(CountChildren())
        running = [info.id for info in infos if info.state is ChildState.RUNNING]
        assert running == [info.id for info in infos if info.ref.is_alive]
        assert (counts.specs, counts.active) == (len(infos), len(running))
        return infos


def task_names() -> list[str]:
    """Return the names of the tasks that are there now."""
    return [task.name or "" for task in anyio.get_running_tasks()]

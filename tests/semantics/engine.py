"""Play a script in the real engine, on virtual time, and keep the same record as the model does.

What is watched: the event stream (every start and end of a proc, every decision of a supervisor),
the answers to requests with the time they came, and the live tree after each command.

>>> import anyio
>>> from actors.testing import backend_options
>>> from tests.semantics.scripts import Crash, Script, Tree, Worker
>>> script = Script(Tree("top", [Worker("a")]), [Crash("top/a")])
>>> backend, options = backend_options("asyncio")
>>> played = anyio.run(play, script, backend=backend, backend_options=options)
>>> [entry.what for entry in played.trace if entry.id == "a"][:5]
['started', 'ended', 'exit', 'started', 'restarted']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    Crashed,
    Event,
    ExitReason,
    Ignore,
    Killed,
    Normal,
    ProcEnded,
    ProcExited,
    ProcFailedToStart,
    ProcStarted,
    Ref,
    Request,
    Shutdown,
    StartFailed,
    on,
)
from actors.system import ProcInfo
from actors.testing import settle
from supervision import (
    Backoff,
    ChildCounts,
    ChildExists,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    TooManyChildren,
    WhichChildren,
)
from supervision.events import (
    ChildExited,
    ChildRestarted,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorEnding,
    SupervisorGaveUp,
)
from tests.kit.errors import Boom
from tests.semantics.model import LookedAt, Played, supervisors_of
from tests.semantics.model_lives import Answer, Happened
from tests.semantics.scripts import (
    ATTEMPT,
    AnyChild,
    Call,
    Command,
    Count,
    Crash,
    Delete,
    Dynamic,
    End,
    Kill,
    KillTogether,
    RestartOne,
    Script,
    Start,
    Step,
    Stop,
    Terminate,
    Wait,
    Which,
    Worker,
)

__all__ = ["Player", "play"]


MOST_STARTS = 1000
"""No script starts a worker as often as that, unless restarts are not counted."""

REASONS: dict[str, ExitReason] = {
    "normal": Normal(),
    "shutdown": Shutdown(),
    "shutdown detail": Shutdown("detail"),
}


@frozen
class Finish:
    """Make one incarnation of a worker end; a later one takes no notice."""

    incarnation: int
    reason: ExitReason


class QuickWorker(Actor[Finish]):
    """Be a worker with no code for its start and its stop: it goes the engine's fast ways."""

    @on(Finish)
    def finish(self, message: Finish) -> None:
        """End."""
        if message.incarnation != self.context.incarnation:
            return
        if isinstance(message.reason, Crashed):
            raise message.reason.error
        self.context.stop(message.reason)


class ScriptedWorker(QuickWorker):
    """Be a worker that takes its time, or fails, as the script says."""

    def __init__(self, player: Player, spec: Worker, step: Step) -> None:
        self.player = player
        self.spec = spec
        self.step = step

    async def on_start(self) -> None:
        """Take one step of the script."""
        if self.step.startswith("slow"):
            await anyio.sleep(ATTEMPT)
        if self.step.endswith("fail"):
            raise Boom("start")
        if self.step.endswith("ignore"):
            self.player.note(self.context.ref, "ignored")
            raise Ignore

    async def on_stop(self, reason: ExitReason) -> None:
        """Stop as slowly as the script says."""
        if self.spec.stop:
            await anyio.sleep(self.spec.stop)
        if self.spec.stop_fails:
            raise Boom("stop")


class Player:
    """Play one script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.played = Played()
        self.system: ActorSystem
        self.tasks: TaskGroup
        self.root: Ref[Any] | None = None
        self.began = 0.0
        self._starts: Counter[str] = Counter()

    async def play(self) -> Played:
        """Start the tree, run all commands, stop the tree."""
        self.began = anyio.current_time()
        times = [self.began + time for time in self.script.times()]
        async with ActorSystem("semantics") as self.system, anyio.create_task_group() as self.tasks:
            self.system.events.subscribe(self.hear)
            spec = self.make(self.script.tree, self.script.tree.id)
            try:
                self.root = await self.system.spawn(spec.start, id=spec.id, shutdown=None)
            except StartFailed:
                pass
            for number, command in enumerate(self.script.commands):
                await anyio.sleep(times[number] - anyio.current_time())
                await settle()
                await self.do(number, command)
                await settle()
                await self.look(number)
            await anyio.sleep(times[-1] - anyio.current_time())
            await settle()
            if self.root is not None:
                await self.root.shutdown(None)
        return self.played

    # -- making ------------------------------------------------------------------------------------

    def make(self, child: AnyChild, path: str) -> ChildSpec[Any]:
        """Make the engine's spec of a child."""
        common: dict[str, Any] = {
            "restart": child.restart,
            "significant": child.significant,
            "shutdown": child.shutdown,
        }
        if isinstance(child, Worker):
            if child.backoff is not None:
                common["backoff"] = Backoff(child.backoff, child.backoff, jitter=False)
            common["start_timeout"] = child.start_timeout
            return ChildSpec(child.id, partial(self.make_worker, child, path), **common)
        common |= {"max_restarts": child.max_restarts, "max_seconds": child.max_seconds}
        if isinstance(child, Dynamic):
            return DynamicSupervisorSpec(child.id, max_children=child.max_children, **common)
        return SupervisorSpec(
            child.id,
            [self.make(inner, f"{path}/{inner.id}") for inner in child.children],
            strategy=child.strategy,
            auto_shutdown=child.auto_shutdown,
            **common,
        )

    def make_worker(self, spec: Worker, path: str) -> QuickWorker:
        """Make one incarnation of a worker."""
        number = self._starts[path]
        self._starts[path] += 1
        if number > MOST_STARTS and self.root is not None:
            self.root.kill()  # it would go on for ever, and no time would pass
        step = spec.starts[number] if number < len(spec.starts) else spec.then
        if step == "broken":
            raise Boom("no proc")
        return QuickWorker() if spec.quick else ScriptedWorker(self, spec, step)

    # -- commands ----------------------------------------------------------------------------------

    async def do(self, number: int, command: Command) -> None:
        """Carry a command out."""
        match command:
            case Crash(path):
                self.finish(path, Crashed(Boom(path)))
            case End(path, reason):
                self.finish(path, REASONS[reason])
            case Stop(path):
                ref = self.system.find(path)
                if ref is not None:
                    self.tasks.start_soon(partial(ref.shutdown, None))
            case Kill(path):
                self.kill(path)
            case KillTogether(paths):
                for path in paths:
                    self.kill(path)
            case Start() | Terminate() | RestartOne() | Delete() | Count() | Which():
                self.tasks.start_soon(self.ask, f"{number}: {command!r}", command)
            case Wait():
                pass

    def running(self, path: str) -> Ref[Any] | None:
        """Return what is at a path, if it runs."""
        found = [ref for ref, known, state in self.tree() if (known, state) == (path, "running")]
        return found[0] if found else None

    def finish(self, path: str, reason: ExitReason) -> None:
        """Make what runs there end."""
        ref = self.running(path)
        if ref is not None:
            ref.tell(Finish(ref.statistics().incarnation, reason))

    def kill(self, path: str) -> None:
        """Kill what is there."""
        ref = self.system.find(path)
        if ref is not None:
            ref.kill()

    async def ask(self, key: str, call: Call) -> None:
        """Ask the supervisor that a call is for, and keep the answer."""
        ref = self.system.find(call.path)
        answer: Answer = "gone"
        if ref is not None:
            try:
                answer = _said(await ref.ask(self.request(call), timeout=None))
            except Exception as error:
                answer = _refused(error)
        self.played.answers[key] = (anyio.current_time() - self.began, answer)

    def request(self, call: Call) -> Request[Any]:
        """Make the engine's request."""
        match call:
            case Start(path, spec):
                return StartChild(self.make(spec, f"{path}/{spec.id}"))
            case Terminate(_, id):
                return TerminateChild(id)
            case RestartOne(_, id):
                return RestartChild(id)
            case Delete(_, id):
                return DeleteChild(id)
            case Count():
                return CountChildren()
            case Which():
                return WhichChildren()

    # -- looking -----------------------------------------------------------------------------------

    async def look(self, number: int) -> None:
        """Look at the tree, and ask all supervisors for their children."""
        seen: LookedAt = tuple((path, state) for _, path, state in self.tree())
        self.played.trees.append(seen)
        for path in supervisors_of(self.script):
            ref = self.system.find(path)
            if ref is not None and ref.is_alive:
                self.tasks.start_soon(self.ask, f"{number}: {Which(path)!r}", Which(path))
        await settle()

    def tree(self) -> Iterator[tuple[Ref[Any], str, str]]:
        """Go through the live tree, in start order."""
        waiting: list[ProcInfo] = list(self.system.snapshot())
        while waiting:
            info = waiting.pop(0)
            yield info.ref, info.path[1:], info.state
            waiting[:0] = info.children

    def hear(self, event: Event) -> None:
        """Write an event down."""
        match event:
            case ProcStarted(ref):
                self.note(ref, "started")
            case ProcEnded(ref, reason):
                self.note(ref, "ended", _word(reason))
            case ProcFailedToStart(ref, reason):
                self.note(ref, "failed", _word(reason))
            case ChildExited(ref, _, _, next):
                words = {Next.KEEP: "keep", Next.REMOVE: "remove", Next.WAIT: "wait"}
                self.note(ref, "exit", words.get(next, next.value))
            case ChildRestarted(ref):
                self.note(ref, "restarted")
            case ChildStopped(ref, _, expected):
                self.note(ref, "stopped", "expected" if expected else "unexpected")
            case RestartFailed(ref):
                self.note(ref, "again")
            case SupervisorGaveUp(ref):
                self.note(ref, "gave up", own=True)
            case SupervisorEnding(ref, id):
                self.note(ref, "auto shutdown", own=True, id=id)
            case _:
                pass

    def note(
        self, ref: Ref[Any], what: str, detail: str = "", *, own: bool = False, id: str = ""
    ) -> None:
        """Write down what happened, under the supervisor concerned."""
        path = ref.path[1:]
        if not own:
            path, _, id = path.rpartition("/")
        now = anyio.current_time() - self.began
        self.played.trace.append(Happened(now, path, what, id, detail))


async def play(script: Script) -> Played:
    """Play a whole script."""
    player = Player(script)
    try:
        return await player.play()
    except* Boom:
        player.played.unheard = True
    return player.played


def _word(reason: ExitReason) -> str:
    match reason:
        case Normal():
            return "normal"
        case Killed():
            return "killed"
        case Shutdown(detail=None):
            return "shutdown"
        case Shutdown(detail=IntensityExceeded()):
            return "gave up"
        case Shutdown():
            return "shutdown detail"
        case _:
            return "crashed"


def _said(value: Any) -> Answer:
    match value:
        case None:
            return "nothing"
        case Ref():
            return "started"
        case ChildCounts():
            return ("count", value.specs, value.active, value.supervisors, value.workers)
        case _:
            return tuple((info.id, str(info.state), info.restarts) for info in value)


def _refused(error: Exception) -> Answer:
    match error:
        case ProcExited():
            return "gone"
        case ChildExists():
            return "already_present" if error.ref is None else "already_started"
        case ChildNotFound():
            return "not_found"
        case ChildRunning():
            return "running"
        case ChildRestarting():
            return "restarting"
        case ChildStartFailed():
            return "failed"
        case TooManyChildren():
            return "max_children"
        case _:
            raise error

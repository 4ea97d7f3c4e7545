"""Any script of events over a small tree: what holds whatever happens, and in whatever order."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext, suppress
from functools import partial

import anyio
import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Context,
    Crashed,
    Down,
    Exited,
    ExitReason,
    Killed,
    LinkBroken,
    Normal,
    Proc,
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
from actors.testing import Backend, Recorder, backend_options, without_fast_paths

pytestmark = pytest.mark.dead_letters


@frozen
class Work(Request[str]):
    """Take a time to answer, or crash after it."""

    seconds: float
    crash: bool = False


@frozen
class Poke(Request[None]):
    """Do something to another proc from within a plain handler, perhaps crash then."""

    what: str
    other: Ref[Work | Poke]
    crash: bool


@frozen
class Shape:
    """Say how one proc of the tree behaves, in seconds and kinds."""

    start: float
    stop: float
    kind: str
    traps: bool
    patience: float | None
    spawns_late: bool
    clumsy: bool = False


@frozen
class Act:
    """Do something to one proc, at a time."""

    when: float
    what: str
    target: int


class World:
    """Hold one run: who lives where, and what was seen of it."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes
        self.code = Counter[str]()
        self.started: set[str] = set()
        self.tidied = Counter[str]()
        self.downs: dict[str, list[ExitReason]] = {}
        self.expected_downs = Counter[str]()
        self.asked = self.answered = 0
        self.nodes: dict[str, Node] = {}

    def children_of(self, index: int) -> list[int]:
        """Return the children of a node in a binary tree."""
        return [child for child in (2 * index + 1, 2 * index + 2) if child < len(self.shapes)]


class Node:
    """Be the part that both kinds of procs of the tree share."""

    world: World
    index: int
    context: Context[Work | Poke]

    async def on_start(self) -> None:
        """Start what is below, then take a while."""
        self.world.nodes[self.path] = self
        with self._inside():
            for child in self.world.children_of(self.index):
                await spawn(self.context, self.world, child)
            await anyio.sleep(self.shape.start)

    async def on_stop(self, reason: ExitReason) -> None:
        """Take a while, perhaps start one more."""
        self.world.tidied[self.path] += 1
        with self._inside():
            if self.shape.spawns_late:
                await self.context.spawn(Late, id="late")
            await anyio.sleep(self.shape.stop)

    @property
    def shape(self) -> Shape:
        """Return how it behaves."""
        return self.world.shapes[self.index]

    @property
    def path(self) -> str:
        """Return where it lives."""
        return self.context.path

    def _inside(self) -> Inside:
        return Inside(self.world, self.path, self.shape.clumsy)


class Inside:
    """Count the code that runs in the procs; some of it fails when it is cancelled."""

    def __init__(self, world: World, path: str, clumsy: bool) -> None:
        self.world, self.path, self.clumsy = world, path, clumsy

    def __enter__(self) -> None:
        self.world.code[self.path] += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.world.code[self.path] -= 1
        if self.clumsy and kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            raise ValueError("clumsy")


class Late(Proc[object]):
    """Be started in the last moment."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        await shutdown


class Worker(Node, Actor[Work | Poke]):
    """Work when asked."""

    def __init__(self, world: World, index: int) -> None:
        self.world, self.index = world, index

    @on(Work)
    async def work(self, message: Work) -> str:
        """Take a time."""
        with self._inside():
            await anyio.sleep(message.seconds)
            if message.crash:
                raise ValueError(self.path)
            return "done"

    @on(Poke)
    def poke(self, message: Poke) -> None:
        """Kill or stop another proc, or oneself."""
        getattr(message.other, message.what)()
        if message.crash:
            raise ValueError(self.path)


class Napper(Worker):
    """Let go of the task soon."""

    hibernate_after = 0.2


class Keeper(Worker):
    """Trap exits."""

    def on_exit(self, exited: Exited) -> None:
        """Live on."""


class Plain(Node, Proc[Work | Poke]):
    """Wait for the token."""

    def __init__(self, world: World, index: int) -> None:
        self.world, self.index = world, index

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        with self._inside():
            await shutdown


class Deaf(Plain):
    """Wait for ever."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        with self._inside():
            await anyio.sleep_forever()


class Stubborn(Plain):
    """Swallow cancellation some times."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait for ever, again and again."""
        with self._inside():
            for _ in range(3):
                with suppress(anyio.get_cancelled_exc_class()):
                    await anyio.sleep_forever()


class Piper(Worker):
    """Have work on the side."""

    async def on_start(self) -> None:
        """Begin it."""
        await super().on_start()
        self.context.pipe(self._aside(), into=lambda _: Work(0))

    async def _aside(self) -> None:
        with self._inside():
            await anyio.sleep(self.shape.start)


KINDS: dict[str, type[Worker | Plain]] = {
    "worker": Worker,
    "plain": Plain,
    "deaf": Deaf,
    "stubborn": Stubborn,
    "piper": Piper,
    "napper": Napper,
}


async def spawn(context: ActorSystem, world: World, index: int) -> Ref[Work | Poke]:
    """Start one node, with its children."""
    shape = world.shapes[index]
    kind = Keeper if shape.traps else KINDS[shape.kind]
    return await context.spawn(partial(kind, world, index), id=f"n{index}", shutdown=shape.patience)


def path_of(index: int) -> str:
    """Return the path of a node of the tree."""
    return "" if index < 0 else f"{path_of((index - 1) // 2 if index else -1)}/n{index}"


async def play(
    world: World, system: ActorSystem, script: list[Act], outside: anyio.abc.TaskGroup
) -> None:
    """Do what the script says, each at its time."""
    begun = anyio.current_time()
    for act in sorted(script, key=lambda act: act.when):
        await anyio.sleep(begun + act.when - anyio.current_time())
        ref = system.find(path_of(act.target % len(world.shapes)))
        if ref is not None:
            perform(world, system, outside, ref, act.what)


def perform(
    world: World, system: ActorSystem, group: anyio.abc.TaskGroup, ref: Ref[Work | Poke], what: str
) -> None:
    """Do one thing to one proc."""
    match what:
        case "kill":
            ref.kill()
        case "kill all":
            system.kill()
        case "link" | "token" if ref.path in world.nodes:
            context = world.nodes[ref.path].context
            if what == "token":
                context.shutdown.cancel()
            elif (first := system.find("/n0")) is not None:
                with suppress(ProcExited):
                    context.link(first)
        case "link" | "token":
            pass
        case "stop":
            ref.stop()
        case "shutdown":
            group.start_soon(partial(ref.shutdown, timeout=0.5))
        case "ask":
            group.start_soon(ask, world, ref, Work(0.3))
        case "crash":
            group.start_soon(ask, world, ref, Work(0.1, crash=True))
        case "poke" | "poke and crash":
            other = system.find(path_of((len(what) * 3 + len(ref.path)) % len(world.shapes)))
            how = "kill" if len(ref.path) % 2 else "stop"
            group.start_soon(ask, world, ref, Poke(how, other or ref, what != "poke"))
        case "monitor":
            downs = world.downs.setdefault(ref.path, [])
            world.expected_downs[ref.path] += 1
            system.monitor(ref, lambda down: note(downs, down))
        case _:
            raise AssertionError(what)


def note(downs: list[ExitReason], down: Down) -> None:
    """Keep the reason of an end."""
    downs.append(down.reason)


async def ask(world: World, ref: Ref[Work | Poke], work: Work | Poke) -> None:
    """Ask; there must be an outcome."""
    world.asked += 1
    with suppress(ProcExited):
        await ref.ask(work, timeout=None)
    world.answered += 1


async def live(world: World, script: list[Act], cancel_at: float | None) -> list[object]:
    """Run the tree and the script in a system of their own; return the events."""
    system = ActorSystem()
    recorder = Recorder(system)
    with anyio.fail_after(1000):
        # Whoever waits for a proc is outside of the system, and must be released by its end.
        async with anyio.create_task_group() as outside:
            with anyio.move_on_after(cancel_at):
                try:
                    async with system:
                        recorder.__enter__()
                        await run_tree(world, system, script, outside)
                except* (ValueError, LinkBroken, StartFailed):
                    pass  # StartFailed: of a child that was stopped while its starter was killed
            assert +world.code == Counter(), "no code is running when the system was left"
    return recorder.events


async def run_tree(
    world: World, system: ActorSystem, script: list[Act], outside: anyio.abc.TaskGroup
) -> None:
    """Start the tree, and let the script happen meanwhile."""
    async with anyio.create_task_group() as group:
        group.start_soon(play, world, system, script, outside)
        try:
            await spawn(system, world, 0)
        except StartFailed:
            pass


def check(world: World, events: list[object]) -> None:
    """See to it that all that must hold does."""
    started = Counter(event.ref.path for event in events if isinstance(event, ProcStarted))
    ended = Counter(event.ref.path for event in events if isinstance(event, ProcEnded))
    failed = Counter(event.ref.path for event in events if isinstance(event, ProcFailedToStart))
    assert started == ended, "each that started has ended, once"
    assert set((started + failed).values()) <= {1}
    assert +world.code == Counter(), "no code is running"
    assert world.asked == world.answered, "each asker got something"
    check_order(events)
    for path, reasons in world.downs.items():
        assert len(reasons) == world.expected_downs[path], "a Down for each monitor"
    for event in events:
        if isinstance(event, ProcEnded) and not event.ref.path.endswith("/late"):
            tidied = world.tidied[event.ref.path]
            assert tidied <= 1
            if not isinstance(event.reason, Killed):
                assert tidied == 1, f"on_stop of {event.ref.path} did not run"
            assert isinstance(event.reason, Normal | Shutdown | Killed | Crashed)
    for path in failed:
        assert world.tidied[path] == 0, "on_stop runs after a start that succeeded"


def check_order(events: list[object]) -> None:
    """Parents end after their children, and siblings that are stopped end in reverse order."""
    places = {
        event.ref.path: place
        for place, event in enumerate(events)
        if isinstance(event, ProcEnded | ProcFailedToStart)
    }
    for path, place in places.items():
        parent = path.rpartition("/")[0]
        if parent in places:
            assert place < places[parent], f"{path} outlived its parent"


WHAT = ["kill", "stop", "shutdown", "ask", "crash", "monitor", "link", "token", "kill all"]
WHAT += ["poke", "poke and crash"]
TIMES = st.integers(0, 12).map(lambda number: number / 10)

shapes = st.builds(
    Shape,
    start=TIMES,
    stop=TIMES,
    kind=st.sampled_from(list(KINDS)),
    traps=st.booleans(),
    patience=st.sampled_from([0.0, 0.3, 5.0]),
    spawns_late=st.booleans(),
    clumsy=st.booleans(),
)
acts = st.builds(Act, TIMES.map(lambda time: 3 * time), st.sampled_from(WHAT), st.integers(0, 6))


@given(
    tree=st.lists(shapes, min_size=1, max_size=7),
    script=st.lists(acts, max_size=12),
    cancel_at=st.one_of(st.none(), TIMES.map(lambda time: 4 * time)),
    name=st.sampled_from(["asyncio", "trio"]),
    fast=st.booleans(),
)
@example(tree=[], script=[], cancel_at=None, name="asyncio", fast=True)
def test_any_script_leaves_nothing_behind(
    tree: list[Shape], script: list[Act], cancel_at: float | None, name: Backend, fast: bool
) -> None:
    """Whatever happens when, each ends once, after its children, and nothing is left or lost."""
    if not tree:
        return
    world = World(tree)

    async def main() -> list[object]:
        return await live(world, script, cancel_at)

    backend, options = backend_options(name)
    with nullcontext() if fast else without_fast_paths():
        events = anyio.run(main, backend=backend, backend_options=options)
    check(world, events)

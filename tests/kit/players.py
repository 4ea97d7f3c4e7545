"""Play scripts with actors, and write down all that anybody can see of it.

A script is a list of scenes, ten seconds apart; a scene is what some askers do at the same time.
Each does one thing: it tells, sends or asks an actor something, and the message says which steps
the handler takes. What comes of a step that waits has settled before the next step, and a
step that may end somebody is the last one. So there is one order of things in a scene with
one asker, whatever the engine does for speed, and two runs can be compared line by line.

>>> script = [Scene((Part("plain", 0, (Step("note"), Step("stop"))),)), Scene((Part("late", 0),))]
>>> play(script, ("player",), "asyncio").askers
[(0.0, '0.0', 'plain 0'), (10.0, '1.0', 'ProcExited of None')]
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import anyio
from attrs import field, frozen

from actors import (
    Actor,
    ActorError,
    ActorSystem,
    Child,
    DeadLetter,
    Down,
    Event,
    Exited,
    ExitReason,
    Mailbox,
    ProcEnded,
    Ref,
    Reply,
    Request,
    on,
)
from actors.testing import Backend, backend_options, settle
from tests.kit.errors import Boom, No

Line: TypeAlias = tuple[float, str, *tuple[object, ...]]
"""What was seen: when, who began it, and the rest."""

LIVES = 3
WAITS = {"ask", "ask on", "send", "spawn"}

HARMFUL = {"kill", "stop other", "tell", "unstash"}

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


@frozen
class Step:
    """Say what a handler does: to whom, in which way, with which steps there, how much later."""

    what: str
    target: int = 0
    how: str = "tell"
    steps: tuple[Step, ...] = ()
    delay: float = 0.0


@frozen
class Part:
    """Say what an asker does: in which way it reaches whom, and the steps that are taken there."""

    how: str
    target: int
    steps: tuple[Step, ...] = ()


@frozen
class Scene:
    """Say what happens at the same time."""

    parts: tuple[Part, ...]


@frozen
class Told:
    """Be told."""

    who: str
    steps: tuple[Step, ...] = field(repr=False)


@frozen
class Slowly(Told):
    """Be told, for a handler that awaits."""


@frozen
class Plain(Request[str]):
    """Ask for an answer at once."""

    who: str
    steps: tuple[Step, ...] = field(repr=False)


@frozen
class Async(Plain):
    """Ask for an answer of a handler that awaits."""


@frozen
class Late(Plain):
    """Ask for an answer by a reply."""


Message = Told | Slowly | Plain | Async | Late
KINDS: dict[str, Callable[[str, tuple[Step, ...]], Any]] = {
    "tell": Told,
    "slowly": Slowly,
    "plain": Plain,
    "async": Async,
    "late": Late,
}


class World:
    """Hold one run and what was seen of it: by each actor, by the askers, and in the events."""

    def __init__(self, kinds: tuple[str, ...], sleepy: bool) -> None:
        self.kinds, self.sleepy = kinds, sleepy
        self.began = 0.0
        self.refs: list[Ref[Message]] = []
        self.actors: dict[str, list[Line]] = {}
        self.askers: list[Line] = []
        self.events: dict[str, list[Line]] = {}
        self.raised: list[str] = []
        self.ends: set[tuple[str, float]] = set()
        self.crowds: set[str] = set()  # the numbers of the scenes with several askers

    @property
    def now(self) -> float:
        """Return the seconds since the begin, but for what a float cannot hold."""
        return round(anyio.current_time() - self.began, 4)

    def ref(self, index: int) -> Ref[Message]:
        """Return one of the actors so far."""
        return self.refs[index % len(self.refs)]

    def note(self, path: str, who: str, *entry: object) -> None:
        """Write down what an actor does."""
        self.actors.setdefault(path, []).append((self.now, who, *entry))

    def hear(self, event: Event) -> None:
        """Write down an event."""
        path = getattr(event, "ref", None)
        assert isinstance(path, Ref)
        if isinstance(event, ProcEnded):
            self.ends.add((path.path, self.now))
        said: Line = (self.now, "-", str(event))
        if isinstance(event, DeadLetter):
            who = getattr(event.message, "who", "-")
            said = (self.now, who, str(event.message), str(event.why))
        self.events.setdefault(path.path, []).append(said)

    def tidy(self) -> None:
        """Order what happens at one time by who began it: no order among those is promised.

        And leave out the news that came when the actor was ending itself: whether it still hears
        them is not promised either, because the order to stop overtakes them.
        """
        for path, lines in self.actors.items():
            lines[:] = [
                line
                for line in lines
                if (path, line[0]) not in self.ends or not {"down", "exit"}.intersection(line)
            ]
        for lines in (*self.actors.values(), *self.events.values(), self.askers):
            lines.sort(key=lambda line: line[:2])


def harmless(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Leave out what could end the asker, through others, while its answer is on the way.

    Which of two comes first that come from different senders is nowhere promised.
    """
    return tuple(step for step in steps if step.what not in HARMFUL)


async def outcome(answer: Awaitable[object]) -> str:
    """Tell what came of an ask."""
    try:
        return str(await answer)
    except ActorError as error:
        return f"{type(error).__name__} of {error.__cause__!r}"
    except (Boom, RuntimeError) as error:
        return repr(error)


class Player(Actor[Message]):
    """Take the steps that a message says."""

    def __init__(self, world: World, index: int) -> None:
        self.world, self.index = world, index
        self.kept: list[Reply[str]] = []
        self.handled = 0
        PLACE.set(f"started {index}")

    def note(self, who: str, *entry: object) -> None:
        """Write down what it does, and where it is."""
        self.world.note(self.context.path, who, self.context.incarnation, *entry)

    @on(Told)
    def told(self, message: Told) -> None:
        """Take the steps."""
        self.take("told", message)

    @on(Slowly)
    async def slowly(self, message: Slowly) -> None:
        """Take the steps, one after the other."""
        await self.walk("slowly", message)

    @on(Plain)
    def plain(self, message: Plain) -> str:
        """Take the steps and answer."""
        self.take("plain", message)
        return f"plain {self.index}"

    @on(Async)
    async def later(self, message: Async) -> str:
        """Take the steps, one after the other, and answer."""
        await self.walk("async", message)
        return f"async {self.index}"

    @on(Late)
    def late(self, message: Late, reply: Reply[str]) -> None:
        """Take the steps and answer, unless one of them keeps or drops the reply."""
        kept, self.kept = self.kept, []
        for old in kept:
            old.send(f"kept {self.index}")
        self.take("late", message)
        whats = {step.what for step in message.steps}
        if "keep" in whats and "stash" not in whats:
            self.kept.append(reply)
        elif not whats & {"drop", "stash"}:
            reply.send(f"late {self.index}")

    def take(self, how: str, message: Told | Plain) -> None:
        """Take the steps at which nobody waits."""
        self.note(message.who, how, PLACE.get())
        for step in message.steps:
            if step.what not in WAITS:
                self.step(message, step)

    async def walk(self, how: str, message: Told | Plain) -> None:
        """Take all steps; what comes of one that waits has settled before the next."""
        self.note(message.who, how, PLACE.get())
        for step in message.steps:
            if step.what in WAITS:
                await self.wait(message, step)
                await settle()
            else:
                self.step(message, step)

    async def wait(self, message: Told | Plain, step: Step) -> None:
        """Take a step that waits."""
        world, who = self.world, message.who
        if step.what == "spawn":
            index = len(world.refs)
            name = step.how if step.how in CLASSES else "player"
            start = partial(world_class(world, name), world, index)
            world.refs.append(await self.context.spawn(start, id=f"c{index}"))
        elif step.what == "send":
            await world.ref(step.target).send(Told(who, step.steps))
        else:
            if step.what == "ask on":
                # Several that wait for each other would be told so, or not, by who was first.
                index = self.index + 1 + step.target % 3
                if index >= len(world.refs):
                    return
            else:
                index = step.target
            kind = KINDS[step.how if step.how in ("plain", "async", "late") else "plain"]
            answer = await outcome(world.ref(index).ask(kind(who, harmless(step.steps))))
            self.note(who, "got", answer)

    def step(self, message: Told | Plain, step: Step) -> None:
        """Take a step at which nobody waits."""
        context, ref, who = self.context, self.world.ref(step.target), message.who
        match step.what:
            case "note":
                PLACE.set(f"{PLACE.get()[-20:]}, {who}")
            case "tell" if self.nothing_waits or who.partition(".")[0] in self.world.crowds:
                # Else what waits may end it, and with it a child or a linked actor, before those
                # have had a turn: what was told is then handled, or a dead letter. Where several
                # ask at the same time nobody is ended, and what waits depends on who was first.
                ref.tell(KINDS[step.how](who, step.steps))
            case "timer":
                context.send_after(step.delay, Told(f"{who}+{step.delay}", step.steps))
            case "monitor":
                context.monitor(ref)
            case "link":
                context.link(ref)
            case "unlink":
                context.unlink(ref)
            case "stash" if not any(other.what == "stashed" for other in message.steps):
                if who not in self.stashed:
                    self.stashed.add(who)
                    context.stash()
            case "unstash":
                context.unstash_all()
            case "stop":
                context.stop()
            case "stop other" if self.nothing_waits:
                ref.stop()
            case "kill" if self.nothing_waits:
                ref.kill()
            case "refuse":
                raise No(who)
            case "crash":
                raise Boom(who)
            case _:
                pass

    @property
    def nothing_waits(self) -> bool:
        """Tell whether its own mailbox is empty.

        Which comes first is nowhere promised: what waits in it, or the news of another's end.
        """
        return self.context.ref.statistics().queued == 0

    @property
    def stashed(self) -> set[str]:
        """Return who was put aside once: a message is not put aside for ever."""
        return vars(self).setdefault("_stashed", set())  # type: ignore[no-any-return]

    def on_down(self, down: Down) -> None:
        """Write down."""
        self.note("-", "down", down.ref.path, str(down.reason), PLACE.get())


class Starter(Player):
    """Have something to do at the start."""

    async def on_start(self) -> None:
        """Write down."""
        self.note("-", "start")


class Stopper(Player):
    """Have something to do at the end."""

    async def on_stop(self, reason: ExitReason) -> None:
        """Write down."""
        self.note("-", "stop", str(reason), PLACE.get())


class Trapper(Player):
    """Trap exits."""

    def on_exit(self, exited: Exited) -> None:
        """Write down."""
        self.note("-", "exit", exited.ref.path, str(exited.reason))


class Mourner(Player):
    """Hear of what it did not handle."""

    def on_undelivered(self, message: Message) -> None:
        """Write down."""
        self.world.note("undelivered", message.who, PLACE.get())


class Sleeper(Stopper):
    """Hibernate, with something to do at the end."""

    hibernate_after = 2.0


class Dreamer(Trapper):
    """Hibernate, and trap exits."""

    hibernate_after = 2.0


class Dozer(Player):
    """Hibernate."""

    hibernate_after = 2.0


CLASSES: dict[str, type[Player]] = {
    "player": Player,
    "starter": Starter,
    "stopper": Stopper,
    "trapper": Trapper,
    "mourner": Mourner,
    "sleeper": Sleeper,
    "dreamer": Dreamer,
    "dozer": Dozer,
}
AWAKE: dict[str, type[Player]] = {"sleeper": Stopper, "dreamer": Trapper, "dozer": Player}


def world_class(world: World, name: str) -> type[Player]:
    """Return a class; one that does not hibernate where nobody is to."""
    return CLASSES[name] if world.sleepy else AWAKE.get(name, CLASSES[name])


class Keeper(Actor[Told]):
    """Start all, and start again what has crashed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.children: dict[str, tuple[Child[Message], Callable[[], Player]]] = {}

    async def on_start(self) -> None:
        """Start all."""
        for index, name in enumerate(self.world.kinds):
            child: Child[Message] = self.context.child(f"p{index}", mailbox=Mailbox())
            start = partial(world_class(self.world, name), self.world, index)
            self.children[child.ref.path] = child, start
            self.world.refs.append(child.ref)
            await child.start(start)

    @on(Told)
    def told(self, message: Told) -> None:
        """Do nothing."""

    async def on_exit(self, exited: Exited) -> None:
        """Start it again."""
        self.world.note("keeper", "-", exited.ref.path, str(exited.reason))
        child, start = self.children[exited.ref.path]
        if exited.reason.is_abnormal and child.incarnation < LIVES:
            await child.start(start)
        else:
            child.release("it has ended")


async def act(world: World, who: str, part: Part) -> None:
    """Do what an asker does."""
    ref = world.ref(part.target)
    message = KINDS[part.how if part.how != "send" else "tell"](who, part.steps)
    if part.how == "send":
        await ref.send(message)
    elif part.how in ("tell", "slowly"):
        ref.tell(message)
    else:
        answer = await outcome(ref.ask(message))
        world.askers.append((world.now, who, answer))


async def perform(world: World, script: list[Scene]) -> None:
    """Play all scenes, in a system of their own."""
    world.began = anyio.current_time()
    world.crowds = {str(number) for number, scene in enumerate(script) if len(scene.parts) > 1}
    system = ActorSystem()
    system.events.subscribe(world.hear)
    try:
        async with system:
            keeper = await system.spawn(partial(Keeper, world), id="keeper")
            async with anyio.create_task_group() as group:
                for number, scene in enumerate(script):
                    await anyio.sleep(world.began + 10 * number - anyio.current_time())
                    for place, part in enumerate(scene.parts):
                        group.start_soon(act, world, f"{number}.{place}", part)
                    await settle()
                await anyio.sleep(20)
            await keeper.shutdown()
    except* Exception as group:
        world.raised = [repr(error) for error in group.exceptions]


class InOrder:
    """Be the chance by which trio chooses an order, without any."""

    def random(self) -> float:
        """Return the number with which trio runs first what was ready first."""
        return 0.0

    def uniform(self, low: float, high: float) -> float:
        """Return some number."""
        return low


@contextmanager
def in_order() -> Generator[None]:
    """Let trio run tasks in the order in which they became ready, as asyncio does."""
    import trio._core._run as scheduler

    module: Any = scheduler
    before = module._r, module._ALLOW_DETERMINISTIC_SCHEDULING
    module._r, module._ALLOW_DETERMINISTIC_SCHEDULING = InOrder(), False
    try:
        yield
    finally:
        module._r, module._ALLOW_DETERMINISTIC_SCHEDULING = before


def play(
    script: list[Scene], kinds: tuple[str, ...], name: Backend, *, sleepy: bool = True
) -> World:
    """Play a script in an event loop of its own; returns what was seen."""
    world = World(kinds, sleepy)
    backend, options = backend_options(name)
    with in_order():
        anyio.run(perform, world, script, backend=backend, backend_options=options)
    world.tidy()
    return world

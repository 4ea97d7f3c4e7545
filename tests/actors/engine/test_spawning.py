"""Tests of starting procs: factories, ids, names, starts that fail, children that are owned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    Actor,
    ActorSystem,
    Child,
    Crashed,
    DeadLetter,
    Exited,
    IdTaken,
    Ignore,
    Killed,
    Name,
    NameTaken,
    NoProc,
    Normal,
    Proc,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    Shutdown,
    StartFailed,
    on,
    task,
)
from actors.testing import Recorder, settle
from tests.kit.actors import (
    Ask,
    Doer,
    Life,
    Note,
    Pair,
    Trapper,
    crash,
    fail,
    forever,
    obey,
    pair,
    raising,
    sleep,
)

NAME = Name[Note]("named")


# -- factories, ids and names ----------------------------------------------------------------------


class Unresolved(Proc["NotThere"]):  # type: ignore[name-defined]
    """A proc whose messages are imported for type checkers only."""

    async def run(self, shutdown: object) -> None:
        """Do nothing."""


class Leave(BaseException):
    """What is no Exception, raised by a factory."""


def leave() -> Proc[Any]:
    """Raise it."""
    raise Leave


@pytest.mark.parametrize(("start", "kind"), [(Unresolved, TypeError), (leave, Leave)])
async def test_whatever_a_factory_does_is_a_failed_start(
    start: Callable[[], Proc[Any]], kind: type[BaseException]
) -> None:
    """Annotations that cannot be resolved, and all that a factory raises, fail that start alone."""
    async with ActorSystem() as system:
        one = await pair(system)

        async def attempt(actor: Any) -> BaseException | None:
            with pytest.raises(StartFailed) as caught:
                await actor.context.spawn(start)
            return caught.value.__cause__

        assert isinstance(await one.ref.ask(Ask(attempt)), kind)


def wrong() -> object:
    """Make no proc."""
    return 42


async def work(shutdown: object = None) -> None:
    """Be no factory."""


@pytest.mark.parametrize(
    ("factory", "cause", "text"),
    [
        (fail, ValueError, "broken"),
        (wrong, TypeError, "returned 42"),
        (work, TypeError, r"use task\(work\)"),
        (None, TypeError, "has run before"),
    ],
)
async def test_a_factory_makes_a_new_proc_each_time(
    factory: Any, cause: type[Exception], text: str
) -> None:
    """What a factory raises, or what is wrong with it, is the cause of StartFailed."""
    async with ActorSystem() as system:
        used = await pair(system)
        with Recorder(system) as recorder, pytest.raises(StartFailed) as caught:
            await system.spawn(factory or (lambda: used.actor), id="x")
        with pytest.raises(cause, match=text):
            raise caught.value.__cause__
        (event,) = recorder
        assert isinstance(event, ProcFailedToStart)
        assert isinstance(event.reason, Crashed)
        assert system.find("/x") is None


async def test_a_factory_may_ignore() -> None:
    """Ignore raised by the factory itself is handed on."""

    def ignore() -> Proc[object]:
        raise Ignore

    async with ActorSystem() as system:
        with pytest.raises(Ignore):
            await system.spawn(ignore)
        assert system.snapshot() == ()


async def test_ids_are_made_up_from_what_is_started() -> None:
    """Without an id the path has the name, or the class or function and a number."""
    async with ActorSystem() as system:
        refs = [
            await system.spawn(Doer),
            await system.spawn(partial(Doer)),
            await system.spawn(Doer, name=NAME),
            await system.spawn(task(forever)),
        ]
        assert [ref.path for ref in refs] == ["/doer-1", "/doer-2", "/named", "/forever-4"]


async def test_an_id_is_taken_while_its_sibling_is_there() -> None:
    """Two siblings cannot have one id at a time; cousins can."""
    async with ActorSystem() as system:
        one = await pair(system, id="one")
        with pytest.raises(IdTaken, match="/one"):
            await system.spawn(Doer, id="one")
        nested = await one.ref.ask(Ask(lambda self: self.context.spawn(Doer, id="one")))
        assert nested.path == "/one/one"
        await one.ref.shutdown()
        assert (await system.spawn(Doer, id="one")).path == "/one"


async def test_a_name_is_taken_while_its_holder_lives() -> None:
    """Two procs cannot have one name at a time; it is free when the holder has ended."""
    async with ActorSystem() as system:
        holder = await system.spawn(Doer, name=NAME)
        assert system.whereis(NAME) == holder
        with pytest.raises(NameTaken, match="'named' is taken by /named") as caught:
            await system.spawn(Doer, name=NAME, id="other")
        assert (caught.value.name, caught.value.path) == ("named", "/named")
        assert system.find("/other") is None
        with pytest.raises(NameTaken):  # not IdTaken, though the id is made of the name
            await system.spawn(Doer, name=NAME)
        holder.stop()
        await holder.wait()
        assert system.whereis(NAME) is None
        assert system.whereis(Name[Note]("unknown")) is None
        await system.spawn(Doer, name=NAME, id="other")


@pytest.mark.parametrize("how", ["factory", "on_start", "ignore", "cancel"])
async def test_a_start_that_failed_leaves_neither_id_nor_name(how: str) -> None:
    """After a start that failed, its id and its name are free at once."""

    async def ignore(_: object) -> None:
        raise Ignore

    def broken() -> Proc[Note]:
        raise ValueError

    starts: dict[str, Callable[[], Proc[Note]]] = {
        "factory": broken,
        "on_start": partial(Life, [], start=crash),
        "ignore": partial(Life, [], start=ignore),
        "cancel": partial(Life, [], start=sleep),
    }
    async with ActorSystem() as system:
        with anyio.move_on_after(1):
            with raising(BaseException):
                await system.spawn(starts[how], name=NAME)
            await anyio.sleep_forever()
        assert system.whereis(NAME) is None
        assert system.snapshot() == ()
        await system.spawn(Doer, name=NAME)


# -- the time that a start may take ----------------------------------------------------------------


async def test_a_start_that_takes_too_long_is_killed() -> None:
    """Past start_timeout the half-started proc is killed; one that was ready in time is not."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], run=obey), start_timeout=3)
        began = anyio.current_time()
        with pytest.raises(StartFailed, match="not ready within 3 s") as caught:
            await system.spawn(partial(Life, [], start=sleep), start_timeout=3)
        assert anyio.current_time() - began == 3
        assert isinstance(caught.value.__cause__, TimeoutError)
        await anyio.sleep(10)
        assert [info.ref for info in system.snapshot()] == [ref]


# -- a start that is cancelled ---------------------------------------------------------------------


@pytest.mark.core
async def test_a_cancelled_start_is_undone_first() -> None:
    """When the spawner is cancelled, the half-started proc is gone before that goes on."""
    log: list[object] = []

    async def clean(_: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("start cancelled")

    async with ActorSystem() as system:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    await settle()
                    scope.cancel()

                group.start_soon(cancel)
                try:
                    await system.spawn(partial(Life, [], start=clean), id="life")
                finally:
                    log.append(system.find("/life"))
        assert log == ["start cancelled", None]


@pytest.mark.parametrize("how", ["failed", "late", "cancelled"])
async def test_children_of_a_start_that_comes_to_nothing_end_with_it(how: str) -> None:
    """What a half-started proc had started is stopped in its own time, or killed if it was late."""
    log: list[object] = []

    async def tidy(_: object) -> None:
        await anyio.sleep(1)
        log.append("tidied")

    async def start(life: Life) -> None:
        await life.context.spawn(partial(Life, log, run=obey, stop=tidy))
        if how == "failed":
            fail()
        await anyio.sleep_forever()

    async with ActorSystem() as system:
        with (
            anyio.move_on_after(3) as scope,
            nullcontext() if how == "cancelled" else raising(StartFailed),
        ):
            timeout = 0.5 if how == "late" else None
            await system.spawn(partial(Life, [], start=start), start_timeout=timeout)
        assert system.snapshot() == ()
    assert scope.cancelled_caught == (how == "cancelled")
    assert log == ["start", "run", *([] if how == "late" else [Shutdown(), "stop", "tidied"])]


@pytest.mark.dead_letters
async def test_a_parent_taken_down_while_it_starts_a_child_gives_it_time() -> None:
    """A broken link of the parent stops the half-started child in order, on every backend."""
    log: list[object] = []

    async def tidy(_: object) -> None:
        await anyio.sleep(1)
        log.append("tidied")

    async def start(life: Life) -> None:
        await life.context.spawn(partial(Life, [], run=obey, stop=tidy))
        await anyio.sleep_forever()

    async with ActorSystem() as system:
        partner, parent = await pair(system, Trapper), await pair(system)
        await partner.do(lambda self: self.context.link(parent.ref))
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with raising(Exception):
                    await parent.ref.ask(
                        Ask(lambda self: self.context.spawn(partial(Life, [], start=start)))
                    )

            group.start_soon(ask)
            await settle()
            system.monitor(parent.ref, lambda down: log.append(down.reason.is_abnormal))
            partner.ref.kill()
    assert log == ["tidied", True]


async def test_a_spawn_that_is_cancelled_already_leaves_nothing() -> None:
    """A spawn in a cancelled scope leaves either a living proc or none, also for instant starts."""
    async with ActorSystem() as system:
        with Recorder(system, ProcStarted, ProcEnded) as recorder:
            for number in range(200):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await system.spawn(Doer, id=str(number))
                    await anyio.lowlevel.checkpoint()
            living = {info.path for info in system.snapshot()}
            for info in system.snapshot():
                await info.ref.shutdown()
        started = {event.ref.path for event in recorder.of(ProcStarted)}
        ended = {event.ref.path for event in recorder.of(ProcEnded)}
        assert started == ended
        assert living <= started


# -- children whose incarnations their owner starts itself -----------------------------------------


async def owning(system: ActorSystem, **options: object) -> tuple[Pair, Child[object]]:
    """Start an actor that owns the address of a child."""
    owner = await pair(system, Trapper, id="owner")
    child = await owner.ref.ask(Ask(lambda self: self.context.child("child", **options)))
    return owner, child


async def within(owner: Pair, what: Callable[[], Awaitable[object]]) -> object:
    """Let the owner do something."""
    return await owner.ref.ask(Ask(lambda self: what()), timeout=None)


async def test_a_child_starts_again_at_its_address() -> None:
    """Each start is the next incarnation of the same address; its owner hears of each end."""
    async with ActorSystem() as system:
        owner, child = await owning(system)
        assert (child.incarnation, child.reason) == (0, NoProc())
        for number in (1, 2, 3):
            await within(owner, lambda: child.start(Doer))
            assert child.incarnation == number
            assert await within(owner, lambda: child.stop(1.0)) == Shutdown()
        assert child.reason == Shutdown()
        assert owner.log == [Exited(child.ref, Shutdown(), number) for number in (1, 2, 3)]
        assert child.ref.path == "/owner/child"


async def test_a_child_cannot_be_started_twice_at_a_time() -> None:
    """Starting a child that runs, or that was released, raises RuntimeError."""
    async with ActorSystem() as system:
        owner, child = await owning(system)
        await within(owner, lambda: child.start(Doer))

        async def check() -> None:
            with pytest.raises(RuntimeError, match="still running"):
                await child.start(Doer)
            with pytest.raises(RuntimeError, match="still running"):
                child.release("done")
            await child.kill()
            child.release("done")
            with pytest.raises(RuntimeError, match="released"):
                await child.start(Doer)

        await within(owner, check)
        assert child.reason == Killed()


async def test_mail_that_the_next_incarnation_cannot_handle(
    dead_letters: list[DeadLetter],
) -> None:
    """A message that waited for a proc of another class is a dead letter; its asker hears so."""

    class Reader(Actor[str]):
        @on(str)
        def text(self, message: str) -> None:
            read.append(message)

    read: list[str] = []
    errors: list[str] = []

    async def ask() -> None:
        with pytest.raises(TypeError) as caught:
            await child.ref.ask(Ask(fail))
        errors.append(str(caught.value))

    async with ActorSystem() as system, anyio.create_task_group() as group:
        owner, child = await owning(system)
        await within(owner, lambda: child.start(Doer))
        await within(owner, lambda: child.kill())
        child.ref.tell(Note("lost"))
        group.start_soon(ask)
        await settle()
        await within(owner, lambda: child.start(Reader))
        child.ref.tell("read")
        await settle()
        assert read == ["read"]
    text = f"/owner/child ({Reader.__qualname__}) does not accept {{}}; it accepts str"
    assert errors == [text.format("Ask")]
    assert [(type(letter.message), str(letter.why)) for letter in dead_letters] == [
        (kind, text.format(kind.__name__)) for kind in (Note, Ask)
    ]


async def test_a_suspended_child_takes_no_mail(dead_letters: list[DeadLetter]) -> None:
    """A suspended address refuses mail and frees its name; the next start opens it again."""
    async with ActorSystem() as system:
        owner, child = await owning(system, name=NAME)
        await within(owner, lambda: child.start(Doer))
        await within(owner, lambda: child.stop(1.0))
        child.suspend("terminated")
        assert system.whereis(NAME) is None
        child.ref.tell(Note("lost"))
        assert [str(letter.why) for letter in dead_letters] == ["terminated"]
        holder = await system.spawn(Doer, name=NAME)

        async def start() -> str:
            with pytest.raises(StartFailed) as caught:
                await child.start(Doer)
            return str(caught.value.__cause__)

        assert await within(owner, start) == "name 'named' is taken by /named"
        await holder.shutdown()
        actor = Doer()
        await within(owner, lambda: child.start(lambda: actor))
        assert system.whereis(NAME) == child.ref
        child.ref.tell(Note("here"))
        await settle()
        assert actor.log == ["here"]


@pytest.mark.parametrize(("start", "text"), [(crash, "broken"), (sleep, "not ready within 2 s")])
async def test_a_failed_start_of_a_child_is_told_to_its_starter_alone(
    start: Callable[[object], Awaitable[None]], text: str
) -> None:
    """A start that fails, or takes too long, raises in the owner alone, who may try again."""
    async with ActorSystem() as system:
        owner, child = await owning(system)

        async def try_it() -> str:
            with pytest.raises(StartFailed) as caught:
                await child.start(partial(Life, [], start=start), timeout=2)
            return str(caught.value.__cause__)

        assert await within(owner, try_it) == text
        assert owner.log == []
        assert not child.ref.is_alive
        await within(owner, lambda: child.start(Doer))
        assert child.incarnation == 2


async def test_stopping_a_child_waits_for_its_death() -> None:
    """`child.stop` kills at the deadline and waits; `tell_to_stop` does not; both may be late."""
    async with ActorSystem() as system:
        owner, child = await owning(system)
        await within(owner, lambda: child.start(partial(Life, [], run=sleep)))
        began = anyio.current_time()
        assert await within(owner, lambda: child.stop(2.0)) == Killed()
        assert anyio.current_time() - began == 2
        assert await within(owner, lambda: child.stop(2.0)) == Killed()
        assert anyio.current_time() - began == 2
        child.tell_to_stop(1.0)
        await within(owner, lambda: child.start(Doer))
        child.tell_to_stop(None)
        await settle()
        assert owner.log == [Exited(child.ref, Killed(), 1), Exited(child.ref, Shutdown(), 2)]


async def test_owned_children_end_with_their_owner() -> None:
    """Children that their owner did not stop are stopped with it, the youngest first."""
    async with ActorSystem() as system:
        owner = await pair(system, Trapper)

        async def start(self: Doer) -> None:
            for id in ("a", "b", "never"):
                child = self.context.child(id)
                if id != "never":
                    await child.start(Doer)

        await owner.do(start)
        with Recorder(system, ProcEnded) as recorder:
            owner.ref.stop()
            assert await owner.ref.wait() == Normal()
        assert [event.ref.path.rpartition("/")[2] for event in recorder][:2] == ["b", "a"]

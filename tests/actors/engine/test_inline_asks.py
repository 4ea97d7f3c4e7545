"""Tests of what an asker must not notice when an idle actor answers in the asker's own turn.

Every test runs with and without fast paths, and must say the same both ways.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    AskTimeout,
    Crashed,
    Killed,
    LinkBroken,
    Normal,
    ProcExited,
    Ref,
    Refusal,
    Shutdown,
)
from actors.testing import settle
from tests.actors.kit import raising
from tests.actors.quick import (
    Ask,
    Closer,
    Do,
    Quick,
    Trapper,
    both,
    fail,
    speed,  # noqa: F401 - the fixture
    start,
    tell,
    then,
    warm,
)

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


pytestmark = pytest.mark.usefixtures("speed")

# -- whose turn, whose context, whose crash -------------------------------------------------------


@both
async def test_context_variables_are_the_actors(task: bool) -> None:
    """A handler sees and sets the actor's context variables, and the asker's stay as they are."""
    async with ActorSystem() as system:
        PLACE.set("spawner")
        ref = await start(system)
        await warm(ref, task)
        PLACE.set("asker")
        assert await ref.ask(Ask(lambda quick: then(PLACE.get(), PLACE.get()))) == "spawner"
        await ref.ask(Ask(lambda quick: then(PLACE.set("actor"), None)))
        assert PLACE.get() == "asker"
        seen: list[str] = []

        def look(_: object) -> None:
            seen.append(PLACE.get())

        ref.tell(Do(look))
        ref.tell(Do(lambda quick: quick.context.send_after(1, Do(tell(look)))))
        await anyio.sleep(2)
        assert seen == ["actor", "actor"]
        assert await ref.ask(Ask(lambda quick: PLACE.get())) == "actor"


@both
async def test_a_task_that_a_handler_starts_inherits_from_the_actor(task: bool) -> None:
    """What a plain handler pipes has the actor's context variables."""
    seen: list[str] = []

    async def side() -> str:
        return PLACE.get()

    def pipe(quick: Quick) -> None:
        PLACE.set("actor")
        quick.context.pipe(side(), into=lambda value: Do(lambda _: seen.append(value)))

    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        PLACE.set("asker")
        await ref.ask(Ask(pipe))
        await settle()
    assert seen == ["actor"]


@both
@pytest.mark.dead_letters
async def test_a_handler_does_not_see_what_its_asker_handles(task: bool) -> None:
    """The exception that an asker is handling is none of the actor's, nor of its crash's."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        try:
            raise KeyError("the asker's own")
        except KeyError:
            assert await ref.ask(Ask(lambda quick: sys.exc_info())) == (None, None, None)
            with pytest.raises(ProcExited):
                await ref.ask(Ask(lambda quick: fail(ValueError())))
        reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert reason.error.__context__ is None


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize("kind", [ValueError, StopAsyncIteration, RecursionError, BaseException])
async def test_the_crash_is_the_actors(kind: type[BaseException], task: bool) -> None:
    """What a plain handler raises ends the actor; its asker gets ProcExited, with the cause."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        error = kind("boom")
        with pytest.raises(ProcExited) as raised:
            await ref.ask(Ask(lambda quick: fail(error)))
        assert raised.value.__cause__ is error
        assert await ref.wait() == Crashed(error)


@both
@pytest.mark.dead_letters
async def test_a_stop_iteration_crashes_in_one_way(task: bool) -> None:
    """StopIteration from a handler crashes the actor as a RuntimeError, as in any coroutine."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        with pytest.raises(ProcExited) as raised:
            await ref.ask(Ask(lambda quick: fail(StopIteration())))
        assert isinstance(raised.value.__cause__, RuntimeError)
        reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error.__cause__, StopIteration)


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_exiting_the_program_brings_the_system_down(
    kind: type[BaseException], task: bool
) -> None:
    """SystemExit and KeyboardInterrupt of a plain handler leave the system, not the asker."""
    passed: list[BaseException] = []
    with raising(kind):
        async with ActorSystem() as system:
            ref = await start(system)
            await warm(ref, task)
            try:
                await ref.ask(Ask(lambda quick: fail(kind())))
            except BaseException as error:
                passed.append(error)
                raise
    assert not isinstance(passed[0], kind)


@both
async def test_a_refusal_is_all_that_comes_back(task: bool) -> None:
    """A plain handler that refuses answers with that error, and the actor lives on."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        with pytest.raises(Refusal, match="no"):
            await ref.ask(Ask(lambda quick: fail(Refusal("no"))))
        assert await ref.ask(Ask(lambda quick: 5)) == 5


# -- what a handler does to its own actor ----------------------------------------------------------


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize("cls", [Quick, Closer, Trapper])
@pytest.mark.parametrize("raises", [False, True])
async def test_a_link_that_breaks_in_the_handler_ends_its_actor(
    task: bool, cls: type[Quick], raises: bool
) -> None:
    """An actor that ends what it is linked to, in its own handler, ends too, unless it traps."""
    async with ActorSystem() as system:
        ref, other = await start(system, cls), await start(system)
        await warm(ref, task)
        await ref.ask(Ask(lambda quick: quick.context.link(other)))

        def end(quick: Quick) -> int:
            other.kill()
            if raises:
                raise Refusal("no")
            return 5

        if raises:
            with pytest.raises(Refusal):
                await ref.ask(Ask(end), timeout=None)
        else:
            assert await ref.ask(Ask(end)) == 5
        await settle()
        assert not other.is_alive
        if cls is Trapper:
            log: list[Any] = await ref.ask(Ask(lambda quick: quick.log))
            assert log == [(other.path, "killed")]
        else:
            assert not ref.is_alive
            reason = await ref.wait()
            assert isinstance(reason, Crashed)
            assert isinstance(reason.error, LinkBroken)


@both
@pytest.mark.dead_letters
async def test_after_its_link_broke_in_the_same_turn_nothing_is_answered(task: bool) -> None:
    """A request that comes after a broken link, in one turn, finds the actor on its way out."""
    async with ActorSystem() as system:
        ref, other = await start(system), await start(system)
        await warm(ref, task)
        await warm(other, task)
        await ref.ask(Ask(lambda quick: quick.context.link(other)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.wait)
            await settle()
            other.kill()
            await other.wait()
            with pytest.raises(ProcExited):
                await ref.ask(Ask(lambda quick: 1))


@both
@pytest.mark.dead_letters
async def test_a_crash_beside_a_broken_link_reaches_the_asker(task: bool) -> None:
    """A handler that breaks its actor's link and then raises leaves no asker waiting."""
    async with ActorSystem() as system:
        ref, other = await start(system), await start(system)
        await warm(ref, task)
        await ref.ask(Ask(lambda quick: quick.context.link(other)))

        def end(quick: Quick) -> None:
            other.kill()
            raise ValueError

        with anyio.fail_after(1), pytest.raises(ProcExited):
            await ref.ask(Ask(end), timeout=None)
        assert isinstance(await ref.wait(), Crashed)


@both
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda quick: quick.context.stop(), Normal()),
        (lambda quick: quick.context.stop(Shutdown("enough")), Shutdown("enough")),
        (lambda quick: quick.context.ref.stop(), Normal()),
        (lambda quick: quick.context.ref.kill(), Killed()),
        (lambda quick: quick.context.shutdown.cancel(), Shutdown()),
    ],
    ids=["stop", "stop with reason", "ref.stop", "kill", "token"],
)
@pytest.mark.parametrize("cls", [Quick, Closer])
async def test_a_handler_that_ends_its_actor_answers_first(
    how: Callable[[Quick], None], reason: object, cls: type[Quick], task: bool
) -> None:
    """An actor that stops or kills itself in a plain handler still answers, and then is gone."""
    async with ActorSystem() as system:
        ref = await start(system, cls)
        await warm(ref, task)

        def end(quick: Quick) -> list[Any]:
            how(quick)
            return quick.log

        log: list[Any] = await ref.ask(Ask(end))
        assert await ref.wait() == reason
        assert log == ([] if cls is Quick or reason == Killed() else [reason])
        with pytest.raises(ProcExited):
            await ref.ask(Ask(lambda quick: 1))


@both
@pytest.mark.dead_letters
async def test_after_it_was_stopped_in_the_same_turn_nothing_is_answered(task: bool) -> None:
    """A request that comes after a stop, in one turn, finds the actor on its way out."""
    async with ActorSystem() as system:
        for end in ("stop", "kill", "shutdown"):
            ref = await start(system, Closer)
            await warm(ref, task)
            async with anyio.create_task_group() as tasks:
                if end == "shutdown":
                    await ref.ask(Ask(lambda quick: quick.context.stop()))
                else:
                    getattr(ref, end)()
                with pytest.raises(ProcExited):
                    await ref.ask(Ask(lambda quick: 1))
                tasks.cancel_scope.cancel()


@both
async def test_what_a_handler_tells_itself_comes_after_it(task: bool) -> None:
    """A handler that tells its own actor something has ended before that is handled."""
    seen: list[str] = []

    def begin(quick: Quick) -> str:
        quick.context.ref.tell(Do(lambda _: seen.append("told")))
        seen.append("begun")
        return "answer"

    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        assert await ref.ask(Ask(begin)) == "answer"
        assert await ref.ask(Ask(lambda quick: list(seen))) == ["begun", "told"]


@both
async def test_stash_and_unstash_in_one_handler(task: bool) -> None:
    """A request that is put aside and taken back in one handler is handled again, and answered."""
    calls: list[int] = []

    def twice(quick: Quick) -> int:
        calls.append(1)
        if len(calls) == 1:
            quick.context.stash()
            quick.context.unstash_all()
        return len(calls)

    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        assert await ref.ask(Ask(twice)) == 2


@both
async def test_a_stashed_request_may_run_into_its_timeout(task: bool) -> None:
    """A request that is put aside for too long fails its asker at the deadline."""
    calls: list[int] = []

    def aside(quick: Quick) -> None:
        calls.append(1)
        if len(calls) == 1:
            quick.context.stash()

    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        began = anyio.current_time()
        with pytest.raises(AskTimeout):
            await ref.ask(Ask(aside), timeout=2)
        assert anyio.current_time() - began == pytest.approx(2, abs=0.01)
        await ref.ask(Ask(lambda quick: quick.context.unstash_all()))
        await ref.ask(Ask(lambda quick: 1))
        assert calls == [1, 1]


@both
async def test_a_stashed_request_whose_handler_returned_work(task: bool) -> None:
    """A plain function that puts its request aside and returns a coroutine crashes nobody."""
    calls: list[int] = []

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return len(calls)

    def aside(quick: Quick) -> Any:
        calls.append(1)
        if len(calls) == 1:
            quick.context.stash()
        return work()

    answers: list[int] = []

    async def ask(ref: Ref[Ask]) -> None:
        answers.append(await ref.ask(Ask(aside), timeout=2))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await start(system)
        await warm(ref, task)
        tasks.start_soon(ask, ref)
        await settle()
        ref.tell(Do(lambda quick: quick.context.unstash_all()))
        await settle()
        assert answers == [2]


@both
async def test_a_reply_that_is_work_keeps_its_turn(task: bool) -> None:
    """Work that a plain function returned is finished before what came after it is handled."""
    seen: list[str] = []

    async def work() -> int:
        await anyio.sleep(1)
        seen.append("work")
        return 3

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await start(system)
        await warm(ref, task)

        async def ask() -> None:
            assert await ref.ask(Ask(lambda quick: work())) == 3

        tasks.start_soon(ask)
        await settle()
        ref.tell(Do(lambda quick: seen.append("told")))
        ref.stop()
        await ref.wait()
        assert seen == ["work", "told"]

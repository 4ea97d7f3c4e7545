"""Tests of idle actors that answer in the asker's own turn: what none of them must notice.

Every test runs with and without fast paths, and must say the same both ways.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from itertools import product
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
    Mailbox,
    Normal,
    ProcExited,
    Ref,
    Refusal,
    Shutdown,
)
from actors.testing import settle
from tests.kit.actors import Do, Note, raising
from tests.kit.inline import (
    Ask,
    Closer,
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
    PLACE.set("opener")
    async with ActorSystem() as system:
        PLACE.set("spawner")
        ref = await start(system)
        await warm(ref, task)
        PLACE.set("asker")
        assert await ref.ask(Ask(lambda quick: then(PLACE.get(), PLACE.get()))) == "opener"
        await ref.ask(Ask(lambda quick: then(PLACE.set("actor"), None)))
        assert PLACE.get() == "asker"
        seen: list[str] = []

        def look(_: object) -> None:
            seen.append(PLACE.get())

        async def place() -> str:
            return PLACE.get()

        ref.tell(Do(look))
        ref.tell(Do(lambda quick: quick.context.send_after(1, Do(tell(look)))))
        await ref.ask(Ask(lambda quick: quick.context.pipe(place(), into=Note)))
        await anyio.sleep(2)
        assert seen == ["actor", "actor"]
        assert await ref.ask(Ask(lambda quick: quick.log)) == ["actor"]  # what it started, too
        assert await ref.ask(Ask(lambda quick: PLACE.get())) == "actor"


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
@pytest.mark.parametrize(
    "kind", [ValueError, StopAsyncIteration, RecursionError, BaseException, StopIteration]
)
async def test_the_crash_is_the_actors(kind: type[BaseException], task: bool) -> None:
    """What a plain handler raises ends the actor; its asker gets ProcExited, with the cause."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        error = kind("boom")
        with pytest.raises(ProcExited) as raised:
            await ref.ask(Ask(lambda quick: fail(error)))
        cause = raised.value.__cause__
        assert cause is not None
        assert await ref.wait() == Crashed(cause)
        # As in any coroutine, a StopIteration becomes a RuntimeError.
        assert cause is error or (kind is StopIteration and cause.__cause__ is error)


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


# -- what a handler does to its own actor ----------------------------------------------------------


@both
@pytest.mark.dead_letters
@pytest.mark.parametrize(
    ("cls", "error"),
    list(product([Quick, Closer, Trapper], [None, Refusal, ValueError])),
)
async def test_a_link_that_breaks_in_the_handler_ends_its_actor(
    task: bool, cls: type[Quick], error: type[Exception] | None
) -> None:
    """An actor that ends what it is linked to, in its own handler, ends too, unless it traps."""
    async with ActorSystem() as system:
        ref, other = await start(system, cls), await start(system)
        await warm(ref, task)
        await ref.ask(Ask(lambda quick: quick.context.link(other)))

        def end(quick: Quick) -> int:
            other.kill()
            if error is not None:
                raise error("no")
            return 5

        if error is None:
            assert await ref.ask(Ask(end)) == 5
        else:
            with anyio.fail_after(1), pytest.raises(ProcExited if error is ValueError else error):
                await ref.ask(Ask(end), timeout=None)
        await settle()
        assert not other.is_alive
        if cls is Trapper and error is not ValueError:
            log: list[Any] = await ref.ask(Ask(lambda quick: quick.log))
            assert log == [(other.path, "killed")]
        else:
            reason = await ref.wait()
            assert isinstance(reason, Crashed)
            assert error is ValueError or isinstance(reason.error, LinkBroken)


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
@pytest.mark.parametrize("end", ["stop", "kill", "context.stop", "broken link"])
async def test_after_it_was_stopped_in_the_same_turn_nothing_is_answered(
    task: bool, end: str
) -> None:
    """A request that comes after an end, in one turn, finds the actor on its way out."""
    async with ActorSystem() as system:
        ref, other = await start(system, Closer), await start(system)
        await warm(ref, task)
        await ref.ask(Ask(lambda quick: quick.context.link(other)))
        if end == "context.stop":
            await ref.ask(Ask(lambda quick: quick.context.stop()))
        elif end == "broken link":
            other.kill()
            await other.wait()
        else:
            getattr(ref, end)()
        with pytest.raises(ProcExited):
            await ref.ask(Ask(lambda quick: 1))


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
@pytest.mark.parametrize("then", ["unstash", "return", "refuse", "work"])
async def test_a_stashed_request_is_answered_when_it_comes_again(task: bool, then: str) -> None:
    """What a handler that has put its request aside returns or raises is no answer to it."""
    calls: list[int] = []
    answers: list[int] = []

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return len(calls)

    def aside(quick: Quick) -> Any:
        calls.append(1)
        if len(calls) == 1:
            quick.context.stash()
            if then == "unstash":
                quick.context.unstash_all()
            elif then == "refuse":
                raise Refusal("not now")
        return work() if then == "work" else len(calls)

    async def ask(ref: Ref[Ask]) -> None:
        answers.append(await ref.ask(Ask(aside), timeout=2))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await start(system)
        await warm(ref, task)
        tasks.start_soon(ask, ref)
        await settle()
        if then != "unstash":
            assert answers == []
            ref.tell(Do(lambda quick: quick.context.unstash_all()))
            await settle()
        assert answers == [2]


@both
async def test_a_stashed_request_may_run_into_its_timeout(task: bool) -> None:
    """A request that is put aside for too long fails its asker, and is not handled again."""
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


@pytest.mark.dead_letters
@pytest.mark.parametrize("how", ["kill", "shutdown"])
async def test_an_asker_of_begun_work_learns_of_the_end(how: str) -> None:
    """An asker whose work goes on in a coroutine of a plain handler is never left waiting."""
    outcome: list[Any] = []

    async def work() -> int:
        await anyio.lowlevel.checkpoint()
        return 3

    async def ask(ref: Ref[Ask]) -> None:
        try:
            outcome.append(await ref.ask(Ask(lambda quick: work()), timeout=None))
        except ProcExited as error:
            outcome.append(error)

    async def end(ref: Ref[Ask]) -> None:
        if how == "kill":
            ref.kill()
        await ref.shutdown()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await start(system)
        await warm(ref, True)
        tasks.start_soon(ask, ref)
        tasks.start_soon(end, ref)
        await settle()
        assert outcome == [3] or isinstance(outcome[0], ProcExited)


# -- askers ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("asks", [1, 2])
async def test_a_loop_of_asks_is_fair(task: bool, asks: int) -> None:
    """Between two turns of the others, one asker gets at most 64 answers, from however many."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        refs = [await start(system) for _ in range(asks)]
        for ref in refs:
            await warm(ref, task)
        asked, most, before = 0, 0, 0

        async def other() -> None:
            nonlocal most, before
            while asked < 1000:
                most, before = max(most, asked - before), asked
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(other)
        while asked < 1000:
            await refs[asked % asks].ask(Ask(lambda quick: 1))
            asked += 1
        assert 1 <= most <= 64


@both
@pytest.mark.dead_letters
async def test_an_asker_that_is_cancelled_leaves_a_healthy_actor(task: bool) -> None:
    """Whenever an asker is cancelled, the actor answers the next one."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        for turns in range(4):
            async with anyio.create_task_group() as tasks:

                async def ask() -> None:
                    while True:
                        await ref.ask(Ask(lambda quick: 1))

                tasks.start_soon(ask)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert await ref.ask(Ask(lambda quick: 2)) == 2


@both
async def test_asks_from_another_system(task: bool) -> None:
    """An actor of one system may ask one of another."""
    async with ActorSystem("one") as one, ActorSystem("two") as two:
        ref, asker = await start(one), await start(two)
        await warm(ref, task)
        seen: list[Any] = []

        async def ask(quick: Quick) -> None:
            seen.append(await ref.ask(Ask(lambda quick: quick.context.system.name)))

        asker.tell(Do(ask))
        await settle()
        assert seen == ["one"]


@both
@pytest.mark.dead_letters
async def test_an_asker_that_is_linked_to_the_crash(task: bool) -> None:
    """An asker that is linked to the actor that crashes at its question ends with LinkBroken."""
    async with ActorSystem() as system:
        ref, asker = await start(system), await start(system)
        await warm(ref, task)
        went_on: list[str] = []

        async def ask(quick: Quick) -> None:
            quick.context.link(ref)
            with pytest.raises(ProcExited):
                await ref.ask(Ask(lambda quick: fail(ValueError())))
            await anyio.lowlevel.checkpoint()
            went_on.append("further than it may")

        asker.tell(Do(ask))
        reason = await asker.wait()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, LinkBroken)
        assert went_on == []


# -- order, room and counts ------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [None, 1])
async def test_an_ask_never_overtakes(capacity: int | None) -> None:
    """What the asker sent before is handled before, also through a mailbox for one."""
    seen: list[int] = []

    def add(number: int, _: object) -> None:
        seen.append(number)

    async with ActorSystem() as system:
        ref = await start(system, mailbox=Mailbox(capacity=capacity))
        for number in range(100):
            await ref.send(Do(partial(add, number)))
            assert await ref.ask(Ask(lambda quick: list(seen))) == list(range(number + 1))


@both
async def test_all_that_is_handled_is_counted(task: bool) -> None:
    """The statistics count each message once, asked or told, answered or refused."""
    async with ActorSystem() as system:
        ref = await start(system)
        await warm(ref, task)
        before = ref.statistics().handled
        for _ in range(130):
            await ref.ask(Ask(lambda quick: 1))
        with pytest.raises(Refusal):
            await ref.ask(Ask(lambda quick: fail(Refusal())))
        ref.tell(Do(lambda quick: None))
        await settle()
        assert ref.statistics().handled - before == 132
        assert ref.statistics().queued == 0

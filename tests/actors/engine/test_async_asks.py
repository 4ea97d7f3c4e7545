"""Tests of requests that are answered by coroutine handlers, which may wait or not.

Every test runs with and without fast paths, and must say the same both ways. An actor is warm when
it has a task and waits for mail.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    AskCycle,
    Crashed,
    Killed,
    LinkBroken,
    ProcExited,
    Ref,
    Request,
    Shutdown,
    on,
)
from actors.testing import settle
from tests.kit.actors import lossy
from tests.kit.errors import No
from tests.kit.inline import speed

pytestmark = [pytest.mark.usefixtures("speed"), pytest.mark.dead_letters]

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")

Work = Callable[["Worker"], Awaitable[Any]]


@frozen
class Run(Request[Any]):
    """Ask for what a coroutine function returns that is called with the actor."""

    work: Work


class Worker(Actor[Run]):
    """Answer by a coroutine."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    @on(Run)
    async def run_it(self, message: Run) -> Any:
        """Await it."""
        return await message.work(self)


def only_asyncio() -> None:
    """Skip what only asyncio has."""
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        pytest.skip("asyncio's own")


async def nothing(worker: Worker) -> None:
    """Do nothing."""


async def warm(system: ActorSystem, **options: Any) -> Ref[Run]:
    """Start a worker that has a task and waits for mail."""
    ref = await system.spawn(Worker, **options)
    await ref.ask(Run(nothing))
    await settle()
    return ref


async def test_the_handler_runs_in_its_own_task_and_context() -> None:
    """Tasks and context variables are the actor's, before and after it has waited."""
    PLACE.set("opener")
    async with ActorSystem() as system:
        PLACE.set("asker")
        ref = await warm(system)

        def task() -> int:
            return anyio.get_current_task().id

        async def look(worker: Worker) -> list[Any]:
            seen = [task(), PLACE.get()]
            PLACE.set("actor")
            await anyio.lowlevel.checkpoint()
            return [*seen, task(), PLACE.get()]

        first, place, second, changed = await ref.ask(Run(look))
        assert first == second != task()
        assert (place, changed, PLACE.get()) == ("opener", "actor", "asker")
        again = await ref.ask(Run(look))
        assert again[:2] == [first, "actor"]


@pytest.mark.parametrize("when", ["by its handler", "in the same turn", "later"])
async def test_a_kill_ends_the_wait_of_the_handler(when: str) -> None:
    """A kill is raised where the handler waits, whenever it comes, and what it waits for is given
    up.
    """
    async with ActorSystem() as system:
        ref = await warm(system)
        log: list[str] = []

        async def wait(worker: Worker) -> None:
            if when == "by its handler":
                worker.context.ref.kill()
            try:
                await anyio.sleep_forever()
            except BaseException as error:
                log.append(type(error).__name__)
                raise
            finally:
                log.append("tidied")

        async def asking() -> None:
            with suppress(ProcExited):
                await ref.ask(Run(wait))
            log.append("told")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asking)
            if when == "in the same turn":
                await anyio.lowlevel.checkpoint()
                ref.kill()
            elif when == "later":
                await settle()
                ref.kill()
        cancelled = anyio.get_cancelled_exc_class().__name__
        # Where the mark is seen before the handler waits, it need not be raised there.
        assert log in ([cancelled, "tidied", "told"], ["told"])
        assert await ref.wait() == Killed()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_broken_link_ends_it(waits: bool) -> None:
    """An actor whose link breaks in its handler ends with it; the asker learns why."""
    unheard: list[BaseException] = []
    async with lossy(unheard) as system:
        ref, other = await warm(system), await warm(system)

        async def break_it(worker: Worker) -> str:
            worker.context.link(other)
            other.kill()
            if waits:
                await anyio.sleep_forever()
            return "answered"

        with pytest.raises(ProcExited) if waits else suppress(ProcExited) as caught:
            assert await ref.ask(Run(break_it)) == "answered"
        assert caught is None or isinstance(caught.value.__cause__, LinkBroken)
        reason = await ref.wait()
        assert isinstance(reason, Crashed)
    assert [type(error) for error in unheard] == ([] if waits else [LinkBroken])


@pytest.mark.parametrize("waits", [False, True])
async def test_what_the_handler_raises_is_the_answer_or_the_crash(waits: bool) -> None:
    """A Refusal reaches the asker, and the actor lives on; anything else crashes the actor."""
    unheard: list[BaseException] = []
    async with lossy(unheard) as system:
        ref = await warm(system)

        def fail(error: Exception) -> Run:
            async def work(worker: Worker) -> None:
                if waits:
                    await anyio.sleep(1)
                raise error

            return Run(work)

        for _ in range(2):
            with pytest.raises(No, match="not now"):
                await ref.ask(fail(No("not now")))
        assert await ref.ask(Run(nothing)) is None
        with pytest.raises(ProcExited) as caught:
            await ref.ask(fail(KeyError("gone")))
        assert isinstance(caught.value.__cause__, KeyError)
        assert isinstance(await ref.wait(), Crashed)
    assert unheard == []


@pytest.mark.parametrize("waits", ["never", "before", "after"])
async def test_a_stashed_request_is_answered_when_it_comes_again(waits: str) -> None:
    """What a handler returns after it stashed its request is no answer, waiting or not."""
    async with ActorSystem() as system:
        ref = await warm(system)

        async def stash(worker: Worker) -> str:
            if waits == "before":
                await anyio.sleep(1)
            if worker.log:
                return "answered"
            worker.log.append("stashed")
            worker.context.stash()
            if waits == "after":
                await anyio.sleep(1)
            return "no answer"

        async def unstash(worker: Worker) -> None:
            worker.context.unstash_all()

        async with anyio.create_task_group() as tasks:

            async def asking() -> None:
                assert await ref.ask(Run(stash)) == "answered"

            tasks.start_soon(asking)
            await anyio.sleep(2)
            await ref.ask(Run(unstash))


async def test_who_asks_in_a_circle_is_told_so() -> None:
    """A handler that asks its asker, or itself, gets AskCycle, also before its first wait."""
    async with ActorSystem() as system:
        left, right = await warm(system), await warm(system)

        async def back(worker: Worker) -> str:
            for ref in (left, worker.context.ref):
                with pytest.raises(AskCycle):
                    await ref.ask(Run(nothing))
            return "told so"

        async def there(worker: Worker) -> Any:
            return await right.ask(Run(back))

        assert await left.ask(Run(there)) == "told so"
        assert await left.ask(Run(nothing)) is None


async def test_a_long_chain_of_questions_needs_no_deep_stack() -> None:
    """A thousand actors may each ask the next before they answer."""
    async with ActorSystem() as system:
        refs = [await warm(system) for _ in range(1000)]

        def ask(number: int) -> Work:
            async def work(worker: Worker) -> int:
                if number == len(refs) - 1:
                    return 1
                rest: int = await refs[number + 1].ask(Run(ask(number + 1)))
                return rest + 1

            return work

        assert await refs[0].ask(Run(ask(0))) == 1000


@pytest.mark.parametrize("stop", ["shutdown", "context.stop"])
async def test_a_stop_waits_for_the_handler(stop: str) -> None:
    """Told to stop meanwhile, the actor finishes what it has in hand, and answers it."""
    async with ActorSystem() as system:
        ref = await warm(system)

        async def work(worker: Worker) -> str:
            if stop == "context.stop":
                worker.context.stop(Shutdown())
            await anyio.sleep(1)
            return "finished"

        async with anyio.create_task_group() as tasks:

            async def asking() -> None:
                assert await ref.ask(Run(work)) == "finished"

            tasks.start_soon(asking)
            await settle()
            assert await ref.shutdown() == Shutdown()


# -- who cancels whom ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["answer", "refusal", "crash", "wait"])
@pytest.mark.parametrize("who", ["handler", "handler that goes on", "task"])
async def test_a_scope_of_an_asker_is_cancelled_by_whom_it_asks(ending: str, who: str) -> None:
    """An asker is cut short within its scope, and nothing of that is left behind."""
    unheard: list[BaseException] = []
    async with lossy(unheard) as system:
        asker, ref = await warm(system), await warm(system)

        async def ask(worker: Worker | None) -> tuple[bool, list[str]]:
            log: list[str] = []
            with anyio.CancelScope() as scope:

                async def strike(worker: Worker) -> None:
                    scope.cancel()
                    if ending == "refusal":
                        raise No("no")
                    if ending == "crash":
                        raise KeyError("crash")
                    if ending == "wait":
                        await anyio.sleep(1)

                try:
                    await ref.ask(Run(strike))
                    log.append("went on")
                except Exception as error:
                    log.append(type(error).__name__)
            if who == "handler that goes on":
                await anyio.sleep(1)
            return scope.cancelled_caught, log

        assert await (ask(None) if who == "task" else asker.ask(Run(ask))) == (True, [])
        await anyio.sleep(2)
        assert await asker.ask(Run(nothing)) is None


async def test_a_handler_that_cancels_its_own_task_and_goes_on() -> None:
    """The handler catches its own cancellation, with its message, and the actor lives on."""
    only_asyncio()
    async with ActorSystem() as system:
        ref = await warm(system)

        async def strike(worker: Worker) -> list[Any]:
            task = asyncio.current_task()
            assert task is not None
            task.cancel("why")
            seen: list[Any] = [task.cancelling()]
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError as error:
                seen += [*error.args, task.uncancel()]
            await asyncio.sleep(1)
            return seen

        assert await ref.ask(Run(strike)) == [1, "why", 0]
        assert await ref.ask(Run(nothing)) is None


async def test_nothing_of_a_killed_handler_is_left_to_the_collector() -> None:
    """What a handler held is gone as soon as it was killed, without the garbage collector."""

    class Held:
        pass

    kept: list[weakref.ref[Held]] = []
    async with ActorSystem() as system:
        ref = await warm(system)

        async def wait(worker: Worker) -> None:
            held = Held()
            kept.append(weakref.ref(held))
            worker.context.ref.kill()
            await anyio.sleep_forever()

        gc.collect()
        gc.disable()
        try:
            with pytest.raises(ProcExited):
                await ref.ask(Run(wait))
            await settle()
            assert kept[0]() is None
        finally:
            gc.enable()


@pytest.mark.leaks
async def test_a_loop_that_is_thrown_away_closes_what_was_begun() -> None:
    """A task that is closed from outside, with a handler begun, does not ignore it."""
    only_asyncio()
    closed: list[str] = []
    complaints: list[Any] = []

    async def main() -> None:
        system = ActorSystem()
        await system.__aenter__()
        ref = await warm(system)

        async def wait(worker: Worker) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except BaseException as error:
                closed.append(type(error).__name__)
                raise

        asking = asyncio.ensure_future(ref.ask(Run(wait)))
        for _ in range(1 if speed == "fast" else 3):
            await asyncio.sleep(0)  # fast: begun, but its own task has not had its turn
        [actor] = [task for task in asyncio.all_tasks() if task.get_name() == ref.path]
        coroutine = actor.get_coro()
        assert coroutine is not None
        try:
            coroutine.close()
        except RuntimeError as error:
            complaints.append(error)
        asking.cancel()

    await main()
    await settle()
    assert (closed, complaints) == (["GeneratorExit"], [])


async def test_a_function_that_only_says_it_is_a_coroutine_function() -> None:
    """A handler that is marked as a coroutine function answers with what it returns."""
    mark: Any = getattr(inspect, "markcoroutinefunction", None)
    if mark is None:
        pytest.skip("functions cannot be marked")

    class Ask(Request[int]):
        pass

    def three(_: object, message: Ask) -> int:
        return 3

    class Marked(Actor[Ask]):
        answer: Any = on(Ask)(mark(three))

    async with ActorSystem() as system:
        ref = await system.spawn(Marked)
        for _ in range(2):
            assert await ref.ask(Ask()) == 3
            await settle()


@pytest.mark.parametrize("how", ["kill", "timeout"])
async def test_an_asking_handler_that_is_killed_by_whom_it_asks(how: str) -> None:
    """A handler, begun itself, that is killed by the handler it asked is cut short in that ask."""
    async with ActorSystem() as system:
        asker, ref = await warm(system), await warm(system)
        log: list[str] = []

        async def kill(worker: Worker) -> None:
            asker.kill()

        async def ask(worker: Worker) -> None:
            await ref.ask(Run(kill))
            log.append("went on")

        with pytest.raises(ProcExited):
            await asker.ask(Run(ask), timeout=None if how == "kill" else 1)
        assert (log, await asker.wait()) == ([], Killed())
        assert await ref.ask(Run(nothing)) is None

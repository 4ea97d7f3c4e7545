"""Tests of what user code can do in a coroutine handler, and around it.

Every test runs with and without fast paths, and must say the same both ways. The helpers are those
of `test_async_asks`: `Run` is answered by a coroutine function that is called with the actor.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import weakref
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import (
    Actor,
    ActorSystem,
    Crashed,
    Killed,
    ProcExited,
    Refusal,
    Request,
    on,
)
from actors.backend import current_backend
from actors.testing import settle
from tests.actors.quick import speed
from tests.actors.sleepers import look, own
from tests.actors.test_async_asks import Run, Work, Worker, lossy, nothing, warm

pytestmark = [pytest.mark.usefixtures("speed"), pytest.mark.dead_letters]

TOKEN: ContextVar[str] = ContextVar("TOKEN", default="unset")


def only_asyncio() -> None:
    """Skip what only asyncio has."""
    if current_backend().name != "asyncio":
        pytest.skip("asyncio's own")


def gather(*works: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, list[Any]]:
    """Run several in tasks that begin in the same turn; returns their results in order."""
    results: list[Any] = [None] * len(works)

    async def run(number: int, work: Coroutine[Any, Any, Any]) -> None:
        results[number] = await work

    async def all_of_them() -> list[Any]:
        async with anyio.create_task_group() as tasks:
            for number, work in enumerate(works):
                tasks.start_soon(run, number, work)
        return results

    return all_of_them()


# -- what the handler waits for first -------------------------------------------------------------


@pytest.mark.parametrize("other", ["actor", "task"])
async def test_a_future_that_two_wait_for(other: str) -> None:
    """A future may be waited for by others, too, who come in the same turn."""
    only_asyncio()
    async with ActorSystem() as system:
        left, right = await warm(system), await warm(system)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def wait(worker: Worker | None = None) -> int:
            return await future

        asyncio.get_running_loop().call_later(1, future.set_result, 3)
        second = right.ask(Run(wait)) if other == "actor" else wait()
        assert await gather(left.ask(Run(wait)), second) == [3, 3]


@pytest.mark.parametrize("outcome", ["result", "error", "cancelled"])
async def test_a_future_that_is_done_before_the_actor_has_its_turn(outcome: str) -> None:
    """What the handler waits for may be there, or fail, in the turn in which it began."""
    only_asyncio()
    async with ActorSystem() as system:
        ref = await warm(system)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def wait(worker: Worker) -> str:
            try:
                return str(await future)
            except (KeyError, asyncio.CancelledError) as error:
                return type(error).__name__

        async def settle_it() -> None:
            if outcome == "result":
                future.set_result(3)
            elif outcome == "error":
                future.set_exception(KeyError())
            else:
                future.cancel()

        answer, _ = await gather(ref.ask(Run(wait)), settle_it())
        assert (
            answer == {"result": "3", "error": "KeyError", "cancelled": "CancelledError"}[outcome]
        )


@pytest.mark.parametrize("what", ["a number", "a bare future", "another loop's", "itself"])
async def test_what_nobody_can_wait_for_is_an_error_in_the_handler(what: str) -> None:
    """What asyncio cannot wait for raises RuntimeError where it is awaited, as in any task."""
    only_asyncio()
    other = asyncio.new_event_loop()

    @types.coroutine
    def give(value: Any) -> Generator[Any, Any, Any]:
        return (yield value)

    try:
        async with ActorSystem() as system:
            ref = await warm(system)

            async def wait(worker: Worker) -> str:
                bad: Any = asyncio.current_task()
                if what == "a number":
                    bad = give(42)
                elif what == "a bare future":
                    bad = give(asyncio.get_running_loop().create_future())
                elif what == "another loop's":
                    bad = other.create_future()
                with pytest.raises(RuntimeError):
                    await bad
                await anyio.sleep(1)
                return "went on"

            assert await ref.ask(Run(wait)) == "went on"
    finally:
        other.close()


async def test_what_it_waited_for_is_let_go_when_the_wait_is_over() -> None:
    """A result that the handler throws away is not kept until its end."""
    only_asyncio()

    class Large:
        pass

    async with ActorSystem() as system:
        ref = await warm(system)

        def deliver(future: asyncio.Future[Large]) -> None:
            future.set_result(Large())

        async def wait_for_it(worker: Worker) -> bool:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Large] = loop.create_future()
            loop.call_later(1, deliver, future)
            large = weakref.ref(await future)
            del future
            await anyio.sleep(1)
            return large() is None

        assert await ref.ask(Run(wait_for_it)) is True


# -- who is the present task, who is cancelled ----------------------------------------------------


@pytest.mark.parametrize("ending", ["answer", "refusal", "crash", "wait"])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_scope_of_an_asking_handler_is_cancelled_by_whom_it_asks(
    ending: str, goes_on: bool
) -> None:
    """The asking handler is cut short within its scope, and nothing of that is left behind."""
    unheard: list[BaseException] = []
    async with lossy(unheard) as system:
        asker, ref = await warm(system), await warm(system)

        async def ask(worker: Worker) -> tuple[bool, list[str]]:
            log: list[str] = []
            with anyio.CancelScope() as scope:

                async def strike(worker: Worker) -> None:
                    scope.cancel()
                    if ending == "refusal":
                        raise Refusal("no")
                    if ending == "crash":
                        raise KeyError("crash")
                    if ending == "wait":
                        await anyio.sleep(1)

                try:
                    await ref.ask(Run(strike))
                    log.append("went on")
                except Exception as error:
                    log.append(type(error).__name__)
            if goes_on:
                await anyio.sleep(1)
            return scope.cancelled_caught, log

        assert await asker.ask(Run(ask)) == (True, [])
        await anyio.sleep(2)
        assert await asker.ask(Run(nothing)) is None


@pytest.mark.parametrize("ending", ["answer", "refusal", "wait"])
async def test_a_scope_of_a_task_that_asks_is_cancelled_by_whom_it_asks(ending: str) -> None:
    """The asker's scope catches it, whatever the answer is; nothing of it is left behind."""
    async with ActorSystem() as system:
        ref = await warm(system)
        log: list[str] = []
        with anyio.CancelScope() as scope:

            async def strike(worker: Worker) -> None:
                scope.cancel()
                if ending == "refusal":
                    raise Refusal("no")
                if ending == "wait":
                    await anyio.sleep(1)

            try:
                await ref.ask(Run(strike))
                log.append("answered")
            except Refusal:
                log.append("refused")
        assert (scope.cancelled_caught, log) == (True, [])
        await anyio.sleep(2)
        assert await ref.ask(Run(nothing)) is None


async def test_a_cancellation_that_is_taken_back() -> None:
    """On Python 3.13, where `uncancel` takes a request back, it does so here."""
    only_asyncio()
    if sys.version_info < (3, 13):
        pytest.skip("a request cannot be taken back")
    async with ActorSystem() as system:
        ref = await warm(system)

        async def wait(worker: Worker) -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            task.uncancel()
            return "went on"

        assert await ref.ask(Run(wait)) == "went on"
        assert await ref.ask(Run(nothing)) is None


async def test_who_drives_a_coroutine_by_hand_may_ask() -> None:
    """An asker need not be a task: what calls `send` on a coroutine gets what it waits for."""
    only_asyncio()
    async with ActorSystem() as system:
        ref = await warm(system)
        done = anyio.Event()
        answers: list[Any] = []

        async def asking() -> None:
            answers.append(await ref.ask(Run(answer)))
            done.set()

        async def answer(worker: Worker) -> str:
            return "answered"

        work = asking()

        def drive(_: object = None) -> None:
            try:
                future = work.send(None)
            except StopIteration:
                return
            future._asyncio_future_blocking = False
            future.add_done_callback(drive)

        asyncio.get_running_loop().call_soon(drive)
        with anyio.fail_after(10):
            await done.wait()
        assert answers == ["answered"]
        assert await ref.ask(Run(nothing)) is None


async def test_locks_scopes_and_task_groups_span_the_first_wait() -> None:
    """What belongs to a task is the actor's: taken before the first wait, released after it."""
    async with ActorSystem() as system:
        ref = await warm(system)
        lock, limiter, semaphore = anyio.Lock(), anyio.CapacityLimiter(1), anyio.Semaphore(1)

        async def use(worker: Worker) -> str:
            token = TOKEN.set("set")
            async with lock, limiter, semaphore, anyio.create_task_group() as tasks:
                send, receive = anyio.create_memory_object_stream[int](0)
                tasks.start_soon(send.send, 3)
                with anyio.fail_after(5):
                    assert await receive.receive() == 3
                send.close()
                receive.close()
            TOKEN.reset(token)
            return TOKEN.get()

        assert await gather(*(ref.ask(Run(use)) for _ in range(3))) == ["unset"] * 3
        assert not lock.locked()
        assert limiter.borrowed_tokens == 0


@pytest.mark.parametrize("begun", [False, True])
async def test_a_task_group_whose_child_fails_at_once(begun: bool) -> None:
    """A failing child cancels the handler that waits in the group, and only there."""
    async with ActorSystem() as system:
        ref = await warm(system)

        async def fail() -> None:
            if begun:
                await anyio.lowlevel.checkpoint()
            raise KeyError("child")

        async def use(worker: Worker) -> str:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(fail)
                    await anyio.sleep_forever()
            except BaseExceptionGroup as group:
                await anyio.sleep(1)
                return str(group.exceptions)
            return ""

        assert await ref.ask(Run(use)) == "(KeyError('child'),)"
        assert await ref.ask(Run(nothing)) is None


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


# -- what is seen from outside --------------------------------------------------------------------


async def test_a_handler_that_hangs_at_its_first_wait_is_seen() -> None:
    """Whoever looks at a proc finds the handler that it hangs in."""

    async def hang(worker: Worker) -> None:
        await anyio.sleep_forever()

    async with ActorSystem() as system:
        child = await own(system, Worker)
        await child.ref.ask(Run(nothing))
        await settle()
        with anyio.move_on_after(1):
            await child.ref.ask(Run(hang))
        vitals = look(child)
        assert look(child).work == vitals.work is not None
        functions = [place.function for place in child.stack()]
        assert [vitals.activity, *functions[:2]] == [
            "handling Run",
            "Worker.run_it",
            hang.__qualname__,
        ]
        child.fail(TimeoutError("hangs"))
        assert isinstance(await child.ref.wait(), Crashed)


# -- what ends it ---------------------------------------------------------------------------------


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


async def test_hibernating_actors_are_asked_as_ever() -> None:
    """An actor that hibernates between two questions that wait answers both."""

    class Sleeper(Worker):
        hibernate_after = 0.5

    async with ActorSystem() as system:
        ref = await system.spawn(Sleeper)

        def wait(delay: float) -> Work:
            async def work(worker: Worker) -> float:
                await anyio.sleep(delay)
                return delay

            return work

        for delay in (0, 0.4, 0.5, 0.6, 3):
            for pause in (0, 0.499, 0.5, 0.501, 2):
                assert await ref.ask(Run(wait(delay))) == delay
                await anyio.sleep(pause)

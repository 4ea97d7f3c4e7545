"""Tests of `actors.backends`: what the engine asks of an event loop, on each of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.backends import Backend, Interrupted, InterruptibleTask, Waiter, current_backend
from actors.testing import backend_options, settle
from tests.kit.actors import fail

Work = Callable[[], Awaitable[object]]


def guarded(work: Work, log: list[object], after: Work | None = None) -> InterruptibleTask:
    """Run work in a task, and log how it ends; then run `after` in the same task."""

    async def main(task: InterruptibleTask) -> None:
        try:
            log.append(await task.guard(work()))
        except BaseException as error:
            log.append(error)
        log.append(task.hit)
        if after is not None:
            log.append(await task.guard(after()))

    return current_backend().start(main, "test")


async def sleep() -> object:
    """Wait for ever."""
    await anyio.sleep_forever()
    return None


def test_there_is_no_backend_outside_of_a_loop() -> None:
    """Outside of an event loop there is nothing to offer, which is a RuntimeError."""
    with pytest.raises(RuntimeError):
        current_backend()


@pytest.mark.core
async def test_the_backend_is_that_of_the_running_loop(anyio_backend_name: str) -> None:
    """Each loop has its own backend, that knows its name and its time."""
    backend = current_backend()
    assert backend.name == anyio_backend_name
    assert backend.now() == pytest.approx(anyio.current_time(), abs=0.1)


# -- waiters ---------------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("fails", [True, False])
async def test_a_waiter_gives_its_result(early: bool, fails: bool) -> None:
    """A waiter wakes its task with a value or an error, given before or while it waits."""
    backend = current_backend()
    waiter: Waiter[str] = backend.new_waiter()

    def wake() -> None:
        if fails:
            waiter.set_exception(KeyError("woken"))
        else:
            waiter.set_result("woken")

    if early:
        wake()
    else:
        backend.call_at(backend.now() + 0.001, wake)
    assert waiter.done() is early
    with pytest.raises(KeyError, match="woken") if fails else nullcontext():
        assert await waiter == "woken"
    assert waiter.done()


async def test_a_waiter_whose_task_was_cancelled_is_done() -> None:
    """Whoever wakes asks first: a waiter is done, too, when its task has gone."""
    waiter: Waiter[None] = current_backend().new_waiter()
    with anyio.move_on_after(1):
        await waiter
    assert waiter.done()


# -- timers ----------------------------------------------------------------------------------------


@pytest.mark.core
async def test_calls_are_made_in_order_and_never_early() -> None:
    """Calls are made at their times, the earliest first, and not when they were cancelled."""
    backend, log = current_backend(), list[tuple[str, float]]()
    begun = backend.now()
    for name, delay in (("c", 0.03), ("a", 0.01), ("x", 0.02), ("b", 0.02)):
        handle = backend.call_at(begun + delay, lambda name=name: log.append((name, backend.now())))
        if name == "x":
            handle.cancel()
            handle.cancel()
    await anyio.sleep(0.05)
    assert [name for name, _ in log] == ["a", "b", "c"]
    for (_, when), delay in zip(log, (0.01, 0.02, 0.03), strict=True):
        assert when >= begun + delay - 1e-6  # clocks count in floats


async def test_a_call_may_make_and_take_back_calls() -> None:
    """A call that is made may schedule another and cancel one that is due in the same turn."""
    backend, log = current_backend(), list[str]()
    due = backend.now() + 1

    def first() -> None:
        log.append("first")
        second.cancel()
        backend.call_at(backend.now(), lambda: log.append("third"))
        backend.call_at(backend.now() - 5, lambda: log.append("fourth"))

    backend.call_at(due, first)
    second = backend.call_at(due, lambda: log.append("second"))
    await anyio.sleep(2)
    assert sorted(log) == ["first", "fourth", "third"]


async def test_calls_that_were_all_taken_back_or_made_keep_no_task() -> None:
    """A call that was taken back is not waited for, and the next one is made all the same."""
    backend, log = current_backend(), list[str]()
    before = len(anyio.get_running_tasks())
    for _ in range(3):
        backend.call_at(backend.now() + 1, lambda: log.append("made"))
        backend.call_at(backend.now() + 1000, lambda: log.append("never")).cancel()
        await anyio.sleep(2)
        assert len(anyio.get_running_tasks()) == before
    assert log == ["made"] * 3


@given(
    calls=st.lists(st.tuples(st.integers(0, 50), st.integers(-1, 50)), max_size=60),
    name=st.sampled_from(["asyncio", "trio"]),
)
def test_any_calls_and_cancellations_are_kept_apart(
    calls: list[tuple[int, int]], name: str
) -> None:
    """Whatever is scheduled and cancelled when, exactly what was not cancelled in time is made."""
    made: dict[int, float] = {}

    async def main() -> None:
        backend = current_backend()
        begun = backend.now()
        for number, (due, cancelled) in enumerate(calls):
            handle = backend.call_at(
                begun + due, lambda number=number: made.update({number: backend.now() - begun})
            )
            if cancelled >= 0:
                backend.call_at(begun + cancelled + 0.5, handle.cancel)
        await anyio.sleep(100)

    backend, options = backend_options(name)  # type: ignore[arg-type]
    anyio.run(main, backend=backend, backend_options=options)
    assert made == {
        number: due
        for number, (due, cancelled) in enumerate(calls)
        if cancelled < 0 or cancelled + 0.5 > due
    }


# -- interruptible tasks -----------------------------------------------------------------------


@pytest.mark.core
async def test_an_interrupt_ends_what_is_guarded_and_nothing_else() -> None:
    """Interrupted code leaves guard with Interrupted; the task goes on and can wait again."""

    async def after() -> str:
        await anyio.sleep(0.01)
        return "after"

    log: list[object] = []
    task = guarded(sleep, log, after)
    await settle()
    task.interrupt()
    task.interrupt()
    await anyio.sleep(0.05)
    assert isinstance(log[0], Interrupted)
    assert log[1:] == [True, "after"]


async def test_an_interrupt_before_or_after_does_nothing() -> None:
    """Nothing happens when nothing runs in guard."""

    async def short() -> str:
        await anyio.sleep(1)
        return "done"

    log: list[object] = []
    task = guarded(short, log)
    task.interrupt()
    await anyio.sleep(2)
    task.interrupt()
    await settle()
    assert not task.hit
    assert log == ["done", False]


async def test_code_that_interrupts_itself_and_returns_leaves_no_trace() -> None:
    """An interrupt from within, without another await, does not reach what comes after."""
    tasks: list[InterruptibleTask] = []

    async def own() -> str:
        tasks[0].interrupt()
        return "returned"

    async def after() -> str:
        await anyio.sleep(1)
        return "after"

    log: list[object] = []
    tasks.append(guarded(own, log, after))
    await anyio.sleep(2)
    assert log == ["returned", True, "after"]


async def test_a_task_is_out_of_reach_of_its_starter() -> None:
    """The cancellation of whoever starts a task does not reach the task."""
    log: list[object] = []

    async def short() -> str:
        await anyio.sleep(1)
        return "done"

    with anyio.CancelScope() as scope:
        guarded(short, log)
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    await anyio.sleep(2)
    assert log == ["done", False]


async def test_guarded_code_may_use_timeouts_and_groups() -> None:
    """After an interrupt of code in nested scopes, all timeouts work as ever, asyncio's own too."""

    async def nested() -> None:
        with anyio.move_on_after(100):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                await anyio.sleep_forever()

    async def after() -> bool:
        with anyio.move_on_after(1) as scope:
            await anyio.sleep_forever()
        if current_backend().name == "asyncio":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.sleep(10)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
        return scope.cancelled_caught

    log: list[object] = []
    task = guarded(nested, log, after)
    await settle()
    task.interrupt()
    await anyio.sleep(10)
    assert isinstance(log[0], Interrupted)
    assert log[1:] == [True, True]


# -- outlasting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", [False, True])
async def test_outlast_waits_through_a_cancellation(native: bool, anyio_backend_name: str) -> None:
    """Outlasting ends when what it waits for has come; native cancellations are told and owed."""
    if native and anyio_backend_name == "trio":
        pytest.skip("trio cancels scopes alone")
    backend, scope = current_backend(), anyio.CancelScope()
    waiters: list[Waiter[None]] = []
    log: list[object] = []

    def arm(waiter: Waiter[None]) -> bool:
        waiters.append(waiter)
        return True

    async def own() -> None:
        with scope:
            log.append(await backend.outlast(arm, lambda: log.append("told")))
            await anyio.lowlevel.checkpoint()
            log.append("went on")

    async with anyio.create_task_group() as group:
        if native:
            owner = asyncio.ensure_future(own())
        else:
            group.start_soon(own)
        for _ in range(2):
            await settle()
            (owner if native else scope).cancel()
        await settle()
        assert log == (["told"] * 2 if native else [])
        waiters[-1].set_result(None)
    await settle()
    assert log == (["told", "told", True, "went on"] if native else [False])


async def test_outlast_waits_for_nothing_that_is_past() -> None:
    """When there is nothing left to wait for, outlast returns at once."""
    assert not await current_backend().outlast(lambda waiter: False, fail)


# -- other threads ---------------------------------------------------------------------------------


@pytest.mark.real_time
@pytest.mark.core
async def test_a_call_from_another_thread_is_made_in_the_loops_own() -> None:
    """`call_soon_threadsafe` runs the call in the loop's thread and says that it will."""
    backend, done = current_backend(), anyio.Event()
    seen: list[object] = []

    def call() -> None:
        seen.append(threading.get_ident())
        done.set()

    thread = threading.Thread(target=lambda: seen.append(backend.call_soon_threadsafe(call)))
    thread.start()
    with anyio.fail_after(5):
        await done.wait()
    thread.join()
    assert sorted(map(str, seen)) == sorted(["True", str(threading.get_ident())])


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_a_call_to_a_loop_that_has_closed_is_refused(name: str) -> None:
    """After the loop has closed, `call_soon_threadsafe` returns False and calls nothing."""
    found: list[Backend] = []

    async def main() -> None:
        found.append(current_backend())

    anyio.run(main, backend=name)
    assert found[0].call_soon_threadsafe(fail) is False


async def test_a_checkpoint_lets_others_run() -> None:
    """Every task that is ready has its turn at a checkpoint, or at the next one on trio."""
    seen: list[int] = []

    async def other(number: int) -> None:
        seen.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(other, number)
        for _ in range(2):
            await current_backend().checkpoint()
        assert sorted(seen) == [0, 1, 2]


@pytest.mark.real_time
def test_no_timer_is_early_on_uvloop() -> None:
    """Uvloop counts in milliseconds; a timer waits all the same until its time has come."""
    pytest.importorskip("uvloop")
    early: list[float] = []

    async def main() -> None:
        backend = current_backend()

        def ring(due: float, loops: float) -> None:
            early.append(max(due - time.monotonic(), loops - anyio.current_time()))

        for number in range(40):
            delay = 0.0007 * number
            loops = anyio.current_time() + delay
            due = backend.now() + delay
            backend.call_at(due, partial(ring, due, loops))
        backend.call_at(backend.now() + 0.01, lambda: early.append(1.0)).cancel()
        await anyio.sleep(0.045)

    anyio.run(main, backend_options={"use_uvloop": True})
    assert len(early) == 40
    assert max(early) <= 0


# -- blocks ----------------------------------------------------------------------------------------


async def test_a_block_of_trio_belongs_to_the_task_that_entered_it(
    anyio_backend_name: str,
) -> None:
    """On trio another task that leaves a block is told so, and the block goes on unharmed."""
    if anyio_backend_name != "trio":
        pytest.skip("on asyncio another task may leave it")
    block, left, over = current_backend().block(), anyio.Event(), list[str]()

    async def host() -> None:
        with block:
            await left.wait()
            over.append("unharmed")
            block.cancel()
            await anyio.sleep_forever()
        over.append("left")

    async with anyio.create_task_group() as group:
        group.start_soon(host)
        await settle()
        with pytest.raises(RuntimeError, match="entered in one task and left in another"):
            block.__exit__(None, None, None)
        left.set()
    assert over == ["unharmed", "left"]

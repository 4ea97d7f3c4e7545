"""Tests of `actors.cancellation`: tokens, their children, waiting, scopes, and other threads."""

from __future__ import annotations

import gc
import signal
import threading
import time
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import ActorSystem, CancellationToken, Proc, Shutdown
from actors.testing import settle
from tests.kit.actors import raising


def test_a_token_is_cancelled_once() -> None:
    """The first reason stays, and is there before anybody is called; its text tells of it."""
    token, seen = CancellationToken(), list[object]()
    token.on_cancel(lambda: seen.append((token.cancelled, token.reason)))
    assert (token.cancelled, token.reason) == (False, None)
    assert repr(token) == "<CancellationToken live>"
    token.cancel("first")
    token.cancel("second")
    assert seen == [(True, "first")]
    assert (token.cancelled, token.reason) == (True, "first")
    assert repr(token) == "<CancellationToken cancelled: first>"


def test_calls_come_in_the_order_of_registration() -> None:
    """What was registered first is called first; what was taken back is not called."""
    token, calls = CancellationToken(), list[int]()
    takes = [token.on_cancel(partial(calls.append, number)) for number in range(5)]
    takes[1]()
    takes[1]()
    token.cancel()
    takes[2]()
    assert calls == [0, 2, 3, 4]


def test_a_late_registration_is_called_at_once() -> None:
    """What is registered while the token is being cancelled, or after it, is called, too."""
    token, calls = CancellationToken(), list[str]()
    token.on_cancel(lambda: (calls.append("one"), token.on_cancel(lambda: calls.append("two"))))
    token.cancel()
    token.on_cancel(lambda: calls.append("late"))
    assert calls == ["one", "two", "late"]


def test_cancelling_reaches_down_and_never_up() -> None:
    """A token cancels its children, early or late, with its reason, never parent or siblings."""
    root = CancellationToken()
    left, right = root.child(), root.child()
    leaf = left.child()
    left.cancel("left")
    assert [token.cancelled for token in (root, left, right, leaf)] == [False, True, False, True]
    root.cancel("root")
    family = (root, left, right, leaf, root.child(), left.child())
    assert [token.reason for token in family] == ["root", "left", "root", "left", "root", "left"]


def test_a_parent_does_not_keep_its_children() -> None:
    """Children that nobody holds leave nothing behind in their parent."""
    token = CancellationToken()
    for _ in range(1000):
        token.child()
    kept = token.child()
    gc.collect()
    assert len(token._calls) == 1
    token.cancel()
    assert kept.cancelled


def test_a_deep_family_is_cancelled() -> None:
    """A chain of some hundred tokens, those between held by nobody, is cancelled to its end."""
    root = token = CancellationToken()
    for _ in range(300):
        token = token.child()
    gc.collect()
    root.cancel("deep")
    assert token.reason == "deep"


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30), st.data())
def test_a_family_of_any_shape_is_cancelled_downwards(
    shape: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Exactly the cancelled tokens and their descendants are cancelled."""
    tokens, parents = [CancellationToken()], [0]
    cancelled: set[int] = set()
    for choice, cancel in shape:
        parent = choice % len(tokens)
        tokens.append(tokens[parent].child())
        parents.append(parent)
        if cancel:
            target = data.draw(st.integers(0, len(tokens) - 1))
            tokens[target].cancel(target)
            cancelled.add(target)

    def reached(index: int) -> bool:
        return index in cancelled or (index > 0 and reached(parents[index]))

    assert [token.cancelled for token in tokens] == [reached(i) for i in range(len(tokens))]


# -- waiting ---------------------------------------------------------------------------------------


@pytest.mark.core
async def test_waiting_ends_with_the_cancellation() -> None:
    """`await token` and `token.wait()` return when the token is cancelled, for all who wait."""
    token = CancellationToken()
    woken: list[int] = []

    async def wait(number: int) -> None:
        await (token if number % 2 else token.wait())
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(wait, number)
        await settle()
        assert woken == []
        token.cancel()
    assert sorted(woken) == list(range(6))


async def test_waiting_for_a_cancelled_token_is_a_checkpoint() -> None:
    """Waiting for a token that is cancelled lets others run, and can itself be cancelled."""
    token, seen = CancellationToken(), list[str]()
    token.cancel()

    async def other() -> None:
        seen.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await token
        await token
        assert seen == ["other"]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await token
        seen.append("never")
    assert seen == ["other"]


@pytest.mark.parametrize("order", [["scope"], ["token", "scope"], ["scope", "token"]])
async def test_a_cancelled_wait_leaves_nothing(order: list[str]) -> None:
    """The end of a waiting task, also in the turn of the token's own, leaves nothing behind."""
    token, scope = CancellationToken(), anyio.CancelScope()

    async def wait() -> None:
        with scope:
            await token

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await settle()
        for name in order:
            (token if name == "token" else scope).cancel()
    assert token.cancelled == ("token" in order)
    assert token._calls == {}


# -- scopes ----------------------------------------------------------------------------------------


@pytest.mark.core
async def test_the_body_of_a_scope_is_cancelled_with_the_token() -> None:
    """The block is cancelled when the token is, and the code after it goes on."""
    token = CancellationToken()
    log: list[str] = []
    async with anyio.create_task_group() as group:

        async def work() -> None:
            async with token.scope() as same:
                assert same is token
                try:
                    await anyio.sleep_forever()
                finally:
                    log.append("cancelled")
            await anyio.lowlevel.checkpoint()
            log.append("after")

        group.start_soon(work)
        await settle()
        token.cancel()
    assert log == ["cancelled", "after"]


async def test_a_scope_that_was_left_hears_nothing() -> None:
    """A token that is cancelled after the block has no effect on the task, and keeps nothing."""
    token = CancellationToken()
    async with token.scope():
        await anyio.lowlevel.checkpoint()
    assert token._calls == {}
    token.cancel()
    await anyio.sleep(1)


async def test_a_scope_of_a_cancelled_token_is_cancelled_at_its_first_wait() -> None:
    """The block begins, and ends at its first await."""
    token, log = CancellationToken(), list[str]()
    token.cancel()
    async with token.scope():
        log.append("begun")
        await anyio.sleep(1)
        log.append("never")
    assert log == ["begun"]


async def test_scopes_nest() -> None:
    """The token of an inner scope ends the inner block alone, that of an outer one both."""
    outer, log = CancellationToken(), list[str]()
    inner = outer.child()
    async with outer.scope():
        async with inner.scope():
            inner.cancel()
            await anyio.sleep_forever()
        log.append("between")
        await anyio.lowlevel.checkpoint()
        outer.cancel()
        await anyio.sleep_forever()
    log.append("after")
    assert log == ["between", "after"]


async def test_a_cancellation_from_elsewhere_passes_through() -> None:
    """A scope of a token takes in its own cancellation alone."""
    token = CancellationToken()
    with anyio.move_on_after(1) as around:
        async with token.scope():
            await anyio.sleep_forever()
        pytest.fail("it was taken in")
    assert around.cancelled_caught
    assert not token.cancelled


@pytest.mark.parametrize("cancel", [False, True])
async def test_an_error_passes_through_a_scope(cancel: bool) -> None:
    """What the block raises comes out, cancelled or not."""
    token = CancellationToken()
    with raising(ValueError):
        async with token.scope():
            if cancel:
                token.cancel()
            raise ValueError("own")


# -- other threads ---------------------------------------------------------------------------------


@pytest.mark.real_time
@pytest.mark.core
async def test_a_token_is_cancelled_from_another_thread() -> None:
    """A wait, a scope and a child of this loop end when another thread cancels."""
    token, log = CancellationToken(), list[str]()

    async def wait() -> None:
        await token.child()
        log.append("waited")

    async def work() -> None:
        async with token.scope():
            await anyio.sleep_forever()
        log.append("left")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(work)
            await settle()
            await anyio.to_thread.run_sync(token.cancel, "thread")
    assert sorted(log) == ["left", "waited"]
    assert token.reason == "thread"


@pytest.mark.real_time
async def test_the_token_of_a_proc_is_cancelled_from_another_thread() -> None:
    """A proc whose token is cancelled by another thread stops like one that was told."""

    class Waiting(Proc[object]):
        async def run(self, shutdown: CancellationToken) -> None:
            await shutdown

    proc = Waiting()
    with anyio.fail_after(5):
        async with ActorSystem() as system:
            ref = await system.spawn(lambda: proc)
            await anyio.to_thread.run_sync(proc.context.shutdown.cancel)
            assert await ref.wait() == Shutdown()


def test_many_threads_cancel_and_register_at_once() -> None:
    """Whatever threads do at the same time, every registration is called exactly once."""
    for _ in range(30):
        token = CancellationToken()
        calls: list[int] = []
        start = threading.Barrier(6)

        def register(token: CancellationToken, calls: list[int], start: threading.Barrier) -> None:
            start.wait()
            for _ in range(50):
                token.on_cancel(lambda: calls.append(1))

        def cancel(token: CancellationToken, start: threading.Barrier) -> None:
            start.wait()
            time.sleep(0.0002)
            token.cancel()

        threads = [
            *(threading.Thread(target=register, args=(token, calls, start)) for _ in range(4)),
            *(threading.Thread(target=cancel, args=(token, start)) for _ in range(2)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(calls) == 200
        assert token._calls == {}


@pytest.mark.real_time
async def test_a_thread_that_cancels_after_the_wait_was_given_up() -> None:
    """A cancellation that crosses the end of the wait does no harm."""
    for _ in range(50):
        token = CancellationToken()
        thread = threading.Thread(target=token.cancel)
        with anyio.move_on_after(0.0005):
            async with token.scope():
                thread.start()
                await token
        if thread.ident is not None:
            thread.join()
    await anyio.sleep(0.01)


@pytest.mark.real_time
async def test_a_token_is_cancelled_by_a_signal_handler() -> None:
    """A signal handler may cancel a token: it takes no lock."""
    token = CancellationToken()
    before = signal.signal(signal.SIGUSR1, lambda *_: token.cancel("signal"))
    try:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(token.wait)
                await settle()
                signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert token.reason == "signal"


def test_a_call_that_raises_keeps_nobody_from_hearing() -> None:
    """All that was registered is called, also after one that raises, and then that is raised."""
    token, heard = CancellationToken(), list[str]()
    missing: dict[str, None] = {}
    token.on_cancel(lambda: missing["here"])
    child = token.child()
    token.on_cancel(lambda: heard.append("last"))
    with pytest.raises(KeyError):
        token.cancel("enough")
    assert heard == ["last"]
    assert child.cancelled


async def test_a_crowd_is_woken_in_slices() -> None:
    """However many wait for a token, others have their turn while these are woken, in order."""
    token, woken, turns = CancellationToken(), list[int](), [0]

    async def wait(number: int) -> None:
        await token
        woken.append(turns[0])

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(wait, number)
        await settle()
        token.cancel()
        while len(woken) < 1000:
            turns[0] += 1
            await anyio.lowlevel.checkpoint()
    assert max(woken.count(turn) for turn in woken) <= 256

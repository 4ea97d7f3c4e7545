"""Tests of `actors.threads`: actors that are reached from other threads, in real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
import pytest

from actors import (
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Mailbox,
    ProcExited,
    SystemClosed,
    ThreadsafeRef,
)
from actors.testing import settle
from tests.kit.actors import Ask, Doer, Note, pair
from tests.kit.errors import No

pytestmark = [pytest.mark.real_time, pytest.mark.core]


async def in_thread(call: Callable[..., object], *arguments: object) -> object:
    """Run a call in another thread, for a few seconds at most."""
    with anyio.fail_after(10):
        return await anyio.to_thread.run_sync(partial(call, *arguments), abandon_on_cancel=True)


async def test_messages_of_a_thread_arrive_in_order() -> None:
    """Messages of one thread are handled in the order in which it sent them."""
    async with ActorSystem() as system:
        one = await pair(system)
        handle = system.threadsafe(one.ref)

        def send() -> None:
            for number in range(200):
                handle.tell(Note(str(number)))

        await in_thread(send)
        await one.ref.ask(Ask(lambda _: None))
        assert one.log == [str(number) for number in range(200)]
        assert handle.ref == one.ref


async def test_threads_ask_and_get_answers() -> None:
    """Several threads ask at the same time, and each gets its own answer."""
    async with ActorSystem() as system:
        one = await pair(system)
        handle = system.threadsafe(one.ref)
        answers: dict[int, object] = {}

        def ask(number: int) -> None:
            answers[number] = handle.ask(Ask(lambda _: number * 2))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(in_thread, ask, number)
        assert answers == {number: number * 2 for number in range(10)}


@pytest.mark.dead_letters
async def test_a_thread_gets_the_errors_of_an_ask() -> None:
    """A refusal, a timeout, a crash and an end reach the thread as they reach any asker."""

    def refuse(_: object) -> None:
        raise No("no")

    async with ActorSystem() as system:
        one = await pair(system)
        handle = system.threadsafe(one.ref)
        with pytest.raises(No):
            await in_thread(handle.ask, Ask(refuse))
        with pytest.raises(AskTimeout):
            await in_thread(partial(handle.ask, timeout=0.01), Ask(lambda _: anyio.sleep(0.04)))
        with pytest.raises(ProcExited) as caught:
            await in_thread(handle.ask, Ask(lambda _: {}["missing"]))
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(ProcExited):
            await in_thread(handle.ask, Ask(refuse))


async def test_a_wrong_message_is_refused_in_the_thread() -> None:
    """A message that the actor does not take raises TypeError at the thread's own call."""
    async with ActorSystem() as system:
        one = await pair(system)
        handle: ThreadsafeRef[object] = system.threadsafe(one.ref)
        for call in (handle.tell, handle.ask):
            with pytest.raises(TypeError, match="does not accept str"):
                await in_thread(call, "text")


async def test_a_full_mailbox_makes_a_dead_letter(dead_letters: list[DeadLetter]) -> None:
    """A thread's tell that finds no room is a dead letter: there is nobody to raise to."""
    async with ActorSystem() as system:
        one = await pair(system, mailbox=Mailbox(capacity=1))
        handle = system.threadsafe(one.ref)
        release = anyio.Event()

        async def wait(self: Doer) -> None:
            await release.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(one.ref.ask, Ask(wait))
            await settle()
            await in_thread(lambda: [handle.tell(Note(text)) for text in "ab"])
            await settle()
            release.set()
        await one.ref.ask(Ask(lambda _: None))
        assert one.log == ["a"]
        assert [letter.message for letter in dead_letters] == [Note("b")]


@pytest.mark.dead_letters
async def test_a_tell_to_an_ended_actor_is_a_dead_letter(dead_letters: list[DeadLetter]) -> None:
    """A thread may tell an address that has ended, as anybody may."""
    async with ActorSystem() as system:
        one = await pair(system)
        handle = system.threadsafe(one.ref)
        await one.ref.shutdown()
        await in_thread(handle.tell, Note("late"))
        await settle()
        assert [letter.message for letter in dead_letters] == [Note("late")]


async def test_asking_in_the_loops_own_thread_is_refused() -> None:
    """In the thread of the event loop a blocking ask would block for ever, so it raises."""
    async with ActorSystem() as system:
        one = await pair(system)
        with pytest.raises(RuntimeError, match="would block the event loop"):
            system.threadsafe(one.ref).ask(Ask(lambda _: None))


async def test_telling_in_the_loops_own_thread_is_fine() -> None:
    """`tell` of the handle works in any thread, the loop's own included."""
    async with ActorSystem() as system:
        one = await pair(system)
        system.threadsafe(one.ref).tell(Note("here"))
        await settle()
        assert one.log == ["here"]


async def test_a_bare_tell_from_another_thread_arrives() -> None:
    """A `tell` of a ref from another thread wakes the receiver through its event loop."""
    async with ActorSystem() as system:
        one = await pair(system)
        await in_thread(one.ref.tell, Note("there"))
        await anyio.sleep(0.03)
        assert one.log == ["there"]


@pytest.mark.parametrize("method", ["tell", "ask"])
def test_a_loop_that_has_gone_is_said_so(method: str) -> None:
    """A thread that uses the handle after the event loop has closed gets SystemClosed."""
    handles: list[ThreadsafeRef[object]] = []

    async def main() -> None:
        async with ActorSystem("shop") as system:
            handles.append(system.threadsafe((await pair(system)).ref))

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
    errors: list[str] = []

    def use() -> None:
        for handle in handles:
            try:
                getattr(handle, method)(Ask(lambda _: None))
            except SystemClosed as error:
                errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(10)
    assert errors == ["actor system 'shop' has gone with its event loop"] * 2


@pytest.mark.dead_letters
async def test_a_thread_may_still_send_while_the_system_is_left() -> None:
    """Threads that tell and ask while the system closes get an answer or an error, and no hang."""
    outcomes: list[str] = []

    def work(handle: ThreadsafeRef[object], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                handle.tell(Note("x"))
                handle.ask(Ask(lambda _: 1))
                outcomes.append("answer")
            except ProcExited:
                outcomes.append("exited")
                return

    stop = threading.Event()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, ActorSystem() as system:
            handle = system.threadsafe((await pair(system)).ref)
            for _ in range(3):
                group.start_soon(anyio.to_thread.run_sync, work, handle, stop)
            await anyio.sleep(0.03)
    assert outcomes.count("exited") == 3

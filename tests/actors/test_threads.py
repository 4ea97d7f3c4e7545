"""Tests of `actors.threads`: actors that are reached from other threads, in real time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from actors import (
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Mailbox,
    NoReply,
    Overflow,
    ProcExited,
    Reply,
    SystemClosed,
    ThreadsafeRef,
)
from actors.testing import settle
from tests.kit.actors import Ask, Doer, Later, Note, Pair, pair
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


@pytest.mark.parametrize("overflow", [Overflow.WAIT, Overflow.RAISE])
async def test_a_full_mailbox_makes_a_dead_letter(
    dead_letters: list[DeadLetter], overflow: Overflow
) -> None:
    """A thread's tell that finds no room is a dead letter: there is nobody to raise to."""
    async with ActorSystem() as system:
        one = await pair(system, mailbox=Mailbox(capacity=1, overflow=overflow))
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


async def test_a_bare_ref_is_refused_in_another_thread() -> None:
    """What a ref, a context or the system does in another thread raises, and changes nothing."""
    async with ActorSystem() as system:
        one = await pair(system)
        bounded = await pair(system, mailbox=Mailbox(capacity=1))
        context = one.actor.context
        ref = one.ref
        for call in (
            lambda: ref.tell(Note("there")),
            lambda: bounded.ref.tell(Note("there")),
            ref.stop,
            ref.kill,
            context.stop,
            system.kill,
            lambda: context.send_after(0, Note("there")),
            lambda: context.monitor(ref),
            lambda: context.link(bounded.ref),
            lambda: system.monitor(ref, print),
            *(
                partial(asyncio.run, call())
                for call in (
                    lambda: ref.ask(Ask(lambda _: 1)),
                    lambda: ref.ask(Ask(lambda _: anyio.lowlevel.checkpoint())),
                    lambda: ref.send(Note("there")),
                    ref.wait,
                    ref.shutdown,
                    lambda: system.spawn(Doer),
                    lambda: context.spawn(Doer),
                )
            ),
        ):
            with pytest.raises(RuntimeError, match=r"system\.threadsafe"):
                await in_thread(call)
        assert await one.ref.ask(Ask(lambda _: 42)) == 42
        assert one.log == bounded.log == []


def test_a_ref_is_refused_in_another_loop_of_its_thread() -> None:
    """An ask in a second event loop that would wait is refused, and its request is not handled."""
    system, handled = ActorSystem(), list[object]()

    async def enter() -> Pair:
        await system.__aenter__()
        return await pair(system)

    async def sleeps(doer: Doer) -> None:
        handled.append(doer)
        await anyio.lowlevel.checkpoint()

    with asyncio.Runner() as home, asyncio.Runner() as other:
        one = home.run(enter())
        with pytest.raises(RuntimeError, match=r"system\.threadsafe"):
            other.run(one.ref.ask(Ask(sleeps)))
        home.run(one.ref.ask(Ask(lambda _: None)))
        home.run(system.__aexit__(None, None, None))
    assert not handled


async def test_a_handle_is_made_in_any_thread() -> None:
    """A handle belongs to the loop of its ref's system, whichever thread made it."""
    async with ActorSystem() as system:
        one = await pair(system)
        assert await in_thread(lambda: system.threadsafe(one.ref).ask(Ask(lambda _: 42))) == 42
        handle = await anyio.to_thread.run_sync(system.threadsafe, one.ref)
        with pytest.raises(RuntimeError, match="would block the event loop"):
            handle.ask(Ask(lambda _: None))


async def test_a_thread_gets_an_error_unchanged() -> None:
    """Whatever error a handler answers with, a thread is raised that very one."""

    class Base(BaseException):
        pass

    def answer(error: Any, _: Doer, reply: Reply[object]) -> None:
        reply.fail(error)

    async with ActorSystem() as system:
        ref = (await pair(system)).ref
        for error in (KeyError("ada"), TimeoutError("own"), Base("odd")):
            with pytest.raises(type(error)) as caught:
                await in_thread(system.threadsafe(ref).ask, Later(partial(answer, error)))
            assert caught.value is error


async def test_a_reply_goes_home_from_any_thread() -> None:
    """A reply that another thread gives, or drops, reaches its asker at once."""
    async with ActorSystem() as system:
        ref = (await pair(system)).ref

        def elsewhere(
            call: Callable[[list[Reply[int]]], object], _: Doer, reply: Reply[int]
        ) -> None:
            held = [reply]
            threading.Timer(0.005, call, [held]).start()

        assert await ref.ask(Later(partial(elsewhere, lambda held: held[0].send(42)))) == 42
        with pytest.raises(NoReply), anyio.fail_after(2):
            await ref.ask(Later(partial(elsewhere, lambda held: held.clear())), timeout=None)


def test_an_answer_may_come_while_the_thread_looks_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes between a thread's look at the clock and at the loop is returned."""

    class Late(Future[object]):
        def result(self, timeout: float | None = None) -> object:
            if timeout is None:
                return super().result()
            super().result()
            raise TimeoutError

    async def main() -> object:
        async with ActorSystem() as system:
            one = await pair(system)
            return await in_thread(system.threadsafe(one.ref).ask, Ask(lambda _: 42))

    monkeypatch.setattr("concurrent.futures.Future", Late)
    assert anyio.run(main) == 42


@pytest.mark.dead_letters
@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop"])
def test_threads_go_on_asking_while_the_loop_closes(backend: str) -> None:
    """What comes while the loop closes is an error of an actor for the thread, and nothing else."""
    odd: list[BaseException] = []

    def work(handle: ThreadsafeRef[object], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                handle.ask(Ask(lambda _: anyio.lowlevel.checkpoint()), timeout=2.0)
            except (ProcExited, SystemClosed):
                pass
            except BaseException as error:
                odd.append(error)

    async def main(threads: list[threading.Thread], stop: threading.Event) -> None:
        async with ActorSystem() as system:
            handle = system.threadsafe((await pair(system)).ref)
            for _ in range(4):
                threads.append(threading.Thread(target=work, args=(handle, stop), daemon=True))
                threads[-1].start()
            await anyio.sleep(0.01)

    for _ in range(5):
        threads, stop = list[threading.Thread](), threading.Event()
        options = {"use_uvloop": True} if backend == "uvloop" else {}
        name = "trio" if backend == "trio" else "asyncio"
        anyio.run(main, threads, stop, backend=name, backend_options=options)
        stop.set()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
    assert not odd


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

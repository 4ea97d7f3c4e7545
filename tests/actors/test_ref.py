"""Tests of `actors.ref`: addresses, their order of mail, and command over the proc behind them."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Child,
    Crashed,
    DeadLetter,
    DeadLetterKind,
    DeadLetterReason,
    Exited,
    ExitReason,
    Killed,
    NoProc,
    Normal,
    Proc,
    ProcExited,
    Ref,
    Shutdown,
    on,
    task,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Ask, Do, Doer, Note, Trapper, fail, forever, pair

GET = Ask(lambda self: len(self.log))


class Sticky(Proc[Note]):
    """Do not react to being told to stop."""

    async def run(self, shutdown: CancellationToken) -> None:
        await anyio.sleep_forever()


# -- an address ------------------------------------------------------------------------------------


def test_a_ref_has_no_public_constructor() -> None:
    """`Ref()` raises TypeError and says where refs come from."""
    with pytest.raises(TypeError, match=r"^a Ref has no public constructor; spawn returns one$"):
        Ref[Note]()


async def test_refs_compare_and_hash_by_address() -> None:
    """Refs are equal and hash alike when they are of one address, which a path may outlive."""
    async with ActorSystem() as system:
        one, two = await system.spawn(Doer, id="one"), await system.spawn(Doer, id="two")
        again = system.find("/one")
        assert one == again
        assert hash(one) == hash(again)
        assert one != two
        assert one != "/one"
        assert {one: 1, again: 2, two: 3} == {one: 2, two: 3}
        await one.shutdown()
        second = await system.spawn(Doer, id="one")
        assert (second.path, second == one) == ("/one", False)
        assert (one.is_alive, second.is_alive) == (False, True)


async def test_a_ref_shows_its_path() -> None:
    """A path names each owner from the system down, and is what a ref prints as."""
    async with ActorSystem() as system:
        shop = await system.spawn(Doer, id="shop")
        found: list[Ref[Any]] = []

        async def spawn(self: Doer) -> None:
            found.append(await self.context.spawn(Doer, id="3"))

        shop.tell(Do(spawn))
        await settle()
        assert (shop.path, found[0].path) == ("/shop", "/shop/3")
        assert repr(found[0]) == "<Ref /shop/3>"


async def test_a_ref_cannot_be_pickled() -> None:
    """Pickling a ref raises TypeError with its path, for it means nothing elsewhere."""
    async with ActorSystem() as system:
        ref = await system.spawn(Doer, id="one")
        with pytest.raises(
            TypeError, match=r"^<Ref /one> is an address of this process and cannot be pickled$"
        ):
            pickle.dumps(Note(ref))


# -- order and number ------------------------------------------------------------------------------


Plan = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["tell", "send", "crash", "yield"])), max_size=40
)


class Owner(Actor[Do]):
    """Keep one child alive: start it again whenever it ends."""

    def __init__(self, start: Callable[[], Doer]) -> None:
        self.start = start

    async def on_start(self) -> None:
        self.child: Child[Note | Do] = self.context.child("worker")
        await self.child.start(self.start)

    async def on_exit(self, exited: Exited) -> None:
        await self.child.start(self.start)

    @on(Do)
    def do(self, message: Do) -> None:
        """Do it."""
        message.act(self)


@pytest.mark.dead_letters
@settings(max_examples=60)
@given(plan=Plan)
async def test_one_senders_messages_arrive_in_order_and_at_most_once(
    plan: list[tuple[int, str]],
) -> None:
    """Whatever senders do and however often the receiver crashes, each one's order is kept."""
    seen: list[tuple[int, int]] = []

    async def sender(name: int, ref: Ref[Note | Do]) -> None:
        for number, (who, what) in enumerate(plan):
            if who != name:
                continue
            if what == "tell":
                ref.tell(Note((name, number)))
            elif what == "send":
                await ref.send(Note((name, number)))
            elif what == "crash":
                ref.tell(Do(fail))
            else:
                await anyio.lowlevel.checkpoint()

    async with ActorSystem() as system:
        await system.spawn(partial(Owner, partial(Doer, seen)), id="owner")
        ref: Any = system.find("/owner/worker")
        async with anyio.create_task_group() as tasks:
            for name in range(3):
                tasks.start_soon(sender, name, ref)
        await settle()
    sent = [(who, number) for number, (who, what) in enumerate(plan) if what in ("tell", "send")]
    for name in range(3):
        # Only the message in hand is lost at a crash, and that is the crash itself.
        assert [entry for entry in seen if entry[0] == name] == [
            entry for entry in sent if entry[0] == name
        ]


# -- an address that has ended, or is down ---------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda ref: ref.stop(), "normal"),
        (lambda ref: ref.kill(), "killed"),
        (lambda ref: ref.tell(Do(fail)), "crashed: ValueError: broken"),
    ],
    ids=["stop", "kill", "crash"],
)
async def test_mail_to_an_address_that_has_ended(
    end: Callable[[Ref[Any]], None], why: str, dead_letters: list[DeadLetter]
) -> None:
    """To an ended address `tell` and `send` are dead letters with a reason, and `ask` raises."""
    async with ActorSystem() as system:
        ref = await system.spawn(Doer, id="one")
        system.monitor(ref, lambda down: None)
        end(ref)
        reason = await ref.wait()
        assert await ref.wait() == await ref.shutdown() == reason
        dead_letters.clear()
        ref.tell(Note(1))
        await ref.send(Note(2))
        ended = DeadLetterReason(DeadLetterKind.ENDED, why)
        assert dead_letters == [DeadLetter(ref, Note(number), ended) for number in (1, 2)]
        with pytest.raises(ProcExited) as raised:
            await ref.ask(GET)
        assert str(raised.value) == f"/one ended before it answered Ask: {why}"
        assert raised.value.reason == reason
        assert len(dead_letters) == 2


async def test_a_ref_outlives_its_system(dead_letters: list[DeadLetter]) -> None:
    """After the system was left, `tell` is a dead letter, `ask` raises, and nothing is alive."""
    async with ActorSystem() as system:
        ref = await system.spawn(Doer)
    ref.tell(Note(1))
    assert [letter.message for letter in dead_letters] == [Note(1)]
    with pytest.raises(ProcExited):
        await ref.ask(GET)
    ref.stop()
    ref.kill()
    assert await ref.wait() == await ref.shutdown() == Shutdown()
    assert not ref.is_alive


# -- stop, shutdown, kill, wait --------------------------------------------------------------------


async def test_stop_lets_the_queue_be_handled_first(dead_letters: list[DeadLetter]) -> None:
    """`stop` takes effect after what is queued, with exit Normal, and what comes later is lost."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Doer, seen))
        for number in range(200):
            ref.tell(Note(number))
        ref.stop()
        ref.tell(Note("late"))
        assert await ref.wait() == Normal()
    assert seen == list(range(200))
    assert [letter.message for letter in dead_letters] == [Note("late")]


async def test_stopping_twice_stops_one_incarnation() -> None:
    """A second `stop` means the incarnation that was told already, and not the next one."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        await system.spawn(partial(Owner, partial(Doer, seen)), id="owner")
        ref: Any = system.find("/owner/worker")
        ref.tell(Do(lambda self: anyio.sleep(1)))
        await settle()
        ref.stop()
        ref.stop()
        with Recorder(system) as recorder:
            await anyio.sleep(10)
        assert [type(event).__name__ for event in recorder] == ["ProcEnded", "ProcStarted"]
        assert ref.statistics().incarnation == 2


@pytest.mark.parametrize(
    ("options", "seconds"), [({}, 5), ({"timeout": 0}, 0), ({"timeout": 2}, 2)]
)
async def test_shutdown_kills_at_the_deadline(options: dict[str, float], seconds: float) -> None:
    """A proc that has not stopped in time, by default five seconds, is killed and waited for."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        await settle()
        began = anyio.current_time()
        assert await ref.shutdown(**options) == Killed()
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)


async def test_a_shutdown_without_deadline_waits_for_ever() -> None:
    """With `timeout=None` nobody is killed."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        with anyio.move_on_after(1_000_000):
            await ref.shutdown(None)
        assert ref.is_alive
        ref.kill()


async def test_several_can_shut_down_and_wait() -> None:
    """All who wait for one end, in whichever way, get the same reason."""
    found: list[ExitReason] = []

    async def note(call: Callable[[], Any]) -> None:
        found.append(await call())

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(task(forever))
        for call in (ref.wait, ref.shutdown, partial(ref.shutdown, None), ref.wait):
            tasks.start_soon(note, call)
    assert found == [Shutdown()] * 4


async def test_kill_runs_no_more_code() -> None:
    """A kill cancels what runs, skips `on_stop`, and takes the children along."""
    seen: list[Any] = []

    class Stopping(Doer):
        async def on_start(self) -> None:
            await self.context.spawn(partial(Doer, seen), id="child")

        async def on_stop(self, reason: ExitReason) -> None:
            seen.append("on_stop")

    async with ActorSystem() as system:
        ref = await system.spawn(Stopping, id="parent")
        child = system.find("/parent/child")
        assert child is not None
        ref.kill()
        ref.kill()
        assert await ref.wait() == Killed()
        assert not child.is_alive
        assert await child.wait() == Killed()
    assert seen == []


@pytest.mark.dead_letters
async def test_wait_is_about_the_present_incarnation() -> None:
    """`wait` tells how the incarnation that runs now ends, a crash as a value like any other."""
    async with ActorSystem() as system:
        await system.spawn(partial(Owner, Doer), id="owner")
        ref: Any = system.find("/owner/worker")
        ref.tell(Do(fail))
        first = await ref.wait()
        assert isinstance(first, Crashed)
        await settle()
        assert ref.is_alive
        ref.stop()
        assert await ref.wait() == Normal()


async def test_an_address_without_incarnation_has_no_proc() -> None:
    """Before the first start `wait` returns NoProc, commands do nothing, and mail is kept."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        owner = await pair(system, Trapper)
        child: Child[Any] = await owner.ref.ask(Ask(lambda self: self.context.child("late")))
        ref = child.ref
        assert not ref.is_alive
        assert ref.statistics().incarnation == 0
        ref.stop()
        ref.kill()
        assert await ref.wait() == await ref.shutdown() == NoProc()
        ref.tell(Note(1))
        await owner.ref.ask(Ask(lambda _: child.start(partial(Doer, seen))))
        await settle()
        assert ref.is_alive
    assert seen == [1]


async def test_cancelling_a_wait_only_ends_the_wait() -> None:
    """A `wait` that is cancelled does nothing to the proc."""
    async with ActorSystem() as system:
        ref = await system.spawn(Doer)
        with anyio.move_on_after(1) as scope:
            await ref.wait()
        assert scope.cancelled_caught
        assert await ref.ask(GET) == 0


@pytest.mark.parametrize("call", ["wait", "shutdown"])
async def test_a_proc_cannot_wait_for_its_own_end(call: str) -> None:
    """`wait` and `shutdown` on oneself raise RuntimeError instead of waiting for ever."""
    errors: list[str] = []

    async def try_it(self: Doer) -> None:
        try:
            await getattr(self.context.ref, call)()
        except RuntimeError as error:
            errors.append(str(error))

    async with ActorSystem() as system:
        ref = await system.spawn(Doer, id="one")
        ref.tell(Do(try_it))
        assert await ref.ask(GET) == 0
    assert len(errors) == 1
    assert errors[0].startswith("/one cannot wait for its own end")


async def test_a_wait_that_was_given_up_leaves_nothing_behind() -> None:
    """Waiting for an end with a time limit, again and again, costs no memory."""
    async with ActorSystem() as system:
        doer = await pair(system)

        async def give_up(times: int) -> int:
            for _ in range(times):
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await doer.ref.wait()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            assert await give_up(100) + 8_000 > await give_up(1000)
        finally:
            tracemalloc.stop()

"""Tests of `actors.ref`: addresses, their order of mail, and command over the proc behind them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen
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
    Request,
    Shutdown,
    on,
    task,
)
from actors.testing import Recorder, settle
from supervision import ChildSpec, RestartChild, SupervisorSpec, TerminateChild, serve


@frozen
class Put:
    """A message; `n` is what is noted."""

    n: Any


@frozen
class Get(Request[int]):
    """Ask how many messages came."""


@frozen
class Do:
    """Make the worker call `act` with itself, and await what it returns."""

    act: Callable[[Any], Any]


class Worker(Actor[Put | Get | Do]):
    """Note what comes; do what it is told."""

    def __init__(self, seen: list[Any] | None = None) -> None:
        self.seen: list[Any] = [] if seen is None else seen

    @on(Put)
    def put(self, message: Put) -> None:
        """Note it."""
        self.seen.append(message.n)

    @on(Get)
    def get(self, message: Get) -> int:
        """Answer."""
        return len(self.seen)

    @on(Do)
    async def do(self, message: Do) -> None:
        """Do it."""
        result = message.act(self)
        if result is not None:
            await result


class Sticky(Proc[Put]):
    """Do not react to being told to stop."""

    async def run(self, shutdown: CancellationToken) -> None:
        await anyio.sleep_forever()


async def forever(shutdown: CancellationToken) -> None:
    """Do nothing until told to stop."""
    await shutdown.wait()


# -- an address ------------------------------------------------------------------------------------


def test_a_ref_has_no_public_constructor() -> None:
    """`Ref()` raises TypeError and says where refs come from."""
    with pytest.raises(TypeError, match=r"^a Ref has no public constructor; spawn returns one$"):
        Ref[Put]()


async def test_refs_compare_and_hash_by_address() -> None:
    """Two refs are equal and hash alike when, and only when, they are of one address."""
    async with ActorSystem() as system:
        one, two = await system.spawn(Worker, id="one"), await system.spawn(Worker, id="two")
        again = system.find("/one")
        assert one == again
        assert hash(one) == hash(again)
        assert one != two
        assert one != "/one"
        assert {one: 1, again: 2, two: 3} == {one: 2, two: 3}


async def test_a_new_address_at_an_old_path_is_another() -> None:
    """A proc that is spawned at the path of one that has ended has an address of its own."""
    async with ActorSystem() as system:
        first = await system.spawn(Worker, id="one")
        await first.shutdown()
        second = await system.spawn(Worker, id="one")
        assert first.path == second.path
        assert first != second
        assert (first.is_alive, second.is_alive) == (False, True)


async def test_a_ref_shows_its_path() -> None:
    """A path names each owner from the system down, and is what a ref prints as."""
    async with ActorSystem() as system:
        shop = await system.spawn(Worker, id="shop")
        found: list[Ref[Any]] = []

        async def spawn(self: Worker) -> None:
            found.append(await self.context.spawn(Worker, id="3"))

        shop.tell(Do(spawn))
        await settle()
        assert (shop.path, found[0].path) == ("/shop", "/shop/3")
        assert repr(found[0]) == "<Ref /shop/3>"


async def test_a_ref_cannot_be_pickled() -> None:
    """Pickling a ref raises TypeError with its path, for it means nothing elsewhere."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker, id="one")
        with pytest.raises(
            TypeError, match=r"^<Ref /one> is an address of this process and cannot be pickled$"
        ):
            pickle.dumps(Put(ref))


async def test_a_ref_can_be_sent_inside_a_message() -> None:
    """Whoever gets a ref in a message can send to it."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        one, two = await system.spawn(Worker), await system.spawn(partial(Worker, seen))
        one.tell(Do(lambda self: two.tell(Put(self.context.ref))))
        await settle()
        assert seen == [one]


async def test_a_ref_survives_restarts() -> None:
    """The same ref reaches each incarnation, whose state is new while its address is not."""
    seen: list[Any] = []
    tree = SupervisorSpec("shop", [ChildSpec("worker", partial(Worker, seen))])
    async with serve(tree) as app:
        ref = app.find("worker")
        ref.tell(Put(1))
        ref.kill()
        await ref.wait()
        await settle()
        assert ref == app.find("worker")
        assert ref.is_alive
        assert ref.statistics().incarnation == 2
        ref.tell(Put(2))
        assert await ref.ask(Get()) == len(seen)


# -- order and number ------------------------------------------------------------------------------


Plan = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["tell", "send", "crash", "yield"])), max_size=40
)


class Owner(Actor[Do]):
    """Keep one child alive: start it again whenever it ends."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self.start = start

    async def on_start(self) -> None:
        self.child: Child[Put | Get | Do] = self.context.child("worker")
        await self.child.start(self.start)

    async def on_exit(self, exited: Exited) -> None:
        await self.child.start(self.start)

    @on(Do)
    def do(self, message: Do) -> None:
        """Do it."""
        message.act(self)


def crash(self: Worker) -> None:
    """Crash."""
    raise ValueError("crash")


@pytest.mark.dead_letters
@settings(max_examples=60)
@given(plan=Plan)
async def test_one_senders_messages_arrive_in_order_and_at_most_once(
    plan: list[tuple[int, str]],
) -> None:
    """Whatever senders do and however often the receiver crashes, each one's order is kept."""
    seen: list[tuple[int, int]] = []

    async def sender(name: int, ref: Ref[Put | Do]) -> None:
        for number, (who, what) in enumerate(plan):
            if who != name:
                continue
            if what == "tell":
                ref.tell(Put((name, number)))
            elif what == "send":
                await ref.send(Put((name, number)))
            elif what == "crash":
                ref.tell(Do(crash))
            else:
                await anyio.lowlevel.checkpoint()

    async with ActorSystem() as system:
        await system.spawn(partial(Owner, partial(Worker, seen)), id="owner")
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
        (lambda ref: ref.tell(Do(crash)), "crashed: ValueError: crash"),
    ],
    ids=["stop", "kill", "crash"],
)
async def test_mail_to_an_address_that_has_ended(
    end: Callable[[Ref[Any]], None], why: str, dead_letters: list[DeadLetter]
) -> None:
    """To an ended address `tell` and `send` are dead letters with a reason, and `ask` raises."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker, id="one")
        system.monitor(ref, lambda down: None)
        end(ref)
        reason = await ref.wait()
        dead_letters.clear()
        ref.tell(Put(1))
        await ref.send(Put(2))
        gone = DeadLetterReason(DeadLetterKind.ENDED, why)
        assert dead_letters == [DeadLetter(ref, Put(1), gone), DeadLetter(ref, Put(2), gone)]
        with pytest.raises(ProcExited) as raised:
            await ref.ask(Get())
        assert str(raised.value) == f"/one ended before it answered Get: {why}"
        assert raised.value.reason == reason
        assert len(dead_letters) == 2


async def test_mail_that_waits_at_the_end_is_dead(dead_letters: list[DeadLetter]) -> None:
    """Queued messages become dead letters, in order, and queued requests fail at once."""
    errors: list[ProcExited] = []

    async def ask(ref: Ref[Get]) -> None:
        try:
            await ref.ask(Get(), timeout=None)
        except ProcExited as error:
            errors.append(error)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(Worker)
        ref.tell(Do(lambda self: anyio.sleep(10)))
        await settle()
        ref.tell(Put(1))
        tasks.start_soon(ask, ref)
        await settle()
        began = anyio.current_time()
        ref.kill()
        await settle()
        assert anyio.current_time() == began
        assert [error.reason for error in errors] == [Killed()]
    assert [letter.message for letter in dead_letters][1:] == [Put(1), Get()]


async def test_mail_to_a_terminated_child_is_dead(dead_letters: list[DeadLetter]) -> None:
    """While a child is terminated its mail is dead letters and asks fail, and not afterwards."""
    seen: list[Any] = []
    tree = SupervisorSpec("shop", [ChildSpec("worker", partial(Worker, seen))])
    async with serve(tree) as app:
        ref = app.find("worker")
        ref.tell(Do(lambda self: anyio.sleep(1)))
        await settle()
        ref.tell(Put(0))
        await app.supervisor.ask(TerminateChild("worker"))
        assert [letter.message for letter in dead_letters] == [Put(0)]
        ref.tell(Put(1))
        assert [letter.message for letter in dead_letters] == [Put(0), Put(1)]
        assert all(str(letter.why) for letter in dead_letters)
        with pytest.raises(ProcExited, match=r"^/shop/worker ended before it answered Get: "):
            await ref.ask(Get(), timeout=None)
        await app.supervisor.ask(RestartChild("worker"))
        ref.tell(Put(2))
        await settle()
    assert seen == [2]


async def test_a_ref_outlives_its_system(dead_letters: list[DeadLetter]) -> None:
    """After the system was left, `tell` is a dead letter, `ask` raises, and nothing is alive."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
    ref.tell(Put(1))
    assert [letter.message for letter in dead_letters] == [Put(1)]
    with pytest.raises(ProcExited):
        await ref.ask(Get())
    ref.stop()
    ref.kill()
    assert await ref.wait() == await ref.shutdown() == Shutdown()
    assert not ref.is_alive


# -- stop, shutdown, kill, wait --------------------------------------------------------------------


async def test_stop_lets_the_queue_be_handled_first(dead_letters: list[DeadLetter]) -> None:
    """`stop` takes effect after what is queued, with exit Normal, and what comes later is lost."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Worker, seen))
        for number in range(200):
            ref.tell(Put(number))
        ref.stop()
        ref.tell(Put("late"))
        assert await ref.wait() == Normal()
    assert seen == list(range(200))
    assert [letter.message for letter in dead_letters] == [Put("late")]


async def test_stopping_twice_stops_one_incarnation() -> None:
    """A second `stop` means the incarnation that was told already, and not the next one."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        await system.spawn(partial(Owner, partial(Worker, seen)), id="owner")
        ref: Any = system.find("/owner/worker")
        ref.tell(Do(lambda self: anyio.sleep(1)))
        await settle()
        ref.stop()
        ref.stop()
        with Recorder(system) as recorder:
            await anyio.sleep(10)
        assert [type(event).__name__ for event in recorder] == ["ProcEnded", "ProcStarted"]
        assert ref.statistics().incarnation == 2


async def test_stop_reaches_a_proc_without_inbox_through_its_token() -> None:
    """A proc that reads no mail is told to stop by its token, and exits with Normal."""
    async with ActorSystem() as system:
        ref = await system.spawn(task(forever))
        ref.stop()
        assert await ref.wait() == Normal()


async def test_shutdown_waits_for_the_message_in_hand() -> None:
    """`shutdown` lets the message in hand be finished, waits for the end and tells how it was."""
    seen: list[Any] = []

    async def slow(self: Worker) -> None:
        await anyio.sleep(3)
        self.seen.append("finished")

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Worker, seen))
        ref.tell(Do(slow))
        await settle()
        began = anyio.current_time()
        assert await ref.shutdown() == Shutdown()
        assert anyio.current_time() - began == pytest.approx(3, abs=0.01)
        assert seen == ["finished"]
        assert not ref.is_alive


@pytest.mark.parametrize("timeout", [0, 0.5, 5.0])
async def test_shutdown_kills_at_the_deadline(timeout: float) -> None:
    """A proc that has not stopped in time is killed, and its death is waited for."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        await settle()
        began = anyio.current_time()
        assert await ref.shutdown(timeout) == Killed()
        assert anyio.current_time() - began == pytest.approx(timeout, abs=0.01)


async def test_the_deadline_of_a_shutdown_is_five_seconds() -> None:
    """Without an argument a proc has five seconds to stop."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        await settle()
        began = anyio.current_time()
        assert await ref.shutdown() == Killed()
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)


async def test_the_deadline_holds_when_the_caller_is_cancelled() -> None:
    """A `shutdown` whose caller gives up still kills the proc at its deadline."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        with anyio.move_on_after(1):
            await ref.shutdown(3)
        assert ref.is_alive
        await anyio.sleep(2.1)
        assert not ref.is_alive


async def test_a_shutdown_without_deadline_waits_for_ever() -> None:
    """With `timeout=None` nobody is killed."""
    async with ActorSystem() as system:
        ref = await system.spawn(Sticky)
        with anyio.move_on_after(1_000_000):
            await ref.shutdown(None)
        assert ref.is_alive
        ref.kill()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
async def test_a_shutdown_refuses_a_bad_timeout(timeout: float) -> None:
    """A timeout that is negative or not finite raises ValueError, and nothing is stopped."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
        with pytest.raises(ValueError, match="a timeout is a") as raised:
            await ref.shutdown(timeout)
        assert str(raised.value).endswith(f"or None for no limit, not {timeout!r}")
        assert await ref.ask(Get()) == 0


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

    class Stopping(Worker):
        async def on_start(self) -> None:
            await self.context.spawn(partial(Worker, seen), id="child")

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
    """`wait` tells how the incarnation that runs now ends, and otherwise how the last one did."""
    async with ActorSystem() as system:
        await system.spawn(partial(Owner, Worker), id="owner")
        ref: Any = system.find("/owner/worker")
        ref.tell(Do(crash))
        first = await ref.wait()
        assert isinstance(first, Crashed)
        await settle()
        assert ref.is_alive
        ref.stop()
        assert await ref.wait() == Normal()


@pytest.mark.dead_letters
async def test_a_crash_is_what_wait_returns() -> None:
    """`wait` returns a crash as a value and raises nothing."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
        system.monitor(ref, lambda down: None)
        ref.tell(Do(crash))
        reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert str(reason.error) == "crash"
        assert await ref.wait() == await ref.shutdown() == reason


async def test_an_address_without_incarnation_has_no_proc() -> None:
    """Before the first start `wait` returns NoProc, commands do nothing, and mail is kept."""
    seen: list[Any] = []

    class Late(Actor[Do]):
        @on(Do)
        async def do(self, message: Do) -> None:
            child: Child[Put | Get | Do] = self.context.child("late")
            ref = child.ref
            assert not ref.is_alive
            assert ref.statistics().incarnation == 0
            ref.stop()
            ref.kill()
            assert await ref.wait() == await ref.shutdown() == NoProc()
            ref.tell(Put(1))
            await child.start(partial(Worker, seen))

    async with ActorSystem() as system:
        late = await system.spawn(Late)
        late.tell(Do(lambda self: None))
        await settle()
        assert late.is_alive
    assert seen == [1]


async def test_cancelling_a_wait_only_ends_the_wait() -> None:
    """A `wait` that is cancelled does nothing to the proc."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
        with anyio.move_on_after(1) as scope:
            await ref.wait()
        assert scope.cancelled_caught
        assert await ref.ask(Get()) == 0


@pytest.mark.parametrize("call", ["wait", "shutdown"])
async def test_a_proc_cannot_wait_for_its_own_end(call: str) -> None:
    """`wait` and `shutdown` on oneself raise RuntimeError instead of waiting for ever."""
    errors: list[str] = []

    async def try_it(self: Worker) -> None:
        try:
            await getattr(self.context.ref, call)()
        except RuntimeError as error:
            errors.append(str(error))

    async with ActorSystem() as system:
        ref = await system.spawn(Worker, id="one")
        ref.tell(Do(try_it))
        assert await ref.ask(Get()) == 0
    assert len(errors) == 1
    assert errors[0].startswith("/one cannot wait for its own end")


async def test_a_proc_can_stop_itself_by_its_ref() -> None:
    """`stop` on oneself takes effect after what is queued."""
    seen: list[Any] = []
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Worker, seen))
        ref.tell(Do(lambda self: self.context.ref.stop()))
        ref.tell(Put(1))
        assert await ref.wait() == Normal()
    assert seen == [1]

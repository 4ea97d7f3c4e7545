"""Tests of receivers: batches, fairness, control before mail, the message in hand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Crashed,
    DeadLetter,
    Down,
    Exited,
    Killed,
    LinkBroken,
    ProcEnded,
    ProcExited,
    Ref,
    Refusal,
    Request,
    Shutdown,
    on,
    task,
)
from actors.testing import Recorder, settle


@frozen
class Put:
    """A message."""

    number: int


@frozen
class Get(Request[int]):
    """A request."""

    number: int = 0


@frozen
class Do:
    """Make the worker call `act` with itself, and await what it returns."""

    act: Callable[[Any], Any]


class Worker(Actor[Put | Get | Do]):
    """Note what comes; do what it is told."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    @on(Put)
    def put(self, message: Put) -> None:
        """Note it."""
        self.seen.append(message.number)

    @on(Get)
    def get(self, message: Get) -> int:
        """Note it and answer."""
        self.seen.append(("get", message.number))
        return message.number

    @on(Do)
    async def do(self, message: Do) -> None:
        """Do it."""
        result = message.act(self)
        if inspect.isawaitable(result):
            await result


async def forever(shutdown: CancellationToken) -> None:
    """Do nothing until told to stop."""
    await shutdown.wait()


# -- batches and fairness --------------------------------------------------------------------------


async def test_others_get_their_turn_after_64_messages() -> None:
    """A flooded actor handles 128 messages in a row, and then lets every other task run."""
    worker = Worker()
    turns: list[int] = [0]

    async def watch() -> None:
        while len(worker.seen) < 640:
            await anyio.lowlevel.checkpoint()
            turns.append(len(worker.seen))

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: worker)
        await settle()
        for number in range(640):
            ref.tell(Put(number))
        tasks.start_soon(watch)
    assert all(count % 128 == 0 for count in turns)
    # Within one turn of the loop trio may run the actor last, and in the next one first.
    assert max(after - before for before, after in pairwise(turns)) <= 2 * 128
    assert worker.seen == list(range(640))


async def test_two_flooded_actors_share_the_loop() -> None:
    """Of two actors that were flooded in the same turn neither is more than a batch ahead."""
    ahead: list[int] = []
    workers = [Worker(), Worker()]

    class Compare(Worker):
        @on(Put)
        def put(self, message: Put) -> None:
            super().put(message)
            ahead.append(abs(len(workers[0].seen) - len(workers[1].seen)))

    workers = [Compare(), Compare()]
    async with ActorSystem() as system:
        refs = [await system.spawn(partial(workers.__getitem__, index)) for index in range(2)]
        for number in range(1000):
            for ref in refs:
                ref.tell(Put(number))
        await settle()
    assert max(ahead) <= 128
    assert [len(worker.seen) for worker in workers] == [1000, 1000]


@pytest.mark.dead_letters
async def test_an_actor_that_feeds_itself_starves_nobody() -> None:
    """An actor that sends itself a message for each that it handles lets timers fire."""

    class Feeder(Actor[Put]):
        @on(Put)
        def put(self, message: Put) -> None:
            self.context.ref.tell(message)

    async with ActorSystem() as system:
        ref = await system.spawn(Feeder)
        ref.tell(Put(1))
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert await ref.shutdown() == Shutdown()


async def test_handled_messages_are_counted() -> None:
    """Statistics count what the present incarnation was given, whatever it was."""
    async with ActorSystem() as system:
        ref = await system.spawn(Worker)
        for number in range(100):
            ref.tell(Put(number))
        await ref.ask(Get())
        await settle()
        assert ref.statistics().handled == 101
        assert ref.statistics().queued == 0


# -- control comes first ---------------------------------------------------------------------------


async def test_a_flood_does_not_delay_a_shutdown(dead_letters: list[DeadLetter]) -> None:
    """A shutdown is seen after the message in hand, and all that waits becomes dead letters."""
    worker = Worker()
    entered, leave = anyio.Event(), anyio.Event()

    async def block(self: Worker) -> None:
        entered.set()
        await leave.wait()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: worker)
        ref.tell(Do(block))
        await entered.wait()
        for number in range(10_000):
            ref.tell(Put(number))
        tasks.start_soon(ref.shutdown)
        await settle()
        leave.set()
        assert await ref.wait() == Shutdown()
    assert worker.seen == []
    assert [letter.message for letter in dead_letters] == [Put(number) for number in range(10_000)]
    assert {str(letter.why) for letter in dead_letters} == {"shutdown"}


async def test_an_endless_flood_does_not_delay_a_shutdown(dead_letters: list[DeadLetter]) -> None:
    """A shutdown takes at most one batch while a sender never pauses."""
    worker = Worker()
    flooding = True

    async def flood(ref: Ref[Put]) -> None:
        while flooding:
            for number in range(1000):
                ref.tell(Put(number))
            await anyio.lowlevel.checkpoint()

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(lambda: worker)
        tasks.start_soon(flood, ref)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        handled = len(worker.seen)
        assert await ref.shutdown() == Shutdown()
        flooding = False
        assert handled > 0
        assert len(worker.seen) <= handled + 2 * 128


async def test_a_kill_overtakes_all_mail(dead_letters: list[DeadLetter]) -> None:
    """A kill takes effect before the next message, also in the middle of a batch."""
    worker = Worker()
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: worker)
        ref.tell(Put(1))
        ref.tell(Do(lambda self: self.context.ref.kill()))
        ref.tell(Put(2))
        assert await ref.wait() == Killed()
    assert worker.seen == [1]
    assert Put(2) in [letter.message for letter in dead_letters]


async def test_exit_notices_overtake_mail() -> None:
    """An exit of a linked proc is heard before all messages that wait."""

    class Trapper(Worker):
        def on_exit(self, exited: Exited) -> None:
            self.seen.append(exited.reason)

    worker = Trapper()
    leave = anyio.Event()
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        ref = await system.spawn(lambda: worker)
        ref.tell(Do(lambda self: self.context.link(other)))
        ref.tell(Do(lambda self: leave.wait()))
        for number in range(3):
            ref.tell(Put(number))
        await settle()
        other.kill()
        await settle()
        leave.set()
        await settle()
    assert worker.seen == [Killed(), 0, 1, 2]


@pytest.mark.dead_letters
@pytest.mark.parametrize("interval", [0.0001, 1.0])
async def test_a_timer_never_starves_control(interval: float) -> None:
    """A proc that is busy with its own timer all the time stops as soon as it is told."""

    class Ticker(Worker):
        async def on_start(self) -> None:
            self.context.send_every(interval, Put(0))

        @on(Put)
        async def put(self, message: Put) -> None:
            super().put(message)
            await anyio.sleep(3 * interval)

    async with ActorSystem() as system:
        ref = await system.spawn(Ticker)
        await anyio.sleep(100 * interval)
        began = anyio.current_time()
        assert await ref.shutdown() == Shutdown()
        assert anyio.current_time() - began <= 4 * interval


async def test_a_down_comes_in_its_turn() -> None:
    """A Down comes behind the mail that the ended proc had sent before."""

    class Watcher(Worker):
        def on_down(self, down: Down) -> None:
            self.seen.append(down.reason)

    worker = Watcher()
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: worker)

        async def talk(shutdown: CancellationToken) -> None:
            await shutdown.wait()
            ref.tell(Put(1))
            ref.tell(Put(2))

        talker = await system.spawn(task(talk))
        ref.tell(Do(lambda self: self.context.monitor(talker)))
        await settle()
        await talker.shutdown()
        await settle()
    assert worker.seen == [1, 2, Shutdown()]


# -- what is in hand -------------------------------------------------------------------------------


class Hooked(Worker):
    """Do something in the hooks."""

    def __init__(self, hook: Callable[[Hooked], None]) -> None:
        super().__init__()
        self.hook = hook
        self.undelivered: list[object] = []

    def on_down(self, down: Down) -> None:
        self.hook(self)

    def on_exit(self, exited: Exited) -> None:
        self.hook(self)

    def on_undelivered(self, message: Put | Get | Do) -> None:
        self.undelivered.append(message)


def refuse(self: Hooked) -> None:
    """Raise a refusal where nobody asks."""
    raise Refusal("no")


def fail(self: Hooked) -> None:
    """Raise an error."""
    raise ValueError("hook")


@pytest.mark.parametrize("bind", ["monitor", "link"])
@pytest.mark.parametrize("hook", [refuse, fail])
@pytest.mark.dead_letters
async def test_a_hook_that_raises_crashes_the_actor_alone(
    bind: str, hook: Callable[[Hooked], None]
) -> None:
    """An error in `on_down` or `on_exit`, even a Refusal, is a crash with no message in hand."""
    worker = Hooked(hook)
    ends: list[Down] = []
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        ref = await system.spawn(lambda: worker)
        system.monitor(ref, ends.append)
        other.kill()
        await other.wait()
        # In one batch: the message is handled, then the hook raises.
        ref.tell(Do(lambda self: getattr(self.context, bind)(other)))
        ref.tell(Put(1))
        with Recorder(system, ProcEnded) as recorder:
            reason = await ref.wait()
        assert isinstance(reason, Crashed)
        assert hook is refuse or isinstance(reason.error, ValueError)
        assert hook is fail or isinstance(reason.error.__cause__, Refusal)
        assert [event.in_hand for event in recorder] == [None]
    # A Down waits behind the message; an exit overtakes it.
    assert worker.seen == ([1] if bind == "monitor" else [])
    assert worker.undelivered == ([] if bind == "monitor" else [Put(1)])


async def test_a_refusal_in_a_hook_loses_no_control() -> None:
    """Of two exits that wait, the first of which makes the hook raise, nothing makes it deaf."""
    worker = Hooked(refuse)
    ends: list[Down] = []
    leave = anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        others = [await system.spawn(task(forever)) for _ in range(2)]
        ref = await system.spawn(lambda: worker)
        system.monitor(ref, ends.append)
        for other in others:
            ref.tell(Do(lambda self, other=other: self.context.link(other)))
        ref.tell(Do(lambda self: leave.wait()))
        await settle()
        for other in others:
            other.kill()
        await settle()
        tasks.start_soon(ref.shutdown)
        await settle()
        began = anyio.current_time()
        leave.set()
        assert isinstance(await ref.wait(), Crashed)
        assert anyio.current_time() == began


async def test_nothing_is_in_hand_between_messages() -> None:
    """`stash` in a hook raises RuntimeError and does not handle the message before again."""
    errors: list[str] = []

    def stash(self: Hooked) -> None:
        with pytest.raises(RuntimeError) as raised:
            self.context.stash()
        errors.append(str(raised.value))

    worker = Hooked(stash)
    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        other.kill()
        await other.wait()
        ref = await system.spawn(lambda: worker, id="worker")
        ref.tell(Do(lambda self: self.context.monitor(other)))
        ref.tell(Put(1))
        await settle()
    assert worker.seen == [1]
    assert errors == ["/worker has no message in hand to stash"]


async def test_the_message_in_hand_is_named_at_the_end(dead_letters: list[DeadLetter]) -> None:
    """The end of a proc that was killed or crashed in a handler names the message in its hand."""

    def crash(self: Worker) -> None:
        raise ValueError

    async with ActorSystem() as system:
        with Recorder(system, ProcEnded) as recorder:
            sleeping, crashing = Do(lambda self: anyio.sleep(100)), Do(crash)
            first, second = await system.spawn(Worker), await system.spawn(Worker)
            for ref in (first, second):
                system.monitor(ref, lambda down: None)
            first.tell(sleeping)
            second.tell(crashing)
            await settle()
            first.kill()
            await settle()
        assert {event.ref: event.in_hand for event in recorder} == {
            first: sleeping,
            second: crashing,
        }
    assert {str(letter.why) for letter in dead_letters} == {
        "in hand when its receiver was killed",
        "in hand when its receiver crashed",
    }


async def test_a_broken_link_takes_the_message_in_hand_along(
    dead_letters: list[DeadLetter],
) -> None:
    """An asker whose request is in hand when a link breaks gets ProcExited with that as cause."""
    errors: list[ProcExited] = []

    class Sleeper(Actor[Get]):
        @on(Get)
        async def get(self, message: Get) -> int:
            await anyio.sleep(100)
            return 1

        async def on_start(self) -> None:
            self.child = await self.context.spawn(task(forever), id="child")

    async def ask(ref: Ref[Get]) -> None:
        try:
            await ref.ask(Get())
        except ProcExited as error:
            errors.append(error)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(Sleeper)
        system.monitor(ref, lambda down: None)
        tasks.start_soon(ask, ref)
        await settle()
        child = system.find(f"{ref.path}/child")
        assert child is not None
        child.kill()
        await settle()
    assert isinstance(errors[0].__cause__, LinkBroken)
    assert [letter.message for letter in dead_letters] == [Get()]

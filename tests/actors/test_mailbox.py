"""Tests of `actors.mailbox`: capacity, the four overflow policies, and what is kept or dropped."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError

from actors import (
    Actor,
    ActorError,
    ActorSystem,
    AskTimeout,
    Child,
    DeadLetter,
    DeadLetterKind,
    DeadLetterReason,
    Event,
    Exited,
    Mailbox,
    MailboxFull,
    Overflow,
    ProcExited,
    Ref,
    Request,
    on,
)
from actors.ref import address_of
from actors.testing import settle
from tests.kit.actors import Do, Doer, Note, pair
from tests.kit.errors import Boom

FULL = DeadLetterReason(DeadLetterKind.MAILBOX_FULL)
HINTS = {
    Overflow.WAIT: "use send, which waits for room",
    Overflow.RAISE: "the receiver is too slow, or its capacity too small",
}


@frozen
class Put:
    """A message."""

    number: int


@frozen
class Get(Request[int]):
    """A request."""

    number: int = 0


@frozen
class Crash:
    """Crash when handled."""


class Slow(Actor[Put | Get | Crash]):
    """Handle one message for each permit that the gate gives out."""

    def __init__(self, gate: anyio.Semaphore, seen: list[int]) -> None:
        self.gate = gate
        self.seen = seen

    @on(Put)
    async def put(self, message: Put) -> None:
        """Note the message, with a permit."""
        await self.gate.acquire()
        self.seen.append(message.number)

    @on(Get)
    async def get(self, message: Get) -> int:
        """Answer, with a permit."""
        await self.gate.acquire()
        self.seen.append(message.number)
        return message.number

    @on(Crash)
    async def crash(self, message: Crash) -> None:
        """Crash, with a permit."""
        await self.gate.acquire()
        raise Boom


class Fixture:
    """Hold a slow actor whose mailbox is full: 0 is in hand, 1 and 2 wait."""

    def __init__(self, system: ActorSystem, tasks: anyio.abc.TaskGroup) -> None:
        self.system = system
        self.tasks = tasks
        self.gate = anyio.Semaphore(0)
        self.seen: list[int] = []
        self.notes: dict[object, Any] = {}

    async def fill(self, overflow: Overflow, capacity: int = 2) -> Ref[Put | Get | Crash]:
        """Spawn the actor and fill its mailbox."""
        self.ref = await self.system.spawn(
            partial(Slow, self.gate, self.seen), id="slow", mailbox=Mailbox(capacity, overflow)
        )
        self.ref.tell(Put(0))
        await settle()
        for number in range(1, capacity + 1):
            self.ref.tell(Put(number))
        return self.ref

    async def release(self, permits: int) -> None:
        """Let the actor handle that many messages."""
        for _ in range(permits):
            self.gate.release()
        await settle()

    def background(self, key: object, call: Callable[[], Any]) -> anyio.CancelScope:
        """Send or ask in a task, and note what comes of it."""
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                try:
                    self.notes[key] = await call()
                except ActorError as error:
                    self.notes[key] = error

        self.tasks.start_soon(run)
        return scope


# -- the description -----------------------------------------------------------------------------


def test_a_mailbox_is_unbounded_and_kept_by_default() -> None:
    """Without arguments there is no capacity, overflow is WAIT, and mail is kept at a restart."""
    mailbox = Mailbox()
    assert mailbox == Mailbox(capacity=None, overflow=Overflow.WAIT, on_restart="keep")
    assert hash(mailbox) == hash(Mailbox())
    with pytest.raises(FrozenInstanceError):
        mailbox.capacity = 1  # type: ignore[misc]


BAD_CAPACITY = "Mailbox: capacity is None (no limit) or a whole number of at least 1, not {!r}"
BAD_OVERFLOW = (
    "Mailbox: overflow is one of Overflow.WAIT, Overflow.RAISE, Overflow.DROP_NEW, "
    "Overflow.DROP_OLD, not {!r}"
)
BAD_RESTART = "Mailbox: on_restart is 'keep' or 'drop', not {!r}"


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        *(("capacity", value, BAD_CAPACITY) for value in (0, -1, True, 1.5, "10")),
        ("overflow", "wait", BAD_OVERFLOW),
        ("on_restart", "lose", BAD_RESTART),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(option: str, value: Any, text: str) -> None:
    """What is no capacity, no policy or no word for a restart is a ValueError with what is."""
    with pytest.raises(ValueError, match=f"^{re.escape(text.format(value))}$"):
        Mailbox(**{option: value})


# -- the four policies ---------------------------------------------------------------------------


async def test_wait_makes_send_and_ask_wait_for_room() -> None:
    """Under WAIT `send` and `ask` wait until there is room, and are served in their order."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.WAIT)
        for number in range(3, 9):
            message = Get(number)
            call: Any = partial(ref.ask, message) if number % 2 else partial(ref.send, Put(number))
            fixture.background(number, call)
            await settle()
        assert fixture.notes == {}
        assert ref.statistics().queued == 2
        await fixture.release(1)
        assert ref.statistics().queued == 2
        with pytest.raises(MailboxFull):
            ref.tell(Put(99))
        await fixture.release(8)
        assert fixture.seen == list(range(9))
        assert fixture.notes == {3: 3, 4: None, 5: 5, 6: None, 7: 7, 8: None}


@pytest.mark.parametrize("way", ["send", "ask"])
async def test_a_cancelled_sender_has_not_sent(way: str) -> None:
    """A `send` or `ask` that is cancelled while it waits for room leaves no message, and no gap."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.WAIT)
        scopes = []
        for number in (3, 4, 5):
            message = Get(number) if way == "ask" else Put(number)
            scopes.append(fixture.background(number, partial(getattr(ref, way), message)))
            await settle()
        scopes[1].cancel()
        await fixture.release(5)
        assert fixture.seen == [0, 1, 2, 3, 5]
        assert fixture.notes.keys() == {3, 5}


async def test_the_timeout_of_an_ask_includes_the_wait_for_room() -> None:
    """An ask that finds no room in time raises AskTimeout, and is never handled."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.WAIT)
        began = anyio.current_time()
        with pytest.raises(AskTimeout, match=r"^/slow did not answer Get within 2 s$"):
            await ref.ask(Get(3), timeout=2.0)
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.01)
        await fixture.release(10)
        assert fixture.seen == [0, 1, 2]


async def test_those_who_wait_learn_of_the_end(dead_letters: list[DeadLetter]) -> None:
    """At the end of the address a waiting `send` is a dead letter, and a waiting `ask` fails."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.WAIT)
        fixture.background("send", partial(ref.send, Put(3)))
        await settle()
        fixture.background("ask", partial(ref.ask, Get(4), timeout=None))
        await settle()
        ref.kill()
        await settle()
        assert fixture.notes["send"] is None
        error = fixture.notes["ask"]
        assert isinstance(error, ProcExited)
        assert str(error) == "/slow ended before it answered Get: killed"
    assert [letter.message for letter in dead_letters] == [Put(0), Put(1), Put(2), Put(3), Get(4)]
    assert {str(letter.why) for letter in dead_letters[1:]} == {"killed"}


@pytest.mark.parametrize("overflow", [Overflow.WAIT, Overflow.RAISE])
async def test_a_full_mailbox_raises(overflow: Overflow) -> None:
    """Under WAIT a full mailbox raises MailboxFull at `tell`, under RAISE at all three."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref: Any = await fixture.fill(overflow)
        calls = [(ref.tell, Put(3)), (ref.send, Put(3)), (ref.ask, Get(3))]
        for call, message in calls[: 1 if overflow is Overflow.WAIT else 3]:
            with pytest.raises(MailboxFull) as raised:
                await call(message)
            kind, hint = type(message).__name__, HINTS[overflow]
            assert str(raised.value) == f"mailbox of /slow is full (2): {kind} not taken; {hint}"
        await fixture.release(3)
        assert fixture.seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("overflow", "seen"), [(Overflow.DROP_NEW, [0, 1, 2]), (Overflow.DROP_OLD, [0, 4, 5])]
)
async def test_dropping_loses_the_new_one_or_the_oldest(
    overflow: Overflow, seen: list[int], dead_letters: list[DeadLetter]
) -> None:
    """Nobody waits or raises: DROP_NEW loses what comes, DROP_OLD what waited longest."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(overflow)
        ref.tell(Put(3))
        await ref.send(Put(4))
        ref.tell(Put(5))
        assert ref.statistics().queued == 2
        await fixture.release(5)
        assert fixture.seen == seen
    lost = [number for number in range(6) if number not in seen]
    assert dead_letters == [DeadLetter(ref, Put(number), FULL) for number in lost]


each_drop = pytest.mark.parametrize("overflow", [Overflow.DROP_NEW, Overflow.DROP_OLD])


@each_drop
async def test_a_dropped_request_fails_its_asker_at_once(
    overflow: Overflow, dead_letters: list[DeadLetter]
) -> None:
    """The asker of a dropped request hears of it in the same moment, and not that anybody ended."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(overflow)
        fixture.background("ask", partial(ref.ask, Get(3), timeout=None))
        await settle()
        for number in range(4, 6):
            ref.tell(Put(number))
        await settle()
        error = fixture.notes["ask"]
        assert isinstance(error, ActorError)
        assert ref.is_alive
        assert "ended" not in str(error)
        await fixture.release(5)
    assert Get(3) in [letter.message for letter in dead_letters]


@each_drop
async def test_a_mailbox_never_holds_more_than_its_capacity(
    overflow: Overflow, dead_letters: list[DeadLetter]
) -> None:
    """Not even one who sends again upon a dead letter makes a mailbox exceed its capacity."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(overflow)
        again = iter([Put(99)])

        def resend(event: Event) -> None:
            for message in again:
                ref.tell(message)

        system.events.subscribe(resend)
        for number in range(3, 8):
            ref.tell(Put(number))
            assert ref.statistics().queued <= 2
        ref.kill()


async def test_a_proc_cannot_wait_for_room_in_its_own_mailbox() -> None:
    """A `send` to oneself that would have to wait raises MailboxFull with the reason."""

    async def talk(self: Doer) -> None:
        await self.context.ref.send(Note("first"))
        with pytest.raises(MailboxFull) as raised:
            await self.context.ref.send(Note("second"))
        self.log.append(str(raised.value))

    async with ActorSystem() as system:
        talker = await pair(system, id="talker", mailbox=Mailbox(1))
        await talker.do(talk)
        assert talker.log[0] == (
            "mailbox of /talker is full (1): Note not taken; "
            "it is the sender's own and would never empty"
        )


# -- statistics ------------------------------------------------------------------------------------


async def test_statistics_count_what_waits() -> None:
    """Statistics tell how much waits, how much there is room for, and which incarnation lives."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.WAIT)
        statistics = ref.statistics()
        assert (statistics.queued, statistics.stashed, statistics.capacity) == (2, 0, 2)
        assert statistics.incarnation == 1
        await fixture.release(3)
        statistics = ref.statistics()
        assert (statistics.queued, statistics.handled) == (0, 3)
        unlimited = await system.spawn(partial(Slow, fixture.gate, []))
        assert unlimited.statistics().capacity is None


async def test_control_does_not_take_room() -> None:
    """A stop request is no message: it is neither counted nor does it find a mailbox full."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await fixture.fill(Overflow.RAISE)
        ref.stop()
        assert ref.statistics().queued == 2
        await fixture.release(3)
        assert not ref.is_alive
        assert fixture.seen == [0, 1, 2]


# -- restarts --------------------------------------------------------------------------------------


class Owner(Actor[Put]):
    """Own one slow child and start it again, after a while, each time it ends."""

    def __init__(self, start: Callable[[], Slow], mailbox: Mailbox) -> None:
        self.start = start
        self.mailbox = mailbox

    async def on_start(self) -> None:
        self.child: Child[Put | Get | Crash] = self.context.child("slow", mailbox=self.mailbox)
        await self.child.start(self.start)

    async def on_exit(self, exited: Exited) -> None:
        await anyio.sleep(10)
        await self.child.start(self.start)

    @on(Put)
    def put(self, message: Put) -> None:
        """Do nothing."""


async def owned(fixture: Fixture, mailbox: Mailbox) -> Any:
    """Spawn an owner and return the ref of its child."""
    start = partial(Slow, fixture.gate, fixture.seen)
    await fixture.system.spawn(partial(Owner, start, mailbox), id="owner")
    return fixture.system.find("/owner/slow")


@pytest.mark.parametrize("keeps", [True, False])
async def test_queued_mail_is_kept_for_the_next_incarnation(
    keeps: bool, dead_letters: list[DeadLetter]
) -> None:
    """What waits at a crash is handled after the restart, or dead with `on_restart="drop"`."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await owned(fixture, Mailbox(on_restart="keep" if keeps else "drop"))
        ref.tell(Crash())
        ref.tell(Put(1))
        fixture.background("ask", partial(ref.ask, Get(2), timeout=None))
        await settle()
        await fixture.release(1)
        assert not ref.is_alive
        ref.tell(Put(3))
        await anyio.sleep(11)
        await fixture.release(3)
        assert fixture.seen == ([1, 2, 3] if keeps else [3])
        assert ref.statistics().incarnation == 2
        answer = fixture.notes["ask"]
        assert answer == 2 if keeps else isinstance(answer, ProcExited)
        assert keeps or isinstance(answer.__cause__, Boom)
    lost: list[object] = [] if keeps else [Put(1), Get(2)]
    assert [letter.message for letter in dead_letters] == [Crash(), *lost]
    why = "dropped at the restart of its receiver (crashed: Boom)"
    assert {str(letter.why) for letter in dead_letters[1:]} <= {why}


async def test_senders_that_wait_for_room_outlast_a_restart(
    dead_letters: list[DeadLetter],
) -> None:
    """Those who wait for room at a crash go on waiting, and get in after the restart."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        fixture = Fixture(system, tasks)
        ref = await owned(fixture, Mailbox(capacity=1))
        ref.tell(Crash())
        await settle()
        ref.tell(Put(1))
        fixture.background("send", partial(ref.send, Put(2)))
        await settle()
        await fixture.release(1)
        assert fixture.notes == {}
        await anyio.sleep(11)
        await fixture.release(2)
        assert fixture.notes == {"send": None}
        assert fixture.seen == [1, 2]
    assert [letter.message for letter in dead_letters] == [Crash()]


@pytest.mark.dead_letters
async def test_a_flood_that_nobody_hears_of_still_answers_its_askers() -> None:
    """With nobody to hear of dead letters, requests among what is left over fail all the same."""
    letters: list[Event] = []
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        for listens in (False, True):
            ref = await system.spawn(partial(Slow, anyio.Semaphore(0), []))
            failed: list[str] = []

            async def asking(ref: Ref[Any] = ref, failed: list[str] = failed) -> None:
                with pytest.raises(ProcExited):
                    await ref.ask(Get())
                failed.append(ref.path)

            ref.tell(Put(0))
            await settle()
            for number in range(1000):
                ref.tell(Put(number))
            tasks.start_soon(asking)
            await settle()
            if listens:
                system.events.subscribe(letters.append)
            ref.kill()
            await settle()
            assert (failed, ref.statistics().queued) == ([ref.path], 0)
            ref.tell(Put(1))  # and it takes no more
    dead = [letter for letter in letters if isinstance(letter, DeadLetter)]
    assert len(dead) == 1000 + 3  # the queued ones, the request, the one in hand, the late one


async def test_a_message_may_be_worth_no_dead_letter(dead_letters: list[DeadLetter]) -> None:
    """Where the type has a false `__dead_letter__`, nobody hears of a message that is lost."""

    class Quiet(Put):
        __dead_letter__ = False

    async with ActorSystem() as system:
        ref = await system.spawn(partial(Slow, anyio.Semaphore(0), []))
        await ref.shutdown()
        ref.tell(Quiet(1))
        ref.tell(Put(2))
    assert [letter.message for letter in dead_letters] == [Put(2)]


async def test_what_is_sent_again_to_an_address_that_is_shut_is_a_dead_letter(
    dead_letters: list[DeadLetter],
) -> None:
    """An `on_undelivered` that tells its own address again does not hear of that once more."""
    heard: list[object] = []

    class Again(Slow):
        def on_undelivered(self, message: Put | Get | Crash) -> None:
            heard.append(message)
            self.context.ref.tell(message)

    gate = anyio.Semaphore(0)
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = await system.spawn(partial(Again, gate, []))
        for number in range(3):
            ref.tell(Put(number))
        await settle()
        tasks.start_soon(ref.shutdown)
        await settle()
        gate.release()
    assert heard == [Put(1), Put(2)]
    assert [letter.message for letter in dead_letters] == [Put(1), Put(1), Put(2), Put(2)]


async def test_control_makes_no_room() -> None:
    """When an exit is heard, no sender who waits is let into a mailbox that is full."""
    queued: list[int] = []

    class Slowly(Doer):
        def on_exit(self, exited: Exited) -> None:
            queued.append(self.context.ref.statistics().queued)

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        slow, other = await pair(system, Slowly, mailbox=Mailbox(1)), await pair(system)
        await slow.do(lambda node: node.context.link(other.ref))
        await slow.do(lambda _: anyio.sleep(1))
        for text in "abc":
            tasks.start_soon(slow.ref.send, Note(text))
        await settle()
        await other.ref.shutdown()
        await anyio.sleep(2)
    assert queued == [1]
    assert sorted(map(str, slow.log)) == ["a", "b", "c"]


@pytest.mark.dead_letters
async def test_who_gave_up_waiting_for_room_is_forgotten() -> None:
    """Messages of senders who gave up are let go at once, and their places before long."""
    letters: list[weakref.ref[object]] = []

    async with ActorSystem() as system:
        slow = await pair(system, mailbox=Mailbox(1))
        slow.ref.tell(Do(lambda _: anyio.sleep(1)))
        await settle()
        slow.ref.tell(Note("full"))
        for _ in range(200):
            letter = Note("given up")
            letters.append(weakref.ref(letter))
            with anyio.move_on_after(0.001):
                await slow.ref.send(letter)
            del letter
        gc.collect()
        assert sum(letter() is not None for letter in letters) <= 1  # the last one: in a traceback
        assert len(address_of(slow.ref).parked or ()) <= 65

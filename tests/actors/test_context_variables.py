"""Context variables: what an actor inherits, and what travels with a message."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import anyio
import anyio.to_thread
import pytest

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Exited,
    Mailbox,
    Overflow,
    Proc,
    Ref,
    Reply,
    Request,
    on,
)
from actors.testing import settle
from supervision import ChildSpec, SupervisorSpec, serve

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")
BARE: ContextVar[str] = ContextVar("BARE")


class Who(Request[str]):
    """Ask for the request that is seen, in a handler that waits."""


class Quick(Request[str]):
    """Ask for the request that is seen, in a plain handler."""


class Deferred(Request[str]):
    """Ask for the request that is seen, by a handler that answers itself."""


class Write:
    """Write the request that is seen down."""


class Later:
    """Write it down after a timer, and after a pipe."""


class Forward(Request[str]):
    """Ask another actor."""

    def __init__(self, other: Ref[Any]) -> None:
        self.other = other


class Crash:
    """Crash."""


class Teller(Actor[Who | Quick | Deferred | Write | Later | Forward | Crash]):
    """Tell which request it sees."""

    def __init__(self) -> None:
        self.log = [REQUEST.get()]

    async def on_start(self) -> None:
        """Write down."""
        self.log.append(REQUEST.get())

    @on(Who)
    async def who(self, message: Who) -> str:
        """Wait, and answer."""
        await anyio.sleep(0.001)
        return REQUEST.get()

    @on(Quick)
    def quick(self, message: Quick) -> str:
        """Answer."""
        return REQUEST.get() + BARE.get("")

    @on(Deferred)
    def deferred(self, message: Deferred, reply: Reply[str]) -> None:
        """Answer by the reply."""
        reply.send(REQUEST.get())

    @on(Write)
    def write(self, message: Write) -> None:
        """Write down."""
        self.log.append(REQUEST.get())

    @on(Later)
    def later(self, message: Later) -> None:
        """Write down, later."""
        self.context.send_after(0.01, Write())
        self.context.pipe(anyio.sleep(0.02), into=lambda _: Write())

    @on(Forward)
    async def forward(self, message: Forward) -> str:
        """Ask on."""
        return str(await message.other.ask(Quick()))

    @on(Crash)
    def crash(self, message: Crash) -> None:
        """Crash."""
        raise ValueError("broken")


class Inbox(Proc[Who | Write]):
    """See requests in an inbox."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def run(self, shutdown: CancellationToken) -> None:
        """Write down, and answer."""
        async for received in self.context.inbox():
            self.log.append(REQUEST.get())
            if received.reply is not None:
                received.reply.send(REQUEST.get())


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    token = REQUEST.set("none")
    yield
    REQUEST.reset(token)


async def test_an_actor_lives_in_the_context_of_its_system() -> None:
    """Whoever spawns an actor, or asks it, leaves nothing of its own context in it."""
    async with ActorSystem() as system:
        REQUEST.set("one")
        made = list[Teller]()
        ref = await system.spawn(lambda: made.append(Teller()) or made[0])
        REQUEST.set("two")
        for question in (Who(), Quick(), Deferred()):
            assert await ref.ask(question) == "none"
        log = list[str]()
        proc = await system.spawn(lambda: Inbox(log))
        assert await proc.ask(Who()) == "none"
        assert made[0].log == ["none", "none"]


@pytest.mark.dead_letters
async def test_each_incarnation_lives_there() -> None:
    """What was set when a child was restarted, or is set in one life, is not seen in the next."""
    lives = list[Teller]()

    def start() -> Teller:
        lives.append(Teller())
        return lives[-1]

    async with serve(SupervisorSpec("shop", [ChildSpec("teller", start)])) as app:
        REQUEST.set("one")
        app.find("teller").tell(Crash())
        await settle()
        assert [life.log for life in lives] == [["none", "none"]] * 2


async def test_carried_variables_are_what_a_handler_sees() -> None:
    """Each message brings its sender's values along: told, sent, asked, by timer, piped."""
    async with ActorSystem(carry=(REQUEST, BARE)) as system:
        teller = Teller()
        ref = await system.spawn(lambda: teller, mailbox=Mailbox(capacity=2))
        other = await system.spawn(Teller)
        assert await ref.ask(Quick()) == "none"
        for number in "12":
            REQUEST.set(number)
            for question in (Who(), Quick(), Deferred(), Forward(other)):
                assert await ref.ask(question) == number
        del teller.log[:]
        ref.tell(Write())
        REQUEST.set("3")
        await ref.send(Write())
        await ref.send(Later())
        REQUEST.set("4")
        await anyio.sleep(0.05)
        assert teller.log == ["2", "3", "3", "3"]
        token = BARE.set("bare")
        assert await ref.ask(Quick()) == "4bare"
        BARE.reset(token)
        assert await ref.ask(Quick()) == "4"


@pytest.mark.real_time
async def test_a_thread_and_an_inbox_see_them_too() -> None:
    """A thread's values travel with what it sends, and an inbox gives them with each message."""
    log = list[str]()
    async with ActorSystem(carry=[REQUEST]) as system:
        ref = await system.spawn(lambda: Inbox(log))
        REQUEST.set("told")
        ref.tell(Write())
        REQUEST.set("thread")
        assert await anyio.to_thread.run_sync(system.threadsafe(ref).ask, Who()) == "thread"
        assert log == ["told", "thread"]


class Stasher(Actor[Write | Quick]):
    """Put the first messages aside, and hear of ends."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.open = False

    @on(Write)
    def write(self, message: Write) -> None:
        """Write down, if it is time."""
        if self.open:
            self.log.append(REQUEST.get())
        else:
            self.context.stash()

    @on(Quick)
    def quick(self, message: Quick) -> str:
        """Open."""
        self.open = True
        self.context.unstash_all()
        return REQUEST.get()

    def on_exit(self, exited: Exited) -> None:
        """Write down."""
        self.log.append(REQUEST.get())


@pytest.mark.dead_letters
async def test_stashed_and_dropped_mail_is_what_it_was() -> None:
    """A loaded message may be stashed, dropped, or left over, and observers see the message."""
    log, letters = list[str](), list[object]()
    async with ActorSystem(carry=(REQUEST,)) as system:
        system.events.subscribe(lambda event: letters.append(getattr(event, "message", None)))
        ref = await system.spawn(lambda: Stasher(log))
        REQUEST.set("first")
        ref.tell(Write())
        await settle()
        REQUEST.set("second")
        assert await ref.ask(Quick()) == "second"
        await settle()
        assert log == ["first"]
        full = Mailbox(capacity=1, overflow=Overflow.DROP_NEW)
        small = await system.spawn(lambda: Stasher(log), mailbox=full)
        lost = [Write(), Write()]
        for message in lost:
            small.tell(message)
        small.kill()
        await small.wait()
    assert [letter for letter in letters if letter in lost] == lost[::-1]


@pytest.mark.parametrize("carry", [REQUEST, "REQUEST", ("REQUEST",), 1])
def test_only_context_variables_are_carried(carry: Any) -> None:
    """Anything else is refused when the system is made."""
    with pytest.raises(TypeError, match="carry takes context variables"):
        ActorSystem(carry=carry)

"""Tests of `actors.dispatch`: which message goes to which method, and what is no actor class."""

from __future__ import annotations

from typing import Any, Generic, Never, TypeAlias, TypeVar, Union

import pytest
from attrs import frozen

from actors import Actor, ActorSystem, CancellationToken, Proc, Reply, Request, on, task
from actors.testing import settle
from tests.kit.actors import forever

T = TypeVar("T")


@frozen
class Ping:
    """A message."""

    number: int = 0


@frozen
class LoudPing(Ping):
    """A message of a subclass."""


@frozen
class VeryLoudPing(LoudPing):
    """A message of a subclass of that."""


@frozen
class Pong:
    """Another message."""


@frozen
class Ask(Request[str]):
    """A request."""


@frozen
class AskLoudly(Ask):
    """A request of a subclass."""


@frozen
class Box(Generic[T]):
    """A generic message."""

    content: T


Both: TypeAlias = Ping | Pong


class Seen:
    """Note which method got which message."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []


class Log(Seen, Actor[Ping | Pong]):
    """Take two messages."""

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Note it."""
        self.seen.append(("ping", message))

    @on(Pong)
    def pong(self, message: Pong) -> None:
        """Note it."""
        self.seen.append(("pong", message))


async def seen_by(actor: Any, *messages: Any) -> list[tuple[str, object]]:
    """Send messages to an actor and return what it noted."""
    async with ActorSystem() as system:
        ref = await system.spawn(lambda: actor)
        for message in messages:
            ref.tell(message)
        await settle()
    return list(actor.seen)


# -- wrong classes -------------------------------------------------------------------------------


def test_every_message_type_has_a_handler() -> None:
    """A message type of the mailbox without handler is a TypeError when the class is made."""
    with pytest.raises(TypeError) as raised:

        class Half(Actor[Ping | Pong]):
            @on(Ping)
            def ping(self, message: Ping) -> None: ...

    assert str(raised.value).endswith(
        "Half: no handler for Pong; add a method with @on(Pong), or take it out of the mailbox"
    )


def test_a_message_type_has_one_handler() -> None:
    """Two handlers for one type in a class are a TypeError that names both methods."""
    with pytest.raises(TypeError, match=r"Twice: two handlers for Ping: first and second$"):

        class Twice(Actor[Ping]):
            @on(Ping)
            def first(self, message: Ping) -> None: ...

            @on(Ping)
            def second(self, message: Ping) -> None: ...


def test_a_handler_is_for_a_type_of_the_mailbox() -> None:
    """A handler for a type that is not in the mailbox is a TypeError that shows the mailbox."""
    with pytest.raises(
        TypeError, match=r"Extra: handler for Pong, which is not in the mailbox \(Ping\)$"
    ):

        class Extra(Actor[Ping]):
            @on(Ping)
            def ping(self, message: Ping) -> None: ...

            @on(Pong)
            def pong(self, message: Pong) -> None: ...


def test_an_actor_without_messages_has_no_handlers() -> None:
    """An `Actor[Never]` is a class without handlers, and a handler in it is a TypeError."""

    class Deaf(Actor[Never]): ...

    assert issubclass(Deaf, Actor)
    with pytest.raises(TypeError, match=r"which is not in the mailbox \(nothing\)$"):

        class NotDeaf(Actor[Never]):
            @on(Ping)
            def ping(self, message: Ping) -> None: ...


def test_only_a_request_is_replied_to() -> None:
    """A handler that takes a reply to a message that is no Request is a TypeError."""
    with pytest.raises(
        TypeError, match=r"Eager\.ping: takes a reply, but Ping is no Request: nobody asks$"
    ):

        class Eager(Actor[Ping]):
            @on(Ping)  # type: ignore[arg-type]
            def ping(self, message: Ping, reply: Reply[int]) -> None: ...


@pytest.mark.parametrize("arguments", ["self", "self, a, b, c", "self, message, *, reply"])
def test_a_handler_takes_a_message_and_perhaps_a_reply(arguments: str) -> None:
    """A handler with another signature is a TypeError that says which there are."""
    names: dict[str, Any] = {}
    exec(f"def ask({arguments}): ...", names)
    with pytest.raises(
        TypeError,
        match=r"^Odd\.ask: a handler takes \(self, message\) or \(self, message, reply\)$",
    ):
        type(Actor)("Odd", (Actor,), {"ask": on(Ask)(names["ask"])})


def test_a_handler_with_yield_is_refused() -> None:
    """A generator as a handler is a TypeError when the class is created: it would never run."""
    with pytest.raises(TypeError, match="a handler with yield would never run"):

        class Yielding(Actor[Ping]):
            @on(Ping)
            def ping(self, message: Ping) -> Any:
                yield 1


def test_a_handler_is_callable() -> None:
    """A subclass that puts a value in the place of a handler is a TypeError."""
    with pytest.raises(TypeError, match=r"Broken\.ping: a handler is a method, not 7$"):

        class Broken(Log):
            ping = 7  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [7, "Ping", None, Ping | Pong, Ping()], ids=repr)
def test_on_takes_a_class(kind: Any) -> None:
    """`@on` of anything but a class is a TypeError that shows what it was given."""
    with pytest.raises(TypeError) as raised:
        on(kind)
    assert str(raised.value) == f"@on takes a message class, not {kind!r}"


@pytest.mark.parametrize("mailbox", [list[T] | int, 7], ids=repr)  # type: ignore[valid-type]
def test_a_mailbox_is_made_of_classes(mailbox: Any) -> None:
    """A mailbox parameter that is no class or union of classes is a TypeError."""
    with pytest.raises(TypeError, match=None if mailbox == 7 else "no handler for"):
        exec("class Odd(Actor[mailbox]): ...", {"Actor": Actor, "mailbox": mailbox})


def test_a_mailbox_in_quotes_must_be_known_already() -> None:
    """A string annotation whose names do not exist yet is a TypeError that says so."""
    with pytest.raises(
        TypeError, match=r"Early: mailbox 'Later' is not defined yet; define the messages first$"
    ):

        class Early(Actor["Later"]):  # type: ignore[name-defined]
            ...


# -- mailboxes in all spellings --------------------------------------------------------------------


@pytest.mark.parametrize(
    "mailbox",
    [Ping | Pong, Union[Ping, Pong], "Ping | Pong", "Both", Both, Union["Ping", Pong]],  # noqa: UP007
    ids=repr,
)
def test_a_mailbox_can_be_spelled_in_several_ways(mailbox: Any) -> None:
    """Unions, aliases of them and string annotations mean the same mailbox."""
    names = {"Actor": Actor, "on": on, "mailbox": mailbox, "Ping": Ping, "__name__": __name__}
    with pytest.raises(TypeError, match="no handler for Pong"):
        exec("class Half(Actor[mailbox]):\n    @on(Ping)\n    def ping(self, message): ...", names)


class Quoted(Seen, Actor["Ping | Pong"]):
    """Have a mailbox in quotes."""

    @on(Ping)
    @on(Pong)
    def both(self, message: Ping | Pong) -> None:
        """Note it."""
        self.seen.append(("both", message))


async def test_marks_can_be_stacked() -> None:
    """One method can handle several types, each by a mark of its own."""
    assert await seen_by(Quoted(), Ping(1), Pong()) == [("both", Ping(1)), ("both", Pong())]


class Boxes(Seen, Actor[Box[int] | Ping]):
    """Take a generic message."""

    @on(Box[int])
    def box(self, message: Box[int]) -> None:
        """Note it."""
        self.seen.append(("box", message.content))

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Note it."""
        self.seen.append(("ping", message.number))


async def test_a_generic_message_is_known_by_its_class() -> None:
    """A parametrized message type is handled as its class."""
    assert await seen_by(Boxes(), Box(1), Ping(2), Box[int](3)) == [
        ("box", 1),
        ("ping", 2),
        ("box", 3),
    ]


# -- subclasses of messages ------------------------------------------------------------------------


async def test_a_subclass_of_a_message_comes_to_its_handler() -> None:
    """Instances of subclasses, at any depth, are accepted and handled as their base."""
    messages = [LoudPing(1), VeryLoudPing(2), Ping(3)]
    assert await seen_by(Log(), *messages) == [("ping", message) for message in messages]


class Both2(Seen, Actor[Ping | LoudPing]):
    """Handle a message and its subclass apart."""

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Note it."""
        self.seen.append(("ping", message))

    @on(LoudPing)
    def loud(self, message: LoudPing) -> None:
        """Note it."""
        self.seen.append(("loud", message))


async def test_the_nearest_handler_wins() -> None:
    """A message goes to the handler for its nearest base class."""
    seen = await seen_by(Both2(), Ping(), VeryLoudPing(), LoudPing())
    assert [name for name, _ in seen] == ["ping", "loud", "loud"]


class Answerer(Actor[Ask]):
    """Answer with the type of the request."""

    @on(Ask)
    def ask(self, message: Ask) -> str:
        """Answer."""
        return type(message).__name__


async def test_a_subclass_of_a_request_is_answered() -> None:
    """A request of a subclass is answered by the handler of its base."""
    async with ActorSystem() as system:
        ref = await system.spawn(Answerer)
        assert await ref.ask(AskLoudly()) == "AskLoudly"


# -- subclasses of actors --------------------------------------------------------------------------


class LoudLog(Log):
    """Override a handler without repeating its mark."""

    def ping(self, message: Ping) -> None:
        """Note it differently."""
        self.seen.append(("overridden", message))


class MarkedLog(Log):
    """Override a handler under another name."""

    @on(Ping)
    def other(self, message: Ping) -> None:
        """Note it differently."""
        self.seen.append(("other", message))


async def test_a_handler_is_overridden_by_name_or_by_type() -> None:
    """A method of a subclass takes the place of an inherited handler: of its name or its type."""
    assert await seen_by(Log(), Ping()) == [("ping", Ping())]
    for actor, name in ((LoudLog(), "overridden"), (MarkedLog(), "other")):
        assert await seen_by(actor, Ping(), Pong()) == [(name, Ping()), ("pong", Pong())]


def test_a_subclass_cannot_widen_the_mailbox_by_a_handler() -> None:
    """A subclass that handles a type its mailbox does not have is a TypeError."""
    with pytest.raises(TypeError, match="which is not in the mailbox"):

        class Wider(Log):
            @on(Ask)
            def ask(self, message: Ask) -> str:
                return ""


class Base(Seen, Actor[T]):
    """Be a generic actor of the user's own."""


class Filled(Base[Ping]):
    """Fill the parameter in."""

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Note it."""
        self.seen.append(("ping", message))


class WithPing(Seen, Actor[T | Ping]):
    """Be a generic actor that takes one message of its own."""

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Note it."""
        self.seen.append(("ping", message))


async def test_a_generic_actor_is_checked_when_its_parameter_is_filled_in() -> None:
    """The check of handlers against the mailbox waits for the class that names the messages."""
    assert await seen_by(Filled(), Ping()) == [("ping", Ping())]
    with pytest.raises(TypeError, match="no handler for Pong"):

        class Empty(Base[Pong]): ...

    with pytest.raises(TypeError, match="no handler for Pong"):

        class Union1(WithPing[Pong]): ...


# -- the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [Pong(), Ping, "ping", None, 7, Ask()], ids=repr)
async def test_a_wrong_message_is_refused_at_the_sender(message: Any) -> None:
    """`tell`, `send` and `ask` of a type that is not accepted raise TypeError with the facts."""
    async with ActorSystem() as system:
        ref = await system.spawn(Filled, id="filled")
        for call in (ref.tell, ref.send, ref.ask):
            with pytest.raises(TypeError) as raised:
                await call(message)
            text = f"/filled (Filled) does not accept {type(message).__name__}; it accepts Ping"
            assert str(raised.value) == text
        assert ref.statistics().queued == 0


async def test_a_message_that_is_no_request_cannot_be_asked() -> None:
    """`ask` with an accepted message that is no Request raises TypeError with a way out."""
    async with ActorSystem() as system:
        ref: Any = await system.spawn(Filled, id="filled")
        with pytest.raises(
            TypeError,
            match=r"^Ping is no Request, so /filled cannot answer it; "
            r"derive it from Request\[\.\.\.\], or tell it$",
        ):
            await ref.ask(Ping())


async def test_a_proc_refuses_what_its_parameter_excludes() -> None:
    """A proc that is no actor takes what its parameter says: `object` anything, `Never` nothing."""
    got: list[object] = []

    class Reader(Proc[Ping]):
        async def run(self, shutdown: CancellationToken) -> None:
            async for received in self.context.inbox():
                got.append(received.message)

    class Anything(Proc[object]):
        run = Reader.run  # type: ignore[assignment]

    class Derived(Anything): ...

    async with ActorSystem() as system:
        ref: Any = await system.spawn(Reader, id="reader")
        ref.tell(LoudPing(1))
        with pytest.raises(
            TypeError, match=r"^/reader \(.*Reader\) does not accept Pong; it accepts Ping$"
        ):
            ref.tell(Pong())
        (await system.spawn(Derived)).tell("text")
        nothing: Any = await system.spawn(task(forever), id="work")
        with pytest.raises(
            TypeError, match=r"^/work \(forever\) does not .*; it accepts no messages$"
        ):
            nothing.tell(Ping())
        await settle()
    assert got == [LoudPing(1), "text"]

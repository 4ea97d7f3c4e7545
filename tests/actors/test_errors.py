"""Tests of `actors.errors`: what each error says, keeps and descends from."""

from __future__ import annotations

import copy
import pickle

import pytest

from actors import (
    ActorError,
    AskCycle,
    AskTimeout,
    Crashed,
    IdTaken,
    Ignore,
    Killed,
    LinkBroken,
    MailboxFull,
    NameTaken,
    NoReply,
    Normal,
    ProcExited,
    Refusal,
    StartFailed,
    SystemClosed,
)
from actors.errors import ended

BOOM = ValueError("no such row")

TEXTS: list[tuple[ActorError, str]] = [
    (AskTimeout("/bank/ada", "Balance", 5.0), "/bank/ada did not answer Balance within 5 s"),
    (AskTimeout("/bank/ada", "Balance", 0.25), "/bank/ada did not answer Balance within 0.25 s"),
    (
        ProcExited("/bank/ada", Crashed(BOOM), "Balance"),
        "/bank/ada ended before it answered Balance: crashed: ValueError: no such row",
    ),
    (ProcExited("/bank/ada", Killed()), "/bank/ada ended: killed"),
    (
        MailboxFull("/bank/ada", "Deposit", 2, "use send, which waits for room"),
        "mailbox of /bank/ada is full (2): Deposit not taken; use send, which waits for room",
    ),
    (NoReply("/bank/ada", "Balance"), "/bank/ada threw away the reply to Balance unanswered"),
    (AskCycle("Balance", ("/a", "/b", "/a")), "asking Balance would wait for ever: /a -> /b -> /a"),
    (LinkBroken("/bank/ada", Killed()), "linked /bank/ada ended: killed"),
    (NameTaken("ada", "/bank/ada"), "name 'ada' is taken by /bank/ada"),
    (
        IdTaken("/bank/ada"),
        "/bank/ada is taken by a sibling; choose another id or leave it out",
    ),
    (
        StartFailed("/bank/ada", Crashed(BOOM)),
        "/bank/ada did not start: crashed: ValueError: no such row",
    ),
    (SystemClosed("main", "is closed"), "actor system 'main' is closed"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_an_error_names_what_it_is_about(error: ActorError, text: str) -> None:
    """Each error of the package is an ActorError whose text names the path and the message type."""
    assert isinstance(error, ActorError)
    assert str(error) == text


def test_an_ask_timeout_is_a_timeout_error() -> None:
    """AskTimeout can be caught as TimeoutError and keeps path, message and timeout."""
    error = AskTimeout("/ada", "Balance", 5.0)
    assert isinstance(error, TimeoutError)
    assert (error.path, error.message, error.timeout) == ("/ada", "Balance", 5.0)


def test_errors_keep_what_they_are_about() -> None:
    """Each error has its facts as attributes, so that nobody has to take its text apart."""
    exited = ProcExited("/ada", Killed(), "Balance")
    assert (exited.path, exited.reason, exited.message) == ("/ada", Killed(), "Balance")
    full = MailboxFull("/ada", "Deposit", 2, "")
    assert (full.path, full.message, full.capacity) == ("/ada", "Deposit", 2)
    cycle = AskCycle("Balance", ("/a", "/a"))
    assert (cycle.message, cycle.chain) == ("Balance", ("/a", "/a"))
    broken = LinkBroken("/ada", Killed())
    assert (broken.path, broken.reason) == ("/ada", Killed())
    taken = NameTaken("ada", "/ada")
    assert (taken.name, taken.path) == ("ada", "/ada")
    unanswered = NoReply("/ada", "Balance")
    assert (unanswered.path, unanswered.message) == ("/ada", "Balance")


def test_a_refusal_is_an_actor_error_made_for_subclassing() -> None:
    """A subclass of Refusal takes whatever arguments it likes and is an ActorError."""

    class InsufficientFunds(Refusal):
        pass

    error = InsufficientFunds(7, "euro")
    assert isinstance(error, ActorError)
    assert error.args == (7, "euro")


def test_ignore_is_no_error_between_procs() -> None:
    """`Ignore` is neither an ActorError nor a Refusal, so nobody catches it by accident."""
    assert issubclass(Ignore, Exception)
    assert not issubclass(Ignore, ActorError)


def test_the_cause_of_an_end_is_its_crash() -> None:
    """The error for one who waits has the crash as its cause, and no cause when there was none."""
    assert ended("/ada", Crashed(BOOM), "Balance").__cause__ is BOOM
    assert ended("/ada", Normal()).__cause__ is None


@pytest.mark.parametrize("error", [error for error, _ in TEXTS], ids=lambda one: type(one).__name__)
def test_an_error_can_be_pickled_and_copied(error: ActorError) -> None:
    """A copy of an error, also in another process, has its class, its text and its facts."""
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other).keys() == vars(error).keys()

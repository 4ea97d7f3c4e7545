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
    (AskTimeout("/a", "Get", 5.0), "/a did not answer Get within 5 s"),
    (AskTimeout("/a", "Get", 0.25), "/a did not answer Get within 0.25 s"),
    (
        ProcExited("/a", Crashed(BOOM), "Get"),
        "/a ended before it answered Get: crashed: ValueError: no such row",
    ),
    (ProcExited("/a", Killed()), "/a ended: killed"),
    (MailboxFull("/a", "Put", 2, "hint"), "mailbox of /a is full (2): Put not taken; hint"),
    (NoReply("/a", "Get"), "/a threw away the reply to Get unanswered"),
    (AskCycle("Get", ("/a", "/b", "/a")), "asking Get would wait for ever: /a -> /b -> /a"),
    (LinkBroken("/a", Killed()), "linked /a ended: killed"),
    (NameTaken("ada", "/a"), "name 'ada' is taken by /a"),
    (IdTaken("/a"), "/a is taken by a sibling; choose another id or leave it out"),
    (StartFailed("/a", Killed()), "/a did not start: killed"),
    (SystemClosed("main", "is closed"), "actor system 'main' is closed"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_an_error_names_what_it_is_about(error: ActorError, text: str) -> None:
    """Each error is an ActorError that names path and message type, and so is a copy of it."""
    for same in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(same, ActorError)
        assert (type(same), str(same)) == (type(error), text)
        assert vars(same).keys() == vars(error).keys()


def test_errors_keep_what_they_are_about() -> None:
    """Each error has its facts as attributes, so that nobody has to take its text apart."""
    late = AskTimeout("/a", "Get", 5.0)
    assert (late.path, late.message, late.timeout) == ("/a", "Get", 5.0)
    exited = ProcExited("/a", Killed(), "Get")
    assert (exited.path, exited.reason, exited.message) == ("/a", Killed(), "Get")
    full = MailboxFull("/a", "Put", 2, "")
    assert (full.path, full.message, full.capacity) == ("/a", "Put", 2)
    cycle = AskCycle("Get", ("/a", "/a"))
    assert (cycle.message, cycle.chain) == ("Get", ("/a", "/a"))
    broken, taken, lost = LinkBroken("/a", Killed()), NameTaken("ada", "/a"), NoReply("/a", "Get")
    assert (broken.path, broken.reason) == ("/a", Killed())
    assert (taken.name, taken.path) == ("ada", "/a")
    assert (lost.path, lost.message) == ("/a", "Get")


def test_errors_are_what_they_can_be_caught_as() -> None:
    """AskTimeout is a TimeoutError; Ignore is no ActorError, so nobody catches it by accident."""
    assert issubclass(AskTimeout, TimeoutError)
    assert issubclass(Ignore, Exception)
    assert not issubclass(Ignore, ActorError)


def test_a_refusal_is_an_actor_error_made_for_subclassing() -> None:
    """A subclass of Refusal takes whatever arguments it likes and is an ActorError."""

    class InsufficientFunds(Refusal):
        pass

    error = InsufficientFunds(7, "euro")
    assert isinstance(error, ActorError)
    assert error.args == (7, "euro")


def test_the_cause_of_an_end_is_its_crash() -> None:
    """The error for one who waits has the crash as its cause, and no cause when there was none."""
    assert ended("/ada", Crashed(BOOM), "Balance").__cause__ is BOOM
    assert ended("/ada", Normal()).__cause__ is None

"""Tests of the values of `actors`: what errors, exit reasons and names say, keep and equal."""

from __future__ import annotations

import copy
import pickle

import pytest
from attrs.exceptions import FrozenInstanceError

from actors import (
    ActorError,
    AskCycle,
    AskTimeout,
    Crashed,
    ExitReason,
    IdTaken,
    Ignore,
    Killed,
    LinkBroken,
    MailboxFull,
    Name,
    NameTaken,
    NoProc,
    NoReply,
    Normal,
    ProcExited,
    Refusal,
    Shutdown,
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


# -- exit reasons ---------------------------------------------------------------------------------

REASONS: list[ExitReason] = [Normal(), Shutdown(), Killed(), Crashed(BOOM), NoProc()]


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_an_exit_reason_is_frozen(reason: ExitReason) -> None:
    """An exit reason cannot be changed, and takes no further attributes."""
    with pytest.raises((FrozenInstanceError, AttributeError)):
        reason.is_abnormal = False  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, AttributeError)):
        reason.note = "mine"  # type: ignore[union-attr]


def test_exit_reasons_compare_by_value() -> None:
    """Two reasons are equal when kind and contents are, and equal ones hash alike."""
    assert Normal() == Normal()
    assert Shutdown("deploy") == Shutdown("deploy") != Shutdown()
    assert Crashed(BOOM) == Crashed(BOOM) != Crashed(ValueError("no such row"))
    assert len({*REASONS, *REASONS}) == 5


@pytest.mark.parametrize(
    ("reason", "text", "abnormal"),
    [
        (Normal(), "normal", False),
        (Shutdown(), "shutdown", False),
        (Shutdown("deploy"), "shutdown (deploy)", False),
        (Killed(), "killed", True),
        (Crashed(BOOM), "crashed: ValueError: no such row", True),
        (Crashed(ValueError()), "crashed: ValueError", True),
        (NoProc(), "no proc", True),
    ],
)
def test_an_exit_reason_prints_in_words(reason: ExitReason, text: str, abnormal: bool) -> None:
    """The text of a reason is what a log line needs; all but Normal and Shutdown are abnormal."""
    assert (str(reason), reason.is_abnormal) == (text, abnormal)


# -- names ----------------------------------------------------------------------------------------

PINGER = Name[str]("pinger")


def test_a_name_is_a_value() -> None:
    """Two names with the same text are the same name, whatever their messages."""
    assert Name[str]("pinger") == PINGER == Name[int]("pinger")
    assert hash(Name[str]("pinger")) == hash(PINGER)
    assert Name[str]("other") != PINGER
    assert str(PINGER) == PINGER.text == "pinger"
    assert pickle.loads(pickle.dumps(PINGER)) == PINGER


def test_a_name_is_frozen() -> None:
    """The text of a name cannot be changed."""
    with pytest.raises(FrozenInstanceError):
        PINGER.text = "other"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", None, 7, b"pinger"])
def test_a_name_is_a_text(text: object) -> None:
    """Anything but a text of at least one character is refused with what was given."""
    with pytest.raises(
        ValueError, match="a name is a text of at least one character, not "
    ) as info:
        Name[str](text)  # type: ignore[arg-type]
    assert repr(text) in str(info.value)

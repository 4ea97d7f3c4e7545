"""The checks of the chaos run: each of them fails when its rule is broken, and only then."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import frozen

from actors import AnyRef, Crashed, DeadLetter, Event, Normal, ProcEnded, ProcStarted, task
from supervision import (
    ChildExited,
    ChildSpec,
    ChildStopped,
    ChildStopping,
    Next,
    SupervisorSpec,
)
from tests.supervision.chaos_checks import Budgets, Check, Lives, Mail, Order
from tests.supervision.chaos_rules import Beginning, Handled, Numbered, Rules, Taken
from tests.supervision.workers import Boom


@frozen
class Place:
    """Stand for a ref: an address is all that the checks look at."""

    path: str


async def idle(shutdown: object) -> None:
    """Be the code of a child that is never run."""


def ref(path: str) -> AnyRef:
    """Make something with a path."""
    return cast("AnyRef", Place(path))


TOP, A, B, C = ref("/top"), ref("/top/a"), ref("/top/b"), ref("/top/c")
CRASH = Crashed(Boom())

Story = list[Event]
TREE = SupervisorSpec(
    "top",
    [ChildSpec("a", task(idle)), ChildSpec("b", task(idle)), ChildSpec("c", task(idle))],
    strategy="rest_for_one",
    max_restarts=2,
    max_seconds=10.0,
)


def faults_of(kind: type[Check], story: Story) -> list[str]:
    """Tell a check a story; returns what it has to say."""
    faults: list[str] = []
    check: Any = kind(Rules(TREE), lambda: 0.0, faults)
    if kind is Mail:
        check.send(A, 1)
        check.send(A, 2)
    for event in story:
        check.hear(event)
    if kind is Mail:
        check.finish()
    return faults


def up(*refs: AnyRef, number: int = 1) -> Story:
    """Tell of starts that succeed, one after the other."""
    return [event for one in refs for event in (Beginning(one, number), ProcStarted(one, number))]


def exit_of(one: AnyRef, next: Next = Next.RESTART) -> Story:
    """Tell of a crash, and what its supervisor does."""
    return [ProcEnded(one, CRASH), ChildExited(one, CRASH, 0, next)]


def stop_of(one: AnyRef, number: int = 1) -> Story:
    """Tell of a stop."""
    return [
        ChildStopping(one, 5.0),
        ProcEnded(one, Normal(), number),
        ChildStopped(one, Normal(), True, 0.0),
    ]


ALL_UP: Story = [*up(A, B, C), ProcStarted(TOP)]
ROUND: Story = [*ALL_UP, *exit_of(B), *stop_of(C), *up(B, C, number=2)]
WHOLE_LIFE: Story = [*ROUND, *stop_of(C, 2), *stop_of(B, 2), *stop_of(A), ProcEnded(TOP, Normal())]

BROKEN: dict[str, tuple[type[Check], Story, str]] = {
    "an orphan": (Lives, [*ALL_UP, ProcEnded(TOP, CRASH)], "still run"),
    "two at once": (Lives, [*up(A), *up(ref("/top/a"), number=2)], "while an incarnation runs"),
    "a number left out": (Lives, [*up(A), ProcEnded(A, CRASH), *up(A, number=3)], "not 2"),
    "a stop out of order": (Order, [*ALL_UP, *stop_of(B)], "which started after it"),
    "a restart too many": (Budgets, [*exit_of(A)] * 3, "there were more"),
    "mail handled twice": (Mail, [Taken(A, 1), Handled(A, 1), Handled(A, 1)], "two fates"),
    "mail without a fate": (Mail, [Taken(A, 1), Handled(A, 1)], "was lost without a word"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_check_sees_its_rule_broken(what: str) -> None:
    """A story in which one rule is broken gets a fault that says so."""
    kind, story, words = BROKEN[what]
    faults = faults_of(kind, story)
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize("kind", [Lives, Order, Budgets])
def test_no_check_cries_wolf(kind: type[Check]) -> None:
    """A story in which all is as it should be gets no fault."""
    assert faults_of(kind, WHOLE_LIFE) == []


def test_mail_in_hand_at_a_crash_is_no_fault() -> None:
    """What was in hand at a crash is a dead letter, and the next incarnation takes the rest."""
    story: Story = [
        Taken(A, 1),
        DeadLetter(A, Numbered(1), "in hand when its receiver crashed"),
        ProcEnded(A, CRASH, in_hand=Numbered(1)),
        Taken(A, 2),
        Handled(A, 2),
    ]
    assert faults_of(Mail, story) == []

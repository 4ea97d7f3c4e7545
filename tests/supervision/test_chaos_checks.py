"""The checks of the chaos run: each of them fails when its rule is broken, and only then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest
from attrs import frozen

from actors import (
    AnyRef,
    Crashed,
    DeadLetter,
    Event,
    Mailbox,
    Normal,
    ProcEnded,
    ProcFailedToStart,
    ProcStarted,
    task,
)
from supervision import ChildSpec, IntensityExceeded, SupervisorSpec
from supervision.events import (
    ChildExited,
    ChildParked,
    ChildRestarted,
    ChildStopped,
    ChildStopping,
    Next,
    RestartFailed,
    SupervisorGaveUp,
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
SPENT = IntensityExceeded("/top", 2, 10.0, ())
SPENT_OWN = IntensityExceeded("/top", 1, 10.0, (), child="b", parked=True)

Story = list[Event | float]
"""Events, and seconds that pass between them."""


def tree(strategy: Any = "rest_for_one") -> SupervisorSpec:
    """Make a tree of three: one that drops its mail, one with a budget of its own."""
    children = [
        ChildSpec("a", task(idle), mailbox=Mailbox(on_restart="drop")),
        ChildSpec("b", task(idle), max_restarts=1, max_seconds=10.0),
        ChildSpec("c", task(idle)),
    ]
    return SupervisorSpec("top", children, strategy=strategy, max_restarts=2, max_seconds=10.0)


def faults_of(
    kind: type[Check], story: Iterable[Event | float], strategy: str = "rest_for_one"
) -> list[str]:
    """Tell a check a story; returns what it has to say."""
    faults: list[str] = []
    now = 0.0
    check = kind(Rules(tree(strategy)), lambda: now, faults)
    if isinstance(check, Mail):
        for number in (1, 2, 3):
            check.send(A if number < 3 else B, number)
    for event in story:
        if isinstance(event, Event):
            check.hear(event)
        else:
            now += event
    return faults


def up(*refs: AnyRef, number: int = 1) -> Story:
    """Tell of starts that succeed, one after the other."""
    story: Story = []
    for one in refs:
        story += [Beginning(one, number), ProcStarted(one, number)]
    return story


def exit_of(one: AnyRef, next: Next = Next.RESTART) -> Story:
    """Tell of a crash, and what its supervisor does."""
    return [ProcEnded(one, CRASH), ChildExited(one, CRASH, 0, next)]


def stop_of(one: AnyRef) -> Story:
    """Tell of a stop."""
    return [
        ChildStopping(one, 5.0),
        ProcEnded(one, Normal()),
        ChildStopped(one, Normal(), True, 0.0),
    ]


ALL_UP: Story = [*up(A, B, C), ProcStarted(TOP)]
WHOLE_LIFE: Story = [
    *ALL_UP,
    *exit_of(B),
    *stop_of(C),
    *up(B, C, number=2),
    ChildStopping(C, 5.0),
    ProcEnded(C, Normal(), 2),
    ChildStopped(C, Normal(), True, 0.0),
    ChildStopping(B, 5.0),
    ProcEnded(B, Normal(), 2),
    ChildStopped(B, Normal(), True, 0.0),
    *stop_of(A),
    ProcEnded(TOP, Normal()),
]
OVER_BUDGET: Story = [*exit_of(A), 1.0, *exit_of(C), 1.0]

BROKEN: dict[str, tuple[type[Check], Story, str]] = {
    "an orphan": (Lives, [*ALL_UP, ProcEnded(TOP, CRASH)], "still run"),
    "an orphan of a failed start": (
        Lives,
        [*up(A), ProcFailedToStart(TOP, CRASH)],
        "still run",
    ),
    "two at once": (Lives, [*up(A), *up(ref("/top/a"), number=2)], "while an incarnation runs"),
    "two at once unseen": (Lives, [ProcStarted(TOP), ProcStarted(TOP, 2)], "an incarnation runs"),
    "a number left out": (Lives, [*up(A), ProcEnded(A, CRASH), *up(A, number=3)], "not 2"),
    "a number twice": (Lives, [*up(A), ProcEnded(A, CRASH), *up(A)], "is incarnation 1"),
    "an end of nobody": (Lives, [ProcEnded(A, CRASH)], "does not run"),
    "an end twice": (Lives, [*up(A), ProcEnded(A, CRASH), ProcEnded(A, CRASH)], "does not run"),
    "the end of another one": (Lives, [*up(A), ProcEnded(A, CRASH, 2)], "does not run"),
    "a start too early": (Order, [Beginning(A, 1), Beginning(B, 1)], "still starting"),
    "a start out of order": (Order, up(B), "not ready (never)"),
    "a start behind a failed one": (
        Order,
        [
            *[*ALL_UP, *exit_of(B), *stop_of(C)],
            *[Beginning(B, 2), ProcFailedToStart(B, CRASH, 2), *up(C, number=2)],
        ],
        "not ready (failed)",
    ),
    "a round out of order": (
        Order,
        [*ALL_UP, *exit_of(A), *stop_of(C), *stop_of(B), *up(A, number=2), *up(C, number=2)],
        "not ready (stopped)",
    ),
    "a start in the middle of a stop": (
        Order,
        [*ALL_UP, *exit_of(B), ChildStopping(C, 5.0), Beginning(B, 2)],
        "is being stopped",
    ),
    "two stops at once": (
        Order,
        [*ALL_UP, ChildStopping(C, 5.0), ChildStopping(B, 5.0)],
        "is not dead yet",
    ),
    "a stop out of order": (Order, [*ALL_UP, *stop_of(B)], "which started after it"),
    "a restart too many": (Budgets, [*OVER_BUDGET, *exit_of(A)], "there were more"),
    "a retry too many": (
        Budgets,
        [*OVER_BUDGET, RestartFailed(C, CRASH, Next.RESTART), ChildRestarted(C, 1)],
        "there were more",
    ),
    "a failing retry too many": (
        Budgets,
        [*OVER_BUDGET, *[RestartFailed(C, CRASH, Next.RESTART)] * 2],
        "there were more",
    ),
    "a restart too many of one child": (Budgets, [*exit_of(B), *exit_of(B)], "top/b allows 1"),
    "giving up too early": (
        Budgets,
        [*exit_of(A), *exit_of(C, Next.GIVE_UP), SupervisorGaveUp(TOP, SPENT)],
        "there were only 2",
    ),
    "giving up for what is long ago": (
        Budgets,
        [*OVER_BUDGET, 8.5, *exit_of(A, Next.GIVE_UP), SupervisorGaveUp(TOP, SPENT)],
        "there were only 2",
    ),
    "parking too early": (
        Budgets,
        [*exit_of(B, Next.PARK), ChildParked(B, SPENT_OWN)],
        "there were only 1",
    ),
    "mail handled twice": (Mail, [Taken(A, 1), Handled(A, 1), Handled(A, 1)], "two fates"),
    "mail handled and lost": (
        Mail,
        [Taken(A, 1), Handled(A, 1), DeadLetter(A, Numbered(1), "terminated")],
        "two fates",
    ),
    "mail out of order": (Mail, [Taken(A, 2), Handled(A, 2), Taken(A, 1)], "1 after 2"),
    "mail lost out of order": (
        Mail,
        [Taken(A, 2), Handled(A, 2), DeadLetter(A, Numbered(1), "terminated")],
        "1 after 2",
    ),
    "mail for another one": (Mail, [Taken(B, 1)], "not sent to it"),
    "two in hand": (Mail, [Taken(A, 1), Taken(A, 2)], "with 1 in hand"),
    "mail dropped that is kept": (
        Mail,
        [DeadLetter(B, Numbered(3), "dropped at the restart of its receiver")],
        "keeps its mail",
    ),
    "mail lost for no reason": (Mail, [DeadLetter(A, Numbered(1), "weather")], "lost 1: weather"),
    "in hand without being taken": (
        Mail,
        [DeadLetter(A, Numbered(1), "in hand when its receiver crashed")],
        "did not have 1 in hand",
    ),
    "in hand without a word": (
        Mail,
        [Taken(A, 1), ProcEnded(A, CRASH, in_hand=Numbered(1))],
        "no dead letter",
    ),
    "in hand, and another reported": (
        Mail,
        [
            Taken(A, 1),
            DeadLetter(A, Numbered(1), "in hand when its receiver crashed"),
            ProcEnded(A, CRASH),
        ],
        "None was reported",
    ),
    "mail given up long before the owner's end": (
        Mail,
        [DeadLetter(A, Numbered(1), "its owner has ended"), 1.0, ProcEnded(TOP, CRASH)],
        "long after",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_check_sees_its_rule_broken(what: str) -> None:
    """A story in which one rule is broken gets a fault that says so."""
    kind, story, words = BROKEN[what]
    faults = faults_of(kind, story)
    assert any(words in fault for fault in faults), faults


FINE: dict[str, tuple[type[Check], Story]] = {
    "a whole life": (Lives, WHOLE_LIFE),
    "a whole life in order": (Order, WHOLE_LIFE),
    "a whole life on a budget": (Budgets, WHOLE_LIFE),
    "a failed start has its number": (
        Lives,
        [Beginning(A, 1), ProcFailedToStart(A, CRASH, 1), *up(A, number=2)],
    ),
    "as many as the budget allows": (Budgets, OVER_BUDGET),
    "one more when the first is forgotten": (Budgets, [*OVER_BUDGET, 9.5, *exit_of(A)]),
    "giving up in time": (
        Budgets,
        [*OVER_BUDGET, *exit_of(A, Next.GIVE_UP), SupervisorGaveUp(TOP, SPENT)],
    ),
    "giving up in a retry": (
        Budgets,
        [*OVER_BUDGET, RestartFailed(C, CRASH, Next.RESTART), SupervisorGaveUp(TOP, SPENT)],
    ),
    "a budget is empty after a restart": (
        Budgets,
        [*OVER_BUDGET, ProcEnded(TOP, CRASH), *exit_of(A)],
    ),
    "parking in time": (
        Budgets,
        [*exit_of(B), *exit_of(B, Next.PARK), ChildParked(B, SPENT_OWN)],
    ),
    "mail dropped by one that drops": (
        Mail,
        [DeadLetter(A, Numbered(1), "dropped at the restart of its receiver")],
    ),
    "mail in hand at a crash": (
        Mail,
        [
            Taken(A, 1),
            DeadLetter(A, Numbered(1), "in hand when its receiver crashed"),
            ProcEnded(A, CRASH, in_hand=Numbered(1)),
            Taken(A, 2),
            Handled(A, 2),
        ],
    ),
}


@pytest.mark.parametrize("what", FINE)
def test_no_check_cries_wolf(what: str) -> None:
    """A story in which all is as it should be gets no fault."""
    kind, story = FINE[what]
    assert faults_of(kind, story) == []


def test_one_for_one_children_wait_for_nobody() -> None:
    """Under one_for_one a sibling that failed does not keep another from being restarted."""
    story: Story = [*ALL_UP, *exit_of(B), Beginning(B, 2), ProcFailedToStart(B, CRASH, 2)]
    story += [*exit_of(C), *up(C, number=2)]
    assert faults_of(Order, story, "one_for_one") == []


def test_mail_without_a_fate_is_found_at_the_end() -> None:
    """What was sent, and neither handled nor a dead letter, was lost without a word."""
    faults: list[str] = []
    mail = Mail(Rules(tree()), lambda: 0.0, faults)
    mail.send(A, 1)
    mail.send(A, 2)
    mail.hear(Taken(A, 1))
    mail.hear(Handled(A, 1))
    mail.hear(DeadLetter(A, Numbered(2), "its owner has ended"))
    mail.send(B, 3)
    mail.finish()
    assert [fault.partition("Mail: ")[2] for fault in faults] == [
        "3, sent to /top/b, was lost without a word",
        "/top runs on, and the mail of its children was given up",
    ]


def test_orphans_are_seen_at_a_quiet_moment() -> None:
    """A child that runs while its parent was never ready is an orphan."""
    lives = Lives(Rules(tree()), lambda: 0.0, [])
    for event in up(A):
        lives.hear(cast("Event", event))
    assert lives.orphans() == ["/top/a"]
    lives.hear(ProcStarted(TOP))
    assert lives.orphans() == []

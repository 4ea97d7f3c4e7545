"""What a pool decides about jobs and workers, without a pool."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import NoProc, ProcExited, Refusal
from supervision.pool import Discard, Routing
from supervision.pool.decisions import (
    NotTaken,
    Obstacle,
    Outcome,
    Standing,
    attempt_outcome,
    is_drained,
    is_missed,
    obstacle,
    overflow,
    refusal,
    size_change,
    standing,
)
from supervision.pool.routing import Schedule

# -- a job comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((False, False, True), None),
        ((False, False, False), NotTaken.NO_WORKERS),
        ((False, True, True), NotTaken.DRAINING),
        ((False, True, False), NotTaken.DRAINING),
        ((True, True, False), NotTaken.ENDING),
        ((True, False, True), NotTaken.ENDING),
    ],
)
def test_a_job_is_taken_or_refused(
    facts: tuple[bool, bool, bool], expected: NotTaken | None
) -> None:
    """A pool that ends says so before one that drains, and that before one without workers."""
    ending, draining, staffed = facts
    assert refusal(ending=ending, draining=draining, staffed=staffed) is expected


@pytest.mark.parametrize(
    ("discard", "limit", "expected"),
    [
        (Discard.REFUSE, 3, 4),
        (Discard.OLDEST, 3, 1),
        (Discard.NEWEST, 3, 3),
        (Discard.OLDEST, 4, None),
        (Discard.REFUSE, 4, None),
    ],
)
def test_one_more_than_may_wait(discard: Discard, limit: int, expected: int | None) -> None:
    """The policy names the job that is given up; where there is room, none is."""
    schedule = Schedule(Routing.LEAST_LOADED)
    for job in (1, 2, 3, 4):
        schedule.put(job)
    assert overflow(schedule, 4, limit, discard) == expected


@pytest.mark.parametrize("discard", Discard)
def test_a_job_that_waits_alone_is_given_up_itself(discard: Discard) -> None:
    """Where none may wait, the newcomer is refused; one that was handed out needs no room."""
    schedule = Schedule(Routing.LEAST_LOADED)
    schedule.put(1)
    assert overflow(schedule, 1, 0, discard) == 1
    assert overflow(schedule, 2, 0, discard) is None


# -- a job goes out, and comes back ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "due", "expected"),
    [
        (True, None, None),
        (True, 10.1, None),
        (True, 10.0, Obstacle.EXPIRED),  # its reminder may still stand in the mail
        (True, 9.0, Obstacle.EXPIRED),
        (False, None, Obstacle.UNWANTED),
        (False, 9.0, Obstacle.UNWANTED),
    ],
)
def test_the_job_whose_turn_it_is(
    wanted: bool, due: float | None, expected: Obstacle | None
) -> None:
    """A job begins before its time is over, as long as somebody wants it."""
    assert obstacle(wanted=wanted, due=due, now=10.0) is expected


CRASH = ProcExited("/pool/workers/worker-1", NoProc(), "Render")


@pytest.mark.parametrize(
    ("error", "crashed", "expected"),
    [
        (None, False, Outcome.DONE),
        (Refusal("no"), False, Outcome.DONE),
        (ValueError("no"), False, Outcome.FAILED),
        (CRASH, False, Outcome.FAILED),  # of another proc, that the worker has asked
        (CRASH, True, Outcome.AGAIN),
    ],
)
def test_what_an_attempt_has_led_to(
    error: Exception | None, crashed: bool, expected: Outcome
) -> None:
    """A refusal is an answer; only the end of the worker itself is worth another attempt."""
    found = attempt_outcome(error, crashed=crashed, attempts_left=1, wanted=True, ending=False)
    assert found is expected


@pytest.mark.parametrize(
    "facts", [{"attempts_left": 0}, {"wanted": False}, {"ending": True}], ids=str
)
def test_there_is_no_further_attempt(facts: dict[str, Any]) -> None:
    """Without attempts left, without an asker, or in a pool that ends, a crash is the end."""
    facts = {"attempts_left": 2, "wanted": True, "ending": False, **facts}
    assert attempt_outcome(CRASH, crashed=True, **facts) is Outcome.CRASHED


@pytest.mark.parametrize(
    ("asked", "running", "discarded", "expected"),
    [
        (False, False, False, True),
        (True, False, False, False),
        (False, True, False, False),
        (True, False, True, True),
    ],
)
def test_what_is_given_up_may_be_a_dead_letter(
    asked: bool, running: bool, discarded: bool, expected: bool
) -> None:
    """A told job that no worker has in hand is one, and each that made room for another."""
    assert is_missed(asked=asked, running=running, discarded=discarded) is expected


# -- workers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"up": True}, Standing.FREE),
        ({"up": True, "busy": True}, Standing.AWAY),
        ({}, Standing.AWAY),
        ({"parked": True}, Standing.OUT),
        ({"up": True, "retiring": True}, Standing.OUT),
        ({"up": True, "busy": True, "retiring": True}, Standing.OUT),
    ],
    ids=str,
)
def test_what_a_worker_is_good_for(facts: dict[str, bool], expected: Standing) -> None:
    """What is bound to a worker waits while it can come back, and not when it leaves."""
    facts = {"up": False, "busy": False, "parked": False, "retiring": False, **facts}
    assert standing(**facts) is expected


@given(st.sets(st.integers(1, 20)), st.integers(1, 20))
def test_a_resize_changes_as_little_as_it_can(numbers: set[int], size: int) -> None:
    """The highest numbers go, or the lowest free ones come, until there are as many as wanted."""
    change = size_change(numbers, size)
    assert not (change.stop and change.start)
    after = numbers - set(change.stop) | set(change.start)
    assert len(after) == size
    assert all(stopped > stays for stopped in change.stop for stays in after)
    assert set(change.start).isdisjoint(numbers)
    assert set(range(1, max(change.start, default=0))) <= after
    assert [*change.stop, *change.start] == sorted([*change.stop, *change.start])


@pytest.mark.parametrize(
    ("unfinished", "busy", "expected"),
    [(0, [], True), (0, [False, False], True), (1, [False], False), (0, [False, True], False)],
)
def test_when_a_pool_is_drained(unfinished: int, busy: list[bool], expected: bool) -> None:
    """A pool is drained when nothing is unfinished, and every hand is empty."""
    assert is_drained(unfinished=unfinished, busy=busy) is expected

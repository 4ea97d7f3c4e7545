"""Decide what becomes of a pool's jobs and workers: pure functions over plain values.

Which worker gets which job is decided by the `Schedule` in `routing`; everything else is here. The
`Dispatcher` asks these functions and does as they say, so a rule of the pool is changed, and
tested, in this file alone. In the order of a job's life:

===================  ========================================================================
function             what it decides
===================  ========================================================================
`refusal`            whether a job that comes is taken
`overflow`           which job is given up when more wait than may
`obstacle`           whether the job whose turn it is begins, or has expired, or is unwanted
`attempt_outcome`    what an attempt has led to: an answer, a failure, another attempt
`is_missed`          whether a job that was given up is a dead letter
`standing`           whether a worker gets jobs now, later, or not any more
`size_change`        which workers a resize stops, and which numbers it starts
`is_drained`         whether a pool that takes no more jobs has finished what it had
===================  ========================================================================

Guarantee: none of them has an effect, reads a clock or knows a proc. Where all is as it should be,
the answer is None: that is what most jobs meet, and it costs nothing.

>>> size_change([1, 3, 4], 2), size_change([1, 3, 4], 5)
(SizeChange(stop=(4,), start=()), SizeChange(stop=(), start=(2, 5)))
>>> attempt_outcome(None, crashed=True, attempts_left=1, wanted=True, ending=False)
<Outcome.AGAIN: 'again'>
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import count, islice
from typing import final

from attrs import frozen

from actors import Refusal
from actors.texts import is_a
from supervision.pool.routing import Schedule
from supervision.pool.spec import Discard

__all__ = [
    "NotTaken",
    "Obstacle",
    "Outcome",
    "SizeChange",
    "Standing",
    "attempt_outcome",
    "is_drained",
    "is_missed",
    "obstacle",
    "overflow",
    "refusal",
    "size_change",
    "standing",
]


# -- a job comes -----------------------------------------------------------------------------------


@final
class NotTaken(Enum):
    """Why a job is not taken."""

    ENDING = "ending"
    DRAINING = "draining"
    NO_WORKERS = "no workers"


def refusal(*, ending: bool, draining: bool, staffed: bool) -> NotTaken | None:
    """Decide why a job is not taken, None when it is.

    `staffed` tells that there are workers that it may go to, now or when they are back.
    """
    if ending:
        return NotTaken.ENDING
    if draining:
        return NotTaken.DRAINING
    return None if staffed else NotTaken.NO_WORKERS


def overflow(schedule: Schedule, newcomer: int, limit: int, discard: Discard) -> int | None:
    """Decide which job is given up now that one more waits: None when there is room for all.

    The newcomer itself when it is to be refused, or when nothing else waits.
    """
    if len(schedule) <= limit or newcomer not in schedule:
        return None
    victim: int | None = None
    if discard is Discard.OLDEST:
        victim = schedule.oldest()
    elif discard is Discard.NEWEST:
        victim = schedule.newest(but=newcomer)
    return newcomer if victim is None else victim


# -- a job goes out, and comes back ----------------------------------------------------------------


@final
class Obstacle(Enum):
    """Why a job whose turn it is does not begin."""

    EXPIRED = "expired"
    UNWANTED = "unwanted"


def obstacle(*, wanted: bool, due: float | None, now: float) -> Obstacle | None:
    """Decide why a job does not begin, None when it does; `due` is when it expires.

    Its reminder may still stand in the mail: the clock alone says whether it is too late.
    """
    if not wanted:
        return Obstacle.UNWANTED
    return None if due is None or now < due else Obstacle.EXPIRED


@final
class Outcome(Enum):
    """How an attempt at a job ended.

    `DONE`: the worker answered, be it with a refusal. `CRASHED`: it ended, and the job has failed.
    `AGAIN`: it ended, and the job waits for another one. `FAILED`: it lives on, but there is no
    answer.
    """

    DONE = "done"
    CRASHED = "crashed"
    AGAIN = "again"
    FAILED = "failed"


def attempt_outcome(
    error: Exception | None, *, crashed: bool, attempts_left: int, wanted: bool, ending: bool
) -> Outcome:
    """Decide what an attempt has led to.

    `error` is what came instead of an answer; `crashed` tells that the worker ended over the job;
    `wanted` that somebody still waits for it, or that it was only told; `ending` that the pool
    begins nothing any more.
    """
    if crashed:
        again = wanted and attempts_left > 0 and not ending
        return Outcome.AGAIN if again else Outcome.CRASHED
    answered = error is None or is_a(error, Refusal)
    return Outcome.DONE if answered else Outcome.FAILED


def is_missed(*, asked: bool, running: bool, discarded: bool) -> bool:
    """Decide whether a job that is given up is a dead letter.

    An asker hears of it in person; a worker that has the job in hand finishes it anyway. A job that
    has to make room for another is one in any case.
    """
    return discarded or not (asked or running)


# -- workers ---------------------------------------------------------------------------------------


@final
class Standing(Enum):
    """What the schedule is to know of a worker.

    `FREE`: it can take a job. `AWAY`: it cannot now, but what is bound to it waits. `OUT`: what
    waits for it goes to others.
    """

    FREE = "free"
    AWAY = "away"
    OUT = "out"


def standing(*, up: bool, busy: bool, parked: bool, retiring: bool) -> Standing:
    """Decide what a worker is good for; the words are those of `Worker`."""
    if parked or retiring:
        return Standing.OUT
    return Standing.FREE if up and not busy else Standing.AWAY


@final
@frozen
class SizeChange:
    """The numbers of the workers that a resize stops, and of those that it starts, in order."""

    stop: tuple[int, ...]
    start: tuple[int, ...]


def size_change(numbers: Iterable[int], size: int) -> SizeChange:
    """Decide what leads from these workers to `size` of them.

    The highest numbers go; the lowest that are free come.
    """
    taken = set(numbers)
    free = (number for number in count(1) if number not in taken)
    missing = max(0, size - len(taken))
    return SizeChange(stop=tuple(sorted(taken)[size:]), start=tuple(islice(free, missing)))


def is_drained(*, unfinished: int, busy: Iterable[bool]) -> bool:
    """Decide whether a draining pool has finished.

    A worker may still be busy with a job that has expired, so is no longer among the unfinished.
    """
    return not unfinished and not any(busy)

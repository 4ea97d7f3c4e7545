"""Routing: which worker gets which job, decided without a loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.keys import Key, check_key, stable_hash
from supervision.pool import Routing
from supervision.pool.routing import MOST_HOMES, Schedule, rendezvous

ROOT = Path(__file__).parents[3]
KEYS = st.recursive(
    st.text() | st.binary() | st.integers(), lambda part: st.lists(part, max_size=3).map(tuple)
)


def schedule_of(routing: Routing, *workers: int) -> Schedule:
    """Make a schedule with members that all rest."""
    schedule = Schedule(routing)
    for worker in workers:
        schedule.join(worker)
        schedule.rest(worker)
    return schedule


def handed_out(schedule: Schedule) -> list[tuple[int, int]]:
    """Hand out all that can be handed out now, as pairs of worker and job."""
    return list(iter(schedule.next, None))


# -- keys ------------------------------------------------------------------------------------------


@given(KEYS, KEYS)
def test_only_equal_keys_have_equal_hashes(one: Key, other: Key) -> None:
    """Equal keys have the same hash, and different ones have different hashes."""
    assert (stable_hash(one) == stable_hash(other)) == (one == other)


def test_a_hash_is_the_same_in_every_process() -> None:
    """The hash of a key does not depend on the seed of the process."""
    keys: list[Any] = ["ada", b"ada", 7, ("ada", (7, b""))]
    code = f"from supervision.keys import stable_hash; print(*map(stable_hash, {keys!r}))"
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed.split() == [str(stable_hash(key)) for key in keys]


@pytest.mark.parametrize("key", [1.5, None, ["a"], ("a", None), object()])
def test_what_is_no_key_is_refused(key: object) -> None:
    """A key is a text, bytes, an int or a tuple of these, and anything else a TypeError."""
    with pytest.raises(TypeError, match="a key is a str, bytes, int or a tuple"):
        check_key(key)
    with pytest.raises(TypeError, match="a key is"):
        stable_hash(key)  # type: ignore[arg-type]


@given(st.sets(st.integers(1, 50), min_size=1), st.integers(51, 60), KEYS)
def test_a_new_worker_takes_over_only_what_it_gets(workers: set[int], new: int, key: Key) -> None:
    """When a worker joins, a key stays where it was or goes to the new one."""
    hashed = stable_hash(key)
    assert rendezvous(hashed, workers | {new}) in (rendezvous(hashed, workers), new)


@given(st.sets(st.integers(1, 50), min_size=2), KEYS)
def test_a_worker_that_leaves_gives_away_only_its_own(workers: set[int], key: Key) -> None:
    """When a worker leaves, the keys of the others stay where they were."""
    hashed = stable_hash(key)
    owner = rendezvous(hashed, workers)
    assert owner is not None
    for gone in workers - {owner}:
        assert rendezvous(hashed, workers - {gone}) == owner


def test_keys_are_spread_evenly() -> None:
    """Of many keys, each worker gets about its share; without workers a key belongs to none."""
    found = [rendezvous(stable_hash(f"user-{number}"), range(1, 9)) for number in range(8000)]
    assert all(850 < found.count(worker) < 1150 for worker in range(1, 9))
    assert rendezvous(stable_hash("ada"), ()) is None


# -- routings --------------------------------------------------------------------------------------


def test_round_robin_goes_in_turn() -> None:
    """Under round robin the workers take turns in the order of their numbers."""
    schedule = schedule_of(Routing.ROUND_ROBIN, 1, 2, 3)
    given_to: list[int] = []
    for job in range(6):
        schedule.put(job)
        ((worker, _),) = handed_out(schedule)
        given_to.append(worker)
        schedule.rest(worker)
    assert given_to == [1, 2, 3, 1, 2, 3]


def test_least_loaded_takes_who_has_rested_longest() -> None:
    """Under least loaded a job goes to the worker that has rested longest."""
    schedule = schedule_of(Routing.LEAST_LOADED, 1, 2, 3)
    for job in range(3):
        schedule.put(job)
    assert handed_out(schedule) == [(1, 0), (2, 1), (3, 2)]
    for worker in (3, 1, 2):
        schedule.rest(worker)
    for job in range(3, 6):
        schedule.put(job)
    assert handed_out(schedule) == [(3, 3), (1, 4), (2, 5)]


def test_a_sticky_key_stays() -> None:
    """Under sticky all jobs of a key go to the worker that had it first."""
    schedule = schedule_of(Routing.STICKY, 1, 2)
    for job in range(3):
        schedule.put(job, "ada")
    schedule.put(3, "grace")
    assert handed_out(schedule) == [(1, 0), (2, 3)]
    schedule.rest(2)
    assert handed_out(schedule) == []
    schedule.rest(1)
    assert handed_out(schedule) == [(1, 1)]


def test_what_only_one_may_have_is_left_to_it() -> None:
    """When two rest, the one that is called for a job takes that, and the other takes the rest."""
    schedule = schedule_of(Routing.STICKY, 1, 2)
    schedule.put(0, "ada")
    schedule.put(1)
    assert handed_out(schedule) == [(1, 0), (2, 1)]
    schedule.put(2)
    schedule.put(3, "ada")
    schedule.rest(1)
    schedule.rest(2)
    assert sorted(handed_out(schedule)) == [(1, 3), (2, 2)]


# -- the queue -------------------------------------------------------------------------------------


def test_a_job_that_comes_back_is_first_again() -> None:
    """Jobs wait in the order of their numbers, and one that is put again in its old place."""
    schedule = schedule_of(Routing.LEAST_LOADED, 1)
    assert (schedule.oldest(), schedule.newest()) == (None, None)
    for job in (5, 6, 2, 4, 3):
        schedule.put(job)
    assert (schedule.oldest(), schedule.newest(), schedule.newest(but=6)) == (2, 6, 5)
    for job in (2, 3, 4):
        assert handed_out(schedule) == [(1, job)]
        schedule.rest(1)


def test_what_was_called_for_a_job_that_is_gone_is_not_called() -> None:
    """A worker whose waiting job was taken out gets another, or none."""
    schedule = schedule_of(Routing.KEYED, 1)
    schedule.put(1, "ada")
    schedule.take_out(1)
    assert schedule.next() is None
    schedule.put(2)
    assert schedule.next() == (1, 2)


def test_what_has_left_does_not_pile_up() -> None:
    """A line of jobs that are taken out before they are served stays short."""
    schedule = Schedule(Routing.LEAST_LOADED)
    schedule.put(0)
    for job in range(1, 10_000):
        schedule.put(job)
        schedule.take_out(job)
    assert len(schedule._shared._heap) < 100


def test_what_is_remembered_of_keys_is_bounded() -> None:
    """The workers of many keys are not all remembered, and still known."""
    schedule = schedule_of(Routing.KEYED, 1, 2, 3)
    for number in range(MOST_HOMES + 10):
        schedule.put(number, number)
        schedule.take_out(number)
    assert len(schedule._homes) <= MOST_HOMES
    schedule.put(0, 0)
    assert handed_out(schedule) == [(rendezvous(stable_hash(0), (1, 2, 3)), 0)]


@pytest.mark.parametrize("routing", Routing)
def test_calls_about_workers_may_be_repeated(routing: Routing) -> None:
    """Saying the same of a worker twice is as good as once, also of one that is unknown."""
    schedule = schedule_of(routing, 1, 1)
    for _ in range(2):
        schedule.leave(2)
        schedule.rest(2)
        schedule.occupy(2)
        schedule.release(2)
    schedule.put(0, "ada")
    schedule.put(1, "ada")
    assert handed_out(schedule) == [(1, 0)]
    schedule.occupy(1)
    schedule.leave(1)
    schedule.leave(1)
    assert schedule.members == ()
    assert handed_out(schedule) == []


# -- against a plain model -------------------------------------------------------------------------


class Model:
    """Say in the plainest way what a schedule may do."""

    def __init__(self, routing: Routing) -> None:
        self.routing = routing
        self.members: set[int] = set()
        self.resting: set[int] = set()
        self.waiting: dict[int, Key | None] = {}
        self.owners: dict[Key, int] = {}

    def may(self, worker: int, job: int) -> bool:
        """Tell whether a worker may have a job now."""
        key = self.waiting[job]
        if worker not in self.resting:
            return False
        if key is None or self.routing in (Routing.ROUND_ROBIN, Routing.LEAST_LOADED):
            return True
        if self.routing is Routing.KEYED:
            return rendezvous(stable_hash(key), self.members) == worker
        return self.owners.get(key, worker) == worker

    def hand_out(self, worker: int, job: int) -> None:
        """Follow what the schedule has done, if it was allowed."""
        assert self.may(worker, job)
        key = self.waiting.pop(job)
        same = [other for other, its in self.waiting.items() if its == key and other < job]
        assert same == [], "a younger job of the same key went first"
        self.resting.discard(worker)
        if key is not None and self.routing is Routing.STICKY:
            self.owners.setdefault(key, worker)

    def release(self, worker: int) -> None:
        """Free the keys of a worker."""
        self.owners = {key: owner for key, owner in self.owners.items() if owner != worker}

    def check_nobody_rests_in_vain(self) -> None:
        """Check that nothing more could be handed out."""
        pairs = [(w, job) for w in self.resting for job in self.waiting if self.may(w, job)]
        assert pairs == []


CALLED = ["join", "leave", "rest", "rest", "occupy", "release", "put", "put", "again", "out", "go"]
CALLS = st.lists(
    st.tuples(
        st.sampled_from(CALLED), st.integers(1, 5), st.sampled_from([None, "a", "b", "c", "d"])
    ),
    max_size=60,
)


@pytest.mark.parametrize("routing", Routing)
@given(calls=CALLS)
def test_a_schedule_does_what_it_may_and_all_that_it_may(
    routing: Routing, calls: list[tuple[str, int, str | None]]
) -> None:
    """Whatever happens, only a worker that may have a job gets it, and none rests in vain."""
    schedule, model = Schedule(routing), Model(routing)
    gone: dict[int, str | None] = {}
    number = 0
    for call, worker, key in [*calls, ("go", 1, None)]:
        if call == "join":
            schedule.join(worker)
            model.members.add(worker)
        elif call == "leave":
            schedule.leave(worker)
            if worker in model.members:
                model.members.discard(worker)
                model.resting.discard(worker)
                model.release(worker)
        elif call == "rest":
            schedule.rest(worker)
            model.resting |= {worker} & model.members
        elif call == "occupy":
            schedule.occupy(worker)
            model.resting.discard(worker)
        elif call == "release":
            schedule.release(worker)
            model.release(worker)
        elif call == "put":
            number += 1
            schedule.put(number, key)
            model.waiting[number] = gone[number] = key
        elif call == "again":
            for job in [job for job in gone if job not in model.waiting][:1]:
                schedule.put(job, gone[job])
                model.waiting[job] = gone[job]
        elif call == "out":
            for job in list(model.waiting)[worker - 1 : worker]:
                assert (schedule.take_out(job), schedule.take_out(job)) == (True, False)
                del model.waiting[job]
        else:
            for pair in handed_out(schedule):
                model.hand_out(*pair)
            model.check_nobody_rests_in_vain()
        assert all((job in schedule) == (job in model.waiting) for job in gone)
        assert set(schedule.members) == model.members
        assert len(schedule) == len(model.waiting)
        assert schedule.oldest() == min(model.waiting, default=None)
        assert schedule.newest() == max(model.waiting, default=None)

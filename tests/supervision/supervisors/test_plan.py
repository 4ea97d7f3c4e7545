"""Tests of `supervision.plan` against a naive supervisor written from the rules in words.

The naive one acts instead of planning: it walks over its children one at a time and keeps a
diary of what it did. The planned one carries out what `supervision.plan` says. Whatever
happens to both, their diaries and their children must stay the same.
"""

from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Crashed, ExitReason, Killed, NoProc, Normal, Shutdown
from supervision.specs.options import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Restart,
    ShutdownPolicy,
    Strategy,
)
from supervision.supervisors.plan import (
    ChildState,
    Member,
    Round,
    Verdict,
    ends_supervisor,
    is_expected,
    restart_round,
    stop_order,
    verdict,
    waiting_behind,
)

PERMANENT, TRANSIENT, TEMPORARY = Restart
RUNNING, TERMINATED, RESTARTING, PARKED = ChildState
BOOM = Crashed(ValueError("boom"))
REASONS: tuple[ExitReason, ...] = (
    Normal(),
    Shutdown(),
    Shutdown("detail"),
    Killed(),
    NoProc(),
    BOOM,
)
GOOD = REASONS[:3]

Action = Literal["crash", "end", "terminate", "restart", "retry"]
Step = tuple[Action, int, frozenset[str]]
Diary = list[tuple[str, str]]
ACTIONS: list[Action] = ["crash", "crash", "end", "terminate", "restart", "retry", "retry"]


class Naive:
    """A supervisor as the rules tell it, one child after the other, without any plan."""

    def __init__(self, strategy: str, children: list[tuple[str, str]]) -> None:
        self.strategy = strategy
        self.order = [id for id, _ in children]
        self.restart = dict(children)
        self.state = dict.fromkeys(self.order, "running")
        self.diary: Diary = []

    def crash(self, id: str, broken: frozenset[str]) -> None:
        if self.state[id] != "running":
            return
        self.state[id] = "terminated"
        if self.restart[id] == "temporary":
            self.forget(id)
        else:
            self.again(id, broken)

    def end(self, id: str, broken: frozenset[str]) -> None:
        if self.state[id] != "running" or self.restart[id] != "transient":
            self.crash(id, broken)
        else:
            self.state[id] = "terminated"

    def terminate(self, id: str, broken: frozenset[str]) -> None:
        if self.state[id] == "running":
            self.diary.append(("stop", id))
        self.state[id] = "terminated"
        if self.restart[id] == "temporary":
            self.forget(id)

    def bring_back(self, id: str, broken: frozenset[str]) -> None:
        if self.state[id] == "terminated" and id not in broken:
            self.state[id] = "running"

    def retry(self, broken: frozenset[str]) -> None:
        for id in list(self.order):
            if self.state.get(id) == "restarting":
                self.again(id, broken)
                return

    def again(self, cause: str, broken: frozenset[str]) -> None:
        """Act out one restart as rules 1.4 and 1.6 tell it."""
        self.state[cause] = "terminated"
        for id in self.order[::-1]:
            if id == cause or not self.concerned(id, cause):
                continue
            if self.state[id] == "running":
                self.diary.append(("stop", id))
            self.state[id] = "terminated"
        for id in list(self.order):
            if id != cause and self.concerned(id, cause) and self.restart[id] == "temporary":
                self.forget(id)
        for id in self.order:
            if not self.concerned(id, cause):
                continue
            if id in broken:
                self.diary.append(("fail", id))
                self.state[id] = "restarting"
                break
            self.diary.append(("start", id))
            self.state[id] = "running"

    def concerned(self, id: str, cause: str) -> bool:
        if self.strategy == "one_for_one":
            return id == cause
        if self.strategy == "rest_for_one":
            return self.order.index(id) >= self.order.index(cause)
        return True

    def forget(self, id: str) -> None:
        self.order.remove(id)
        del self.state[id], self.restart[id]


class Planned:
    """The same supervisor, doing what `supervision.plan` says."""

    def __init__(self, strategy: Strategy, children: list[tuple[str, str]]) -> None:
        self.strategy = strategy
        self.members = {id: Member(id, Restart(restart)) for id, restart in children}
        self.diary: Diary = []

    def set(self, id: str, state: ChildState) -> None:
        old = self.members[id]
        self.members[id] = Member(id, old.restart, old.significant, state)

    def exited(self, id: str, reason: ExitReason, broken: frozenset[str]) -> None:
        if self.members[id].state is not RUNNING:
            return
        match verdict(self.members[id].restart, reason):
            case Verdict.RESTART:
                self.carry_out(id, broken)
            case Verdict.KEEP:
                self.set(id, TERMINATED)
            case Verdict.REMOVE:
                del self.members[id]

    def terminate(self, id: str) -> None:
        if self.members[id].state is RUNNING:
            self.diary.append(("stop", id))
        self.set(id, TERMINATED)
        if self.members[id].restart is TEMPORARY:
            del self.members[id]

    def retry(self, broken: frozenset[str]) -> None:
        for member in self.members.values():
            if member.state is RESTARTING:
                self.carry_out(member.id, broken)
                return

    def carry_out(self, id: str, broken: frozenset[str]) -> None:
        plan = restart_round(self.strategy, self.members.values(), id)
        for stopped in plan.stop:
            self.diary.append(("stop", stopped))
            self.set(stopped, TERMINATED)
        for removed in plan.remove:
            del self.members[removed]
        for started in plan.start:
            self.set(started, TERMINATED)
        for started in plan.start:
            if started in broken:
                self.diary.append(("fail", started))
                self.set(started, RESTARTING)
                return
            self.diary.append(("start", started))
            self.set(started, RUNNING)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Strategy, list[tuple[str, str]], list[Step]]:
    """Invent a supervisor and what happens to it; the sets name starts that fail just then."""
    restarts = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
    children = [(f"c{place}", draw(restarts)) for place in range(draw(st.integers(1, 6)))]
    broken = st.frozensets(st.sampled_from([id for id, _ in children]), max_size=2)
    step = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), broken)
    return draw(st.sampled_from(Strategy)), children, draw(st.lists(step, max_size=25))


def live(story_step: Step, naive: Naive, planned: Planned) -> None:
    """Let the same thing happen to both supervisors."""
    action, place, broken = story_step
    if not naive.order:
        return
    id = naive.order[place % len(naive.order)]
    match action:
        case "crash":
            naive.crash(id, broken)
            planned.exited(id, BOOM, broken)
        case "end":
            naive.end(id, broken)
            planned.exited(id, Normal(), broken)
        case "terminate":
            naive.terminate(id, broken)
            planned.terminate(id)
        case "restart":
            naive.bring_back(id, broken)
            if planned.members[id].state is TERMINATED and id not in broken:
                planned.set(id, RUNNING)
        case "retry":
            naive.retry(broken)
            planned.retry(broken)


@given(stories())
def test_whatever_happens_the_plan_does_what_the_rules_say(
    story: tuple[Strategy, list[tuple[str, str]], list[Step]],
) -> None:
    """Crashes, ends, failed restarts, retries and requests leave both in the same state."""
    strategy, children, steps = story
    naive, planned = Naive(strategy.value, children), Planned(strategy, children)
    for step in steps:
        live(step, naive, planned)
        assert planned.diary == naive.diary
        assert {id: m.state.value for id, m in planned.members.items()} == naive.state
        assert [*planned.members] == naive.order
        if strategy is Strategy.ONE_FOR_ALL:
            assert [*naive.state.values()].count("restarting") <= 1
    assert list(stop_order(planned.members.values())) == [
        id for id in reversed(naive.order) if naive.state[id] == "running"
    ]


@given(
    st.sampled_from([Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE]),
    st.lists(st.tuples(st.sampled_from(Restart), st.sampled_from(ChildState)), min_size=1),
    st.data(),
)
def test_a_round_takes_every_child_in_range_once(
    strategy: Strategy, kinds: list[tuple[Restart, ChildState]], data: st.DataObject
) -> None:
    """Each child in range is started or, if temporary, removed; one that is parked stays down."""
    cause = data.draw(st.integers(0, len(kinds) - 1))
    members = [
        Member(str(place), restart, state=state) for place, (restart, state) in enumerate(kinds)
    ]
    members[cause] = Member(str(cause), PERMANENT, state=members[cause].state)
    plan = restart_round(strategy, members, str(cause))
    reach = members if strategy is Strategy.ONE_FOR_ALL else members[cause:]
    temporary = [member.id for member in reach if member.restart is TEMPORARY]
    assert list(plan.remove) == temporary
    assert list(plan.start) == [
        member.id
        for member in reach
        if member.id not in temporary and (member.state is not PARKED or member.id == str(cause))
    ]
    assert sorted(plan.stop, key=int, reverse=True) == list(plan.stop)
    assert {*plan.stop} == {
        member.id for member in reach if member.state is RUNNING and member.id != str(cause)
    }


FIVE = [
    Member("a", PERMANENT),
    Member("b", TRANSIENT, state=TERMINATED),
    Member("c", PERMANENT),
    Member("d", TEMPORARY),
    Member("e", PERMANENT),
]


@pytest.mark.parametrize(
    ("strategy", "cause", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "c", Round((), (), ("c",))),
        (Strategy.REST_FOR_ONE, "a", Round(("e", "d", "c"), ("d",), ("a", "b", "c", "e"))),
        (Strategy.REST_FOR_ONE, "c", Round(("e", "d"), ("d",), ("c", "e"))),
        (Strategy.REST_FOR_ONE, "e", Round((), (), ("e",))),
        (Strategy.ONE_FOR_ALL, "c", Round(("e", "d", "a"), ("d",), ("a", "b", "c", "e"))),
        (Strategy.ONE_FOR_ALL, "e", Round(("d", "c", "a"), ("d",), ("a", "b", "c", "e"))),
    ],
)
def test_rounds_by_hand(strategy: Strategy, cause: str, expected: Round) -> None:
    """Each strategy stops in reverse order, drops temporary ones, revives ended ones."""
    assert restart_round(strategy, FIVE, cause) == expected


def test_one_for_one_never_looks_at_the_members() -> None:
    """Under one_for_one the generator of members is not even begun, so a round costs O(1)."""

    def members() -> Iterator[Member]:
        raise AssertionError("nobody should look")
        yield

    assert restart_round(Strategy.ONE_FOR_ONE, members(), "x") == Round((), (), ("x",))


def states(**given: ChildState) -> list[Member]:
    """Make permanent members with these states, in this order."""
    return [Member(id, PERMANENT, state=state) for id, state in given.items()]


def test_a_one_for_all_retry_is_a_whole_round() -> None:
    """After a failed start under one_for_all, those started are stopped and all start (1.6.3)."""
    between = states(a=RUNNING, b=RESTARTING, c=TERMINATED, d=TERMINATED)
    assert restart_round(Strategy.ONE_FOR_ALL, between, "b") == Round(
        ("a",), (), ("a", "b", "c", "d")
    )


def test_a_rest_for_one_retry_begins_at_the_failed_child() -> None:
    """After a failed start under rest_for_one, those started before it stay up (1.6.4)."""
    between = states(a=RUNNING, b=RUNNING, c=RESTARTING, d=TERMINATED)
    assert restart_round(Strategy.REST_FOR_ONE, between, "c") == Round((), (), ("c", "d"))


def test_a_child_added_between_attempts_takes_part_in_the_retry() -> None:
    """A child started while a one_for_all waits for its retry is stopped and restarted (1.6.7)."""
    between = states(a=RUNNING, b=RESTARTING, c=TERMINATED, new=RUNNING)
    assert restart_round(Strategy.ONE_FOR_ALL, between, "b") == Round(
        ("new", "a"), (), ("a", "b", "c", "new")
    )


def test_a_round_brings_back_a_child_that_waits_for_its_own_retry() -> None:
    """A crash before a restarting child starts that child along with the rest (1.6.8)."""
    between = states(a=RUNNING, b=RESTARTING, c=TERMINATED)
    assert restart_round(Strategy.REST_FOR_ONE, between, "a") == Round((), (), ("a", "b", "c"))


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_an_unknown_cause_is_refused(strategy: Strategy) -> None:
    """A round cannot be planned for a child that is not among the members."""
    with pytest.raises(ValueError, match="there is no member 'x'"):
        restart_round(strategy, FIVE, "x")


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_a_round_leaves_a_parked_sibling_down(strategy: Strategy) -> None:
    """A round of its siblings neither stops nor starts a parked child."""
    members = states(a=RUNNING, b=PARKED, c=RUNNING, d=TERMINATED)
    assert restart_round(strategy, members, "a") == Round(("c",), (), ("a", "c", "d"))


@given(
    st.sampled_from(Strategy),
    st.lists(st.sampled_from(ChildState), min_size=1, max_size=7),
    st.data(),
)
def test_who_waits_behind_a_child_would_come_back_with_its_retry(
    strategy: Strategy, given_states: list[ChildState], data: st.DataObject
) -> None:
    """Those who wait are down, behind the child, and exactly what its retry would start there."""
    place = data.draw(st.integers(0, len(given_states) - 1))
    members = [Member(str(at), PERMANENT, state=state) for at, state in enumerate(given_states)]
    waiting = waiting_behind(strategy, iter(members), str(place))
    retry = restart_round(strategy, members, str(place))
    down = [member.id for member in members if member.state is TERMINATED]
    assert list(waiting) == [id for id in retry.start if int(id) > place and id in down]


def test_who_waits_is_not_looked_for_under_one_for_one() -> None:
    """Under one_for_one nobody waits, and the generator of members is not begun."""

    def members() -> Iterator[Member]:
        raise AssertionError("nobody should look")
        yield

    assert waiting_behind(Strategy.ONE_FOR_ONE, members(), "x") == ()
    with pytest.raises(ValueError, match="there is no member 'x'"):
        waiting_behind(Strategy.REST_FOR_ONE, FIVE, "x")


@pytest.mark.parametrize("reason", REASONS, ids=repr)
def test_the_table_of_restarts(reason: ExitReason) -> None:
    """Permanent: always restarted; transient: after abnormal exits; temporary: removed (1.3)."""
    ended_well = reason in GOOD
    assert verdict(PERMANENT, reason) is Verdict.RESTART
    assert verdict(TRANSIENT, reason) is (Verdict.KEEP if ended_well else Verdict.RESTART)
    assert verdict(TEMPORARY, reason) is Verdict.REMOVE


def test_stop_order_is_the_reverse_of_those_that_run() -> None:
    """Only running children are stopped, the last started first."""
    assert stop_order(FIVE) == ("e", "d", "c", "a")
    assert stop_order(states(a=RESTARTING, b=TERMINATED)) == ()
    assert stop_order([]) == ()


# Which exits of a stopped child are in order (1.7.3), written out: restart, shutdown, reasons.
IN_ORDER: list[tuple[Restart, float | ShutdownPolicy, set[ExitReason]]] = [
    (PERMANENT, 5.0, {Shutdown()}),
    (PERMANENT, 0, {Shutdown()}),
    (PERMANENT, INFINITY, {Shutdown()}),
    (PERMANENT, BRUTAL_KILL, {Killed()}),
    (TRANSIENT, 5.0, {Normal(), Shutdown(), Shutdown("detail")}),
    (TRANSIENT, INFINITY, {Normal(), Shutdown(), Shutdown("detail")}),
    (TRANSIENT, BRUTAL_KILL, {Normal(), Shutdown(), Shutdown("detail"), Killed()}),
    (TEMPORARY, 5.0, {Normal(), Shutdown(), Shutdown("detail")}),
    (TEMPORARY, INFINITY, {Normal(), Shutdown(), Shutdown("detail")}),
    (TEMPORARY, BRUTAL_KILL, {Normal(), Shutdown(), Shutdown("detail"), Killed()}),
]


@pytest.mark.parametrize(("restart", "policy", "fine"), IN_ORDER)
def test_the_table_of_expected_exits(
    restart: Restart, policy: float | ShutdownPolicy, fine: set[ExitReason]
) -> None:
    """A stopped child may end as it was asked to; unless permanent, it may also end well."""
    assert {reason for reason in REASONS if is_expected(restart, policy, reason)} == fine


significant_states = st.lists(st.tuples(st.booleans(), st.sampled_from(ChildState)), max_size=6)


@given(
    st.sampled_from(AutoShutdown),
    significant_states,
    st.sampled_from(Restart),
    st.booleans(),
    st.sampled_from(REASONS),
)
def test_automatic_shutdown_follows_the_rules_in_words(
    auto: AutoShutdown,
    others: list[tuple[bool, ChildState]],
    restart: Restart,
    significant: bool,
    reason: ExitReason,
) -> None:
    """It takes a significant child's own final exit, and under all_significant the last one."""
    members = [
        Member(str(place), TRANSIENT, flag, state) for place, (flag, state) in enumerate(others)
    ]
    answer = ends_supervisor(auto, members, restart=restart, significant=significant, reason=reason)
    trigger = (significant, restart.value, reason.is_abnormal) in {
        (True, "transient", False),
        (True, "temporary", False),
        (True, "temporary", True),
    }
    left = others.count((True, RUNNING)) + others.count((True, RESTARTING))
    expected = {
        "never": False,
        "any_significant": trigger,
        "all_significant": trigger and left == 0,
    }
    assert answer is expected[auto.value]


@pytest.mark.parametrize(
    ("other", "ends"),
    [(RUNNING, False), (RESTARTING, False), (TERMINATED, True), (PARKED, True)],
)
def test_a_restarting_significant_child_counts_as_left(other: ChildState, ends: bool) -> None:
    """Under all_significant a restarting one keeps the supervisor up; one that is down does not."""
    members = [
        Member("gone", TRANSIENT, True, TERMINATED),
        Member("other", TRANSIENT, True, other),
        Member("plain", PERMANENT),
    ]
    answer = ends_supervisor(
        AutoShutdown.ALL_SIGNIFICANT,
        members,
        restart=TRANSIENT,
        significant=True,
        reason=Normal(),
    )
    assert answer is ends


def test_an_insignificant_exit_never_looks_at_the_members() -> None:
    """The exit of a child that is not significant is judged without its siblings."""

    def members() -> Iterator[Member]:
        raise AssertionError("nobody should look")
        yield

    assert not ends_supervisor(
        AutoShutdown.ALL_SIGNIFICANT,
        members(),
        restart=TEMPORARY,
        significant=False,
        reason=Normal(),
    )


def test_states_print_as_words() -> None:
    """A child's state is its word, so that it can be shown and sent as it is."""
    assert [str(state) for state in ChildState] == [
        "running",
        "terminated",
        "restarting",
        "parked",
    ]

"""Tests of `supervision.supervisors.plan`: its tables, and each round as the rules say it in words.

That rounds, retries and requests fit together is shown by the reference model (`tests/semantics`).
"""

from collections.abc import Iterator

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


def test_siblings_are_not_looked_at_without_need() -> None:
    """Under one_for_one, and when one that is not significant exits, the cost is O(1)."""

    def members() -> Iterator[Member]:
        raise AssertionError("nobody should look")
        yield

    assert restart_round(Strategy.ONE_FOR_ONE, members(), "x") == Round((), (), ("x",))
    assert waiting_behind(Strategy.ONE_FOR_ONE, members(), "x") == ()
    assert not ends_supervisor(
        AutoShutdown.ALL_SIGNIFICANT,
        members(),
        restart=TEMPORARY,
        significant=False,
        reason=Normal(),
    )


def states(**given: ChildState) -> list[Member]:
    """Make permanent members with these states, in this order."""
    return [Member(id, PERMANENT, state=state) for id, state in given.items()]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_an_unknown_cause_is_refused(strategy: Strategy) -> None:
    """A round cannot be planned for a child that is not among the members."""
    with pytest.raises(ValueError, match="there is no member 'x'"):
        restart_round(strategy, FIVE, "x")
    with pytest.raises(ValueError, match="there is no member 'x'"):
        waiting_behind(strategy, FIVE, "x")


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

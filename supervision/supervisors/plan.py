"""What a supervisor does when a child exits: the decisions alone, as pure functions.

Nothing here starts, stops or waits for anything. A supervisor describes its children as
`Member`s in start order, asks, and carries the answer out. The rules are OTP's; the numbers
in the comments are those of `tests/semantics/STATEMENTS.md`, which names a test for each.

Guarantees:

- Each function is total and pure: the same values give the same answer, nothing is changed.
- A `Round` stops in reverse start order and starts in start order; the child that caused it
  starts at its own place, not first.
- No child that is temporary is ever in `start`, unless it is itself the cause.
- `restart_round` under `one_for_one` and `ends_supervisor` for a child that is not
  significant do not look at `members` at all. So hand them over as a generator expression
  and both cost the same for ten children and for ten thousand.

Worked example, the second of four children crashes:

>>> members = [
...     Member("db", Restart.PERMANENT),
...     Member("cache", Restart.PERMANENT),
...     Member("import", Restart.TRANSIENT, state=ChildState.TERMINATED),   # had ended well
...     Member("web", Restart.PERMANENT),
... ]
>>> restart_round(Strategy.REST_FOR_ONE, members, "cache")
Round(stop=('web',), remove=(), start=('cache', 'import', 'web'))
>>> restart_round(Strategy.ONE_FOR_ALL, members, "cache").stop
('web', 'db')
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, StrEnum
from typing import assert_never, final

from attrs import frozen

from actors import Crashed, ExitReason, Killed, Shutdown
from supervision.specs import AutoShutdown, Restart, ShutdownPolicy, Strategy

__all__ = [
    "ChildState",
    "Member",
    "Round",
    "Verdict",
    "ends_supervisor",
    "ends_the_process",
    "is_expected",
    "restart_round",
    "stop_order",
    "verdict",
    "waiting_behind",
]


@final
class ChildState(StrEnum):
    """Where a child stands.

    It runs, it does not, it waits for another try to start, or it was parked: it stays down,
    because its own budget of restarts is spent, until `RestartChild` revives it.
    """

    RUNNING = "running"
    TERMINATED = "terminated"
    RESTARTING = "restarting"
    PARKED = "parked"


@final
class Verdict(Enum):
    """What an exit means for the child: start it again, keep its spec, or drop it."""

    RESTART = "restart"
    KEEP = "keep"
    REMOVE = "remove"


@final
@frozen
class Member:
    """One child as far as a decision needs it; a running one by default."""

    id: str
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    state: ChildState = ChildState.RUNNING


@final
@frozen
class Round:
    """What one restart does: stop these in this order, then drop, then start those.

    The whole of `stop` ends, one child after the other, before anything of `start` begins.
    `remove` names the temporary children in range; those of them that run are in `stop` too.
    Before the first start, all of `start` becomes `TERMINATED`, also a child that was
    `RESTARTING`, whose own pending retry is void with that. So a start that fails leaves
    exactly one child of the round `RESTARTING`, and those after it terminated.
    """

    stop: tuple[str, ...]
    remove: tuple[str, ...]
    start: tuple[str, ...]


def verdict(restart: Restart, reason: ExitReason) -> Verdict:
    """Judge an exit that a child made by itself (1.3).

    Not asked when a *restart* fails to start: that is tried again whatever the type (1.6).

    A permanent child is restarted whatever the reason, a transient one after an abnormal
    exit only, a temporary one never. `KEEP` keeps the spec of an ended transient child; a
    dynamic supervisor treats it as `REMOVE` (1.11.2).
    """
    match restart:
        case Restart.PERMANENT:
            return Verdict.RESTART
        case Restart.TRANSIENT:
            return Verdict.RESTART if reason.is_abnormal else Verdict.KEEP
        case Restart.TEMPORARY:
            return Verdict.REMOVE
        case _:
            assert_never(restart)


def ends_the_process(reason: ExitReason) -> bool:
    """Tell whether a child ended with what ends the whole process, so that nothing is restarted."""
    return isinstance(reason, Crashed) and reason.process_end is not None


def restart_round(strategy: Strategy, members: Iterable[Member], id: str) -> Round:
    """Plan the restart that the child `id` causes by its exit, or by a start that failed.

    `members` are all children in start order, with their states as they are now; a
    generator is welcome, and under `one_for_one` it is never begun. The child `id` itself
    has no proc any more, whatever its state says, so it is not stopped.

    The same call serves the retry after a failed restart, where `id` is the child that
    *failed*: the siblings that the failed round had started run, those behind are
    terminated. Under `one_for_all` this stops the former and begins the whole round again
    (1.6.3); under `rest_for_one` it begins at the failed child (1.6.4).

    A parked sibling is left down. OTP has no such state.

    Raises `ValueError` when `id` is not among the members that had to be looked at.
    """
    if strategy is Strategy.ONE_FOR_ONE:
        return Round((), (), (id,))
    everyone = tuple(members)
    place = _place(everyone, id)
    reach = everyone if strategy is Strategy.ONE_FOR_ALL else everyone[place:]
    siblings = [member for member in reach if member.id != id]
    removed = tuple(member.id for member in siblings if member.restart is Restart.TEMPORARY)
    dropped = frozenset(removed)
    return Round(
        stop=stop_order(siblings),
        remove=removed,
        # Those that did not run come back as well: ended, terminated, ignored (1.4.4).
        start=tuple(
            member.id
            for member in reach
            if member.id not in dropped
            and (member.state is not ChildState.PARKED or member.id == id)
        ),
    )


def waiting_behind(strategy: Strategy, members: Iterable[Member], id: str) -> tuple[str, ...]:
    """List the siblings that wait for the restart of child `id`, in start order.

    When that restart failed in the middle of a round, those behind it in the order are down
    for it alone. They are what its retry would have started, and what is to be started
    without it when it is parked instead. Under `one_for_one` there are none.

    Raises `ValueError` when `id` is not among the members that had to be looked at.
    """
    if strategy is Strategy.ONE_FOR_ONE:
        return ()
    everyone = tuple(members)
    behind = everyone[_place(everyone, id) + 1 :]
    return tuple(member.id for member in behind if member.state is ChildState.TERMINATED)


def _place(members: Sequence[Member], id: str) -> int:
    for place, member in enumerate(members):
        if member.id == id:
            return place
    raise ValueError(f"there is no member {id!r}")


def stop_order(members: Iterable[Member]) -> tuple[str, ...]:
    """List the children that run, last started first.

    This is the order in which a supervisor stops them when it ends, and the whole of what
    it stops when it gives up or shuts down automatically (1.5.7, 1.8.3, 1.9.2).
    """
    running = [member.id for member in members if member.state is ChildState.RUNNING]
    return tuple(reversed(running))


def ends_supervisor(
    auto_shutdown: AutoShutdown,
    members: Iterable[Member],
    *,
    restart: Restart,
    significant: bool,
    reason: ExitReason,
) -> bool:
    """Tell whether a child's own exit makes the supervisor shut down automatically (1.9).

    `restart`, `significant` and `reason` belong to the exit; `members` are the children as
    they are *after* it: the child updated or removed. Under `all_significant` one that is
    restarting counts as still there, one that is terminated or parked does not.

    Only exits that a child makes by itself may be asked about: a child that was stopped, by
    request or as a sibling in a round, never ends its supervisor (1.9.4).
    """
    if not significant or not _is_final(restart, reason):
        return False
    match auto_shutdown:
        case AutoShutdown.NEVER:
            return False
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return not any(
                member.significant and member.state in (ChildState.RUNNING, ChildState.RESTARTING)
                for member in members
            )


def _is_final(restart: Restart, reason: ExitReason) -> bool:
    return verdict(restart, reason) is not Verdict.RESTART


def is_expected(
    restart: Restart, shutdown_policy: float | ShutdownPolicy, reason: ExitReason
) -> bool:
    """Tell whether a child that was being stopped ended as it should (1.7.3).

    What was asked for is always expected: `Killed` under `BRUTAL_KILL`, a `Shutdown`
    without detail under everything else. A child that is not permanent may also have
    ended well by itself. All else is an error to report, and only to report: also `Killed`
    after the shutdown time ran out.
    """
    if shutdown_policy is ShutdownPolicy.BRUTAL_KILL:
        asked = isinstance(reason, Killed)
    else:
        asked = isinstance(reason, Shutdown) and reason.detail is None
    return asked or (restart is not Restart.PERMANENT and not reason.is_abnormal)

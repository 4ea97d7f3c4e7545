"""Watch a tree through its event stream, and say at once what may not be.

Each check hears every event, keeps books of its own (it never asks the supervisor), and writes a
fault when a rule is broken:

- `Lives`: a running child under a running parent, one incarnation at a time, numbered one by one;
- `Order`: one start and one stop at a time, in order, each after those before it are ready;
- `Budgets`: no restart more than a budget allows, and no giving up before it is spent;
- `Mail`: what was sent is handled, or a dead letter for a good reason, once, and in order.

Where the events leave open what a supervisor counted (when a retry was made, what a change of the
tree did), a check takes the reading under which the supervisor is right: it never cries wolf.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import final

from actors import AnyRef, DeadLetter, Event, ProcEnded, ProcFailedToStart, ProcStarted
from supervision import Restart
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
from tests.supervision.chaos.rules import (
    OWNER_ENDED,
    Beginning,
    Handled,
    Ignored,
    Numbered,
    Rules,
    Taken,
    parent_of,
)

__all__ = ["Budgets", "Check", "Lives", "Mail", "Order"]


class Check:
    """Be what all checks have in common: the clock, the rules, and the list of faults."""

    def __init__(self, rules: Rules, clock: Callable[[], float], faults: list[str]) -> None:
        self.rules = rules
        self.clock = clock
        self.faults = faults

    def fault(self, text: str) -> None:
        """Write a fault down."""
        self.faults.append(f"{self.clock():.3f} {type(self).__name__}: {text}")

    def hear(self, event: Event) -> None:
        """Look at one event."""
        raise NotImplementedError


@final
class Lives(Check):
    """See that children run under running parents, one incarnation at a time."""

    def __init__(self, rules: Rules, clock: Callable[[], float], faults: list[str]) -> None:
        super().__init__(rules, clock, faults)
        self.up: dict[str, AnyRef] = {}
        self.last: dict[AnyRef, int] = {}
        self.begun: dict[str, AnyRef] = {}

    def hear(self, event: Event) -> None:
        """Follow starts and ends."""
        match event:
            case Beginning(ref=ref, incarnation=number):
                if ref.path in self.up:
                    self.fault(f"{ref.path} begins while an incarnation runs")
                self._number(ref, number)
                self.begun[ref.path] = ref
            case ProcStarted(ref=ref, incarnation=number):
                self._started(ref, number)
            case ProcFailedToStart(ref=ref, incarnation=number):
                if self.begun.pop(ref.path, None) is None:
                    self._number(ref, number)
                self._nothing_below(ref.path)
            case Ignored(ref=ref):
                self.begun.pop(ref.path, None)
            case ProcEnded(ref=ref, incarnation=number):
                self._ended(ref, number)
            case _:
                pass

    def _started(self, ref: AnyRef, number: int) -> None:
        if ref.path in self.up:
            self.fault(f"{ref.path} starts while an incarnation runs")
        if self.begun.pop(ref.path, None) is None:
            self._number(ref, number)
        elif self.last[ref] != number:
            self.fault(f"{ref.path} began as {self.last[ref]} and started as {number}")
        self.up[ref.path] = ref

    def _number(self, ref: AnyRef, number: int) -> None:
        expected = self.last.get(ref, 0) + 1
        if number != expected:
            self.fault(f"{ref.path} is incarnation {number}, not {expected}")
        self.last[ref] = number

    def _ended(self, ref: AnyRef, number: int) -> None:
        if self.up.get(ref.path) != ref or self.last.get(ref) != number:
            self.fault(f"{ref.path} ends as incarnation {number}, which does not run")
        self.up.pop(ref.path, None)
        self._nothing_below(ref.path)

    def _nothing_below(self, path: str) -> None:
        below = [other for other in self.up if other.startswith(f"{path}/")]
        if below:
            self.fault(f"{path} is gone, and these still run: {below}")

    def orphans(self) -> list[str]:
        """Return those that run at a quiet moment under a parent that does not."""
        return [path for path in self.up if parent_of(path) and parent_of(path) not in self.up]


@final
class Order(Check):
    """See that a supervisor starts and stops its children one by one, in order."""

    def __init__(self, rules: Rules, clock: Callable[[], float], faults: list[str]) -> None:
        super().__init__(rules, clock, faults)
        self.state: dict[str, str] = {}
        self.starting: dict[str, str] = {}
        self.stopping: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Follow starts and stops."""
        match event:
            case Beginning(ref=ref):
                self._begin(ref.path)
            case ProcStarted(ref=ref):
                if self.starting.get(parent_of(ref.path)) != ref.path:
                    self._begin(ref.path)
                self._begun(ref.path, "up")
            case Ignored(ref=ref) | ChildParked(ref=ref):
                self._begun(ref.path, "excused")
            case ProcFailedToStart(ref=ref):
                self._begun(ref.path, "failed")
                self._forget_below(ref.path)
            case ProcEnded(ref=ref):
                stopped = self.stopping.get(parent_of(ref.path)) == ref.path
                self.state[ref.path] = "stopped" if stopped else "ended"
                self._forget_below(ref.path)
            case ChildStopping(ref=ref):
                self._stop(ref.path)
            case ChildStopped(ref=ref):
                self.stopping.pop(parent_of(ref.path), None)
                self.state[ref.path] = "stopped"
            case _:
                pass

    def excuse(self, path: str) -> None:
        """Expect nothing of those children that are down: somebody has had a hand in it."""
        for child in list(self.state):
            if (path == "" or parent_of(child) == path) and self.state[child] != "up":
                self.state[child] = "excused"

    def _begin(self, path: str) -> None:
        parent = parent_of(path)
        order = self.rules.order(parent)
        if order is None:
            return
        other = self.starting.get(parent)
        if other not in (None, path):
            self.fault(f"{path} begins while {other} is still starting")
        if parent in self.stopping:
            self.fault(f"{path} begins while {self.stopping[parent]} is being stopped")
        self.starting[parent] = path
        if self.rules.is_touched(parent) or path not in order:
            return
        first = parent not in self.state or self.state[parent] != "up"
        for before in order[: order.index(path)]:
            self._is_ready(before, path, first=first)

    def _is_ready(self, before: str, path: str, *, first: bool) -> None:
        state = self.state.get(before, "never")
        if self.rules.specs[before].restart is Restart.TEMPORARY and state != "never":
            return
        alone = self.rules.is_alone(parent_of(path))
        wrong = ("never", "failed", "stopped") if first else () if alone else ("failed", "stopped")
        if state in wrong:
            self.fault(f"{path} begins, and {before}, which is before it, is not ready ({state})")

    def _begun(self, path: str, state: str) -> None:
        if self.starting.get(parent_of(path)) == path:
            del self.starting[parent_of(path)]
        self.state[path] = state

    def _stop(self, path: str) -> None:
        parent = parent_of(path)
        order = self.rules.order(parent)
        if order is None:
            return
        if parent in self.stopping:
            self.fault(f"{path} is stopped while {self.stopping[parent]} is not dead yet")
        self.stopping[parent] = path
        if self.rules.is_touched(parent) or path not in order:
            return
        for later in order[order.index(path) + 1 :]:
            if self.state.get(later) == "up":
                self.fault(f"{path} is stopped before {later}, which started after it")

    def _forget_below(self, path: str) -> None:
        for books in (self.starting, self.stopping, self.state):
            for other in [other for other in books if other.startswith(f"{path}/")]:
                del books[other]
        self.starting.pop(path, None)
        self.stopping.pop(path, None)


@final
class Budgets(Check):
    """Count the restarts that are charged to each supervisor, and to each child by itself.

    An attempt is kept as the earliest and the latest time at which it can have been made, and
    whether it is certain that it was.
    """

    def __init__(self, rules: Rules, clock: Callable[[], float], faults: list[str]) -> None:
        super().__init__(rules, clock, faults)
        self.certain: defaultdict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self.possible: defaultdict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self.retries: dict[str, float] = {}
        self.gave_up = 0
        self.parked = 0

    def hear(self, event: Event) -> None:
        """Follow what is counted."""
        match event:
            case ChildExited(ref=ref, next=next):
                self._exited(ref.path, next)
            case RestartFailed(ref=ref, delay=delay):
                self._made(ref.path, failed=True)
                self.retries[ref.path] = self.clock() + delay
                for budget in self._charged(ref.path):
                    self.possible[budget].append((self.clock() + delay, float("inf")))
            case ChildRestarted(ref=ref):
                self._made(ref.path, failed=False)
            case ChildStopping(ref=ref):
                self.retries.pop(ref.path, None)
            case ChildParked(ref=ref):
                self.parked += 1
                self._spent(ref.path, "was parked")
                self.retries.pop(ref.path, None)
            case SupervisorGaveUp(ref=ref, error=error):
                self.gave_up += 1
                own = ref.path if error.child is None else f"{ref.path}/{error.child}"
                self._spent(own, "was the reason to give up")
            case ProcEnded(ref=ref) | ProcFailedToStart(ref=ref):
                if self.rules.specs.get(ref.path, ref) is not ref and self._is_supervisor(ref.path):
                    self._forget(ref.path)
            case _:
                pass

    def forgive(self, path: str) -> None:
        """Expect nothing of what is due for a child: somebody has had a hand in it."""
        self.certain.pop(path, None)
        self.retries.pop(path, None)

    def _is_supervisor(self, path: str) -> bool:
        return self.rules.specs[path].kind == "supervisor"

    def _exited(self, path: str, next: Next) -> None:
        if next not in (Next.RESTART, Next.WAIT, Next.GIVE_UP, Next.PARK):
            return
        now = self.clock()
        parent = parent_of(path)
        if not self.rules.is_alone(parent):
            # Its round may have taken over what was due for the others.
            for other in [other for other in self.retries if parent_of(other) == parent]:
                del self.retries[other]
        for budget in self._charged(path):
            self.possible[budget].append((now, now))
            if next in (Next.RESTART, Next.WAIT) and not self.rules.is_touched(parent):
                self._count(budget, now, now)

    def _made(self, path: str, *, failed: bool) -> None:
        """See that a retry which was due has been made, by what came of it."""
        parent = parent_of(path)
        if failed and not self.rules.is_alone(parent):
            due = [other for other in self.retries if parent_of(other) == parent]
        else:
            due = [path] if path in self.retries else []
        for other in due:
            earliest = self.retries.pop(other)
            if not self.rules.is_touched(parent):
                for budget in self._charged(other):
                    self._count(budget, earliest, self.clock())

    def _count(self, budget: str, earliest: float, latest: float) -> None:
        limits = self.rules.budgets.get(budget)
        if not limits:
            return
        most, window = max(n for n, _ in limits), min(seconds for _, seconds in limits)
        counted = self.certain[budget]
        counted.append((earliest, latest))
        while len(counted) > most + 1:
            counted.popleft()
        if len(counted) > most and latest - min(first for first, _ in counted) <= window:
            times = ", ".join(f"{time:.3f}" for time, _ in counted)
            self.fault(f"{budget} allows {most} in {window} s, and there were more: {times}")

    def _charged(self, path: str) -> Iterator[str]:
        """Give the budget that a restart is charged to: its own, its supervisor's, or none.

        While somebody has a hand in the supervisor, the old spec may hold as well as the new one.
        """
        spec, parent = self.rules.specs.get(path), parent_of(path)
        unsure = self.rules.is_touched(parent)
        own = spec is not None and spec.kind == "worker" and spec.max_restarts is not None
        if own or unsure:
            yield path
        if unsure or not (own or (spec is not None and spec.backoff is not None)):
            yield parent

    def _spent(self, budget: str, what: str) -> None:
        limits = self.rules.budgets.get(budget)
        if not limits:
            return
        least, window = min(n for n, _ in limits), max(seconds for _, seconds in limits)
        now = self.clock()
        due = self.possible[budget]
        while due and due[0][1] < now - window:
            due.popleft()
        found = sum(first <= now and last >= now - window for first, last in due)
        if found <= least:
            self.fault(f"{budget} {what}, and there were only {found} in {window} s")

    def _forget(self, path: str) -> None:
        for books in (self.certain, self.possible, self.retries):
            for key in [key for key in books if key == path or key.startswith(f"{path}/")]:
                del books[key]


@final
class Mail(Check):
    """Follow numbered mail from its sender to its fate."""

    GOOD: tuple[str, ...] = (
        "in hand when its receiver",
        "parked",
        "terminated",
        "deleted",
        "ended (",
        "its restart was given up",
        "not in the new tree",
        "a temporary child in a round of restarts",
        "ignored its start",
        "its start failed",
        "has a new",
    )

    def __init__(self, rules: Rules, clock: Callable[[], float], faults: list[str]) -> None:
        super().__init__(rules, clock, faults)
        self.sent: dict[int, AnyRef] = {}
        self.fates: dict[int, str] = {}
        self.newest: dict[AnyRef, int] = {}
        self.in_hand: dict[AnyRef, int] = {}
        self.lost: list[tuple[AnyRef, int]] = []
        self.orphaned: dict[str, float] = {}

    def send(self, ref: AnyRef, number: int) -> None:
        """Note that a message is about to be sent; there is one sender."""
        self.sent[number] = ref

    def hear(self, event: Event) -> None:
        """Follow it."""
        match event:
            case Taken(ref=ref, number=number):
                self._in_order(ref, number)
                if ref in self.in_hand:
                    self.fault(f"{ref.path} takes {number} with {self.in_hand[ref]} in hand")
                self.in_hand[ref] = number
            case Handled(ref=ref, number=number):
                if self.in_hand.pop(ref, None) != number:
                    self.fault(f"{ref.path} handled {number}, which it had not in hand")
                self._settle(number, "handled")
            case DeadLetter(ref=ref, message=Numbered(number=number), why=why):
                self._died(ref, number, str(why))
            case ProcEnded(ref=ref, in_hand=in_hand):
                self._put_down(ref, in_hand)
                self._owner_ended(ref)
            case ProcFailedToStart(ref=ref):
                self._owner_ended(ref)
            case _:
                pass

    def _died(self, ref: AnyRef, number: int, why: str) -> None:
        if why.startswith("in hand"):
            if self.in_hand.get(ref) != number:
                self.fault(f"{ref.path} did not have {number} in hand")
            self.lost.append((ref, number))
        else:
            self._in_order(ref, number)
            if why == OWNER_ENDED:
                self.orphaned[parent_of(ref.path)] = self.clock()
            elif why.startswith("dropped at the restart") and self._keeps(ref.path):
                self.fault(f"{ref.path} keeps its mail, and {number} was dropped")
            elif not why.startswith((*self.GOOD, "dropped at the restart", "shutdown", "killed")):
                self.fault(f"{ref.path} lost {number}: {why}")
        self._settle(number, why)

    def _owner_ended(self, ref: AnyRef) -> None:
        since = self.orphaned.pop(ref.path, None)
        if since is not None and since != self.clock():
            self.fault(f"{ref.path} ended long after the mail of its children was given up")

    def _put_down(self, ref: AnyRef, in_hand: object) -> None:
        was = self.in_hand.pop(ref, None)
        reported = in_hand.number if isinstance(in_hand, Numbered) else None
        if (was is not None or reported is not None) and was != reported:
            self.fault(f"{ref.path} ended with {was} in hand, and {reported} was reported")
        if was is not None and (ref, was) not in self.lost:
            self.fault(f"{ref.path} ended with {was} in hand, which is no dead letter")

    def _keeps(self, path: str) -> bool:
        spec = self.rules.specs.get(path)
        return spec is not None and spec.mailbox.on_restart == "keep"

    def _in_order(self, ref: AnyRef, number: int) -> None:
        if self.sent.get(number) != ref:
            self.fault(f"{ref.path} has {number}, which was not sent to it")
        if number <= self.newest.get(ref, 0):
            self.fault(f"{ref.path} has {number} after {self.newest[ref]}")
        self.newest[ref] = max(number, self.newest.get(ref, 0))

    def _settle(self, number: int, fate: str) -> None:
        if number in self.fates:
            self.fault(f"{number} has two fates: {self.fates[number]}, {fate}")
        self.fates[number] = fate

    def finish(self) -> None:
        """See at the end that nothing is without a fate."""
        for number in sorted(self.sent.keys() - self.fates.keys()):
            self.fault(f"{number}, sent to {self.sent[number].path}, was lost without a word")
        for path in self.orphaned:
            self.fault(f"{path} runs on, and the mail of its children was given up")

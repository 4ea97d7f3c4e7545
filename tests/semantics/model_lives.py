"""What the reference model is made of: addresses, lives, and the record of what happened.

A `Life` is one incarnation of a child. A `WorkerLife` does what its `Worker` says; supervisors are
in `model_keeping`. Whatever happens is written into the `World`'s trace.

>>> world = World(Rules())
>>> life = WorkerLife(world, Address(world, "top/a"), Worker("a"), None)
>>> life.begin(); world.clock.settle()
>>> life.order("crashed"); world.clock.settle()
>>> [(entry.what, entry.id, entry.detail) for entry in world.trace]
[('started', 'a', ''), ('ended', 'a', 'crashed')]
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import frozen

from tests.semantics.model_time import Clock, Promise, Thread
from tests.semantics.scripts import ATTEMPT, AnyChild, Call, Step, Worker

if TYPE_CHECKING:
    from tests.semantics.model_keeping import Entry, KeepingLife

__all__ = [
    "ABNORMAL",
    "Address",
    "Answer",
    "Ask",
    "Exit",
    "Happened",
    "Item",
    "Life",
    "Outcome",
    "Phase",
    "Retry",
    "Rules",
    "Told",
    "WorkerLife",
    "World",
]

Phase = Literal["starting", "running", "stopping", "dead"]
Outcome: TypeAlias = str
"""How a start went: "" when the child is ready, "ignored", or the reason why it failed."""

Answer: TypeAlias = str | tuple[object, ...]
"""What a supervisor answers, in OTP's words; "gone" when there is none to answer."""

ABNORMAL = ("crashed", "killed")
"""The exit reasons that are not orderly; "shutdown detail" and "gave up" are OTP's
{shutdown, T} (1.3.1)."""


@frozen
class Rules:
    """Name where this project is meant to differ from OTP (DESIGN.md); `Rules.otp()` does not.

    - `control_first`: exits and orders to stop overtake requests. OTP has one mailbox.
    - `mail_survives`: requests wait for the next incarnation of a supervisor. In OTP they die
      with the process.
    - `whole_seconds`: the window of restarts is counted in whole seconds (1.5.3). Here it is not.
    - `says_gave_up`: a supervisor that gives up exits with {shutdown, T}, in OTP with shutdown.

    Further named differences have no switch, for scripts for OTP do without them: the default
    budget, backoffs and that their restarts count in none, ids and max_children of dynamic
    supervisors, and that a supervisor that is killed takes its subtree with it (1.8.6: in OTP the
    links do that, unless somebody traps exits).
    """

    control_first: bool = True
    mail_survives: bool = True
    whole_seconds: bool = False
    says_gave_up: bool = True

    @classmethod
    def otp(cls) -> Rules:
        """Return the rules of OTP itself."""
        return cls(False, False, True, False)


@frozen
class Happened:
    """Say that something happened to child `id` of the supervisor at `parent`, or to that itself.

    `started`, `ended`, `failed` (to start) and `ignored` happen to a child; `exit`, `stopped`,
    `restarted` and `again` is what its supervisor says of it, `gave up` and `auto shutdown` what
    it says of itself. `loose` entries in a row have no order among themselves.
    """

    time: float
    parent: str
    what: str
    id: str
    detail: str = ""
    loose: bool = False


class World:
    """Hold what all lives of one tree share.

    `ambiguous`: two supervisors did something at the same moment whose order matters and is not
    defined. That can happen only after a supervisor was restarted that had mail waiting: then it
    and its own supervisor, which goes on, share a moment.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.clock = Clock()
        self.trace: list[Happened] = []
        self.addresses: dict[str, Address] = {}
        self.ambiguous = False
        self._starts: Counter[str] = Counter()

    def log(
        self, parent: str, what: str, id: str, detail: str = "", *, loose: bool = False
    ) -> None:
        """Write down what happened."""
        self.trace.append(Happened(self.clock.now, parent, what, id, detail, loose))

    def next_step(self, spec: Worker, path: str) -> Step:
        """Tell what the next start of a worker does."""
        number = self._starts[path]
        self._starts[path] += 1
        return spec.starts[number] if number < len(spec.starts) else spec.then


# -- mail ------------------------------------------------------------------------------------------


@frozen(eq=False)
class Ask:
    """Be a request that waits for its answer."""

    call: Call
    answer: Callable[[Answer], None]


@frozen(eq=False)
class Retry:
    """Be the reminder of a supervisor to itself to try a start again (1.6.1).

    `counted`: the budget knows of this attempt already, as it is the first one after an exit.
    """

    entry: Entry
    ticket: int
    counted: bool


@frozen(eq=False)
class Exit:
    """Be the news that a child has ended."""

    life: Life


@frozen(eq=False)
class Told:
    """Be the order to stop."""


Item: TypeAlias = Ask | Retry | Exit | Told


class Address:
    """Be where a child can be reached, through all its incarnations."""

    def __init__(self, world: World, path: str) -> None:
        self.world = world
        self.path = path
        self.mail: deque[Item] = deque()
        self.life: Life | None = None
        self.open = True
        world.addresses[path] = self

    @property
    def parent(self) -> str:
        """Return the path of the supervisor."""
        return self.path.rpartition("/")[0]

    def ask(self, ask: Ask) -> None:
        """Queue a request, or answer it at once that there is nobody."""
        if not self.open or (self.life is None and not self.world.rules.mail_survives):
            ask.answer("gone")
            return
        self.mail.append(ask)
        if self.life is not None:
            self.life.notice()

    def close(self) -> None:
        """Take no more requests, and fail those that wait."""
        self.open = False
        waiting = [item for item in self.mail if isinstance(item, Ask)]
        self.mail.clear()
        for ask in waiting:
            ask.answer("gone")

    def forget(self) -> None:
        """Be no address any more."""
        self.close()
        if self.world.addresses.get(self.path) is self:
            del self.world.addresses[self.path]


# -- lives -----------------------------------------------------------------------------------------


class Life:
    """Be one incarnation, from its start to its end."""

    def __init__(
        self, world: World, address: Address, spec: AnyChild, owner: KeepingLife | None
    ) -> None:
        self.world = world
        self.address = address
        self.spec = spec
        self.owner = owner
        self.phase: Phase = "starting"
        self.began = False
        self.reason = ""
        self.ready = Promise[Outcome](world.clock)
        self.death = Promise[str](world.clock)
        self.thread: Thread
        self.moved_freely = False
        self.died_at = -1.0
        address.life = self

    def begin(self) -> None:
        """Let it start."""
        self.thread = self.world.clock.start(self.live())

    async def live(self) -> None:
        """Go through the whole life."""
        raise NotImplementedError

    def notice(self) -> None:
        """Be woken by mail."""

    def order(self, reason: str) -> None:
        """Make it end, for this reason."""
        raise NotImplementedError

    def below(self) -> Iterator[Life]:
        """Give the lives of its children, the youngest first."""
        return iter(())

    def drop(self) -> None:
        """Let go of what it had in hand and what it owned."""

    # -- what happens to it ------------------------------------------------------------------------

    def started(self) -> None:
        """Be ready."""
        self.phase = "running"
        self.began = True
        self.log("started")
        self.ready.keep("")

    def finish(self, reason: str, *, loose: bool = False) -> None:
        """Be dead."""
        self.phase = "dead"
        self.reason = reason
        self.died_at = self.world.clock.now
        self.address.life = None
        self.drop()
        if self.began:
            self.log("ended", reason, loose=loose or self.moved_freely)
        elif reason != "ignored":
            self.log("failed", reason, loose=loose)
        else:
            self.log("ignored")
        if self.began and self.owner is not None:
            self.owner.hear(Exit(self))
        self.ready.keep(reason)
        self.death.keep(reason)

    def ask_to_stop(self, patience: float | None) -> None:
        """Be told to shut down; a kill follows when the time is over (1.7.1)."""
        if patience is not None:
            clock = self.world.clock
            clock.at(clock.now + patience, self.kill)
        self.order("shutdown")

    def kill(self, *, loose: bool = False) -> None:
        """Be killed, at once and with all that is below.

        Named difference from 1.8.6: there are no orphans, and the subtree is gone before the end
        is announced. In which order it goes is not defined.
        """
        if self.phase == "dead":
            return
        self.thread.cut()
        for life in self.below():
            life.kill(loose=True)
        self.finish("killed", loose=loose)

    def log(self, what: str, detail: str = "", *, loose: bool = False) -> None:
        """Write down what happened to it."""
        self.world.log(self.address.parent, what, self.spec.id, detail, loose=loose)


class WorkerLife(Life):
    """Be one incarnation of a worker."""

    spec: Worker

    def __init__(
        self, world: World, address: Address, spec: Worker, owner: KeepingLife | None
    ) -> None:
        super().__init__(world, address, spec, owner)
        self._order = Promise[str](world.clock)

    async def live(self) -> None:
        """Start, work until there is a reason to end, and stop."""
        world, spec = self.world, self.spec
        step = world.next_step(spec, self.address.path)
        if step.startswith("slow"):
            if spec.start_timeout is not None and spec.start_timeout < ATTEMPT:
                await world.clock.sleep(spec.start_timeout)
                self.finish("crashed")
                return
            await world.clock.sleep(ATTEMPT)
        if step.endswith(("fail", "broken")):
            self.finish("crashed")
            return
        if step.endswith("ignore"):
            self.finish("ignored")
            return
        self.started()
        reason = await self._order
        self.phase = "stopping"
        if spec.stop:
            await world.clock.sleep(spec.stop)
        if spec.stop_fails and reason not in ABNORMAL:
            reason = "crashed"
        self.finish(reason)

    def order(self, reason: str) -> None:
        """Make it end; the first reason counts. While it starts, it is cut short."""
        if self.phase == "running":
            self._order.keep(reason)
        elif self.phase == "starting":
            self.thread.cut()
            self.finish(reason)

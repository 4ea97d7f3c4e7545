"""What the supervisors of the reference model have in common: a life, a mailbox, and children.

Written from the statements on OTP's semantics, whose numbers stand in comments; it shares no code
with the engine. What an exit and a request mean is in `model_supervisor`.

>>> from tests.semantics.model_supervisor import SupervisorLife
>>> from tests.semantics.model_lives import Rules
>>> world = World(Rules())
>>> top = SupervisorLife(world, Address(world, "top"), Tree("top", [Worker("a")]), None)
>>> top.begin(); world.clock.settle()
>>> top.order("shutdown"); world.clock.settle()
>>> [f"{entry.what} {entry.id}" for entry in world.trace]
['started a', 'started top', 'ended a', 'stopped a', 'ended top']
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from functools import partial
from math import inf

from tests.semantics.model_lives import (
    ABNORMAL,
    Address,
    Answer,
    Ask,
    Exit,
    Item,
    Life,
    Outcome,
    Retry,
    Told,
    WorkerLife,
    World,
)
from tests.semantics.model_time import Promise
from tests.semantics.scripts import AnyChild, Dynamic, Tree, Worker

__all__ = ["KINDS", "Entry", "KeepingLife", "patience"]

KINDS: dict[type[AnyChild], type[KeepingLife]] = {}
"""Which life a spec of a supervisor asks for; the kinds put themselves in."""

LAST_START = 10.0
"""Seconds that a start goes on once its supervisor is told to stop; in OTP it may for ever."""


class Entry:
    """Be what a supervisor knows of one child."""

    def __init__(self, spec: AnyChild, address: Address) -> None:
        self.spec = spec
        self.address = address
        self.state = "terminated"
        self.life: Life | None = None
        self.restarts = 0
        self.ticket = 0

    @property
    def temporary(self) -> bool:
        """Tell whether it never comes back."""
        return self.spec.restart == "temporary"


class KeepingLife(Life):
    """Be what supervisors of both kinds have in common: children, and a mailbox."""

    spec: Tree | Dynamic
    keeps_ended = True

    # -- what the kinds decide ---------------------------------------------------------------------

    async def child_exited(self, life: Life) -> None:
        """Deal with an exit that a child made by itself."""
        raise NotImplementedError

    async def try_again(self, retry: Retry) -> None:
        """Make another attempt, if it is still wanted."""
        raise NotImplementedError

    async def answer(self, ask: Ask) -> Answer:
        """Do what is asked."""
        raise NotImplementedError

    def __init__(
        self, world: World, address: Address, spec: Tree | Dynamic, owner: KeepingLife | None
    ) -> None:
        super().__init__(world, address, spec, owner)
        self.entries: list[Entry] = []
        self.control: deque[Item] = deque()
        self.restarts: list[float] = []  # empty at each start of the supervisor (1.5.6)
        self.ending = ""
        self.in_hand: Ask | None = None
        self.starting: Entry | None = None
        self.told = False
        self.busy = False
        self.forked = False  # it and its owner may do something at the same moment
        self._bell = Promise[None](world.clock)

    # -- its life ----------------------------------------------------------------------------------

    async def live(self) -> None:
        """Start the children, serve, stop the children."""
        for spec in self.spec.children if isinstance(self.spec, Tree) else ():
            failure = await self.start_entry(self.add(spec))
            if failure not in ("", "ignored"):
                # 1.2.3: those before it are stopped in reverse order; those behind never start.
                await self.stop_all()
                self.finish("crashed")
                return
        self.started()
        self.forked = bool(self.address.mail)
        while not self.ending:
            item = await self.next_item()
            self.busy = True
            await self.serve(item)
            self.busy = False
            self.note_race(any(_is_race(item, self.world.clock.now) for item in self.control))
        await self.stop_all()  # 1.8.5: no restart any more; what still comes is not looked at
        self.finish(self.ending)

    async def next_item(self) -> Item:
        """Take the next thing out of the mailbox."""
        while True:
            if self.control:
                return self.control.popleft()
            if self.address.mail:
                return self.address.mail.popleft()
            self._bell = Promise[None](self.world.clock)
            await self._bell

    async def serve(self, item: Item) -> None:
        """Deal with one thing completely before the next."""
        match item:
            case Told():
                self.ending = "shutdown"
            case Exit(life):
                await self.child_exited(life)
            case Retry():
                await self.try_again(item)
            case Ask():
                self.in_hand = item
                answer = await self.answer(item)
                self.in_hand = None
                item.answer(answer)

    def notice(self) -> None:
        """Be woken by mail."""
        self._bell.keep(None)

    def hear(self, item: Item) -> None:
        """Take news; a named difference lets them overtake requests."""
        if self.phase == "dead":
            return
        (self.control if self.world.rules.control_first else self.address.mail).append(item)
        self.notice()

    def order(self, reason: str) -> None:
        """Be told to stop: after the exits that came before (1.8.5).

        A start is cut short. OTP finishes it first (1.2.8), since nobody can reach a supervisor
        that starts; here what is half started goes, then what was started, the youngest first.
        """
        if not self.began:
            if self.phase == "starting":
                self.phase = "stopping"
                self.thread.cut()
                self.thread = self.world.clock.start(self.take_back())
            return
        self.note_race(self.forked and self.moves_now())
        self.told = True
        self.limit_start()
        self.hear(Told())

    def limit_start(self) -> None:
        """See to it that a start comes to an end, now that it is told to stop."""
        entry = self.starting
        if entry is not None:
            wait = max(LAST_START, patience(entry.spec, brutal=0.0) or 0.0)
            self.world.clock.at(self.world.clock.now + wait, partial(self.cut_start, entry))

    def cut_start(self, entry: Entry) -> None:
        """End a start that is still going on."""
        if self.starting is entry and entry.life is not None:
            entry.life.ask_to_stop(patience(entry.spec, brutal=0.0))

    async def take_back(self) -> None:
        """End in the middle of the start."""
        for entry in reversed([*self.entries]):
            life = entry.life
            if life is not None and life.phase != "dead":
                # Here those that are to be killed are asked, too, and killed at once: what takes
                # several turns to stop may be done before or not.
                brutal = entry.spec.shutdown == "brutal_kill"
                self.note_race(brutal and isinstance(life, KeepingLife))
                life.ask_to_stop(patience(entry.spec, brutal=0.0))
                await life.death
            self.remove(entry)
        self.finish("shutdown")

    def kill(self, *, loose: bool = False) -> None:
        """Be killed."""
        self.note_race(self.phase != "dead" and self.forked and self.moves_now())
        super().kill(loose=loose)

    def moves_now(self) -> bool:
        """Tell whether it does something at this very moment."""
        mail = not self.busy and bool(self.address.mail)
        return mail or self.thread.ran_at == self.world.clock.now

    def note_race(self, race: bool) -> None:
        """Give up when the order of two things at the same moment matters."""
        self.world.ambiguous |= race

    def below(self) -> Iterator[Life]:
        """Give the lives of its children, the youngest first."""
        for entry in reversed(self.entries):
            if entry.life is not None and entry.life.phase != "dead":
                yield entry.life

    def drop(self) -> None:
        """Let go of what it had in hand and what it owned."""
        if self.in_hand is not None:
            self.in_hand.answer("gone")
        for entry in self.entries:
            entry.address.forget()
        rules = self.world.rules
        if self.owner is None:
            self.address.forget()
        elif not rules.mail_survives:
            self.address.close()
            self.address.open = True

    # -- one child ---------------------------------------------------------------------------------

    def add(self, spec: AnyChild) -> Entry:
        """Note a new child, last in the order (1.10.3)."""
        entry = Entry(spec, Address(self.world, f"{self.address.path}/{spec.id}"))
        self.entries.append(entry)
        return entry

    def remove(self, entry: Entry) -> None:
        """Forget a child."""
        self.entries.remove(entry)
        entry.address.forget()

    async def start_entry(self, entry: Entry) -> Outcome:
        """Start a child and wait until it is ready (1.2.1)."""
        entry.address.open = True
        entry.life = make_life(self.world, entry.address, entry.spec, self)
        entry.life.begin()
        self.starting = entry
        if self.told:
            self.limit_start()
        outcome = await entry.life.ready
        self.starting = None
        entry.state = "terminated" if outcome else "running"
        if outcome == "ignored":
            if entry.temporary or not self.keeps_ended:
                self.remove(entry)  # 1.2.5
            else:
                entry.address.close()
        return outcome

    async def stop_entry(self, entry: Entry) -> None:
        """Stop a child and wait for its death (1.7.1, 1.7.2)."""
        life = entry.life
        assert life is not None
        self.note_race(_is_race(Exit(life), self.world.clock.now))
        if life.phase != "dead":
            if entry.spec.shutdown == "brutal_kill":
                life.kill()
            else:
                life.ask_to_stop(patience(entry.spec))
        await life.death
        self.stopped(entry)

    def stopped(self, entry: Entry) -> None:
        """Note that a child was stopped, and whether it ended as it should (1.7.3, 1.7.4)."""
        assert entry.life is not None
        reason = entry.life.reason
        wanted = "killed" if entry.spec.shutdown == "brutal_kill" else "shutdown"
        orderly = entry.spec.restart != "permanent" and reason not in ABNORMAL
        entry.state = "terminated"
        self.log_of(entry, "stopped", "expected" if reason == wanted or orderly else "unexpected")

    async def stop_all(self) -> None:
        """Stop what runs in reverse order, one after the other (1.8.3)."""
        for entry in reversed(self.entries):
            if entry.state == "running":
                await self.stop_entry(entry)

    def log_of(self, entry: Entry, what: str, detail: str = "") -> None:
        """Write down what the supervisor says of a child."""
        self.world.log(self.address.path, what, entry.spec.id, detail)


def _is_race(item: Item, now: float) -> bool:
    """Tell whether this is the end, just now, of a life that shares moments with its owner."""
    if not isinstance(item, Exit) or not isinstance(item.life, KeepingLife):
        return False
    return item.life.forked and item.life.died_at == now


def patience(spec: AnyChild, *, brutal: float = math.nan) -> float | None:
    """Return how many seconds a child has to stop, None for ever; `brutal` if it is killed."""
    if spec.shutdown == "brutal_kill":
        assert not math.isnan(brutal)
        return brutal
    return None if spec.shutdown == inf else spec.shutdown


def make_life(world: World, address: Address, spec: AnyChild, owner: KeepingLife | None) -> Life:
    """Make the life that a spec asks for."""
    if isinstance(spec, Worker):
        return WorkerLife(world, address, spec, owner)
    return KINDS[type(spec)](world, address, spec, owner)

"""The reference model of an OTP supervisor, written from the statements on OTP's semantics.

Numbers in comments are those of the statements. One `SupervisorLife` is one incarnation of a
supervisor: it starts its children, then takes one thing after the other out of its mailbox, until
it is told to stop or has a reason of its own. Here is what exits, retries and requests mean;
the rest is in `model_keeping`. It shares no code with the engine.

>>> from tests.semantics.model_lives import Address, Rules, World
>>> world = World(Rules())
>>> top = SupervisorLife(world, Address(world, "top"), Tree("top", [Worker("a")]), None)
>>> top.begin(); world.clock.settle()
>>> top.entries[0].life.order("crashed"); world.clock.settle()
>>> [entry.what for entry in world.trace if entry.id == "a"]
['started', 'ended', 'exit', 'started', 'restarted']
"""

from __future__ import annotations

from math import floor

from tests.semantics.model_keeping import KINDS, Entry, KeepingLife, patience
from tests.semantics.model_lives import ABNORMAL, Answer, Ask, Life, Retry
from tests.semantics.scripts import (
    AnyChild,
    Count,
    Delete,
    Dynamic,
    RestartOne,
    Start,
    Terminate,
    Tree,
    Which,
    Worker,
)

__all__ = ["DynamicLife", "SupervisorLife"]


class SupervisorLife(KeepingLife):
    """Be one incarnation of a supervisor with children in order."""

    # -- exits and restarts ------------------------------------------------------------------------

    async def child_exited(self, life: Life) -> None:
        """Deal with an exit that a child made by itself."""
        entry = next((entry for entry in self.entries if entry.life is life), None)
        if entry is None or entry.state != "running":
            return  # 1.3.4, 1.7.4: replaced, or stopped by this supervisor
        entry.state = "terminated"
        restart = entry.spec.restart
        if restart == "permanent" or (restart == "transient" and life.reason in ABNORMAL):
            if not self.spend(entry):
                self.log_of(entry, "exit", "give up")
                self.give_up()
            elif pause(entry) is None:
                self.log_of(entry, "exit", "restart")
                await self.restart(entry)
            else:
                # Named difference: a backoff delays the round and does not block the supervisor.
                self.log_of(entry, "exit", "wait")
                self.restart_later(entry, counted=True)
            return
        if restart == "transient" and self.keeps_ended:
            self.log_of(entry, "exit", "keep")
            entry.address.close()
        else:
            self.log_of(entry, "exit", "remove")
            self.remove(entry)
        if self.ends_with(entry):
            self.world.log(self.address.path, "auto shutdown", entry.spec.id)
            self.ending = "shutdown"

    def spend(self, entry: Entry) -> bool:
        """Count one attempt, before anything is done (1.5.2); False: one too many."""
        if pause(entry) is not None:
            return True  # Named difference: a child with a backoff is tried for ever.
        now, period = self.world.clock.now, self.spec.max_seconds
        if self.world.rules.whole_seconds:
            now = floor(now)
        self.restarts = [then for then in (*self.restarts, now) if then >= now - period]
        return len(self.restarts) <= self.spec.max_restarts

    def give_up(self) -> None:
        """End, because the budget is spent (1.5.7)."""
        self.world.log(self.address.path, "gave up", "")
        # Named difference: the reason tells why. For whoever looks, it is {shutdown, T}.
        self.ending = "gave up" if self.world.rules.says_gave_up else "shutdown"

    def reach(self, cause: Entry) -> list[Entry]:
        """Give the children that a restart moves, in start order (1.4)."""
        assert isinstance(self.spec, Tree)
        if self.spec.strategy == "one_for_one":
            return [cause]
        if self.spec.strategy == "one_for_all":
            return list(self.entries)
        return self.entries[self.entries.index(cause) :]

    async def restart(self, cause: Entry) -> None:
        """Carry out one round: the first attempt, or one more from the child that failed (1.6)."""
        reach = self.reach(cause)
        for entry in reversed(reach):
            if entry is not cause and entry.state == "running":
                await self.stop_entry(entry)  # 1.4.6
        for entry in reach:
            if entry is not cause and entry.temporary:
                self.remove(entry)  # 1.4.5
        coming = [entry for entry in reach if entry is cause or not entry.temporary]
        for entry in coming:
            entry.state = "terminated"  # a try again that waits finds that and is void (1.6.8)
        for entry in coming:
            outcome = await self.start_entry(entry)
            if not outcome:
                entry.restarts += 1
                self.log_of(entry, "restarted")
            elif outcome != "ignored":  # 1.4.10: one that is ignored counts as done
                self.log_of(entry, "again")
                self.restart_later(entry, counted=False)
                return

    def restart_later(self, entry: Entry, *, counted: bool) -> None:
        """Leave another attempt to a message to itself, behind the others (1.6.1)."""
        entry.state = "restarting"
        entry.ticket += 1
        retry, delay = Retry(entry, entry.ticket, counted), pause(entry)
        if delay is None:
            self.address.mail.append(retry)
        else:
            clock = self.world.clock
            clock.at(clock.now + delay, lambda: self.remind(retry))

    def remind(self, retry: Retry) -> None:
        """Queue an attempt that is due."""
        if self.phase != "dead":
            self.address.mail.append(retry)
            self.notice()

    async def try_again(self, retry: Retry) -> None:
        """Make another attempt, if it is still wanted; it is counted (1.5.4)."""
        entry = retry.entry
        wanted = entry in self.entries and entry.state == "restarting"
        if not wanted or entry.ticket != retry.ticket:
            return  # 1.6.5, 1.6.8; or of an incarnation before
        if retry.counted or self.spend(entry):
            await self.restart(entry)
        else:
            entry.state = "terminated"
            self.give_up()

    def ends_with(self, ended: Entry) -> bool:
        """Tell whether this end of a child, which is final, shuts the supervisor down (1.9)."""
        assert isinstance(self.spec, Tree)
        if not ended.spec.significant or self.spec.auto_shutdown == "never":
            return False
        left = [
            entry
            for entry in self.entries
            if entry.spec.significant and entry.state in ("running", "restarting")  # 1.9.3
        ]
        return self.spec.auto_shutdown == "any_significant" or not left

    # -- requests (1.10) ---------------------------------------------------------------------------

    async def answer(self, ask: Ask) -> Answer:
        """Do what is asked."""
        match ask.call:
            case Start(spec=spec):
                return await self.start_child(spec)
            case Terminate(id=id):
                return await self.terminate_child(self.find(id))
            case RestartOne(id=id):
                return await self.restart_child(self.find(id))
            case Delete(id=id):
                return self.delete_child(self.find(id))
            case Count():
                kinds = [not isinstance(entry.spec, Worker) for entry in self.entries]
                alive = len(list(self.below()))
                return ("count", len(kinds), alive, sum(kinds), len(kinds) - sum(kinds))
            case Which():
                return tuple((e.spec.id, e.state, e.restarts) for e in self.entries)

    def find(self, id: str) -> Entry | None:
        """Look a child up."""
        return next((entry for entry in self.entries if entry.spec.id == id), None)

    def room(self) -> bool:
        """Tell whether one more child may be started."""
        return True

    async def start_child(self, spec: AnyChild) -> Answer:
        """Start one more child."""
        known = self.find(spec.id)
        if known is not None:
            return "already_started" if known.state == "running" else "already_present"
        if not self.room():
            return "max_children"
        entry = self.add(spec)
        outcome = await self.start_entry(entry)
        if outcome not in ("", "ignored"):
            self.remove(entry)
            return "failed"
        return outcome or "started"

    async def terminate_child(self, entry: Entry | None) -> Answer:
        """Stop a child; a try again that waits is void (1.6.5)."""
        if entry is None:
            return "not_found"
        if entry.state == "running":
            await self.stop_entry(entry)
        voided = entry.state == "restarting"
        entry.state = "terminated"
        if entry.temporary or not self.keeps_ended:
            self.remove(entry)
        else:
            entry.address.close()
        if voided and all(other.state != "restarting" for other in self.entries):
            # The siblings that waited behind it stay down (1.6.5). Mail survives, which OTP does
            # not know; theirs has nobody to wait for now.
            for other in self.entries:
                if other.state == "terminated":
                    other.address.close()
        return "ok"

    async def restart_child(self, entry: Entry | None) -> Answer:
        """Start a child that does not run; failing, it is neither counted nor tried again."""
        if entry is None or entry.state != "terminated":
            return "not_found" if entry is None else entry.state
        outcome = await self.start_entry(entry)
        if outcome not in ("", "ignored"):
            entry.address.close()
            return "failed"
        return outcome or "started"

    def delete_child(self, entry: Entry | None) -> Answer:
        """Remove a child that does not run."""
        if entry is None or entry.state != "terminated":
            return "not_found" if entry is None else entry.state
        self.remove(entry)
        return "ok"


class DynamicLife(SupervisorLife):
    """Be one incarnation of a dynamic supervisor (1.11, 1.15.2).

    Named difference: children have ids, unique among those that are there.
    """

    keeps_ended = False  # 1.11.2

    def reach(self, cause: Entry) -> list[Entry]:
        """Restart each child alone."""
        return [cause]

    def ends_with(self, ended: Entry) -> bool:
        """Never shut down automatically."""
        return False

    def room(self) -> bool:
        """Count also children that are restarting."""
        limit = self.spec.max_children if isinstance(self.spec, Dynamic) else None
        return limit is None or len(self.entries) < limit

    async def stop_all(self) -> None:
        """Ask all at once, each with its own time (1.8.4); their order is not defined."""
        running = [entry for entry in self.entries if entry.state == "running"]
        for entry in running:
            life = entry.life
            assert life is not None
            life.moved_freely = True
            if entry.spec.shutdown == "brutal_kill":
                life.kill(loose=True)
            elif life.phase != "dead":
                life.ask_to_stop(patience(entry.spec))
        for entry in running:
            assert entry.life is not None
            await entry.life.death
        for entry in running:
            self.stopped(entry)


def pause(entry: Entry) -> float | None:
    """Return how long its restarts are delayed; None means not at all."""
    return entry.spec.backoff if isinstance(entry.spec, Worker) else None


KINDS[Tree] = SupervisorLife
KINDS[Dynamic] = DynamicLife

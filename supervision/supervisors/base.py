"""What all kinds of supervisor do with one child: start, restart, stop it, and answer about it.

A `BaseSupervisor` is an ordinary actor that owns the addresses of its children. A crash goes
through it like this:

1. `on_exit` hears of it, and asks `plan.verdict` whether the child comes back.
2. `limits` counts the attempt: it is granted, or the child is parked, or the supervisor gives up.
3. Without a backoff `restart` starts the child again at once, with the siblings that its kind of
   supervisor moves; with one, `TryAgain` comes back as a message after the pause.
4. A restart that fails becomes such a message, too. So every other request has its turn between
   two attempts, and stopping has precedence.

Guarantees: a failed restart never loops in here, it goes through the mailbox; an exit counts only
for the incarnation that made it; a stop waits for death; an error while stopping one child
does not keep the next from being stopped.

>>> import anyio
>>> from actors import ActorSystem, task
>>> from supervision import ChildSpec, CountChildren, Supervisor, SupervisorSpec
>>> async def work(shutdown: object) -> None:
...     await anyio.sleep_forever()
>>> async def main() -> None:
...     spec = SupervisorSpec("shop", [ChildSpec("a", task(work), shutdown=0)])
...     async with ActorSystem() as system:
...         shop = await system.spawn(lambda: Supervisor(spec), id="shop")
...         print(await shop.ask(CountChildren()))
>>> anyio.run(main)
ChildCounts(specs=1, active=1, supervisors=0, workers=1)
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from itertools import count
from random import Random
from typing import Any, Generic, TypeVar

import anyio

from actors import (
    Actor,
    CancellationToken,
    Context,
    Crashed,
    Event,
    Exited,
    ExitReason,
    IdTaken,
    Ignore,
    NameTaken,
    Ref,
    Refusal,
    Reply,
    Shutdown,
    StartFailed,
    on,
)
from supervision.describe import one_line
from supervision.errors import (
    ChildExists,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    SupervisionError,
)
from supervision.event_types import (
    ChildExited,
    ChildParked,
    ChildRemoved,
    ChildRestarted,
    ChildStopped,
    ChildStopping,
    Next,
    RestartFailed,
    SupervisorGaveUp,
    SupervisorStopping,
)
from supervision.specs import BRUTAL_KILL, ChildSpec, Restart, Watchdog, renewal
from supervision.supervisors.child import ChildRecord, shutdown_timeout, start_failed
from supervision.supervisors.hang_detector import HangDetector
from supervision.supervisors.intensity import Permit
from supervision.supervisors.internal import Branch, Change, Inspect, Internal, LookAround, TryAgain
from supervision.supervisors.limits import RestartLimits
from supervision.supervisors.plan import (
    ChildState,
    Verdict,
    ends_the_process,
    is_expected,
    verdict,
)
from supervision.supervisors.reconfigure import Reconfiguration
from supervision.supervisors.requests import (
    AnyStartChild,
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    GetChild,
    GetChildSpec,
    RestartChild,
    TerminateChild,
    WhichChildren,
)

__all__ = ["BaseSupervisor"]


M = TypeVar("M")

# For all supervisors together: a reminder can outlive its supervisor in the mail that the next
# incarnation gets, and must not pass for one of that incarnation's own.
_TICKETS = count(1)


LAST_START = 10.0
"""Seconds that a start, or the next of its round, goes on when its supervisor is told to stop.

More when the child has more to stop in. OTP always finishes it, and it may never end."""


class BaseSupervisor(Actor[M | Internal], Generic[M]):
    """What all kinds of supervisor have in common; not to be used by itself.

    It holds the records of its children, by id in start order. `limits` knows how many restarts
    there may be and how long to wait; `plan` (pure functions) what an exit means; a `HangDetector`
    who hangs, a `Reconfiguration` how the tree is changed while it runs. The last two are made when
    they are first used: most supervisors never need them.
    """

    keeps_ended = True
    """Whether a child that ended for good keeps its place, to be started again by request."""

    def __init__(self, max_restarts: int, max_seconds: float, random: Random | None) -> None:
        self.records: dict[str, ChildRecord] = {}
        self._by_ref: dict[Ref[Any], ChildRecord] = {}
        self._retries: set[ChildRecord] = set()
        self._in_hand: ChildRecord | None = None
        self.limits = RestartLimits(max_restarts, max_seconds, random)
        self._hang_detector: HangDetector | None = None
        self._reconfiguration: Reconfiguration | None = None

    # -- what the kinds decide ------------------------------------------------------------------

    @abstractmethod
    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse a child that cannot be meant: raises SpecError or a refusal."""

    def check_room(self) -> None:
        """Refuse one child more than there may be; by default never."""

    async def restart(self, record: ChildRecord) -> None:
        """Restart a child, with all that its end moves; by default it alone.

        `Supervisor` overrides it with its rounds: who is restarted along depends on the strategy.
        """
        failure = await self.start(record)
        if failure is not None:
            self.restart_failed(record, failure)
        elif record.state is ChildState.RUNNING:
            self.restarted(record)

    def ends_with(self, record: ChildRecord, reason: ExitReason) -> bool:
        """Tell whether the supervisor shuts down with this exit; by default never."""
        return False

    @abstractmethod
    async def stop_all(self) -> None:
        """Stop all children that run."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Supervise until told to stop, or giving up; then stop the children."""
        forget = shutdown.on_cancel(self._limit_start)
        await super().run(shutdown)
        forget()
        for record in self.records.values():
            record.void()
        await self.shut_down()

    async def shut_down(self) -> None:
        """Announce the end, and stop all children that run."""
        self.publish(SupervisorStopping(self.context.ref))
        await self.stop_all()

    # -- one child --------------------------------------------------------------------------------

    def add(self, spec: ChildSpec[Any]) -> ChildRecord:
        """Give a spec an address. Raises ChildStartFailed when its name is taken."""
        try:
            child = self.context.child(
                spec.id, name=spec.name, mailbox=spec.mailbox, shutdown=shutdown_timeout(spec)
            )
        except (NameTaken, IdTaken) as error:
            raise ChildStartFailed(spec.id, Crashed(error)) from error
        record = ChildRecord(spec, child)
        self.records[spec.id] = record
        self._by_ref[child.ref] = record
        return record

    def drop(self, record: ChildRecord, why: str) -> None:
        """Forget a child that does not run."""
        record.void()
        self._retries.discard(record)
        if self._hang_detector is not None:
            self._hang_detector.forget(record)
        self.records.pop(record.spec.id, None)
        self._by_ref.pop(record.child.ref, None)
        record.child.release(why)
        self.publish(ChildRemoved(record.child.ref))

    async def start(self, record: ChildRecord) -> ExitReason | None:
        """Start a child; returns why that failed, None when it is ready or was ignored."""
        spec = record.spec
        record.void()
        self._retries.discard(record)
        self._in_hand = record
        if self.context.shutdown.cancelled:
            self._limit_start()
        try:
            await record.child.start(spec.start, timeout=spec.start_timeout)
        except StartFailed as failure:
            record.state = ChildState.TERMINATED
            return failure.reason
        except Ignore:
            record.state = ChildState.TERMINATED
            if spec.restart is Restart.TEMPORARY or not self.keeps_ended:
                self.drop(record, "ignored its start")
            else:
                record.child.suspend("ignored its start")
            return None
        finally:
            self._in_hand = None
        record.state = ChildState.RUNNING
        record.ready_at = anyio.current_time()
        if spec.watchdog is not None:
            self._watch(record, spec.watchdog)
        return None

    def _limit_start(self) -> None:
        """See to it that a start that is in hand when it is told to stop comes to an end."""
        record = self._in_hand
        if record is not None:
            # What comes of it is a message that is never read: it is about to end.
            context: Context[Any] = self.context
            context.pipe(self._cut_short(record), into=lambda _: LookAround())

    async def _cut_short(self, record: ChildRecord) -> None:
        await anyio.sleep(max(LAST_START, record.shutdown_timeout or 0.0))
        if self._in_hand is record:
            record.child.tell_to_stop(record.shutdown_timeout)

    def _watch(self, record: ChildRecord, dog: Watchdog) -> None:
        if self._hang_detector is None:
            context: Context[Any] = self.context
            remind = partial(context.send_after, message=LookAround())
            self._hang_detector = HangDetector(remind, self.publish)
        self._hang_detector.begin(record, dog)

    @on(LookAround)
    async def look_around(self, message: LookAround) -> None:
        """Look at the children that have a watchdog, as far as that is due."""
        if self._hang_detector is not None:
            await self._hang_detector.look_around()

    async def stop(self, record: ChildRecord) -> None:
        """Stop a child and wait for its death; an error in it is reported, and that is all."""
        began = anyio.current_time()
        self.publish(ChildStopping(record.child.ref, record.shutdown_timeout))
        if record.spec.shutdown is BRUTAL_KILL:
            reason = await record.child.kill()
        else:
            reason = await record.child.stop(record.shutdown_timeout)
        self.note_stopped(record, reason, anyio.current_time() - began)

    def note_stopped(self, record: ChildRecord, reason: ExitReason, seconds: float) -> None:
        """Note that a child was stopped."""
        spec = record.spec
        record.state = ChildState.TERMINATED
        expected = is_expected(spec.restart, spec.shutdown, reason)
        self.publish(ChildStopped(record.child.ref, reason, expected, seconds))

    def publish(self, event: Event) -> None:
        """Publish what is done; costs nothing when nobody listens."""
        events = self.context.system.events
        if events.heard:
            events.publish(event)

    # -- exits and restarts -----------------------------------------------------------------------

    async def on_exit(self, exited: Exited) -> None:
        """Do what the plan says about a child that ended by itself."""
        record = self._by_ref.get(exited.ref)
        if (
            record is None
            or record.state is not ChildState.RUNNING
            or record.child.incarnation != exited.incarnation
        ):
            return  # stopped by this supervisor, or replaced since
        record.state = ChildState.TERMINATED
        if ends_the_process(exited.reason):
            # The system is coming down for it already; a second incarnation is the last thing
            # that anybody wants now.
            self._report(record, exited.reason, Next.KEEP)
            return
        match verdict(record.spec.restart, exited.reason):
            case Verdict.RESTART:
                await self._restart_if_allowed(record, exited.reason)
                return
            case Verdict.KEEP if self.keeps_ended:
                self._report(record, exited.reason, Next.KEEP)
                record.child.suspend(f"ended ({one_line(exited.reason)})")
            case _:
                self._report(record, exited.reason, Next.REMOVE)
                self.drop(record, f"ended ({one_line(exited.reason)})")
        if self.ends_with(record, exited.reason):
            self.context.stop(Shutdown())

    async def _restart_if_allowed(self, record: ChildRecord, reason: ExitReason) -> None:
        self.limits.note(record, reason, anyio.current_time())
        match self.limits.spend(record, anyio.current_time()):
            case Permit.GIVE_UP:
                self._report(record, reason, Next.GIVE_UP)
                self._give_up(record)
            case Permit.PARK:
                self._report(record, reason, Next.PARK)
                self._park(record)
            case Permit.GRANTED:
                await self._restart_or_wait(record, reason)

    async def _restart_or_wait(self, record: ChildRecord, reason: ExitReason) -> None:
        delay = self.limits.pause(record, anyio.current_time())
        if delay is None:
            self._report(record, reason, Next.RESTART)
            await self.restart(record)
        else:
            self._report(record, reason, Next.WAIT, delay)
            self._later(record, delay, counted=True)

    def _later(self, record: ChildRecord, delay: float | None, *, counted: bool) -> None:
        """Try again later: behind what waits in the mailbox, or after `delay` seconds."""
        record.state = ChildState.RESTARTING
        self._retries.add(record)
        record.ticket = next(_TICKETS)
        record.due = anyio.current_time() + (delay or 0.0)
        message = TryAgain(record.spec.id, record.ticket, counted)
        # The type of the mailbox is silent about this message; see `internal`.
        context: Context[Any] = self.context
        if delay is None:
            context.ref.tell(message)
        else:
            record.timer = context.send_after(delay, message)

    def restart_failed(self, record: ChildRecord, reason: ExitReason) -> None:
        """Have a restart that did not succeed tried again."""
        self.limits.note(record, reason, anyio.current_time())
        record.ready_at = anyio.current_time()
        delay = self.limits.pause(record, anyio.current_time())
        next = Next.RESTART if delay is None else Next.WAIT
        self.publish(RestartFailed(record.child.ref, reason, next, delay or 0.0))
        self._later(record, delay, counted=False)

    def restarted(self, record: ChildRecord) -> None:
        """Note that a child is ready again."""
        record.restarts += 1
        self.publish(ChildRestarted(record.child.ref, record.restarts))

    @on(TryAgain)
    async def try_again(self, message: TryAgain) -> None:
        """Carry out a restart that is due, if it is still wanted."""
        record = self.records.get(message.id)
        if (
            record is None
            or record.state is not ChildState.RESTARTING
            or record.ticket != message.ticket
        ):
            return
        match (
            Permit.GRANTED if message.counted else self.limits.spend(record, anyio.current_time())
        ):
            case Permit.GRANTED:
                await self.restart(record)
            case Permit.PARK:
                self._park(record)
                await self.go_on_without(record)
            case Permit.GIVE_UP:
                record.stand_down()
                self._give_up(record)

    def _park(self, record: ChildRecord) -> None:
        """Leave a child down whose own budget is spent."""
        record.void()
        record.state = ChildState.PARKED
        error = self.limits.exceeded(record, self.context.path, parked=True)
        self.publish(ChildParked(record.child.ref, error))
        record.child.suspend("parked")

    async def go_on_without(self, record: ChildRecord) -> None:
        """Start those who waited for a restart that will not be; nobody by default."""

    def _give_up(self, record: ChildRecord) -> None:
        error = self.limits.exceeded(record, self.context.path)
        self.publish(SupervisorGaveUp(self.context.ref, error))
        self.context.stop(Shutdown(error))

    def _report(
        self, record: ChildRecord, reason: ExitReason, next: Next, delay: float = 0.0
    ) -> None:
        self.publish(ChildExited(record.child.ref, reason, record.restarts, next, delay))

    # -- requests ---------------------------------------------------------------------------------

    def find(self, id: str) -> ChildRecord:
        """Return the record of a child. Raises ChildNotFound."""
        record = self.records.get(id)
        if record is None:
            raise ChildNotFound(id)
        return record

    def find_idle(self, id: str) -> ChildRecord:
        """Return the record of a child that does not run. Raises ChildRunning, ChildRestarting."""
        record = self.find(id)
        if record.state is ChildState.RUNNING:
            raise ChildRunning(id)
        if record.state is ChildState.RESTARTING:
            raise ChildRestarting(id)
        return record

    @on(AnyStartChild)
    async def start_child(self, message: AnyStartChild, reply: Reply[Ref[Any] | None]) -> None:
        """Start one more child."""
        spec = message.spec
        try:
            self.check(spec)
            known = self.records.get(spec.id)
            if known is not None:
                running = known.state is ChildState.RUNNING
                raise ChildExists(spec.id, known.child.ref if running else None)
            self.check_room()
            record = self.add(spec)
        except SupervisionError as error:
            reply.fail(error)  # a SpecError among them is no Refusal, but no crash either
            return
        failure = await self.start(record)
        if failure is not None:
            self.drop(record, "its start failed")
            raise start_failed(spec.id, failure)
        reply.send(record.child.ref if record.state is ChildState.RUNNING else None)

    @on(TerminateChild)
    async def terminate_child(self, message: TerminateChild) -> None:
        """Stop a child; its pending restart is void."""
        record = self.find(message.id)
        if record.state is ChildState.RUNNING:
            await self.stop(record)
        voided = record.state is ChildState.RESTARTING
        record.stand_down()
        self._retries.discard(record)
        if record.spec.restart is Restart.TEMPORARY or not self.keeps_ended:
            self.drop(record, "terminated")
        else:
            record.child.suspend("terminated")
        if voided:
            self.retry_voided()

    def restarting(self) -> list[str]:
        """List the ids of the children that are restarting, without a look at the others."""
        return [record.spec.id for record in self._retries if record.state is ChildState.RESTARTING]

    def is_restarting(self) -> bool:
        """Tell whether any child is; what one request costs does not depend on how many are."""
        return any(record.state is ChildState.RESTARTING for record in self._retries)

    def retry_voided(self) -> None:
        """Do what follows when a pending restart was taken back; nothing by default."""

    @on(RestartChild)
    async def restart_child(self, message: RestartChild) -> Ref[Any] | None:
        """Start a child again that is not running; one that was parked stays so if that fails."""
        record = self.find_idle(message.id)
        before = record.state
        failure = await self.start(record)
        if failure is not None:
            record.state = before
            record.child.suspend("parked" if before is ChildState.PARKED else "its start failed")
            raise start_failed(message.id, failure)
        record.forgive()
        return record.child.ref if record.state is ChildState.RUNNING else None

    @on(DeleteChild)
    def delete_child(self, message: DeleteChild) -> None:
        """Remove the spec of a child that is not running."""
        self.drop(self.find_idle(message.id), "deleted")

    # -- changes while it runs --------------------------------------------------------------------

    def own_spec(self) -> ChildSpec[Any]:
        """Return the spec that it runs by. Refused by a kind that cannot be changed."""
        raise Refusal(f"{self.context.path} is of a kind that cannot be changed while it runs")

    def take_spec(self, spec: ChildSpec[Any]) -> None:
        """Go on by another one of the same type."""

    def adopt(self, record: ChildRecord, spec: ChildSpec[Any]) -> None:
        """Have a child go on by a changed spec; one that waits to be restarted is so at once."""
        before = record.spec
        record.adopt(spec)
        if record.state is ChildState.RESTARTING and renewal(before, spec) is not None:
            record.void()
            record.forgive()
            self._later(record, None, counted=True)
            return
        dog = spec.watchdog
        if dog is not None and dog != before.watchdog and record.state is ChildState.RUNNING:
            self._watch(record, dog)

    @property
    def reconfiguration(self) -> Reconfiguration:
        """Return the part that changes this supervisor; made when it is first asked for."""
        if self._reconfiguration is None:
            self._reconfiguration = Reconfiguration(self)
        return self._reconfiguration

    @on(Inspect)
    def inspect(self, message: Inspect) -> Branch:
        """Show by which specs this supervisor runs."""
        return self.reconfiguration.inspect()

    @on(Change)
    async def change(self, message: Change) -> None:
        """Do one step of a change of the tree."""
        await self.reconfiguration.carry_out(message)

    @on(WhichChildren)
    def which_children(self, message: WhichChildren) -> tuple[ChildInfo, ...]:
        """List the children in start order."""
        now = anyio.current_time()
        return tuple(record.info(now) for record in self.records.values())

    @on(CountChildren)
    def count_children(self, message: CountChildren) -> ChildCounts:
        """Count the children."""
        records = self.records.values()
        supervisors = sum(record.spec.kind == "supervisor" for record in records)
        return ChildCounts(
            specs=len(records),
            active=sum(record.child.ref.is_alive for record in records),
            supervisors=supervisors,
            workers=len(records) - supervisors,
        )

    @on(GetChild)
    def get_child(self, message: GetChild) -> Ref[Any]:
        """Look a child's ref up."""
        return self.find(message.id).child.ref

    @on(GetChildSpec)
    def get_child_spec(self, message: GetChildSpec) -> ChildSpec[Any]:
        """Look a child's spec up."""
        return self.find(message.id).spec

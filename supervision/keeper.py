"""Keep children: what both kinds of supervisor do with one child.

A `Keeper` is an ordinary actor that owns the addresses of its children. This module starts and
stops one child, keeps the record of its state, spends the budget, and answers the requests that
read. What a child's exit means for the others is decided in `plan` and carried out by the kinds.

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
from collections import deque
from random import Random
from typing import Any

import anyio

from actors import (
    Actor,
    CancellationToken,
    Child,
    Crashed,
    Event,
    Exited,
    ExitReason,
    IdTaken,
    Ignore,
    NameTaken,
    Ref,
    Reply,
    Shutdown,
    StartFailed,
    on,
)
from supervision.errors import (
    ChildExists,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    IntensityExceeded,
    SupervisionError,
)
from supervision.events import (
    ChildExited,
    ChildRestarted,
    ChildStopped,
    Next,
    RestartFailed,
    SupervisorGaveUp,
)
from supervision.intensity import Intensity
from supervision.plan import ChildState, Member, Verdict, is_expected, verdict
from supervision.requests import (
    AnyStartChild,
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    GetChild,
    GetChildSpec,
    RestartChild,
    SupervisorMessage,
    TerminateChild,
    TryAgain,
    WhichChildren,
)
from supervision.specs import BRUTAL_KILL, ChildSpec, Restart, ShutdownPolicy

__all__ = ["Keeper", "Record", "patience", "start_failed"]


CRASHES_KEPT = 100
"""So many crashes in the window are remembered at the most: each keeps its traceback alive."""


class Record:
    """Know one child: its spec, its address, its state, and what is due for it.

    `ticket` numbers the retry that is due; one with another number is void. `failures` in a row
    are what a backoff grows with.
    """

    __slots__ = ("child", "failures", "ready_at", "restarts", "spec", "state", "ticket")

    def __init__(self, spec: ChildSpec[Any], child: Child[Any]) -> None:
        self.spec = spec
        self.child = child
        self.state = ChildState.TERMINATED
        self.restarts = 0
        self.failures = 0
        self.ready_at = 0.0
        self.ticket = 0

    @property
    def member(self) -> Member:
        """Return what the plan must know of it."""
        spec = self.spec
        return Member(spec.id, spec.restart, spec.significant, self.state)

    @property
    def patience(self) -> float | None:
        """Return how many seconds it has to stop; None means for ever."""
        return patience(self.spec)


class Keeper(Actor[SupervisorMessage]):
    """Be what both kinds of supervisor have in common; not to be used by itself."""

    keeps_ended = True
    """Whether a child that ended for good keeps its place, to be started again by request."""

    def __init__(self, max_restarts: int, max_seconds: float, random: Random | None) -> None:
        self.records: dict[str, Record] = {}
        self._by_ref: dict[Ref[Any], Record] = {}
        self._budget = Intensity(max_restarts, max_seconds)
        self._crashes: deque[tuple[float, BaseException]] = deque(maxlen=CRASHES_KEPT)
        self._tickets = 0
        self._random = Random() if random is None else random

    # -- what the kinds decide ------------------------------------------------------------------

    @abstractmethod
    def check(self, spec: ChildSpec[Any]) -> None:
        """Refuse a new child: raises SpecError or a refusal."""

    @abstractmethod
    async def carry_out(self, record: Record) -> None:
        """Restart a child, with all that its end moves."""

    @abstractmethod
    def ends_with(self, record: Record, reason: ExitReason) -> bool:
        """Tell whether the supervisor shuts down with this exit."""

    @abstractmethod
    async def stop_all(self) -> None:
        """Stop all children that run."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Supervise until told to stop, or giving up; then stop the children."""
        await super().run(shutdown)
        await self.stop_all()

    # -- one child --------------------------------------------------------------------------------

    def add(self, spec: ChildSpec[Any]) -> Record:
        """Give a spec an address. Raises ChildStartFailed when its name is taken."""
        try:
            child = self.context.child(
                spec.id, name=spec.name, mailbox=spec.mailbox, shutdown=patience(spec)
            )
        except (NameTaken, IdTaken) as error:
            raise ChildStartFailed(spec.id, Crashed(error)) from error
        record = Record(spec, child)
        self.records[spec.id] = record
        self._by_ref[child.ref] = record
        return record

    def drop(self, record: Record, why: str) -> None:
        """Forget a child that does not run."""
        self.records.pop(record.spec.id, None)
        self._by_ref.pop(record.child.ref, None)
        record.child.release(why)

    async def bring_up(self, record: Record) -> ExitReason | None:
        """Start a child; returns why that failed, None when it is ready or was ignored."""
        spec = record.spec
        record.ticket = 0
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
        record.state = ChildState.RUNNING
        record.ready_at = anyio.current_time()
        return None

    async def bring_down(self, record: Record) -> None:
        """Stop a child and wait for its death; an error in it is reported, and that is all."""
        began = anyio.current_time()
        if record.spec.shutdown is BRUTAL_KILL:
            reason = await record.child.kill()
        else:
            reason = await record.child.stop(record.patience)
        self.went_down(record, reason, anyio.current_time() - began)

    def went_down(self, record: Record, reason: ExitReason, seconds: float) -> None:
        """Note that a child was stopped."""
        spec = record.spec
        record.state = ChildState.TERMINATED
        expected = is_expected(spec.restart, spec.shutdown, reason)
        self.publish(ChildStopped(record.child.ref, reason, expected, seconds))

    def publish(self, event: Event) -> None:
        """Say what is done; costs nothing when nobody listens."""
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
        if _ends_the_process(exited.reason):
            # The system is coming down for it already; a second incarnation is the last thing
            # that anybody wants now.
            self._report(record, exited.reason, Next.KEEP)
            return
        match verdict(record.spec.restart, exited.reason):
            case Verdict.RESTART:
                await self._restart(record, exited.reason)
                return
            case Verdict.KEEP if self.keeps_ended:
                self._report(record, exited.reason, Next.KEEP)
                record.child.suspend(f"ended ({exited.reason})")
            case _:
                self._report(record, exited.reason, Next.REMOVE)
                self.drop(record, f"ended ({exited.reason})")
        if self.ends_with(record, exited.reason):
            self.context.stop(Shutdown())

    async def _restart(self, record: Record, reason: ExitReason) -> None:
        self._note(reason)
        if not self._spend():
            self._report(record, reason, Next.GIVE_UP)
            self._give_up(reason)
            return
        delay = self._pause(record)
        if delay is None:
            self._report(record, reason, Next.RESTART)
            await self.carry_out(record)
        else:
            self._report(record, reason, Next.WAIT, delay)
            self._later(record, delay, counted=True)

    def _note(self, reason: ExitReason) -> None:
        """Keep the crash that led here; for a supervisor that gave up, those that led there."""
        now = anyio.current_time()
        while self._crashes and self._crashes[0][0] < now - self._budget.max_seconds:
            self._crashes.popleft()  # out of the window; and it keeps a whole dead proc alive
        match reason:
            case Crashed(error):
                self._crashes.append((now, error))
            case Shutdown(detail=IntensityExceeded() as inner):
                self._crashes.extend((now, error) for error in inner.crashes)
            case _:
                pass

    def _pause(self, record: Record) -> float | None:
        backoff = record.spec.backoff
        if backoff is None:
            return None
        healthy = anyio.current_time() - record.ready_at
        record.failures = backoff.failures_after(record.failures, healthy) + 1
        return backoff.delay(record.failures, self._random)

    def _spend(self) -> bool:
        """Count one attempt; False when it was one too many."""
        self._budget = self._budget.attempt(anyio.current_time())
        return not self._budget.exceeded

    def _later(self, record: Record, delay: float | None, *, counted: bool) -> None:
        """Try again later: behind what waits in the mailbox, or after `delay` seconds."""
        record.state = ChildState.RESTARTING
        self._tickets += 1
        record.ticket = self._tickets
        message = TryAgain(record.spec.id, record.ticket, counted)
        if delay is None:
            self.context.ref.tell(message)
        else:
            self.context.send_after(delay, message)

    def restart_failed(self, record: Record, reason: ExitReason) -> None:
        """Have a restart that did not succeed tried again."""
        self._note(reason)
        record.ready_at = anyio.current_time()
        delay = self._pause(record)
        next = Next.RESTART if delay is None else Next.WAIT
        self.publish(RestartFailed(record.child.ref, reason, next, delay or 0.0))
        self._later(record, delay, counted=False)

    def restarted(self, record: Record) -> None:
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
        if message.counted or self._spend():
            await self.carry_out(record)
        else:
            record.state = ChildState.TERMINATED
            self._give_up(record.child.reason)

    def _give_up(self, reason: ExitReason) -> None:
        budget = self._budget
        crashes = tuple(error for _, error in self._crashes)
        error = IntensityExceeded(
            self.context.path, budget.max_restarts, budget.max_seconds, crashes
        )
        error.__cause__ = crashes[-1] if crashes else None
        self.publish(SupervisorGaveUp(self.context.ref, error))
        self.context.stop(Shutdown(error))

    def _report(self, record: Record, reason: ExitReason, next: Next, delay: float = 0.0) -> None:
        self.publish(ChildExited(record.child.ref, reason, record.restarts, next, delay))

    # -- requests ---------------------------------------------------------------------------------

    def find(self, id: str) -> Record:
        """Return the record of a child. Raises ChildNotFound."""
        record = self.records.get(id)
        if record is None:
            raise ChildNotFound(id)
        return record

    def find_idle(self, id: str) -> Record:
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
            known = self.records.get(spec.id)
            if known is not None:
                running = known.state is ChildState.RUNNING
                raise ChildExists(spec.id, known.child.ref if running else None)
            self.check(spec)
            record = self.add(spec)
        except SupervisionError as error:
            reply.fail(error)  # a SpecError among them is no Refusal, but no crash either
            return
        failure = await self.bring_up(record)
        if failure is not None:
            self.drop(record, "its start failed")
            raise start_failed(spec.id, failure)
        reply.send(record.child.ref if record.state is ChildState.RUNNING else None)

    @on(TerminateChild)
    async def terminate_child(self, message: TerminateChild) -> None:
        """Stop a child; its pending restart is void."""
        record = self.find(message.id)
        if record.state is ChildState.RUNNING:
            await self.bring_down(record)
        voided = record.state is ChildState.RESTARTING
        record.state = ChildState.TERMINATED
        if record.spec.restart is Restart.TEMPORARY or not self.keeps_ended:
            self.drop(record, "terminated")
        else:
            record.child.suspend("terminated")
        if voided:
            self.retry_voided()

    def retry_voided(self) -> None:
        """Do what follows when a pending restart was taken back; nothing by default."""

    @on(RestartChild)
    async def restart_child(self, message: RestartChild) -> Ref[Any] | None:
        """Start a child again that is not running."""
        record = self.find_idle(message.id)
        failure = await self.bring_up(record)
        if failure is not None:
            record.child.suspend("its start failed")
            raise start_failed(message.id, failure)
        return record.child.ref if record.state is ChildState.RUNNING else None

    @on(DeleteChild)
    def delete_child(self, message: DeleteChild) -> None:
        """Remove the spec of a child that is not running."""
        self.drop(self.find_idle(message.id), "deleted")

    @on(WhichChildren)
    def which_children(self, message: WhichChildren) -> tuple[ChildInfo, ...]:
        """List the children in start order."""
        return tuple(
            ChildInfo(
                id=record.spec.id,
                ref=record.child.ref,
                state=record.state,
                restarts=record.restarts,
                kind=record.spec.kind,
            )
            for record in self.records.values()
        )

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


def _ends_the_process(reason: ExitReason) -> bool:
    return isinstance(reason, Crashed) and isinstance(reason.error, SystemExit | KeyboardInterrupt)


def start_failed(id: str, reason: ExitReason) -> ChildStartFailed:
    """Return the error for a child that did not start; its crash is the cause."""
    error = ChildStartFailed(id, reason)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.error
    return error


def patience(spec: ChildSpec[Any]) -> float | None:
    """Return how many seconds a child has to stop; None means for ever."""
    if isinstance(spec.shutdown, ShutdownPolicy):
        return 0.0 if spec.shutdown is BRUTAL_KILL else None
    return spec.shutdown

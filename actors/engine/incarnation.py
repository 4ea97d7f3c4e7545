"""Carry one incarnation of a proc through its life.

An incarnation has one task. Its life: start, body, its children stopped in reverse order,
`on_stop`, and the announcement of its end, made when nothing of it is left. Whatever lands at
whichever await (a kill, a second stop, a cancellation from outside), it goes through the same
steps, and only user code is ever cut short.

============  ==========================================================================
lands         what happens
============  ==========================================================================
stop          seen after the message in hand; in `on_start` it cancels the start
kill          cancels the user code that runs, skips what is left of it, kills the children
link broken   cancels the body; children are stopped, and `on_stop` runs
============  ==========================================================================

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, Proc
>>> class Stubborn(Proc[object]):
...     async def run(self, shutdown: CancellationToken) -> None:
...         await anyio.sleep_forever()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         proc = await system.spawn(Stubborn)
...         print(await proc.shutdown(timeout=0.01))
>>> anyio.run(main)
killed
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from actors.address import Address, current_occupant, unwrap
from actors.backends import Interrupted, InterruptibleTask, Waiter
from actors.context import Core, Proc, make_context
from actors.dispatch import traits_of
from actors.engine.stopping import Ordered, Phase, stop_children
from actors.errors import Ignore, StartFailed
from actors.events import Event, ProcEnded, ProcFailedToStart, ProcStarted, StopError
from actors.exits import Crashed, ExitReason, Killed, Normal
from actors.messages import Envelope
from actors.notices import Exited
from actors.ref import address_of, ref_of

__all__ = ["Incarnation"]


class Incarnation(Ordered):
    """Be one life of a proc, from its factory's result to the announcement of its end.

    `killed` implies a verdict. `children` are the addresses it owns, in order of start.
    """

    __slots__ = (
        "ignored",
        "labels",
        "ready",
    )

    def __init__(
        self, system: Core, address: Address, proc: Proc[Any], owner: Incarnation | None
    ) -> None:
        super().__init__(system, owner)
        self.address = address
        self.proc = proc
        self.traits = traits_of(proc)
        self.ignored: Ignore | None = None
        self.labels = 0
        self.ready: Waiter[None] | None = None
        address.incarnation += 1
        self.number = address.incarnation
        address.occupant = self
        address.undelivered = None
        proc.context = make_context(self, ref_of(address))

    def begin(self) -> bool:
        """Begin this life; True when the proc is ready at once, because nothing has to run first.

        An actor without `on_start` needs no task before its first message, so it gets none: a
        task costs more than all the rest of an actor. (`fast_paths` switches that off for tests.)
        """
        if self.traits.plain_actor:
            self.variables = copy_context()
            self.variables.run(current_occupant.set, self)
        if self.traits.starts or not self.traits.plain_actor or not self.address.runtime.inline:
            self._launch()
            return False
        self._ready()
        if self.address.queue:
            self._launch()
        else:
            self.address.pack()
            self.address.waiter = self
        return True

    # While it has no task it is itself what a sender wakes.

    def done(self) -> bool:
        """Tell whether it was woken: not as long as it stands in for a waiter."""
        return False

    def set_result(self, result: None, /) -> None:
        """Be woken by the first message: now it gets a task."""
        self._launch()

    def _launch(self) -> None:
        self._own_task = self.system.backend.start(self._main, self.address.path, self.variables)

    # -- the life, step by step -----------------------------------------------------------------

    async def _main(self, own_task: InterruptibleTask) -> None:
        self._own_task = own_task
        self.task = self.system.backend.current_task()
        current_occupant.set(self)
        reason: ExitReason = Normal()
        if self.phase is Phase.STARTING:
            reason = await self._start(own_task)
        started = self.phase is not Phase.STARTING
        if started:
            ended = await self._body(own_task)
            if ended is None:
                self._hibernate()
                return
            reason = ended
        self.phase = Phase.STOPPING
        if self._side or self.children:
            await self._clear()
        if started:
            reason = await self._tidy(own_task, reason)
            if self._side or self.children:
                await self._clear()  # on_stop may have started something, too
            if self.killed:
                reason = Killed()
        self.finish(reason, started)

    async def _start(self, own_task: InterruptibleTask) -> ExitReason:
        """Run on_start; the phase is RUNNING afterwards if it succeeded."""
        try:
            if self.verdict is None and self.traits.starts:
                await own_task.guard(self.proc.on_start())
        except Interrupted:
            pass
        except Ignore as ignore:
            self.ignored = ignore
            return self.verdict or Normal()
        except BaseException as error:
            self._let_pass(error)
            if self.verdict is None:
                return self.failure(error)
            self.late(error)
        if self.verdict is not None:
            return self.verdict
        self._ready()
        return Normal()

    def _ready(self) -> None:
        self.phase = Phase.RUNNING
        if self.system.events.heard:
            self._publish(ProcStarted, self.number)
        if self.ready is not None:
            wake(self.ready)

    def _hibernate(self) -> None:
        """Let go of the task; the next thing that comes gives it a new one."""
        self._own_task = self.task = None
        self.address.pack()
        self.address.waiter = self

    async def _body(self, own_task: InterruptibleTask) -> ExitReason | None:
        """Run the body; returns how it ended, None when it hibernates."""
        reason: ExitReason = Normal()
        proc = self.proc
        try:
            if self.verdict is None:
                if self.traits.plain_actor:
                    if not await own_task.guard(self.receive()) and not own_task.hit:
                        return None
                else:
                    await own_task.guard(proc.run(self.token))
        except Interrupted:
            pass
        except BaseException as error:
            self._let_pass(error)
            if self.told is None or not isinstance(error, self.system.backend.cancelled_error()):
                reason = self.failure(error)
        if self.verdict is not None:
            if isinstance(reason, Crashed):
                self.late(reason.error)
            return self.verdict
        if isinstance(reason, Normal) and self.told is not None:
            return self.told
        return reason

    async def _clear(self) -> None:
        """Stop what this incarnation started."""
        if self._side:
            await self.end_side_work()
        if self.children:
            await stop_children(self.system.backend, self.children, lambda: self.killed, self.kill)

    async def _tidy(self, own_task: InterruptibleTask, reason: ExitReason) -> ExitReason:
        if not self.killed and self.traits.stops:
            try:
                await own_task.guard(self.proc.on_stop(reason))
            except Interrupted:
                pass
            except BaseException as error:
                self._let_pass(error)
                if reason.is_abnormal or self.killed:
                    self.late(error)
                else:
                    self._publish(StopError, error)
                    reason = self.failure(error)
        return Killed() if self.killed else reason

    def _let_pass(self, error: BaseException) -> None:
        """Raise GeneratorExit again when the task is thrown away; a user's own is a crash."""
        if isinstance(error, GeneratorExit) and not self._in_own_task():
            raise error

    def _in_own_task(self) -> bool:
        try:
            return self.system.backend.current_task() is self.task
        except RuntimeError:
            return False

    def failure(self, error: BaseException) -> ExitReason:
        """Return the exit reason for what was raised; what ends the process ends the system."""
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self.system.fatal(error)
        return Crashed(error)

    # -- the end --------------------------------------------------------------------------------

    def finish(self, reason: ExitReason, started: bool) -> None:
        """Announce the end. Nothing here waits, so nobody sees half of it."""
        address = self.address
        self.phase = Phase.ENDED
        self.told = self.told or reason
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        address.waiter = None
        address.occupant = None
        address.reason = reason
        self.cancel_token()
        self.cut_bonds()
        for control in address.clear_control() if address.extra or address.control else ():
            # Told to stop before it could hear of this: then nobody has. But for a child that it
            # owned: of that it had the reason when it stopped it.
            if not isinstance(control, Exited) or address_of(control.ref).owned:
                continue
            if isinstance(control.reason, Crashed):
                self.system.unheard(control.reason.error)
        self.unstash_all()
        if not self.killed and self.traits.hears_undelivered:
            address.undelivered = partial(self._undelivered, self.variables)
        in_hand = self._let_go(reason)
        if started and self.system.events.heard:
            self._publish(ProcEnded, reason, self.number, in_hand, address.owned)
        self._give_up_mail(reason)
        if self._ended is not None:
            for waiter in self._ended:
                if not waiter.done():
                    waiter.set_result(reason)
        if started:
            heard = self.announce(reason, self.owner)
            if self.owner is not None and address.owned:
                heard = True  # it had the reason when it stopped this child
            if not heard and isinstance(reason, Crashed):
                handling = "" if in_hand is None else f", handling {type(in_hand).__name__}"
                reason.error.add_note(f"crashed: {address.path}{handling}")
                self.system.unheard(reason.error)
        else:
            self.announce(reason, None)  # its owner hears it from the start that failed
            self._report_failed_start(reason)
        # Leave no cycle: what has ended goes without the garbage collector.
        self._own_task = self.task = self.variables = None
        if not self.traits.hears_undelivered:
            del self.proc

    @property
    def own_task(self) -> InterruptibleTask | None:
        """Return the own_task of its task, None while it has none."""
        return self._own_task

    def _let_go(self, reason: ExitReason) -> object:
        """Settle what was in hand, and what was to be answered later."""
        item, self.in_hand = self.in_hand, None
        if self.begun is not None:
            self.begun.close()
            self.begun = None
        message: object = None
        if item is not None and reason.is_abnormal:
            message = unwrap(item)
            if not getattr(type(message), "__dead_letter__", True):
                message = None
            how = "was killed" if self.killed else "crashed"
            self.address.refuse(item, f"in hand when its receiver {how}")
        for envelope in self.deferred or ():
            self.address.fail(envelope)
        if isinstance(item, Envelope):
            self.address.fail(item)
        self.deferred = None
        self.let_reply_go()
        return message

    def _give_up_mail(self, reason: ExitReason) -> None:
        address = self.address
        if not address.owned:
            if self.owner is None:
                self.system.forget(address)
            elif self.owner.children.get(address.id) is address:
                del self.owner.children[address.id]
            address.end(str(reason))
        elif not address.keep:
            address.flush(f"dropped at the restart of its receiver ({reason})")

    def _report_failed_start(self, reason: ExitReason) -> None:
        error: Exception
        if self.ignored is not None:
            error = self.ignored
        else:
            error = StartFailed(self.address.path, reason)
            if isinstance(reason, Crashed):
                error.__cause__ = reason.error
            self._publish(ProcFailedToStart, reason, self.number)
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(error)

    def _undelivered(self, variables: Context | None, message: object) -> None:
        try:
            if variables is None or self._in_own_task():
                self.proc.on_undelivered(message)
            else:
                variables.run(self.proc.on_undelivered, message)
        except BaseException as error:
            self.late(error)

    def late(self, error: BaseException) -> None:
        """Report what was raised when the exit reason was settled already; it must not be lost."""
        self._publish(StopError, error)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            self.system.fatal(error)
        elif self.owner is None and not self.links and not self.watchers:
            self.system.unheard(error)

    def _publish(self, event: Callable[..., Event], *values: object) -> None:
        events = self.system.events
        if events.heard:
            events.publish(event(ref_of(self.address), *values))


def wake(waiter: Waiter[None]) -> None:
    """Wake a waiter that may have been given up."""
    if not waiter.done():
        waiter.set_result(None)

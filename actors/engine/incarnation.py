"""Carry one incarnation of a proc through its life.

An incarnation has one task, and holds its parts as fields: a `Receiver` for its mail, `Links` to
others, `Background` for timers and pipes; each is made when it is first used. Its life: start,
body, its children stopped in reverse order, `on_stop`, and the announcement of its end, made when
nothing of it is left. Whatever lands at whichever await (a kill, a second stop, a cancellation
from outside), it goes through the same steps, and only user code is ever cut short.

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

from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, final

from actors.address import Address, Occupant, current_occupant
from actors.backends import Interrupted, InterruptibleTask, TimerHandle, Waiter
from actors.cancellation import CancellationToken, homeward
from actors.context import Core, Proc, make_context
from actors.dispatch import traits_of
from actors.engine import ending, inline
from actors.engine.background import Background
from actors.engine.life import Phase
from actors.engine.links import Links, hear_exit
from actors.engine.receiver import TOLD, Receiver
from actors.engine.stopping import CHILDLESS, stop_children
from actors.errors import Ignore
from actors.events import Event, ProcEnded, ProcStarted, StopError
from actors.exits import Crashed, ExitReason, Killed, Normal, Shutdown, check_reason
from actors.mail import STOP, Awaiting, Wait
from actors.ref import ref_of
from actors.texts import is_a
from actors.waits import Farewell, hurry, wait_is_over

__all__ = ["Incarnation"]


@final
class Incarnation:
    """One life of a proc, from its factory's result to the announcement of its end.

    `children` are the addresses it owns, in order of start. `own_task` is its task, None while it
    has none; `task` what the event loop calls the current task in it. `asking` is the address that
    its task waits for, if any, and `asked` what it waits with; `farewell` is how it hears, while it
    is leaving, that nobody is there to answer. `killed` implies a verdict. The rest is in `Life`.
    """

    __slots__ = (
        "_background",
        "_deadline",
        "_deadline_at",
        "_ended",
        "_links",
        "_own_decision",
        "_receiver",
        "_token",
        "address",
        "asked",
        "asking",
        "begun",
        "children",
        "farewell",
        "handled",
        "ignored",
        "in_hand",
        "killed",
        "labels",
        "last_beat",
        "number",
        "own_task",
        "owner",
        "phase",
        "proc",
        "ready",
        "system",
        "task",
        "told",
        "traits",
        "variables",
        "verdict",
    )

    def __init__(
        self, system: Core, address: Address, proc: Proc[Any], owner: Incarnation | None
    ) -> None:
        self.system = system
        self.address = address
        self.proc = proc
        self.traits = traits_of(proc)
        self.owner = owner
        self.children = CHILDLESS
        self.phase = Phase.STARTING
        self.own_task: InterruptibleTask | None = None
        self.task: object = None
        self.variables: Context  # given by whoever begins it
        # What decides how it ends.
        self.told: ExitReason | None = None
        self.verdict: ExitReason | None = None
        self.killed = False
        self._own_decision = False
        self._deadline: TimerHandle | None = None
        self._deadline_at = 0.0
        self._token: CancellationToken | None = None
        # What it is doing.
        self.in_hand: object = None
        self.begun: Coroutine[Any, Any, object] | None = None
        self.handled = 0
        self.asking: Address | None = None
        self.asked: Wait | None = None
        self.farewell: tuple[Occupant, Farewell] | None = None
        self.last_beat: float | None = None
        self.labels = 0
        # Who waits for it.
        self.ignored: Ignore | None = None
        self.ready: Waiter[None] | None = None
        self._ended: dict[Awaiting, None] | None = None
        # Its parts, made when they are first wanted.
        self._receiver: Receiver | None = None
        self._links: Links | None = None
        self._background: Background | None = None
        # First what may go wrong, if the class is frozen: nobody is to be there then.
        proc.context = make_context(self, ref_of(address))
        address.incarnation += 1
        self.number = address.incarnation
        address.occupant = self
        address.undelivered = None

    # -- its parts ------------------------------------------------------------------------------

    # One made after the end is its caller's: kept, only the garbage collector would free the two.

    @property
    def receiver(self) -> Receiver:
        """Return the part that receives."""
        receiver = self._receiver or Receiver(self)
        if self.phase is not Phase.ENDED:
            self._receiver = receiver
        return receiver

    @property
    def links(self) -> Links:
        """Return its links and monitors."""
        links = self._links or Links(self)
        if self.phase is not Phase.ENDED:
            self._links = links
        return links

    @property
    def background(self) -> Background:
        """Return its timers and what was piped."""
        background = self._background or Background(self)
        if self.phase is not Phase.ENDED:
            self._background = background
        return background

    # Functions of the parts as methods, without a call in between: an inline ask is little else.
    answer_now = inline.answer_now
    hear_exit = hear_exit
    crash = ending.crash
    failure = ending.failure
    hurry = hurry
    late = ending.late
    settle = ending.settle
    wait_is_over = wait_is_over

    @property
    def stashed(self) -> int:
        """Return how many messages are put aside."""
        return 0 if self._receiver is None else self._receiver.stashed

    @property
    def _busy_beside(self) -> bool:
        """Return whether something that it started has to end before it does."""
        return bool(self.children) or (self._background is not None and self._background.works)

    def beat(self) -> None:
        """Note a sign of life."""
        self.last_beat = self.system.backend.now()

    # -- start, body, and what comes after --------------------------------------------------------

    def begin(self) -> bool:
        """Begin this life; True when the proc is ready at once, because nothing has to run first.

        An actor without `on_start` needs no task before its first message, so it gets none: a
        task costs more than all the rest of an actor. (`fast_paths` switches that off for tests.)
        """
        if self.traits.plain_actor:
            self.variables.run(current_occupant.set, self)
        if self.traits.starts or not self.traits.plain_actor or not self.address.runtime.inline:
            self._launch()
            return False
        self._ready()
        if self.address.queue:
            self._launch()
        else:
            self._stand_in()
        return True

    def _stand_in(self) -> None:
        """Do without a task: it is itself what a sender wakes."""
        self.address.pack()
        self.address.waiter = self

    def done(self) -> bool:
        """Return whether it was woken: not as long as it stands in for a waiter."""
        return False

    def set_result(self, result: None, /) -> None:
        """Give it a task: its first message has come."""
        self._launch()

    def _launch(self) -> None:
        self.own_task = self.system.backend.start(self._main, self.address.path, self.variables)

    async def _main(self, own_task: InterruptibleTask) -> None:
        """Go through the life, step by step: start, body, children stopped, on_stop, end."""
        self.own_task = own_task
        self.task = self.system.backend.current_task()
        current_occupant.set(self)
        reason: ExitReason = Normal()
        try:
            if self.phase is Phase.STARTING:
                reason = await self._start(own_task)
            started = self.phase is not Phase.STARTING
            if started:
                ended = await self._body(own_task)
                if ended is None:
                    # It hibernates: the next thing that comes gives it a new task.
                    self.own_task = self.task = None
                    self._stand_in()
                    return
                reason = ended
            self.phase = Phase.STOPPING
            if self._busy_beside:
                await self._clear()
            if started:
                reason = await self._tidy(own_task, reason)
                if self._busy_beside:
                    await self._clear()  # on_stop may have started something, too
                if self.killed:
                    reason = Killed()
        except BaseException as error:
            self._let_pass(error)
            # No step raises, but some meet user objects: what comes of that is a crash like any.
            started, reason = self.phase is not Phase.STARTING, self.failure(error)
            self.kill()
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
            self.publish(ProcStarted, self.number)
        if self.ready is not None and not self.ready.done():
            self.ready.set_result(None)

    async def _body(self, own_task: InterruptibleTask) -> ExitReason | None:
        """Run the body; returns how it ended, None when it hibernates."""
        reason: ExitReason = Normal()
        try:
            if self.verdict is None:
                if self.traits.plain_actor:
                    if not await own_task.guard(self.receiver.receive()) and not own_task.hit:
                        return None
                else:
                    await own_task.guard(self.proc.run(self.token))
        except Interrupted:
            pass
        except BaseException as error:
            self._let_pass(error)
            if not ending.obeys(self, error):
                reason = self.failure(error)
        if self.verdict is not None and isinstance(reason, Crashed):
            self.late(reason.error)
        return ending.outcome(reason, self.told, self.verdict)

    async def _clear(self) -> None:
        """Stop what this incarnation started."""
        if self._background is not None:
            await self._background.end_pipes()
        if self.children:
            await stop_children(
                self.system.backend, self.children, lambda: self.killed, self.kill, self
            )

    async def _tidy(self, own_task: InterruptibleTask, reason: ExitReason) -> ExitReason:
        """Run on_stop; returns the exit reason, which is another one if it raised."""
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
                    self.publish(StopError, error)
                    reason = self.failure(error)
        return Killed() if self.killed else reason

    def _let_pass(self, error: BaseException) -> None:
        """Raise GeneratorExit again when the task is thrown away; a user's own is a crash."""
        if is_a(error, GeneratorExit) and not self.in_own_task():
            raise error

    def in_own_task(self) -> bool:
        """Return whether its own task is the one that runs now."""
        return self.system.backend.is_current(self.task)

    # -- stop, kill, crash ----------------------------------------------------------------------

    # Each of these may come at any time: from its own code, from others in the same turn, or while
    # it has no task at all; and any number of times. None of them waits. The first reason to stop
    # stays; a kill overrules all of it, and takes the children along.

    @property
    def lives(self) -> bool:
        """Return whether it is starting or running, not stopping."""
        return self.phase <= Phase.RUNNING

    @property
    def hears(self) -> bool:
        """Return whether news still matter: it lives, and its fate is not sealed."""
        return self.lives and self.verdict is None

    def check_not_ended(self) -> None:
        """Refuse what would begin after the end, or in another thread. Raises RuntimeError."""
        self.address.runtime.check_here(self.address.path)
        if self.phase is Phase.ENDED:
            raise RuntimeError(f"{self.address.path} has ended; its context is of no use any more")

    @property
    def token(self) -> CancellationToken:
        """Return its own token; made when it is first wanted."""
        token = self._token
        if token is None:
            token = self._token = CancellationToken()
            if self.told is not None:
                token.cancel(self.told)
            else:
                token.on_cancel(homeward(self.system.backend, partial(self._tell, Shutdown())))
        return token

    def cancel_token(self) -> None:
        """Pass on to the token, and to its waits, that the proc was told to stop."""
        if self._token is not None:
            try:
                self._token.cancel(self.told)
            except BaseException as error:  # of a callback: user code, which may do anything
                self.late(error)
        if self.asking is not None:
            self.hurry()

    def finish_queued(self) -> None:
        """Stop it after what is queued, with exit reason Normal."""
        if self._ends_at_once(Normal()):
            return
        if self.traits.actor or self.receiver.reads_inbox:
            self.address.notify(STOP)
        else:
            self._tell(Normal())

    def stop_self(self, reason: ExitReason) -> None:
        """Stop after the message in hand, before anything else; the first reason stays."""
        self.address.runtime.check_here(self.address.path)
        check_reason(reason)
        if self.lives and not self._own_decision and not self._ends_at_once(reason):
            self._own_decision = True
            self.told = reason
            self.cancel_token()
            self.address.signal(TOLD, first=True)

    def _tell(self, reason: ExitReason) -> None:
        """Stop it from outside: after the message in hand, and the control that came before."""
        if self.told is None and self.lives and not self._ends_at_once(reason):
            self.told = reason
            self.cancel_token()
            self.address.signal(TOLD)

    def tell_to_stop(self, timeout: float | None) -> None:
        """Stop it after the message in hand; kill it `timeout` seconds later (None: never)."""
        if self.phase is Phase.ENDED:
            return
        if self.phase is Phase.STARTING:
            # Nobody needs what is half started. Its on_start is cancelled; its children,
            # if it has some already, are stopped in order.
            self.take_down(Shutdown())
        else:
            self._tell(Shutdown())
        if timeout is not None and self.phase < Phase.ENDED:
            self._set_deadline(timeout)

    def _set_deadline(self, timeout: float) -> None:
        """Kill it in `timeout` seconds, unless it is to be killed earlier anyway."""
        backend = self.system.backend
        when = backend.now() + timeout
        if self._deadline is not None:
            if self._deadline_at <= when:
                return
            self._deadline.cancel()
        self._deadline_at = when
        self._deadline = backend.call_at(when, self.kill)

    def take_down(self, reason: ExitReason) -> None:
        """Interrupt it; it ends with `reason`."""
        # Never at once, even if it has no task: this may be called in the middle of the
        # announcement of another's end, and the others there are to hear of that one first.
        if self.hears:
            self.verdict = reason
            if self.phase is Phase.RUNNING:
                self.address.signal(TOLD, first=True)  # seen before mail if nothing waits now
            self._interrupt()

    def _interrupt(self) -> None:
        if self.own_task is None:
            self.address.wake()  # it has no task yet, but something to do at its end
        else:
            self.own_task.interrupt()

    def _ends_at_once(self, reason: ExitReason) -> bool:
        """End it if it has no task, and nothing to do for one at its end."""
        stand_in: object = self.address.waiter
        if stand_in is not self or self._busy_beside or (self.traits.stops and not self.killed):
            return False
        self.finish(reason, started=True)
        return True

    def kill(self) -> None:
        """Cancel it and all that it started, the youngest first."""
        doomed: list[Incarnation] = [self]
        while doomed:
            life = doomed.pop()
            if life.killed or life.phase is Phase.ENDED:
                continue
            life.killed = True
            if life._ends_at_once(Killed()):
                continue
            if not isinstance(life.verdict, Crashed) or life.phase is not Phase.STARTING:
                life.verdict = Killed()
            occupants = (address.occupant for address in life.children.values())
            doomed.extend(each for each in occupants if isinstance(each, Incarnation))
            # The loop of an actor that kills itself sees the mark, its handlers the interrupt.
            life.address.signal(TOLD, first=True)
            life._interrupt()

    def on_end(self, waiter: Awaiting) -> bool:
        """Wake `waiter` with the exit reason when it has ended; False when that is past."""
        if self.phase is Phase.ENDED:
            return False
        if self._ended is None:
            self._ended = {}
        self._ended[waiter] = None
        return True

    def forget(self, waiter: Awaiting) -> None:
        """Take back an `on_end`; nothing happens when it is past."""
        if self._ended is not None:
            self._ended.pop(waiter, None)

    @property
    def leaving(self) -> bool:
        """Return whether it was told to stop, or is stopping."""
        return self.told is not None or self.phase is Phase.STOPPING

    @property
    def served_beside(self) -> bool:
        """Return whether another task than its own may read its mail."""
        if self.traits.plain_actor or self.phase is not Phase.RUNNING:
            return False
        return self._receiver is None or self._receiver.reader is not self.task

    # -- the end --------------------------------------------------------------------------------

    def finish(self, reason: ExitReason, started: bool) -> None:
        """Announce the end. Nothing here waits, so nobody sees half of it."""
        address = self.address
        self.phase = Phase.ENDED
        self.told = self.told or reason
        address.waiter, address.occupant, address.reason = None, None, reason
        self._give_back()
        if address.extra or address.control:
            ending.drop_control(self)
        if not self.killed and self.traits.hears_undelivered:
            address.undelivered = partial(ending.undelivered, self, self.variables)
        left: Any = self.settle(ending.let_go, self._receiver, reason)
        in_hand, told = left or (None, None)
        if started and self.system.events.heard:
            self.publish(ProcEnded, reason, self.number, in_hand, address.owned)
        self.settle(ending.give_up_mail, reason)
        for waiter in self._ended or ():
            if not waiter.done():
                waiter.set_result(reason)
        links, self._links = self._links, None
        if started:
            ending.announce(self, links, reason, in_hand, told=told)
        else:
            ending.announce_failed_start(self, links, reason)
        # Leave no cycle: what has ended goes without the garbage collector.
        self.own_task = self.task = self._receiver = self._background = None
        del self.variables
        if not self.traits.hears_undelivered:
            del self.proc

    def _give_back(self) -> None:
        """Give back what it held of the clock and of others."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.cancel_token()
        if self._background is not None:
            self._background.stop_timers()
        if self._links is not None:
            self._links.stop_watching()

    def publish(self, event: Callable[..., Event], *values: object) -> None:
        """Publish an event about it, if anybody listens."""
        if self.system.events.heard:
            self.system.events.publish(event(ref_of(self.address), *values))

"""Hear of everything that happens in an actor system, through one typed stream.

`system.events.subscribe(handler)` calls `handler` with each event, in the turn of the loop in
which it happens, in the order of subscription. A handler is a plain function and must not wait.
One that raises disturbs nothing: its first error is told at once, as `HandlerFailed` and, unless
one of the other handlers writes a log (`tells_failures` is true of it), through the logger
`actors.events` of the standard library. Where none does, leaving the system raises it as well, as
it raises every error that nobody heard of; never so with `serve` and `run`, whose orderly end stays
one. SystemExit and KeyboardInterrupt bring the system down. While nobody listens, an event costs
one look at an empty tuple.

Any frozen class derived from `Event` can be published; `supervision` adds its own.

>>> import anyio
>>> from actors import ActorSystem, task
>>> async def brief(shutdown: object) -> None:
...     pass
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         with system.events.subscribe(lambda event: print(type(event).__name__)):
...             proc = await system.spawn(task(brief))
...             await proc.wait()
>>> anyio.run(main)
ProcStarted
ProcEnded
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias, final

from attrs import frozen

from actors.dead_letters import DeadLetterReason
from actors.exits import ExitReason
from actors.ref import Ref
from actors.shapes import check_plain
from actors.texts import describe, note, process_end, text_of

__all__ = [
    "DeadLetter",
    "Event",
    "EventStream",
    "HandlerFailed",
    "ProcEnded",
    "ProcFailedToStart",
    "ProcReleased",
    "ProcStarted",
    "StopError",
    "Subscription",
]


@frozen
class Event:
    """The base of everything on the stream; derive a frozen class to publish your own."""


@final
@frozen
class ProcStarted(Event):
    """A proc is ready: its `on_start` has returned. `incarnation` counts from 1."""

    ref: Ref[Any]
    incarnation: int = 1


@final
@frozen
class ProcFailedToStart(Event):
    """A proc did not get ready."""

    ref: Ref[Any]
    reason: ExitReason
    incarnation: int = 1


@final
@frozen
class ProcEnded(Event):
    """A proc that had started has ended, with all that it had started.

    `in_hand` is the message that it was handling when it crashed or was killed, else None.
    `owned` tells that its address is in the hand of an owner, such as a supervisor, who decides
    what comes next.
    """

    ref: Ref[Any]
    reason: ExitReason
    incarnation: int = 1
    in_hand: object = None
    owned: bool = False


@final
@frozen
class ProcReleased(Event):
    """An address in the hand of an owner is given up: no proc starts there any more.

    What the owner has to say about its last proc was said before.
    """

    ref: Ref[Any]


@final
@frozen
class DeadLetter(Event):
    """A message that nobody will handle, and why. The message in hand at a crash is one.

    `why.kind` is for programs, `str(why)` for people.
    Messages of a class with `__dead_letter__ = False` are never reported: reminders to oneself, and
    whatever else nobody misses (Akka calls that DeadLetterSuppression).
    """

    ref: Ref[Any]
    message: object
    why: DeadLetterReason


@final
@frozen
class StopError(Event):
    """An error that code raised while its proc was stopping for another reason."""

    ref: Ref[Any]
    error: BaseException


@final
@frozen
class HandlerFailed(Event):
    """A handler of events has raised `error`; it is called again, but not told of again."""

    handler: Callable[[Event], None]
    error: BaseException


Handler: TypeAlias = Callable[[Event], None]


@final
class Subscription:
    """A place on the stream, held until `cancel`; also a context manager."""

    __slots__ = ("_stream", "handler")

    def __init__(self, stream: EventStream, handler: Handler) -> None:
        self._stream = stream
        self.handler = handler

    def cancel(self) -> None:
        """Hear no more; nothing happens the second time."""
        self._stream.drop(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()


@final
class EventStream:
    """The stream on which events pass. Everything is called from the loop's thread."""

    __slots__ = ("_failed", "_report", "_subscriptions", "heard", "raises_failures")

    heard: bool
    """Whether anybody listens; ask before making an event that costs something."""
    raises_failures: bool
    """Whether a handler's error that no log was told of is raised when the system is left."""

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        # A tuple, replaced at each change: a handler may subscribe or cancel while it is called.
        self._subscriptions: tuple[Subscription, ...] = ()
        self.heard = False
        self.raises_failures = True
        self._report = report
        self._failed: set[Subscription] = set()

    def subscribe(self, handler: Handler) -> Subscription:
        """Call `handler` with each event from now on. Raises TypeError for another shape."""
        if not callable(handler):
            raise TypeError(f"an event handler is a function of one event, not {handler!r}")
        check_plain("an event handler", handler)
        subscription = Subscription(self, handler)
        self._subscriptions = (*self._subscriptions, subscription)
        self.heard = True
        return subscription

    def publish(self, event: Event) -> None:
        """Pass an event to all who listen; never raises."""
        for subscription in self._subscriptions:
            try:
                subscription.handler(event)
            except BaseException as error:
                # All of them: nothing that a handler does may tear the engine's work apart.
                # Once for each handler: a broken one would otherwise pile up an error an event.
                if subscription not in self._failed:
                    self._failed.add(subscription)
                    note(error, f"raised by an event handler for {type(event).__name__}")
                    self._tell(subscription.handler, error)

    def _tell(self, handler: Handler, error: BaseException) -> None:
        """Tell of the first error of a handler, now: the end may be far."""
        if process_end(error) is not None:
            self._report(error)
            return
        self.publish(HandlerFailed(handler, error))
        others = (known.handler for known in self._subscriptions if known not in self._failed)
        if not any(getattr(other, "tells_failures", False) for other in others):
            # Not as `exc_info`: the error is a user's object, and may be of any mind when asked.
            failed = "an event handler failed, and nothing else did: %s: %s\n%s"
            where = "".join(traceback.format_tb(error.__traceback__))
            with suppress(Exception):
                logging.getLogger(__name__).error(failed, text_of(handler), describe(error), where)
            if self.raises_failures:
                self._report(error)

    def drop(self, subscription: Subscription) -> None:
        """Take a subscription back; nothing happens when it is not there."""
        self._subscriptions = tuple(
            entry for entry in self._subscriptions if entry is not subscription
        )
        self.heard = bool(self._subscriptions)
        self._failed.discard(subscription)

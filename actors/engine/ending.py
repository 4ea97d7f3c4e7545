"""Settle what an incarnation leaves behind: the message in hand, its mail, and the news of its end.

`Incarnation.finish` calls these one after the other. None of them waits, so nobody sees half of an
end: when the first user code runs again, all is settled and all who are bound to it were told.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, task
>>> async def fuse(shutdown: CancellationToken) -> None:
...     raise ValueError("short circuit")
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         await (await system.spawn(task(fuse))).wait()
>>> try:
...     anyio.run(main)
... except* ValueError as group:
...     print(*group.exceptions[0].__notes__)
crashed: /fuse-1
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from actors.backends import Waiter
from actors.dead_letters import DeadLetterKind, DeadLetterReason
from actors.engine.life import Life
from actors.engine.links import Links
from actors.engine.receiver import Receiver
from actors.errors import Ignore, ProcExited, StartFailed
from actors.events import ProcFailedToStart, StopError
from actors.exits import Crashed, ExitReason, Normal
from actors.mail import unwrap
from actors.messages import Envelope
from actors.notices import Exited
from actors.ref import address_of, ref_of
from actors.texts import is_a, note, process_end

__all__ = [
    "announce",
    "announce_failed_start",
    "crash",
    "drop_control",
    "failure",
    "give_up_mail",
    "late",
    "let_go",
    "obeys",
    "outcome",
    "settle",
    "start_failed",
    "undelivered",
]


class Ending(Life, Protocol):
    """One life of a proc, with who waits for its start."""

    ignored: Ignore | None
    ready: Waiter[None] | None

    @property
    def receiver(self) -> Receiver:
        """Return the part that receives."""
        ...


CRASHED = DeadLetterReason(DeadLetterKind.IN_HAND, "its receiver crashed")
KILLED = DeadLetterReason(DeadLetterKind.IN_HAND, "its receiver was killed")


def outcome(body: ExitReason, told: ExitReason | None, verdict: ExitReason | None) -> ExitReason:
    """Decide how a proc ends whose body ended with `body`.

    A verdict overrules all; what it was told counts when its body did not crash.

    >>> from actors import Killed, Normal, Shutdown
    >>> print(outcome(Normal(), None, None), outcome(Normal(), Shutdown(), None))
    normal shutdown
    >>> print(outcome(Normal(), Shutdown(), Killed()))
    killed
    """
    if verdict is not None:
        return verdict
    return told if told is not None and isinstance(body, Normal) else body


def drop_control(life: Life) -> None:
    """Drop the control that it did not see; a crash that it was to hear of is the system's now."""
    for control in life.address.clear_control():
        # Told to stop before it could hear of this: then nobody has. But for a child that it
        # owned: of that it had the reason when it stopped it.
        if not isinstance(control, Exited) or address_of(control.ref).owned:
            continue
        if isinstance(control.reason, Crashed):
            life.system.unheard(control.reason.error)


def let_go(
    life: Life, receiver: Receiver | None, reason: ExitReason
) -> tuple[object, ProcExited | None]:
    """Settle what is in hand, put aside, or to be answered later; returns what was in hand.

    None when it was nothing, or when the end is orderly. Also what its asker was told, if one was
    there.
    """
    if receiver is not None:
        receiver.unstash_all()
    item, life.in_hand = life.in_hand, None
    if life.begun is not None:
        begun, life.begun = life.begun, None
        try:
            begun.close()
        except BaseException as error:
            late(life, error)
    message: object = None
    told = life.address.fail(item) if type(item) is Envelope else None
    if item is not None and reason.is_abnormal:
        message = unwrap(item)
        if not getattr(type(message), "__dead_letter__", True):
            message = None
        life.address.refuse(item, KILLED if life.killed else CRASHED)
    if receiver is not None:
        receiver.fail_deferred()
        receiver.let_reply_go()
    return message, told


def give_up_mail(life: Life, reason: ExitReason) -> None:
    """End the address, unless an owner keeps it for the next incarnation."""
    address, owner = life.address, life.owner
    if not address.owned:
        if owner is None:
            life.system.forget(address)
        elif owner.children.get(address.id) is address:
            del owner.children[address.id]
        address.end(reason)
    elif not address.keep:
        address.flush(DeadLetterReason(DeadLetterKind.DROPPED_AT_RESTART, str(reason)))


def start_failed(path: str, reason: ExitReason) -> StartFailed:
    """Return the error for one who waits for a start that failed; the crash is its cause."""
    error = StartFailed(path, reason)
    if isinstance(reason, Crashed):
        error.__cause__ = reason.error
    return error


def announce(
    life: Life,
    links: Links | None,
    reason: ExitReason,
    in_hand: object,
    *,
    told: ProcExited | None,
) -> None:
    """Tell all who are bound to it; a crash of which nobody hears is the system's.

    `told`: what an asker got, which has the crash as its cause. It counts as heard, until the
    asker crashes of it.
    """
    owner, heard = life.owner, False
    if owner is not None or links is not None:
        exited = Exited(ref_of(life.address), reason, life.number)
        if links is not None:
            heard = links.announce(exited, owner)
        elif owner is not None:
            heard = owner.hear_exit(exited)
    if owner is not None and life.address.owned:
        heard = True  # it had the reason when it stopped this child
    if heard or not isinstance(reason, Crashed):
        return
    handling = "" if in_hand is None else f", handling {type(in_hand).__name__}"
    note(reason.error, f"crashed: {life.address.path}{handling}")
    if told is None:
        life.system.unheard(reason.error)
        return
    told.alone = True
    before = reason.error
    if type(before) is ProcExited and before.alone and isinstance(before.reason, Crashed):
        life.system.unheard(before.reason.error)


def announce_failed_start(life: Ending, links: Links | None, reason: ExitReason) -> None:
    """Tell whoever waits for a start that it failed."""
    if links is not None:
        links.announce(Exited(ref_of(life.address), reason, life.number), None)
    # Its owner hears it from the start that failed.
    if life.ignored is None:
        life.publish(ProcFailedToStart, reason, life.number)
    if life.ready is not None and not life.ready.done():
        life.ready.set_exception(life.ignored or start_failed(life.address.path, reason))


def obeys(life: Life, error: BaseException) -> bool:
    """Return whether an error is no crash: cancelled once it is to end anyway."""
    ends = life.told is not None or life.verdict is not None
    return ends and is_a(error, life.system.backend.cancelled_error())


def crash(life: Ending, error: BaseException) -> None:
    """Crash with what was raised outside of its own task."""
    if obeys(life, error):
        return
    if life.hears:
        life.take_down(failure(life, error))
    else:
        late(life, error)


def settle(life: Life, step: Callable[..., object], *values: object) -> object:
    """Take a step of the end that meets user objects: whatever they do, the others follow."""
    try:
        return step(life, *values)
    except BaseException as error:
        late(life, error)
        return None


def failure(life: Life, error: BaseException) -> ExitReason:
    """Return the exit reason for what was raised; what ends the process ends the system."""
    reason = Crashed(error)
    if (end := reason.process_end) is not None:
        life.system.fatal(end)
    return reason


def late(life: Life, error: BaseException) -> None:
    """Report what was raised when the exit reason was settled already; it must not be lost."""
    life.publish(StopError, error)
    if (end := process_end(error)) is not None:
        life.system.fatal(end)
    elif life.owner is None and not life.links.bound:
        life.system.unheard(error)


def undelivered(life: Life, variables: Context, message: object) -> None:
    """Tell the proc that has ended of a message that nobody will handle."""
    try:
        if life.in_own_task():
            life.proc.on_undelivered(message)
        else:
            variables.run(life.proc.on_undelivered, message)
    except BaseException as error:
        life.late(error)

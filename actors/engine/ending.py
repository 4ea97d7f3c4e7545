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

from contextvars import Context

from actors.dead_letters import DeadLetterKind, DeadLetterReason
from actors.engine.life import Life
from actors.engine.links import Links
from actors.engine.receiver import Receiver
from actors.errors import StartFailed
from actors.exits import Crashed, ExitReason, Normal
from actors.mail import unwrap
from actors.messages import Envelope
from actors.notices import Exited
from actors.ref import address_of, ref_of

__all__ = [
    "announce",
    "drop_control",
    "give_up_mail",
    "let_go",
    "outcome",
    "start_failed",
    "undelivered",
]


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


def let_go(life: Life, receiver: Receiver | None, reason: ExitReason) -> object:
    """Settle what is in hand, put aside, or to be answered later; returns what was in hand.

    None when it was nothing, or when the end is orderly.
    """
    if receiver is not None:
        receiver.unstash_all()
    item, life.in_hand = life.in_hand, None
    if life.begun is not None:
        life.begun.close()
        life.begun = None
    message: object = None
    if item is not None and reason.is_abnormal:
        message = unwrap(item)
        if not getattr(type(message), "__dead_letter__", True):
            message = None
        life.address.refuse(item, KILLED if life.killed else CRASHED)
    if receiver is not None:
        receiver.fail_deferred()
    if isinstance(item, Envelope):
        life.address.fail(item)
    if receiver is not None:
        receiver.let_reply_go()
    return message


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


def announce(life: Life, links: Links | None, reason: ExitReason, in_hand: object) -> None:
    """Tell all who are bound to it; a crash of which nobody hears is the system's."""
    owner, heard = life.owner, False
    if owner is not None or links is not None:
        exited = Exited(ref_of(life.address), reason, life.number)
        if links is not None:
            heard = links.announce(exited, owner)
        elif owner is not None:
            heard = owner.hear_exit(exited)
    if owner is not None and life.address.owned:
        heard = True  # it had the reason when it stopped this child
    if not heard and isinstance(reason, Crashed):
        handling = "" if in_hand is None else f", handling {type(in_hand).__name__}"
        reason.error.add_note(f"crashed: {life.address.path}{handling}")
        life.system.unheard(reason.error)


def undelivered(life: Life, variables: Context, message: object) -> None:
    """Tell the proc that has ended of a message that nobody will handle."""
    try:
        if life.in_own_task():
            life.proc.on_undelivered(message)
        else:
            variables.run(life.proc.on_undelivered, message)
    except BaseException as error:
        life.late(error)

"""Give each stateful component of a service its own address, its own mail and its own life.

A typed actor runtime for asyncio and trio. An actor handles one message after the other; a `Ref`
is its address; `ask` waits for an answer whose type the checker knows. What ends is announced,
what fails is seen, what is stopped stops in order.

>>> import anyio
>>> from attrs import frozen
>>> from actors import Actor, ActorSystem, Request, on
>>> @frozen
... class Add:
...     amount: int
>>> class Total(Request[int]): ...
>>> class Counter(Actor[Add | Total]):
...     def __init__(self) -> None:
...         self.total = 0
...     @on(Add)
...     def add(self, message: Add) -> None:
...         self.total += message.amount
...     @on(Total)
...     def answer(self, message: Total) -> int:
...         return self.total
>>> async def main() -> int:
...     async with ActorSystem() as system:
...         counter = await system.spawn(Counter)
...         counter.tell(Add(40))
...         counter.tell(Add(2))
...         return await counter.ask(Total())
>>> anyio.run(main)
42
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from actors.actor import Actor, on
    from actors.cancellation import CancellationToken
    from actors.context import Child, Context, Proc
    from actors.dead_letters import DeadLetterKind, DeadLetterReason
    from actors.errors import (
        ActorError,
        AskCycle,
        AskTimeout,
        IdTaken,
        Ignore,
        LinkBroken,
        MailboxFull,
        NameNotFound,
        NameTaken,
        NoReply,
        ProcExited,
        Refusal,
        StartFailed,
        SystemClosed,
    )
    from actors.events import (
        DeadLetter,
        Event,
        EventStream,
        HandlerFailed,
        ProcEnded,
        ProcFailedToStart,
        ProcReleased,
        ProcStarted,
        StopError,
    )
    from actors.exits import Crashed, ExitReason, Killed, NoProc, Normal, Shutdown
    from actors.functions import task
    from actors.mailbox import Mailbox, Overflow
    from actors.messages import Question, Reply, Request
    from actors.names import Name
    from actors.notices import Down, Exited, Monitor, Received, Watch
    from actors.ref import AnyRef, Ref, Statistics
    from actors.system import ActorSystem, ProcInfo
    from actors.threads import ThreadsafeRef
    from actors.timer import Timer
    from actors.vitals import Place, Vitals
else:
    __getattr__, __dir__ = lazy_door(
        __name__,
        {
            "actors.actor": "Actor on",
            "actors.cancellation": "CancellationToken",
            "actors.context": "Child Context Proc",
            "actors.dead_letters": "DeadLetterKind DeadLetterReason",
            "actors.errors": "ActorError AskCycle AskTimeout IdTaken Ignore LinkBroken MailboxFull"
            " NameNotFound NameTaken NoReply ProcExited Refusal StartFailed SystemClosed",
            "actors.events": "DeadLetter Event EventStream HandlerFailed ProcEnded"
            " ProcFailedToStart ProcReleased ProcStarted StopError",
            "actors.exits": "Crashed ExitReason Killed NoProc Normal Shutdown",
            "actors.functions": "task",
            "actors.mailbox": "Mailbox Overflow",
            "actors.messages": "Question Reply Request",
            "actors.names": "Name",
            "actors.notices": "Down Exited Monitor Received Watch",
            "actors.ref": "AnyRef Ref Statistics",
            "actors.system": "ActorSystem ProcInfo",
            "actors.threads": "ThreadsafeRef",
            "actors.timer": "Timer",
            "actors.vitals": "Place Vitals",
        },
    )

__all__ = [
    "Actor",
    "ActorError",
    "ActorSystem",
    "AnyRef",
    "AskCycle",
    "AskTimeout",
    "CancellationToken",
    "Child",
    "Context",
    "Crashed",
    "DeadLetter",
    "DeadLetterKind",
    "DeadLetterReason",
    "Down",
    "Event",
    "EventStream",
    "ExitReason",
    "Exited",
    "HandlerFailed",
    "IdTaken",
    "Ignore",
    "Killed",
    "LinkBroken",
    "Mailbox",
    "MailboxFull",
    "Monitor",
    "Name",
    "NameNotFound",
    "NameTaken",
    "NoProc",
    "NoReply",
    "Normal",
    "Overflow",
    "Place",
    "Proc",
    "ProcEnded",
    "ProcExited",
    "ProcFailedToStart",
    "ProcInfo",
    "ProcReleased",
    "ProcStarted",
    "Question",
    "Received",
    "Ref",
    "Refusal",
    "Reply",
    "Request",
    "Shutdown",
    "StartFailed",
    "Statistics",
    "StopError",
    "SystemClosed",
    "ThreadsafeRef",
    "Timer",
    "Vitals",
    "Watch",
    "on",
    "task",
]

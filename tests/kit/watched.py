"""Children under a watchdog, of which some hang; and a tree that keeps what is said of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from actors import Actor, CancellationToken, Event, Proc, ProcStarted, Request, on
from supervision import Application, ChildSpec, SupervisorSpec, Watchdog, serve
from supervision.events import ChildExited, ChildHung, LogLines

LIMIT = 8.0
LATEST = 1.5
"""A child that hangs is found within so many times its limit."""


class Take(Request[None]):
    """Have the handler take so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Note(Take):
    """Say the same without asking."""


class Worker(Actor[Take | Note]):
    """Take as long as it is told."""

    @on(Take)
    async def take(self, message: Take) -> None:
        await anyio.sleep(message.seconds)

    @on(Note)
    async def note(self, message: Note) -> None:
        await anyio.sleep(message.seconds)


class Drowsy(Worker):
    """Hibernate."""

    hibernate_after = 0.5


class Beater(Proc[object]):
    """Beat every `gap` seconds, `times` times, then fall silent."""

    def __init__(self, gap: float, times: int) -> None:
        self.gap, self.times = gap, times

    async def run(self, shutdown: CancellationToken) -> None:
        for _ in range(self.times):
            await anyio.sleep(self.gap)
            self.context.beat()
        await silent()


async def silent() -> None:
    """Wait for ever."""
    await anyio.sleep_forever()


class Deaf(Proc[object]):
    """Take no notice of being cancelled until `gate` opens."""

    def __init__(self, gate: anyio.Event) -> None:
        self.gate = gate

    async def run(self, shutdown: CancellationToken) -> None:
        with anyio.CancelScope(shield=True):
            while not self.gate.is_set():
                try:
                    await self.gate.wait()
                except anyio.get_cancelled_exc_class():
                    pass


class Observed:
    """Serve a tree and keep what its events say, with the time of each."""

    def __init__(self) -> None:
        self.events: list[tuple[float, Event]] = []
        self.found = anyio.Event()
        self.lines: list[tuple[str, str, str]] = []
        self.log = LogLines(lambda *line: self.lines.append(line))

    def __call__(self, event: Event) -> None:
        self.events.append((anyio.current_time(), event))
        self.log(event)
        if isinstance(event, ChildHung):
            self.found.set()

    @asynccontextmanager
    async def serve(
        self, *children: ChildSpec[Any], **options: Any
    ) -> AsyncGenerator[Application, None]:
        """Serve a tree named top."""
        async with serve(SupervisorSpec("top", children, **options), observe=[self]) as app:
            yield app

    def hung(self) -> list[tuple[float, ChildHung]]:
        """Return who was found to hang, and when."""
        return [(at, event) for at, event in self.events if isinstance(event, ChildHung)]

    def exits(self) -> list[ChildExited]:
        """Return the exits that a supervisor saw."""
        return [event for _, event in self.events if isinstance(event, ChildExited)]

    def starts(self, path: str) -> list[float]:
        """Return when a child got ready."""
        return [
            at
            for at, event in self.events
            if isinstance(event, ProcStarted) and event.ref.path == path
        ]


def watched(start: Callable[[], Proc[Any]], **options: Any) -> ChildSpec[Any]:
    """Describe a child under the usual watchdog."""
    options.setdefault("watchdog", Watchdog(handler=LIMIT))
    return ChildSpec("child", start, **options)

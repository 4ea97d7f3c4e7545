"""Procs, their contexts and tasks: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Never, assert_type

from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    CancellationToken,
    Child,
    Context,
    DeadLetter,
    DeadLetterReason,
    Down,
    Event,
    Exited,
    ExitReason,
    Mailbox,
    Monitor,
    Normal,
    Overflow,
    Proc,
    Ref,
    Reply,
    Request,
    Shutdown,
    Timer,
    on,
    task,
)


@frozen
class Tick:
    pass


@frozen
class Page:
    text: str


@frozen
class Fetch(Request[str]):
    pass


class Clock(Actor[Tick | Page]):
    async def on_start(self) -> None:
        assert_type(self.context, Context[Tick | Page])
        assert_type(self.context.ref, Ref[Tick | Page])
        assert_type(self.context.path, str)
        assert_type(self.context.shutdown, CancellationToken)
        assert_type(self.context.send_after(1.0, Tick()), Timer)
        assert_type(self.context.send_every(1.0, Page("x")), Timer)
        assert_type(self.context.monitor(self.context.ref), Monitor)

        self.context.send_after(1.0, "tick")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.send_after("1", Tick())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.send_every(1.0, Fetch())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.monitor("/clock")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.link(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.stop("now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @on(Tick)
    async def tick(self, message: Tick) -> None:
        self.context.pipe(page(), into=Page)
        self.context.pipe(page(), into=Page, failed=lambda error: Page(str(error)))
        self.context.stop(Shutdown("enough"))

        self.context.pipe(page(), into=lambda text: text)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
        self.context.pipe(number(), into=Page)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.pipe(page(), into=Page, failed=str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.context.pipe("page", into=Page)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @on(Page)
    async def page(self, message: Page) -> None:
        child = await self.context.spawn(Reader)
        assert_type(child, Ref[Fetch])
        owned: Child[Fetch] = self.context.child("reader")
        await owned.start(Reader)
        assert_type(owned.ref, Ref[Fetch])

        await owned.start(Clock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await self.context.spawn("reader")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    async def on_stop(self, reason: ExitReason) -> None:
        if isinstance(reason, Shutdown):
            assert_type(reason.detail, object)
        assert_type(reason.is_abnormal, bool)

    def on_down(self, down: Down) -> None:
        assert_type(down.reason, ExitReason)

    async def on_exit(self, exited: Exited) -> None:
        assert_type(exited.incarnation, int)

    def on_undelivered(self, message: Tick | Page) -> None: ...


class WrongHooks(Actor[Tick]):
    @on(Tick)
    def tick(self, message: Tick) -> None: ...

    def on_start(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

    async def on_stop(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]

    def on_undelivered(self, message: Page) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]


class Reader(Proc[Fetch]):
    async def run(self, shutdown: CancellationToken) -> None:
        async for received in self.context.inbox():
            assert_type(received.message, Fetch)
            assert_type(received.reply, Reply[Any] | None)


class WrongRun(Proc[Fetch]):
    async def run(self) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]


async def page() -> str:
    return "page"


async def number() -> int:
    return 1


async def work(shutdown: CancellationToken) -> None: ...


async def busy() -> None: ...


async def answers(shutdown: CancellationToken) -> int:
    return 1


def plain(shutdown: CancellationToken) -> None: ...


async def tasks(system: ActorSystem) -> None:
    ref = await system.spawn(task(work))
    assert_type(ref, Ref[Never])

    ref.tell(Tick())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    task(busy)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    task(answers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    task(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    task(work(CancellationToken()))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await system.spawn(work)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def mailboxes() -> None:
    Mailbox(10, Overflow.DROP_OLD, "drop")
    Mailbox(capacity=None, on_restart="keep")

    Mailbox("10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Mailbox(overflow="wait")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Mailbox(on_restart="lose")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def events(system: ActorSystem) -> None:
    def handle(event: Event) -> None:
        if isinstance(event, DeadLetter):
            assert_type(event.ref, Ref[Any])
            assert_type(event.message, object)
            assert_type(event.why, DeadLetterReason)

    def wrong(event: str) -> None: ...

    system.events.subscribe(handle)
    system.events.subscribe(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def frozen_values(reason: Normal, shutdown: Shutdown, tick: Awaitable[None]) -> None:
    shutdown.detail = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(reason, tick)

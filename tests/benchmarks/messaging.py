"""Send messages between actors: the measured side of tell, ask, ping-pong and fan-in.

Guarantees: each workload uses the public door only, the way an application would, with
the default mailbox and (for ask) the default timeout; each checks its result.

>>> import anyio
>>> rate, = anyio.run(tell, 10)
>>> rate > 0
True
"""

from __future__ import annotations

from typing import TypeAlias

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, Ref, Request, on
from tests.benchmarks.figures import Stopwatch
from tests.benchmarks.loops import pause
from tests.benchmarks.messages import (
    BALL,
    BURST,
    INCREASE,
    SENDERS,
    Add,
    Ball,
    Increase,
    additions,
    check,
    shares,
)

# Long enough to work off every message that was told before the question.
PATIENCE = 120.0


@frozen
class Total(Request[int]):
    """Ask a counter for its total."""


CounterMessage: TypeAlias = Add | Increase | Total


class WaitingCounter(Actor[Increase]):
    """Add up amounts in a coroutine handler that gives way before it answers."""

    def __init__(self) -> None:
        self.total = 0
        self.let_others_run = pause()

    @on(Increase)
    async def increase(self, message: Increase) -> int:
        await self.let_others_run()
        self.total += message.amount
        return self.total


class Counter(Actor[CounterMessage]):
    """Add up amounts in plain handlers."""

    def __init__(self) -> None:
        self.total = 0

    @on(Add)
    def add(self, message: Add) -> None:
        self.total += message.amount

    @on(Increase)
    def increase(self, message: Increase) -> int:
        self.total += message.amount
        return self.total

    @on(Total)
    def answer(self, message: Total) -> int:
        return self.total


class AsyncCounter(Actor[CounterMessage]):
    """Add up amounts in coroutine handlers."""

    def __init__(self) -> None:
        self.total = 0

    @on(Add)
    async def add(self, message: Add) -> None:
        self.total += message.amount

    @on(Increase)
    async def increase(self, message: Increase) -> int:
        self.total += message.amount
        return self.total

    @on(Total)
    async def answer(self, message: Total) -> int:
        return self.total


async def tell(size: int) -> tuple[float]:
    """Tell one actor `size` messages, handled by a plain function; messages a second."""
    async with ActorSystem() as system:
        return await _tell(await system.spawn(Counter), size)


async def tell_async(size: int) -> tuple[float]:
    """Tell one actor `size` messages, handled by a coroutine; messages a second."""
    async with ActorSystem() as system:
        return await _tell(await system.spawn(AsyncCounter), size)


async def _tell(counter: Ref[CounterMessage], size: int) -> tuple[float]:
    messages = additions(size)
    with Stopwatch() as watch:
        for message in messages:
            counter.tell(message)
        total = await counter.ask(Total(), timeout=PATIENCE)
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def ask(size: int) -> tuple[float]:
    """Ask one actor, answered by a plain function; trips a second."""
    async with ActorSystem() as system:
        return await _ask(await system.spawn(Counter), size)


async def ask_async(size: int) -> tuple[float]:
    """Ask one actor, answered by a coroutine; trips a second."""
    async with ActorSystem() as system:
        return await _ask(await system.spawn(AsyncCounter), size)


async def ask_waiting(size: int) -> tuple[float]:
    """Ask one actor, answered by a coroutine that waits once; trips a second."""
    async with ActorSystem() as system:
        return await _ask(await system.spawn(WaitingCounter), size)


async def _ask(counter: Ref[Increase], size: int) -> tuple[float]:
    total = 0
    with Stopwatch() as watch:
        for _ in range(size):
            total = await counter.ask(INCREASE)
    check("total", expected=size, found=total)
    return (watch.rate(size),)


async def fan_in(size: int) -> tuple[float]:
    """Let many tasks tell one actor in bursts; messages a second."""
    share = shares(size)
    number = SENDERS * len(share)
    async with ActorSystem() as system:
        counter = await system.spawn(Counter)
        with Stopwatch() as watch:
            async with anyio.create_task_group() as senders:
                for _ in range(SENDERS):
                    senders.start_soon(_tell_in_bursts, counter, share)
            total = await counter.ask(Total(), timeout=PATIENCE)
    check("total", expected=number, found=total)
    return (watch.rate(number),)


async def _tell_in_bursts(counter: Ref[CounterMessage], share: tuple[Add, ...]) -> None:
    let_others_run = pause()
    for position, message in enumerate(share, 1):
        counter.tell(message)
        if position % BURST == 0:
            await let_others_run()


@frozen
class Meet:
    """Name the partner to whom each ball is returned."""

    partner: Ref[PlayerMessage]


PlayerMessage: TypeAlias = Ball | Meet


class Player(Actor[PlayerMessage]):
    """Return so many balls, and say so when one more comes in."""

    partner: Ref[PlayerMessage]

    def __init__(self, returns: int, finished: anyio.Event) -> None:
        self.returns = returns
        self.finished = finished

    @on(Meet)
    def meet(self, message: Meet) -> None:
        self.partner = message.partner

    @on(Ball)
    def hit(self, message: Ball) -> None:
        if self.returns:
            self.returns -= 1
            self.partner.tell(message)
        else:
            self.finished.set()


async def ping_pong(size: int) -> tuple[float]:
    """Pass one object to and fro between two actors; round trips a second."""
    finished = anyio.Event()
    players = Player(size - 1, finished), Player(size, anyio.Event())
    async with ActorSystem() as system:
        left = await system.spawn(lambda: players[0])
        right = await system.spawn(lambda: players[1])
        left.tell(Meet(right))
        right.tell(Meet(left))
        with Stopwatch() as watch:
            right.tell(BALL)
            await finished.wait()
    check("returns left over", expected=[0, 0], found=[player.returns for player in players])
    return (watch.rate(size),)

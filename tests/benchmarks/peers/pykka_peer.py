"""Measure pykka: a thread for each actor, plain messages through `ActorRef.tell` and `ask`.

Best known way: messages, which cost less than its proxies.
"""

from __future__ import annotations

import threading

import pykka

from tests.benchmarks.messages import BALL, INCREASE, Add, Increase, additions, check
from tests.benchmarks.peers import kit

LAST = object()


class Counter(pykka.ThreadingActor):
    """Add up amounts."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: object) -> object:
        if type(message) is Add or type(message) is Increase:
            self.total += message.amount
        return self.total


class Player(pykka.ThreadingActor):
    """Return so many balls, and say so when one more comes in."""

    def __init__(self, returns: int, finished: threading.Event) -> None:
        super().__init__()
        self.returns, self.finished = returns, finished
        self.partner: pykka.ActorRef[Player] | None = None

    def on_receive(self, message: object) -> None:
        if isinstance(message, pykka.ActorRef):
            self.partner = message
        elif self.returns and self.partner is not None:
            self.returns -= 1
            self.partner.tell(message)
        else:
            self.finished.set()


def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    counter = Counter.start()
    with kit.Stopwatch() as watch:
        for message in messages:
            counter.tell(message)
        total = counter.ask(LAST)
    counter.stop()
    check("total", expected=size, found=total)
    return watch.rate(size)


def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    counter = Counter.start()
    total = 0
    with kit.Stopwatch() as watch:
        for _ in range(size):
            total = counter.ask(INCREASE, timeout=5.0)
    counter.stop()
    check("total", expected=size, found=total)
    return watch.rate(size)


def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    finished = threading.Event()
    left = Player.start(size - 1, finished)
    right = Player.start(size, threading.Event())
    left.ask(right)
    right.ask(left)
    with kit.Stopwatch() as watch:
        right.tell(BALL)
        finished.wait()
    pykka.ActorRegistry.stop_all()
    return watch.rate(size)


def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    with kit.Stopwatch() as watch:
        for _ in range(size):
            Counter.start().stop()
    return watch.rate(size)


kit.main(
    {"tell": tell, "ask": ask, "ping_pong": ping_pong, "spawn_stop": spawn_stop},
    {"restart": "has no supervision"},
)

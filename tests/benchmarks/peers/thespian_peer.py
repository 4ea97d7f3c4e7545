"""Measure thespian on its system base in one process, the cheapest that it has.

Best known way: `simpleSystemBase`, where `tell` and `ask` run the actors in the caller's thread
until nobody has a message left. It has no concurrency; its other bases have a process for each
actor and cost far more.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from thespian.actors import Actor, ActorExitRequest, ActorSystem

from tests.benchmarks.messages import BALL, INCREASE, additions, check
from tests.benchmarks.peers import kit

PATIENCE = timedelta(seconds=60)


class Counter(Actor):  # type: ignore[misc]
    """Add up amounts."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 - its name
        if isinstance(message, ActorExitRequest):
            return
        if message == "total":
            self.send(sender, self.total)
        else:
            self.total += message.amount
            if type(message) is type(INCREASE):
                self.send(sender, self.total)


class Player(Actor):  # type: ignore[misc]
    """Return so many balls, and tell who asked first when one more comes in."""

    def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802 - its name
        if isinstance(message, ActorExitRequest):
            return
        if type(message) is tuple:
            self.partner, self.returns = message
            self.waiting = sender
        elif message == "serve":
            self.waiting = sender
            self.send(self.partner, BALL)
        elif self.returns:
            self.returns -= 1
            self.send(self.partner, message)
        else:
            self.send(self.waiting, "finished")


@contextmanager
def system() -> Generator[Any]:
    """Make the actor system anew."""
    actors = ActorSystem("simpleSystemBase", transientUnique=True)
    yield actors
    actors.shutdown()


def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    with system() as actors:
        counter = actors.createActor(Counter)
        with kit.Stopwatch() as watch:
            for message in messages:
                actors.tell(counter, message)
            total = actors.ask(counter, "total", PATIENCE)
    check("total", expected=size, found=total)
    return watch.rate(size)


def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    total = 0
    with system() as actors:
        counter = actors.createActor(Counter)
        with kit.Stopwatch() as watch:
            for _ in range(size):
                total = actors.ask(counter, INCREASE, PATIENCE)
    check("total", expected=size, found=total)
    return watch.rate(size)


def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    with system() as actors:
        left, right = actors.createActor(Player), actors.createActor(Player)
        actors.tell(left, (right, size - 1))
        actors.tell(right, (left, size))
        with kit.Stopwatch() as watch:
            last = actors.ask(left, "serve", PATIENCE)
    check("last", expected="finished", found=last)
    return watch.rate(size)


def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    with system() as actors, kit.Stopwatch() as watch:
        for _ in range(size):
            actors.tell(actors.createActor(Counter), ActorExitRequest())
    return watch.rate(size)


kit.main(
    {"tell": tell, "ask": ask, "ping_pong": ping_pong, "spawn_stop": spawn_stop},
    {"restart": "has no supervisor: a parent is told that its child has ended"},
)

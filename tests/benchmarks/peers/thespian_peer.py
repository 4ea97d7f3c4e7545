"""Measure thespian on its system base in one process, the cheapest that it has.

Best known way: `simpleSystemBase`, where `tell` and `ask` run the actors in the caller's thread
until nobody has a message left. It has no concurrency; its other bases have a process for each
actor and cost far more.
"""

from __future__ import annotations

from datetime import timedelta
from time import perf_counter
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


def system() -> Any:
    """Make the actor system anew."""
    return ActorSystem("simpleSystemBase", transientUnique=True)


def tell(size: int) -> float:
    """Tell one actor `size` messages; messages a second."""
    messages = additions(size)
    actors = system()
    counter = actors.createActor(Counter)
    started = perf_counter()
    for message in messages:
        actors.tell(counter, message)
    total = actors.ask(counter, "total", PATIENCE)
    seconds = perf_counter() - started
    actors.shutdown()
    check("total", expected=size, found=total)
    return size / seconds


def ask(size: int) -> float:
    """Ask one actor `size` times; trips a second."""
    actors = system()
    counter = actors.createActor(Counter)
    total = 0
    started = perf_counter()
    for _ in range(size):
        total = actors.ask(counter, INCREASE, PATIENCE)
    seconds = perf_counter() - started
    actors.shutdown()
    check("total", expected=size, found=total)
    return size / seconds


def ping_pong(size: int) -> float:
    """Pass a ball between two actors; round trips a second."""
    actors = system()
    left, right = actors.createActor(Player), actors.createActor(Player)
    actors.tell(left, (right, size - 1))
    actors.tell(right, (left, size))
    started = perf_counter()
    last = actors.ask(left, "serve", PATIENCE)
    seconds = perf_counter() - started
    actors.shutdown()
    check("last", expected="finished", found=last)
    return size / seconds


def spawn_stop(size: int) -> float:
    """Start an actor, see it ready, stop it, see it ended; lives a second."""
    actors = system()
    started = perf_counter()
    for _ in range(size):
        actors.tell(actors.createActor(Counter), ActorExitRequest())
    seconds = perf_counter() - started
    actors.shutdown()
    return size / seconds


kit.main(
    {"tell": tell, "ask": ask, "ping_pong": ping_pong, "spawn_stop": spawn_stop},
    {"restart": "has no supervisor: a parent is told that its child has ended"},
)

"""Define what the workloads send; both sides of every pair send these objects.

Guarantees: `additions(n)` gives the same objects each time it is called with the same
number, made outside every measured stretch, so a pair sends literally the same mail.

>>> [message.amount for message in additions(3)]
[1, 1, 1]
>>> additions(3)[0] is additions(3)[0]
True
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from actors import Request

SENDERS = 100
BURST = 20


class WrongResult(AssertionError):
    """Say that a program did something other than the work that was to be measured."""


class Boom(Exception):
    """Crash a worker on purpose."""


@frozen
class Add:
    """Carry an amount to be added to a total; told, never answered."""

    amount: int


@frozen
class Increase(Request[int]):
    """Carry an amount to be added to a total; answered with the new total."""

    amount: int


@frozen
class Ball:
    """Travel between two players."""


BALL = Ball()
INCREASE = Increase(1)


@lru_cache(maxsize=1)
def additions(number: int) -> tuple[Add, ...]:
    """Make `number` messages, once."""
    return tuple(Add(1) for _ in range(number))


def shares(number: int) -> tuple[Add, ...]:
    """Give what each of the `SENDERS` sends when they send `number` messages together.

    A share is a whole number of bursts, at least one.
    """
    bursts = max(1, number // (SENDERS * BURST))
    return additions(bursts * BURST)


def check(what: str, *, expected: object, found: object) -> None:
    """Fail a workload whose result is not the one that its work must give.

    Raises `WrongResult` when the two values differ.

    >>> check("total", expected=3, found=2)
    Traceback (most recent call last):
    ...
    tests.benchmarks.messages.WrongResult: total: expected 3, found 2
    """
    if expected != found:
        raise WrongResult(f"{what}: expected {expected}, found {found}")

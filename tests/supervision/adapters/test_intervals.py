"""Tests of `periodic`: its pace, its phase, its stop; and of what the adapters refuse."""

import functools
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import ActorSystem, CancellationToken, Crashed, Killed, Normal, Ref, Shutdown
from actors.testing import START, settle
from supervision import ChildSpec, SpecError, SupervisorSpec, Watchdog, consumer, periodic, serve
from supervision.adapters.functions import takes_token
from tests.kit.actors import spawned
from tests.kit.errors import Boom


def now() -> float:
    """Return the seconds since the start of the test's clock."""
    return round(anyio.current_time() - START, 6)


# -- the pace --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("immediately", "expected"), [(False, [10, 20]), (True, [0, 10, 20])])
async def test_it_calls_at_its_interval(immediately: bool, expected: list[float]) -> None:
    """The first call comes after one interval, or immediately, the next ones at its multiples."""
    calls: list[float] = []
    async with ActorSystem() as system:
        work = periodic(lambda: calls.append(now()), every=10, immediately=immediately)
        await system.spawn(work)
        await anyio.sleep(25)
    assert calls == expected


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        (4, [10, 20, 30, 40, 50, 60, 70]),
        (10, [10, 20, 30, 40, 50, 60, 70]),
        (12, [10, 30, 50, 70]),
        (20, [10, 30, 50, 70]),
        (52, [10, 70]),
    ],
)
async def test_missed_ticks_are_left_out(takes: float, expected: list[float]) -> None:
    """A call that takes too long makes no burst, and does not shift the phase of later ones."""
    calls: list[float] = []

    async def slow() -> None:
        calls.append(now())
        await anyio.sleep(takes)

    async with spawned(periodic(slow, every=10)):
        await anyio.sleep(75)
    assert calls == expected


async def test_the_phase_does_not_drift() -> None:
    """After a thousand calls the ticks are still multiples of the interval."""
    calls: list[float] = []
    async with spawned(periodic(lambda: calls.append(anyio.current_time()), every=0.1)):
        await anyio.sleep(100.05)
    assert len(calls) == 1000
    assert calls[-1] == pytest.approx(START + 100, abs=1e-9)


async def test_each_incarnation_counts_from_its_own_start() -> None:
    """After a crash the first call comes one interval after the restart."""
    calls: list[float] = []

    async def work() -> None:
        await anyio.sleep(3)
        calls.append(now())
        if len(calls) == 1:
            raise Boom

    async with serve(SupervisorSpec("top", [ChildSpec("work", periodic(work, every=10))])):
        await anyio.sleep(37)
    assert calls == [13, 26, 36]


async def test_a_watchdog_finds_a_call_that_hangs() -> None:
    """A heartbeat of more than the interval is kept by calls that return, and by no others."""
    calls: list[float] = []

    async def work() -> None:
        calls.append(now())
        if len(calls) == 5:
            await anyio.sleep_forever()

    spec = ChildSpec("work", periodic(work, every=10), watchdog=Watchdog(heartbeat=20))
    async with serve(SupervisorSpec("top", [spec])) as app:
        await anyio.sleep(45)
        assert app.find("work").statistics().incarnation == 1
        await anyio.sleep(55)
        assert app.find("work").statistics().incarnation == 2
    assert calls[:5] == [10, 20, 30, 40, 50]
    assert calls[5] - calls[4] <= 20 * 1.5 + 10


# -- what is called --------------------------------------------------------------------------------


class Counter:
    """Have methods to be called."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def plain(self) -> None:
        """Take nothing."""
        self.calls.append(None)

    async def with_token(self, shutdown: CancellationToken, more: int = 0) -> None:
        """Take the token."""
        await anyio.lowlevel.checkpoint()
        self.calls.append(shutdown)

    def __call__(self, shutdown: CancellationToken) -> None:
        self.calls.append(shutdown)


@pytest.mark.parametrize(
    ("pick", "token"),
    [
        (lambda counter: counter.plain, False),
        (lambda counter: counter.with_token, True),
        (lambda counter: counter, True),
        (lambda counter: functools.partial(counter.with_token, more=1), True),
        (lambda counter: functools.partial(counter.calls.append, "x"), False),
        (lambda counter: lambda *rest: counter.calls.append(rest), False),
    ],
)
async def test_a_function_takes_the_token_or_nothing(
    pick: Callable[[Counter], Callable[[], object]], token: bool
) -> None:
    """A function that has to be given one argument gets the child's token."""
    counter = Counter()
    async with spawned(periodic(pick(counter), every=1)) as proc:
        await anyio.sleep(1.5)
        assert await proc.shutdown() == Shutdown()
    (call,) = counter.calls
    assert isinstance(call, CancellationToken) is token
    if isinstance(call, CancellationToken):
        assert call.cancelled


@pytest.mark.parametrize(
    "fn", [lambda a, b: None, lambda *, key: None, lambda a, *, key: None, None, "sweep", 5]
)
def test_other_functions_are_refused(fn: Any) -> None:
    """What cannot be called with one argument or none is refused where it is given."""
    with pytest.raises(TypeError, match="periodic"):
        periodic(fn, every=1)


def test_what_says_nothing_of_its_arguments_takes_none() -> None:
    """A function without a signature to look at, as of C code, is called with nothing."""

    class Silent:
        __signature__ = 5

        def __call__(self) -> None:
            pass

    assert not takes_token("periodic", Silent())


@pytest.mark.parametrize("every", [0, -1, float("nan"), 1e-9, True, None, "1", 1j, 10**400])
def test_bad_options_are_refused(every: Any) -> None:
    """An interval that no clock can keep, or another flag than a bool, is refused with its name."""
    with pytest.raises(SpecError, match=r"^periodic: every: "):
        periodic(lambda: None, every=every)
    with pytest.raises(SpecError, match=r"^periodic: immediately: .* is not a bool"):
        periodic(lambda: None, every=1, immediately=every if every is not True else 1)


# -- the end ---------------------------------------------------------------------------------------


async def test_a_stop_finishes_the_call_in_hand() -> None:
    """Told to stop in the middle of a call, it ends when the call has, and calls no more."""
    trace: list[str] = []

    async def work() -> None:
        trace.append("begins")
        await anyio.sleep(3)
        trace.append("ends")

    async with spawned(periodic(work, every=1, immediately=True)) as proc:
        await settle()
        assert await proc.shutdown() == Shutdown()
        assert now() == 3
    assert trace == ["begins", "ends"]


@pytest.mark.parametrize("end", [Ref.stop, Ref.kill])
async def test_an_end_between_two_calls_is_obeyed_at_once(end: Callable[[Ref[Any]], None]) -> None:
    """Told to stop, or killed, while it waits for the next tick, it waits no longer."""
    async with spawned(periodic(lambda: None, every=3600)) as proc:
        await anyio.sleep(5)
        end(proc)
        assert await proc.wait() == (Killed() if end is Ref.kill else Normal())
        assert now() == 5


@pytest.mark.parametrize("kill", [True, False])
async def test_a_call_that_takes_too_long_is_cancelled(kill: bool) -> None:
    """A kill, or the deadline of a stop, cancels the call in hand."""
    trace: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            trace.append("cancelled")

    async with spawned(periodic(work, every=1)) as proc:
        await anyio.sleep(1.5)
        if kill:
            proc.kill()
        assert await proc.shutdown(4) == Killed()
        assert now() == (1.5 if kill else 5.5)
    assert trace == ["cancelled"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_error_is_a_crash(asynchronous: bool) -> None:
    """What the function raises is the crash of the child, as it is."""
    error = Boom("broken")

    def broken() -> None:
        raise error

    async def broken_later() -> None:
        await anyio.sleep(1)
        raise error

    async with spawned(periodic(broken_later if asynchronous else broken, every=1)) as proc:
        reason = await proc.wait()
    assert isinstance(reason, Crashed)
    assert reason.error is error


# -- as part of a spec -----------------------------------------------------------------------------


def sweep() -> None:
    """Be a function with a name."""


def test_factories_are_values() -> None:
    """Two factories with the same options are equal, print as they are written, and can be keys."""
    assert periodic(sweep, every=1) == periodic(sweep, every=1)
    assert periodic(sweep, every=1) != periodic(sweep, every=2)
    assert periodic(sweep, every=1) != periodic(sweep, every=1, immediately=True)
    assert consumer(sweep, print) == consumer(sweep, print)
    assert consumer(sweep, print) != consumer(sweep, print, concurrency=2)
    assert len({periodic(sweep, every=1), consumer(sweep, print), consumer(sweep, print)}) == 2
    for factory, text in (
        (periodic(sweep, every=60), "periodic(sweep, every=60)"),
        (
            periodic(sweep, every=0.5, immediately=True),
            "periodic(sweep, every=0.5, immediately=True)",
        ),
        (consumer(sweep, print), "consumer(sweep, print)"),
        (consumer(sweep, print, concurrency=3), "consumer(sweep, print, concurrency=3)"),
    ):
        assert repr(ChildSpec("x", factory)) == f"ChildSpec('x', {text})"

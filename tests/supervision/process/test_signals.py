"""Tests of signals: what the first and the second do, and what is given back afterwards."""

import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio
import anyio.to_thread
import pytest

from supervision.exit_codes import FORCED
from supervision.process.signals import Signals

# Real signals come from outside of the loop, so the clock must be the real one.
pytestmark = [pytest.mark.real_time, pytest.mark.core]


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that a test leaves the signals as it found them; two at a time are two."""
    monkeypatch.setattr("supervision.process.signals.TOGETHER", 0.0)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def send(number: signal.Signals) -> None:
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops_and_the_second_forces(number: signal.Signals) -> None:
    """One signal cancels `stop`, another one `force`, with their names as the reasons."""
    with Signals() as signals, signals.early():
        assert not signals.stop.cancelled
        send(number)
        await signals.stop.wait()
        assert signals.stop.reason == number.name
        assert not signals.force.cancelled
        assert signals.code == 0
        send(signal.SIGTERM)
        await signals.force.wait()
        assert signals.force.reason == "SIGTERM"
        assert signals.code == FORCED


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
async def test_a_hangup_and_a_quit_stop_in_order(number: signal.Signals) -> None:
    """The terminal that is gone, and Ctrl-backslash, stop the tree like SIGTERM."""
    with Signals() as signals, signals.early():
        send(number)
        await signals.stop.wait()
        assert signals.stop.reason == number.name


async def test_the_same_signal_twice_in_a_moment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C that a wrapper passes on, and a SIGHUP beside another signal, hurry nothing."""
    monkeypatch.setattr("supervision.process.signals.TOGETHER", 9.0)
    for one, other in (
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGHUP),
    ):
        with Signals() as signals, signals.early():
            send(one)
            await signals.stop.wait()
            send(other)
            await anyio.sleep(0.03)
            assert not signals.force.cancelled


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
async def test_who_wants_a_hangup_has_it(number: signal.Signals) -> None:
    """SIGHUP and SIGQUIT belong to whoever handles or ignores them, before or meanwhile."""
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)

    for handler in (hear, signal.SIG_IGN):
        before = signal.signal(number, handler)
        with Signals() as signals, signals.early():
            send(number)
            await anyio.sleep(0.01)
            assert not signals.stop.cancelled
        signal.signal(number, before)
        with Signals() as signals, signals.early():
            mine = signal.signal(number, hear)
            send(number)
            await anyio.sleep(0.01)
            assert not signals.stop.cancelled
            signal.signal(number, mine)
    assert heard == [number] * 3


async def borrow_and_pass_on() -> None:
    """Handle SIGTERM, and raise it again afterwards, as ASGI servers do."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    send(signal.SIGTERM)
    await anyio.sleep(0.02)
    signal.signal(signal.SIGTERM, before)
    signal.raise_signal(signal.SIGTERM)


async def receive() -> None:
    """Hold a receiver of the event loop."""
    with anyio.open_signal_receiver(signal.SIGTERM) as received:
        send(signal.SIGTERM)
        async for _ in received:
            break


async def receive_before() -> None:
    """Have held a receiver of the event loop."""
    with anyio.open_signal_receiver(signal.SIGTERM):
        pass
    send(signal.SIGTERM)


async def take_all() -> None:
    """Set a handler and a wakeup descriptor of one's own."""
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(mouth.fileno())
    handler = signal.signal(signal.SIGTERM, lambda number, frame: None)
    send(signal.SIGTERM)
    await anyio.sleep(0.01)
    assert signal.set_wakeup_fd(before) == mouth.fileno()
    signal.signal(signal.SIGTERM, handler)
    ear.settimeout(5)
    assert ear.recv(1) == bytes([signal.SIGTERM])
    ear.close()
    mouth.close()


async def default() -> None:
    """Ask for the default action, which is to end the process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    send(signal.SIGTERM)


async def ignore() -> None:
    """Ignore the signal."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    send(signal.SIGTERM)


@pytest.mark.parametrize(
    "child", [borrow_and_pass_on, receive, receive_before, take_all, default, ignore]
)
async def test_a_signal_is_heard_whatever_others_do(child: Callable[[], Awaitable[None]]) -> None:
    """Handlers, receivers and descriptors of others keep no signal from its owner; one is one."""
    with Signals() as signals, signals.early():
        await child()
        with anyio.fail_after(5):
            await signals.stop.wait()
        await anyio.sleep(0.03)
        assert not signals.force.cancelled


async def test_a_descriptor_that_cannot_be_is_refused_as_ever() -> None:
    """Inside of the block `set_wakeup_fd` has the errors that it has elsewhere."""
    ear, mouth = socket.socketpair()
    with ear, mouth, Signals() as signals, signals.early():
        with pytest.raises(ValueError, match="must be in non-blocking mode"):
            signal.set_wakeup_fd(mouth.fileno())
        with pytest.raises(ValueError, match="main thread"):
            await anyio.to_thread.run_sync(signal.set_wakeup_fd, -1)


async def test_a_blocked_signal_comes_through() -> None:
    """What was blocked by whoever started the process is heard, and blocked again afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with Signals() as signals, signals.early():
            send(signal.SIGTERM)
            await signals.stop.wait()
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def test_without_early_it_is_the_same() -> None:
    """Also with Python's own handlers alone, each signal counts once."""
    with Signals() as signals:
        send(signal.SIGINT)
        await signals.stop.wait()
        send(signal.SIGINT)
        await signals.force.wait()


async def test_a_signal_that_is_heard_of_twice_counts_once() -> None:
    """The C level and Python's handler report the same signal; it is not a second one."""
    with Signals() as signals, signals.early():
        send(signal.SIGTERM)
        await signals.stop.wait()
        await anyio.sleep(0.05)
        assert not signals.force.cancelled


async def test_other_signals_are_none_of_its_business() -> None:
    """A handler that somebody else has set is called, and stops nothing."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with Signals() as signals, signals.early():
            send(signal.SIGUSR1)
            await anyio.sleep(0.05)
            assert heard == [signal.SIGUSR1]
            assert not signals.stop.cancelled
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_the_grace_bounds_the_stop() -> None:
    """When the grace has passed without a second signal, `force` is cancelled, with code 1."""
    said: list[tuple[str, str]] = []
    with Signals(0.01, lambda level, text: said.append((level, text))) as signals:
        send(signal.SIGTERM)
        await signals.force.wait()
        assert signals.code == 1
    assert said == [
        ("INFO", "told to stop by SIGTERM; killed at a second signal, or after 0.01 s"),
        ("ERROR", "not stopped within 0.01 s: killing what is left"),
    ]


async def test_what_is_done_is_said_before_it_is_done() -> None:
    """The line about a signal is written before anything is stopped or killed."""
    said: list[tuple[str, bool]] = []

    def say(level: str, text: str) -> None:
        said.append((text, signals.stop.cancelled and signals.force.cancelled))

    signals = Signals(30.0, say)
    with signals:
        send(signal.SIGINT)
        await signals.stop.wait()
        send(signal.SIGTERM)
        await signals.force.wait()
    assert said == [
        ("told to stop by SIGINT; killed at a second signal, or after 30 s", False),
        ("told to end by a second signal, SIGTERM: killing what is left", False),
    ]


async def test_a_log_that_is_stuck_keeps_nothing_from_being_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line that cannot be written is given up; the signal is obeyed all the same."""
    monkeypatch.setattr("supervision.telemetry.speaker.SPEECH", 0.01)
    unstuck = threading.Event()
    with Signals(30.0, lambda level, text: void(unstuck.wait(10))) as signals:
        send(signal.SIGTERM)
        await signals.stop.wait()
        unstuck.set()


def void(value: object) -> None:
    """Return nothing."""


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
async def test_the_former_handlers_are_given_back(
    handler: Callable[..., object] | signal.Handlers,
) -> None:
    """After the block the signals mean what they meant before."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Signals():
            assert signal.getsignal(signal.SIGINT) is not handler
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
async def wakeup() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """Give two ends of a pipe for a wakeup descriptor, and the loop its own one back."""
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(-1)
    with ear, mouth:
        yield ear, mouth
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)


async def test_what_the_loop_wants_to_hear_is_passed_on(
    wakeup: tuple[socket.socket, socket.socket],
) -> None:
    """Whoever had the wakeup descriptor gets every signal, and the descriptor back."""
    ear, mouth = wakeup
    signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    with Signals() as signals:
        with signals.early():
            send(signal.SIGTERM)
            await signals.stop.wait()
            ear.settimeout(5)
            assert ear.recv(1) == bytes([signal.SIGTERM])
        assert signal.set_wakeup_fd(mouth.fileno()) == mouth.fileno()


async def test_a_wakeup_descriptor_set_meanwhile_is_left_alone(
    wakeup: tuple[socket.socket, socket.socket],
) -> None:
    """Somebody else who takes the descriptor keeps it, and signals are heard of all the same."""
    _, mouth = wakeup
    with Signals() as signals:
        with signals.early():
            signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
            send(signal.SIGTERM)
            await signals.stop.wait()
        assert signal.set_wakeup_fd(mouth.fileno()) == mouth.fileno()


async def test_outside_of_the_main_thread_nothing_is_caught() -> None:
    """In another thread the block runs without signals, and disturbs nobody's handlers."""

    def block() -> bool:
        before = signal.getsignal(signal.SIGTERM)
        with Signals() as signals, signals.early():
            return signal.getsignal(signal.SIGTERM) is before and not signals.stop.cancelled

    assert await anyio.to_thread.run_sync(block)


async def test_the_thread_ends_with_the_block() -> None:
    """No thread is left but one that is on its last step, whether there was a signal or not."""
    before = set(threading.enumerate())  # with what earlier tests have left to end by itself
    for number in (None, signal.SIGTERM):
        with Signals() as signals:
            if number is not None:
                send(number)
                await signals.stop.wait()
    left = set(threading.enumerate()) - before
    assert "supervision signals" not in {thread.name for thread in left}
    assert len(left) <= 1  # a log line may be on its last step


async def test_after_the_end_a_signal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that leaves goes on to leave; one that caught the SystemExit is not ended."""
    monkeypatch.setattr("supervision.process.signals.PATIENCE", 0.01)
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with Signals(0.02) as signals:
        send(signal.SIGTERM)
        await signals.stop.wait()
        signals.linger(0)
    try:
        raise SystemExit(0)
    except SystemExit:
        send(signal.SIGTERM)
        assert heard == []
    send(signal.SIGTERM)
    await anyio.sleep(0.05)
    assert heard == [signal.SIGTERM]
    assert ended == []
    signal.signal(signal.SIGTERM, before)

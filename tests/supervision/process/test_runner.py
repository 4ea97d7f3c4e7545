"""Tests of `run`, with real processes and real signals: log lines, exit codes, bounded time."""

import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from loguru import logger

from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, run
from tests.kit.shops import STARTED, Shop, each_loop, report, start

__all__ = ["start"]

pytestmark = pytest.mark.real_time

TOLD = "INFO /shop told to stop by {}; killed at a second signal, or after 30 s"


@each_loop
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_tree_in_order(
    start: Callable[..., Shop], loop: str, number: signal.Signals
) -> None:
    """SIGTERM or Ctrl-C stops the tree in reverse order, at once, with exit code 0."""
    shop = start("quiet", loop)
    shop.until(STARTED)
    shop.tell(number)
    assert shop.end() == 0
    assert shop.took < 2
    assert re.fullmatch(rf"INFO /shop starts on {loop}, as process \d+", shop.said[0])
    assert shop.said[1:] == [
        "INFO /shop/a started",
        "INFO /shop/b started",
        "INFO /shop started",
        TOLD.format(number.name),
        "INFO /shop/b stopped",
        "INFO /shop/a stopped",
        "INFO /shop stopped",
        "INFO /shop 2 procs stopped in N s, all well",
        "INFO /shop stopped in N s; exit code 0",
    ]


@each_loop
def test_a_second_signal_kills_what_is_left(start: Callable[..., Shop], loop: str) -> None:
    """A proc that would stop for ever is killed at the second signal, with exit code 130."""
    shop = start("deaf", loop)
    shop.until(STARTED)
    shop.tell(signal.SIGINT)
    shop.until("told to stop by SIGINT")
    shop.tell(signal.SIGTERM)
    assert shop.end() == 130
    assert shop.took < 1.5
    assert (
        "WARNING /shop told to end by a second signal, SIGTERM: killing what is left" in shop.said
    )
    assert shop.said[-1] == "WARNING /shop killed; exit code 130"


@each_loop
def test_the_grace_bounds_the_whole_stop(start: Callable[..., Shop], loop: str) -> None:
    """What has not stopped within the grace is killed, with exit code 1."""
    shop = start("deaf", loop, "--grace", "0.2")
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    assert shop.end() == 1
    assert 0.2 <= shop.took < 2
    assert "ERROR /shop not stopped within 0.2 s: killing what is left" in shop.said
    assert shop.said[-1] == "CRITICAL /shop killed; exit code 1"


@each_loop
@pytest.mark.parametrize("target", ["impatient_blocking", "impatient_in_c"])
def test_a_blocked_loop_is_ended_at_the_second_signal(
    start: Callable[..., Shop], loop: str, target: str
) -> None:
    """Code that blocks the event loop, in Python or in C, is named, and ended, with 130."""
    shop = start(target, loop)
    shop.until("blocks")
    shop.tell(signal.SIGTERM)
    shop.until("told to stop by SIGTERM")
    shop.tell(signal.SIGTERM)
    assert shop.end() == 130
    assert shop.took < 2
    assert re.fullmatch(
        r"CRITICAL /shop still not ended 0.3 s after the kill"
        r" \(MainThread at shop_of_run[.]py:\d+ in (Blocking|InC)[.]run\):"
        r" ending the process, exit code 130",
        shop.said[-1],
    )


@pytest.mark.parametrize("target", ["impatient_thread", "impatient_executor"])
def test_a_thread_that_never_returns_is_ended_too(start: Callable[..., Shop], target: str) -> None:
    """Worker threads for which Python waits at its end do not outlast the grace by much."""
    shop = start(target, "asyncio", "--grace", "0.5")
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    assert shop.end() == 1
    assert 0.5 <= shop.took < 2.5
    assert shop.said[-1].startswith("CRITICAL /shop ")


def test_a_process_that_ends_by_itself_is_bounded_as_well(start: Callable[..., Shop]) -> None:
    """The tree has ended, nobody has sent a signal: a thread that is stuck is named, and ended."""
    shop = start("impatient_by_itself", "asyncio", "--grace", "0.5")
    assert shop.end() == 1
    assert "exit code 0" in shop.said[-3]
    assert "waits for threads that have not ended (stuck)" in shop.said[-2]
    assert "the tree has stopped, but not the process within 0.5 s (stuck)" in shop.said[-1]


@each_loop
def test_a_signal_during_the_start_ends_it(start: Callable[..., Shop], loop: str) -> None:
    """A start that is told to stop is cut short, what had started is stopped; exit code 0."""
    shop = start("slow_start", loop)
    shop.until("starts slowly")
    shop.tell(signal.SIGTERM)
    assert shop.end() == 0
    assert shop.took < 2
    assert "INFO /shop/b stopped while it was starting" in shop.said
    assert "INFO /shop/a stopped" in shop.said
    assert report(shop) == ["INFO /shop 1 proc stopped in N s, all well"]
    assert shop.said[-1] == "INFO /shop stopped in N s; exit code 0"


@each_loop
def test_a_tree_that_gives_up_leaves_with_1(start: Callable[..., Shop], loop: str) -> None:
    """Giving up is told with the last crash and its place, and the exit code is 1."""
    shop = start("crash", loop)
    assert shop.end() == 1
    gave_up = "CRITICAL /shop gave up: more than 3 restarts in 5 s; last crash: ConnectionError:"
    place = r" peer is gone at shop_of_run[.]py:\d+ in Crash[.]run; exit code 1"
    assert re.fullmatch(re.escape(gave_up) + place, shop.said[-1])
    assert "INFO /shop/a stopped" in shop.said


def test_a_tree_that_fails_to_start_leaves_with_1(start: Callable[..., Shop]) -> None:
    """A failed start is told with its cause and place, and the exit code is 1."""
    shop = start("bad_start")
    assert shop.end() == 1
    reason = "CRITICAL /shop did not start: b failed to start: OSError: no such device at "
    assert shop.said[-1].startswith(reason + "shop_of_run.py:")
    assert shop.said[-1].endswith(" in BadStart.on_start; exit code 1")


@each_loop
def test_sys_exit_in_a_handler_stops_the_tree(start: Callable[..., Shop], loop: str) -> None:
    """The code given to sys.exit in a handler is the exit code, after an orderly stop."""
    shop = start("leave", loop)
    assert shop.end() == 7
    assert "INFO /shop/a stopped" in shop.said
    assert not any("/shop/b started again" in line for line in shop.said)
    assert re.fullmatch(
        r"WARNING /shop told to exit from within by SystemExit: 7"
        r" at shop_of_run[.]py:\d+ in Exit[.]leave; exit code 7",
        shop.said[-1],
    )


def test_a_forked_process_keeps_its_signals_to_itself(start: Callable[..., Shop]) -> None:
    """A signal ends the forked worker that it is sent to, not the tree that forked it."""
    shop = start("fork")
    shop.until("child ended by SIGTERM")
    shop.tell(signal.SIGINT)
    assert shop.end() == 0
    assert TOLD.format("SIGINT") in shop.said


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_other_signal_handlers_of_the_loop_work_beside_it(
    start: Callable[..., Shop], loop: str
) -> None:
    """A handler that the tree adds for another signal works, and SIGTERM as before."""
    shop = start("own_signal", loop)
    shop.until("listens")
    shop.tell(signal.SIGUSR1)
    shop.until("mine")
    shop.tell(signal.SIGTERM)
    assert shop.end() == 0


# -- within this process --------------------------------------------------------------------------


async def _brief(shutdown: CancellationToken) -> None:
    """Be done at once."""


JOB = SupervisorSpec(
    "job",
    [ChildSpec("once", task(_brief), restart="transient", significant=True)],
    auto_shutdown="any_significant",
)


@each_loop
def test_run_leaves_by_system_exit(loop: str) -> None:
    """A program that calls `run` leaves with its code; the signals are given back."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        run(JOB, backend=loop, log=False)  # type: ignore[arg-type]
    assert caught.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before


@each_loop
def test_run_in_a_thread_runs_without_signals(loop: str) -> None:
    """In a thread `run` touches no signals and ends with the tree."""
    codes: list[object] = []

    def in_thread() -> None:
        with pytest.raises(SystemExit) as caught:
            run(JOB, backend=loop, log=False)  # type: ignore[arg-type]
        codes.append(caught.value.code)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join(10)
    assert codes == [0]


def test_what_cannot_be_run_is_refused() -> None:
    """A backend that does not exist, a grace that is no time, and a worker are errors."""
    with pytest.raises(ValueError, match="backend is 'asyncio', 'trio' or 'uvloop', not 'curio'"):
        run(JOB, backend="curio")  # type: ignore[arg-type]
    for grace in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"grace is a number of seconds >= 0, not {grace}"):
            run(JOB, grace=grace)
    with pytest.raises(TypeError, match="a tree is a SupervisorSpec, not"):
        run(ChildSpec("a", task(_brief)))


@each_loop
def test_observers_of_run_hear_everything(loop: str) -> None:
    """Event handlers given to `run` hear of the first start and of the last end."""
    heard: list[str] = []
    with pytest.raises(SystemExit):
        run(
            JOB, backend=loop, log=False, observe=[lambda event: heard.append(type(event).__name__)]
        )  # type: ignore[arg-type]
    assert (heard[0], heard[-1]) == ("ProcStarted", "ProcEnded")


def test_without_a_log_the_last_line_has_the_exception() -> None:
    """The exception of a tree that fails is on a record in any case, and once."""
    records: list[Any] = []

    async def fail(shutdown: CancellationToken) -> None:
        raise KeyError("x")

    sink = logger.add(lambda message: records.append(message.record))  # type: ignore[attr-defined]
    try:
        for log in (False, True):
            with pytest.raises(SystemExit):
                run(SupervisorSpec("t", [ChildSpec("f", task(fail))], max_restarts=0), log=log)
            errors = [record["exception"] for record in records if record["exception"]]
            assert [error.type for error in errors] == [KeyError]
            assert errors[0].traceback is not None
            records.clear()
    finally:
        logger.remove(sink)

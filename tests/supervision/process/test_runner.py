"""Tests of `run`, with real processes and real signals: log lines, exit codes, bounded time."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, run

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.real_time
each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio", "uvloop"])

TREES = """
import asyncio, os, signal, sqlite3, sys, threading, time
import anyio, anyio.to_thread
import supervision.process.signals
from actors import Actor, Proc, on, task
from supervision import *

class Base(Proc[object]):
    async def run(self, shutdown):
        await shutdown.wait()

class Blocking(Base):
    async def run(self, shutdown):
        print("blocks", flush=True)
        time.sleep(60)

class InC(Base):
    async def run(self, shutdown):
        print("blocks", flush=True)
        sqlite3.connect(":memory:").execute(
            "with recursive t(n) as (select 1 union all select n + 1 from t)"
            " select count(*) from t where n < 0"
        ).fetchone()

class Deaf(Base):
    async def run(self, shutdown):
        while True:
            try:
                await anyio.sleep_forever()
            finally:
                print("will not go", flush=True)

class BadStop(Base):
    async def on_stop(self, reason):
        raise OSError("disk full")

class SlowStart(Base):
    async def on_start(self):
        print("starts slowly", flush=True)
        await anyio.sleep(60)

class BadStart(Base):
    async def on_start(self):
        raise OSError("no such device")

class Crash(Base):
    async def run(self, shutdown):
        await anyio.sleep(0.05)
        raise ConnectionError("peer is gone")

class Undead(Base):
    async def run(self, shutdown):
        while True:
            try:
                await anyio.sleep(0.01)
            except BaseException:
                pass

class Exit(Actor[str]):
    async def on_start(self):
        self.context.ref.tell("now")
    @on(str)
    def leave(self, message: str) -> None:
        sys.exit(7)

class Thread(Base):
    async def run(self, shutdown):
        print("in a thread", flush=True)
        await anyio.to_thread.run_sync(time.sleep, 60, abandon_on_cancel=True)

class Executor(Base):
    async def run(self, shutdown):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
        await shutdown.wait()

class Leave(Base):
    async def run(self, shutdown):
        threading.Thread(target=time.sleep, args=(60,), name="stuck").start()

class Fork(Base):
    async def run(self, shutdown):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        print("child ended by", signal.Signals(os.WTERMSIG(status)).name, flush=True)
        await shutdown.wait()

class OwnSignal(Base):
    async def run(self, shutdown):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: print("mine", flush=True))
        print("listens", flush=True)
        await shutdown.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

def shop(kind, **options):
    return SupervisorSpec("shop", [ChildSpec("a", Base), ChildSpec("b", kind, **options)])

quiet = shop(Base)
blocking = shop(Blocking)
in_c = shop(InC)
deaf = shop(Deaf, shutdown=INFINITY)
slow_start = shop(SlowStart)
crash = shop(Crash)
leave = shop(Exit)
bad_start = shop(BadStart)
thread = shop(Thread, shutdown=0.1)
executor = shop(Executor)
fork = shop(Fork)
by_itself = SupervisorSpec(
    "shop", [ChildSpec("b", Leave, restart="transient", significant=True)],
    auto_shutdown="any_significant",
)
own_signal = shop(OwnSignal)
late = shop(Deaf, shutdown=0.1)
bad_stop = shop(BadStop)

def shops(*kinds, **options):
    children = [ChildSpec("abc"[n], kind, **options) for n, kind in enumerate(kinds)]
    return SupervisorSpec("shop", children, max_restarts=0)

deaf_and_bad = shops(Base, Deaf, BadStop, shutdown=INFINITY)
undead = SupervisorSpec("shop", [
    ChildSpec("a", Base),
    SupervisorSpec("in", [ChildSpec("b", Undead, shutdown=0.1), ChildSpec("c", BadStop)]),
])
gives_up = shops(BadStop, Crash)
bad_both = shops(BadStop, BadStart)

def impatient(tree):
    def make():
        supervision.process.signals.PATIENCE = 0.3
        supervision.process.signals.TOGETHER = 0.0
        return tree
    return make
impatient_blocking = impatient(blocking)
impatient_by_itself = impatient(by_itself)
impatient_in_c = impatient(in_c)
impatient_thread = impatient(thread)
impatient_executor = impatient(executor)
impatient_undead = impatient(undead)
"""


class Shop:
    """A real process that runs a tree; what it writes can be waited for."""

    def __init__(self, folder: Path, target: str, loop: str, *options: str) -> None:
        command = ["run", f"shop_of_run.py:{target}", "--backend", loop, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervision", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.lines: list[str] = []
        self.told_at = 0.0

    def until(self, text: str) -> None:
        """Wait until a line says so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return
        pytest.fail(f"{text!r} was never said:\n" + "\n".join(self.lines))

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.told_at = time.monotonic()
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        rest, _ = self.process.communicate(timeout=20)
        self.took = time.monotonic() - self.told_at
        self.lines += rest.splitlines()
        assert "Traceback" not in "\n".join(self.lines)
        return self.process.returncode

    @property
    def said(self) -> list[str]:
        """Return the log lines, without time and process."""
        texts = (re.sub(r"^[-0-9]+ [:.0-9]+ [|] (\w+) +[|] ", r"\1 ", line) for line in self.lines)
        return [re.sub(r"(stopped in) [0-9.]+ s([;,])", r"\1 N s\2", text) for text in texts]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Start processes; whatever a test leaves running is killed."""
    (tmp_path / "shop_of_run.py").write_text(TREES)
    shops: list[Shop] = []

    def start_one(target: str, loop: str = "asyncio", *options: str) -> Shop:
        shop = Shop(tmp_path, target, loop, *options)
        shops.append(shop)
        return shop

    yield start_one
    for shop in shops:
        shop.process.kill()
        shop.process.communicate()


def report(shop: Shop) -> list[str]:
    """Return the lines of the report, from its summary to the last but one line of the log."""
    (first,) = (
        number
        for number, line in enumerate(shop.said)
        if re.search(r" /shop \d+ procs? stopped in ", line)
    )
    return [re.sub(r"[.]py:\d+", ".py:N", line) for line in shop.said[first:-1]]


STARTED = "/shop started"
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

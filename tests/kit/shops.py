"""Real processes that run a tree of each kind, whose log lines can be waited for.

    def test_it(start: Callable[..., Shop]) -> None:
        shop = start("quiet")
        shop.until(STARTED)
        shop.tell(signal.SIGTERM)
        assert shop.end() == 0

A module imports the fixture `start` to have it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTED = "/shop started"
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

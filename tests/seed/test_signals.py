"""SIGTERM and Ctrl-C are handled at the root only; a second signal forces the end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from actors import Proc, task
from supervision import ChildSpec, SupervisorSpec, run

class Service(Proc[object]):
    def __init__(self, id):
        self.id = id

    async def on_start(self):
        if self.id == "last":
            print("ready", flush=True)

    async def run(self, shutdown):
        await shutdown.wait()
        print(self.id, "told", flush=True)

    async def on_stop(self, reason):
        print(self.id, "stopped", flush=True)

specs = [ChildSpec(id, lambda id=id: Service(id), shutdown=50) for id in ("first", "last")]
run(SupervisorSpec("shop", specs), backend=sys.argv[1], log=False)
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the program in a process of its own; it is ready when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_tree_in_reverse_order(backend: str, number: signal.Signals) -> None:
    """The first signal stops the tree in order, and the process ends well."""
    process = start(backend)
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert output.split("\n")[:-1] == ["last told", "last stopped", "first told", "first stopped"]
    assert process.returncode == 0


async def test_an_embedded_tree_touches_no_signals() -> None:
    """`serve` leaves signals to the program that it is embedded in."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def work(shutdown: CancellationToken) -> None:
        await shutdown.wait()

    async with serve(SupervisorSpec("shop", [ChildSpec("w", task(work))])):
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert during == before

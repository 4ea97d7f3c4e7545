"""A whole process: `run` owns the signals, writes log lines and leaves with an exit code.

SIGTERM and Ctrl-C stop the tree in reverse order; a second one kills what is left. This program
sends the signal to itself. Its own output is on stdout; the log lines go to stderr. Give it a
backend: `python 12_signals_and_run.py trio`.
"""

import signal
import sys

import anyio

from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, run


async def database(shutdown: CancellationToken) -> None:
    """Run until told to stop. Any coroutine function is a proc."""
    await shutdown.wait()
    print("database: closed")


async def worker(shutdown: CancellationToken) -> None:
    """Finish the job in hand, then obey."""
    jobs = 0
    while not shutdown.cancelled:
        await anyio.sleep(0.01)
        jobs += 1
        if jobs == 3:
            print("worker: three jobs done, here comes SIGTERM")
            signal.raise_signal(signal.SIGTERM)
            await shutdown.wait()
    print(f"worker: stopped because of {shutdown.reason}")


TREE = SupervisorSpec(
    "app", [ChildSpec("database", task(database)), ChildSpec("worker", task(worker))]
)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["trio"]:
            run(TREE, backend="trio")
        case _:
            run(TREE)

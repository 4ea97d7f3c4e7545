"""What is no coroutine as a child: a function that blocks, and a program of the operating system.

`blocking` runs its function in a thread and gives it a token to wait on. `subprocess` runs a
program: its exit is the child's exit, its output are events (and log lines), and a stop is SIGTERM,
or SIGKILL when its time is over. Both stop in order with their siblings.
"""

import sys

import anyio

from actors import Event
from supervision import INFINITY, ChildSpec, SupervisorSpec, blocking, serve, subprocess
from supervision.adapters import BlockingToken
from supervision.events import ProcessOutput

SERVER = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("listening on port 8080", flush=True)
signal.sigwait([signal.SIGTERM])
print("last words")
"""


def poll(shutdown: BlockingToken) -> None:
    """Look for work now and then, in a thread: `wait` sleeps, and wakes at once when told to."""
    while not shutdown.wait(timeout=60):
        print("poller: looks")
    print("poller: ends, told by", shutdown.reason)


def is_listening(line: str) -> bool:
    """Tell from a line of its output that the server is ready."""
    return line.startswith("listening")


# With shutdown=INFINITY they get all the time they want; the default is 5 seconds.
TREE = SupervisorSpec(
    "site",
    [
        ChildSpec(
            "server",
            subprocess([sys.executable, "-c", SERVER], ready=is_listening),
            shutdown=INFINITY,
        ),
        ChildSpec("poller", blocking(poll), shutdown=INFINITY),
    ],
)


def show(event: Event) -> None:
    """Print what programs say; `LogLines`, or `run`, would log it."""
    if isinstance(event, ProcessOutput):
        print(f"{event.ref.path} says: {event.line}")


async def main() -> None:
    """Start all, and stop all in reverse order."""
    async with serve(TREE, observe=[show]):
        print("-- all ready")
    print("-- all stopped")


if __name__ == "__main__":
    anyio.run(main)

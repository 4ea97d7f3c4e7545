"""How the stop went: who was late, who was killed, what was raised.

`Application.stop` stops the tree in order, at once, and returns a `StopReport`; after the block of
`serve` it is there as `app.report`, whoever began the stop. `run` writes it to the log.
"""

import anyio

from actors import CancellationToken, ExitReason, Proc, task
from supervision import ChildSpec, StopReport, SupervisorSpec, serve


async def web(shutdown: CancellationToken) -> None:
    """Obey at once."""
    await shutdown.wait()


async def crawler(shutdown: CancellationToken) -> None:
    """Never look at the token: whoever does that is killed at its deadline."""
    await anyio.sleep_forever()


class Database(Proc[object]):
    """Fail while closing."""

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait until told to stop."""
        await shutdown.wait()

    async def on_stop(self, reason: ExitReason) -> None:
        """Find the disk full."""
        raise OSError("disk full")


TREE = SupervisorSpec(
    "shop",
    [
        ChildSpec("database", Database),
        SupervisorSpec("crawlers", [ChildSpec("news", task(crawler), shutdown=0.02)]),
        ChildSpec("web", task(web)),
    ],
)


def show(report: StopReport) -> None:
    """Print one line for each proc, in the order of their ends."""
    for proc in report.stopped:
        notes = [
            "in time" if proc.in_time else f"late, killed after {proc.timeout} s",
            *(f"raised {error!r}" for error in proc.errors),
        ]
        print(f"{proc.path}: {proc.reason}; {', '.join(notes)}")
    print("all well:", report.went_well)


async def main() -> None:
    """Stop a tree in which two things go wrong."""
    async with serve(TREE) as app:
        print("before:", app.report)
        report = await app.stop()
        show(report)
        print("the same again:", await app.stop() is report)
    print("after the block:", app.report is report)


if __name__ == "__main__":
    anyio.run(main)

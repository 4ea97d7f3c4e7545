"""Tests of log lines about what comes from outside, and of what is much: bounds and counts."""

from contextlib import suppress
from pathlib import Path
from typing import Never

import anyio

from actors import Actor, ActorSystem, CancellationToken, Child, Shutdown, on, task
from actors.testing import settle
from supervision import (
    ChildSpec,
    DynamicSupervisorSpec,
    StartChild,
    TreeExited,
    serve,
)
from supervision.events import LogLines
from tests.supervision.telemetry.test_logs import Lines, Quiet, tree, waiting

HERE = str(Path(__file__)).removeprefix(f"{Path.cwd()}/")


async def test_a_line_is_one_line_whatever_is_in_it() -> None:
    """Control characters of errors, ids and reasons are escaped, and long texts are cut."""
    lines = Lines()
    evil = "room\n2030 | CRITICAL | bank gave up"

    async def crash(shutdown: CancellationToken) -> None:
        raise ValueError("\x1b[2J" + "x" * 3_000_000)

    class Leaves(Quiet):
        async def on_start(self) -> None:
            self.context.stop(Shutdown("\x07" + "y" * 3000))

    with suppress(TreeExited):
        leaves = ChildSpec("leaves", Leaves, restart="temporary")
        spec = tree(waiting(evil), leaves, ChildSpec("c", task(crash)), restarts=0)
        async with serve(spec, observe=[LogLines(lines.write)]):
            await anyio.sleep(1)
    assert lines[0] == r"INFO /shop/room\n2030 | CRITICAL | bank gave up started"
    assert all(line.isprintable() and len(line) < 3000 for line in lines)
    (crashed,) = (line for line in lines if "/c crashed" in line)
    assert r"ValueError: \x1b[2Jxxx" in crashed
    assert f"x... ({3_000_004 - 1000} more characters) at {HERE}" in crashed
    assert any(r"stopped (\x07yyy" in line for line in lines)


class Owner(Actor[str]):
    """Start children of its own, without a word about what becomes of them."""

    def __init__(self) -> None:
        self.child: Child[Never] | None = None

    @on(str)
    async def go(self, message: str) -> None:
        if self.child is None:
            self.child = self.context.child(message)
        await self.child.start(task(_return))
        await self.child.ref.wait()
        if message == "last":
            self.child.release("done")
            self.child = None

    def on_exit(self, exited: object) -> None:
        """Hear of the ends, and do nothing."""


async def _return(shutdown: CancellationToken) -> None:
    """Be done at once."""


async def test_an_owner_that_says_nothing_leaves_no_gap() -> None:
    """The end of an owned child is told at its restart or release, and nothing is kept of it."""
    lines = Lines()
    log = LogLines(lines.write)
    async with ActorSystem() as system:
        system.events.subscribe(log)
        owner = await system.spawn(Owner, id="o")
        for message in ("a", "last"):
            owner.tell(message)
        await settle()
        assert lines.about("/o/a") == [
            "INFO /o/a started",
            "INFO /o/a ended (normal)",
            "INFO /o/a started again (start 2)",
            "INFO /o/a ended (normal)",
        ]
        assert log._ended == {}  # pyright: ignore[reportPrivateUsage]


async def test_children_that_end_at_once_and_often_are_counted() -> None:
    """A rush of starts and orderly ends below one owner is summarized; crashes are told."""
    lines = Lines()
    spec = DynamicSupervisorSpec("jobs", max_restarts=0)
    async with serve(spec, observe=[LogLines(lines.write)]) as app:
        for number in range(120):
            child = ChildSpec(f"j{number}", task(_return), restart="temporary")
            await app.supervisor.ask(StartChild(child))
            await settle()
        await app.supervisor.ask(StartChild(ChildSpec("q", Quiet, restart="temporary")))
        app.find("q").kill()
        await anyio.sleep(2)
        after = ChildSpec("after", task(_return), restart="temporary")
        await app.supervisor.ask(StartChild(after))
        await settle()
    counted = "children have ended in order, one after the other; single ones are not told"
    assert lines.about("/jobs")[1] == f"INFO /jobs 100 {counted}"
    assert len([line for line in lines if "ended (normal)" in line]) == 11
    assert lines.about("/jobs/q") == ["WARNING /jobs/q killed; 0 restarts so far; not restarted"]
    assert lines.about("/jobs/after")[0] == "INFO /jobs/after started"


async def test_a_permanent_child_that_returns_gets_a_hint_once() -> None:
    """The first orderly end of a child that is always started again says which word is meant."""
    lines = Lines()
    with suppress(TreeExited):
        async with serve(tree(ChildSpec("job", task(_return))), observe=[LogLines(lines.write)]):
            await anyio.sleep(1)
    (hint,) = (line for line in lines if "transient" in line)
    assert hint.startswith("INFO /shop/job it is permanent, so it is started again")


async def test_a_handler_that_fails_has_a_line() -> None:
    """An observer that raises is told of at once, with its error and place, and once."""
    lines = Lines()

    def broken(event: object) -> None:
        raise KeyError("observer")

    async with serve(tree(waiting("a")), observe=[LogLines(lines.write), broken]):
        (told,) = (line for line in lines if line.startswith("ERROR"))
        assert told.startswith("ERROR / an event handler failed, the tree goes on")
        assert f"KeyError: 'observer' at {HERE}:N in " in told
    assert len([line for line in lines if line.startswith("ERROR")]) == 1

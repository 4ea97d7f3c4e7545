"""Tests of the log lines: a person is to understand them at night."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from attrs import frozen

from actors import Actor, ActorSystem, CancellationToken, Proc, Ref, Request, on, task
from supervision import (
    Application,
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildStartFailed,
    RestartChild,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
    serve,
)
from supervision.events import LogLines

HERE = str(Path(__file__)).removeprefix(f"{Path.cwd()}/")


class Lines(list[str]):
    """Keep log lines, without the numbers of lines in this file."""

    def write(self, level: str, path: str, text: str) -> None:
        assert "\n" not in text
        self.append(f"{level} {path} {re.sub(r'[.]py:[0-9]+', '.py:N', text)}")

    def about(self, path: str) -> list[str]:
        return [line for line in self if line.split()[1] == path]

    def take(self) -> list[str]:
        taken = list(self)
        self.clear()
        return taken


@frozen
class Store:
    """A message that crashes its receiver when its row is negative."""

    row: int


@frozen
class Load(Request[int]):
    """A request that crashes its receiver."""


def check(row: int) -> None:
    """Crash below the handler."""
    if row < 0:
        raise ValueError(f"row {row}\nis {{broken}}")


class Database(Actor[Store | Load]):
    """Crash on demand."""

    @on(Store)
    def store(self, message: Store) -> None:
        check(message.row)

    @on(Load)
    async def load(self, message: Load) -> int:
        await anyio.sleep(100)
        return 0


class Quiet(Proc[object]):
    """Wait until told to stop."""

    async def run(self, shutdown: CancellationToken) -> None:
        await shutdown.wait()


def waiting(id: str, **options: object) -> ChildSpec[object]:
    """Make the spec of a proc that does nothing."""
    return ChildSpec(id, Quiet, **options)  # type: ignore[arg-type]


def tree(*children: ChildSpec[object], restarts: int = 3, **options: object) -> SupervisorSpec:
    """Make a tree."""
    return SupervisorSpec("shop", children, max_restarts=restarts, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def logging(
    *children: ChildSpec[object], **options: object
) -> AsyncGenerator[tuple[Application, Lines]]:
    """Serve a tree and write down what the log says of it, from the first start on."""
    lines = Lines()
    async with serve(tree(*children, **options), observe=[LogLines(lines.write)]) as app:  # type: ignore[arg-type]
        yield app, lines


async def _stay(ref: Ref[Store | Load], row: int) -> None:
    ref.tell(Store(row))
    await anyio.sleep(1.0)


async def test_each_start_and_stop_is_one_line_with_its_path() -> None:
    """Starts and stops are told in their order, a line each, the path first."""
    inner = SupervisorSpec("workers", [waiting("w1")])
    async with logging(waiting("db"), inner) as (_, lines):
        assert lines.take() == [
            "INFO /shop/db started",
            "INFO /shop/workers/w1 started",
            "INFO /shop/workers started",
            "INFO /shop started",
        ]
    assert lines == [
        "INFO /shop/workers/w1 stopped",
        "INFO /shop/workers stopped",
        "INFO /shop/db stopped",
        "INFO /shop stopped",
    ]


@pytest.mark.dead_letters
async def test_a_crash_is_one_line_that_says_it_all() -> None:
    """A crash tells message type, error, place, restarts so far and what comes next, in a line."""
    async with logging(ChildSpec("db", Database)) as (app, lines):
        lines.clear()
        for _ in range(2):
            await _stay(app.find("db"), -1)
    crash = (
        "ERROR /shop/db crashed while handling Store: ValueError: row -1 is {broken}"
        f" at {HERE}:N in check, from {HERE}:N in Database.store"
    )
    assert lines.take()[:4] == [
        f"{crash}; 0 restarts so far; restarting it now",
        "INFO /shop/db started again (start 2)",
        f"{crash}; 1 restart so far; restarting it now",
        "INFO /shop/db started again (start 3)",
    ]


@pytest.mark.dead_letters
@pytest.mark.parametrize(
    ("own", "restarts", "why"),
    [(None, 0, "more than 0 restarts"), (0, 9, "child db needed more than 0 restarts")],
)
async def test_a_supervisor_that_gives_up_says_why(
    own: int | None, restarts: int, why: str
) -> None:
    """The last crash says that no restarts are left, the supervisor how many, and for whom."""
    spec = ChildSpec("db", Database, max_restarts=own)
    with pytest.raises(TreeExited):  # noqa: PT012
        async with logging(waiting("a"), spec, restarts=restarts) as (app, lines):
            lines.clear()
            await _stay(app.find("db"), -1)
    crash, gave_up, *rest = lines
    assert crash.endswith("; 0 restarts so far; no restarts are left, its supervisor gives up")
    last = "last crash: ValueError: row -1 is {broken}"
    assert gave_up.startswith(f"CRITICAL /shop gave up: {why} in 5 s; {last}")
    assert rest == ["INFO /shop/a stopped", "INFO /shop stopped, having given up"]


@pytest.mark.dead_letters
async def test_giving_up_below_the_root_is_an_error_that_is_restarted() -> None:
    """A nested supervisor that gives up is an error, not yet the end, and is started again."""
    inner = SupervisorSpec("inner", [ChildSpec("db", Database)], max_restarts=0)
    async with logging(inner) as (app, lines):
        lines.clear()
        await _stay(app.find("inner/db"), -1)
    assert [line.split(" at ")[0] for line in lines.take()[1:5]] == [
        "ERROR /shop/inner gave up: more than 0 restarts in 5 s;"
        " last crash: ValueError: row -1 is {broken}",
        "INFO /shop/inner stopped, having given up; 0 restarts so far; restarting it now",
        "INFO /shop/inner/db started",
        "INFO /shop/inner started again (start 2)",
    ]


@pytest.mark.parametrize(
    ("restart", "ending"),
    [
        ("permanent", "ended (normal); 0 restarts so far; restarting it now"),
        ("transient", "ended (normal); not restarted"),
        ("temporary", "ended (normal); not restarted"),
    ],
)
async def test_an_end_without_error_is_no_alarm(restart: str, ending: str) -> None:
    """A proc that returns is told at INFO, with what its supervisor makes of it."""
    lines = Lines()
    done = anyio.Event()

    async def brief(shutdown: CancellationToken) -> None:
        await done.wait()
        if lines.about("/shop/job")[1:]:
            await shutdown.wait()

    spec = ChildSpec("job", task(brief), restart=restart)  # type: ignore[arg-type]
    async with serve(tree(spec), observe=[LogLines(lines.write)]):
        done.set()
        await anyio.sleep(1)
        assert lines.about("/shop/job")[1] == f"INFO /shop/job {ending}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.002, "in 2 ms"), (0.25, "in 250 ms"), (2.5, "in 2.5 s")]
)
async def test_a_backoff_says_how_long(seconds: float, text: str) -> None:
    """A restart that waits says for how long, in a unit that can be read."""
    lines = Lines()

    async def crash(shutdown: CancellationToken) -> None:
        if len(lines.about("/shop/job")) > 1:
            await shutdown.wait()
            return
        raise KeyError("x")

    backoff = Backoff(seconds, seconds, jitter=False)
    spec = ChildSpec("job", task(crash), backoff=backoff)
    async with serve(tree(spec), observe=[LogLines(lines.write)]):
        await anyio.sleep(10)
    assert lines.about("/shop/job")[1].endswith(f"; 0 restarts so far; restarting it {text}")


class Flaky(Proc[object]):
    """Crash the first time, do not start the second time, and be well after that."""

    async def on_start(self) -> None:
        if self.context.incarnation == 2:
            raise ConnectionError("port is closed")

    async def run(self, shutdown: CancellationToken) -> None:
        if self.context.incarnation == 1:
            raise KeyError("first")
        await shutdown.wait()


async def test_a_restart_that_fails_says_why_and_what_next() -> None:
    """A failed restart is told with its reason, and that it is tried again."""
    spec = ChildSpec("job", Flaky)
    async with logging(spec) as (_, lines):
        await anyio.sleep(1)
        assert lines.about("/shop/job")[2:] == [
            f"ERROR /shop/job did not start: ConnectionError: port is closed"
            f" at {HERE}:N in Flaky.on_start",
            "WARNING /shop/job could not be restarted; trying again now",
            "INFO /shop/job started again (start 3)",
        ]


class Stubborn(Proc[object]):
    """Do not hear the token; raise in on_stop when it is said to."""

    async def run(self, shutdown: CancellationToken) -> None:
        await anyio.sleep_forever()


class BadStop(Quiet):
    """Raise while stopping."""

    async def on_stop(self, reason: object) -> None:
        raise OSError("disk full")


@pytest.mark.parametrize(
    ("shutdown", "late"), [(2.5, " after 2.5 s: did not stop in time"), ("brutal_kill", "")]
)
async def test_a_child_that_is_killed_is_a_warning(shutdown: object, late: str) -> None:
    """A child that was killed at its deadline is told with its time, unless it was to be killed."""
    async with logging(ChildSpec("deaf", Stubborn, shutdown=shutdown)) as (_, lines):  # type: ignore[arg-type]
        pass
    assert lines.about("/shop/deaf")[-1] == f"WARNING /shop/deaf killed{late}"


async def test_an_error_while_stopping_is_told_once() -> None:
    """An error in on_stop has one line with its place; the stop that follows refers to it."""
    spec = ChildSpec("db", BadStop)
    async with logging(spec) as (_, lines):
        lines.clear()
    assert lines == [
        f"ERROR /shop/db raised while stopping: OSError: disk full at {HERE}:N in BadStop.on_stop",
        "WARNING /shop/db stopped, with that error",
        "INFO /shop stopped",
    ]


async def test_a_failed_start_is_told_from_the_inside_out() -> None:
    """The child that failed gives the reason; each supervisor above it names that child."""

    class BadStart(Quiet):
        async def on_start(self) -> None:
            raise OSError("no such device")

    lines = Lines()
    inner = SupervisorSpec("inner", [waiting("b"), ChildSpec("bad", BadStart)])
    with pytest.raises(ChildStartFailed):
        async with serve(tree(waiting("a"), inner), observe=[LogLines(lines.write)]):
            pytest.fail("entered")
    assert lines == [
        "INFO /shop/a started",
        "INFO /shop/inner/b started",
        "ERROR /shop/inner/bad did not start: OSError: no such device"
        f" at {HERE}:N in BadStart.on_start",
        "INFO /shop/inner/b stopped",
        "ERROR /shop/inner did not start, because its child bad did not",
        "INFO /shop/a stopped",
        "ERROR /shop did not start, because its child inner/bad did not",
    ]


async def test_a_start_that_is_cut_short_is_no_error() -> None:
    """Who is told to stop while starting says so at INFO, and who had started is not forgotten."""
    lines = Lines()

    class Slow(Quiet):
        async def on_start(self) -> None:
            await anyio.sleep(100)

    with anyio.move_on_after(1):
        async with serve(
            tree(waiting("a"), ChildSpec("slow", Slow)), observe=[LogLines(lines.write)]
        ):
            pytest.fail("entered")
    assert lines == [
        "INFO /shop/a started",
        "INFO /shop/slow stopped while it was starting",
        "INFO /shop/a stopped",
        "INFO /shop stopped while it was starting",
    ]


async def test_a_kill_tells_of_everything_below() -> None:
    """When a supervisor is killed, each of its children has its line, though none decided on it."""
    inner = SupervisorSpec("inner", [waiting("b")])
    with pytest.raises(TreeExited):  # noqa: PT012
        async with logging(waiting("a"), inner) as (app, lines):
            lines.clear()
            app.supervisor.kill()
            await anyio.sleep_forever()
    assert sorted(lines) == [
        f"WARNING /shop{path} killed" for path in ("", "/a", "/inner", "/inner/b")
    ]


@pytest.mark.dead_letters
async def test_a_kill_names_the_message_in_hand() -> None:
    """A proc that is killed while it handles a message says which type it was."""
    async with logging(ChildSpec("db", Database)) as (app, lines):
        ref: Ref[Load] = app.find("db")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ask, ref)
            await anyio.sleep(1)
            await app.supervisor.ask(TerminateChild("db"), timeout=None)
    assert "WARNING /shop/db killed while handling Load after 5.0 s: did not stop in time" in lines


async def _ask(ref: Ref[Load]) -> None:
    with suppress(Exception):
        await ref.ask(Load(), timeout=None)


async def test_an_automatic_shutdown_names_its_cause() -> None:
    """A supervisor that shuts down by itself names the significant child."""

    async def brief(shutdown: CancellationToken) -> None:
        pass

    spec = ChildSpec("job", task(brief), restart="transient", significant=True)
    ending = AutoShutdown.ANY_SIGNIFICANT
    async with logging(spec, auto_shutdown=ending) as (app, lines):
        await app.wait()
    assert "INFO /shop shuts down, as significant child job has ended" in lines


async def test_procs_without_a_supervisor_have_their_lines_too() -> None:
    """Children that a proc spawned, and procs of the system itself, are told of as well."""
    lines = Lines()

    class Parent(Quiet):
        async def on_start(self) -> None:
            await self.context.spawn(Quiet, id="child")

    monitored = anyio.Event()

    async def crash(shutdown: CancellationToken) -> None:
        await monitored.wait()
        raise KeyError("x")

    async with ActorSystem() as system:
        system.events.subscribe(LogLines(lines.write))
        await system.spawn(Parent, id="parent")
        loner = await system.spawn(task(crash), id="loner")
        system.monitor(loner, lambda down: None)
        monitored.set()
        await loner.wait()
    assert lines == [
        "INFO /parent/child started",
        "INFO /parent started",
        "INFO /loner started",
        f"ERROR /loner crashed: KeyError: 'x' at {HERE}:N in crash",
        "INFO /parent/child stopped",
        "INFO /parent stopped",
    ]


@pytest.mark.dead_letters
async def test_dead_letters_are_counted_rather_than_repeated() -> None:
    """Of the same kind of dead letters the 1st, 10th and 100th have a line."""
    lines = Lines()
    async with ActorSystem() as system:
        system.events.subscribe(LogLines(lines.write))
        proc = await system.spawn(Database, id="db")
        await proc.shutdown()
        lines.clear()
        for _ in range(150):
            proc.tell(Store(1))
    assert lines == [
        "WARNING /db dead letter Store: shutdown",
        "WARNING /db dead letter Store: shutdown (10 so far)",
        "WARNING /db dead letter Store: shutdown (100 so far)",
    ]


@pytest.mark.dead_letters
async def test_the_memory_of_dead_letters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old kinds of dead letters are forgotten, so that a log does not grow in memory."""
    monkeypatch.setattr("supervision.telemetry.logs.MOST_DEAD_LETTERS", 3)
    lines = Lines()
    subscriber = LogLines(lines.write)
    async with ActorSystem() as system:
        system.events.subscribe(subscriber)
        for number in range(10):
            proc = await system.spawn(Database, id=f"db{number}")
            await proc.shutdown()
            proc.tell(Store(1))
    assert len([line for line in lines if "dead letter" in line]) == 10
    assert len(subscriber._dead) == 3


@pytest.mark.dead_letters
async def test_a_parked_child_is_an_error_with_all_that_led_there() -> None:
    """Parking is told loudly: the budget, the crashes that spent it, how to revive the child."""
    spec = ChildSpec("db", Database, max_restarts=2, max_seconds=60.0, when_spent="park")
    async with logging(spec) as (app, lines):
        lines.clear()
        for row in (-1, -2, -2):
            await _stay(app.find("db"), row)
        app.find("db").tell(Store(1))
        place = f"at {HERE}:N in check, from {HERE}:N in Database.store"
        assert lines.take()[4:] == [
            "ERROR /shop/db crashed while handling Store: ValueError: row -2 is {broken}"
            f" {place}; 2 restarts so far; its own restarts are spent",
            "ERROR /shop/db parked and stays down: it needed more than 2 restarts in 60 s;"
            f" the crashes: ValueError: row -1 is {{broken}} {place};"
            f" ValueError: row -2 is {{broken}} {place} (2 times);"
            " RestartChild('db') revives it",
            "WARNING /shop/db dead letter Store: parked",
        ]
        await app.supervisor.ask(RestartChild("db"))
    assert lines[0] == "INFO /shop/db started again (start 4)"


@pytest.mark.dead_letters
async def test_a_parked_child_does_not_fill_the_log_with_its_crashes() -> None:
    """Of many different crashes the last few are told, and how many others there were."""
    spec = ChildSpec("db", Database, max_restarts=7, when_spent="park")
    async with logging(spec, restarts=99) as (app, lines):
        for row in range(-8, 0):
            app.find("db").tell(Store(row))
            await anyio.sleep(0.1)
    (line,) = [line for line in lines if "parked and stays down" in line]
    assert "; the crashes: 3 others; ValueError: row -5 is" in line
    assert line.count("ValueError") == 5


@pytest.mark.parametrize("reason", ["normal", "killed"])
async def test_a_child_that_was_parked_without_a_crash_says_so_too(reason: str) -> None:
    """A child that ended again and again without an error is parked without any crashes to tell."""
    spec = ChildSpec("db", Database, max_restarts=0, when_spent="park")
    async with logging(spec) as (app, lines):
        app.find("db").stop() if reason == "normal" else app.find("db").kill()
        await anyio.sleep(1)
        assert lines.about("/shop/db")[-1] == (
            "ERROR /shop/db parked and stays down: it needed more than 0 restarts in 5 s;"
            " RestartChild('db') revives it"
        )

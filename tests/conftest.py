"""The arrangement by which every coroutine test runs on asyncio and on trio.

A coroutine test needs no decorator. anyio's pytest plugin runs it once for each backend, on a
virtual clock of its own, so sleeps and timeouts cost no time. Two markers change that:

- `real_time`: ordinary clocks, for tests of threads, subprocesses and signals;
- `core`: one more run on uvloop, whose clock is always real.

`pytest --eager-tasks` (Python 3.12 or later) makes asyncio start tasks eagerly, and
`pytest --without-fast-paths` has the actors do without what is only there for speed.
A test marked with `@pytest.mark.asyncio` is left to pytest-asyncio.

To have the same in another project, copy the `anyio_backend` fixture, with
`params=["asyncio", "trio"]` and `from actors.testing import backend_options`, into its
conftest.py, and put `anyio_mode = "auto"` (anyio 4.11 or later) into its pytest settings.

Every test is watched. It fails when an actor system that it opened leaves anything behind (a task,
a timer, an unclosed system), and when a message became a dead letter unexpectedly. A test that
expects dead letters says so, in one of two ways:

- `@pytest.mark.dead_letters` (on a test, or `pytestmark = pytest.mark.dead_letters` for a
  module): any number of them is in order;
- the fixture argument `dead_letters`: the same, and it is the list of them so far.

A test that leaves something behind on purpose has the marker `leaks`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, settings

from actors import ActorSystem, DeadLetter, DeadLetterReason
from actors import backends as engine
from actors.address import fast_paths
from actors.backends._asyncio import AsyncioBackend
from actors.backends._trio import TrioBackend
from actors.clock import backend_options
from actors.ref import ref_of

if TYPE_CHECKING:
    from actors.address import Address
    from actors.clock import Backend

# An example may take as long as it needs on a busy machine, and it gets a new event loop each
# time, so a fixture that holds the settings of that loop can be shared by all of them.
settings.register_profile(
    "project",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--eager-tasks` and `--without-fast-paths`."""
    parser.addoption(
        "--eager-tasks",
        action="store_true",
        help="start tasks eagerly on asyncio (Python 3.12 or later)",
    )
    parser.addoption(
        "--without-fast-paths",
        action="store_true",
        help="do without what is only there for speed, in every test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of this file; refuse `--eager-tasks` where there are none."""
    for marker in (
        "dead_letters: messages become dead letters here, as they should",
        "leaks: something is left behind here, on purpose",
    ):
        config.addinivalue_line("markers", marker)
    if config.getoption("--eager-tasks") and sys.version_info < (3, 12):
        raise pytest.UsageError("--eager-tasks needs Python 3.12 or later")
    if config.getoption("--without-fast-paths"):
        fast_paths.enabled = False


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Hand every coroutine test to anyio's plugin, except those that pytest-asyncio runs.

    It stands before the hook of the plugin, which looks for the mark. `anyio_mode = "auto"`
    would do the same but for the exception.
    """
    if not collector.istestfunction(obj, name):
        return
    function = getattr(getattr(obj, "hypothesis", None), "inner_test", obj)
    marks: list[pytest.Mark] = [*collector.iter_markers(), *getattr(obj, "pytestmark", ())]
    if inspect.iscoroutinefunction(function) and all(mark.name != "asyncio" for mark in marks):
        pytest.mark.anyio(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the backends of each test: asyncio and trio, and uvloop for the core."""
    if "anyio_backend" not in metafunc.fixturenames:
        return
    names: list[Backend] = ["asyncio", "trio"]
    if metafunc.definition.get_closest_marker("core") and sys.platform != "win32":
        names.append("uvloop")
    metafunc.parametrize("anyio_backend", names, indirect=True)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Give each test a backend with a clock of its own."""
    name: Backend = request.param
    return backend_options(
        name,
        real_time=request.node.get_closest_marker("real_time") is not None,
        eager_tasks=name == "asyncio" and bool(request.config.getoption("--eager-tasks")),
    )


# -- nothing is left behind, nothing is lost unseen ------------------------------------------------


class Watch:
    """Know what the actor systems of the present test are doing.

    `letters` are the dead letters, `systems` those that were entered and not left yet, `tasks`
    the labels of the engine's tasks by number, `faults` what was found wrong.
    """

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.systems: list[ActorSystem] = []
        self.tasks: dict[tuple[engine.Backend, int], str] = {}
        self.started = 0
        self.faults: list[str] = []

    def tasks_of(self, system: ActorSystem) -> list[str]:
        """Return the labels of the tasks that a system has not ended."""
        return [
            label
            for (backend, _), label in self.tasks.items()
            if backend is system.backend and not label.endswith(" threadsafe ask")
        ]


watch = Watch()


def _watch_tasks(cls: type[engine.Backend]) -> None:
    """Note which tasks a backend has started and not ended."""
    start = cls.start

    def watched(
        self: engine.Backend,
        main: Callable[[engine.InterruptibleTask], Coroutine[Any, Any, None]],
        label: str,
        *options: Any,
    ) -> engine.InterruptibleTask:
        own = watch
        own.started += 1
        key = (self, own.started)

        async def noted(cage: engine.InterruptibleTask) -> None:
            try:
                await main(cage)
            except BaseException as error:
                own.faults.append(f"the task of {label} was cut short by {error!r}")
                raise
            finally:
                own.tasks.pop(key, None)

        own.tasks[key] = label
        return start(self, noted, label, *options)

    cls.start = watched  # type: ignore[method-assign]


def _watch_systems() -> None:
    """Note which systems are open, what they leave behind, and their dead letters."""
    enter, leave = ActorSystem.__aenter__, ActorSystem.__aexit__
    dead_letter = ActorSystem._dead_letter

    async def watched_enter(self: ActorSystem) -> ActorSystem:
        entered = await enter(self)
        watch.systems.append(self)
        return entered

    async def watched_leave(self: ActorSystem, *error: Any) -> bool:
        try:
            return await leave(self, *error)
        finally:
            if self in watch.systems:
                watch.systems.remove(self)
            watch.faults += [
                f"actor system {self.name!r} was left, but not {label}"
                for label in watch.tasks_of(self)
            ]

    def watched_letter(
        self: ActorSystem, address: Address, message: object, why: DeadLetterReason
    ) -> None:
        watch.letters.append(DeadLetter(ref_of(address), message, why))
        dead_letter(self, address, message, why)

    ActorSystem.__aenter__ = watched_enter  # type: ignore[method-assign]
    ActorSystem.__aexit__ = watched_leave  # type: ignore[assignment, method-assign]
    ActorSystem._dead_letter = watched_letter  # type: ignore[method-assign]
    ActorSystem._hears_letters = lambda self: True  # type: ignore[method-assign]


_watch_tasks(AsyncioBackend)
_watch_tasks(TrioBackend)
_watch_systems()


@pytest.fixture(autouse=True)
def _watched(request: pytest.FixtureRequest) -> Iterator[Watch]:
    """Watch one test, with its fixtures."""
    global watch
    watch = Watch()
    yield watch
    if not request.node.get_closest_marker("leaks"):
        assert [system.name for system in watch.systems] == [], "actor systems were not left"
        assert watch.faults == []


@pytest.fixture
def dead_letters(_watched: Watch) -> list[DeadLetter]:
    """Give the dead letters of this test, and say that they are expected."""
    return _watched.letters


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail a test that leaves something behind, or loses messages unexpectedly."""
    leaks = pyfuncitem.get_closest_marker("leaks") is not None
    if not leaks:
        _look_around_after(pyfuncitem)
    try:
        result = yield
    except BaseException:
        watch.systems.clear()  # it has failed: whatever else is wrong is a consequence
        watch.faults.clear()
        raise
    letters = pyfuncitem.get_closest_marker("dead_letters") or (
        "dead_letters" in pyfuncitem.fixturenames
    )
    if watch.faults and not leaks:
        faults, watch.faults = watch.faults, []
        pytest.fail("something was left behind:\n  " + "\n  ".join(faults))
    if watch.letters and not letters:
        lost = [f"{item.message!r} to {item.ref.path}: {item.why}" for item in watch.letters]
        pytest.fail(
            "dead letters:\n  " + "\n  ".join(lost) + "\nA test that expects them says so with "
            "@pytest.mark.dead_letters, or with the fixture argument dead_letters."
        )
    return result


def _look_around_after(item: pytest.Function) -> None:
    """Have a coroutine test look around in its own event loop when it is done."""
    hypothesis: Any = getattr(item.obj, "hypothesis", None)
    if hypothesis is None:
        if inspect.iscoroutinefunction(item.obj):
            item.obj = _looking_around(item.obj)
        return
    inner = hypothesis.inner_test
    while original := getattr(inner, "_anyio_original_func", None) or getattr(
        inner, "__unwatched__", None
    ):
        inner = original
    if inspect.iscoroutinefunction(inner):
        hypothesis.inner_test = _looking_around(inner)


def _looking_around(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def look_around(*args: Any, **kwargs: Any) -> None:
        before = list(watch.systems)  # those of fixtures, which will be left later
        await test(*args, **kwargs)
        assert [system.name for system in watch.systems if system not in before] == [], (
            "actor systems were not left"
        )
        if not before:
            for _ in range(5):  # what was cancelled last may need a turn to go
                await anyio.lowlevel.checkpoint()
            assert list(watch.tasks.values()) == [], "tasks are left running"
            assert _timers() == [], "timers are left"

    look_around.__unwatched__ = test  # type: ignore[attr-defined]
    return look_around


def _timers() -> list[str]:
    """List what the engine still has to do in this event loop at a later time."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        root = trio.lowlevel.current_root_task()
        tasks = [task for nursery in root.child_nurseries for task in nursery.child_tasks]
        return [task.name for task in tasks if task.name == "actors timers"]
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    calls = [handle._callback for handle in scheduled if not handle.cancelled()]
    return [repr(call) for call in calls if _module_of(call).startswith("actors.")]


def _module_of(call: object) -> str:
    while isinstance(call, functools.partial):
        call = call.func
    return getattr(call, "__module__", "") or ""

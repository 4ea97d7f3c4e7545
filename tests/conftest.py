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

Every test is watched, by the fixtures of `actors.pytest_plugin` (see `usefixtures` in
pyproject.toml): it fails when an actor system that it opened leaves anything behind, and when a
message became a dead letter unexpectedly. Markers say that this is as it should be: `leaks`, and
`dead_letters`, which is also a fixture.
"""

from __future__ import annotations

import gc
import inspect
import sys

import pytest
from hypothesis import HealthCheck, settings

from actors.address import fast_paths
from actors.testing import Backend, backend_options

pytest_plugins = ["actors.pytest_plugin"]

# An example may take as long as it needs on a busy machine, and it gets a new event loop each
# time, so a fixture that holds the settings of that loop can be shared by all of them. Under `CI`
# hypothesis would try the same examples for ever; a failure prints how to have it again.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=False,
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
    """Refuse `--eager-tasks` where there are none; switch the fast paths off if that is asked."""
    if config.getoption("--eager-tasks") and sys.version_info < (3, 12):
        raise pytest.UsageError("--eager-tasks needs Python 3.12 or later")
    if config.getoption("--without-fast-paths"):
        fast_paths.enabled = False


def pytest_collectreport() -> None:
    """Let the collector of garbage leave alone what a collected module has made.

    Its full collections, of which some tests ask for many, would go through all of it each time.
    What is frozen has no referrers that `gc` would tell of: an old hypothesis takes its own random
    generator for garbage then, and warns of it.
    """
    gc.freeze()


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

"""Check with pytest that a test leaves nothing running, and loses no message unseen.

Two fixtures and two markers. `no_leaks` fails a test after which an actor system is still open, or
a task or a timer of one is left; `no_dead_letters` one whose messages became dead letters. A
test that expects dead letters says so, in one of two ways:

- `@pytest.mark.dead_letters` (or `pytestmark` for a module): any number of them is in order;
- the fixture argument `dead_letters`: the same, and it is the list of them so far.

A test that leaves something behind on purpose has the marker `leaks`. To check all tests of a
project, put into its conftest.py

    pytest_plugins = ["actors.pytest_plugin"]

and into pytest's settings `usefixtures = ["no_leaks", "no_dead_letters"]`. Where a conftest.py
imports the fixtures instead (`from actors.testing import dead_letters, no_dead_letters, no_leaks`),
the settings have to declare the markers. It goes with anyio's plugin, with pytest-asyncio, and
with plain tests that run a loop themselves.

Guarantees: the checks only look on. Nobody subscribes to anything, so the engine goes the same
ways as without them. A system is watched from the moment in which it is entered. A test that has
failed is not checked: whatever else is wrong is a consequence.

>>> import anyio
>>> from actors import ActorSystem, CancellationToken, Proc
>>> class Deaf(Proc[str]):
...     async def run(self, shutdown: CancellationToken) -> None: ...
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         ref = await system.spawn(Deaf)
...         await ref.wait()
...         ref.tell("too late")
>>> with looking_for_leaks() as leaks, counting_dead_letters() as letters:
...     anyio.run(main)
>>> leaks.found(), [(letter.message, str(letter.why)) for letter in letters]
([], [('too late', 'normal')])
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, final

import pytest

from actors.address import Address, DeadLetterHandler, HearsOfMail, Runtime, instruments
from actors.backends import Backend, Block, InterruptibleTask, TimerHandle, Waiter
from actors.dead_letters import DeadLetterReason
from actors.events import DeadLetter
from actors.mail import Control, Notice, StopMark, unwrap
from actors.ref import ref_of

__all__ = [
    "Leaks",
    "WatchedBackend",
    "counting_dead_letters",
    "dead_letters",
    "looking_for_leaks",
    "no_dead_letters",
    "no_leaks",
]

# -- tasks, timers, systems ------------------------------------------------------------------------


@final
class WatchedTimer:
    """One call that is due later, known until it is made or taken back."""

    __slots__ = ("_pending", "call", "handle")

    def __init__(self, call: Callable[[], None], pending: dict[WatchedTimer, None]) -> None:
        self.call: Callable[[], None] | None = call
        self.handle: TimerHandle | None = None
        self._pending = pending
        pending[self] = None

    def fire(self) -> None:
        """Make the call."""
        call = self.call
        self._forget()
        if call is not None:
            call()

    def cancel(self) -> None:
        """Take the call back, in the event loop too."""
        if self.handle is not None:
            self.handle.cancel()
        self._forget()

    def _forget(self) -> None:
        # No cycle is left: what a test looks at must go as it goes without being watched.
        self.call = self.handle = None
        self._pending.pop(self, None)


@final
class WatchedBackend(Backend):
    """The event loop of one actor system, which knows what it still has to do for it."""

    def __init__(self, backend: Backend, faults: list[str]) -> None:
        self._backend = backend
        self._faults = faults
        self.name = backend.name
        self.new_waiter = backend.new_waiter
        self.now = backend.now
        self.current_task = backend.current_task
        self.runtime: Runtime | None = None
        self.tasks: dict[object, str] = {}
        self.timers: dict[WatchedTimer, None] = {}

    def call_at(self, when: float, call: Callable[[], None]) -> TimerHandle:
        """Call once at loop time `when`, and know of it until then."""
        timer = WatchedTimer(call, self.timers)
        timer.handle = self._backend.call_at(when, timer.fire)
        return timer

    def call_soon_threadsafe(self, call: Callable[[], None]) -> bool:
        """Call in the loop's thread."""
        return self._backend.call_soon_threadsafe(call)

    def start(
        self,
        main: Callable[[InterruptibleTask], Coroutine[Any, Any, None]],
        label: str,
        context: Context | None = None,
    ) -> InterruptibleTask:
        """Start a task, and know of it until it has ended."""
        key = object()

        async def watched(own_task: InterruptibleTask) -> None:
            try:
                await main(own_task)
            except BaseException as error:
                self._faults.append(f"the task of {label} was cut short by {error!r}")
                raise
            finally:
                del self.tasks[key]
                if self.runtime is not None and self.runtime.closed:
                    self._faults.append(f"the task of {label} outlived {self.runtime.name!r}")

        self.tasks[key] = label
        return self._backend.start(watched, label, context)

    def checkpoint(self) -> Coroutine[Any, Any, None]:
        """Give way to the other ready tasks, without a frame that the engine's look would meet."""
        return self._backend.checkpoint()

    async def outlast(
        self,
        arm: Callable[[Waiter[None]], bool],
        on_cancel: Callable[[], None],
        task: InterruptibleTask | None = None,
    ) -> bool:
        """Wait for something that must be waited for."""
        return await self._backend.outlast(arm, on_cancel, task)

    async def settle(self) -> None:
        """Let every other task run until all of them wait."""
        await self._backend.settle()

    def block(self) -> Block:
        """Make a block that can be cancelled."""
        return self._backend.block()

    def coroutine_of(self, task: object) -> object:
        """Return the coroutine that a task runs, None when it has ended."""
        return self._backend.coroutine_of(task)

    def cancelled_error(self) -> type[BaseException]:
        """Return the exception class that stands for cancellation on this loop."""
        return self._backend.cancelled_error()

    def is_done(self) -> bool:
        """Tell whether the system was left, with all that it had started."""
        closed = self.runtime is not None and self.runtime.closed
        return closed and not self.tasks and not self.timers

    def left(self) -> list[str]:
        """List what the system has left behind in its loop."""
        tasks = (f"the task of {label}" for label in self.tasks.values())
        timers = (f"a timer that calls {timer.call!r}" for timer in self.timers)
        return [*tasks, *timers]


@final
class Leaks:
    """What the actor systems of a test have left behind so far."""

    def __init__(self) -> None:
        self._backends: list[WatchedBackend] = []
        self._faults: list[str] = []
        self._before: list[WatchedBackend] = []

    def watch(self, backend: Backend) -> WatchedBackend:
        """Watch the event loop of a new system, and let go of those that have left nothing."""
        watched = WatchedBackend(backend, self._faults)
        self._backends = [known for known in self._backends if not known.is_done()] + [watched]
        return watched

    def test_begins(self) -> None:
        """Take what is open now for that of fixtures, which will be left after the test."""
        self._before = list(self._backends)

    def found(self, *, after_fixtures: bool = True) -> list[str]:
        """List what is left behind, in words; systems of fixtures may still be open before."""
        found = list(self._faults)
        for backend in self._backends:
            runtime = backend.runtime
            if runtime is None:
                continue
            if runtime.closed:
                found += [f"{what}, of actor system {runtime.name!r}" for what in backend.left()]
            elif after_fixtures or backend not in self._before:
                found.append(f"actor system {runtime.name!r} was not left")
        return found


@contextmanager
def looking_for_leaks() -> Generator[Leaks]:
    """Watch the actor systems that are entered in this block."""
    leaks, make_runtime = Leaks(), instruments.make_runtime

    def make_watched_runtime(
        name: str, backend: Backend, dead_letter: DeadLetterHandler, heard: HearsOfMail
    ) -> Runtime:
        watched = leaks.watch(backend)
        watched.runtime = make_runtime(name, watched, dead_letter, heard)
        return watched.runtime

    with _installed(make_watched_runtime):
        yield leaks


# -- dead letters ----------------------------------------------------------------------------------


@contextmanager
def counting_dead_letters() -> Generator[list[DeadLetter]]:
    """Collect the dead letters of the actor systems that are entered in this block.

    Not as an event that is subscribed to: mail that nobody hears of is thrown away as ever.
    """
    letters, make_runtime = list[DeadLetter](), instruments.make_runtime

    def make_counting_runtime(
        name: str, backend: Backend, dead_letter: DeadLetterHandler, heard: HearsOfMail
    ) -> Runtime:
        def counted(address: Address, message: object, why: DeadLetterReason) -> None:
            letters.append(DeadLetter(ref_of(address), message, why))
            dead_letter(address, message, why)

        def thrown_away(address: Address, mail: Iterable[object], why: DeadLetterReason) -> bool:
            is_heard = heard(address, mail, why)
            if not is_heard:  # else each message comes by above
                letters.extend(DeadLetter(ref_of(address), it, why) for it in _missed(mail))
            return is_heard

        return make_runtime(name, backend, counted, thrown_away)

    with _installed(make_counting_runtime):
        yield letters


def _missed(mail: Iterable[object]) -> Iterator[object]:
    """Yield the messages among some mail that count as dead letters."""
    for item in mail:
        message = unwrap(item)
        if not isinstance(item, Control | StopMark | Notice) and getattr(
            type(message), "__dead_letter__", True
        ):
            yield message


@contextmanager
def _installed(
    make_runtime: Callable[[str, Backend, DeadLetterHandler, HearsOfMail], Runtime],
) -> Generator[None]:
    before, instruments.make_runtime = instruments.make_runtime, make_runtime
    try:
        yield
    finally:
        instruments.make_runtime = before


# -- fixtures and markers --------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "dead_letters: messages become dead letters here, as is due")
    config.addinivalue_line("markers", "leaks: something is left behind here, on purpose")


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[Leaks]:
    """Fail the test when an actor system, or a task or a timer of one, is left behind.

    That is looked for twice: at the end of the test, but for what its fixtures have opened, and
    when these have been torn down. The value tells what there is so far.
    """
    checks = _checks_of(request.node)
    with looking_for_leaks() as leaks:
        if request.node.get_closest_marker("leaks") is None:
            checks.leaks = leaks
        yield leaks
    found = checks.left_behind(after_fixtures=True)
    checks.leaks = None  # a test outlives its run, and all that it made would with it
    checks.fail_for(found)


@pytest.fixture
def no_dead_letters(request: pytest.FixtureRequest) -> Iterator[list[DeadLetter]]:
    """Fail the test when messages became dead letters, unless it says that they are expected.

    The value is the list of them so far.
    """
    checks = _checks_of(request.node)
    with checks.counting() as letters:
        yield letters
        found = checks.lost()
    checks.fail_for(found)


@pytest.fixture
def dead_letters(request: pytest.FixtureRequest) -> Iterator[list[DeadLetter]]:
    """Give the dead letters of this test so far, and say that they are expected."""
    with _checks_of(request.node).counting() as letters:
        yield letters


@final
class _Checks:
    """What one test is checked for; None where no fixture asked for it, or once it has failed."""

    def __init__(self, node: pytest.Item) -> None:
        named: Iterable[str] = getattr(node, "fixturenames", ())
        self.expects_letters = "dead_letters" in named or any(node.iter_markers("dead_letters"))
        self.leaks: Leaks | None = None
        self.letters: list[DeadLetter] | None = None

    @contextmanager
    def counting(self) -> Generator[list[DeadLetter]]:
        """Count the dead letters, once for a test however many of its fixtures ask."""
        if self.letters is not None:
            yield self.letters
            return
        with counting_dead_letters() as self.letters:
            yield self.letters
        self.letters = None

    def left_behind(self, *, after_fixtures: bool) -> list[str]:
        """Say what is left."""
        found = [] if self.leaks is None else self.leaks.found(after_fixtures=after_fixtures)
        return [f"left behind: {what}" for what in found]

    def lost(self) -> list[str]:
        """Say what was lost."""
        if not self.letters or self.expects_letters:
            return []
        return [
            *(f"dead letter: {it.message!r} to {it.ref.path}: {it.why}" for it in self.letters),
            "a test that expects dead letters has that marker, or the fixture dead_letters",
        ]

    def fail_for(self, lines: list[str]) -> None:
        """Fail the test for what was found, if anything was."""
        if lines:
            self.let_be()
            pytest.fail("\n".join(lines))

    def let_be(self) -> None:
        """Check no more: the test has failed, and once is enough."""
        self.leaks = self.letters = None


CHECKS = pytest.StashKey[_Checks]()


def _checks_of(node: pytest.Item) -> _Checks:
    plugins = node.config.pluginmanager
    if not plugins.has_plugin(_AtTheEnd.__name__):
        plugins.register(_AtTheEnd(), _AtTheEnd.__name__)
    return node.stash.setdefault(CHECKS, _Checks(node))


@final
class _AtTheEnd:
    """A plugin that fails the test itself: a fixture could only report an error after it.

    The fixtures register it, so that it is there also where only they were imported.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        checks = pyfuncitem.stash.get(CHECKS, None)
        if checks is None:
            return (yield)
        if checks.leaks is not None:
            checks.leaks.test_begins()
        try:
            result = yield
        except BaseException:
            checks.let_be()
            raise
        checks.fail_for(checks.left_behind(after_fixtures=False) + checks.lost())
        return result

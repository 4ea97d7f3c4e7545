"""Tests of `serve`: what the block sees, what is raised, what is stopped, in every case."""

from collections.abc import Callable, Sequence
from functools import partial

import anyio
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    ExitReason,
    Killed,
    Name,
    Proc,
    Shutdown,
    StartFailed,
    task,
)
from actors.testing import settle
from supervision import (
    Application,
    AutoShutdown,
    Backoff,
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    StartChild,
    SupervisorSpec,
    TreeExited,
    WhichChildren,
    serve,
)
from tests.kit.errors import Boom


class Worker(Proc[object]):
    """Wait until told to stop; note what happens in a diary; crash when it is said to."""

    def __init__(self, diary: list[str], id: str, crash: anyio.Event | None = None) -> None:
        self.diary, self.id, self.crash = diary, id, crash

    async def on_start(self) -> None:
        self.diary.append(f"+{self.id}")

    async def run(self, shutdown: CancellationToken) -> None:
        if self.crash is None:
            await shutdown.wait()
            return
        async with shutdown.scope():
            await self.crash.wait()
            raise Boom(self.id)

    async def on_stop(self, reason: ExitReason) -> None:
        self.diary.append(f"-{self.id}")


class BadStop(Worker):
    """Raise while being stopped."""

    async def on_stop(self, reason: ExitReason) -> None:
        await super().on_stop(reason)
        raise Boom(f"on_stop of {self.id}")


class Diary(list[str]):
    """Note what workers do, and make their specs."""

    def child(
        self,
        id: str,
        crash: anyio.Event | None = None,
        kind: type[Worker] = Worker,
        **options: object,
    ) -> ChildSpec[object]:
        return ChildSpec(id, lambda: kind(self, id, crash), **options)  # type: ignore[arg-type]


def tree(*children: ChildSpec[object], restarts: int = 0) -> SupervisorSpec:
    """Make a tree of workers."""
    return SupervisorSpec("top", children, max_restarts=restarts, max_seconds=60.0)


async def live(
    spec: SupervisorSpec, act: Callable[[Application], object] = lambda app: None
) -> None:
    """Serve a tree, do something and wait until the tree ends that."""
    async with serve(spec) as app:
        act(app)
        await anyio.sleep_forever()


async def test_find_returns_the_ref_at_a_path() -> None:
    """A path below the root leads to the ref of a child at any depth, running or not."""
    diary, crash, name = Diary(), anyio.Event(), Name[object]("the top")
    waiting = diary.child("a", crash, backoff=Backoff(10.0, 10.0, jitter=False))
    inner = SupervisorSpec("inner", [SupervisorSpec("deep", [diary.child("w")])])
    children = [waiting, inner, DynamicSupervisorSpec("jobs")]
    async with serve(SupervisorSpec("top", children, name=name)) as app:
        assert app.system.name == "top"
        assert app.system.whereis(name) == app.supervisor
        assert app.find("inner/deep/w").path == "/top/inner/deep/w"
        assert app.find("/inner/").path == "/top/inner"
        started = await app.find("jobs").ask(StartChild(diary.child("x")))
        assert app.find("jobs/x") == started
        crash.set()
        await settle()
        ref = app.find("a")
        assert (ref.path, ref.is_alive) == ("/top/a", False)
        found = [child.ref for child in await app.supervisor.ask(WhichChildren())]
        assert found == [app.find(child.id) for child in children]


@pytest.mark.parametrize("path", ["nobody", "a/nobody", "", "a//b", "top/a"])
async def test_find_of_an_unknown_path_is_an_error(path: str) -> None:
    """An unknown path raises ChildNotFound, which names it."""
    async with serve(tree(Diary().child("a"))) as app:
        with pytest.raises(ChildNotFound) as caught:
            app.find(path)
        assert caught.value.id == path


@pytest.mark.parametrize("wrong", [None, "shop", ChildSpec("a", Worker), SupervisorSpec])
async def test_only_a_supervisors_spec_is_a_tree(wrong: object) -> None:
    """Anything but a supervisor's spec is a TypeError that shows it."""
    with pytest.raises(TypeError, match="a tree is a SupervisorSpec, not"):
        async with serve(wrong):  # type: ignore[arg-type]
            pytest.fail("entered")


# -- the tree fails -------------------------------------------------------------------------------


async def test_a_root_that_is_too_slow_cannot_start() -> None:
    """The start timeout of the root itself is a failed start, too."""

    class Slow(Worker):
        async def on_start(self) -> None:
            await anyio.sleep(100)

    spec = SupervisorSpec("top", [Diary().child("a", kind=Slow)], start_timeout=2.0)
    began = anyio.current_time()
    with pytest.raises(ChildStartFailed, match="top failed to start: TimeoutError"):
        async with serve(spec):
            pytest.fail("entered")
    assert anyio.current_time() - began == 2.0


async def test_several_crashes_are_a_group_in_order() -> None:
    """The cause of giving up after several crashes is the group of them, oldest first."""
    attempts: list[str] = []

    async def crash(shutdown: CancellationToken) -> None:
        attempts.append("crash")
        raise Boom(str(len(attempts)))

    with pytest.raises(TreeExited) as caught:
        async with serve(tree(ChildSpec("a", task(crash)), restarts=2)):
            await anyio.sleep_forever()
    assert _texts(caught.value) == ["1", "2", "3"]


async def test_errors_of_a_subtree_that_came_back_are_history() -> None:
    """Errors while a supervisor stopped, that was restarted since, are not part of a later end."""
    diary, first, second = Diary(), anyio.Event(), anyio.Event()
    crashes = iter([first, None])
    inner = SupervisorSpec(
        "inner",
        [diary.child("b", kind=BadStop), ChildSpec("c", lambda: Worker(diary, "c", next(crashes)))],
        max_restarts=0,
    )
    top = SupervisorSpec("top", [inner, diary.child("d", second)], max_restarts=1, max_seconds=9.0)

    async def block() -> None:
        async with serve(top):
            first.set()
            await anyio.sleep(100)
            second.set()  # and at once again, after the one restart that there is
            await anyio.sleep_forever()

    with pytest.raises(TreeExited) as caught:
        await block()
    assert diary.count("-b") == 2
    assert _texts(caught.value)[-3:] == ["d", "d", "on_stop of b"]
    assert _texts(caught.value).count("on_stop of b") == 1


async def test_a_supervisor_that_is_killed_fails_the_tree() -> None:
    """A root that is killed from outside cancels the block, with TreeExited and no cause."""
    diary = Diary()
    with pytest.raises(TreeExited) as caught:
        await live(tree(diary.child("a")), lambda app: app.supervisor.kill())
    assert caught.value.reason == Killed()
    assert caught.value.__cause__ is None


async def test_an_error_of_the_block_stops_the_tree_and_goes_on() -> None:
    """An error in the block is raised as it is, after the tree has been stopped in order."""
    diary = Diary()
    with pytest.raises(KeyError):
        async with serve(tree(diary.child("a"), diary.child("b"))):
            raise KeyError("mine")
    assert diary == ["+a", "+b", "-b", "-a"]


async def test_an_error_of_the_block_while_the_tree_fails_is_not_lost() -> None:
    """When both fail, both are raised, as a group."""
    diary, crash = Diary(), anyio.Event()

    async def block() -> None:
        async with serve(tree(diary.child("a", crash))):
            crash.set()
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError("mine")

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    mine, exited = caught.value.exceptions
    assert isinstance(mine, KeyError)
    assert isinstance(exited, TreeExited)
    assert isinstance(exited.__cause__, Boom)


# -- the tree ends well ---------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [False, True])
async def test_an_automatic_shutdown_raises_nothing(at_once: bool) -> None:
    """A tree may shut down by itself, in its first turn or later; `wait` tells how it ended."""
    diary = Diary()
    done = anyio.Event()
    if at_once:
        done.set()

    async def job(shutdown: CancellationToken) -> None:
        await done.wait()

    top = SupervisorSpec(
        "top",
        [diary.child("a"), ChildSpec("job", task(job), restart="transient", significant=True)],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    async with serve(top) as app:
        done.set()
        assert await app.wait() == Shutdown()
        assert diary == ["+a", "-a"]
        await anyio.sleep(10)
        diary.append("still here")
    assert diary[-1] == "still here"


# -- the host is cancelled ------------------------------------------------------------------------


async def test_cancelling_the_host_during_the_start_stops_what_had_started() -> None:
    """A start that is cancelled stops what is half started, in reverse order."""

    class Slow(Worker):
        async def on_start(self) -> None:
            await super().on_start()
            await anyio.sleep(100)

    diary = Diary()
    with anyio.move_on_after(1.0) as scope:
        async with serve(tree(diary.child("a"), diary.child("b"), diary.child("c", kind=Slow))):
            pytest.fail("entered")
    assert scope.cancelled_caught
    assert diary == ["+a", "+b", "+c", "-b", "-a"]


async def test_each_child_has_its_time_when_the_host_is_cancelled() -> None:
    """A cancelled host goes on being cancelled only after the tree has stopped in its time."""

    class SlowStop(Worker):
        async def on_stop(self, reason: ExitReason) -> None:
            await anyio.sleep(3.0)
            await super().on_stop(reason)

    diary = Diary()
    began = anyio.current_time()
    with anyio.CancelScope() as scope:
        async with serve(tree(diary.child("a"), diary.child("b", kind=SlowStop))):
            scope.cancel()
            await anyio.sleep_forever()
        pytest.fail("the cancellation was lost")
    assert scope.cancelled_caught
    assert diary == ["+a", "+b", "-b", "-a"]
    assert anyio.current_time() - began == 3.0


# -- observers ------------------------------------------------------------------------------------


async def test_a_broken_observer_changes_nothing() -> None:
    """An observer that raises disturbs neither the tree nor its orderly end."""

    def broken(event: object) -> None:
        raise Boom("observer")

    diary = Diary()
    async with serve(tree(diary.child("a")), observe=[broken]) as app:
        diary.append("undisturbed")
    assert diary == ["+a", "undisturbed", "-a"]
    assert app.report is not None
    assert app.report.went_well


def _texts(error: TreeExited) -> list[str]:
    cause = error.__cause__
    assert isinstance(cause, BaseExceptionGroup)
    parts: Sequence[BaseException] = cause.exceptions
    return [str(part) for part in parts]


class Reporter(Proc[object]):
    """Note what it finds of its application, when it starts and when it is stopped."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    async def on_start(self) -> None:
        app = Application.of(self.context)
        self.seen += [app, app.find(self.context.path)]

    async def on_stop(self, reason: ExitReason) -> None:
        self.seen.append(Application.of(self.context))

    async def run(self, shutdown: CancellationToken) -> None:
        await shutdown.wait()


async def test_the_application_is_reachable_from_within() -> None:
    """Each proc of a tree finds its application from its first start to its last stop."""
    seen: list[object] = []
    inner = SupervisorSpec("t", [ChildSpec("w", partial(Reporter, seen))])
    async with serve(SupervisorSpec("t", [inner])) as app:
        worker = app.find("t/w")
        assert app.find("/t/t/w") == worker
        assert app.find("/t") == app.supervisor
        with pytest.raises(ChildNotFound):
            app.find("/t/w")
    assert seen == [app, worker, app]
    async with ActorSystem() as system:
        with pytest.raises(StartFailed, match="LookupError: /alone is in no tree that is served"):
            await system.spawn(partial(Reporter, []), id="alone")

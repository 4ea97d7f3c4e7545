"""Tests of the start of a supervisor: in order, each child ready before the next begins."""

from functools import partial

import anyio
import pytest

from actors import (
    ActorSystem,
    Crashed,
    Exited,
    Ignore,
    Killed,
    Name,
    NameTaken,
    Normal,
    Proc,
    ProcExited,
    Shutdown,
    StartFailed,
    task,
)
from supervision import (
    BRUTAL_KILL,
    ChildSpec,
    ChildStartFailed,
    CountChildren,
    DynamicSupervisorSpec,
    IntensityExceeded,
    RestartChild,
    Supervisor,
    SupervisorSpec,
    serve,
)
from tests.supervision.kit import Boom, Stage, Worker, forever, settle

pytestmark = pytest.mark.dead_letters


async def test_children_start_in_order_each_ready_before_the_next_begins() -> None:
    """Children start one after the other in spec order, and none begins before the last is up."""
    stage = Stage()
    diary: list[str] = []

    async def slowly(worker: Worker) -> None:
        diary.append(f"{worker.id} begins")
        await anyio.sleep({"a": 3.0, "b": 2.0, "c": 1.0}[worker.id])
        diary.append(f"{worker.id} is ready")

    async with stage.serve([stage.child(id, start=[slowly]) for id in "abc"]):
        diary.append("serve goes on")
    assert diary == [
        "a begins",
        "a is ready",
        "b begins",
        "b is ready",
        "c begins",
        "c is ready",
        "serve goes on",
    ]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_failed_start_stops_those_before_it_in_reverse_order(restart: str) -> None:
    """A child that fails at the start ends it: those before stop in reverse, those after wait."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b", shutdown=BRUTAL_KILL),
        stage.child("c", restart="temporary"),
        stage.child("d", start=[Boom("d")], restart=restart),
        stage.child("e"),
    ]
    with pytest.raises(ChildStartFailed) as caught:
        async with stage.serve(children, max_restarts=10):
            pytest.fail("the tree must not start")
    assert stage.take() == ["+a", "+b", "+c", "!d", "-c", "-b", "-a"]
    assert str(caught.value) == "d failed to start: Boom: d"
    assert isinstance(caught.value.__cause__, Boom)


async def test_a_failed_start_names_child_and_reason() -> None:
    """The error of `serve` names the child that did not start, its reason is the crash."""
    stage = Stage()
    error = Boom("no port")
    with pytest.raises(ChildStartFailed, match=r"^db failed to start: Boom: no port$") as caught:
        async with stage.serve([stage.child("db", start=[error])]):
            pass
    assert (caught.value.id, caught.value.reason) == ("db", Crashed(error))


async def test_a_failed_start_is_not_retried_and_spends_no_budget() -> None:
    """No restart is tried when the first start of a child fails, whatever the budget."""
    stage = Stage()
    with pytest.raises(ChildStartFailed):
        async with stage.serve([stage.child("a", start=[Boom(), None])], max_restarts=100):
            pass
    assert stage.take() == ["!a"]
    assert stage.decisions == []


async def test_reasons_nest() -> None:
    """When a nested supervisor fails to start, the inner error becomes the outer's reason."""
    stage = Stage()
    inner = SupervisorSpec("inner", [stage.child("x"), stage.child("y", start=[Boom("deep")])])
    tree = [stage.child("a"), SupervisorSpec("outer", [stage.child("o"), inner])]
    with pytest.raises(ChildStartFailed) as caught:
        async with stage.serve(tree):
            pass
    assert str(caught.value) == "outer/inner/y failed to start: Boom: deep"
    assert caught.value.path == "outer/inner/y"
    assert stage.take() == [
        "+a",
        "+outer/o",
        "+outer/inner/x",
        "!outer/inner/y",
        "-outer/inner/x",
        "!outer/inner",
        "-outer/o",
        "!outer",
        "-a",
    ]


async def test_an_ignored_child_is_kept_without_a_proc() -> None:
    """A permanent or transient child that ignores its start is kept, and can be started later."""
    stage = Stage()
    children = [
        stage.child("a", start=[Ignore()]),
        stage.child("b", start=[Ignore()], restart="transient"),
        stage.child("c"),
    ]
    async with stage.serve(children) as app:
        assert stage.take() == ["~a", "~b", "+c"]
        assert await stage.states() == {"a": "terminated", "b": "terminated", "c": "running"}
        ref = await app.supervisor.ask(RestartChild("a"))
        assert ref == app.find("a")
        assert await stage.states() == {"a": "running", "b": "terminated", "c": "running"}
    assert stage.take() == ["+a", "-c", "-a"]


async def test_an_ignored_temporary_child_is_dropped() -> None:
    """The spec of a temporary child that ignores its start is dropped at once."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[Ignore()], restart="temporary")]):
        assert await stage.states() == {}
    assert stage.take() == ["~a"]


async def test_a_factory_may_ignore_and_may_raise() -> None:
    """What the factory raises counts as what `on_start` raises."""

    def ignored() -> Proc[object]:
        raise Ignore

    def broken() -> Proc[object]:
        raise Boom("factory")

    stage = Stage()
    async with stage.serve([ChildSpec("a", ignored), stage.child("b")]):
        assert await stage.states() == {"a": "terminated", "b": "running"}
    with pytest.raises(ChildStartFailed, match=r"^a failed to start: Boom: factory$"):
        async with stage.serve([stage.child("b"), ChildSpec("a", broken)]):
            pass
    assert stage.take() == ["+b", "-b", "+b", "!a", "-b"]


async def test_a_factory_that_makes_no_proc_is_a_failed_start() -> None:
    """A factory that returns something else fails the start with an error that shows it."""
    stage = Stage()
    match = r"^a failed to start: TypeError: start makes a Proc, but int returned 0$"
    with pytest.raises(ChildStartFailed, match=match):
        async with stage.serve([ChildSpec("a", int)]):  # type: ignore[arg-type]
            pass


async def test_the_same_proc_twice_is_a_failed_start() -> None:
    """A factory must make a new proc for each incarnation: handing out the old one is refused."""
    stage = Stage()
    only = Worker(stage, "a")
    async with stage.dying([ChildSpec("a", lambda: only)], max_restarts=1) as app:
        stage.crash("a")
        await app.wait()
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    first, second = stage.exited.reason.detail.crashes
    assert isinstance(first, Boom)
    assert str(second).endswith("returned one that has run before")


async def test_a_start_that_takes_too_long_is_killed() -> None:
    """A child that is not ready within its `start_timeout` fails to start, and is gone."""
    stage = Stage()
    children = [stage.child("a"), stage.child("b", start=[forever], start_timeout=2.0)]
    match = r"^b failed to start: TimeoutError: not ready within 2 s$"
    with pytest.raises(ChildStartFailed, match=match):
        async with stage.serve(children):
            pass
    assert stage.take() == ["+a", "!b", "-a"]


async def test_a_start_timeout_covers_a_whole_subtree() -> None:
    """A nested supervisor that is not ready in time is stopped with all it had started."""
    stage = Stage()
    inner = SupervisorSpec(
        "in", [stage.child("x"), stage.child("y", start=[forever])], start_timeout=2.0
    )
    match = r"^in failed to start: TimeoutError: not ready within 2 s$"
    with pytest.raises(ChildStartFailed, match=match):
        async with stage.serve([stage.child("a"), inner]):
            pass
    trace = stage.take()
    assert (trace[:2], trace[-2:]) == (["+a", "+in/x"], ["!in", "-a"])
    assert "-in/x" in trace


async def test_an_early_exit_is_handled_after_the_whole_start() -> None:
    """A child that crashes while its siblings are still started is restarted after the start."""
    stage = Stage()
    stage_start = [lambda worker: (stage.crash("a"), anyio.sleep(1.0))[1]]
    children = [stage.child("a"), stage.child("b", start=stage_start), stage.child("c", start=[1])]
    async with stage.serve(children):
        await settle()
        assert stage.take() == ["+a", "-a", "+b", "+c", "+a"]


async def test_a_starting_supervisor_answers_nobody() -> None:
    """While a supervisor starts its children, requests wait."""
    stage = Stage()
    answered: list[float] = []
    began = anyio.current_time()

    async def ask() -> None:
        await settle()
        supervisor = system.find("/top")
        assert supervisor is not None
        await supervisor.ask(CountChildren())
        answered.append(anyio.current_time() - began)

    spec = SupervisorSpec("top", [stage.child("a", start=[2.0]), stage.child("b", start=[2.0])])
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await system.spawn(partial(Supervisor, spec), id="top")
    assert answered == [pytest.approx(4.0)]


async def test_a_name_taken_by_another_fails_the_start() -> None:
    """A child whose name is held by another proc does not start, and the holder is named."""
    stage = Stage()
    name = Name[object]("account")
    children = [
        stage.child("a", name=name),
        stage.child("b"),
        stage.child("c", name=name),
    ]
    match = r"^c failed to start: NameTaken: name 'account' is taken by /top/a$"
    with pytest.raises(ChildStartFailed, match=match) as caught:
        async with stage.serve(children):
            pass
    assert isinstance(caught.value.__cause__, NameTaken)
    assert stage.take() == ["+a", "+b", "-b", "-a"]


async def test_a_supervisor_without_children_starts_and_stops() -> None:
    """A supervisor may have no children, and starts and stops all the same."""
    stage = Stage()
    async with stage.serve([]) as app:
        assert await stage.states() == {}
    assert (await app.wait()).is_abnormal is False


async def test_a_supervisor_is_itself_a_proc() -> None:
    """A supervisor can be spawned like any proc, and its failed start is like any other."""
    stage = Stage()
    spec = SupervisorSpec("top", [stage.child("a", start=[None, Boom("again")])])
    async with ActorSystem() as system:
        top = await system.spawn(partial(Supervisor, spec), id="top")
        assert await top.shutdown() is not None
        with pytest.raises(ProcExited):
            await top.ask(CountChildren())
        with pytest.raises(StartFailed) as caught:
            await system.spawn(partial(Supervisor, spec), id="top")
    assert isinstance(caught.value.__cause__, ChildStartFailed)


async def test_a_supervisor_killed_in_its_start_takes_all_with_it() -> None:
    """A supervisor that is killed while it starts child 2 of 3 leaves nothing behind."""
    stage = Stage()
    spec = SupervisorSpec("top", [stage.child("a"), stage.child("b", start=[forever])])
    async with ActorSystem() as system, anyio.create_task_group() as tasks:

        async def start() -> None:
            with pytest.raises(StartFailed) as caught:
                await system.spawn(partial(Supervisor, spec), id="top")
            assert caught.value.reason == Killed()

        tasks.start_soon(start)
        await settle()
        supervisor = system.find("/top")
        assert supervisor is not None
        supervisor.kill()
        await settle()
        assert system.snapshot() == ()
    stage.check_gone()


async def test_a_supervisor_does_not_take_another_kind_of_spec() -> None:
    """Each kind of supervisor takes its own kind of spec, and says which."""
    stage = Stage()
    with pytest.raises(TypeError, match=r"^Supervisor wants a SupervisorSpec, not ChildSpec\("):
        Supervisor(stage.child("a"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Supervisor wants a SupervisorSpec, not Dynamic"):
        Supervisor(DynamicSupervisorSpec("d"))  # type: ignore[arg-type]


async def test_only_a_supervisor_can_be_served() -> None:
    """A tree is a supervisor's spec: a worker's is refused."""
    with pytest.raises(TypeError, match=r"^a tree is a SupervisorSpec, not ChildSpec\('a'"):
        async with serve(ChildSpec("a", task(anyio.sleep))):  # type: ignore[arg-type]
            pass


async def test_strangers_cannot_disturb_a_supervisor() -> None:
    """The end of a linked proc that is no child is ignored, whatever its reason."""
    stage = Stage()

    class Stranger(Worker):
        async def on_start(self) -> None:
            self.context.link(stage.top)

        def on_exit(self, exited: Exited) -> None:
            pass

    async with stage.serve([stage.child("a")], max_restarts=0) as app:
        for reason in (Normal(), Crashed(Boom("stranger"))):
            stage.starts.pop("s", None)
            ref = await app.system.spawn(partial(Stranger, stage, "s"))
            stage.refs["s"] = ref
            stage.end("s", reason)
            await settle()
            assert not ref.is_alive
        assert await stage.states() == {"a": "running"}
    assert stage.take() == ["+a", "-a"]

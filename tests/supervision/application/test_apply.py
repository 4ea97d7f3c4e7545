"""Tests of `Application.apply`: a running tree becomes another one, and only what differs moves."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from attrs import evolve

from actors import Actor, Mailbox, Name, ProcExited, Ref, on
from actors.testing import settle
from supervision import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    ChildState,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChildSpec,
    Restart,
    SpecError,
    StartChild,
    Strategy,
    SupervisorSpec,
    TerminateChild,
    Watchdog,
    WhichChildren,
    serve,
)
from tests.kit.applications import Other, Spec, apply, life, other, top
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note, forever

# What crashes a worker, or was in the hand of a supervisor that was killed, is a dead letter.
pytestmark = pytest.mark.dead_letters

# -- each kind of step ---------------------------------------------------------------------------


async def test_nothing_happens_when_nothing_differs() -> None:
    """An equal tree, made anew, gives no steps, and nobody is disturbed."""
    stage = Stage()

    def tree() -> Spec:
        return top(*stage.children("ab"), SupervisorSpec("in", stage.children("c"), max_restarts=9))

    async with stage.serve(tree()) as app:
        stage.take()
        assert await apply(stage, tree()) == []
        assert stage.take() == []
        assert str(await app.apply(tree())) == "/top is as it should be"


async def test_a_changed_start_restarts_at_the_same_address() -> None:
    """The child is started anew, its ref stays valid, and its mail waits."""
    stage = Stage()
    a, b = stage.child("a", stop=1.0), stage.child("b")
    async with stage.serving(top(a, b)) as app:
        ref: Ref[Any] = app.find("a")
        stage.tasks.start_soon(partial(app.apply, top(other(a), b)))
        await settle()
        ref.tell(Note("meanwhile"))
        await anyio.sleep(2.0)
        assert app.find("a") == ref
        assert stage.notes == [("a", 2, "meanwhile")]
        assert await life(stage, "b") == 1
        found = (await app.supervisor.ask(GetChildSpec("a"))).start
        assert isinstance(found, partial)
        assert found.func is Other
        assert [info.restarts for info in await stage.infos()] == [0, 0]


async def test_a_changed_mailbox_replaces_the_address() -> None:
    """A child with another mailbox or name gets a new address; the old one is dead for good."""
    stage = Stage()
    a, b = stage.children("ab")
    async with stage.serve(top(a, b)) as app:
        old: Ref[Any] = app.find("a")
        stage.take()
        bounded = evolve(a, mailbox=Mailbox(capacity=5))
        assert await apply(stage, top(bounded, b)) == [
            "stop /top/a: its mailbox changed",
            "start /top/a: its mailbox changed",
        ]
        assert stage.take() == ["-a", "+a"]
        assert app.find("a").statistics().capacity == 5
        with pytest.raises(ProcExited):
            await old.ask(Life())
        assert list(await stage.states()) == ["a", "b"]


async def test_children_can_swap_names() -> None:
    """All stops come before all starts, so a name is free for its new owner."""
    stage = Stage()
    one, two = Name[Any]("one"), Name[Any]("two")
    a, b = stage.children("ab")
    async with stage.serve(top(evolve(a, name=one), evolve(b, name=two))) as app:
        stage.take()
        await apply(stage, top(evolve(a, name=two), evolve(b, name=one)))
        assert stage.take() == ["-b", "-a", "+a", "+b"]
        assert app.system.whereis(one) == app.find("b")
        assert app.system.whereis(two) == app.find("a")


async def test_options_of_a_child_change_in_place() -> None:
    """New options hold at once: restart type, shutdown, significance, backoff; nobody restarts."""
    stage = Stage()
    a = stage.child("a", stop=forever, shutdown=50.0)
    b = stage.child("b")
    async with stage.serve(top(a, b)):
        stage.take()
        await apply(
            stage,
            top(
                evolve(a, shutdown=2.0),
                evolve(b, restart=Restart.TRANSIENT, significant=True),
                auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
            ),
        )
        assert stage.take() == []
        began = anyio.current_time()
        stage.end("b")
        await stage.app.wait()
        assert anyio.current_time() - began == 2.0
    assert stage.take() == ["-b", "-a"]


async def test_a_changed_backoff_holds_for_the_next_crash() -> None:
    """A backoff that is added or changed delays the next restart."""
    stage = Stage()
    a = stage.child("a")
    async with stage.serve(top(a)):
        await apply(stage, top(evolve(a, backoff=Backoff(3.0, 3.0, jitter=False))))
        stage.take()
        stage.crash("a")
        await anyio.sleep(2.9)
        assert stage.take() == ["-a"]
        await anyio.sleep(0.2)
        assert stage.take() == ["+a"]


async def test_a_changed_strategy_and_budget_hold_at_once() -> None:
    """A supervisor goes on by its new strategy and budget; what was counted stays counted."""
    stage = Stage()
    a, b = stage.children("ab")
    async with stage.dying(top(a, b, max_restarts=5)):
        stage.crash("a")
        await settle()
        stage.take()
        await apply(stage, top(a, b, strategy=Strategy.ONE_FOR_ALL, max_restarts=2))
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-b", "+a", "+b"]
        stage.crash("a")
        await anyio.sleep_forever()
    assert stage.take() == ["-a", "-b"]


async def test_a_changed_own_budget_holds_at_once() -> None:
    """A child's own budget can be given, changed and taken away while it runs."""
    stage = Stage()
    a = stage.child("a")
    async with stage.serve(top(a, max_restarts=50)):
        await apply(stage, top(evolve(a, max_restarts=3, when_spent="park"), max_restarts=50))
        stage.crash("a")
        await settle()
        await apply(stage, top(evolve(a, max_restarts=1, when_spent="park"), max_restarts=50))
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "parked"}
        stage.dead.clear()


async def test_another_order_counts_for_later_rounds_and_stops() -> None:
    """A changed order restarts nobody; the next round and the stop go by it."""
    stage = Stage()
    a, b, c = stage.children("abc")
    async with stage.serve(top(a, b, c, strategy="rest_for_one")):
        stage.take()
        assert await apply(stage, top(c, a, b, strategy="rest_for_one")) == [
            "reorder /top: c, a, b"
        ]
        stage.crash("a")
        await settle()
        assert stage.take() == ["-a", "-b", "+a", "+b"]
    assert stage.take() == ["-b", "-a", "-c"]


async def test_a_dynamic_supervisor_takes_new_limits() -> None:
    """The limit and the budget of a dynamic supervisor change, its children live on."""
    stage = Stage()
    for root in (True, False):
        spec = DynamicSupervisorSpec("top" if root else "jobs", max_children=1)
        async with stage.serve(spec if root else top(spec)) as app:
            jobs: Ref[Any] = app.supervisor if root else app.find("jobs")
            await jobs.ask(StartChild(stage.child("a")))
            new = evolve(spec, max_children=2)
            assert len(await apply(stage, new if root else top(new))) == 1
            assert await life(stage, "a") == 1
            await jobs.ask(StartChild(stage.child("b")))


async def test_only_what_differs_in_a_nested_tree_moves() -> None:
    """Changes far below leave everything else alone, at any depth."""
    stage = Stage()
    a, b, c, d = stage.children("abcd")
    inner = SupervisorSpec("in", [b, SupervisorSpec("deep", [c])])
    async with stage.serve(top(a, inner)):
        stage.take()
        new = SupervisorSpec("in", [b, SupervisorSpec("deep", [other(c), d])])
        await apply(stage, top(a, new))
        assert stage.take() == ["-in/deep/c", "+in/deep/c", "+in/deep/d"]
        assert [await life(stage, id) for id in "abcd"] == [1, 1, 2, 1]


async def test_a_later_restart_of_a_supervisor_brings_the_new_tree() -> None:
    """A supervisor that its parent restarts starts from the new specs, at any depth."""
    stage = Stage()
    a, b, c, d = stage.children("abcd")
    inner = SupervisorSpec("in", [a, SupervisorSpec("deep", [b, c])])
    async with stage.serve(top(inner)) as app:
        new = SupervisorSpec("in", [SupervisorSpec("deep", [d, b], max_restarts=7), a])
        await apply(stage, top(new))
        stage.take()
        app.find("in").kill()
        await settle()
        assert stage.take()[-5:] == ["+in/deep/d", "+in/deep/b", "+in/deep", "+in/a", "+in"]
        assert await apply(stage, top(new)) == []


# -- what was done at run time -------------------------------------------------------------------


async def test_children_added_at_run_time_stay() -> None:
    """A child of StartChild lives on, behind those of the specs, until a spec takes its id."""
    stage = Stage()
    a, b, x = stage.children("abx")
    async with stage.serve(top(a)) as app:
        await app.supervisor.ask(StartChild(x))
        stage.take()
        assert await apply(stage, top(a, b)) == ["start /top/b: new"]
        assert list(await stage.states()) == ["a", "b", "x"]
        assert await apply(stage, top(x, a, b)) == ["reorder /top: x, a, b"]
        assert await apply(stage, top(a, b)) == ["stop /top/x: not in the new tree"]
        assert stage.take() == ["+b", "-x"]


async def test_what_was_ended_on_purpose_stays_down() -> None:
    """Terminated and deleted children are not started by a tree that does not change them."""
    stage = Stage()
    a, b, c = stage.children("abc")
    async with stage.serve(top(a, b, c)) as app:
        await app.supervisor.ask(TerminateChild("a"))
        await app.supervisor.ask(TerminateChild("b"))
        await app.supervisor.ask(DeleteChild("b"))
        stage.take()
        assert await apply(stage, top(a, b, c)) == []
        assert await apply(stage, top(evolve(a, shutdown=1.0), b, c)) != []
        assert stage.take() == []
        assert await stage.states() == {"a": "terminated", "c": "running"}
        await apply(stage, top(other(a), other(b), c))
        assert stage.take() == ["+a", "+b"]
        assert list(await stage.states()) == ["a", "b", "c"]


async def test_a_crash_loop_is_ended_by_a_new_start() -> None:
    """A child that waits for its restart is started by the new spec, at once, with its round."""
    stage = Stage()
    broken = stage.child("b", start=[None, Boom()], backoff=Backoff(1000.0, 1000.0, jitter=False))
    a, c = stage.children("ac")
    options: dict[str, Any] = {"strategy": "one_for_all", "max_restarts": 9}
    async with stage.serve(top(a, broken, c, **options)):
        stage.crash("b")
        await anyio.sleep(1500.0)
        stage.take()
        assert await stage.states() == {"a": "running", "b": "restarting", "c": "terminated"}
        assert await apply(stage, top(a, other(broken), c, **options)) == [
            "update /top/b: its start changed; it is being restarted, and takes the new one"
        ]
        await settle()
        assert stage.take() == ["-a", "+a", "+b", "+c"]


# -- at the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_tree_that_it_cannot_become_is_refused(dry_run: bool) -> None:
    """Another root id, kind or name, or no tree at all, is an error, and nothing is changed."""
    stage = Stage()
    a = stage.child("a")
    async with stage.serve(top(a)) as app:
        stage.take()
        for wrong, field in [
            (SupervisorSpec("other"), "id"),
            (DynamicSupervisorSpec("top"), "kind"),
            (top(name=Name[Any]("n")), "name"),
        ]:
            with pytest.raises(SpecError) as caught:
                await app.apply(wrong, dry_run=dry_run)
            assert caught.value.field == field
        with pytest.raises(TypeError, match="a tree is a SupervisorSpec"):
            await app.apply(a, dry_run=dry_run)
        assert stage.take() == []
        assert await apply(stage, top(a)) == []


LOG: list[str] = []


class Moody(Actor[str]):
    """Write down its starts; the first so many of its restarts fail. Crash when told "crash"."""

    failures = 0

    def __init__(self, name: str, version: int) -> None:
        self.name, self.version = name, version

    async def on_start(self) -> None:
        """Start, or fail."""
        if self.name == "b" and LOG and Moody.failures:
            Moody.failures -= 1
            raise OSError("not yet")
        LOG.append(f"{self.name}{self.version}")

    @on(str)
    async def told(self, message: str) -> None:
        """Crash, or hang."""
        if message == "crash":
            raise ValueError
        await anyio.sleep_forever()


def tree(strategy: Any, *ids: str, version: int = 0) -> SupervisorSpec:
    """Make a tree of children, of which b waits between its restarts."""
    children = [
        ChildSpec(
            id,
            partial(Moody, id, version if id != "b" else 0),
            backoff=Backoff(10.0, 10.0, jitter=False) if id == "b" else None,
        )
        for id in ids
    ]
    return SupervisorSpec("top", children, strategy=strategy, max_restarts=99)


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
async def test_who_waits_for_a_sibling_is_started_by_the_round(strategy: str) -> None:
    """A change starts nobody ahead of one that is being restarted, if that one comes first."""
    LOG.clear()
    async with serve(tree(strategy, "b", "c")) as app:
        Moody.failures = 1
        app.find("b").tell("crash")
        await anyio.sleep(15)  # the restart was due at 10, and failed; the next is due at 20
        states = {child.id: child.state for child in await app.supervisor.ask(WhichChildren())}
        assert states == {"b": ChildState.RESTARTING, "c": ChildState.TERMINATED}
        LOG.clear()
        report = await app.apply(tree(strategy, "b", "c", "d", version=1))
        assert not report.failed
        await settle()
        assert LOG == []
        await anyio.sleep(10)
        assert LOG == ["b0", "c1", "d1"]
        states = {child.id: child.state for child in await app.supervisor.ask(WhichChildren())}
        assert set(states.values()) == {ChildState.RUNNING}


@pytest.mark.parametrize("before", [None, Watchdog(handler=3600.0)])
async def test_a_tighter_watchdog_holds_at_once(before: Watchdog | None) -> None:
    """After a change a child is watched by the new limit, not from the next look of the old on."""
    LOG.clear()

    def watched(watchdog: Watchdog | None) -> SupervisorSpec:
        return top(ChildSpec("a", partial(Moody, "a", 0), watchdog=watchdog))

    async with serve(watched(before)) as app:
        await app.apply(watched(Watchdog(handler=1.0)))
        began = anyio.current_time()
        app.find("a").tell("hang")
        await app.find("a").wait()
        assert 1.0 <= anyio.current_time() - began <= 1.5

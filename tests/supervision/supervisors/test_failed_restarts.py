"""Tests of restarts whose start fails: retried through the mailbox, never in a loop."""

import anyio
import pytest

from actors import Normal
from actors.testing import settle
from supervision import (
    ChildExists,
    ChildRestarting,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from supervision.events import RestartFailed
from tests.supervision.kit import Boom, Note, Stage, Worker

pytestmark = pytest.mark.dead_letters


def ask_between(stage: Stage, asked: list[str], *requests: object) -> list[object]:
    """Return a step that queues requests behind its own start, then fails it."""

    async def ask(request: object) -> None:
        try:
            answer = await stage.top.ask(request)  # type: ignore[arg-type]
            asked.append(f"{type(request).__name__}: {answer}")
        except Exception as error:
            asked.append(f"{type(error).__name__}: {error}")

    async def fail(worker: Worker) -> None:
        for request in requests:
            stage.tasks.start_soon(ask, request)
        await anyio.sleep(0.5)
        raise Boom("again")

    return [None, fail]


async def look(stage: Stage, seen: list[dict[str, str]]) -> None:
    """Ask for the states of all children; the answer comes when the supervisor has time."""
    infos = await stage.top.ask(WhichChildren())
    seen.append({info.id: str(info.state) for info in infos})


async def test_a_failed_restart_does_not_end_the_supervisor() -> None:
    """A restart that fails is tried again, until one succeeds."""
    stage = Stage()
    starts = [None, Boom("1"), Boom("2"), None]
    async with stage.serve([stage.child("a", start=starts)], max_restarts=3):
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "-a", "!a", "!a", "+a"]
        assert await stage.states() == {"a": "running"}
    assert [str(event.reason) for event in stage.told(RestartFailed)] == [
        "crashed: Boom: 1",
        "crashed: Boom: 2",
    ]


async def test_a_supervisor_serves_its_mail_between_attempts() -> None:
    """The next try is queued behind the mail that waits, so a supervisor is never deaf."""
    stage = Stage()
    states: list[dict[str, str]] = []

    async def fail_with_mail(worker: Worker) -> None:
        stage.tasks.start_soon(look, stage, states)
        await anyio.sleep(1.0)
        raise Boom("again")

    children = [stage.child("a", start=[None, fail_with_mail, fail_with_mail]), stage.child("b")]
    async with stage.serving(children, max_restarts=3):
        stage.crash("a")
        await anyio.sleep(3.0)
        await settle()
        assert await stage.states() == {"a": "running", "b": "running"}
    assert states == [{"a": "restarting", "b": "running"}] * 2


async def test_two_restarting_children_take_turns() -> None:
    """Under one_for_one two children that fail to restart are tried in turn, each alone."""
    stage = Stage()
    children = [stage.child(id, start=[None, Boom(), Boom()]) for id in "ab"]
    async with stage.serve(children, max_restarts=10):
        async with stage.busy():
            stage.crash("a")
            await settle()
            stage.crash("b")
            await settle()
            stage.take()
        assert stage.take() == ["!a", "!b", "!a", "!b", "+a", "+b"]


async def test_one_for_all_begins_the_whole_round_again() -> None:
    """Siblings started in a failed one_for_all round stay up until the retry stops them."""
    stage = Stage()
    seen: list[dict[str, str]] = []

    async def fail(worker: Worker) -> None:
        stage.tasks.start_soon(look, stage, seen)
        await anyio.sleep(1.0)
        raise Boom("b")

    children = [stage.child("a"), stage.child("b", start=[None, fail]), stage.child("c")]
    async with stage.serving(children, strategy="one_for_all"):
        stage.take()
        stage.crash("c")
        await anyio.sleep(2.0)
        assert stage.take() == ["-c", "-b", "-a", "+a", "!b", "-a", "+a", "+b", "+c"]
    assert seen == [{"a": "running", "b": "restarting", "c": "terminated"}]


async def test_rest_for_one_goes_on_at_the_child_that_failed() -> None:
    """Under rest_for_one the retry begins at the failed child; those before it stay up."""
    stage = Stage()
    children = [
        stage.child("a"),
        stage.child("b"),
        stage.child("c", start=[None, Boom("c")]),
        stage.child("d"),
    ]
    async with stage.serve(children, strategy="rest_for_one"):
        stage.take()
        stage.crash("b")
        await settle()
        assert stage.take() == ["-b", "-d", "-c", "+b", "!c", "+c", "+d"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_terminating_a_restarting_child_cancels_the_retry(strategy: str) -> None:
    """`TerminateChild` on a restarting child is fine, and its pending retry is void."""
    stage = Stage()
    asked: list[str] = []
    starts = ask_between(stage, asked, TerminateChild("b"))
    children = [stage.child("a"), stage.child("b", start=starts), stage.child("c")]  # type: ignore[arg-type]
    async with stage.serving(children, strategy=strategy, max_restarts=1):
        stage.crash("b")
        await anyio.sleep(1.0)
        assert asked == ["TerminateChild: None"]
        after = {"one_for_one": "running"}.get(strategy, "terminated")
        assert await stage.states() == {"a": "running", "b": "terminated", "c": after}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_those_who_waited_behind_stay_down(strategy: str) -> None:
    """Siblings that waited behind a cancelled retry stay down until something restarts them."""
    stage = Stage()
    starts = ask_between(stage, [], TerminateChild("a"))
    children = [stage.child("a", start=starts), stage.child("b"), stage.child("c")]  # type: ignore[arg-type]
    async with stage.serving(children, strategy=strategy, max_restarts=2):
        stage.crash("a")
        await anyio.sleep(1.0)
        assert await stage.states() == {"a": "terminated", "b": "terminated", "c": "terminated"}
        stage.refs["b"].tell(Note("x"))
        assert stage.take_dead() == [("x", "its restart was given up")]
        await stage.top.ask(RestartChild("b"))
        await stage.top.ask(RestartChild("c"))
        assert await stage.states() == {"a": "terminated", "b": "running", "c": "running"}
        stage.crash("b")
        await settle()
        revived = "running" if strategy == "one_for_all" else "terminated"
        assert await stage.states() == {"a": revived, "b": "running", "c": "running"}


async def test_the_mail_of_a_waiting_sibling_is_kept() -> None:
    """A sibling that waits behind a failing restart keeps its mail, and gets it in the end."""
    stage = Stage()

    def fail(worker: Worker) -> None:
        stage.refs["a"].tell(Note("to the failing one"))
        stage.refs["b"].tell(Note("to the waiting one"))
        raise Boom

    children = [stage.child("a", start=[None, fail, Boom()]), stage.child("b")]
    async with stage.serve(children, strategy="one_for_all", max_restarts=5):
        stage.crash("a")
        await settle()
    assert sorted(stage.notes) == [("a", 4, "to the failing one"), ("b", 2, "to the waiting one")]


async def test_what_is_refused_while_a_child_is_restarting() -> None:
    """A restarting child can be neither restarted, deleted, nor started once more."""
    stage = Stage()
    asked: list[str] = []
    requests = (
        RestartChild("a"),
        DeleteChild("a"),
        StartChild(stage.child("a")),
        CountChildren(),
    )
    starts = ask_between(stage, asked, *requests)
    async with stage.serving([stage.child("a", start=starts)], max_restarts=5):  # type: ignore[arg-type]
        stage.crash("a")
        await anyio.sleep(1.0)
    assert sorted(asked) == [
        "ChildExists: child 'a' is already present but not running; restart or delete it",
        "ChildRestarting: child 'a' is being restarted; terminate it first",
        "ChildRestarting: child 'a' is being restarted; terminate it first",
        "CountChildren: ChildCounts(specs=1, active=0, supervisors=0, workers=1)",
    ]
    assert ChildExists("a", None).ref is None
    assert ChildRestarting("a").id == "a"


async def test_a_child_started_between_attempts_moves_with_the_retry() -> None:
    """A new child is started at once between attempts, and restarted by a one_for_all retry."""
    stage = Stage()
    starts = ask_between(stage, [], StartChild(stage.child("new")))
    async with stage.serving(
        [stage.child("a", start=starts)],  # type: ignore[arg-type]
        strategy="one_for_all",
        max_restarts=5,
    ):
        stage.crash("a")
        await anyio.sleep(1.0)
        assert stage.take() == ["+a", "-a", "!a", "+new", "-new", "+a", "+new"]


async def test_a_waiting_sibling_can_be_deleted() -> None:
    """A sibling that waits behind a retry can be deleted, and is then left out."""
    stage = Stage()
    starts = ask_between(stage, [], DeleteChild("b"))
    children = [stage.child("a", start=starts), stage.child("b"), stage.child("c")]  # type: ignore[arg-type]
    async with stage.serving(children, strategy="one_for_all", max_restarts=5):
        stage.take()
        stage.crash("a")
        await anyio.sleep(1.0)
        assert stage.take() == ["-a", "-c", "-b", "!a", "+a", "+c"]


async def test_a_waiting_sibling_that_was_restarted_by_request_moves_again() -> None:
    """A waiting sibling can be started by request; the retry stops it and starts it in its turn."""
    stage = Stage()
    starts = ask_between(stage, [], RestartChild("b"))
    children = [stage.child("a", start=starts), stage.child("b")]  # type: ignore[arg-type]
    async with stage.serving(children, strategy="rest_for_one", max_restarts=5):
        stage.take()
        stage.crash("a")
        await anyio.sleep(1.0)
        assert stage.take() == ["-a", "-b", "!a", "+b", "-b", "+a", "+b"]


async def test_another_round_makes_a_pending_retry_void() -> None:
    """When another child's round brings the restarting one back, its own retry does nothing."""
    stage = Stage()

    async def fail(worker: Worker) -> None:
        stage.crash("a")
        await anyio.sleep(0.5)
        raise Boom("b")

    children = [stage.child("a"), stage.child("b", start=[None, fail]), stage.child("c")]
    async with stage.serve(children, strategy="rest_for_one", max_restarts=2):
        stage.take()
        stage.crash("b")
        await anyio.sleep(1.0)
        assert set((await stage.states()).values()) == {"running"}
        assert stage.take() == ["-b", "-c", "-a", "!b", "+a", "+b", "+c"]


async def test_a_stop_is_obeyed_between_attempts() -> None:
    """A supervisor that is told to stop while a child is restarting tries no more."""
    stage = Stage()

    async def fail(worker: Worker) -> None:
        await anyio.sleep(1.0)
        raise Boom

    children = [stage.child("a", start=[None, *[fail] * 100]), stage.child("b")]
    async with stage.serve(children, max_restarts=100):
        stage.crash("a")
        await anyio.sleep(0.5)
    assert stage.take() == ["+a", "+b", "-a", "!a", "-b"]


async def test_a_nested_supervisor_is_retried_like_a_worker() -> None:
    """Each retry of a nested supervisor starts its subtree from the first child."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x"), stage.child("y", start=[None, Boom(), Boom()])])
    async with stage.serve([stage.child("a"), inner], max_restarts=3) as app:
        stage.take()
        app.find("in").kill()
        await settle()
        trace = stage.take()
        assert trace[:3] in (["-in/y", "-in/x", "-in"], ["-in/x", "-in/y", "-in"])
        failed = ["+in/x", "!in/y", "-in/x", "!in"]
        assert trace[3:] == [*failed, *failed, "+in/x", "+in/y", "+in"]


async def test_a_start_that_hangs_in_a_restart_is_bounded_by_its_timeout() -> None:
    """A restart that does not get ready within `start_timeout` counts as failed."""
    stage = Stage()
    child = stage.child("a", start=[None, 100.0, 100.0, 100.0], start_timeout=1.0)
    async with stage.dying([child], max_restarts=2) as app:
        began = anyio.current_time()
        stage.crash("a")
        await app.wait()
    assert anyio.current_time() - began == pytest.approx(2.0)
    assert stage.take() == ["+a", "-a", "!a", "!a"]


async def test_a_restart_may_end_well_at_once() -> None:
    """A transient child that ends well right after its restart stays down."""
    stage = Stage()
    starts = [None, lambda worker: worker.context.stop(Normal())]
    async with stage.serve([stage.child("a", start=starts, restart="transient")]):
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "-a", "+a", "-a"]
        assert await stage.states() == {"a": "terminated"}

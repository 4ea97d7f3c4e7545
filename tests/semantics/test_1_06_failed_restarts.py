"""OTP 1.6: what a supervisor does when the start fails in a restart."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Request
from actors.testing import settle
from supervision import (
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
)
from supervision.events import RestartFailed
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    A_MOMENT,
    ROUNDS,
    STRATEGIES,
    answer_to,
    end_of,
    ends,
    exits,
    failing_after,
    retries_done,
    starts,
)
from tests.kit.workers import Step, Worker

pytestmark = pytest.mark.dead_letters


async def look(stage: Stage, seen: list[dict[str, str]]) -> None:
    """Ask for the states of all children; the answer comes when the supervisor has time."""
    infos = await stage.top.ask(WhichChildren(), timeout=None)
    seen.append({info.id: str(info.state) for info in infos})


def failing_seen(stage: Stage, seen: list[dict[str, str]]) -> Step:
    """Return a step that fails, after asking how things stand between the attempts."""

    async def fail(worker: Worker) -> None:
        stage.tasks.start_soon(look, stage, seen)
        await anyio.sleep(A_MOMENT)
        raise Boom(f"{worker.id} does not start")

    return fail


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_6_1_a_failed_restart_does_not_end_the_supervisor(strategy: str) -> None:
    """A restart that fails is tried again, until one succeeds, and no time passes between."""
    stage = Stage()
    tree = [stage.child("a", start=[None, Boom("1"), Boom("2"), Boom("3")])]
    async with stage.serve(tree, strategy=strategy, max_restarts=4):
        began = anyio.current_time()
        stage.crash("a")
        await settle()
        assert anyio.current_time() == began
        assert stage.take() == ["+a", "-a", "!a", "!a", "!a", "+a"]
        assert await stage.states() == {"a": "running"}
    assert [str(event.reason) for event in stage.told(RestartFailed)] == [
        f"crashed: Boom: {number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_6_1_mail_is_served_between_attempts(strategy: str) -> None:
    """The next attempt goes to the end of the mailbox: what waits there is served before."""
    stage = Stage()
    seen: list[dict[str, str]] = []
    fail = failing_seen(stage, seen)
    tree = [stage.child("a", start=[None, fail, fail]), stage.child("b")]
    async with stage.serving(tree, strategy=strategy, max_restarts=3):
        stage.crash("a")
        await retries_done()
        behind = "running" if strategy == "one_for_one" else "terminated"
        assert seen == [{"a": "restarting", "b": behind}] * 2
        assert await stage.states() == {"a": "running", "b": "running"}


@pytest.mark.parametrize("kind", ["supervisor", "dynamic"])
async def test_1_6_2_two_restarting_children_take_turns(kind: str) -> None:
    """Two children that fail to restart are tried in turn, each alone."""
    stage = Stage()
    spec = SupervisorSpec if kind == "supervisor" else DynamicSupervisorSpec
    async with stage.serve(spec("top", max_restarts=10)):
        for id in "ab":
            await stage.top.ask(StartChild(stage.child(id, start=[None, Boom(), Boom()])))
        async with stage.busy():
            for id in "ba":
                stage.crash(id)
                await settle()
            stage.take()
        assert stage.take() == ["!b", "!a", "!b", "!a", "+b", "+a"]


async def test_1_6_3_one_for_all_begins_the_whole_round_again() -> None:
    """Siblings started in a failed round stay up until the retry, which starts all over."""
    stage = Stage()
    seen: list[dict[str, str]] = []
    tree = [
        *stage.children("ab"),
        stage.child("c", start=[None, failing_seen(stage, seen)]),
        stage.child("d"),
    ]
    async with stage.serving(tree, strategy="one_for_all"):
        stage.take()
        stage.crash("b")
        await retries_done()
        first = [*ends("bdca"), *starts("ab"), "!c"]
        assert stage.take() == [*first, *ends("ba"), *starts("abcd")]
    assert seen == [{"a": "running", "b": "running", "c": "restarting", "d": "terminated"}]


async def test_1_6_3_the_retry_is_a_round_of_the_child_that_failed() -> None:
    """The child that failed is not stopped again by the retry, the one that crashed first is."""
    stage = Stage()
    tree = [stage.child("a"), stage.child("b"), stage.child("c", start=[None, Boom(), Boom()])]
    async with stage.serve(tree, strategy="one_for_all"):
        stage.take()
        stage.crash("a")
        await settle()
        again = [*starts("ab"), "!c", *ends("ba")]
        assert stage.take() == [*ends("acb"), *again, *again, *starts("abc")]
    assert exits(stage) == ["a: restart"]


async def test_1_6_4_rest_for_one_goes_on_at_the_child_that_failed() -> None:
    """The retry begins at the failed child, and those started before it in the round stay up."""
    stage = Stage()
    seen: list[dict[str, str]] = []
    fail = failing_seen(stage, seen)
    tree = [
        *stage.children("ab"),
        stage.child("c", start=[None, fail, fail]),
        stage.child("d", start=[None, Boom()]),
        stage.child("e"),
    ]
    async with stage.serving(tree, strategy="rest_for_one", max_restarts=4):
        stage.take()
        stage.crash("b")
        await retries_done()
        assert stage.take() == [*ends("bedc"), "+b", "!c", "!c", "+c", "!d", "+d", "+e"]
    up = {"a": "running", "b": "running"}
    assert seen == [{**up, "c": "restarting", "d": "terminated", "e": "terminated"}] * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_6_5_terminating_a_restarting_child_voids_the_retry(strategy: str) -> None:
    """`TerminateChild` on a restarting child is answered with None, and it is not tried again."""
    stage = Stage()
    answers: list[str] = []
    fail = failing_after(stage, answers, TerminateChild("b"), TerminateChild("b"))
    tree = [stage.child("a"), stage.child("b", start=[None, fail]), stage.child("c")]
    async with stage.serving(tree, strategy=strategy, max_restarts=1):
        stage.take()
        stage.crash("b")
        await retries_done()
        assert answers == ["None", "None"]
        behind = "running" if strategy == "one_for_one" else "terminated"
        assert await stage.states() == {"a": "running", "b": "terminated", "c": behind}
        assert stage.take().count("!b") == 1
        assert await answer_to(stage.top, RestartChild("b")) == "/top/b"


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_6_5_those_who_waited_behind_stay_down(strategy: str) -> None:
    """Siblings that waited behind a voided retry stay down until something restarts them."""
    stage = Stage()
    fail = failing_after(stage, [], TerminateChild("a"))
    tree = [stage.child("a", start=[None, fail]), *stage.children("bc")]
    async with stage.serving(tree, strategy=strategy, max_restarts=2):
        stage.crash("a")
        await anyio.sleep(60.0)
        assert await stage.states() == {"a": "terminated", "b": "terminated", "c": "terminated"}
        assert await answer_to(stage.top, RestartChild("b")) == "/top/b"
        assert await stage.states() == {"a": "terminated", "b": "running", "c": "terminated"}
        stage.take()
        stage.crash("b")
        await retries_done()
        assert stage.take() == ["-b", *starts("abc" if strategy == "one_for_all" else "bc")]


async def test_1_6_5_a_dynamic_child_that_is_terminated_while_restarting_is_gone() -> None:
    """A restarting dynamic child that is terminated is gone, and its id free at once."""
    stage = Stage()
    answers: list[str] = []
    again = StartChild(stage.child("a"))
    async with stage.serving(DynamicSupervisorSpec("top", max_restarts=1)):
        fail = failing_after(stage, answers, TerminateChild("a"), CountChildren(), again)
        await stage.top.ask(StartChild(stage.child("a", start=[None, fail])))
        stage.crash("a")
        await retries_done()
        none = "ChildCounts(specs=0, active=0, supervisors=0, workers=0)"
        assert answers == ["None", none, "/top/a"]
        assert stage.take() == ["+a", "-a", "!a", "+a"]


@pytest.mark.parametrize(
    ("request_type", "answer"),
    [(RestartChild, "ChildRestarting"), (DeleteChild, "ChildRestarting"), (None, "ChildExists")],
)
async def test_1_6_6_what_is_refused_while_restarting(
    request_type: type[RestartChild | DeleteChild] | None, answer: str
) -> None:
    """A restarting child can be neither restarted, nor deleted, nor started once more."""
    stage = Stage()
    answers: list[str] = []
    request: Request[Any] = (
        StartChild(stage.child("a")) if request_type is None else request_type("a")
    )
    fail = failing_after(stage, answers, request)
    async with stage.serving([stage.child("a", start=[None, fail, fail])], max_restarts=3):
        stage.crash("a")
        await retries_done()
        assert answers == [answer] * 2
        assert stage.take() == ["+a", "-a", "!a", "!a", "+a"]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_6_7_a_child_started_between_attempts_moves_with_the_retry(strategy: str) -> None:
    """A child added between attempts starts at once, then takes part in the retry of the round."""
    stage = Stage()
    answers: list[str] = []
    fail = failing_after(stage, answers, StartChild(stage.child("n")))
    async with stage.serving([stage.child("a", start=[None, fail])], strategy=strategy):
        stage.crash("a")
        await retries_done()
        moved = ["+a"] if strategy == "one_for_one" else ["-n", "+a", "+n"]
        assert stage.take() == ["+a", "-a", "!a", "+n", *moved]
        assert answers == ["/top/n"]
        assert list(await stage.states()) == ["a", "n"]


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_6_7_a_waiting_sibling_can_be_deleted(strategy: str) -> None:
    """A sibling that waits behind a retry can be deleted, and is left out of it."""
    stage = Stage()
    answers: list[str] = []
    fail = failing_after(stage, answers, DeleteChild("b"))
    tree = [stage.child("a", start=[None, fail]), *stage.children("bc")]
    async with stage.serving(tree, strategy=strategy):
        stage.take()
        stage.crash("a")
        await retries_done()
        assert answers == ["None"]
        assert stage.take() == [*ends("acb"), "!a", *starts("ac")]
        assert await stage.states() == {"a": "running", "c": "running"}


@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_6_8_another_round_makes_the_old_retry_void(strategy: str) -> None:
    """If another child's round restarts the restarting one too, its old retry does nothing."""
    stage = Stage()
    fail = failing_after(stage, [], then=lambda worker: stage.crash("a"))
    tree = [stage.child("a"), stage.child("b", start=[None, fail]), stage.child("c")]
    async with stage.serving(tree, strategy=strategy, max_restarts=2):
        stage.take()
        stage.crash("b")
        await retries_done()
        first = ["-b", "-c", "-a", "+a"] if strategy == "one_for_all" else ["-b", "-c"]
        assert stage.take() == [*first, "-a", "!b", *starts("abc")]
        assert set((await stage.states()).values()) == {"running"}
        await anyio.sleep(60.0)
        assert stage.take() == []
    assert exits(stage) == ["b: restart", "a: restart"]


async def test_1_6_8_it_is_void_also_when_that_round_fails() -> None:
    """If that round fails before it comes to the restarting child, this one waits behind it."""
    stage = Stage()
    seen: list[dict[str, str]] = []
    fail = failing_after(stage, [], then=lambda worker: stage.crash("a"))
    tree = [
        stage.child("a", start=[None, failing_seen(stage, seen)]),
        stage.child("b", start=[None, fail]),
        stage.child("c"),
    ]
    async with stage.serving(tree, strategy="rest_for_one", max_restarts=3):
        stage.take()
        stage.crash("b")
        await retries_done()
        assert stage.take() == [*ends("bca"), "!b", "!a", *starts("abc")]
    assert seen == [{"a": "restarting", "b": "terminated", "c": "terminated"}]


async def test_1_6_8_under_one_for_one_each_has_its_own_restart() -> None:
    """A child that dies while a sibling is restarting is restarted itself, and both come back."""
    stage = Stage()
    fail = failing_after(stage, [], then=lambda worker: stage.crash("b"))
    tree = [stage.child("a", start=[None, fail, Boom()]), stage.child("b")]
    async with stage.serving(tree, max_restarts=4):
        stage.take()
        stage.crash("a")
        await retries_done()
        assert stage.take() == ["-a", "-b", "!a", "+b", "!a", "+a"]
        assert await stage.states() == {"a": "running", "b": "running"}


async def test_1_6_8_a_round_behind_the_restarting_child_leaves_its_retry_alone() -> None:
    """A rest_for_one round that does not reach the restarting child leaves its retry pending."""
    stage = Stage()

    async def crash_b(worker: Worker) -> None:
        stage.crash("b")
        await anyio.sleep(A_MOMENT)

    start_n = StartChild(stage.child("n", start=[crash_b]))
    fail = failing_after(stage, [], RestartChild("b"), start_n)
    tree = [stage.child("a", start=[None, fail]), stage.child("b"), stage.child("c")]
    async with stage.serving(tree, strategy="rest_for_one", max_restarts=3):
        stage.take()
        stage.crash("a")
        await retries_done()
        asked = ["+b", "-b", "+n"]  # b, started by request, crashes while n is starting
        round = ["-n", *starts("bcn")]
        assert stage.take() == [*ends("acb"), "!a", *asked, *round, *ends("ncb"), *starts("abcn")]


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_1_6_9_a_stop_is_obeyed_between_attempts(strategy: str) -> None:
    """A supervisor told to stop while a child is restarting tries no more, and stops the rest."""
    stage = Stage()

    async def fail(worker: Worker) -> None:
        await anyio.sleep(1.0)
        raise Boom

    tree = [stage.child("a"), stage.child("b", start=[None, *[fail] * 99]), stage.child("c")]
    async with stage.serve(tree, strategy=strategy, max_restarts=99):
        stage.take()
        stage.crash("b")
        await anyio.sleep(2.5)
        stage.take()
    last = {"one_for_one": "ca", "one_for_all": "a", "rest_for_one": "a"}[strategy]
    assert stage.take() == ["!b", *ends(last)]


async def test_1_6_10_a_nested_supervisor_is_retried_from_its_first_child() -> None:
    """A nested supervisor is tried again from its first child, and each try is counted."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x"), stage.child("y", start=[None, Boom(), Boom()])])
    async with stage.dying([stage.child("a"), inner], max_restarts=3) as app:
        stage.take()
        app.find("in").kill()
        await settle()
        failed = ["+in/x", "!in/y", "-in/x", "!in"]
        assert stage.take()[3:] == [*failed, *failed, "+in/x", "+in/y", "+in"]
        assert await stage.states() == {"a": "running", "in": "running"}
        stage.crash("a")
        await end_of(app)

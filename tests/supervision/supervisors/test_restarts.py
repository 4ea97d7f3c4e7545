"""Tests of what happens when one child ends by itself: restart types, exits, and its mail."""

import anyio
import pytest

from actors import (
    Crashed,
    ExitReason,
    Killed,
    LinkBroken,
    Mailbox,
    Name,
    Normal,
    Overflow,
    ProcExited,
    Shutdown,
)
from actors.testing import settle
from supervision import Restart, RestartChild, TerminateChild
from supervision.events import ChildExited, ChildRestarted, Next
from tests.supervision.kit import Boom, Life, Note, Stage

pytestmark = pytest.mark.dead_letters

GOOD: list[ExitReason] = [Normal(), Shutdown(), Shutdown("done for today")]
BAD: list[ExitReason] = [Crashed(Boom("bad")), Killed()]


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
async def test_a_permanent_child_is_always_restarted(reason: ExitReason) -> None:
    """A permanent child is restarted whatever its exit reason, and each restart counts."""
    stage = Stage()
    async with stage.serve([stage.child("a")]):
        stage.end("a", reason)
        await settle()
        assert stage.take() == ["+a", "-a", "+a"]
        assert [info.restarts for info in await stage.infos()] == [1]
    assert stage.told(ChildExited)[0].reason == reason


@pytest.mark.parametrize("reason", BAD, ids=str)
async def test_a_transient_child_is_restarted_after_an_abnormal_exit(reason: ExitReason) -> None:
    """A transient child is restarted after an abnormal exit; being killed is one."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient")]):
        stage.end("a", reason)
        await settle()
        assert stage.take() == ["+a", "-a", "+a"]


@pytest.mark.parametrize("reason", GOOD, ids=str)
async def test_a_transient_child_that_ended_well_is_kept_but_not_restarted(
    reason: ExitReason,
) -> None:
    """A transient child that ended well is not restarted; its spec is kept for `RestartChild`."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="transient")], max_restarts=0):
        stage.end("a", reason)
        await settle()
        assert await stage.states() == {"a": "terminated"}
        await stage.top.ask(RestartChild("a"))
        assert stage.take() == ["+a", "-a", "+a"]


@pytest.mark.parametrize("reason", [*GOOD, *BAD], ids=str)
async def test_a_temporary_child_is_never_restarted(reason: ExitReason) -> None:
    """A temporary child is removed after any exit, which does not count."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart="temporary")], max_restarts=0):
        stage.end("a", reason)
        await settle()
        assert await stage.states() == {}
    assert stage.take() == ["+a", "-a"]
    assert stage.told(ChildExited)[0].next is Next.REMOVE


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_exits_that_need_no_restart_touch_no_sibling(strategy: str) -> None:
    """Neither any exit of a temporary child nor a good one of a transient moves a sibling."""
    stage = Stage()
    children = [
        stage.child("t", restart="temporary"),
        stage.child("u", restart="temporary"),
        stage.child("n", restart="transient"),
        stage.child("z"),
    ]
    async with stage.serve(children, strategy=strategy, max_restarts=0):
        stage.take()
        stage.crash("t")
        await settle()
        stage.refs["u"].kill()
        stage.end("n", Shutdown("detail"))
        await settle()
        assert sorted(stage.take()) == ["-n", "-t", "-u"]
        assert await stage.states() == {"n": "terminated", "z": "running"}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_normal_exit_of_a_permanent_child_triggers_the_strategy(strategy: str) -> None:
    """A permanent child that ends normally triggers the full strategy, and counts."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), strategy=strategy):
        stage.end("a")
        await settle()
        assert stage.take() == ["+a", "+b", "-a", "-b", "+a", "+b"]


async def test_an_incarnation_begins_afresh_and_the_address_stays() -> None:
    """A restart calls the factory anew, while ref and path stay the same."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        before = app.find("a")
        assert await before.ask(Life()) == 1
        stage.crash("a")
        await settle()
        assert await before.ask(Life()) == 2
        assert app.find("a") == before
        assert before.is_alive


async def test_a_stale_exit_does_not_touch_the_new_incarnation() -> None:
    """An exit counts only for its own incarnation, even when it is seen after the next start."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), strategy="one_for_all", max_restarts=1):
        async with stage.busy():
            # Both exits wait; the round of the first replaces both procs.
            stage.crash("a")
            await settle()
            stage.crash("b")
            await settle()
        assert stage.take() == ["+a", "+b", "-a", "-b", "+a", "+b"]
        assert await stage.states() == {"a": "running", "b": "running"}


async def test_an_exit_of_a_terminated_and_restarted_child_is_not_handled_twice() -> None:
    """A child that dies just before it is terminated is not restarted by its old exit."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), max_restarts=0):
        stage.stops["a"] = Boom("a")
        await stage.top.ask(TerminateChild("a"))
        await stage.top.ask(RestartChild("a"))
        await settle()
        assert stage.take() == ["+a", "+b", "-a", "+a"]
        stage.stops["a"] = None


async def test_mail_is_kept_across_a_restart() -> None:
    """What is queued at a crash is handled by the next incarnation, in order."""
    stage = Stage()
    async with stage.serve([stage.child("a")]):
        stage.crash("a")
        for text in "xyz":
            stage.refs["a"].tell(Note(text))
        await settle()
    assert stage.notes == [("a", 2, "x"), ("a", 2, "y"), ("a", 2, "z")]


async def test_mail_is_dropped_at_a_restart_when_the_mailbox_says_so() -> None:
    """With `on_restart="drop"` queued messages become dead letters at the restart."""
    stage = Stage()
    async with stage.serve([stage.child("a", mailbox=Mailbox(on_restart="drop"))]):
        stage.crash("a")
        stage.refs["a"].tell(Note("x"))
        await settle()
        stage.refs["a"].tell(Note("y"))
        await settle()
        assert [text for text, _ in stage.take_dead()] == ["x"]
    assert stage.notes == [("a", 2, "y")]


async def test_a_request_waits_for_the_next_incarnation() -> None:
    """A request that is queued at a crash is answered by the next incarnation."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, 3.0])]):
        stage.crash("a")
        assert await stage.refs["a"].ask(Life()) == 2


async def test_the_asker_of_the_request_in_hand_gets_the_crash() -> None:
    """The request in hand at a crash fails its asker at once, with the crash as cause."""
    stage = Stage()

    async with stage.serve([stage.child("a")]):
        crash = Boom("in hand")
        stage.answers["a"] = crash
        with pytest.raises(ProcExited, match=r"^/top/a ended before it answered Life") as caught:
            await stage.refs["a"].ask(Life())
        assert caught.value.__cause__ is crash
        assert [event.message for event in stage.dead] == [Life()]
        stage.take_dead()


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_the_mail_of_a_child_that_ended_for_good_becomes_dead_letters(restart: str) -> None:
    """When a child ends for good its queued messages become dead letters and requests fail."""
    stage = Stage()
    async with stage.serve([stage.child("a", restart=restart)]):
        ref = stage.refs["a"]
        stage.end("a")
        ref.tell(Note("behind"))
        with pytest.raises(ProcExited, match=r"^/top/a ended before it answered Life: normal$"):
            await ref.ask(Life())
        ref.tell(Note("later"))
        why = "ended (normal)"
        assert stage.take_dead() == [("behind", why), ("Life", why), ("later", why)]
        with pytest.raises(ProcExited):
            await ref.ask(Life())


async def test_the_mail_of_a_terminated_child_becomes_dead_letters() -> None:
    """While a child is terminated its mail becomes dead letters; `RestartChild` re-opens it."""
    stage = Stage()
    async with stage.serve([stage.child("a")]) as app:
        ref = stage.refs["a"]
        await app.supervisor.ask(TerminateChild("a"))
        ref.tell(Note("x"))
        with pytest.raises(ProcExited):
            await ref.ask(Life())
        assert stage.take_dead() == [("x", "terminated")]
        await app.supervisor.ask(RestartChild("a"))
        ref.tell(Note("y"))
        assert await ref.ask(Life()) == 2
    assert stage.notes == [("a", 2, "y")]


async def test_a_name_is_kept_across_a_restart_and_free_while_terminated() -> None:
    """A name finds the same address through restarts, and nothing while it is terminated."""
    stage = Stage()
    name = Name[Life]("account")
    async with stage.serve([stage.child("a", name=name, start=[None, 1.0])]) as app:
        stage.crash("a")
        await settle()
        assert app.system.whereis(name) == stage.refs["a"]
        await anyio.sleep(1.0)
        assert app.system.whereis(name) == stage.refs["a"]
        await app.supervisor.ask(TerminateChild("a"))
        assert app.system.whereis(name) is None
        await app.supervisor.ask(RestartChild("a"))
        assert app.system.whereis(name) == stage.refs["a"]


async def test_a_bounded_mailbox_keeps_its_senders_waiting_through_a_restart() -> None:
    """Senders that wait for room in a mailbox are let in by the next incarnation."""
    stage = Stage()
    box = Mailbox(capacity=1, overflow=Overflow.WAIT)
    async with stage.serve([stage.child("a", mailbox=box, start=[None, 1.0])]):
        stage.crash("a")
        async with anyio.create_task_group() as tasks:
            for text in "xyz":
                tasks.start_soon(stage.refs["a"].send, Note(text))
        await settle()
    assert sorted(stage.notes) == [("a", 2, "x"), ("a", 2, "y"), ("a", 2, "z")]


async def test_a_linked_sibling_of_a_crashed_child_ends_with_it() -> None:
    """A child that linked itself to a sibling crashes with it, and both are restarted."""
    stage = Stage()
    async with stage.serve(stage.children("ab")):
        stage.act("b", lambda worker: worker.context.link(stage.refs["a"]))
        await settle()
        stage.crash("a")
        await settle()
        assert sorted(stage.take()[2:]) == ["+a", "+b", "-a", "-b"]
    reasons = {event.ref.path: event.reason for event in stage.told(ChildExited)}
    assert isinstance(reasons["/top/b"], Crashed)
    assert isinstance(reasons["/top/b"].error, LinkBroken)


async def test_a_child_that_unlinks_itself_is_still_supervised() -> None:
    """A child cannot leave its supervisor by unlinking it: it is restarted, and stopped."""
    stage = Stage()
    async with stage.serve(stage.children("ab")):
        stage.act("a", lambda worker: worker.context.unlink(stage.top))
        stage.crash("a")
        await settle()
        assert stage.take() == ["+a", "+b", "-a", "+a"]
        stage.act("a", lambda worker: worker.context.unlink(stage.top))
        await settle()
    assert stage.take() == ["-b", "-a"]


async def test_restarts_are_counted_for_each_child() -> None:
    """`ChildInfo.restarts` counts the restarts that the supervisor gave a child."""
    stage = Stage()
    async with stage.serve(stage.children("ab"), max_restarts=10):
        for _ in range(3):
            stage.crash("b")
            await settle()
        assert [info.restarts for info in await stage.infos()] == [0, 3]
    assert [event.restarts for event in stage.told(ChildRestarted)] == [1, 2, 3]


def test_the_restart_types_are_those_of_otp() -> None:
    """The restart types are permanent, transient and temporary, in the words of OTP."""
    assert [str(word) for word in Restart] == ["permanent", "transient", "temporary"]

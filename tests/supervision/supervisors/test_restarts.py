"""Tests of what a restart keeps: mail, askers, names and links."""

import anyio
import pytest

from actors import Crashed, LinkBroken, Mailbox, Name, Overflow, ProcExited
from actors.testing import settle
from supervision import RestartChild, TerminateChild
from supervision.events import ChildExited
from tests.kit.stage import Stage
from tests.kit.workers import Life, Note

pytestmark = pytest.mark.dead_letters


async def test_a_request_waits_for_the_next_incarnation() -> None:
    """A request that is queued at a crash is answered by the next incarnation."""
    stage = Stage()
    async with stage.serve([stage.child("a", start=[None, 3.0])]):
        stage.crash("a")
        assert await stage.refs["a"].ask(Life()) == 2


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

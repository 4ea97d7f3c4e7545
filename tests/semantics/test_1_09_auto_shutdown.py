"""OTP 1.9: how the end of significant children ends their supervisor."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from actors import Crashed, ExitReason, Ignore, Killed, Normal, Shutdown
from actors.testing import settle
from supervision import (
    ChildSpec,
    DeleteChild,
    IntensityExceeded,
    RestartChild,
    StartChild,
    SupervisorSpec,
    TerminateChild,
)
from supervision.events import SupervisorEnding
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.statements import (
    ROUNDS,
    crash_times,
    die_together,
    end_of,
    ends,
    exits,
    failing_after,
    retries_done,
    starts,
    stopped,
)

pytestmark = pytest.mark.dead_letters

SETTINGS = ["any_significant", "all_significant"]
GOOD: list[ExitReason] = [Normal(), Shutdown(), Shutdown("T")]
BAD: list[ExitReason] = [Crashed(Boom("s")), Killed()]
TRIGGERS = [*(("transient", reason) for reason in GOOD), *(("temporary", r) for r in GOOD + BAD)]


def significant(stage: Stage, ids: str, restart: str = "transient", **options: Any) -> list[Any]:
    """Make a significant child for each letter."""
    return stage.children(ids, restart=restart, significant=True, **options)


def enders(stage: Stage) -> list[str]:
    """Return the children whose end was the end of their supervisor."""
    return [event.id for event in stage.told(SupervisorEnding)]


def inner(children: list[ChildSpec[Any]], **options: Any) -> SupervisorSpec:
    """Make a supervisor that ends with any significant child."""
    return SupervisorSpec("in", children, auto_shutdown="any_significant", **options)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("restart", "reason"), TRIGGERS, ids=str)
async def test_1_9_1_the_end_for_good_of_a_significant_child_ends_its_supervisor(
    restart: str, reason: ExitReason, setting: str
) -> None:
    """A transient one ends it when it ends well, a temporary one however it ends."""
    stage = Stage()
    tree = [stage.child("a"), *significant(stage, "s", restart), stage.child("z")]
    if setting == "any_significant":
        tree += significant(stage, "u")
    async with stage.serve(tree, auto_shutdown=setting, max_restarts=0) as app:
        stage.take()
        stage.end("s", reason)
        assert await end_of(app) == Shutdown()
    assert enders(stage) == ["s"]
    others = "uza" if setting == "any_significant" else "za"
    assert stage.take() == ends("s" + others)
    assert stopped(stage) == dict.fromkeys(others, ("shutdown", True))


@pytest.mark.parametrize("setting", SETTINGS)
async def test_1_9_2_it_ends_once(setting: str) -> None:
    """Whoever ends behind the one that ended the supervisor is only taken in as it stops."""
    stage = Stage()
    tree = [*significant(stage, "stu"), stage.child("z")]
    async with stage.serve(tree, auto_shutdown=setting, max_restarts=0) as app:
        await die_together(stage, "stuz", lambda id: Crashed(Boom()) if id == "z" else Normal())
        await end_of(app)
    # Under all_significant the crash of z waits behind the end of u, the last significant one.
    last = "s" if setting == "any_significant" else "u"
    assert exits(stage)[-1] == f"{last}: leave it ended"
    assert enders(stage) == [last]
    assert stage.take() == [*starts("stuz"), *ends("stuz")]


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_9_3_all_significant_waits_for_the_last(restart: str) -> None:
    """Under `all_significant` the supervisor goes on as long as one of them runs."""
    stage = Stage()
    tree = [stage.child("a"), *significant(stage, "stu", restart), stage.child("z")]
    async with stage.serve(tree, auto_shutdown="all_significant", max_restarts=0) as app:
        stage.take()
        for id in "ts":
            stage.end(id)
            await settle()
            assert stage.top.is_alive
            assert stage.take() == ends(id)
        stage.end("u")
        assert await end_of(app) == Shutdown()
    assert stage.take() == ends("uza")
    assert enders(stage) == ["u"]


async def test_1_9_3_one_that_is_restarting_is_still_there() -> None:
    """A significant child between two attempts to start it keeps its supervisor going."""
    stage = Stage()
    s, t = significant(stage, "st")
    fail = failing_after(stage, [], then=lambda worker: stage.end("t"))
    stage.starts["s"].extend([None, fail])
    async with stage.serving([s, t], auto_shutdown="all_significant", max_restarts=2) as app:
        stage.crash("s")
        await retries_done()
        assert exits(stage) == ["s: restart", "t: leave it ended"]
        assert await stage.states() == {"s": "running", "t": "terminated"}
        # The exit of t came before the retry: control overtakes mail.
        assert stage.take() == [*starts("st"), "-s", "-t", "!s", "+s"]
        stage.end("s")
        await end_of(app)


@pytest.mark.parametrize("how", ["terminated", "ignored", "ended", "deleted", "failed"])
async def test_1_9_3_one_without_a_proc_is_not_left(how: str) -> None:
    """A significant child that was terminated or ignored, or whose start failed, is not left."""
    stage = Stage()
    s, t = significant(stage, "st")
    if how == "ignored":
        stage.starts["t"].append(Ignore())
    async with stage.serve([s, t], auto_shutdown="all_significant") as app:
        if how == "ended":
            stage.end("t")
            await settle()
        elif how != "ignored":
            await stage.top.ask(TerminateChild("t"))
        if how == "deleted":
            await stage.top.ask(DeleteChild("t"))
        if how == "failed":
            stage.starts["t"].append(Boom())
            with pytest.raises(Exception, match="t"):
                await stage.top.ask(RestartChild("t"))
        assert stage.top.is_alive
        stage.end("s")
        assert await end_of(app) == Shutdown()
    assert enders(stage) == ["s"]


async def test_1_9_3_one_that_was_added_or_revived_counts() -> None:
    """A significant child that was started by request is waited for like the others."""
    stage = Stage()
    async with stage.serve(significant(stage, "st"), auto_shutdown="all_significant") as app:
        await stage.top.ask(StartChild(*significant(stage, "n", "temporary")))
        await stage.top.ask(TerminateChild("t"))
        await stage.top.ask(RestartChild("t"))
        for id in "sn":
            stage.end(id)
            await settle()
            assert stage.top.is_alive
        stage.end("t")
        assert await end_of(app) == Shutdown()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_9_4_terminating_a_significant_child_ends_nothing(
    restart: str, setting: str
) -> None:
    """`TerminateChild` is no trigger, not even for the last significant child."""
    stage = Stage()
    tree = [stage.child("a"), *significant(stage, "st", restart)]
    async with stage.serve(tree, auto_shutdown=setting):
        for id in "st":
            await stage.top.ask(TerminateChild(id))
        await settle()
        assert (await stage.states())["a"] == "running"
        stage.crash("a")
        await settle()
        assert (await stage.states())["a"] == "running"
    assert enders(stage) == []


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_9_4_a_round_that_moves_significant_children_ends_nothing(
    strategy: str, setting: str
) -> None:
    """Being stopped as a sibling is no trigger, not even for a temporary one, which is gone."""
    stage = Stage()
    tree = [
        stage.child("a"),
        *significant(stage, "s", "temporary"),
        *significant(stage, "t", start=[None, Ignore()]),
    ]
    async with stage.serve(tree, strategy=strategy, auto_shutdown=setting):
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running", "t": "terminated"}
        await anyio.sleep(60.0)
        stage.crash("a")
        await settle()
        assert await stage.states() == {"a": "running", "t": "running"}
    assert enders(stage) == []


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("strategy", ROUNDS)
async def test_1_9_4_an_exit_that_a_round_swallows_ends_nothing(
    strategy: str, setting: str
) -> None:
    """A significant child that ended well while its round waited is started with the others."""
    stage = Stage()
    tree = [stage.child("a"), *significant(stage, "s")]
    async with stage.serve(tree, strategy=strategy, auto_shutdown=setting):
        await die_together(stage, "as", lambda id: Normal() if id == "s" else Crashed(Boom(id)))
        assert stage.take() == [*starts("as"), *ends("as"), *starts("as")]
    assert enders(stage) == []


@pytest.mark.parametrize("setting", [*SETTINGS, "never"])
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_9_5_the_exit_of_another_triggers_no_look(restart: Any, setting: Any) -> None:
    """One that is not significant ends nothing, also when no significant child is left."""
    stage = Stage()
    tree = [stage.child("p"), *stage.children("xy", restart=restart)]
    if setting != "never":
        tree += significant(stage, "s")
    async with stage.serve(tree, auto_shutdown=setting):
        stage.end("x")
        await settle()
        if setting != "never":
            await stage.top.ask(TerminateChild("s"))
        stage.end("y")
        stage.end("p")
        await settle()
        states = await stage.states()
        assert states.pop("p") == "running"
        assert "running" not in states.values()
    assert enders(stage) == []


async def test_1_9_6_it_climbs_through_significant_transient_supervisors() -> None:
    """A significant transient supervisor that ends by itself is a trigger for its parent."""
    stage = Stage()
    options: dict[str, Any] = {"restart": "transient", "significant": True}
    below = inner([*significant(stage, "s"), stage.child("x")], **options)
    middle = SupervisorSpec("mid", [below], auto_shutdown="all_significant", **options)
    tree = [stage.child("a"), middle, stage.child("z")]
    async with stage.serve(tree, auto_shutdown="any_significant", max_restarts=0) as app:
        stage.take()
        stage.end("s")
        assert await end_of(app) == Shutdown()
    assert stage.take() == ["-mid/in/s", "-mid/in/x", "-mid/in", "-mid", "-z", "-a"]
    assert enders(stage) == ["s", "in", "mid"]


async def test_1_9_6_a_permanent_supervisor_is_restarted_and_counted() -> None:
    """A permanent supervisor that ended by itself costs its parent one restart."""
    stage = Stage()
    tree = [inner([*significant(stage, "s"), stage.child("x")])]
    async with stage.dying(tree, max_restarts=1) as app:
        stage.take()
        stage.end("s")
        await settle()
        assert stage.take() == ["-in/s", "-in/x", "-in", "+in/s", "+in/x", "+in"]
        stage.end("s")
        await end_of(app)
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_1_9_6_a_supervisor_that_is_not_significant_has_no_effect(
    restart: str, setting: str
) -> None:
    """The end of an insignificant supervisor is no trigger for its parent, whatever ended it."""
    stage = Stage()
    tree = [
        inner(significant(stage, "s"), restart=restart),
        *significant(stage, "t"),
        stage.child("a"),
    ]
    async with stage.serve(tree, auto_shutdown=setting, max_restarts=0):
        stage.end("s")
        await settle()
        states = await stage.states()
        assert states.pop("in", "terminated") == "terminated"
        assert states == {"t": "running", "a": "running"}
    assert enders(stage) == ["s"]


@pytest.mark.parametrize("setting", ["never", *SETTINGS])
@pytest.mark.parametrize("is_significant", [True, False])
async def test_1_9_7_giving_up_is_the_same_under_every_setting(
    is_significant: bool, setting: str
) -> None:
    """A budget that is spent ends the supervisor by that, whoever spent it."""
    stage = Stage()
    known = is_significant and setting != "never"
    s = stage.child("s", restart="transient", significant=known)
    async with stage.dying([stage.child("a"), s], auto_shutdown=setting, max_restarts=1) as app:
        await crash_times(stage, "s", 1)
        stage.crash("s")
        await end_of(app)
    assert isinstance(stage.exited.reason, Shutdown)
    assert isinstance(stage.exited.reason.detail, IntensityExceeded)
    assert enders(stage) == []
    assert stage.take() == [*starts("as"), "-s", "+s", *ends("sa")]

"""Tests of supervisors under random scripts, against what must hold whatever happens.

A script is a list of bursts. What stands in one burst happens at once: children crash, end and are
killed while requests are queued. After each burst everything settles, and the supervisor is
compared with the truth. The full comparison with a model of OTP is not made here.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from attrs import frozen
from hypothesis import given, note, settings
from hypothesis import strategies as st

from actors import Ignore, ProcExited, Request, Shutdown
from actors.testing import settle
from supervision import (
    Backoff,
    ChildSpec,
    DeleteChild,
    DynamicSupervisorSpec,
    IntensityExceeded,
    Restart,
    RestartChild,
    StartChild,
    SupervisionError,
    SupervisorSpec,
    TerminateChild,
    TreeExited,
    WhenSpent,
    WhichChildren,
)
from supervision.events import ChildExited, ChildParked, Next, SupervisorGaveUp
from tests.supervision.kit import Boom, Stage, Step

pytestmark = pytest.mark.dead_letters

REQUESTS: tuple[type[Request[Any]], ...] = (
    StartChild,
    TerminateChild,
    RestartChild,
    DeleteChild,
    WhichChildren,
)


@frozen
class Child:
    """Describe one child of a script: `starts` is what its second and later starts do.

    `own` is its own budget of restarts, None for none, and `when_spent` what that leads to.
    """

    restart: Restart
    starts: tuple[str, ...]
    backoff: bool
    stop: str
    own: int | None
    when_spent: WhenSpent


@frozen
class Action:
    """Do one thing to one child."""

    what: str
    target: int


@frozen
class Script:
    """Describe a supervisor and what happens to it."""

    strategy: str
    max_restarts: int
    children: tuple[Child, ...]
    bursts: tuple[tuple[Action, ...], ...]

    @property
    def terminates(self) -> bool:
        """Tell whether some child is terminated by request."""
        return self.has("terminate")

    def has(self, what: str) -> bool:
        """Tell whether this is done to some child."""
        return any(action.what == what for burst in self.bursts for action in burst)


CHILD = st.builds(
    Child,
    restart=st.sampled_from(Restart),
    starts=st.lists(st.sampled_from(["ok", "ok", "fail", "ignore", "slow"]), max_size=4).map(tuple),
    backoff=st.booleans(),
    stop=st.sampled_from(["ok", "ok", "ok", "fail", "slow"]),
    own=st.sampled_from([None, None, 0, 1, 3]),
    when_spent=st.sampled_from(WhenSpent),
)
WHAT = ["crash", "crash", "crash", "end", "kill", "terminate", "restart", "delete", "start", "list"]
ACTION = st.builds(Action, what=st.sampled_from(WHAT), target=st.integers(0, 5))
SCRIPT = st.builds(
    Script,
    strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one", "dynamic"]),
    max_restarts=st.sampled_from([0, 1, 3, 1000]),
    children=st.lists(CHILD, min_size=1, max_size=4).map(tuple),
    bursts=st.lists(st.lists(ACTION, min_size=1, max_size=5).map(tuple), max_size=5).map(tuple),
)


class Player:
    """Play one script, and look at the supervisor after each burst."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.stage = Stage()
        self.stage.losable += REQUESTS
        self.restarts: dict[str, Restart] = {}
        self.budgets: dict[str, tuple[int, WhenSpent]] = {}
        self.refused: list[Exception] = []

    def make(self, child: Child) -> ChildSpec[Any]:
        """Make the spec of one more child; ids are used once."""
        steps: dict[str, Step] = {
            "ok": None,
            "fail": Boom("start"),
            "ignore": Ignore(),
            "slow": 1.0,
        }
        stops: dict[str, Step] = {"ok": None, "fail": Boom("stop"), "slow": 2.0}
        id = f"c{len(self.restarts):03}"
        self.restarts[id] = child.restart
        budget: dict[str, Any] = {}
        if child.own is not None:
            self.budgets[id] = child.own, child.when_spent
            budget = {"max_restarts": child.own, "max_seconds": 1e6, "when_spent": child.when_spent}
        return self.stage.child(
            id,
            start=[None, *(steps[name] for name in child.starts)],
            stop=stops[child.stop],
            restart=child.restart,
            backoff=Backoff(10.0, 10.0) if child.backoff else None,
            **budget,
        )

    def tree(self) -> ChildSpec[Any]:
        """Make the tree of the script."""
        budget: dict[str, Any] = {"max_restarts": self.script.max_restarts, "max_seconds": 1e6}
        if self.script.strategy == "dynamic":
            return DynamicSupervisorSpec("top", **budget)
        children = [self.make(child) for child in self.script.children]
        return SupervisorSpec("top", children, strategy=self.script.strategy, **budget)  # type: ignore[arg-type]

    async def play(self) -> None:
        """Play all bursts."""
        if self.script.strategy == "dynamic":
            for child in self.script.children:
                await self.stage.top.ask(StartChild(self.make(child)))
        for burst in self.script.bursts:
            async with anyio.create_task_group() as self.tasks:
                for action in burst:
                    self.do(action)
            await anyio.sleep(100.0)
            await self.look()

    def do(self, action: Action) -> None:
        """Do one thing, without waiting for it."""
        ids = sorted(self.stage.refs)
        id = ids[action.target % len(ids)]
        made = self.script.children[action.target % len(self.script.children)]
        todo: dict[str, Callable[[], object]] = {
            "crash": lambda: self.stage.crash(id),
            "end": lambda: self.stage.end(id),
            "kill": lambda: self.stage.refs[id].kill(),
            "terminate": lambda: self.ask(TerminateChild(id)),
            "restart": lambda: self.ask(RestartChild(id)),
            "delete": lambda: self.ask(DeleteChild(id)),
            "start": lambda: self.ask(StartChild(self.make(made))),
            "list": lambda: self.ask(WhichChildren()),
        }
        todo[action.what]()

    def ask(self, request: Request[Any]) -> None:
        """Ask the supervisor in a task of its own."""

        async def asking() -> None:
            try:
                await self.stage.top.ask(request, timeout=None)
            except (SupervisionError, ProcExited) as error:
                self.refused.append(error)

        self.tasks.start_soon(asking)

    async def look(self) -> None:
        """Compare what the supervisor says with what is true."""
        infos = await self.stage.infos()
        ids = [info.id for info in infos]
        note(f"{self.stage.trace} -> {[(info.id, str(info.state)) for info in infos]}")
        first = dict.fromkeys(entry[1:] for entry in self.stage.everything)
        assert ids == [id for id in first if id in ids], "the start order was lost"
        assert all(str(info.state) != "restarting" for info in infos), "a retry was lost"
        assert not [error for error in self.refused if isinstance(error, ProcExited)]
        ignores = any("ignore" in child.starts for child in self.script.children)
        parked = {event.ref.path.rpartition("/")[2] for event in self.stage.told(ChildParked)}
        for info in infos:
            if str(info.state) == "parked":
                assert info.id in parked, "parked in silence"
            elif (
                self.restarts[info.id] is Restart.PERMANENT
                and not self.script.terminates
                and not ignores
            ):
                assert str(info.state) == "running", "a permanent child was forgotten"

    def check(self, error: TreeExited | None) -> None:
        """Check the diary of the whole life."""
        exits = self.stage.told(ChildExited)
        gave_up = self.stage.told(SupervisorGaveUp)
        counted = [event for event in exits if event.next in (Next.RESTART, Next.WAIT)]
        assert len(counted) <= self.script.max_restarts
        assert len(gave_up) == (0 if error is None else 1)
        self.check_budgets(exits)
        for id, restart in self.restarts.items():
            if restart is Restart.TEMPORARY:
                assert self.stage.everything.count(f"+{id}") <= 1, "a temporary child came back"
        if error is not None:
            assert isinstance(error.reason, Shutdown)
            assert isinstance(error.reason.detail, IntensityExceeded)
            if (child := error.reason.detail.child) is not None:
                assert self.budgets[child][1] is WhenSpent.ESCALATE, "it was to be parked"

    def check_budgets(self, exits: list[ChildExited]) -> None:
        """Check that no child was restarted more often than its own budget allows."""
        parked: Counter[str | None] = Counter()
        for event in self.stage.told(ChildParked):
            id = event.error.child
            parked[id] += 1
            assert self.budgets[id][1] is WhenSpent.PARK, "parked against its spec"
            # Parked, terminated, and brought up by a round, it goes on with the same window.
            assert len(event.error.crashes) <= self.budgets[id][0] + parked[id]
        if self.script.has("restart"):
            return  # which empties the budget
        for id, (allowed, _) in self.budgets.items():
            own = [event for event in exits if event.ref.path == f"/top/{id}"]
            counted = [event for event in own if event.next in (Next.RESTART, Next.WAIT)]
            assert len(counted) <= allowed, "restarted once too often"
            if not self.script.terminates and Next.PARK in [event.next for event in own]:
                assert own[-1].next is Next.PARK, "it came back from being parked"


@settings(max_examples=150)
@given(script=SCRIPT)
async def test_whatever_happens_supervisor_and_truth_agree(script: Script) -> None:
    """After any script the states are true, the order is kept, and nothing is lost or left."""
    player = Player(script)
    stage = player.stage
    exited: TreeExited | None = None
    try:
        async with stage.serve(player.tree()):
            await player.play()
            running = [info.id for info in await stage.infos() if info.ref.is_alive]
            stage.take()
    except TreeExited as error:
        exited = error
    else:
        stopped = stage.take()
        if script.strategy == "dynamic":
            assert sorted(stopped) == sorted(f"-{id}" for id in running)
        else:
            assert stopped == [f"-{id}" for id in reversed(running)]
    player.check(exited)


@settings(max_examples=100)
@given(script=SCRIPT, moment=st.floats(0.0, 5.0), how=st.sampled_from(["cancel", "kill", "stop"]))
async def test_whenever_it_ends_nothing_is_left(script: Script, moment: float, how: str) -> None:
    """A tree that is cancelled, killed or stopped at any moment of any script leaves nothing."""
    player = Player(script)
    stage = player.stage

    async def strike(scope: anyio.CancelScope) -> None:
        await anyio.sleep(moment)
        if how == "cancel":
            scope.cancel()
        elif how == "kill":
            stage.top.kill()
        else:
            await stage.top.shutdown(None)

    with anyio.CancelScope() as scope:
        try:
            async with stage.serve(player.tree()), anyio.create_task_group() as tasks:
                tasks.start_soon(partial(strike, scope))
                await quietly(player)
        except* (TreeExited, ProcExited):
            pass
    await settle()
    stage.check_gone()


async def quietly(player: Player) -> None:
    """Play a script whose supervisor may end in the middle."""
    try:
        await player.play()
    except ProcExited:
        pass

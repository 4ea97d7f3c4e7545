"""Tests of `actors.system`: the owner of all tasks, how it is left, and what it raises then."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import Any

import anyio
import pytest

from actors import (
    ActorSystem,
    AskTimeout,
    CancellationToken,
    Crashed,
    ExitReason,
    Killed,
    Name,
    NameNotFound,
    Proc,
    ProcEnded,
    ProcExited,
    Shutdown,
    StartFailed,
    SystemClosed,
    task,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Ask, Do, Doer, Life, Note, Plain, fail, obey, pair, raising, sleep


class BodyError(Exception):
    """Leave the block."""


# -- leaving ---------------------------------------------------------------------------------------


@pytest.mark.core
async def test_procs_are_stopped_in_reverse_order() -> None:
    """Leaving the system stops what it spawned one after the other, the youngest first."""
    log: list[object] = []

    async def tidy(life: Life) -> None:
        log.append(f"{life.context.path} stops")
        await anyio.sleep(0.01)
        log.append(f"{life.context.path} stopped")

    async with ActorSystem() as system:
        for id in "abc":
            await system.spawn(partial(Life, [], run=obey, stop=tidy), id=id)
    assert log == [f"/{id} {verb}" for id in "cba" for verb in ("stops", "stopped")]


async def test_each_proc_has_its_own_patience() -> None:
    """A proc that does not stop within its own shutdown time is killed, and then the next."""
    async with ActorSystem() as system:
        began = anyio.current_time()
        recorder = Recorder(system, ProcEnded).__enter__()
        for patience in (3.0, 0.0, 2.0):
            await system.spawn(partial(Life, [], run=sleep), shutdown=patience)
    assert anyio.current_time() - began == 5
    assert [event.reason for event in recorder] == [Killed()] * 3


@pytest.mark.parametrize("where", ["system", "context"])
async def test_by_default_a_proc_has_five_seconds(where: str) -> None:
    """Unless it is said otherwise, whoever started it, a proc is killed after five seconds."""
    async with ActorSystem() as system:
        deaf = partial(Life, [], run=sleep)
        if where == "system":
            await system.spawn(deaf)
        else:
            parent = await pair(system, shutdown=None)
            await parent.do(lambda self: self.context.spawn(deaf))
        began = anyio.current_time()
    assert anyio.current_time() - began == 5


async def test_without_a_limit_a_proc_may_take_its_time() -> None:
    """With shutdown=None leaving the system waits for as long as it takes."""
    log: list[object] = []

    async def slow(_: object) -> None:
        await anyio.sleep(1000)

    async with ActorSystem() as system:
        await system.spawn(partial(Life, log, run=obey, stop=slow), shutdown=None)
    assert log == ["start", "run", Shutdown(), "stop"]


async def test_a_later_proc_may_use_an_earlier_one_while_it_stops() -> None:
    """The clean-up of a proc can still ask those that were started before it."""
    answers: list[object] = []
    async with ActorSystem() as system:
        earlier = await pair(system)

        async def ask(_: object) -> None:
            answers.append(await earlier.ref.ask(Ask(lambda _: "here")))

        await system.spawn(partial(Life, [], run=obey, stop=ask))
    assert answers == ["here"]


async def test_nothing_is_started_in_a_closed_system() -> None:
    """Spawn raises SystemClosed before the system is entered, while it closes, and after."""
    seen: list[str] = []
    system = ActorSystem("shop")
    with pytest.raises(SystemClosed, match="'shop' was not entered"):
        await system.spawn(Doer)

    async def try_it(_: object) -> None:
        try:
            await system.spawn(Doer)
        except SystemClosed as error:
            seen.append(str(error))

    async with system:
        await system.spawn(partial(Life, [], run=obey, stop=try_it))
    with pytest.raises(SystemClosed, match="'shop' is closed"):
        await system.spawn(Doer)
    assert seen == ["actor system 'shop' is closing"]


async def test_a_system_is_entered_once() -> None:
    """A system cannot be entered again, neither nested nor later."""
    system = ActorSystem()
    async with system:
        with pytest.raises(SystemClosed, match="make a new one"):
            await system.__aenter__()
    with pytest.raises(SystemClosed, match="make a new one"):
        await system.__aenter__()


async def test_a_half_started_proc_is_given_up_when_the_system_is_left() -> None:
    """Leaving the system cancels what is still starting; its spawner hears of it."""
    reasons: list[ExitReason] = []
    async with anyio.create_task_group() as group, ActorSystem() as system:

        async def start() -> None:
            try:
                await system.spawn(partial(Life, [], start=sleep))
            except StartFailed as error:
                reasons.append(error.reason)

        group.start_soon(start)
        await settle()
    assert reasons == [Shutdown()]


async def test_two_systems_know_nothing_of_each_other() -> None:
    """Names and paths belong to one system."""
    name = Name[Note]("same")
    async with ActorSystem("a") as a, ActorSystem("b") as b:
        one, two = await a.spawn(Doer, name=name), await b.spawn(Doer, name=name)
        assert one.path == two.path
        assert one != two
        assert a.whereis(name) == one


# -- what is raised --------------------------------------------------------------------------------


@pytest.mark.dead_letters
async def test_a_crash_that_nobody_heard_of_is_raised() -> None:
    """Crashes that nobody heard of are raised as a group; a note says who crashed, over what."""
    with raising(ExceptionGroup) as raised:
        async with ActorSystem("shop") as system:
            await pair(system)
            one, two = await pair(system, id="one"), await pair(system, id="two")
            await one.do(fail)
            await two.do(fail)
            assert one.ref.is_alive == two.ref.is_alive is False
    assert raised.texts == ["broken", "broken"]
    assert "'shop'" in str(raised.error)
    assert [error.__notes__ for error in raised.errors] == [
        ["crashed: /one, handling Do"],
        ["crashed: /two, handling Do"],
    ]


@pytest.mark.dead_letters
@pytest.mark.parametrize("request_", [Ask, Plain])
async def test_a_crash_that_its_asker_was_given_is_not_raised_again(request_: type[Any]) -> None:
    """Who asked has the crash as a cause; one who had given up has not, so it is raised."""
    with raising(ExceptionGroup) as raised:
        async with ActorSystem() as system:
            one, two = await pair(system, id="one"), await pair(system, id="two")
            with pytest.raises(ProcExited) as caught:
                await one.ref.ask(request_(fail))
            assert isinstance(caught.value.__cause__, ValueError)

            async def slowly(actor: Any) -> None:
                await anyio.sleep(1.0)
                fail()

            with pytest.raises(AskTimeout):
                await two.ref.ask(Ask(slowly), timeout=0.5)
            await anyio.sleep(1.0)
    assert [error.__notes__ for error in raised.errors] == [["crashed: /two, handling Ask"]]


@pytest.mark.dead_letters
@pytest.mark.parametrize("survives", [True, False])
async def test_a_crash_takes_an_asker_down_that_does_not_handle_it(survives: bool) -> None:
    """A crash is raised again if its asker, heard by another asker only, did not survive it."""

    async def pass_on(_: object) -> object:
        try:
            return await one.ref.ask(Ask(fail))
        except ProcExited:
            if survives:
                return None
            raise

    with nullcontext() if survives else raising(ExceptionGroup) as raised:
        async with ActorSystem() as system:
            one, two = await pair(system, id="one"), await pair(system, id="two")
            with nullcontext() if survives else pytest.raises(ProcExited):
                await two.ref.ask(Ask(pass_on))
    notes = [error.__notes__ for error in raised.errors] if raised else []
    assert notes == ([] if survives else [["crashed: /one, handling Ask"]])


async def test_a_name_that_must_be_there() -> None:
    """`require` gives the ref of a name, or raises NameNotFound, which says which name."""
    async with ActorSystem() as system:
        name = Name[Any]("account")
        with pytest.raises(NameNotFound, match="nobody has the name 'account'"):
            system.require(name)
        one = await pair(system, name=name)
        assert system.require(name) == one.ref == one.actor.context.system.require(name)


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_crash_while_the_system_is_left_is_raised(orderly: bool) -> None:
    """A crash of a proc that is stopped by leaving is raised, and the others are still stopped."""
    log: list[object] = []
    with raising(ExceptionGroup) as raised:
        async with ActorSystem() as system:
            await system.spawn(partial(Life, log, run=obey))

            async def broken(shutdown: CancellationToken) -> None:
                await shutdown
                fail()

            await system.spawn(task(broken))
            await settle()
            if not orderly:
                raise BodyError
    assert log == ["start", "run", Shutdown(), "stop"]
    kinds = [type(error) for error in raised.errors]
    assert kinds == ([ValueError] if orderly else [BodyError, ValueError])


@pytest.mark.dead_letters
async def test_a_crash_that_was_heard_is_not_raised() -> None:
    """A crash that a monitor was told of is not raised again."""
    async with ActorSystem() as system:
        one, watcher = await pair(system), await pair(system)
        await watcher.do(lambda self: self.context.monitor(one.ref))
        await one.do(fail)
        assert len(watcher.log) == 1


@pytest.mark.dead_letters
@pytest.mark.parametrize("cancelled", [False, True])
async def test_an_error_of_the_block_and_crashes_are_raised_together(cancelled: bool) -> None:
    """An error of the block stands first in the group, crashes follow; a cancellation is none."""
    with raising(BaseExceptionGroup) as raised:
        with anyio.CancelScope() as scope:
            async with ActorSystem() as system:
                one = await pair(system)
                await one.do(fail)
                if not cancelled:
                    raise BodyError
                scope.cancel()
                await anyio.sleep_forever()
    kinds = [type(error) for error in raised.errors]
    assert kinds == ([ValueError] if cancelled else [BodyError, ValueError])


@pytest.mark.dead_letters
async def test_a_crash_that_the_block_raises_itself_is_raised_once() -> None:
    """A crash whose error the block raises again is not raised twice."""
    with raising(ValueError):
        async with ActorSystem() as system:
            one = await pair(system)
            one.ref.tell(Do(fail))
            reason = await one.ref.wait()
            assert isinstance(reason, Crashed)
            raise reason.error


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.dead_letters
async def test_exiting_the_program_loses_no_crash(kind: type[BaseException]) -> None:
    """SystemExit is raised as itself, and the crashes before it can be found at it."""

    def leave(_: object) -> None:
        raise kind(3)

    with raising(kind) as raised:
        async with ActorSystem() as system:
            one, two = await pair(system), await pair(system)
            await one.do(fail)
            two.ref.tell(Do(leave))
            await anyio.sleep_forever()
    told = [raised.error, raised.error.__context__, raised.error.__cause__]
    texts = [repr(entry) for entry in told] + getattr(raised.error, "__notes__", [])
    assert any("broken" in text for text in texts)


# -- cancelling the owner --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "error", "kill"])
async def test_a_block_that_is_cut_short_stops_all_in_order(how: str) -> None:
    """A block that fails or is cancelled stops all in order and raises bare; a kill is at once."""
    log: list[object] = []
    began = anyio.current_time()
    with anyio.CancelScope() as scope, raising(BodyError) if how == "error" else nullcontext():
        async with ActorSystem() as system:
            for _ in range(2):
                await system.spawn(partial(Life, log, run=sleep if how == "kill" else obey))
            await settle()
            if how == "kill":
                system.kill()
            elif how == "error":
                raise BodyError
            else:
                scope.cancel()
                await anyio.sleep_forever()
        log.append("went on")
    ends = ["went on"] if how == "kill" else [Shutdown(), "stop"] * 2
    assert log == ["start", "run"] * 2 + ends
    assert scope.cancelled_caught == (how == "cancel")
    assert anyio.current_time() == began


@pytest.mark.parametrize("native", [False, True])
async def test_cancellation_while_it_is_left_goes_on(native: bool, anyio_backend_name: str) -> None:
    """A cancellation while the procs are stopped is raised after it; a native one kills them."""
    if native and anyio_backend_name == "trio":
        pytest.skip("trio cancels scopes alone")
    log: list[object] = []
    scope = anyio.CancelScope()

    async def slow(_: object) -> None:
        await anyio.sleep(2)

    async def own() -> None:
        with scope:
            async with ActorSystem() as system:
                ref = await system.spawn(partial(Life, [], run=obey, stop=slow), shutdown=None)
                system.monitor(ref, lambda down: log.append(down.reason))
            await anyio.lowlevel.checkpoint()
            log.append("went on")

    async with anyio.create_task_group() as group:
        if native:
            owner = asyncio.ensure_future(own())
        else:
            group.start_soon(own)
        await settle()
        if native:
            owner.cancel()
            with pytest.raises(asyncio.CancelledError):
                await owner
        else:
            scope.cancel()
    assert log == [Killed() if native else Shutdown()]


# -- shutdown of one proc --------------------------------------------------------------------------


async def test_a_deadline_holds_when_its_caller_has_gone() -> None:
    """The deadline of a shutdown holds also when the call is cancelled."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], run=sleep))
        with anyio.move_on_after(1):
            await ref.shutdown(timeout=3)
        began = anyio.current_time()
        assert await ref.wait() == Killed()
        assert anyio.current_time() - began == 2


@pytest.mark.parametrize(("first", "second"), [(1, 100), (100, 1), (1, None)])
async def test_the_earliest_deadline_holds(first: float, second: float | None) -> None:
    """Of two shutdowns the earlier deadline holds, and leaving does not prolong it."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Life, [], run=sleep), shutdown=50)
        began = anyio.current_time()
        with anyio.move_on_after(0):
            await ref.shutdown(timeout=first)
        if second is not None:
            await ref.shutdown(timeout=second)
    assert anyio.current_time() - began == 1


# -- looking at it ---------------------------------------------------------------------------------


async def test_a_snapshot_shows_the_tree() -> None:
    """A snapshot shows each address with its state, mail and children, in their order of start."""
    async with anyio.create_task_group() as group, ActorSystem() as system:
        top = await pair(system, id="top")
        await top.do(lambda self: self.context.child("down"))
        await top.do(lambda self: self.context.spawn(Doer, id="child"))
        stopping = await system.spawn(partial(Life, [], run=obey, stop=sleep), id="stopping")
        stopping.stop()

        async def start() -> None:
            with pytest.raises(StartFailed):
                await system.spawn(partial(Life, [], start=sleep), id="starting")

        group.start_soon(start)
        await settle()
        first, second, third = system.snapshot()
        assert (first.path, first.ref, first.state) == ("/top", top.ref, "running")
        assert (first.queued, first.incarnation) == (0, 1)
        assert [(info.path, info.state) for info in (*first.children, second, third)] == [
            ("/top/down", "down"),
            ("/top/child", "running"),
            ("/stopping", "stopping"),
            ("/starting", "starting"),
        ]
        assert second.children == ()
        with pytest.raises(AttributeError):
            first.state = "other"  # type: ignore[misc]


async def test_a_proc_is_found_by_its_path() -> None:
    """`find` takes a path with or without its first slash and gives None for an unknown one."""
    async with ActorSystem() as system:
        top = await pair(system, id="top")
        child = await top.ref.ask(Ask(lambda self: self.context.spawn(Doer, id="child")))
        assert system.find("/top/child") == system.find("top/child") == child
        for unknown in ("/top/other", "/top/child/deeper", "/", "", "/other"):
            assert system.find(unknown) is None
        top.ref.stop()
        await top.ref.wait()
        assert system.find("/top") is None


class Nested(Proc[object]):
    """Start another one of its kind below, down to a depth."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    async def on_start(self) -> None:
        """Start the next one."""
        if self.depth:
            await self.context.spawn(partial(Nested, self.depth - 1), id="n")

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        await shutdown


@pytest.mark.parametrize("how", ["leave", "kill"])
async def test_a_deep_tree_is_no_trouble(how: str) -> None:
    """A tree far deeper than Python's stack allows is shown, stopped and killed."""
    async with ActorSystem() as system:
        ref = await system.spawn(partial(Nested, 400), id="n")
        (info,) = system.snapshot()
        depth = 0
        while info.children:
            (info,), depth = info.children, depth + 1
        assert depth == 400
        if how == "kill":
            ref.kill()
            assert await ref.wait() == Killed()
        else:
            assert await ref.shutdown(timeout=None) == Shutdown()


@pytest.mark.dead_letters
async def test_of_many_crashes_that_nobody_heard_of_little_is_kept() -> None:
    """The first crashes are raised as they are, others as text, and of the rest the number."""

    async def burst(actor: Doer) -> None:
        try:
            raise KeyError("deep")
        except KeyError as error:
            raise OSError("broken") from error

    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            for _ in range(120):
                (await system.spawn(partial(Doer))).tell(Do(burst))
            await settle()
    assert sum(error.__traceback__ is not None for error in raised.errors) == 16
    assert str(raised.error) == "crashes in actor system 'main', and 20 more (100 sub-exceptions)"
    first, last = raised.errors[0], raised.errors[-1]
    assert isinstance(last, OSError)
    assert (str(last), repr(last.__cause__)) == (str(first), "KeyError('deep')")
    assert last.__cause__ is not None
    assert last.__cause__.__traceback__ is None
    assert "in burst" in last.__notes__[-1]

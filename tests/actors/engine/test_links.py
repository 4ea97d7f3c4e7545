"""Tests of `actors.engine.links`: links, monitors, and work on the side."""

from __future__ import annotations

import itertools

import anyio
import pytest

from actors import (
    ActorSystem,
    CancellationToken,
    Crashed,
    Down,
    Exited,
    LinkBroken,
    Monitor,
    Name,
    NoProc,
    Normal,
    Proc,
    ProcExited,
    Shutdown,
    StartFailed,
    StopError,
    task,
)
from actors.testing import Recorder, settle
from tests.kit.actors import Do, Doer, Note, Pair, Trapper, fail, forever, pair, raising

# -- monitors --------------------------------------------------------------------------------------


@pytest.mark.core
async def test_each_monitor_gives_one_down_with_the_reason() -> None:
    """A monitor gives exactly one Down, with the exit reason; two monitors of one proc give two."""
    async with ActorSystem() as system:
        watcher, twice, other = await pair(system), await pair(system), await pair(system)
        for entry in (watcher, twice, twice):
            await entry.do(lambda self: self.context.monitor(other.ref))
        other.ref.stop()
        await other.ref.wait()
        await settle()
        assert watcher.log == [Down(other.ref, Normal())]
        assert twice.log == [Down(other.ref, Normal())] * 2


async def test_a_monitor_of_a_dead_proc_answers_at_once() -> None:
    """A monitor of a proc that does not run gives a Down with NoProc at once."""
    async with ActorSystem() as system:
        watcher, other = await pair(system), await pair(system)
        await other.ref.shutdown()
        await watcher.do(lambda self: self.context.monitor(other.ref))
        assert watcher.log == [Down(other.ref, NoProc())]


@pytest.mark.parametrize("dead", [False, True])
async def test_a_demonitored_down_does_not_come(dead: bool) -> None:
    """Each monitor is taken back by itself: its Down does not come, even if it was queued."""
    async with ActorSystem() as system:
        watcher, other = await pair(system), await pair(system)
        monitors: list[Monitor] = []

        async def watch_and_forget(self: Doer) -> None:
            monitors.extend(self.context.monitor(other.ref) for _ in range(2))
            if dead:
                await other.ref.shutdown()
            self.context.demonitor(monitors[0])
            self.context.demonitor(monitors[0])
            assert [monitor.active for monitor in monitors] == [False, True]
            if not dead:
                await other.ref.shutdown()

        await watcher.do(watch_and_forget)
        assert not monitors[1].active
        assert watcher.log == [Down(other.ref, Shutdown())]


async def test_a_down_comes_after_the_last_messages() -> None:
    """A Down comes after everything that the dead proc had sent to the watcher."""
    async with ActorSystem() as system:
        watcher, other = await pair(system), await pair(system)
        await watcher.do(lambda self: self.context.monitor(other.ref))

        async def last_words(self: Doer) -> None:
            for text in ("one", "two"):
                watcher.ref.tell(Note(text))
            self.context.stop()

        await other.do(last_words)
        assert watcher.log == ["one", "two", Down(other.ref, Normal())]


async def test_the_name_is_free_when_the_down_arrives() -> None:
    """When a Down arrives, the name and the path of the dead proc are free."""
    name = Name[Do | Note]("held")
    seen: list[object] = []
    async with ActorSystem() as system:
        other = await pair(system, name=name)
        system.monitor(
            other.ref,
            lambda down: seen.append((system.whereis(name), system.find("/held"), down.reason)),
        )
        other.ref.stop()
        await other.ref.wait()
    assert seen == [(None, None, Normal())]


@pytest.mark.parametrize("how", ["kill", "fail", "ignore"])
@pytest.mark.dead_letters
async def test_a_monitor_of_a_starting_proc_fires_when_the_start_fails(how: str) -> None:
    """A proc that is monitored while it starts, and does not get ready, gives its one Down."""
    downs: list[Down] = []
    go = anyio.Event()

    class Starting(Doer):
        async def on_start(self) -> None:
            await go.wait()
            raise ValueError("not today")

    async with ActorSystem() as system:
        async with anyio.create_task_group() as group:

            async def start() -> None:
                with pytest.raises(StartFailed):
                    await system.spawn(Starting, id="starting")

            group.start_soon(start)
            await settle()
            ref = system.find("/starting")
            assert ref is not None
            watcher, trapper = await pair(system), await pair(system, Trapper)
            system.monitor(ref, downs.append)
            await watcher.do(lambda self: self.context.monitor(ref))
            await trapper.do(lambda self: self.context.link(ref))
            if how == "kill":
                ref.kill()
            go.set()
        await settle()
        assert len(downs) == 1
        assert watcher.log == downs
        assert [type(exited) for exited in trapper.log] == [Exited]


async def test_what_a_monitor_function_raises_is_raised_at_the_end() -> None:
    """An error in a function given to system.monitor disturbs nobody and is raised at the end."""
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            other = await pair(system)
            seen: list[Down] = []
            system.monitor(other.ref, fail)
            system.monitor(other.ref, seen.append)
            await other.ref.shutdown()
            assert len(seen) == 1
    assert raised.texts == ["broken"]


async def test_a_watch_that_was_cancelled_is_silent() -> None:
    """A cancelled watch of system.monitor calls nothing."""
    seen: list[Down] = []
    async with ActorSystem() as system:
        other = await pair(system)
        watch = system.monitor(other.ref, seen.append)
        watch.cancel()
        watch.cancel()
        await other.ref.shutdown()
        system.monitor(other.ref, seen.append)
    assert seen == [Down(other.ref, NoProc())]


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.dead_letters
@pytest.mark.parametrize("first", ["linker", "linked"])
async def test_a_link_breaks_both_ways(first: str) -> None:
    """An abnormal end of either side ends the other one with Crashed(LinkBroken)."""
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            linker, linked = await pair(system, id="linker"), await pair(system, id="linked")
            await linker.do(lambda self: self.context.link(linked.ref))
            one, other = (linker, linked) if first == "linker" else (linked, linker)
            one.ref.tell(Do(fail))
            reason = await other.ref.wait()
            assert isinstance(reason, Crashed)
            assert isinstance(reason.error, LinkBroken)
            assert reason.error.path == one.ref.path
            assert isinstance(reason.error.reason, Crashed)
            assert str(reason.error.__cause__) == "broken"
    (error,) = raised.errors
    assert isinstance(error, LinkBroken)


@pytest.mark.dead_letters
@pytest.mark.parametrize("how", ["stop", "kill", "fail"])
async def test_a_trapper_hears_every_end(how: str) -> None:
    """A proc that defines on_exit hears of each end, orderly or not, and lives on."""
    async with ActorSystem() as system:
        trapper, linked = await pair(system, Trapper), await pair(system)
        await trapper.do(lambda self: self.context.link(linked.ref))
        if how == "fail":
            linked.ref.tell(Do(fail))
        else:
            getattr(linked.ref, how)()
        reason = await linked.ref.wait()
        await settle()
        assert trapper.log == [Exited(linked.ref, reason, 1)]
        assert trapper.ref.is_alive


async def test_two_links_of_a_pair_are_one() -> None:
    """A pair has at most one link, so its end is heard once, and one unlink undoes it."""
    async with ActorSystem() as system:
        trapper = await pair(system, Trapper)
        one, two = await pair(system), await pair(system)
        for other in (one, one, two, two, trapper):
            await trapper.do(lambda self, other=other: self.context.link(other.ref))
        await trapper.do(lambda self: self.context.unlink(two.ref))
        await trapper.do(lambda self: self.context.unlink(two.ref))
        await one.ref.shutdown()
        await two.ref.shutdown()
        await settle()
        assert trapper.log == [Exited(one.ref, Shutdown(), 1)]


@pytest.mark.parametrize("first", ["unlinker", "other"])
async def test_a_link_of_both_sides_is_one(first: str) -> None:
    """Both sides may make a link, either may take it back, and whoever dies then dies alone."""
    async with ActorSystem() as system:
        one, two = await pair(system, Trapper), await pair(system, Trapper)
        await one.do(lambda self: self.context.link(two.ref))
        await two.do(lambda self: self.context.link(one.ref))
        await one.do(lambda self: self.context.unlink(two.ref))
        (one if first == "unlinker" else two).ref.kill()
        await settle()
        assert one.log == two.log == []


async def test_a_link_to_the_dead() -> None:
    """A link to a proc that does not run raises ProcExited, or is heard as NoProc when trapping."""
    async with ActorSystem() as system:
        plain, trapper = await pair(system), await pair(system, Trapper)
        dead = await pair(system)
        await dead.ref.shutdown()

        def link(self: Doer) -> None:
            with pytest.raises(ProcExited) as caught:
                self.context.link(dead.ref)
            self.log.append(caught.value.reason)

        await plain.do(link)
        await trapper.do(lambda self: self.context.link(dead.ref))
        assert plain.log == [NoProc()]
        assert trapper.log == [Exited(dead.ref, NoProc(), 1)]


@pytest.mark.dead_letters
async def test_a_chain_of_links_breaks_to_its_end() -> None:
    """A crash goes through all links, however many, and is raised once with its whole story."""
    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            pairs = [await pair(system) for _ in range(300)]
            for left, right in itertools.pairwise(pairs):
                left.ref.tell(Do(lambda self, right=right: self.context.link(right.ref)))
            await settle()
            pairs[0].ref.tell(Do(fail))
            await settle()
            assert not any(entry.ref.is_alive for entry in pairs)
    (error,) = raised.errors
    depth = 0
    while error.__cause__ is not None:
        error, depth = error.__cause__, depth + 1
    assert (str(error), depth) == ("broken", 299)


@pytest.mark.dead_letters
@pytest.mark.parametrize("trapping", [True, False])
async def test_a_crash_that_its_link_cannot_hear_any_more_is_raised(trapping: bool) -> None:
    """A crash whose only link is on its way out already is not lost: it is raised at the end."""
    lost: list[str] = []
    listener: Pair | None = None
    try:
        async with ActorSystem() as system:
            listener, other = await pair(system, Trapper if trapping else Doer), await pair(system)
            await listener.do(lambda self: self.context.link(other.ref))
            release = anyio.Event()
            await listener.do(lambda _: release.wait())
            if trapping:
                async with anyio.create_task_group() as group:
                    group.start_soon(listener.ref.shutdown)
                    await settle()
                    other.ref.tell(Do(fail))
                    await settle()
                    release.set()
            else:
                other.ref.tell(Do(lambda self: (listener.ref.kill(), fail())))
                await settle()
    except* ValueError as group:
        lost += map(str, group.exceptions)
    assert (trapping and listener.log) or lost == ["broken"]


# -- work on the side ------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
async def test_the_result_of_a_pipe_comes_back_as_a_message(fails: bool) -> None:
    """The actor goes on with its mail while piped work runs, and gets what comes of it as mail."""
    async with ActorSystem() as system:
        doer = await pair(system)

        async def slow() -> str:
            await anyio.sleep(10)
            if fails:
                raise ValueError("broken")
            return "slow"

        await doer.do(
            lambda self: self.context.pipe(
                slow(), into=Note, failed=lambda error: Note(repr(error))
            )
        )
        doer.ref.tell(Note("meanwhile"))
        await anyio.sleep(11)
        assert doer.log == ["meanwhile", "ValueError('broken')" if fails else "slow"]


@pytest.mark.parametrize("where", ["work", "into", "failed"])
async def test_an_error_of_a_pipe_that_nobody_maps_is_a_crash(where: str) -> None:
    """An error of piped work without `failed`, or in the functions themselves, is a crash."""

    async def work() -> None:
        if where != "into":
            fail()

    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            doer = await pair(system)
            failed = fail if where == "failed" else None
            await doer.do(lambda self: self.context.pipe(work(), into=fail, failed=failed))
            assert isinstance(await doer.ref.wait(), Crashed)
    assert raised.texts == ["broken"]


@pytest.mark.parametrize("how", ["stop", "kill", "shutdown"])
async def test_piped_work_ends_with_its_actor(how: str) -> None:
    """Piped work is cancelled, and has ended, before the end of its actor is announced."""
    log: list[str] = []

    async def endless() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("work ended")
        raise AssertionError

    async with ActorSystem() as system:
        doer = await pair(system)
        await doer.do(lambda self: self.context.pipe(endless(), into=Note))
        system.monitor(doer.ref, lambda _: log.append("announced"))
        if how == "shutdown":
            await doer.ref.shutdown()
        else:
            getattr(doer.ref, how)()
            await doer.ref.wait()
    assert log == ["work ended", "announced"]


async def test_a_pipe_that_has_not_begun_is_not_awaited_by_a_stopping_actor() -> None:
    """Work that is piped in the last turn of an actor is thrown away without a warning."""
    async with ActorSystem() as system:
        doer = await pair(system)

        def last(self: Doer) -> None:
            self.context.pipe(anyio.sleep(1), into=lambda _: Note("never"))
            self.context.stop()

        await doer.do(last)
        assert await doer.ref.wait() == Normal()
        assert doer.log == []


async def test_work_that_is_piped_in_on_stop_is_thrown_away() -> None:
    """A pipe made in on_stop does not hold the end up."""

    class Late(Doer):
        async def on_stop(self, reason: object) -> None:
            self.context.pipe(anyio.sleep_forever(), into=lambda _: Note("never"))

    async with ActorSystem() as system:
        doer = await pair(system, Late)
        assert await doer.ref.shutdown() == Shutdown()


@pytest.mark.dead_letters
async def test_two_pipes_that_fail_at_once_lose_no_error() -> None:
    """Of two errors of piped work in one turn, one is the crash and the other is not lost."""
    go = anyio.Event()

    async def broken(text: str) -> str:
        await go.wait()
        raise ValueError(text)

    with raising(BaseExceptionGroup) as raised:
        async with ActorSystem() as system:
            doer = await pair(system)
            for text in ("one", "two"):
                await doer.do(lambda self, text=text: self.context.pipe(broken(text), into=Note))
            with Recorder(system, StopError) as recorder:
                go.set()
                await doer.ref.wait()
    assert {*raised.texts, *(str(event.error) for event in recorder)} == {"one", "two"}


async def test_an_error_in_the_clean_up_of_a_pipe_is_a_stop_error() -> None:
    """What piped work raises while it is cancelled with its actor is published."""

    async def clumsy() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("clumsy")

    async with ActorSystem() as system:
        doer = await pair(system)
        await doer.do(lambda self: self.context.pipe(clumsy(), into=Note))
        system.monitor(doer.ref, lambda down: None)
        with Recorder(system, StopError) as recorder:
            assert await doer.ref.shutdown() == Shutdown()
        assert [str(event.error) for event in recorder] == ["clumsy"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_a_pipe_that_exits_the_program_brings_the_system_down(
    kind: type[BaseException],
) -> None:
    """SystemExit and KeyboardInterrupt of piped work are raised as themselves."""

    async def leave() -> str:
        raise kind(3)

    with raising(kind):
        async with ActorSystem() as system:
            doer = await pair(system)
            doer.ref.tell(Do(lambda self: self.context.pipe(leave(), into=Note)))
            await anyio.sleep(10)


async def test_a_watcher_and_its_watch_are_independent() -> None:
    """The end of a watcher leaves the watched proc alone and takes its monitors with it."""
    async with ActorSystem() as system:
        watcher = await pair(system)
        other = await system.spawn(task(forever))
        await watcher.do(lambda self: self.context.monitor(other))
        await watcher.ref.shutdown()
        assert other.is_alive
        await other.shutdown()


async def test_a_proc_with_an_inbox_hears_downs_between_messages() -> None:
    """`on_down` of a proc that reads an inbox is called between two messages."""
    log: list[object] = []

    class Reader(Proc[str]):
        async def on_start(self) -> None:
            self.context.monitor(other)

        async def run(self, shutdown: CancellationToken) -> None:
            async for received in self.context.inbox():
                log.append(received.message)

        def on_down(self, down: Down) -> None:
            log.append(down.reason)

    async with ActorSystem() as system:
        other = await system.spawn(task(forever))
        ref = await system.spawn(Reader)
        ref.tell("one")
        await other.shutdown()
        ref.tell("two")
        ref.stop()
        await ref.wait()
    assert log == ["one", Shutdown(), "two"]

"""Tests of `Ref.ask`: answers, deadlines, cancellation, and cycles of those who wait."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import (
    Actor,
    ActorError,
    ActorSystem,
    AskCycle,
    AskTimeout,
    DeadLetter,
    Killed,
    ProcExited,
    Ref,
    Reply,
    Request,
    on,
)
from actors.testing import settle
from tests.kit.actors import Ask, Do, Doer, Later, Plain, run

PLAIN = Plain(lambda node: 1)


class Node(Doer):
    """Note what comes of what it does, also an error of asking."""

    async def do(self, message: Do) -> None:
        """Do it, and note an error of asking."""
        try:
            self.log.append(await run(message.what(self)))
        except ActorError as error:
            self.log.append(error)


async def sleep(node: Node, seconds: float = 10.0) -> str:
    """Answer late."""
    await anyio.sleep(seconds)
    return "late"


async def nothing(node: Node) -> str:
    """Answer at once."""
    return "done"


class Nodes:
    """Hold nodes with one-letter names: `refs` are their addresses, `of` themselves."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.of: dict[str, Node] = {}
        self.refs: dict[str, Ref[Any]] = {}

    async def spawn(self, names: str) -> Nodes:
        """Spawn a node for each letter."""
        for name in names:
            self.of[name] = Node()
            self.refs[name] = await self.system.spawn(partial(self.of.__getitem__, name), id=name)
        return self

    def chain(self, path: str) -> Callable[[Node], Any]:
        """Return an act that asks the first of `path`, which asks the next, and so on."""
        if not path:
            return nothing

        async def act(node: Node) -> Any:
            return await self.refs[path[0]].ask(Ask(self.chain(path[1:])))

        return act


# -- deadlines -------------------------------------------------------------------------------------


async def test_an_ask_waits_five_seconds() -> None:
    """Without an argument an ask raises AskTimeout after five seconds; its receiver works on."""
    async with ActorSystem() as system:
        ref = (await Nodes(system).spawn("a")).refs["a"]
        began = anyio.current_time()
        with pytest.raises(AskTimeout, match=r"^/a did not answer Ask within 5 s$"):
            await ref.ask(Ask(sleep))
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        assert await ref.ask(PLAIN, timeout=None) == 1
        assert anyio.current_time() - began == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("timeout", [None, 1e9, 1e17, 1e300, 1.7e308])
async def test_an_ask_without_limit_waits_for_ever(timeout: float | None) -> None:
    """With `timeout=None` an answer may take any time; any finite number of seconds is a limit."""
    async with ActorSystem() as system:
        ref = (await Nodes(system).spawn("a")).refs["a"]
        late = partial(sleep, seconds=1_000_000)
        assert await ref.ask(Ask(late), timeout=timeout) == "late"


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, math.inf, -math.inf, 10**400])
async def test_a_bad_timeout_is_refused(timeout: float) -> None:
    """A timeout that is negative or endless raises ValueError; nothing is sent, nothing stopped."""
    async with ActorSystem() as system:
        ref = (await Nodes(system).spawn("a")).refs["a"]
        for call in (partial(ref.ask, Ask(nothing)), ref.shutdown):
            with pytest.raises(ValueError, match="a timeout is a") as raised:
                await call(timeout=timeout)
            assert str(raised.value).endswith(f"or None, not {timeout!r}")
        assert ref.statistics().queued == 0
        assert await ref.ask(PLAIN) == 1


async def test_an_asker_that_was_killed_does_no_harm(dead_letters: list[DeadLetter]) -> None:
    """A receiver whose asking proc was killed lives on."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("ab")
        nodes.refs["a"].tell(Do(partial(_ask, nodes.refs["b"], Ask(sleep))))
        await settle()
        nodes.refs["a"].kill()
        assert await nodes.refs["a"].wait() == Killed()
        assert await nodes.refs["b"].ask(PLAIN, timeout=None) == 1
    assert len(dead_letters) == 1


async def _ask(ref: Ref[Any], message: Any, node: Node) -> Any:
    return await ref.ask(message)


@pytest.mark.dead_letters
async def test_the_end_of_the_receiver_is_no_timeout() -> None:
    """An asker learns of the end of its receiver at once, long before its own deadline."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        nodes = await Nodes(system).spawn("ab")
        nodes.refs["a"].tell(Do(partial(_ask, nodes.refs["b"], Ask(sleep))))
        await settle()
        began = anyio.current_time()
        tasks.start_soon(nodes.refs["b"].shutdown, 0)
        await settle()
        await anyio.sleep(0.01)
        (error,) = nodes.of["a"].log
        assert isinstance(error, ProcExited)
        assert error.reason == Killed()
        assert anyio.current_time() - began < 1


# -- cycles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "chain"),
    [
        ("aa", ("/a", "/a")),
        ("aba", ("/b", "/a", "/b")),
        ("abca", ("/c", "/a", "/b", "/c")),
        ("abcdb", ("/d", "/b", "/c", "/d")),
    ],
)
async def test_a_cycle_is_found_at_the_call(
    path: str, chain: tuple[str, ...], dead_letters: list[DeadLetter]
) -> None:
    """An ask that closes a cycle of any length raises AskCycle with the chain, at once."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("abcd")
        for ref in nodes.refs.values():
            system.monitor(ref, lambda down: None)
        began = anyio.current_time()
        with pytest.raises(ProcExited) as raised:
            await nodes.chain(path)(Node())
        assert anyio.current_time() == began
        error: BaseException | None = raised.value
        while isinstance(error, ProcExited):
            error = error.__cause__
        assert isinstance(error, AskCycle)
        assert error.chain == chain
        assert str(error) == f"asking Ask would wait for ever: {' -> '.join(chain)}"
    assert len(dead_letters) > 0


async def test_an_ask_beside_the_proc_is_no_cycle() -> None:
    """A task that a proc has started may ask that proc, and those who wait for it."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("a")

        async def aside(node: Node) -> None:
            async def ask_me() -> int:
                found: int = await node.context.ref.ask(PLAIN)
                return found

            node.context.pipe(ask_me(), into=lambda value: Do(partial(_note, value)))

        nodes.refs["a"].tell(Do(aside))
        await settle()
        assert nodes.of["a"].log == [None, 1]


async def _note(value: Any, node: Node) -> Any:
    return value


async def test_an_answered_ask_is_no_cycle() -> None:
    """One that was answered waits no more, even if it has not run since."""
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        nodes = await Nodes(system).spawn("ab")
        a, b = nodes.refs["a"], nodes.refs["b"]
        leave = anyio.Event()

        async def hold(node: Node) -> None:
            await leave.wait()

        b.tell(Do(hold))
        await settle()
        a.tell(Do(partial(_ask, b, PLAIN)))
        await settle()
        # In one batch: answer a, and then ask it.
        b.tell(Do(partial(_ask, a, PLAIN)))
        leave.set()
        await settle()
        tasks.cancel_scope.cancel()
        assert nodes.of["a"].log == [1]
        assert nodes.of["b"].log == [None, 1]


async def test_an_ask_answered_by_a_reply_is_no_cycle() -> None:
    """After `reply.send` the same handler may ask its asker."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("ab")
        a, b = nodes.refs["a"], nodes.refs["b"]

        async def answer_and_ask(node: Node, reply: Reply[Any]) -> None:
            reply.send("first")
            node.log.append(await a.ask(PLAIN))

        a.tell(Do(partial(_ask, b, Later(answer_and_ask))))
        await settle()
        assert nodes.of["a"].log == ["first"]
        assert nodes.of["b"].log == [1]


async def test_an_ask_that_timed_out_is_no_cycle() -> None:
    """One whose time is up waits no more."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("ab")
        a, b = nodes.refs["a"], nodes.refs["b"]

        async def slow(node: Node) -> None:
            await anyio.sleep(2)
            node.log.append(await a.ask(PLAIN))

        async def impatient(node: Node) -> Any:
            return await b.ask(Ask(slow), timeout=1)

        a.tell(Do(impatient))
        await anyio.sleep(3)
        assert isinstance(nodes.of["a"].log[0], AskTimeout)
        assert nodes.of["b"].log == [1]


async def test_a_reply_that_was_handed_on_is_no_cycle() -> None:
    """Once a reply was kept or handed on, its first receiver may ask those who wait for it."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("abc")
        a, b, c = (nodes.refs[name] for name in "abc")

        async def answer(reply: Reply[Any], node: Node) -> None:
            # a waits for its answer, which is c's to give: b can wait for a.
            reply.send(await b.ask(PLAIN))

        async def hand_on(node: Node, reply: Reply[Any]) -> None:
            c.tell(Do(partial(answer, reply)))

        a.tell(Do(partial(_ask, b, Later(hand_on))))
        await settle()
        b.tell(Do(partial(_ask, a, PLAIN)))
        await settle()
        assert nodes.of["a"].log == [1]
        assert nodes.of["b"].log == [1]


Edges = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=12)


@pytest.mark.dead_letters
@settings(max_examples=60)
@given(edges=Edges)
async def test_random_asks_never_hang(edges: list[tuple[str, str]]) -> None:
    """Whoever asks whom, each ask is answered or found to be a cycle, and no time passes."""
    async with ActorSystem() as system:
        nodes = await Nodes(system).spawn("abc")
        began = anyio.current_time()
        for asker, asked in edges:
            nodes.refs[asker].tell(Do(partial(_ask, nodes.refs[asked], PLAIN)))
        await settle()
        assert anyio.current_time() == began
        results = [entry for name in "abc" for entry in nodes.of[name].log]
        assert len(results) == len(edges)
        assert all(entry == 1 or isinstance(entry, AskCycle) for entry in results)
        for asker, asked in edges:
            # Asking oneself is a cycle always; one who is asked by nobody else never closes one.
            if asker == asked:
                assert any(isinstance(entry, AskCycle) for entry in nodes.of[asker].log)
        if all(asker < asked for asker, asked in edges):
            assert results == [1] * len(edges)


class Patient(Request[int]):
    """Take as long as it takes, unless a timeout is given."""

    __timeout__ = None


@pytest.mark.dead_letters
async def test_a_request_can_say_its_own_timeout() -> None:
    """An ask without a timeout has that of the request's class; one that is given overrules it."""

    class Slow(Actor[Patient]):
        @on(Patient)
        async def answer(self, message: Patient) -> int:
            await anyio.sleep(60.0)
            return 1

    async with ActorSystem() as system:
        slow = await system.spawn(Slow)
        assert await slow.ask(Patient()) == 1
        with pytest.raises(AskTimeout, match="within 5 s"):
            await slow.ask(Patient(), timeout=5.0)


@pytest.mark.dead_letters
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0, "5"])
async def test_a_wrong_timeout_of_a_class_of_requests_is_refused(wrong: Any) -> None:
    """It is refused at the ask; the clock goes on for all others."""

    class Wrong(Request[int]):
        __timeout__ = wrong

    class Slow(Actor[Wrong | Patient]):
        @on(Wrong)
        async def wrong(self, message: Wrong) -> int:
            await anyio.lowlevel.checkpoint()
            return 1

        @on(Patient)
        async def answer(self, message: Patient) -> int:
            return await anyio.sleep_forever()  # type: ignore[return-value]

    async with ActorSystem() as system:
        slow = await system.spawn(Slow)
        with pytest.raises((ValueError, TypeError), match="a timeout is a number of seconds"):
            await slow.ask(Wrong())
        with pytest.raises(AskTimeout):
            await slow.ask(Patient(), timeout=2.0)

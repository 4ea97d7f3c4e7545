"""Tests of `consumer`: what it opens it closes, and what it has in hand it finishes."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
import anyio.lowlevel
import pytest

from actors import (
    ActorSystem,
    Crashed,
    Down,
    ExitReason,
    Killed,
    Normal,
    Ref,
    Shutdown,
    StartFailed,
)
from actors.testing import START, settle
from supervision import SpecError, consumer
from tests.kit.actors import spawned
from tests.kit.errors import Boom


def now() -> float:
    """Return the seconds since the start of the test's clock."""
    return round(anyio.current_time() - START, 6)


def unheard(down: Down) -> None:
    """Take a crash for what is expected."""


class Source:
    """Give numbers, one a second; note what is opened and closed."""

    def __init__(self, trace: list[str], last: int = 1000) -> None:
        self.trace = trace
        self.last = last

    async def numbers(self) -> AsyncGenerator[int, None]:
        """Be an async generator."""
        self.trace.append("open")
        try:
            number = 0
            while number < self.last:
                await anyio.sleep(1)
                number += 1
                yield number
        finally:
            self.trace.append("closed")

    @asynccontextmanager
    async def managed(self) -> AsyncGenerator[AsyncIterator[int], None]:
        """Be an async context manager of an async iterator."""
        self.trace.append("enter")
        try:
            yield self.numbers()
        finally:
            self.trace.append("leave")

    async def connect(self) -> AsyncIterator[int]:
        """Be a coroutine function."""
        await anyio.sleep(1)
        return self.numbers()


class Iterable:
    """Make a new generator for each iteration."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __aiter__(self) -> AsyncIterator[int]:
        return self.source.numbers()


class Closable:
    """Be an iterator with an `aclose` that is no generator, like the streams of anyio."""

    def __init__(self, source: Source) -> None:
        self.trace = source.trace
        self.numbers = iter(range(1, 1 + source.last))
        self.trace.append("open")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        await anyio.sleep(1)
        for number in self.numbers:
            return number
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Note it."""
        self.trace.append("closed")
        await anyio.lowlevel.checkpoint()


class AllInOne:
    """Be a client that can be awaited, entered and iterated over."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __await__(self) -> Any:
        raise AssertionError("nobody would close it then")

    async def __aenter__(self) -> Iterable:
        self.source.trace.append("enter")
        return Iterable(self.source)

    async def __aexit__(self, *error: object) -> None:
        self.source.trace.append("leave")


SHAPES: dict[str, Callable[[Source], Callable[[], Any]]] = {
    "generator": lambda source: source.numbers,
    "context manager": lambda source: source.managed,
    "coroutine function": lambda source: source.connect,
    "iterable": lambda source: lambda: Iterable(source),
    "with aclose": lambda source: lambda: Closable(source),
    "all in one": lambda source: lambda: AllInOne(source),
}
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_concurrency = pytest.mark.parametrize("concurrency", [1, 3])


async def begin(
    system: ActorSystem, source: Source, shape: str, handle: Callable[[int], Any], concurrency: int
) -> Ref[Any]:
    """Start a consumer of a source in this shape."""
    opening = SHAPES[shape](source)
    return await system.spawn(consumer(opening, handle, concurrency=concurrency))


def open_and_closed(shape: str) -> list[str]:
    """Return what the trace holds of a whole life."""
    managed = shape in ("context manager", "all in one")
    return ["enter", "open", "closed", "leave"] if managed else ["open", "closed"]


# -- the ways to end, for every shape of a source --------------------------------------------------

ERROR = Boom("item")
ENDS: dict[str, tuple[ExitReason, list[int]]] = {
    "exhausted": (Normal(), [1, 2, 3]),
    "stop": (Shutdown(), [1, 2]),
    "kill": (Killed(), [1, 2]),
    "kill in hand": (Killed(), []),
    "crash": (Crashed(ERROR), [1]),
}


@each_shape
@each_concurrency
@pytest.mark.parametrize("end", ENDS)
async def test_however_it_ends_the_source_is_closed(shape: str, concurrency: int, end: str) -> None:
    """Items are handled in order; however it ends, the source is closed before that is told."""
    trace: list[str] = []
    items: list[int] = []

    async def handle(item: int) -> None:
        if end == "kill in hand":
            await anyio.sleep_forever()
        if end == "crash" and item == 2:
            raise ERROR
        items.append(item)

    async with ActorSystem() as system:
        proc = await begin(system, Source(trace, last=3), shape, handle, concurrency)
        system.monitor(proc, unheard)
        await anyio.sleep(2.5)
        if end == "stop":
            before = now()
            await proc.shutdown()
            assert now() == before  # it waits for no other item
        elif end.startswith("kill"):
            proc.kill()
        assert (await proc.wait(), items) == ENDS[end]
        assert trace == open_and_closed(shape)


@each_shape
@each_concurrency
async def test_a_stop_finishes_what_is_in_hand(shape: str, concurrency: int) -> None:
    """Told to stop in the middle of an item, it finishes that, takes no other, and closes then."""
    trace: list[str] = []
    items: list[int] = []

    async def handle(item: int) -> None:
        await anyio.sleep(4)
        assert "leave" not in trace  # a context manager is left last
        assert concurrency > 1 or "closed" not in trace
        items.append(item)

    async with ActorSystem() as system:
        proc = await begin(system, Source(trace), shape, handle, concurrency)
        await anyio.sleep(2.5)
        assert await proc.shutdown(100) == Shutdown()
    assert items == ([1] if concurrency == 1 else [1, 2])
    assert trace == open_and_closed(shape)


# -- opening ---------------------------------------------------------------------------------------


async def test_it_is_ready_when_the_source_is_open() -> None:
    """The start takes as long as opening does."""
    async with spawned(consumer(Source([]).connect, print)):
        assert now() == 1


@pytest.mark.parametrize("where", ["call", "await", "enter", "iterate"])
async def test_a_source_that_cannot_be_opened_is_a_failed_start(where: str) -> None:
    """An error while opening is the error of the start."""

    class Broken:
        async def __aenter__(self) -> Self:
            if where == "enter":
                raise Boom
            return self

        async def __aexit__(self, *error: object) -> None:
            pass

        def __aiter__(self) -> AsyncIterator[int]:
            raise Boom

    async def connect() -> Broken:
        if where == "await":
            raise Boom
        return Broken()

    def opening() -> Any:
        if where == "call":
            raise Boom
        return connect()

    async with ActorSystem() as system:
        with pytest.raises(StartFailed) as caught:
            await system.spawn(consumer(opening, print))
        assert isinstance(caught.value.__cause__, Boom)


@pytest.mark.parametrize("wrong", [[1, 2], None, iter(())], ids=["list", "None", "iterator"])
async def test_a_source_gives_something_asynchronous(wrong: Any) -> None:
    """What cannot be iterated over with `async for` is a failed start that says so."""
    async with ActorSystem() as system:
        with pytest.raises(StartFailed, match="async for"):
            await system.spawn(consumer(lambda: wrong, print))


# -- taking ----------------------------------------------------------------------------------------


async def test_what_has_come_when_it_is_told_to_stop_is_handled() -> None:
    """An item that was handed over in the turn of the stop is not lost."""
    send, receive = anyio.create_memory_object_stream[int](0)
    items: list[int] = []
    with send, receive:
        async with spawned(consumer(receive.clone, items.append)) as proc:
            await settle()
            send.send_nowait(1)
            proc.stop()
            await proc.wait()
            with pytest.raises(anyio.WouldBlock):
                send.send_nowait(2)  # nobody takes it any more
    assert items == [1]


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 10), (4, 3)])
async def test_so_many_items_at_a_time(concurrency: int, seconds: int) -> None:
    """With `concurrency` so many items are in hand at once and no more is taken meanwhile."""
    inside: list[int] = []
    taken: list[int] = []
    most = 0

    async def source() -> AsyncGenerator[int, None]:
        for number in range(10):
            taken.append(number)
            yield number

    async def handle(item: int) -> None:
        nonlocal most
        inside.append(item)
        most = max(most, len(inside))
        await anyio.sleep(1)
        inside.remove(item)

    async with spawned(consumer(source, handle, concurrency=concurrency)) as proc:
        await settle()
        assert taken == list(range(concurrency))
        assert await proc.wait() == Normal()
    assert (most, now()) == (concurrency, seconds)


async def test_a_stop_while_all_hands_are_full() -> None:
    """Told to stop while there is no room for another item, it finishes those in hand."""
    items: list[int] = []

    async def handle(item: int) -> None:
        await anyio.sleep(10)
        items.append(item)

    async with spawned(consumer(Source([]).numbers, handle, concurrency=2)) as proc:
        await anyio.sleep(5)
        assert await proc.shutdown(60) == Shutdown()
    assert items == [1, 2]
    assert now() == 12


async def test_an_error_cancels_the_others_in_hand() -> None:
    """With several items in hand, the error of one cancels the others; several are a group."""
    gate = anyio.Event()

    async def handle(item: int) -> None:
        try:
            await (gate.wait() if item == 1 else anyio.sleep_forever())
        finally:
            raise Boom(str(item))

    async with spawned(consumer(Source([], last=2).numbers, handle, concurrency=2)) as proc:
        await anyio.sleep(2.5)
        gate.set()
        reason = await proc.wait()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, ExceptionGroup)
    assert {str(error) for error in reason.error.exceptions} == {"1", "2"}


async def test_a_source_that_never_waits_holds_nobody_up() -> None:
    """Between two items others get their turn, so even a flood can be stopped."""
    items: list[int] = []

    async def flood() -> AsyncGenerator[int, None]:
        while True:
            yield 1

    async with spawned(consumer(flood, items.append)) as proc:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        proc.stop()
        assert await proc.wait() == Normal()
    assert 0 < len(items) < 1000


@pytest.mark.parametrize("when", ["first", "later", "closing"])
async def test_an_error_of_the_source_is_a_crash(when: str) -> None:
    """What the source raises, also while it is closed, is the child's crash."""

    async def broken() -> AsyncGenerator[int, None]:
        try:
            if when == "first":
                raise Boom
            yield 1
            if when == "later":
                raise Boom
            await anyio.sleep_forever()
        finally:
            if when == "closing":
                raise Boom

    async with spawned(consumer(broken, lambda item: None)) as proc:
        await settle()
        reason: ExitReason = await proc.shutdown()
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, Boom)


# -- at the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None])
def test_what_cannot_be_meant_is_refused(concurrency: Any) -> None:
    """`concurrency` is an int of at least one, and a source and its handler are functions."""
    with pytest.raises(SpecError, match=r"^consumer: concurrency: "):
        consumer(Source([]).numbers, print, concurrency=concurrency)
    not_a_function: Any = concurrency
    for source, handler in ((not_a_function, print), (Source([]).numbers, not_a_function)):
        with pytest.raises(TypeError, match="is a function"):
            consumer(source, handler)
    needs_more: Any = lambda item, more: None  # noqa: E731
    for source, handler in ((needs_more, print), (Source([]).numbers, needs_more)):
        with pytest.raises(TypeError, match=r"which .* does not take"):
            consumer(source, handler)

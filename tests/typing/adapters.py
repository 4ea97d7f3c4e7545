"""Adapters of functions, threads and programs: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any, Literal, Never, assert_type

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from actors import ActorSystem, CancellationToken, Event, Ref
from supervision import ChildSpec, blocking, consumer, periodic, subprocess
from supervision.adapters import BlockingToken
from supervision.errors import ProcessFailed
from supervision.events import ProcessOutput, ThreadAbandoned


def sweep() -> None: ...


async def report(shutdown: CancellationToken) -> None: ...


def count(shutdown: CancellationToken) -> int:
    return 1


def two(one: int, other: int) -> None: ...


def of_text(text: str) -> None: ...


def pacing() -> None:
    ChildSpec("sweep", periodic(sweep, every=1))
    ChildSpec("report", periodic(report, every=0.5, immediately=True))
    periodic(count, every=60.0)
    periodic(partial(two, 1, 2), every=1)
    assert_type(ChildSpec("sweep", periodic(sweep, every=1)), ChildSpec[Never])

    periodic(sweep)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    periodic(sweep, every="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    periodic(two, every=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Broker:
    async def __aenter__(self) -> AsyncIterator[str]:
        return texts()

    async def __aexit__(self, *error: object) -> None: ...


async def texts() -> AsyncIterator[str]:
    yield "one"


@asynccontextmanager
async def managed() -> AsyncGenerator[AsyncIterator[str], None]:
    yield texts()


async def connect() -> AsyncIterator[str]:
    return texts()


async def connect_managed() -> Broker:
    return Broker()


async def handle(text: str) -> None: ...


async def handle_number(number: int) -> None: ...


def consuming(stream: MemoryObjectReceiveStream[str]) -> None:
    ChildSpec("texts", consumer(texts, handle))
    ChildSpec("texts", consumer(managed, of_text, concurrency=5))
    consumer(connect, handle)
    consumer(connect_managed, handle)
    consumer(Broker, print)
    consumer(stream.clone, handle)
    consumer(lambda: stream, handle)
    assert_type(ChildSpec("texts", consumer(texts, handle)), ChildSpec[Never])

    consumer(texts)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    consumer(texts, handle_number)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    consumer(stream, handle)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    consumer(lambda: ["one"], handle)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    consumer(texts, sweep)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def poll(shutdown: BlockingToken) -> None:
    assert_type(shutdown.cancelled, bool)
    assert_type(shutdown.reason, object)
    assert_type(shutdown.wait(1.0), bool)
    shutdown.on_cancel(sweep)()

    shutdown.on_cancel(of_text)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    shutdown.cancel()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def poll_later(shutdown: BlockingToken) -> None: ...


def threading() -> None:
    ChildSpec("poll", blocking(poll))
    assert_type(ChildSpec("poll", blocking(poll)), ChildSpec[Never])

    blocking(poll_later)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    blocking(sweep)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    blocking(report)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def is_ready(line: str) -> bool:
    return line == "ready"


def programs() -> None:
    ChildSpec("ls", subprocess(["ls", "-l"]))
    subprocess(("ls", Path("/")), cwd=Path("/"), env={"A": "1"}, output="inherit")
    subprocess([Path("/bin/ls")], ready=is_ready, stop_signal=signal.SIGINT, stop_group=False)
    assert_type(ChildSpec("ls", subprocess(["ls"])), ChildSpec[Never])

    subprocess(["ls", 5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    subprocess(["ls"], output="log")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    subprocess(["ls"], env={"A": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    subprocess(["ls"], stop_signal="TERM")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def addresses(system: ActorSystem) -> None:
    ref = await system.spawn(subprocess(["ls"]))
    assert_type(ref, Ref[Never])

    ref.tell("stop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def events(event: Event, error: ProcessFailed) -> None:
    if isinstance(event, ProcessOutput):
        assert_type(event.ref, Ref[Any])
        assert_type(event.stream, Literal["stdout", "stderr"])
        assert_type(event.line, str)
    if isinstance(event, ThreadAbandoned):
        assert_type(event.thread, str)
        assert_type(event.stack, tuple[tuple[CodeType, int], ...])
    assert_type(error.argv, tuple[str, ...])
    assert_type(error.returncode, int | None)
    assert_type(error.last_lines, tuple[str, ...])


def streams() -> None:
    send, receive = anyio.create_memory_object_stream[int](1)
    ChildSpec("numbers", consumer(lambda: receive, handle_number))
    print(send)

    consumer(lambda: receive, handle)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]

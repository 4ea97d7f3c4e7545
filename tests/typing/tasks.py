"""Tasks and partitions: what the checkers know of results, keys and messages.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Never, assert_type

from attrs import frozen

from actors import Actor, AnyRef, Ref, Request, on, task
from supervision import (
    INFINITY,
    ChildSpec,
    Partitions,
    PartitionSupervisorSpec,
    Restart,
    SupervisorMessage,
    SupervisorSpec,
    Tasks,
    TaskSupervisorSpec,
    serve,
)
from supervision.supervisors import (
    GetPartition,
    PartitionMessage,
    PartitionSupervisor,
    ResizePartitions,
    partition_of,
)
from supervision.tasks import Failed, Outcome, Succeeded, TaskMap, TaskSupervisor


@frozen
class Put:
    key: str


@frozen
class Get(Request[int]):
    key: str


class Cache(Actor[Put | Get]):
    def __init__(self, number: int = 0) -> None: ...

    @on(Put)
    def put(self, message: Put) -> None: ...

    @on(Get)
    def get(self, message: Get) -> int:
        return 1


async def fetch(page: int, retries: int) -> str:
    return f"{page} {retries}"


async def load(page: int) -> bytes:
    return b""


async def pages() -> AsyncIterator[int]:
    yield 1


def plain(page: int) -> str:
    return ""


async def run_tasks(jobs: Ref[SupervisorMessage], anything: AnyRef) -> None:
    tasks = Tasks(jobs, shutdown=1.0)
    assert_type(Tasks(anything, shutdown=INFINITY), Tasks)
    assert_type(await tasks.run(fetch, 1, 2), str)
    assert_type(await tasks.run(partial(fetch, 1, retries=2)), str)
    assert_type(await tasks.run(fetch, 1, retries=2), str)
    assert_type(await tasks.start(fetch, 1, 2), Ref[Never])
    await tasks.start(load, 1, restart=Restart.TRANSIENT, id="load")
    await tasks.start(load, 1, restart="transient")

    await tasks.run(fetch, 1, "2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await tasks.run(fetch(1, 2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await tasks.run(plain, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await tasks.start(load, 1, restart="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await tasks.run(load, 1, restart="transient")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    number: int = await tasks.run(load, 1)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    Tasks("jobs")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    print(number)


async def map_tasks(tasks: Tasks) -> None:
    assert_type(tasks.map(load, [1, 2], limit=2), TaskMap[bytes])
    assert_type(tasks.map(load, pages(), limit=2, ordered=False), TaskMap[bytes])
    async with tasks.map(load, pages(), limit=2) as found:
        async for data in found:
            assert_type(data, bytes)
    async for outcome in tasks.map(load, range(3), limit=2, outcomes=True):
        assert_type(outcome, Outcome[int, bytes])
        match outcome:
            case Succeeded(item, value):
                assert_type((item, value), tuple[int, bytes])
            case Failed(item, error):
                assert_type((item, error), tuple[int, Exception])

    tasks.map(load, ["1"], limit=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tasks.map(load, [1])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    tasks.map(load, [1], 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    tasks.map(plain, [1], limit=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


CACHE = ChildSpec("cache", partial(Cache, 0))


def make(number: int) -> ChildSpec[Put | Get]:
    return ChildSpec("cache", partial(Cache, number))


TREE = SupervisorSpec(
    "shop",
    [
        PartitionSupervisorSpec("caches", CACHE, partitions=4, max_restarts=10),
        PartitionSupervisorSpec("others", make, shutdown=5.0),
        TaskSupervisorSpec("jobs", max_tasks=10, restart=Restart.TRANSIENT),
    ],
)
assert_type(PartitionSupervisorSpec("caches", make), PartitionSupervisorSpec[Put | Get])


def wrong_specs() -> None:
    PartitionSupervisorSpec("caches")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PartitionSupervisorSpec("caches", CACHE, 4)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    PartitionSupervisorSpec("caches", Cache)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    TaskSupervisorSpec("jobs", max_task=10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    TaskSupervisorSpec("jobs", [CACHE])  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    partition_of(1.5, 4)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ResizePartitions("4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    TaskSupervisor(TREE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PartitionSupervisor(TREE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def route(supervisor: Ref[PartitionMessage]) -> None:
    caches = Partitions[Put | Get](supervisor)
    assert_type(caches.ref("ada"), Ref[Put | Get])
    assert_type(caches.refs, tuple[Ref[Put | Get], ...])
    assert_type(await caches.ask("ada", Get("ada")), int)
    caches.tell(7, Put("ada"))
    await caches.send(b"ada", Put("ada"))
    await caches.resize(8)
    assert_type(await supervisor.ask(GetPartition("ada")), Ref[Any])
    assert_type(await supervisor.ask(ResizePartitions(8)), None)

    caches.tell("ada", "put")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    caches.tell(1.5, Put("ada"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await caches.ask("ada", Put("ada"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    text: str = await caches.ask("ada", Get("ada"))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    print(text)


async def serving() -> None:
    async with serve(TaskSupervisorSpec("jobs")) as app:
        assert_type(await Tasks(app.supervisor).run(load, 1), bytes)
    async with serve(PartitionSupervisorSpec("works", ChildSpec("work", task(anything)))) as app:
        assert_type(Partitions[Never](app.supervisor).refs, tuple[Ref[Never], ...])


async def anything(shutdown: object) -> None: ...

"""Task supervisors, functions to be called as tasks, and a world to map over with a watch on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from actors.testing import settle
from supervision import Application, ChildInfo, Tasks, TaskSupervisorSpec, WhichChildren, serve
from supervision.tasks import TaskMap
from tests.kit.errors import Boom

Diary = list[str]


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[Application, Tasks], None]:
    """Serve a task supervisor; yield it with a handle."""
    shutdown = options.pop("task_shutdown", 5.0)
    async with serve(TaskSupervisorSpec("jobs", **options)) as app:
        yield app, Tasks(app.supervisor, shutdown=shutdown)


async def ids(app: Application) -> list[str]:
    """List the ids of the children, without the numbers."""
    return [info.id.rpartition("-")[0] for info in await app.supervisor.ask(WhichChildren())]


async def only(app: Application) -> ChildInfo:
    """Return what is known of the only child, which runs by now."""
    await settle()
    (info,) = await app.supervisor.ask(WhichChildren())
    return info


async def double(number: int) -> int:
    """Return something after a while."""
    await anyio.sleep(1)
    return 2 * number


async def fail(error: BaseException) -> None:
    """Raise something."""
    raise error


async def hang(diary: Diary, tidy: float = 0.0, name: str = "hang") -> None:
    """Wait until cancelled, and then for as long as it takes to tidy up."""
    diary.append(f"{name} begins")
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(tidy)
        diary.append(f"{name} is gone")


class World:
    """Have items to map over, calls to make on them, and watch both."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.begun: list[int] = []
        self.gone: list[int] = []
        self.closed = 0
        self.tidy = 1.0  # seconds that `hang` needs to end
        self.early = False  # whether a source was closed before the last call was gone
        self.most = 0
        self.out = 0  # results that have reached the consumer
        self.furthest = 0  # how far the source was ever ahead of them
        self.app: Application
        self.tasks: Tasks

    @asynccontextmanager
    async def serve(self, **options: Any) -> AsyncGenerator[World, None]:
        """Serve a task supervisor, and check that no task is left when it is quiet."""
        async with serve(TaskSupervisorSpec("jobs", **options)) as self.app:
            self.tasks = Tasks(self.app.supervisor)
            yield self
            assert await self.ids() == []
            assert self.running == 0
            assert not self.early

    async def ids(self) -> list[str]:
        """List the children, without their numbers."""
        await settle()
        infos = await self.app.supervisor.ask(WhichChildren())
        return [info.id.rpartition("-")[0] for info in infos]

    @property
    def running(self) -> int:
        """Tell how many calls run now."""
        return len(self.begun) - len(self.gone)

    def note(self, item: int) -> None:
        """Note that an item was taken from the source."""
        self.taken.append(item)
        self.furthest = max(self.furthest, len(self.taken) - self.out)

    def plain(self, count: int) -> Iterator[int]:
        """Be a source that is read with `for`."""
        try:
            for item in range(count):
                self.note(item)
                yield item
        finally:
            self.closed += 1

    async def slowly(self, count: int, pause: float = 0.1) -> AsyncIterator[int]:
        """Be a source that is read with `async for`."""
        try:
            for item in range(count):
                await anyio.sleep(pause)
                self.note(item)
                yield item
        except BaseException:
            self.early |= self.running > 0
            raise
        finally:
            self.closed += 1

    async def call(self, item: int) -> int:
        """Take a while, another one for each item; 13 is unlucky."""
        self.begun.append(item)
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(1 + item * 7 % 5)
            if item == 13:
                raise Boom(item)
            return item * item
        finally:
            self.gone.append(item)

    async def hang(self, item: int) -> int:
        """Wait until cancelled, and then take a while to tidy up."""
        self.begun.append(item)
        try:
            await anyio.sleep_forever()
        finally:
            if self.tidy:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(self.tidy)
            self.gone.append(item)
        raise AssertionError

    async def collect(self, results: TaskMap[int], most: int = 1000) -> list[int]:
        """Consume some results."""
        found: list[int] = []
        async with results:
            async for result in results:
                found.append(result)
                self.out += 1
                if len(found) == most:
                    break
        return found


SOURCES: list[Callable[[World, int], Any]] = [
    World.plain,
    World.slowly,
    lambda world, count: list(range(count)),
]
EachSource = Callable[[World, int], Any]

each_source = pytest.mark.parametrize(
    "source", SOURCES, ids=["generator", "async generator", "list"]
)

"""Task supervisors, and functions to be called as tasks, for their tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from actors.testing import settle
from supervision import Application, ChildInfo, Tasks, TaskSupervisorSpec, WhichChildren, serve

Diary = list[str]


class Boom(Exception):
    """Fail on purpose."""


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

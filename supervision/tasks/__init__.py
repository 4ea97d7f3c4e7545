"""Tasks: one-off coroutine functions under supervision, and maps over many items.

A `TaskSupervisorSpec` among the children of a tree makes a place for tasks, `Tasks` starts them
there: to wait for, in the background, or one for each item of a source.

Guarantees: nothing outlives the supervisor; whoever waits for a task hears how it ended, however it
ended; whoever stops waiting finds it gone.

Read `tasks` first, what users call; then `task`, one task and its owner. `map` is the consumer's
side of a map, `map_actor` the side that reads and calls.

>>> import anyio
>>> from supervision import Tasks, TaskSupervisorSpec, serve
>>> async def length(text: str) -> int:
...     return len(text)
>>> async def main() -> None:
...     async with serve(TaskSupervisorSpec("jobs")) as app:
...         tasks = Tasks(app.supervisor)
...         print(await tasks.run(length, "one"))
...         async for outcome in tasks.map(length, ["two", 3], limit=2, outcomes=True):
...             print(outcome)
>>> anyio.run(main)
3
Succeeded(item='two', value=3)
Failed(item=3, error=TypeError("object of type 'int' has no len()"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.tasks.map import TaskMap
    from supervision.tasks.outcomes import Failed, Outcome, Succeeded
    from supervision.tasks.tasks import Tasks, TaskSupervisor
else:
    __getattr__, __dir__ = lazy_door(
        "supervision.tasks",
        {
            "supervision.tasks.map": "TaskMap",
            "supervision.tasks.outcomes": "Failed Outcome Succeeded",
            "supervision.tasks.tasks": "Tasks TaskSupervisor",
        },
    )

__all__ = [
    "Failed",
    "Outcome",
    "Succeeded",
    "TaskMap",
    "TaskSupervisor",
    "Tasks",
]

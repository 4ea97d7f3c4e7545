"""Tasks: coroutines under a supervisor, awaited, fire-and-forget, or one for each item.

Nothing is left behind: a caller that gives up takes its task along, a loop that is left cancels
what is left, and a crash that nobody waits for is told.
"""

import anyio

from actors import Crashed, Event
from supervision import Tasks, TaskSupervisorSpec, serve
from supervision.events import ChildExited
from supervision.tasks import Failed


async def fetch(page: int) -> str:
    """Fetch a page; page 3 is missing, page 9 takes for ever."""
    try:
        await anyio.sleep(1000 if page == 9 else 0.01 * (5 - page % 4))
    finally:
        if page == 9:
            print("page 9 is given up")
    if page == 3:
        raise LookupError("no page 3")
    return f"page {page}"


def tell(event: Event) -> None:
    """Say what crashed."""
    if isinstance(event, ChildExited) and isinstance(event.reason, Crashed):
        print("crashed:", event.reason.error)


async def main() -> None:
    """Fetch pages in several ways."""
    async with serve(TaskSupervisorSpec("jobs", max_tasks=100), observe=[tell]) as app:
        tasks = Tasks(app.supervisor)

        print("-- awaited")
        print(await tasks.run(fetch, 1))
        try:
            await tasks.run(fetch, 3)
        except LookupError as error:
            print("the caller hears:", error)
        with anyio.move_on_after(0.1):
            await tasks.run(fetch, 9)

        print("-- fire and forget")
        await tasks.start(fetch, 3)
        await anyio.sleep(0.1)

        print("-- in order, three at a time")
        async with tasks.map(fetch, range(100, 200), limit=3) as pages:
            async for page in pages:
                print(page)
                if page == "page 104":
                    break

        print("-- whatever happens")
        async for outcome in tasks.map(fetch, [2, 3, 4], limit=3, outcomes=True):
            match outcome:
                case Failed(number, problem):
                    print(f"page {number} failed: {problem}")
                case found:
                    print(found.value)


if __name__ == "__main__":
    anyio.run(main)

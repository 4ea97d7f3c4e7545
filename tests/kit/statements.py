"""What the tests of OTP's statements share, beside the `Stage` of the tests of supervisors.

Everything runs on virtual time. The diary of a stage reads `+a` for a proc that got ready, `-a`
for one that ended, `!a` for a start that failed, `~a` for one that was ignored.

    stage = Stage()
    async with stage.serve(stage.children("abc"), strategy="one_for_all", max_restarts=1):
        await die_together(stage, "ba")     # both exits wait in the mailbox, b's first
        assert stage.take() == [*starts("abc"), *ends("bac"), *starts("abc")]
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio

from actors import ExitReason, ProcExited, Ref, Refusal, Request
from actors.testing import settle
from supervision import (
    Application,
    ChildSpec,
    DynamicSupervisorSpec,
    SpecError,
    StartChild,
    SupervisorMessage,
    SupervisorSpec,
)
from supervision.events import ChildExited, ChildStopped
from tests.kit.errors import Boom
from tests.kit.stage import Stage
from tests.kit.workers import Step, Worker

STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
ROUNDS = STRATEGIES[1:]
"""The strategies under which a restart moves siblings."""

A_MOMENT = 0.01
"""So long (virtual seconds) a failing start waits for what it has set in motion.

Not `settle`: the test itself settles then, and the two would be ready at the same time.
"""


A_LONG_TIME = 100_000.0
"""So long (virtual seconds) a test waits for what must happen."""


def starts(ids: str) -> list[str]:
    """Return the entries of the diary for children that got ready in this order."""
    return [f"+{id}" for id in ids]


def ends(ids: str) -> list[str]:
    """Return the entries of the diary for children that ended in this order."""
    return [f"-{id}" for id in ids]


def exits(stage: Stage) -> list[str]:
    """Return the children whose own exits were handled, each with what came next."""
    return [f"{_id(event.ref)}: {event.next.value}" for event in stage.told(ChildExited)]


def stopped(stage: Stage) -> dict[str, tuple[str, bool]]:
    """Return the children that were stopped: the reason, and whether it was the expected one."""
    return {
        _id(event.ref): (str(event.reason), event.expected) for event in stage.told(ChildStopped)
    }


def _id(ref: Ref[Any]) -> str:
    return ref.path.rpartition("/")[2]


def dynamic(**options: Any) -> DynamicSupervisorSpec:
    """Make a dynamic supervisor to be served."""
    return DynamicSupervisorSpec("top", **options)


def supervisor(strategy: str, **options: Any) -> ChildSpec[Any]:
    """Make a supervisor of this strategy, or a dynamic one; its children are to be added."""
    if strategy == "dynamic":
        return dynamic(**options)
    return SupervisorSpec("top", strategy=cast("Any", strategy), **options)


async def add(stage: Stage, id: str, **options: Any) -> Ref[Any] | None:
    """Start one more child of the supervisor that is served."""
    return await stage.top.ask(StartChild(stage.child(id, **options)), timeout=None)


async def answer_to(
    supervisor: Ref[SupervisorMessage], request: Request[Any], timeout: float | None = None
) -> str:
    """Ask, and return the answer as text, or the name of the error that was the answer."""
    try:
        asked: Any = request  # whatever it is: what a supervisor does not take, it refuses
        answer: object = await supervisor.ask(asked, timeout=timeout)
    except (Refusal, SpecError, ProcExited) as error:
        return type(error).__name__
    return answer.path if isinstance(answer, Ref) else str(answer)


async def crash_times(stage: Stage, id: str, times: int) -> None:
    """Crash a child so many times, each time after it is up again."""
    for _ in range(times):
        stage.crash(id)
        await settle()


async def end_of(app: Application) -> ExitReason:
    """Wait until a tree is over by itself. Raises TimeoutError when that does not happen."""
    with anyio.fail_after(A_LONG_TIME):
        return await app.wait()


async def die_together(
    stage: Stage, ids: str, reason: Callable[[str], ExitReason] | None = None
) -> None:
    """Let children die in this order while their supervisor is busy: all their exits wait."""
    async with stage.busy():
        for id in ids:
            if reason is None:
                stage.crash(id)
            else:
                stage.end(id, reason(id))
            await settle()


def failing_after(
    stage: Stage, answers: list[str], *requests: Request[Any], then: Step = None
) -> Step:
    """Return a start step that fails, having put requests into the supervisor's mailbox.

    They wait there, in their order, in front of the supervisor's note to try again. The answers
    are collected as text, in that order. `then` is done just before the failure. Needs
    `stage.serving`; all is over after `retries_done()`.
    """

    async def ask(place: int, request: Request[Any]) -> None:
        answers[place] = await answer_to(stage.top, request)

    async def fail(worker: Worker) -> None:
        for request in requests:
            stage.tasks.start_soon(ask, len(answers), request)
            answers.append("none yet")
            await anyio.sleep(A_MOMENT)
        if callable(then):
            then(worker)
            await anyio.sleep(A_MOMENT)
        raise Boom(f"{worker.id} does not start")

    return fail


async def retries_done() -> None:
    """Wait until the failing starts of `failing_after` are over, and what follows from them."""
    await anyio.sleep(1.0)
    await settle()


def slow_stops(stage: Stage, ids: str, seconds: float, diary: list[str]) -> None:
    """Let children take a while to stop, and write down when that begins and ends."""

    async def stop(worker: Worker) -> None:
        diary.append(f"{worker.id} stops")
        await anyio.sleep(seconds)
        diary.append(f"{worker.id} is done")

    for id in ids:
        stage.stops[id] = stop


def clinging(seconds: float) -> Callable[[Worker], Awaitable[None]]:
    """Return a step that goes on for so long whoever cancels it."""

    async def cling(worker: Worker) -> None:
        until = anyio.current_time() + seconds
        while (left := until - anyio.current_time()) > 0:
            try:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(left)
            except anyio.get_cancelled_exc_class():
                pass  # asyncio: a shield of anyio's does not hold off a native cancellation

    return cling

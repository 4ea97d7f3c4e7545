"""Stop reports and changes of a running tree: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from functools import partial
from typing import assert_type

from actors import Actor, CancellationToken, Event, ExitReason, on, task
from supervision import (
    Application,
    ChildSpec,
    DynamicSupervisorSpec,
    StopReport,
    SupervisorSpec,
    serve,
)
from supervision.application import (
    ApplyReport,
    ReorderStep,
    StartStep,
    Step,
    StepOutcome,
    StepReport,
    StoppedProc,
    StopStep,
    UpdateStep,
)
from supervision.events import ChildStopping, SupervisorStopping


class Store(Actor[str]):
    def __init__(self, path: str) -> None: ...

    @on(str)
    def put(self, message: str) -> None: ...


async def work(shutdown: CancellationToken) -> None: ...


TREE = SupervisorSpec("shop", [ChildSpec("store", partial(Store, "a")), ChildSpec("w", task(work))])


async def stopping(app: Application) -> None:
    report = await app.stop()
    assert_type(report, StopReport)
    assert_type(app.report, StopReport | None)
    assert_type(report.path, str)
    assert_type(report.reason, ExitReason | None)
    assert_type(report.seconds, float)
    assert_type(report.stopped, tuple[StoppedProc, ...])
    assert_type(report.late, tuple[StoppedProc, ...])
    assert_type(report.killed, tuple[StoppedProc, ...])
    assert_type(report.errors, tuple[BaseException, ...])
    assert_type(report.left, tuple[str, ...])
    assert_type(report.went_well, bool)
    assert_type(report.summary, str)
    for proc in report.stopped:
        assert_type(proc.reason, ExitReason)
        assert_type(proc.seconds, float | None)
        assert_type(proc.in_time, bool)
        proc.seconds + 1.0  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand, reportUnusedExpression]
        proc.path = "/"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    report.seconds = 0.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(app.report.stopped)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    app.report = report  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await app.stop(5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def changing(app: Application) -> None:
    assert_type(await app.apply(TREE), ApplyReport)
    report = await app.apply(DynamicSupervisorSpec("shop"), dry_run=True)
    assert_type(report.results, tuple[StepReport, ...])
    assert_type(report.steps, tuple[Step, ...])
    assert_type(report.done, tuple[Step, ...])
    assert_type(report.left_out, tuple[Step, ...])
    assert_type(report.failed, tuple[tuple[Step, Exception], ...])
    assert_type(report.went_well, bool)
    for result in report.results:
        assert_type(result.outcome, StepOutcome)
        assert_type(result.error, Exception | None)
        match result.step:
            case StartStep(spec=spec):
                assert spec.id
            case StopStep(path=path) | UpdateStep(path=path):
                assert_type(path, str)
            case ReorderStep(order=order):
                assert_type(order, tuple[str, ...])
            case _:
                pass

    await app.apply("shop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.apply(ChildSpec("store", partial(Store, "a")))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.apply(TREE, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.apply(TREE, dry_run="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def hear(event: Event) -> None:
    match event:
        case ChildStopping(ref=ref, timeout=timeout):
            assert_type(timeout, float | None)
            assert ref.path
        case SupervisorStopping(ref=ref):
            assert ref.path
        case _:
            pass


async def serving() -> None:
    async with serve(TREE, observe=[hear]) as app:
        pass
    assert_type(app.report, StopReport | None)

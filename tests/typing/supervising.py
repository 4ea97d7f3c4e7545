"""Specs and requests of management: what the checkers know, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Never, assert_type

from attrs import frozen

from actors import (
    Actor,
    ActorSystem,
    AnyRef,
    CancellationToken,
    ExitReason,
    Mailbox,
    Name,
    Ref,
    Request,
    on,
    task,
)
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    Application,
    AutoShutdown,
    Backoff,
    ChildCounts,
    ChildInfo,
    ChildSpec,
    CountChildren,
    DeleteChild,
    DynamicSupervisorSpec,
    GetChild,
    GetChildSpec,
    Restart,
    RestartChild,
    StartChild,
    Strategy,
    Supervisor,
    SupervisorMessage,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
    serve,
)
from supervision.supervisors import Arrange


@frozen
class Put:
    pass


@frozen
class Get(Request[int]):
    pass


NARROW = Name[Get]("narrow")
EXACT = Name[Put | Get]("exact")
WIDE = Name[Put | Get | str]("wide")


class Store(Actor[Put | Get]):
    def __init__(self, path: str, size: int = 0) -> None: ...

    @on(Put)
    def put(self, message: Put) -> None: ...

    @on(Get)
    def get(self, message: Get) -> int:
        return 1


async def work(shutdown: CancellationToken) -> None: ...


STORE = ChildSpec("store", partial(Store, "shop.sqlite"), shutdown=10.0)
assert_type(STORE, ChildSpec[Put | Get])
assert_type(ChildSpec("work", task(work)), ChildSpec[Never])

TREE = SupervisorSpec(
    "shop",
    [
        STORE,
        ChildSpec("named", partial(Store, "x"), name=EXACT, restart=Restart.TRANSIENT),
        ChildSpec("narrow", partial(Store, "x"), name=NARROW, restart="temporary"),
        SupervisorSpec("workers", [ChildSpec("w1", task(work))], strategy="one_for_all"),
        ChildSpec("metrics", task(work), backoff=Backoff(0.1, 30.0), shutdown=BRUTAL_KILL),
        DynamicSupervisorSpec("sessions", max_children=10, shutdown=INFINITY),
    ],
    strategy=Strategy.REST_FOR_ONE,
    max_restarts=3,
    max_seconds=5.0,
    auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
)


def wrong_specs() -> None:
    ChildSpec("store", partial(Store, 5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x", length=5))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ChildSpec("store", Store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("work", work)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("work", task(work), name=EXACT)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), name=WIDE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), name="store")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), restart="sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), Restart.TRANSIENT)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ChildSpec("store", partial(Store, "x"), shutdown="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), mailbox=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), backoff=0.1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec("store", partial(Store, "x"), significant="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SupervisorSpec("shop", ["store"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    SupervisorSpec("shop", STORE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SupervisorSpec("shop", strategy="one_for_none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SupervisorSpec("shop", max_restart=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SupervisorSpec("shop", mailbox=Mailbox())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SupervisorSpec("shop", start=partial(Store, "x"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    DynamicSupervisorSpec("sessions", [STORE])  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    DynamicSupervisorSpec("sessions", max_childs=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    DynamicSupervisorSpec("sessions", strategy=Strategy.ONE_FOR_ALL)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    STORE.id = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def managing(supervisor: Ref[SupervisorMessage]) -> None:
    assert_type(await supervisor.ask(StartChild(STORE)), Ref[Put | Get] | None)
    started = await supervisor.ask(StartChild(ChildSpec("one", partial(Store, "x"))))
    assert_type(started, Ref[Put | Get] | None)
    assert_type(await supervisor.ask(TerminateChild("store")), None)
    assert_type(await supervisor.ask(RestartChild("store")), Ref[Any] | None)
    assert_type(await supervisor.ask(DeleteChild("store")), None)
    assert_type(await supervisor.ask(WhichChildren()), tuple[ChildInfo, ...])
    assert_type(await supervisor.ask(CountChildren()), ChildCounts)
    assert_type(await supervisor.ask(GetChild("store")), Ref[Any])
    assert_type(await supervisor.ask(GetChildSpec("store")), ChildSpec[Any])

    if started is not None:
        started.tell(Put())
        started.tell("put")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    started.tell(Put())  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    other: Ref[str] | None = await supervisor.ask(StartChild(STORE))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    await supervisor.ask(StartChild("store"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]
    await supervisor.ask(TerminateChild(5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await supervisor.ask(TerminateChild(name="store"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await supervisor.ask(Get())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    supervisor.tell(Put())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    supervisor.tell(Arrange())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    print(other)


async def serving(system: ActorSystem) -> None:
    async with serve(TREE) as application:
        assert_type(application, Application)
        assert_type(application.supervisor, Ref[SupervisorMessage])
        assert_type(application.find("store"), AnyRef)
        assert_type(await application.wait(), ExitReason)
    assert_type(await system.spawn(lambda: Supervisor(TREE)), Ref[SupervisorMessage])

    serve("shop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Supervisor(STORE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Supervisor(DynamicSupervisorSpec("sessions"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

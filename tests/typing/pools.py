"""Pools: what the checkers know of jobs, answers and keys, and what they must refuse.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from functools import partial
from typing import assert_type

from attrs import frozen

from actors import Actor, ActorSystem, AnyRef, Name, Ref, Request, on
from supervision import Backoff, ChildSpec, Pool, PoolSpec, SupervisorSpec, serve
from supervision.pool import (
    Discard,
    JobExpired,
    NoWorkers,
    PoolDraining,
    PoolFull,
    PoolJob,
    PoolStatistics,
    Routing,
    WorkerStatistics,
)


@frozen
class Render(Request[str]):
    page: str


@frozen
class Measure(Request[int]):
    page: str


@frozen
class Forget:
    pass


class Renderer(Actor[Render | Measure]):
    def __init__(self, theme: str = "plain") -> None:
        self.theme = theme

    @on(Render)
    async def render(self, message: Render) -> str:
        return message.page

    @on(Measure)
    def measure(self, message: Measure) -> int:
        return len(message.page)


class Clock(Actor[Forget]):
    @on(Forget)
    def forget(self, message: Forget) -> None:
        pass


RENDERERS = Name[PoolJob[Render | Measure]]("renderers")
CLOCKS = Name[PoolJob[Forget]]("clocks")


def page_of(request: Render | Measure) -> str:
    return request.page


def specs() -> SupervisorSpec:
    assert_type(PoolSpec("renderers", Renderer, size=4), PoolSpec[Render | Measure])
    PoolSpec("renderers", partial(Renderer, "dark"), size=4, routing="keyed", key=page_of)
    PoolSpec(
        "renderers",
        ChildSpec("renderer", Renderer, backoff=Backoff(0.1, 5.0)),
        size=4,
        name=RENDERERS,
        routing=Routing.STICKY,
        queue_limit=100,
        discard=Discard.OLDEST,
        job_timeout=30.0,
        attempts=3,
    )
    PoolSpec("renderers", Renderer)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PoolSpec("renderers", Renderer, 4)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    PoolSpec("renderers", Renderer, size=4, routing="random")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PoolSpec("renderers", str, size=4)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return SupervisorSpec("site", [PoolSpec("renderers", Renderer, size=4)])


async def asking(pool: Pool[Render | Measure]) -> None:
    assert_type(await pool.ask(Render("home")), str)
    assert_type(await pool.ask(Measure("home"), attempts=3, key=("a", 1)), int)
    assert_type(pool.tell(Render("home"), job_timeout=2.0), None)
    assert_type(await pool.statistics(), PoolStatistics)
    assert_type((await pool.statistics()).workers, tuple[WorkerStatistics, ...])
    assert_type(await pool.resize(8), None)
    assert_type(await pool.drain(timeout=5.0), None)
    await rendering(pool)

    await pool.ask("home")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await pool.ask(Forget())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pool.tell(Forget())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await pool.ask(Render("home"), key=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def rendering(pool: Pool[Render]) -> None:
    assert_type(await pool.ask(Render("home")), str)
    await pool.ask(Measure("home"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await asking(pool)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def reaching(system: ActorSystem, tree: SupervisorSpec, plain: Ref[Render]) -> None:
    ref = system.whereis(RENDERERS)
    assert ref is not None
    assert_type(Pool(ref), Pool[Render | Measure])
    async with serve(tree) as app:
        found: AnyRef = app.find("renderers")
        assert_type(await Pool[Render](found).ask(Render("home")), str)
        await Pool[Render](found).ask(Measure("home"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serve(PoolSpec("renderers", Renderer, size=2)) as app:
        assert_type(await Pool[Measure](app.supervisor).ask(Measure("home")), int)
        assert_type(Pool[Measure](app.supervisor), Pool[Measure])
    Pool("renderers")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Pool(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def refusals(error: PoolFull | PoolDraining | NoWorkers | JobExpired) -> tuple[str, str]:
    if isinstance(error, PoolFull):
        assert_type((error.limit, error.discarded), tuple[int, bool])
    if isinstance(error, JobExpired):
        assert_type((error.timeout, error.begun), tuple[float, bool])
    return error.path, error.message

"""List every workload with its baseline, its references and its size.

Guarantees: names are unique and stable, because JSON files of different days are compared
by them. Numbers at the end of a name are sizes: the same workload, larger.

>>> [workload.name for workload in select(["ask", "spawn"])]
['ask', 'spawn_stop']
>>> [workload.name for workload in select(["dynamic"])]
['dynamic_100', 'dynamic_1000', 'dynamic_10000', 'dynamic_100000']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tests.benchmarks import (
    baselines_jobs,
    baselines_lifecycle,
    baselines_messaging,
    baselines_trio,
    jobs,
    lifecycle,
    memory,
    messaging,
    supervised,
)
from tests.benchmarks.figures import RATE, Metric, Unit
from tests.benchmarks.harness import (
    Probe,
    Reference,
    Samples,
    Workload,
    asyncio_of,
    in_asyncio,
    in_loop,
)
from tests.benchmarks.loops import Backend

RESTART = (Metric("p50", Unit.MICROSECONDS), Metric("p99", Unit.MICROSECONDS))
CHILDREN = (Metric("start", Unit.MICROSECONDS), Metric("stop", Unit.MICROSECONDS))
MEMORY = (Metric("", Unit.KIBIBYTES),)
IDLE = {
    "actor": "an actor that never got a message",
    "awake": "an actor that has handled a message",
    "hibernated": "an actor that has handled a message and hibernates",
}
TRIO = (Backend.TRIO,)

ASK_REFERENCES = (
    Reference("queue and future", in_asyncio(baselines_messaging.ask_by_queue)),
    Reference("queue and wait_for", in_asyncio(baselines_messaging.ask_with_wait_for)),
    Reference("trio channels", in_loop(baselines_trio.ask), TRIO),
)

MESSAGING = (
    Workload(
        name="tell",
        summary="one sender, one actor, plain handler / a queue and its consumer",
        metrics=(RATE,),
        size=200_000,
        ours=in_loop(messaging.tell),
        baseline=in_asyncio(baselines_messaging.tell),
        references=(Reference("trio channel", in_loop(baselines_trio.tell), TRIO),),
    ),
    Workload(
        name="tell_async",
        summary="the same, coroutine handler / the same",
        metrics=(RATE,),
        size=200_000,
        ours=in_loop(messaging.tell_async),
        baseline=in_asyncio(baselines_messaging.tell),
        references=(
            Reference("awaited handler", in_asyncio(baselines_messaging.tell_coroutine)),
            Reference("trio channel", in_loop(baselines_trio.tell), TRIO),
        ),
    ),
    Workload(
        name="ask",
        summary="default timeout, plain handler / a round trip through two futures",
        metrics=(RATE,),
        size=20_000,
        ours=in_loop(messaging.ask),
        baseline=in_asyncio(baselines_messaging.ask_by_futures),
        references=ASK_REFERENCES,
    ),
    Workload(
        name="ask_async",
        summary="the same, coroutine handler / the same",
        metrics=(RATE,),
        size=20_000,
        ours=in_loop(messaging.ask_async),
        baseline=in_asyncio(baselines_messaging.ask_by_futures),
        references=ASK_REFERENCES,
    ),
    Workload(
        name="ask_waiting",
        summary="a handler that waits once / a round trip through two futures that waits once",
        metrics=(RATE,),
        size=20_000,
        ours=in_loop(messaging.ask_waiting),
        baseline=in_asyncio(baselines_messaging.ask_waiting),
    ),
    Workload(
        name="ping_pong",
        summary="a ball between two actors / between two tasks with a queue each",
        metrics=(RATE,),
        size=20_000,
        ours=in_loop(messaging.ping_pong),
        baseline=in_asyncio(baselines_messaging.ping_pong_by_queues),
        references=(
            Reference("bare futures", in_asyncio(baselines_messaging.ping_pong_by_futures)),
            Reference("trio channels", in_loop(baselines_trio.ping_pong), TRIO),
        ),
    ),
    Workload(
        name="fan_in",
        summary="100 senders in bursts of 20, one actor / one queue",
        metrics=(RATE,),
        size=200_000,
        ours=in_loop(messaging.fan_in),
        baseline=in_asyncio(baselines_messaging.fan_in),
    ),
)

LIFECYCLE = (
    Workload(
        name="spawn_stop",
        summary="spawn, stop, wait / create a task, see it ready, end it, await it",
        metrics=(RATE,),
        size=10_000,
        ours=in_loop(lifecycle.spawn_and_stop),
        baseline=in_asyncio(baselines_lifecycle.live_and_stop),
        references=(
            Reference("task with a queue", in_asyncio(baselines_lifecycle.live_with_queue)),
            Reference("empty task", in_asyncio(baselines_lifecycle.finish_at_once)),
            Reference("trio task", in_loop(baselines_trio.live_and_stop), TRIO),
        ),
    ),
    Workload(
        name="restart",
        summary="crash to ready under a Supervisor / under a loop around a task",
        metrics=RESTART,
        size=2_000,
        ours=in_loop(supervised.restart),
        baseline=in_asyncio(baselines_lifecycle.restart),
    ),
)

JOBS = (
    Workload(
        name="pool_job",
        summary="8 workers, 16 callers, a handler that waits / a queue and workers by hand",
        metrics=(RATE,),
        size=20_000,
        ours=in_loop(jobs.pool_jobs),
        baseline=in_asyncio(baselines_jobs.pool_jobs),
    ),
    Workload(
        name="task_map",
        summary="an item of Tasks.map, limit 16 / a semaphore and a task group",
        metrics=(RATE,),
        size=10_000,
        ours=in_loop(jobs.task_map),
        baseline=in_asyncio(baselines_jobs.task_map),
    ),
    Workload(
        name="task_run",
        summary="Tasks.run / a task that is created and awaited",
        metrics=(RATE,),
        size=10_000,
        ours=in_loop(jobs.task_run),
        baseline=in_asyncio(baselines_jobs.task_run),
    ),
)


def _included(size: int) -> Literal["always", "full", "named"]:
    if size > 10_000:
        return "named"
    return "full" if size > 1_000 else "always"


def _supervisor(size: int) -> Workload:
    return Workload(
        name=f"supervisor_{size}",
        summary="per child of a Supervisor / per task, started and ended in order",
        metrics=CHILDREN,
        size=size,
        fixed_size=True,
        included=_included(size),
        ours=in_loop(supervised.start_supervisor),
        baseline=in_asyncio(baselines_lifecycle.start_in_order),
    )


def _dynamic(size: int) -> Workload:
    return Workload(
        name=f"dynamic_{size}",
        summary="per child of a DynamicSupervisor / per task, ended all at once",
        metrics=CHILDREN,
        size=size,
        fixed_size=True,
        included=_included(size),
        ours=in_loop(supervised.start_dynamic),
        baseline=in_asyncio(baselines_lifecycle.start_and_stop_together),
    )


def _weighing(kind: memory.Kind) -> Probe:
    def probe(backend: Backend, size: int) -> Samples:
        loop = asyncio_of(backend) if kind in ("queue", "future") else backend
        return (memory.weigh(kind, loop, size),)

    return probe


def _memory(name: str, size: int, kind: memory.Kind = "actor") -> Workload:
    return Workload(
        name=name,
        summary=f"{IDLE[kind]} / a task that waits on its own queue",
        metrics=MEMORY,
        size=size,
        most_rounds=3,
        fixed_size=True,
        isolated=True,
        included="named" if size > 10_000 else "always",
        ours=_weighing(kind),
        baseline=_weighing("queue"),
        references=(
            Reference("task on a future", _weighing("future")),
            Reference("trio task", _weighing("trio"), TRIO),
        ),
    )


WORKLOADS = (
    *MESSAGING,
    *LIFECYCLE,
    *JOBS,
    _memory("memory", 10_000),
    _memory("memory_100k", 100_000),
    _memory("memory_awake", 10_000, "awake"),
    _memory("memory_awake_100k", 100_000, "awake"),
    _memory("memory_hibernated", 10_000, "hibernated"),
    _memory("memory_hibernated_100k", 100_000, "hibernated"),
    *(_supervisor(size) for size in (100, 1_000, 10_000, 100_000)),
    *(_dynamic(size) for size in (100, 1_000, 10_000, 100_000)),
)


def select(names: Sequence[str] = (), *, quick: bool = False) -> tuple[Workload, ...]:
    """Choose workloads, in the order of the catalog.

    A full name chooses that workload alone, any other text all that begin with it. Without
    names, all are chosen that run in every full, or every quick, run.
    Raises `ValueError` when a text chooses nothing.
    """
    if not names:
        usual = ("always",) if quick else ("always", "full")
        return tuple(each for each in WORKLOADS if each.included in usual)
    chosen: set[str] = set()
    for text in names:
        found = {each.name for each in WORKLOADS if each.name.startswith(text)}
        if not found:
            known = ", ".join(each.name for each in WORKLOADS)
            raise ValueError(f"no workload begins with {text!r}; there are {known}")
        chosen |= {text} if text in found else found
    return tuple(each for each in WORKLOADS if each.name in chosen)

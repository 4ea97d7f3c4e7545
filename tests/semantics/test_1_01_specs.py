"""OTP 1.1: flags of supervisors and specs of children, and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from actors import CancellationToken, task
from supervision import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisorSpec,
    GetChildSpec,
    Restart,
    SpecError,
    StartChild,
    Strategy,
    SupervisorSpec,
)
from tests.kit.stage import Stage

pytestmark = pytest.mark.dead_letters

Make = Callable[..., ChildSpec[Any]]


async def work(shutdown: CancellationToken) -> None:
    """Work until told to stop."""
    await shutdown.wait()


def worker(id: str, **options: Any) -> ChildSpec[Any]:
    """Make the spec of a worker that runs until it is told to stop."""
    return ChildSpec(id, task(work), **options)


def refused(make: Make, **options: Any) -> tuple[str, str]:
    """Make a spec that is refused; returns the path and the field that the error names."""
    with pytest.raises(SpecError) as caught:
        make(**options)
    return caught.value.path, caught.value.field


def flags(**options: Any) -> SupervisorSpec:
    """Make a supervisor with these flags."""
    return SupervisorSpec("a", **options)


def spec(**options: Any) -> ChildSpec[Any]:
    """Make a child with these fields."""
    return ChildSpec(**{"id": "a", "start": task(work)} | options)


def test_1_1_1_the_flags_have_defaults() -> None:
    """A supervisor is one_for_one, allows 3 restarts in 5 s and never ends automatically."""
    spec = SupervisorSpec("top")
    assert spec.strategy is Strategy.ONE_FOR_ONE
    assert (spec.max_restarts, spec.max_seconds) == (3, 5.0)
    assert spec.auto_shutdown is AutoShutdown.NEVER


def test_1_1_2_a_child_spec_has_defaults() -> None:
    """A child is permanent, not significant, and has 5 s to stop; a supervisor has for ever."""
    specs = [worker("a"), SupervisorSpec("s"), DynamicSupervisorSpec("d")]
    assert [(spec.restart, spec.significant) for spec in specs] == [(Restart.PERMANENT, False)] * 3
    assert [spec.shutdown for spec in specs] == [5.0, INFINITY, INFINITY]
    assert [spec.kind for spec in specs] == ["worker", "supervisor", "supervisor"]


def test_1_1_2_id_and_start_are_mandatory() -> None:
    """A child spec needs an id and a start."""
    with pytest.raises(TypeError, match="start"):
        ChildSpec("a")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="id"):
        ChildSpec(start=task(work))  # type: ignore[call-arg]


async def test_1_1_2_the_spec_of_a_child_is_told_with_its_defaults() -> None:
    """`GetChildSpec` answers with the whole spec, the defaults filled in."""
    stage = Stage()
    inner = SupervisorSpec("in", [stage.child("x")])
    async with stage.serve([stage.child("a"), inner]):
        worker_spec = await stage.top.ask(GetChildSpec("a"))
        supervisor_spec = await stage.top.ask(GetChildSpec("in"))
    assert (worker_spec.restart, worker_spec.shutdown) == (Restart.PERMANENT, 5.0)
    assert (supervisor_spec.shutdown, supervisor_spec.max_restarts) == (INFINITY, 3)
    assert supervisor_spec == inner


@pytest.mark.parametrize(
    "make",
    [partial(worker, "a"), partial(SupervisorSpec, "s"), partial(DynamicSupervisorSpec, "d")],
)
def test_1_1_3_unknown_keywords_are_errors(make: Make) -> None:
    """An unknown keyword is an error, where OTP ignores an unknown key."""
    with pytest.raises(TypeError, match="modules"):
        make(modules=[])


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        *((flags, "strategy", value) for value in ("one_for_some", "simple_one_for_one", None)),
        *((flags, "max_restarts", value) for value in (-1, 1.0, math.inf, True, None, "infinity")),
        *(
            (flags, "max_seconds", value)
            for value in (0, -1.0, math.inf, math.nan, None, "5", True)
        ),
        *((flags, "auto_shutdown", value) for value in ("always", None, True)),
        *((spec, "restart", value) for value in ("always", None, True)),
        *((spec, "shutdown", value) for value in (-1, "never", None, math.nan, True)),
        *((spec, "significant", value) for value in ("yes", 1, None)),
        *((spec, "start", value) for value in (None, "work", work, [work])),
    ],
)
def test_1_1_4_bad_flags_and_specs_are_refused(make: Make, field: str, value: object) -> None:
    """What OTP does not know as the value of a flag, or of a spec's field, is refused by name."""
    assert refused(make, **{field: value}) == ("a", field)


@pytest.mark.parametrize("id", ["", None, 7, "a/b"])
def test_1_1_4_bad_ids_are_refused(id: object) -> None:
    """An id is a text that can stand in a path."""
    assert refused(ChildSpec, id=id, start=task(work)) == ("ChildSpec", "id")


@pytest.mark.parametrize("value", [0, 0.5, 5, math.inf, INFINITY, BRUTAL_KILL, "brutal_kill"])
def test_1_1_4_good_shutdown_values_are_taken(value: Any) -> None:
    """A shutdown value is a number from 0 on, infinity or brutal_kill."""
    expected = {math.inf: INFINITY, "brutal_kill": BRUTAL_KILL}.get(value, value)
    assert worker("a", shutdown=value).shutdown == expected


def test_1_1_4_the_first_wrong_thing_in_order_is_reported() -> None:
    """Flags are checked before children, and the first bad child in order wins."""
    alone = worker("alone", restart="transient", significant=True)
    bad = [worker("a"), alone, worker("a")]
    assert refused(SupervisorSpec, id="top", children=bad) == ("top/alone", "significant")
    twice = [worker("a"), worker("a"), alone]
    assert refused(SupervisorSpec, id="top", children=twice) == ("top/a", "id")
    flags = refused(SupervisorSpec, id="top", children=twice, strategy="none", max_restarts=-1)
    assert flags == ("top", "max_restarts")


async def test_1_1_5_a_bad_spec_leaves_a_running_supervisor_unharmed() -> None:
    """A spec that is wrong for its supervisor is answered with its error, and nothing happens."""
    stage = Stage()
    async with stage.serve([stage.child("a")], max_restarts=0):
        significant = stage.child("s", restart="transient", significant=True)
        with pytest.raises(SpecError) as caught:
            await stage.top.ask(StartChild(significant))
        assert (caught.value.path, caught.value.field) == ("top/s", "significant")
        with pytest.raises(SpecError):
            await stage.top.ask(StartChild({"id": "b"}))  # type: ignore[arg-type]
        assert await stage.states() == {"a": "running"}
        assert stage.take() == ["+a"]


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
@pytest.mark.parametrize("options", [{}, {"restart": "permanent"}], ids=["default", "permanent"])
def test_1_1_6_a_permanent_child_is_not_significant(
    auto_shutdown: str, options: dict[str, str]
) -> None:
    """A significant child is not permanent, not even by default."""

    def make() -> ChildSpec[Any]:
        children = [worker("a", significant=True, **options)]
        return SupervisorSpec("top", children, auto_shutdown=auto_shutdown)  # type: ignore[arg-type]

    assert refused(make) == ("a", "significant")


@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_1_1_6_nobody_is_significant_under_never(restart: str) -> None:
    """A significant child needs a supervisor that can end automatically."""
    children = [worker("a", restart=restart, significant=True)]
    assert refused(SupervisorSpec, id="top", children=children) == ("top/a", "significant")
    for auto_shutdown in ("any_significant", "all_significant"):
        spec = SupervisorSpec("top", children, auto_shutdown=auto_shutdown)
        assert spec.children == tuple(children)


@pytest.mark.parametrize(
    "option", [{"children": []}, {"auto_shutdown": "any_significant"}, {"strategy": "one_for_all"}]
)
def test_1_1_7_a_dynamic_supervisor_has_neither_specs_nor_auto_shutdown(
    option: dict[str, object],
) -> None:
    """A dynamic supervisor takes no list of specs, no strategy and no auto_shutdown."""
    with pytest.raises(TypeError, match=next(iter(option))):
        DynamicSupervisorSpec("top", **option)  # type: ignore[arg-type]


async def test_1_1_8_specs_are_checked_without_starting_anything() -> None:
    """Making specs checks them and calls no factory."""
    made: list[str] = []
    stage = Stage()

    def start() -> Any:
        made.append("a")
        return stage.child("a").start()

    children = [ChildSpec("a", start), ChildSpec("b", start)]
    tree = SupervisorSpec("top", [*children, SupervisorSpec("in", [ChildSpec("c", start)])])
    with pytest.raises(SpecError):
        SupervisorSpec("top", [*children, *children])
    await anyio.sleep(1.0)
    assert made == []
    async with stage.serve(tree):
        assert made == ["a"] * 3


@pytest.mark.parametrize("children", [{"a": 1}, "abc", 7, None, worker("a")])
def test_1_1_8_children_that_are_no_list_are_refused(children: object) -> None:
    """The children of a supervisor are a sequence."""
    assert refused(SupervisorSpec, id="top", children=children) == ("top", "children")

"""A proc gets its own cancellation token, child of its supervisor's."""

import anyio
import pytest

from actors import CancellationToken, task
from actors.testing import settle
from supervision import ChildSpec, SupervisorSpec, serve

pytestmark = pytest.mark.dead_letters


def holding(tokens: dict[str, CancellationToken], id: str, **options: object) -> ChildSpec:  # type: ignore[type-arg]
    """Make a proc that shows its token, and stops when that is cancelled."""

    async def hold(shutdown: CancellationToken) -> None:
        tokens[id] = shutdown
        await shutdown.wait()

    return ChildSpec(id, task(hold), **options)  # type: ignore[arg-type]


async def test_each_proc_has_a_token_of_its_own() -> None:
    """Every proc gets another token, and a restarted one a new one."""
    tokens: dict[str, CancellationToken] = {}
    async with serve(SupervisorSpec("shop", [holding(tokens, id) for id in "ab"])) as app:
        await settle()
        first = tokens["a"]
        assert first is not tokens["b"]
        app.find("a").kill()
        await settle()
        assert tokens["a"] is not first
        assert not tokens["a"].cancelled


async def test_a_stopping_supervisor_cancels_the_tokens_in_turn() -> None:
    """A supervisor that stops passes that on to its procs' tokens: one after the other."""
    tokens: dict[str, CancellationToken] = {}
    seen: list[tuple[bool, bool]] = []

    async def last(shutdown: CancellationToken) -> None:
        await shutdown.wait()
        await anyio.sleep(1.0)
        seen.append((tokens["a"].cancelled, tokens["x"].cancelled))

    inner = SupervisorSpec("inner", [holding(tokens, "x")])
    children = [holding(tokens, "a"), inner, ChildSpec("last", task(last))]
    async with serve(SupervisorSpec("shop", children)):
        await settle()
    assert seen == [(False, False)]
    assert tokens["a"].cancelled
    assert tokens["x"].cancelled


async def test_the_scope_of_a_token_interrupts_the_body() -> None:
    """Work in `token.scope()` is cancelled when the proc is told to stop; what follows runs."""
    diary: list[str] = []

    async def work(shutdown: CancellationToken) -> None:
        async with shutdown.scope():
            await anyio.sleep_forever()
        diary.append("after the scope")

    async with serve(SupervisorSpec("shop", [ChildSpec("w", task(work))])):
        await settle()
        began = anyio.current_time()
    assert anyio.current_time() == began
    assert diary == ["after the scope"]

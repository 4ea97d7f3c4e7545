"""Blocks that one task enters and another one leaves: fixtures, and hooks of frameworks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from actors import ActorSystem, CancellationToken, task
from actors.testing import settle
from supervision import ChildSpec, SupervisorSpec, TreeExited, serve


@pytest.fixture(autouse=True)
def _asyncio_alone(anyio_backend: tuple[str, object]) -> None:
    if anyio_backend[0] == "trio":
        pytest.skip("trio's blocks belong to their tasks")


async def forever(shutdown: CancellationToken) -> None:
    """Run until told to stop."""
    await shutdown


async def broken(shutdown: CancellationToken) -> None:
    """Crash a little later."""
    await anyio.sleep(0.01)
    raise ValueError("broken")


def tree(work: Any = forever) -> SupervisorSpec:
    """Make a tree that gives up at the first crash."""
    return SupervisorSpec("site", [ChildSpec("work", task(work))], max_restarts=0)


async def apart(work: Awaitable[Any]) -> Any:
    """Wait for something in a task of its own, in which it is alone."""

    async def main() -> Any:
        return await work

    return await asyncio.create_task(main())


@pytest.mark.parametrize("block", [ActorSystem, lambda: serve(tree())])
async def test_one_task_enters_and_another_leaves(block: Any) -> None:
    """Start and stop hooks may run in tasks of their own, and all is gone afterwards."""
    manager: AbstractAsyncContextManager[Any] = block()
    found = await apart(manager.__aenter__())
    system = found if isinstance(found, ActorSystem) else found.system
    await system.spawn(task(forever))
    await apart(manager.__aexit__(None, None, None))
    assert system.snapshot() == ()


async def test_a_task_that_goes_on_is_let_go() -> None:
    """The task that entered goes on when another one has left, its own scopes unharmed."""
    manager, left, over = serve(tree()), anyio.Event(), list[str]()

    async def enter() -> None:
        with anyio.CancelScope() as own:
            await manager.__aenter__()
            await left.wait()
        assert not own.cancelled_caught
        await anyio.lowlevel.checkpoint()
        over.append("unharmed")

    host = asyncio.create_task(enter())
    await settle()
    await apart(manager.__aexit__(None, None, None))
    left.set()
    await host
    assert over == ["unharmed"]


async def test_a_tree_that_fails_without_a_block_is_raised_where_it_is_left() -> None:
    """When the task that entered has ended nobody is cancelled; the error says so with a note."""
    manager = serve(tree(broken))
    app = await apart(manager.__aenter__())
    await app.wait()
    await anyio.sleep(0.01)
    with pytest.raises(TreeExited) as caught:
        await apart(manager.__aexit__(None, None, None))
    assert "could not cancel the block" in caught.value.__notes__[0]


async def test_a_task_that_ends_in_a_cancelled_block_leaves_no_trace() -> None:
    """A task that swallows the cancellation of its block, and ends in it, costs no turn later."""
    manager = serve(tree(broken))

    async def enter() -> None:
        await manager.__aenter__()
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            pass

    await asyncio.create_task(enter())
    await settle()
    with pytest.raises(TreeExited):
        await apart(manager.__aexit__(None, None, None))

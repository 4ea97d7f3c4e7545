"""Any coroutine function is a proc."""

from functools import partial

import pytest

from actors import CancellationToken, task
from actors.testing import settle
from supervision import ChildSpec, SpecError, SupervisorSpec, serve

pytestmark = pytest.mark.dead_letters


async def test_a_plain_function_a_method_a_partial_and_a_closure_are_procs() -> None:
    """Whatever coroutine function of one token there is, `task` makes a proc factory of it."""
    ran: list[str] = []

    async def plain(shutdown: CancellationToken) -> None:
        ran.append("plain")
        await shutdown.wait()

    class Service:
        async def serve(self, shutdown: CancellationToken) -> None:
            ran.append("method")
            await shutdown.wait()

        async def __call__(self, shutdown: CancellationToken) -> None:
            ran.append("object")
            await shutdown.wait()

    async def of_two(name: str, shutdown: CancellationToken) -> None:
        ran.append(name)
        await shutdown.wait()

    functions = [plain, Service().serve, Service(), partial(of_two, "partial")]
    children = [ChildSpec(f"p{n}", task(function)) for n, function in enumerate(functions)]
    async with serve(SupervisorSpec("shop", children)):
        await settle()
        assert sorted(ran) == ["method", "object", "partial", "plain"]


def test_a_bare_coroutine_function_is_pointed_to_task() -> None:
    """Given without `task`, or already called, it is refused with the hint how to give it."""

    async def work(shutdown: CancellationToken) -> None:
        pass

    with pytest.raises(SpecError, match=r"is a coroutine function; give the factory task\("):
        ChildSpec("work", work)  # type: ignore[arg-type]
    called = work(CancellationToken())
    with pytest.raises(SpecError, match=r"has been called already; give the factory task\("):
        ChildSpec("work", called)  # type: ignore[arg-type]
    called.close()

"""A supervisor is itself a proc, so trees nest."""

from functools import partial

import pytest

from actors import ActorSystem, CancellationToken, Shutdown, task
from supervision import (
    ChildSpec,
    DynamicSupervisorSpec,
    StartChild,
    Supervisor,
    SupervisorSpec,
    WhichChildren,
    serve,
)

pytestmark = pytest.mark.dead_letters


async def work(shutdown: CancellationToken) -> None:
    """Run until told to stop."""
    await shutdown.wait()


WORK = task(work)


async def test_a_supervisor_is_spawned_like_any_proc() -> None:
    """An actor system starts and stops a supervisor as it does any proc."""
    spec = SupervisorSpec("shop", [ChildSpec("db", WORK)])
    async with ActorSystem() as system:
        shop = await system.spawn(partial(Supervisor, spec), id="shop")
        (db,) = await shop.ask(WhichChildren())
        assert db.ref.path == "/shop/db"
        assert await shop.shutdown() == Shutdown()
        assert not db.ref.is_alive


async def test_a_supervisor_is_a_child_like_any_proc() -> None:
    """A supervisor can be a plain child by its own factory, without a spec of its kind."""
    inner = SupervisorSpec("inner", [ChildSpec("db", WORK)])
    tree = SupervisorSpec("shop", [ChildSpec("inner", partial(Supervisor, inner), shutdown=60.0)])
    async with serve(tree) as app:
        assert app.find("inner/db").is_alive


async def test_trees_nest() -> None:
    """Supervisors of both kinds stand in each other to any depth."""
    leaf = SupervisorSpec("leaf", [ChildSpec("w", WORK)])
    tree = SupervisorSpec("shop", [SupervisorSpec("a", [leaf]), DynamicSupervisorSpec("b")])
    async with serve(tree) as app:
        await app.find("b").ask(StartChild(leaf))
        for path in ("a", "a/leaf", "a/leaf/w", "b", "b/leaf", "b/leaf/w"):
            assert app.find(path).is_alive

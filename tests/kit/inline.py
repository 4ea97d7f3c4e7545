"""What the tests of answers in the asker's own turn share: an actor that does what it is asked.

>>> import anyio
>>> async def main() -> object:
...     async with ActorSystem() as system:
...         ref = await start(system)
...         return await ref.ask(Ask(lambda quick: quick.context.path))
>>> anyio.run(main)
'/doer-1'
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from actors import ActorSystem, Exited, Ref
from actors.testing import settle, without_fast_paths
from tests.kit.actors import Do, Doer, Plain


@pytest.fixture(params=["fast", "slow"])
def speed(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run each test with and without fast paths."""
    if request.param == "fast" and request.config.getoption("--without-fast-paths"):
        pytest.skip("there are no fast paths in this run")
    with nullcontext() if request.param == "fast" else without_fast_paths():
        yield request.param


Ask, Quick = Plain, Doer


class Trapper(Quick):
    """Trap exits."""

    def on_exit(self, exited: Exited) -> None:
        """Write down."""
        self.log.append((exited.ref.path, str(exited.reason)))


class Closer(Quick):
    """Have something to do at the end."""

    async def on_stop(self, reason: object) -> None:
        """Write down."""
        self.log.append(reason)


def fail(error: BaseException) -> None:
    """Raise."""
    raise error


def then(*values: Any) -> Any:
    """Return the last value, once the others were worked out."""
    return values[-1]


def tell(function: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Make a handler tell its own actor to call `function` later."""
    return lambda quick: quick.context.ref.tell(Do(function))


async def start(system: ActorSystem, cls: type[Quick] = Quick, **options: Any) -> Ref[Plain | Do]:
    """Start one whose end is heard."""
    ref = await system.spawn(cls, **options)
    system.monitor(ref, lambda down: None)
    return ref


async def warm(ref: Ref[Plain | Do], wanted: bool) -> None:
    """Give it a task, which then waits."""
    if wanted:
        ref.tell(Do(lambda quick: None))
        await settle()


both = pytest.mark.parametrize("task", [False, True], ids=["no task yet", "parked task"])

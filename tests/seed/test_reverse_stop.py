"""Procs stop one at a time, in reverse order, each awaited; and a stop has a deadline."""

import anyio
import pytest

from actors import Actor, CancellationToken, Ref, Request, on, task
from supervision import ChildSpec, SupervisorSpec, serve

pytestmark = pytest.mark.dead_letters


def lingering(diary: list[str], id: str, seconds: float) -> ChildSpec:  # type: ignore[type-arg]
    """Make a proc that needs some time to stop."""

    async def linger(shutdown: CancellationToken) -> None:
        await shutdown.wait()
        diary.append(f"{id} is told")
        await anyio.sleep(seconds)
        diary.append(f"{id} is done")

    return ChildSpec(id, task(linger), shutdown=60.0)


async def test_procs_stop_in_reverse_each_awaited_before_the_next_is_told() -> None:
    """The last one started is told first, and the next is told when it is gone."""
    diary: list[str] = []
    children = [lingering(diary, "db", 1.0), lingering(diary, "cache", 5.0)]
    async with serve(SupervisorSpec("shop", [*children, lingering(diary, "web", 3.0)])):
        began = anyio.current_time()
    assert anyio.current_time() - began == pytest.approx(9.0)
    assert diary == [
        "web is told",
        "web is done",
        "cache is told",
        "cache is done",
        "db is told",
        "db is done",
    ]


class Save(Request[int]):
    """Ask the store to keep something."""


class Store(Actor[Save]):
    """Count what it was asked to keep."""

    def __init__(self) -> None:
        self.saved = 0

    @on(Save)
    async def save(self, message: Save) -> int:
        """Keep it, which takes a while."""
        await anyio.sleep(0.5)
        self.saved += 1
        return self.saved


class Writer(Actor[Save]):
    """Save once more while it stops, through a sibling that started before it."""

    def __init__(self, answers: list[int], stores: list[Ref[Save]]) -> None:
        self.answers = answers
        self.stores = stores

    @on(Save)
    def save(self, message: Save) -> int:
        """Be asked, which nobody does."""
        return 0

    async def on_stop(self, reason: object) -> None:
        """Hand over what is left."""
        self.answers.append(await self.stores[0].ask(Save()))


@pytest.mark.parametrize("nested", [False, True])
async def test_a_clean_up_may_still_ask_an_earlier_sibling(nested: bool) -> None:
    """A proc does not freeze while later ones stop: their clean-ups can ask it until its turn."""
    answers: list[int] = []
    stores: list[Ref[Save]] = []
    writers = [ChildSpec(f"w{n}", lambda: Writer(answers, stores)) for n in (1, 2)]
    rest = [SupervisorSpec("writers", writers)] if nested else writers
    async with serve(SupervisorSpec("shop", [ChildSpec("store", Store), *rest])) as app:
        stores.append(app.find("store"))
    assert answers == [1, 2]

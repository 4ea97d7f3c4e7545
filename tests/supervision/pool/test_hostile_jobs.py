"""Tests of jobs whose keys and errors go wrong when they are looked at: they fail alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import DeadLetter, Event
from actors.testing import settle
from supervision import Pool, PoolSpec, serve
from tests.actors.test_hostile_objects import HOSTILE
from tests.kit.actors import Doer, Later, Plain, raising

pytestmark = pytest.mark.dead_letters

HOSTILE_KINDS = pytest.mark.parametrize("kind", HOSTILE)


class Unhashable(bytes):
    """Be bytes, and no key of a table."""

    def __hash__(self) -> int:
        raise KeyboardInterrupt


class Bytes:
    """Stand for such bytes."""

    def __bytes__(self) -> bytes:
        return Unhashable(b"ada")


@HOSTILE_KINDS
@pytest.mark.parametrize("asked", [False, True])
async def test_a_job_whose_key_cannot_be_made_fails_alone(
    kind: type[BaseException], asked: bool
) -> None:
    """Whatever a key function raises fails its job, asked or told, and the pool goes on."""

    def key(request: Any) -> Any:
        if not calls:
            return "good"
        raise calls.pop()()

    calls: list[Callable[[], BaseException]] = [kind]
    letters: list[Event] = []
    spec = PoolSpec("pool", Doer, size=1, key=key, routing="keyed")
    async with serve(spec, observe=[letters.append]) as app:
        pool = Pool[Plain](app.supervisor)
        if asked:
            with raising(Exception) as raised:
                await pool.ask(Plain(lambda _: 1))
            assert type(raised.error) is (kind if issubclass(kind, Exception) else TypeError)
        else:
            pool.tell(Plain(lambda _: 1))
            await settle()
            assert [type(event) for event in letters].count(DeadLetter) == 1
        assert await pool.ask(Plain(lambda _: 2)) == 2
        assert app.supervisor.statistics().incarnation == 1


@pytest.mark.parametrize("kind", [*HOSTILE, KeyboardInterrupt, GeneratorExit])
async def test_a_worker_that_answers_with_a_hostile_error_harms_no_pool(
    kind: type[BaseException],
) -> None:
    """An answer that is an error fails its job, whatever the error is, and the pool goes on."""

    def answer(actor: Doer, reply: Any) -> None:
        reply.fail(kind())

    async with serve(PoolSpec("pool", Doer, size=1)) as app:
        pool = Pool[Later | Plain](app.supervisor)
        with raising(Exception) as raised:
            await pool.ask(Later(answer))
        assert type(raised.error) is (kind if issubclass(kind, Exception) else RuntimeError)
        pool.tell(Later(answer))
        assert await pool.ask(Plain(lambda _: 2)) == 2
        assert app.supervisor.statistics().incarnation == 1


@pytest.mark.parametrize("routing", ["keyed", "sticky"])
async def test_no_code_of_a_key_runs_in_the_pool(routing: Any) -> None:
    """Bytes of a class of the user's own are plain bytes before they are looked up."""
    spec = PoolSpec("pool", Doer, size=1, key=lambda _: Bytes(), routing=routing)
    async with serve(spec) as app:
        assert await Pool[Plain](app.supervisor).ask(Plain(lambda _: 2)) == 2

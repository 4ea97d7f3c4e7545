"""Tests that the comparison with the reference model catches the mistakes it is made for."""

import pytest

from tests.semantics.model_comparison import agree
from tests.semantics.model_mistakes import MISTAKES, Mistake

pytestmark = pytest.mark.dead_letters

each = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)


@each
async def test_the_engine_does_not_make_it(mistake: Mistake) -> None:
    """Engine and model agree on the script of each mistake."""
    assert await agree(mistake.script)


@each
async def test_it_is_caught(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that makes one of the first ten known mistakes does not agree with the model."""
    mistake.make(monkeypatch)
    with pytest.raises(AssertionError, match="the model has"):
        await agree(mistake.script)

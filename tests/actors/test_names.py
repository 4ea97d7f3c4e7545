"""Tests of `actors.names`: typed names, as values and in the registry of a system."""

from __future__ import annotations

import pickle

import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError

from actors import Name


@frozen
class Ping:
    """A message."""


PINGER = Name[Ping]("pinger")


def test_a_name_is_a_value() -> None:
    """Two names with the same text are the same name, whatever their messages."""
    assert Name[Ping]("pinger") == PINGER == Name[str]("pinger")
    assert hash(Name[Ping]("pinger")) == hash(PINGER)
    assert Name[Ping]("other") != PINGER
    assert str(PINGER) == PINGER.text == "pinger"
    assert pickle.loads(pickle.dumps(PINGER)) == PINGER


def test_a_name_is_frozen() -> None:
    """The text of a name cannot be changed."""
    with pytest.raises(FrozenInstanceError):
        PINGER.text = "other"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["", None, 7, b"pinger"])
def test_a_name_is_a_text(text: object) -> None:
    """Anything but a text of at least one character is refused with what was given."""
    with pytest.raises(
        ValueError, match="a name is a text of at least one character, not "
    ) as info:
        Name[Ping](text)  # type: ignore[arg-type]
    assert repr(text) in str(info.value)

"""Tests of `actors.names`: typed names, as values and in the registry of a system."""

from __future__ import annotations

import pickle

import pytest
from attrs import frozen
from attrs.exceptions import FrozenInstanceError

from actors import Actor, ActorSystem, Name, NameTaken, StartFailed, on


@frozen
class Ping:
    """A message."""


PINGER = Name[Ping]("pinger")


class Pinger(Actor[Ping]):
    """Take pings."""

    @on(Ping)
    def ping(self, message: Ping) -> None:
        """Do nothing."""


class Failing(Pinger):
    """Fail to start."""

    async def on_start(self) -> None:
        raise ValueError("not today")


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


async def test_a_named_address_can_be_looked_up() -> None:
    """`whereis` gives the ref that was spawned under the name, and None for a free one."""
    async with ActorSystem() as system:
        assert system.whereis(PINGER) is None
        ref = await system.spawn(Pinger, name=PINGER)
        assert system.whereis(Name[Ping]("pinger")) == ref
        assert ref.path == "/pinger"
        assert system.whereis(Name[Ping]("other")) is None


async def test_a_name_is_held_once() -> None:
    """A second address under a live name is refused with NameTaken, and nothing of it stays."""
    async with ActorSystem() as system:
        ref = await system.spawn(Pinger, name=PINGER, id="first")
        with pytest.raises(NameTaken, match=r"^name 'pinger' is taken by /first$"):
            await system.spawn(Pinger, name=PINGER, id="second")
        assert [info.path for info in system.snapshot()] == ["/first"]
        assert system.whereis(PINGER) == ref


async def test_a_name_is_free_when_its_address_has_ended() -> None:
    """The name of an address that ended, or never started, can be taken again."""
    async with ActorSystem() as system:
        first = await system.spawn(Pinger, name=PINGER)
        await first.shutdown()
        assert system.whereis(PINGER) is None
        with pytest.raises(StartFailed):
            await system.spawn(Failing, name=PINGER)
        assert system.whereis(PINGER) is None
        second = await system.spawn(Pinger, name=PINGER)
        assert system.whereis(PINGER) == second != first


async def test_names_belong_to_one_system() -> None:
    """The same name may be taken once in each actor system."""
    async with ActorSystem("one") as one, ActorSystem("two") as two:
        first = await one.spawn(Pinger, name=PINGER)
        second = await two.spawn(Pinger, name=PINGER)
        assert one.whereis(PINGER) == first
        assert two.whereis(PINGER) == second
        assert first != second

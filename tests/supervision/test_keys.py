"""Keys: what is one, and the numbers that it leads to today and in every later version."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.keys import Key, check_key, partition_of, stable_hash


class Place(NamedTuple):
    """A tuple that stands for bytes, too."""

    room: str
    seat: int

    def __bytes__(self) -> bytes:
        """Return what stands for it."""
        return b"place"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ada", 2456109114785184739),
        (b"ada", 17479902855721119664),
        (-7, 17924943942075588193),
        (True, 13024614643441407826),
        (("ada", (7, b"")), 4801677386932300475),
        (Place("a", 1), 1076000768287499689),
    ],
)
def test_hashes_are_written_down(key: Key, expected: int) -> None:
    """These keys have these hashes, today and in every later version."""
    assert stable_hash(key) == expected


def test_an_object_with_bytes_is_the_key_that_they_are() -> None:
    """An object that stands for bytes is the same key as these, also inside of a tuple."""
    path = PurePosixPath("ada")
    assert check_key(path) == b"ada"
    assert check_key((path, 1)) == (b"ada", 1)
    assert stable_hash(path) == stable_hash(b"ada")
    assert stable_hash((path, 1)) == stable_hash((b"ada", 1))
    assert partition_of(path, 1000) == partition_of(b"ada", 1000)


def test_a_tuple_has_its_partition() -> None:
    """A tuple belongs to the partition of its encoding, or of its own bytes where it has them."""
    assert partition_of(("a", 7), 1000) == crc32(b"s1:ai1:7") % 1000
    assert partition_of(Place("a", 1), 1000) == crc32(b"place") % 1000


@pytest.mark.parametrize(
    ("key", "n", "partition"),
    [
        (0, 4, 0),
        (7, 4, 3),
        (-7, 4, 3),
        (10**30 + 1, 4, 1),
        (True, 4, 1),
        ("", 4, 0),
        ("ada", 4, 0),
        ("grace", 4, 3),
        ("Ada", 1000, 336),
        ("müller", 1000, 649),
        ("\ud800", 1000, 600),
        (b"ada", 4, 0),
        (Path("ada"), 4, 0),
        ("ada", 1, 0),
    ],
)
def test_routing_is_written_down(key: Any, n: int, partition: int) -> None:
    """These keys belong to these partitions, today and in every later version."""
    assert partition_of(key, n) == partition


@pytest.mark.parametrize(
    "key", [1.5, None, ("a", None), ["a"], object()], ids=lambda key: type(key).__name__
)
def test_what_is_no_key_is_refused(key: Any) -> None:
    """What is no int, text, bytes or tuple of them is a TypeError that says what would be a key."""
    with pytest.raises(TypeError, match="is no key; give a str, bytes, an int or a tuple"):
        partition_of(key, 4)


@given(st.integers() | st.text() | st.binary(), st.integers(1, 100))
def test_any_key_has_its_partition(key: int | str | bytes, n: int) -> None:
    """Every key belongs to one of the partitions, when there are any."""
    assert 0 <= partition_of(key, n) == partition_of(key, n) < n
    with pytest.raises(ValueError, match="at least 1 partition, not 0"):
        partition_of(key, 0)


@pytest.mark.parametrize("form", ["user-{}", "{}", "/shop/{}/cart", "{:08}"])
@pytest.mark.parametrize("n", [2, 7, 8, 16])
def test_keys_are_spread_evenly(form: str, n: int) -> None:
    """Ten thousand texts fill the partitions evenly, within a tenth."""
    counts = Counter(partition_of(form.format(number), n) for number in range(10_000))
    assert all(abs(count - 10_000 / n) < 1_000 / n + 60 for count in counts.values())
    assert len(counts) == n

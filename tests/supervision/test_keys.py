"""Keys: what is one, and the numbers that it leads to today and in every later version."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple
from zlib import crc32

import pytest

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

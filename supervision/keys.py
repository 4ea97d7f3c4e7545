"""Keys: what jobs and messages are routed by, and where a key leads.

Whatever belongs to one key is to reach one worker of a pool, or one partition, whichever process
asks and whichever version of Python that runs. So both are computed from the bytes of a key, never
from Python's `hash`, which differs from process to process.

There are two ways from a key to a number, and both are promises: stored data may depend on them.

===============  =====================================================================
`partition_of`   Elixir's way: an int modulo n, anything else its CRC-32 modulo n. Plain
                 to compute elsewhere; different keys may have the same bytes ("a", b"a")
`stable_hash`    64 bits of BLAKE2, type and length included: only equal keys are equal,
                 and they spread evenly over any workers. Pools route by it
===============  =====================================================================

Guarantee: neither ever gives another number for the same key.

>>> partition_of("ada", 4), partition_of(7, 4)
(0, 3)
>>> stable_hash("ada"), stable_hash(("ada", 7)) == stable_hash("ada7")
(2456109114785184739, False)
"""

from __future__ import annotations

from hashlib import blake2b
from typing import SupportsBytes, TypeAlias, cast
from zlib import crc32

__all__ = ["Key", "check_key", "partition_of", "stable_hash"]


Key: TypeAlias = "str | bytes | int | SupportsBytes | tuple[Key, ...]"
"""What can be a key: a text, bytes, an int, a tuple of keys, or an object with `__bytes__`.

Such an object stands for its bytes: it is the same key as they are.
"""


def check_key(key: object) -> Key:
    """Return the key as plain values, with bytes in the place of each object that stands for bytes.

    So equal keys compare equal, and no code of a key's own class runs from here on. Raises
    TypeError when it is no key, or holds what is none.

    >>> from pathlib import PurePosixPath
    >>> check_key(("a", PurePosixPath("b")))
    ('a', b'b')
    """
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int):
        return int.__int__(key)
    if isinstance(key, bytes):
        return b"".join((key,))
    if isinstance(key, tuple):
        return tuple(check_key(part) for part in cast("tuple[object, ...]", key))
    if isinstance(key, SupportsBytes):
        return b"".join((bytes(key),))
    hint = "give a str, bytes, an int or a tuple of these, such as the text that identifies it"
    raise TypeError(f"{key!r} of type {type(key).__name__} is no key; {hint}")


def partition_of(key: Key, n: int) -> int:
    """Return which of n partitions, 0 to n-1, a key belongs to.

    An int goes to `abs(key) % n`, as in Elixir; anything else to the CRC-32 of its bytes modulo n,
    a text being taken as UTF-8. A change of n moves most keys. Raises TypeError for what is no
    key, ValueError when n is less than 1.

    >>> partition_of(7, 4), partition_of(-7, 4), partition_of("ada", 4), partition_of(b"ada", 4)
    (3, 3, 0, 0)
    """
    if n < 1:
        raise ValueError(f"a key needs at least 1 partition, not {n}")
    if isinstance(key, int):
        return abs(key) % n
    if isinstance(key, tuple) and isinstance(key, SupportsBytes):
        return crc32(bytes(key)) % n  # it was a key for partitions before tuples were
    return crc32(_bytes_of(key)) % n


def stable_hash(key: Key) -> int:
    """Return a hash of 64 bits that is the same in every process and on every machine.

    Equal keys have equal hashes, different ones different hashes, as far as 64 bits can tell.
    Raises TypeError when `key` is no key.

    >>> stable_hash("ada") == stable_hash("ada"), stable_hash(("a", "b")) == stable_hash(("ab",))
    (True, False)
    """
    return int.from_bytes(blake2b(_distinct(key), digest_size=8).digest(), "big")


def _distinct(key: Key) -> bytes:
    """Encode a key with its type and length in front, so that no two different keys look alike."""
    body = _bytes_of(key)
    sign = next((sign for kind, sign in _SIGNS.items() if isinstance(key, kind)), b"b")
    return b"%s%d:%s" % (sign, len(body), body)


_SIGNS: dict[type, bytes] = {str: b"s", bytes: b"b", int: b"i", tuple: b"t"}


def _bytes_of(key: Key) -> bytes:
    """Encode a key, in the way that `partition_of` and `stable_hash` have in common."""
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    if isinstance(key, bytes):
        return key
    if isinstance(key, int):
        return b"%d" % key
    if isinstance(key, tuple):
        return b"".join(map(_distinct, key))
    return cast("bytes", check_key(key))  # of an object that stands for its bytes

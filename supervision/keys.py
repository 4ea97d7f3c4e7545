"""Hash keys so that each process and each version of Python gives the same.

>>> stable_hash("ada") == stable_hash("ada")
True
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeAlias, cast

__all__ = ["Key", "check_key", "stable_hash"]


Key: TypeAlias = "str | bytes | int | tuple[Key, ...]"
"""What can be a key: its hash is the same in every process."""


def check_key(key: object) -> Key:
    """Return the key. Raises TypeError when it is no text, bytes, int or tuple of such."""
    waiting = [key]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(cast("tuple[object, ...]", part))
        elif not isinstance(part, str | bytes | int):
            raise TypeError(f"a key is a str, bytes, int or a tuple of these, not {part!r}")
    return cast("Key", key)


def stable_hash(key: Key) -> int:
    """Return a hash of 64 bits that is the same in every process and on every machine.

    Python's own `hash` of a text differs from process to process. Equal keys have equal hashes.
    Raises TypeError when `key` is no key.

    >>> stable_hash("ada") == stable_hash("ada"), stable_hash(("a", "b")) == stable_hash(("ab",))
    (True, False)
    >>> stable_hash("ada")
    2456109114785184739
    """
    return int.from_bytes(blake2b(_encoded(key), digest_size=8).digest(), "big")


def _encoded(key: Key) -> bytes:
    # With type and length in front, so that no two different keys look alike.
    if isinstance(key, str):
        sign, body = b"s", key.encode("utf-8", "surrogatepass")
    elif isinstance(key, bytes):
        sign, body = b"b", key
    elif isinstance(key, int):
        sign, body = b"i", b"%d" % key
    elif isinstance(key, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
        sign, body = b"t", b"".join(map(_encoded, key))
    else:
        check_key(key)  # it is none, and this says so
        raise AssertionError
    return b"%s%d:%s" % (sign, len(body), body)

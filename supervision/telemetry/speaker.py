"""Say things in the log, from wherever it is."""

from __future__ import annotations

from loguru import logger

__all__ = ["say"]


def say(level: str, path: str, text: str) -> None:
    """Write one line through loguru; `path` is also bound as an extra of the record."""
    # Not with str.format: the text may hold braces of a message or an exception.
    logger.bind(path=path).log(level, "{} {}", path, text)

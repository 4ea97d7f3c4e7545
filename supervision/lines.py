r"""Cut a stream of bytes into lines of text that are safe to keep and to show.

Programs write what they like: lines without end, half a character at a time, binary garbage, and
sequences that clear a terminal. A `LineCutter` makes bounded lines of all that, and `printable`
makes one safe to stand in a log.

- Bytes are UTF-8; what is not, is shown as `\xNN`. Nothing is lost, and nothing raises.
- Lines end at a line feed (a carriage return before it goes, too). One that is longer than the
  limit comes in pieces, so at most that much is held back.

>>> cutter = LineCutter()
>>> cutter.feed(b"ready\r\nlisten"), cutter.feed(b"ing on \xff\n"), cutter.feed(b"bye")
(['ready'], ['listening on \\xff'], [])
>>> cutter.end()
['bye']
>>> printable("\x1b[2Jgone?")
'\\x1b[2Jgone?'
"""

from __future__ import annotations

import codecs
from typing import Final, final

__all__ = ["LONGEST_LINE", "LineCutter", "printable"]

LONGEST_LINE: Final = 8192
"""How many characters a line may have before it is cut."""

_new_decoder = codecs.getincrementaldecoder("utf-8")


@final
class LineCutter:
    """Take bytes, give lines; `limit` is the most characters of one (default `LONGEST_LINE`)."""

    __slots__ = ("_decoder", "_limit", "_rest")

    def __init__(self, limit: int = LONGEST_LINE) -> None:
        self._decoder = _new_decoder("backslashreplace")
        self._limit = limit
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now, without their ends."""
        return self._cut(self._decoder.decode(data))

    def end(self) -> list[str]:
        """Return what is left when nothing more will come; begin anew."""
        lines = self._cut(self._decoder.decode(b"", final=True))
        rest, self._rest = self._rest, ""
        return lines + self._pieces(rest.removesuffix("\r")) if rest else lines

    def _cut(self, text: str) -> list[str]:
        *complete, self._rest = (self._rest + text).split("\n")
        lines = [piece for line in complete for piece in self._pieces(line.removesuffix("\r"))]
        # One more than the limit: it may be the carriage return of a line feed still to come.
        if len(self._rest) > self._limit + 1:
            *early, self._rest = self._pieces(self._rest)
            lines += early
        return lines

    def _pieces(self, line: str) -> list[str]:
        limit = self._limit
        return [line[start : start + limit] for start in range(0, len(line), limit)] or [""]


def printable(text: str) -> str:
    """Escape what is no printable character, so that a text cannot break out of its line."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\t"
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )

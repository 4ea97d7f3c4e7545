r"""Read the output of a program from pipes of one's own.

The pipes that event loops make belong to their loops: to close one is a wait, what a program wrote
last may still be under way at its exit, and one that an escaped grandchild holds open never ends.
A `Pipe` here is two file descriptors: what is in it can be had at once, and closing takes no time.

Guarantees: no line is longer than `LONGEST_LINE`, whatever a program writes; no byte is lost, not
even a half character at the end; what is left in a pipe is read to its end, if it has one.

>>> import anyio, os
>>> async def main() -> None:
...     pipe = Pipe("stdout")
...     written = os.write(pipe.write_end, b"one\ntwo\nthr")
...     print(pipe.cutter.feed(await pipe.read()))
...     written = os.write(pipe.write_end, b"ee")
...     print(pipe.rest())
...     pipe.close()
>>> anyio.run(main)
['one', 'two']
['three']
"""

from __future__ import annotations

import codecs
import os
from typing import Final, Literal, final

import anyio

__all__ = ["LONGEST_LINE", "LineCutter", "Pipe"]


AT_ONCE: Final = 4096
"""How many bytes are read at once: at most so many lines are told in one turn of the loop."""

CAPACITY: Final = 65536
"""How many bytes a pipe holds (Linux, macOS): as much may be left in it at the end."""


@final
class Pipe:
    """One pipe; `write_end` is for the program, None once it has it.

    Raises OSError when there are too many open files.
    """

    __slots__ = ("_read_end", "cutter", "stream", "write_end")

    def __init__(self, stream: Literal["stdout", "stderr"]) -> None:
        self.stream: Literal["stdout", "stderr"] = stream
        self.cutter = LineCutter()
        self.write_end: int | None
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)

    async def read(self) -> bytes:
        """Wait for bytes; b"" when nobody has the other end any more."""
        while True:
            await anyio.wait_readable(self._read_end)
            data = self._read_now()
            if data is not None:
                return data

    def rest(self) -> list[str]:
        """Return the lines of what is in the pipe now, and take that for the end."""
        lines: list[str] = []
        left = CAPACITY  # not more: somebody may go on writing for ever
        while left > 0 and (data := self._read_now()):
            lines += self.cutter.feed(data)
            left -= len(data)
        return lines + self.cutter.end()

    def _read_now(self) -> bytes | None:
        try:
            return os.read(self._read_end, AT_ONCE)
        except BlockingIOError:
            return None

    def close_writing(self) -> None:
        """Close this process's copy of the end for the program."""
        if self.write_end is not None:
            os.close(self.write_end)
            self.write_end = None

    def close(self) -> None:
        """Close what is open."""
        self.close_writing()
        os.close(self._read_end)


LONGEST_LINE: Final = 8192
"""How many characters a line may have before it is cut."""

_new_decoder = codecs.getincrementaldecoder("utf-8")


@final
class LineCutter:
    """A cutter of bytes into lines of at most `limit` characters (default `LONGEST_LINE`).

    A longer line comes in pieces, what is no UTF-8 as escapes; ends are LF or CR LF.
    """

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

r"""Read a log in batches of lines, from any byte on.

Whatever the file holds, a batch is bounded: in the number of its lines and in the length of each.
A last line without its end is still being written; it is left for the next time.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "access.log")
...     _ = path.write_bytes(b"one\ntwo\nthree\nunfini")
...     with Lines(path, 4) as lines:
...         print(lines.next_batch(2), lines.offset)
...         print(lines.next_batch(2), lines.offset)
[Line(offset=4, text=b'two'), Line(offset=8, text=b'three')] 14
[] 14
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from examples.ingest.messages import Line

LONGEST = 32 * 1024
"""How much of a line is kept, in bytes; what is longer is no log line."""


class LogTooShort(Exception):
    """The log is shorter than what was read of it: it was rotated, or it is another one."""


class Lines:
    """Read the lines of `path` that begin at byte `offset` or later.

    Raises OSError when the file cannot be read, LogTooShort when it ends before `offset`.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._file = path.open("rb")
        self.offset = offset
        size = self._file.seek(0, 2)
        if size < offset:
            self._file.close()
            raise LogTooShort(f"{path} has {size} bytes, but {offset} were read of it before")
        self._file.seek(offset)

    def next_batch(self, most: int) -> list[Line]:
        """Return up to `most` lines; none at the end. `offset` is where the next one begins."""
        batch: list[Line] = []
        while len(batch) < most and (line := self._next()) is not None:
            batch.append(line)
        return batch

    def _next(self) -> Line | None:
        text = part = self._file.readline(LONGEST)
        length = len(text)
        while len(part) == LONGEST and not part.endswith(b"\n"):
            part = self._file.readline(LONGEST)
            length += len(part)
        if not part.endswith(b"\n"):
            self._file.seek(self.offset)
            return None
        line = Line(self.offset, text.rstrip(b"\r\n"))
        self.offset += length
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

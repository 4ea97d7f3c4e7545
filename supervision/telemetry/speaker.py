"""Write lines to the log, also from threads that must not wait for it.

Two threads of this package watch over the process, one over its signals and one over its event
loop. What they have to say is said while something is wrong; so the log itself may be stuck, in a
pipe that nobody reads or a lock that the stuck code holds. A `Speaker` has each line written by a
thread of its own, and waits for that one half a second and no more.

loguru is loaded when the first line is written, or when `say_about` is asked for: whoever only
imports this package does not pay for it.

>>> def write(level: str, text: str) -> None:
...     print(level, text)
>>> Speaker(write).say("WARNING", "event loop blocked")
WARNING event loop blocked
True
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeAlias, final

from actors.texts import cut
from supervision.describe import describe_error, kept, printable

__all__ = [
    "SPEECH",
    "Speak",
    "Speaker",
    "helper_thread",
    "is_helper",
    "nobody",
    "one_entry",
    "say",
    "say_about",
]


SPEECH = 0.5
"""Seconds that a line may take: a log that is stuck must keep no watching thread from its work."""

LONGEST_LINE = 10_000
"""Characters that a line may have; each text in it has its own, smaller bound."""

MOST_FRAMES = 50
"""So many calls of a traceback go with a line."""

Speak: TypeAlias = Callable[[str, str], None]
"""Takes a level and a text."""

_HELPERS = "supervision "
"""How the names of this package's threads begin."""


def say(level: str, path: str, text: str, error: BaseException | None = None) -> None:
    """Write one line through loguru; `path` is also bound as an extra of the record.

    `error`, default None, becomes the exception of the record, for sinks that want more than a
    line: error trackers, JSON. Of a long traceback it has the innermost calls; `frames_left_out` is
    an extra then.
    """
    from loguru import logger

    bound = logger.bind(path=path)
    if error is not None:
        calls, left_out = _innermost(kept(error, "__traceback__"))
        if left_out:
            bound = bound.bind(frames_left_out=left_out)
        shown = _showable(error)
        bound = bound.opt(exception=(type(shown), shown, calls))
    # Not with str.format: the text may hold braces of a message or an exception.
    bound.log(level, "{} {}", *one_entry(path, text))


def one_entry(path: str, text: str) -> tuple[str, str]:
    """Return a path and a text so that they are one line, whatever was in them."""
    return printable(cut(path)), printable(cut(text, LONGEST_LINE))


@final
class NotShown(Exception):
    """What stands in a record for an error that cannot be shown; its text says which one."""


def _showable(error: BaseException) -> BaseException:
    """Return an error as sinks can take it: they ask for texts and causes, and fail with those."""
    try:
        _ = str(error), repr(error), bool(error), isinstance(error, BaseExceptionGroup)
        traceback.TracebackException(type(error), error, None)
    except BaseException:
        return NotShown(describe_error(error))
    return error


def _innermost(calls: TracebackType | None) -> tuple[TracebackType | None, int]:
    """Return the last calls of a traceback, and how many came before them."""
    length, step = 0, calls
    while step is not None:
        length, step = length + 1, step.tb_next
    left_out = max(0, length - MOST_FRAMES)
    for _ in range(left_out):
        assert calls is not None
        calls = calls.tb_next
    return calls, left_out


def say_about(path: str) -> Speak:
    """Return what writes lines about one path through loguru.

    loguru is loaded here and now: a first line that has to be written while other code holds the
    GIL could not wait for that.
    """
    from loguru import logger

    bound = logger.bind(path=path)

    def say_it(level: str, text: str) -> None:
        bound.log(level, "{} {}", *one_entry(path, text))

    return say_it


def nobody(level: str, text: str) -> None:
    """Say nothing: the `Speak` of who has no log."""


@final
class Speaker:
    """The voice of a thread that watches over others; `speak` may block: that holds nobody up."""

    def __init__(self, speak: Speak = nobody) -> None:
        self._speak = speak

    def say(self, level: str, text: str) -> bool:
        """Have one line said, as by `do`."""
        return self.do(partial(self._speak, level, text))

    def do(self, work: Callable[[], None]) -> bool:
        """Do something in a thread of its own; wait for it as long as a line may take.

        Returns False when there can be no such thread: from Python 3.12 on, none can be started
        once the interpreter is leaving.
        """
        thread = helper_thread(work, "log")
        try:
            thread.start()
        except RuntimeError:
            return False
        thread.join(SPEECH)
        return True


def helper_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Make a thread of this package, which does not keep the process alive; not started yet."""
    return threading.Thread(target=work, name=_HELPERS + name, daemon=True)


def is_helper(thread: threading.Thread) -> bool:
    """Tell whether a thread is one of this package's own, and none of the user's."""
    return thread.name.startswith(_HELPERS)

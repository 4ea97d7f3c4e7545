"""Take user objects by the outside only: their texts, their types, the notes that they carry.

An error, a message or a detail is of a class that anybody may have written: its `__str__` may
raise, its `__class__` lie, its attributes be frozen, its text as long as a book. The engine meets
them in its last steps, where nothing may go wrong. So it asks them nothing itself, but here.

Guarantees: nothing here raises, whatever the object does, and a text has a bounded length.

>>> class Silent(Exception):
...     def __str__(self) -> str:
...         raise RuntimeError("no comment")
>>> describe(ValueError("no such row")), describe(ValueError()), describe(Silent())
('ValueError: no such row', 'ValueError', 'Silent: (its text cannot be printed)')
>>> len(text_of("a" * 10_000)), text_of("a" * 10_000)[-26:]
(1026, '... (9000 more characters)')
>>> process_end(BaseExceptionGroup("both", [SystemExit(3), ValueError()]))
SystemExit(3)
"""

from __future__ import annotations

import traceback
from typing import Any, TypeGuard, TypeVar, cast

__all__ = [
    "LONGEST_TEXT",
    "answer_of",
    "cut",
    "describe",
    "is_a",
    "note",
    "process_end",
    "text_of",
    "without_frames",
]

T = TypeVar("T")

LONGEST_TEXT = 1000
"""So many characters of a text are shown; of the rest only the number."""

MOST_FRAMES = 50
"""So many calls of a traceback are kept as text."""


MOST_CAUSES = 10
"""So many causes are kept of one error."""


def text_of(value: object) -> str:
    """Return the text of an object, cut when it is too long."""
    try:
        text = str.__str__(str(value))
    except BaseException:
        return "(its text cannot be printed)"
    return cut(text)


def cut(text: str, most: int = LONGEST_TEXT) -> str:
    """Cut a text that is too long, and say how much is missing."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... ({len(text) - most} more characters)"


def describe(error: BaseException) -> str:
    """Return the type of an error and its text, if it has one."""
    kind, text = type(error).__name__, text_of(error)
    return f"{kind}: {text}" if text else kind


def is_a(value: object, kinds: type[T] | tuple[type[T], ...]) -> TypeGuard[T]:
    """Tell whether an object is of a class, by its type alone: its `__class__` may lie, or raise.

    For whatever is of a user's class. `isinstance` and the class patterns of `match` ask the
    object itself.
    """
    return issubclass(type(value), kinds)


def answer_of(error: BaseException) -> RuntimeError:
    """Return what to raise in an asker in place of an error that would do more there than fail."""
    answer = RuntimeError(f"the answer was a {type(error).__name__}")
    answer.__cause__ = error
    return answer


def note(error: BaseException, text: str) -> None:
    """Add a note to an error; one that takes no notes stays as it is."""
    try:
        error.add_note(text)
    except BaseException:  # frozen, or with an opinion of its own: the note is not worth an end
        pass


def process_end(error: BaseException) -> BaseException | None:
    """Find the SystemExit or KeyboardInterrupt that an error is or, being a group, holds."""
    pending = [error]
    while pending:
        found = pending.pop()
        if is_a(found, (SystemExit, KeyboardInterrupt)):
            return found
        if is_a(found, BaseExceptionGroup):
            # Not `found.exceptions`: that is the subclass's, if it wants.
            pending.extend(reversed(vars(BaseExceptionGroup)["exceptions"].__get__(found)))
    return None


def without_frames(error: BaseException) -> BaseException:
    """Return a copy of an error that keeps no frames, and has their text as a note instead.

    Its causes are copied, too. No code of the user's makes any of it. An error that cannot be
    copied so is returned as it is.
    """
    first = copy = _with_text(error)
    try:
        for _ in range(MOST_CAUSES):
            cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
            if cause is None or copy is error:
                break
            following = _with_text(cause)
            _set(copy, "__cause__" if cause is error.__cause__ else "__context__", following)
            error, copy = cause, following
    except BaseException:  # of a property that a class of the user's has there
        pass
    return first


def _set(error: BaseException, name: str, value: object) -> None:
    """Set what Python keeps of an error, even if its class is frozen."""
    vars(BaseException)[name].__set__(error, value)


def _with_text(error: BaseException) -> BaseException:
    try:
        copy = _copy(error)
        if type(copy) is not type(error) or str(copy) != str(error):
            return error
        frames = "".join(traceback.format_tb(error.__traceback__, limit=-MOST_FRAMES))
        notes = vars(error).get("__notes__", ())
        vars(copy)["__notes__"] = [*notes, f"raised here:\n{frames}"] if frames else [*notes]
    except BaseException:
        return error
    return copy


def _copy(error: BaseException) -> BaseException:
    kind = type(error)
    # What Python's own class keeps beside the arguments it sets itself, and nobody else's code.
    built_in = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    arguments: tuple[Any, ...] = cast("Any", built_in).__reduce__(error)[1]
    copy: BaseException = built_in.__new__(kind, *arguments)
    built_in.__init__(copy, *arguments)  # type: ignore[misc]
    vars(copy).update(vars(error))
    _set(copy, "__suppress_context__", error.__suppress_context__)
    for base in kind.__mro__:
        for name in vars(base).get("__slots__", ()):
            if name != "__weakref__" and hasattr(error, name):
                object.__setattr__(copy, name, getattr(error, name))
    return copy

"""Compare what the engine did with what the reference model says.

Compared are, for each supervisor (over all its incarnations), everything that happened to its
children and all it said of them, in order and with the time; all answers; and the whole tree after
each command. What two supervisors do at the same moment has no order, so it is not compared. Nor
is the order of what a dynamic supervisor stops, or of what goes down with a supervisor that is
killed: the model marks these entries as loose.

>>> from tests.semantics.scripts import Script, Tree, Worker
>>> script = Script(Tree("top", [Worker("a")]), [])
>>> said, done = model.play(script), model.play(script)
>>> difference(said, done)
>>> done.trace.pop().what
'ended'
>>> print(difference(said, done))
children of '': after 1 equal entries the model has
    (100.0009765625, 'ended', 'top', 'shutdown')
where there is
    nothing
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from tests.semantics import engine, model
from tests.semantics.model import Played, dynamic_of
from tests.semantics.model_lives import Happened
from tests.semantics.scripts import Script

__all__ = ["agree", "difference", "shown"]

Key: TypeAlias = tuple[object, ...]


async def agree(script: Script) -> bool:
    """Play a script in the model and in the engine that runs here.

    Returns False when there is nothing to compare, because the outcome hangs on an order that is
    not defined; then it is only played. Raises AssertionError when they differ, with the script.
    """
    said, done = model.play(script), await engine.play(script)
    found = None if said.ambiguous else difference(said, done, dynamic=dynamic_of(script))
    if done.unheard:
        found = "the actor system says that nobody heard of a crash"
    if found is not None:
        raise AssertionError(f"{found}\nAs a test:\n{shown(script)}")
    return not said.ambiguous


def shown(script: Script) -> str:
    """Give a script as code to paste into a test."""
    return f"    await agree(\n        {script!r}\n    )"


def difference(said: Played, done: Played, *, dynamic: Collection[str] = ()) -> str | None:
    """Tell the first difference between what the model says and what was done; None: there is none.

    The tree comes first, then what happened, then the answers. `dynamic` are the paths of dynamic
    supervisors: when these say of a child that they stopped it is open, as they stop many at once.
    """
    for number, (expected, seen) in enumerate(zip_longest(said.trees, done.trees)):
        if expected != seen:
            return f"tree after command {number}: the model has\n    {expected}\nnot\n    {seen}"
    ours, theirs = _by_parent(said.trace), _by_parent(done.trace)
    for parent in sorted({*ours, *theirs}):
        said_of, done_to = (
            [entry for entry in group[parent] if parent not in dynamic or entry.what != "stopped"]
            for group in (ours, theirs)
        )
        found = _first_difference(said_of, done_to)
        if found:
            return f"children of {parent!r}: {found}"
    for key in sorted({*said.answers, *done.answers}):
        expected, seen = (played.answers.get(key) for played in (said, done))
        if _plain(expected) != _plain(seen):
            return f"answer to {key}: the model has\n    {expected}\nnot\n    {seen}"
    return None


def _plain(answer: Any) -> Any:
    # OTP and the model tell a start that was ignored from a plain "ok"; here both answer None.
    if answer is not None and answer[1] in ("ok", "ignored"):
        return (answer[0], "nothing")
    return answer


def _by_parent(trace: Iterable[Happened]) -> defaultdict[str, list[Happened]]:
    groups: defaultdict[str, list[Happened]] = defaultdict(list)
    for entry in trace:
        groups[entry.parent].append(entry)
    return groups


def _first_difference(expected: Sequence[Happened], seen: Sequence[Happened]) -> str:
    ours, theirs = [_key(entry) for entry in expected], [_key(entry) for entry in seen]
    begin = 0
    while begin < len(expected):
        end = begin + 1
        if expected[begin].loose:
            while end < len(expected) and expected[end].loose:
                end += 1
            for keys in (ours, theirs):
                keys[begin:end] = sorted(keys[begin:end], key=repr)
        begin = end
    for index, (our, their) in enumerate(zip_longest(ours, theirs, fillvalue="nothing")):
        if our != their:
            return (
                f"after {index} equal entries the model has\n    {our}\nwhere there is\n    {their}"
            )
    return ""


def _key(entry: Happened) -> Key:
    detail = entry.detail
    if entry.what == "failed" and detail in ("shutdown", "killed"):
        detail = "cut short"  # with no time at all to stop in, it is either
    return (entry.time, entry.what, entry.id, detail)

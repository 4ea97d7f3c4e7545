"""Play scripts with the real supervisors of Erlang/OTP, where `escript` is installed.

`otp_player.erl` plays them, in real time: a second of a script takes `SCALE` milliseconds. Compared
is what both can see, with OTP's own rules in the model: for each supervisor the order in which its
children start, end, fail to start and are ignored, with exit reasons; and all answers.

Scripts for OTP do without what is this project's own: no dynamic supervisors, no supervisor is
killed or told to stop by anybody but its parent, and no window of restarts ever moves on.

>>> term(Worker("a", restart="transient", starts=["ok", "slow fail"], shutdown=1.5), 100)
'{worker,#{id=><<"a">>,restart=>transient,significant=>false,shutdown=>150,starts=>[{false,ok},\
{true,fail}],then=>{false,ok},stop=>0,stop_fails=>false}}'
"""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import cast

from attrs import Factory, define

from tests.semantics import model
from tests.semantics.model import supervisors_of
from tests.semantics.model_lives import Answer, Rules
from tests.semantics.scripts import (
    AnyChild,
    Command,
    Count,
    Crash,
    Delete,
    End,
    Kill,
    KillTogether,
    RestartOne,
    Script,
    Start,
    Step,
    Stop,
    Terminate,
    Tree,
    Wait,
    Which,
    Worker,
)

__all__ = ["ESCRIPT", "SCALE", "Watched", "difference", "play", "term"]

ESCRIPT = shutil.which("escript")
"""Where Erlang is, or None."""

SCALE = 400
"""So many milliseconds a second of a script takes."""

FRACTION = 1 / 32
"""How far commands are apart, in seconds of the script."""

PLAYER = Path(__file__).with_name("otp_player.erl")
SEEN = ("started", "ended", "failed", "ignored")


@define
class Watched:
    """Keep what both sides can see: what happened below each supervisor, and the answers."""

    happened: defaultdict[str, list[str]] = Factory(lambda: defaultdict(list))
    answers: dict[str, str] = Factory(dict[str, str])
    done: bool = False


# -- terms -----------------------------------------------------------------------------------------


def term(child: AnyChild, scale: int) -> str:
    """Write a child as an Erlang term."""
    common = {
        "id": _text(child.id),
        "restart": child.restart,
        "significant": str(child.significant).lower(),
    }
    if isinstance(child, Worker):
        shutdown = child.shutdown
        words: dict[object, str] = {inf: "infinity", "brutal_kill": "brutal_kill"}
        patience = words.get(shutdown) or str(int(float(shutdown) * scale))
        options = _map(
            **common,
            shutdown=patience,
            starts=_list([_step(step) for step in child.starts]),
            then=_step(child.then),
            stop=str(int(child.stop * scale)),
            stop_fails=str(child.stop_fails).lower(),
        )
        return f"{{worker,{options}}}"
    assert isinstance(child, Tree)
    options = _map(
        **common,
        children=_list([term(inner, scale) for inner in child.children]),
        strategy=child.strategy,
        intensity=str(child.max_restarts),
        period="3600",
        auto_shutdown=child.auto_shutdown,
    )
    return f"{{tree,{options}}}"


def _text(text: str) -> str:
    return f'<<"{text}">>'


def _map(**items: str) -> str:
    return f"#{{{','.join(f'{key}=>{value}' for key, value in items.items())}}}"


def _list(items: Sequence[str]) -> str:
    return f"[{','.join(items)}]"


def _step(step: Step) -> str:
    if step == "broken":
        return step
    slow = str(step.startswith("slow")).lower()
    result = "ok" if step == "slow" else step.removeprefix("slow ")
    return f"{{{slow},{result}}}"


def _kill(paths: Sequence[str]) -> str:
    parent = paths[0].rpartition("/")[0]
    return f"{{kill,{_text(parent)},{_list([_text(path) for path in paths])}}}"


def _order(command: Command, scale: int) -> str | None:
    reasons = {"normal": "normal", "shutdown": "shutdown", "shutdown detail": "{shutdown,detail}"}
    match command:
        case Wait():
            return None
        case Crash(path):
            return f"{{finish,{_text(path)},boom}}"
        case End(path, reason):
            return f"{{finish,{_text(path)},{reasons[reason]}}}"
        case Stop(path):
            return f"{{finish,{_text(path)},shutdown}}"
        case Kill(path):
            return _kill((path,))
        case KillTogether(paths):
            return _kill(paths)
        case Start(spec=spec):
            asked = f"{{start,{term(spec, scale)}}}"
        case Terminate(id=id):
            asked = f"{{terminate,{_text(id)}}}"
        case RestartOne(id=id):
            asked = f"{{restart,{_text(id)}}}"
        case Delete(id=id):
            asked = f"{{delete,{_text(id)}}}"
        case Count():
            asked = "count"
        case Which():
            asked = "which"
    return f"{{ask,{_text(command.path)},{asked}}}"


def _written(number: int, script: Script, scale: int) -> str:
    times = [round((time - 100.0) * scale) for time in script.times(FRACTION)]
    half = round(FRACTION * scale / 2)
    lines: list[str] = []
    for index, (when, command) in enumerate(zip(times, script.commands, strict=False)):
        order = _order(command, scale)
        if order is not None:
            lines.append(f'{{{when},"{index}",{order}}}')
        lines += [
            f'{{{when + half},"{index} {path}",{_order(Which(path), scale)}}}'
            for path in supervisors_of(script)
        ]
    tree = term(script.tree, scale)
    return f"{{{number},{tree},{_list(lines)},{times[-1]},{scale}}}.\n"


# -- both sides ------------------------------------------------------------------------------------


def play(scripts: Sequence[Script], folder: Path, scale: int = SCALE) -> list[Watched]:
    """Play scripts with OTP, all at the same time; `folder` is for the file that holds them."""
    assert ESCRIPT is not None
    file = folder / "scripts.terms"
    file.write_text("".join(_written(*item, scale) for item in enumerate(scripts)))
    command = [ESCRIPT, str(PLAYER), str(file)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    found = [Watched() for _ in scripts]
    for line in run.stdout.splitlines():
        number, kind, *rest = line.split("|")
        watched = found[int(number)]
        if kind == "happened":
            path, what, detail = rest
            parent, _, id = path.rpartition("/")
            watched.happened[parent].append(_line(what, id, detail))
        elif kind == "answer":
            watched.answers[rest[0]] = rest[1]
        else:
            watched.done = True
    return found


def expected(script: Script) -> Watched:
    """Play a script in the model, with OTP's rules."""
    said = model.play(script, Rules.otp(), FRACTION)
    watched = Watched(done=True)
    for entry in said.trace:
        if entry.what in SEEN:
            watched.happened[entry.parent].append(_line(entry.what, entry.id, entry.detail))
    for key, (_, answer) in said.answers.items():
        number, _, call = key.partition(": ")
        asked = f"{number} {call[7:-2]}" if call.startswith("Which") else number
        watched.answers[asked] = _words(answer)
    return watched


def difference(script: Script, seen: Watched) -> str | None:
    """Tell the first difference between the model and what OTP did; None: there is none."""
    ours = expected(script)
    if not seen.done:
        return "OTP's player did not come to the end"
    for parent in sorted({*ours.happened, *seen.happened}):
        if ours.happened[parent] != seen.happened[parent]:
            both = (ours.happened[parent], seen.happened[parent])
            return "children of {!r}: the model has\n    {}\nOTP has\n    {}".format(parent, *both)
    for key in sorted({*ours.answers, *seen.answers}):
        # The model does not ask what it knows to be gone.
        said, done = (side.answers.get(key, "gone") for side in (ours, seen))
        if said != done:
            return f"answer {key}: the model has {said!r}, OTP has {done!r}"
    return None


def _line(what: str, id: str, detail: str) -> str:
    # Why a start failed is told in ways that cannot be compared.
    return f"{what} {id} {detail}".rstrip() if what == "ended" else f"{what} {id}"


def _words(answer: Answer) -> str:
    match answer:
        case str():
            return answer
        case ("count", *numbers):
            return f"count {' '.join(map(str, numbers))}"
        case _:
            children = cast("tuple[tuple[str, str, int], ...]", answer)
            return ",".join(f"{id}={state}" for id, state, _ in children)

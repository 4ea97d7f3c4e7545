"""Measure the peers: other libraries for the same job, each in an environment of its own.

Each peer has a small script in `peers/` that runs the same workloads in that library's best known
way, next to the plain asyncio baseline in the same interpreter. Environments are made once, in a
cache directory outside the repository, with the peer and what the baseline needs (attrs, anyio).

Guarantees: in each round every peer runs once, each in a process of its own, in turn; every other
round goes backwards. A peer that cannot be installed, a workload that it lacks, one that fails
or does not finish is shown with the reason; nothing else suffers.

>>> [peer.name for peer in chosen(["py", "mode"])]
['pykka', 'mode']
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from attrs import evolve, frozen

from tests.benchmarks.results import PeerRow

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "peers"
NEEDED = ("attrs", "anyio")
PATIENCE = 180.0
"""Seconds for one peer in one round; thereafter what has not finished is shown as such."""

SIZES = {"tell": 100_000, "ask": 20_000, "ping_pong": 20_000, "spawn_stop": 5_000, "restart": 1_000}
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3", "python")


class Unavailable(Exception):
    """Say why a peer cannot be measured here."""


@final
@frozen
class Peer:
    """Name a peer, its script, its distribution and the oldest Python that it takes.

    Without `distribution` nothing is installed: it is this project, or no Python at all.
    """

    name: str
    script: str
    distribution: str = ""
    python: tuple[int, int] = (3, 11)


PEERS = (
    Peer("super-visor", "super_visor_peer.py"),
    Peer("anyio streams", "anyio_peer.py", "anyio"),
    Peer("pykka", "pykka_peer.py", "pykka"),
    Peer("triotp", "triotp_peer.py", "triotp"),
    Peer("everything-is-an-actor", "everything_peer.py", "everything-is-an-actor", (3, 12)),
    Peer("fauxtp", "fauxtp_peer.py", "fauxtp"),
    Peer("otpylib", "otpylib_peer.py", "otpylib"),
    Peer("thespian", "thespian_peer.py", "thespian"),
    Peer("mode", "mode_peer.py", "mode-streaming"),
    Peer("xoscar", "xoscar_peer.py", "xoscar"),
    Peer("Erlang", "erlang.escript"),
)


@final
@frozen
class Ready:
    """Hold how to run a peer that is installed, and what it is."""

    peer: Peer
    command: tuple[str, ...]
    version: str
    python: str


def chosen(names: Sequence[str]) -> tuple[Peer, ...]:
    """Choose peers by how their names begin, all without names.

    Raises `ValueError` when a text chooses nothing.
    """
    for text in names:
        if not any(peer.name.startswith(text) for peer in PEERS):
            known = ", ".join(peer.name for peer in PEERS)
            raise ValueError(f"no peer begins with {text!r}; there are {known}")
    return tuple(
        peer for peer in PEERS if not names or any(peer.name.startswith(text) for text in names)
    )


def default_cache() -> Path:
    """Give the directory for the environments: in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "super-visor-benchmarks"


def prepare(peer: Peer, cache: Path) -> Ready:
    """Make a peer's environment if it is not there; raises `Unavailable` when it cannot be made."""
    script = str(SCRIPTS / peer.script)
    if script.endswith(".escript"):
        return _erlang(peer, script)
    if not peer.distribution:
        return Ready(peer, (sys.executable, script), "this tree", _version_of(sys.executable))
    base = find_python(peer.python)
    home = cache / f"{peer.distribution}-{_version_of(base)}"
    python = str(home / "bin" / "python")
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        _call([base, "-m", "venv", str(home)])
        _call([python, "-m", "pip", "install", "--quiet", peer.distribution, *NEEDED])
        (home / "installed").touch()
    ask = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    return Ready(peer, (python, script), _call([python, "-c", ask]), _version_of(python))


def find_python(oldest: tuple[int, int]) -> str:
    """Find an interpreter, this one if it will do; raises `Unavailable` when there is none."""
    if sys.version_info >= oldest:
        return sys.executable
    for name in PYTHONS:
        found = shutil.which(name)
        try:
            version = _version_of(found) if found else ""
        except Unavailable:
            continue  # a stand-in that starts nothing
        if version and tuple(map(int, version.split(".")[:2])) >= oldest:
            return str(found)
    raise Unavailable(f"needs Python {oldest[0]}.{oldest[1]}, which is not on the path")


def _erlang(peer: Peer, script: str) -> Ready:
    escript, erl = shutil.which("escript"), shutil.which("erl")
    if escript is None or erl is None:
        raise Unavailable("Erlang is not installed: there is no escript on the path")
    ask = 'io:format("~s", [erlang:system_info(otp_release)]), halt().'
    return Ready(peer, (escript, script), f"OTP {_call([erl, '-noshell', '-eval', ask])}", "-")


def _version_of(python: str) -> str:
    return _call([python, "-c", "import platform; print(platform.python_version())"])


def _call(command: Sequence[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unavailable(f"{Path(command[0]).name} {command[1]} failed: {last}")
    return finished.stdout.strip()


def take(ready: Ready, sizes: dict[str, int], *, backwards: bool) -> dict[str, dict[str, Any]]:
    """Run a peer's script once; what it printed, by workload."""
    command = [*ready.command, json.dumps(sizes)]
    if backwards and ready.python != "-":
        command.append("--backwards")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    reason = "its script ended before"
    try:
        output, errors = process.communicate(timeout=PATIENCE)
        if process.returncode:
            reason = (errors.strip().splitlines() or ["failed without a word"])[-1]
    except subprocess.TimeoutExpired:
        # With all that it started: some have processes of their own.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        reason = f"did not finish within {PATIENCE:g} s"
    lines = (json.loads(line) for line in output.splitlines() if line.startswith('{"workload"'))
    found = {line["workload"]: line for line in lines}
    return {workload: found.get(workload, {"missing": reason}) for workload in sizes}


def study(
    names: Sequence[str],
    cache: Path,
    *,
    rounds: int,
    quick: bool,
    progress: Callable[[str], None] = lambda words: None,
) -> list[PeerRow]:
    """Measure the chosen peers; a quick run has a tenth of the sizes."""
    sizes = {name: size // 10 if quick else size for name, size in SIZES.items()}
    rows: dict[tuple[str, str], PeerRow] = {}
    usable: list[Ready] = []
    for peer in chosen(names):
        progress(f"{peer.name}: installing")
        try:
            ready = prepare(peer, cache)
        except (Unavailable, OSError) as error:
            ready = Ready(peer, (), "-", "-")
            lines = {workload: {"missing": str(error)} for workload in sizes}
            _add(rows, ready, lines)
        else:
            usable.append(ready)
            _add(rows, ready, {workload: {} for workload in sizes})
    for number in range(rounds):
        for ready in reversed(usable) if number % 2 else usable:
            progress(f"{ready.peer.name}: round {number + 1} of {rounds}")
            _add(rows, ready, take(ready, sizes, backwards=number % 2 == 1))
    return _with_baseline(
        [row if not row.missing else evolve(row, ours=()) for row in rows.values()]
    )


def _add(
    rows: dict[tuple[str, str], PeerRow], ready: Ready, lines: dict[str, dict[str, Any]]
) -> None:
    for workload, line in lines.items():
        key = ready.peer.name, workload
        row = rows.get(key) or PeerRow(ready.peer.name, ready.version, ready.python, workload)
        rows[key] = evolve(
            row,
            ours=(*row.ours, line["ours"]) if "ours" in line else row.ours,
            baseline=(*row.baseline, line["baseline"]) if "baseline" in line else row.baseline,
            missing=line.get("missing", row.missing),
        )


def _with_baseline(rows: list[PeerRow]) -> list[PeerRow]:
    """Lend this project's baseline to those without one: Erlang has no asyncio."""
    own = {row.workload: row.baseline for row in rows if row.peer == PEERS[0].name}
    return [
        evolve(row, baseline=own.get(row.workload, ())) if row.ours and not row.baseline else row
        for row in rows
    ]

"""Keep the studies of the benchmarks honest: curves, load, idle cost, silent events, peers.

As in `test_benchmarks_smoke`, sizes are so small that the numbers mean nothing; only the machinery
is looked at. No peer is installed here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actors import EventStream
from tests.benchmarks import __main__ as command
from tests.benchmarks import (
    idle,
    lifecycle,
    load,
    memory,
    messages,
    messaging,
    peering,
    plot_studies,
    report,
    scaling,
    silence,
    soak,
    studies,
    tables,
)
from tests.benchmarks.loops import Backend, installed, run
from tests.benchmarks.results import Curve, Finding, Header, PeerRow, Point, Report

# Floods and crashes leave dead letters, as they should.
pytestmark = [pytest.mark.dead_letters, pytest.mark.once]

SCRIPTS = sorted(path.name for path in peering.SCRIPTS.iterdir() if path.suffix != ".pyc")


def full_report() -> Report:
    """Make a report with one of everything that the studies give."""
    curve = Curve(
        "tell", "actors", Backend.ASYNCIO, (Point(10, (1.0,), (2.0,)), Point(100, (4.0,)))
    )
    return Report(
        Header.of_this_process(rounds=1, quick=True),
        (),
        findings=(Finding("load", "ask p99", "trio", "ms", (6.0,), most=5.0),),
        curves=(curve,),
        peers=(
            PeerRow("slow", "1.0", "3.11", "tell", (5.0,), (10.0,)),
            PeerRow("slow", "1.0", "3.11", "restart", missing="has no supervision"),
        ),
    )


def test_studies_are_kept_in_json_and_shown() -> None:
    """What a study found survives the file, and stands in the text; older files have none."""
    measured = full_report()
    assert Report.from_json(measured.to_json()) == measured
    text = report.render(measured)
    assert "ask p99  trio     6.00 ms  [6.00 .. 6.00]  <= 5 ms  miss" in text
    assert "GROWS" in text
    assert "5.00 /s 0.500x" in text
    assert "slow: no restart: has no supervision" in text
    data = json.loads(measured.to_json())
    for name in ("findings", "curves", "peers"):
        del data[name]
    old = Report.from_json(json.dumps(data))
    assert (old.findings, old.curves, old.peers) == ((), (), ())


@pytest.mark.parametrize(
    ("ours", "by_hand", "verdict"),
    [
        ([(1.0, 1.1), (1.1, 1.2), (1.2, 1.3)], [], "flat"),
        ([(9.0, 9.1), (1.0, 1.1), (1.1, 1.2)], [], "flat"),
        ([(1.0, 3.0), (1.0, 1.1), (2.0, 2.1)], [], "GROWS"),
        ([(1.0, 2.5), (2.0, 2.1), (2.0, 2.1)], [], "flat"),
        ([(1.0, 1.1), (1.5, 1.6), (2.0, 2.1)], [(5.0,), (7.0,), (9.0,)], "grows, as by hand"),
        ([(1.0, 1.1), (1.5, 1.6), (3.0, 3.1)], [(5.0,), (5.1,), (5.2,)], "GROWS"),
        ([(1.0, 1.1), (3.0, 3.1), (1.0, 1.1)], [], "GROWS"),
    ],
)
def test_growth_is_told_from_chance(
    ours: list[tuple[float, ...]], by_hand: list[tuple[float, ...]], verdict: str
) -> None:
    """A curve grows when a larger size is dearer than a smaller one beyond the spread of both."""
    baselines = by_hand or [()] * len(ours)
    points = [
        Point(10**number, mine, theirs)
        for number, (mine, theirs) in enumerate(zip(ours, baselines, strict=True))
    ]
    assert tables.verdict_of(points)[0] == verdict


@pytest.mark.parametrize("axis", scaling.AXES, ids=lambda axis: axis.name)
def test_each_axis_gives_the_same_costs_on_both_sides(axis: scaling.Axis) -> None:
    """What is measured by hand is measured for us too, and both are positive."""
    ours = run(Backend.ASYNCIO, axis.ours, 10)
    theirs = run(Backend.ASYNCIO, axis.baseline, 10) if axis.baseline else {}
    assert set(theirs) <= set(ours)
    assert min([*ours.values(), *theirs.values()]) > 0


def test_a_flood_is_one_and_leaves_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each latency that has a limit is measured under the flood, on every loop."""
    monkeypatch.setattr(load, "BACKLOG", 300)
    monkeypatch.setattr(load, "SHUTDOWNS", 2)
    for backend in installed():
        found = run(backend, load.under_load, 100)
        assert set(load.LIMITS) <= set(found)
        assert min(found.values()) > 0


@pytest.mark.parametrize("backend", installed())
def test_wake_ups_are_counted(backend: Backend) -> None:
    """A loop that sleeps again and again is seen to wake up."""
    assert run(backend, _sleep_until_woken, 20) >= 20


async def _sleep_until_woken(times: int) -> int:
    import anyio

    with idle.counted() as count:
        before = count()
        for _ in range(100 * times):
            # On a busy machine the time is often over before the loop comes to sleep.
            await anyio.sleep(0.001)
            if count() - before >= times:
                break
        return count() - before


def test_looks_are_counted_and_the_counter_taken_out() -> None:
    """A tell looks at no subscribers, a life thrice, and the engine is left as it was."""
    before = vars(EventStream)["heard"]
    assert silence.looks_of(Backend.ASYNCIO, messaging.tell, 100) == 0
    assert silence.looks_of(Backend.ASYNCIO, lifecycle.spawn_and_stop, 100) == 3
    found = silence.study([Backend.ASYNCIO], rounds=1, quick=True)
    assert len(found) == len(silence.PROGRAMS) + 1
    assert vars(EventStream)["heard"] is before


def test_a_hibernated_actor_is_weighed_without_its_task() -> None:
    """It weighs less than one that is awake."""
    kinds: tuple[memory.Kind, ...] = ("hibernated", "awake")
    hibernated, awake = (memory.weigh(kind, Backend.ASYNCIO, 2_000) for kind in kinds)
    assert 0 < hibernated < awake


def test_every_peer_has_a_script_and_every_script_a_peer() -> None:
    """No script is forgotten, and none is missing."""
    own = {"kit.py", "__pycache__"}
    assert {peer.script for peer in peering.PEERS} == set(SCRIPTS) - own


def test_a_peer_is_run_and_reports_what_it_lacks() -> None:
    """A script prints one line for each workload, with numbers or with a reason."""
    ready = peering.prepare(peering.PEERS[0], Path("unused"))
    lines = peering.take(ready, {"tell": 100, "juggle": 10}, backwards=True)
    assert lines["tell"]["ours"] > 0
    assert lines["tell"]["baseline"] > 0
    assert lines["juggle"]["missing"] == "not written for this peer"


def test_a_peer_that_fails_is_shown_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that ends early, and one that never ends, leave a reason for each workload."""
    broken, endless = tmp_path / "broken.py", tmp_path / "endless.py"
    broken.write_text("raise RuntimeError('no such luck')")
    endless.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(peering, "PATIENCE", 0.5)
    for script, word in ((broken, "no such luck"), (endless, "did not finish within 0.5 s")):
        ready = peering.Ready(peering.PEERS[0], (sys.executable, str(script)), "1", "3")
        assert word in peering.take(ready, {"tell": 10}, backwards=False)["tell"]["missing"]


def test_what_cannot_be_installed_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed installation, a missing interpreter and missing Erlang are each a clear line."""

    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess((), 1, "", "ERROR: No matching distribution")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 11, 0))
    rows = peering.study(["pykka", "everything", "Erlang"], tmp_path, rounds=1, quick=True)
    words = {row.peer: row.missing for row in rows}
    assert "failed: ERROR: No matching distribution" in words["pykka"]
    assert words["everything-is-an-actor"] == "needs Python 3.12, which is not on the path"
    assert "Erlang is not installed" in words["Erlang"]
    assert "Erlang: no tell, ask," in tables.peers(rows)


def test_a_study_that_fails_is_named_and_costs_no_other_its_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Studies run without workloads; one that fails is a line of the report, and exit code 1."""

    def fail(*_: object, **__: object) -> list[Finding]:
        raise RuntimeError("no such luck")

    monkeypatch.setitem(studies.STUDIES, "load", (fail, "findings"))
    arguments = ["--skip-workloads", "--quick", "--rounds", "1", "--load", "--idle"]
    assert command.main([*arguments, "--backend", "asyncio"]) == 1
    text = capsys.readouterr().out
    assert "FAILED load on asyncio (study): RuntimeError: no such luck" in text
    assert "wake-ups" in text
    assert "workload  " not in text


def test_pictures_are_drawn_beside_the_first(tmp_path: Path) -> None:
    """Curves and peers have a file each."""
    pytest.importorskip("matplotlib")
    plot_studies.draw_all(full_report(), tmp_path / "run.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["run-peers.png", "run-scaling.png"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_soak_has_all_troubles_and_leaves_nothing(backend: str) -> None:
    """Some rounds on the virtual clock end with nothing left behind, and with looks at memory."""
    looks = soak.play(backend, 8, real=False)
    assert len(looks) == 8
    assert min(looks) > 0


def test_a_soak_notices_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that is left behind fails a soak, and growing memory is told from flat."""
    left = iter([{"descriptors": 3}, {"descriptors": 4}])
    monkeypatch.setattr(soak, "left_over", lambda: next(left))
    with pytest.raises(messages.WrongResult, match="left behind"):
        soak.play("asyncio", 1, real=False)
    assert soak.growth([float(number) for number in range(100, 140)]) > soak.MOST_GROWTH

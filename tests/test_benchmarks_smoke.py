"""Keep the instrument honest: the benchmarks run, and what they print is what they measured.

The benchmarks themselves are no tests and live outside the default run; here they run on
sizes at which their numbers mean nothing, and only the machinery is looked at.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

from tests import benchmarks
from tests.benchmarks import __main__ as command
from tests.benchmarks import comparison, plot, report
from tests.benchmarks.catalog import WORKLOADS, select
from tests.benchmarks.figures import RATE, Metric, Unit
from tests.benchmarks.harness import Probe, Samples, Settings, Workload, measure
from tests.benchmarks.loops import Backend, installed
from tests.benchmarks.messages import check
from tests.benchmarks.results import Header, Report, Row
from tests.benchmarks.targets import TARGETS, TARGETS_ON, target_of

pytestmark = pytest.mark.once

TINY = Settings(rounds=2, divisor=10_000)
MODULES = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))


def row(
    *rates: float, backend: Backend = Backend.ASYNCIO, name: str = "tell", metric: Metric = RATE
) -> Row:
    """Make a row whose baseline is always 10."""
    return Row(name, metric, backend, 100, ours=rates, baseline=(10.0,) * len(rates))


def a_report(*rows: Row) -> Report:
    """Make a report of this process with the given rows."""
    return Report(Header.of_this_process(rounds=2, quick=True), rows)


def workload(ours: Probe, baseline: Probe) -> Workload:
    """Make a workload out of two programs."""
    return Workload(
        name="made up", summary="", metrics=(RATE,), size=100_000, ours=ours, baseline=baseline
    )


def test_tell_and_ask_are_measured_and_shown_on_every_installed_loop() -> None:
    """Each loop has a row for each workload, kept sample by sample and shown with its verdict."""
    measured = command.run_all(select(["tell", "ask"], quick=True), installed(), TINY, quick=True)
    assert measured.failures == ()
    assert [(each.workload, each.backend) for each in measured.rows] == [
        (name, backend) for name in ("tell", "ask") for backend in installed()
    ]
    for each in measured.rows:
        assert len(each.ours) == len(each.baseline) == TINY.rounds
        assert min(each.ours + each.baseline) > 0
    assert Report.from_json(measured.to_json()) == measured
    described, table = report.render(measured).split("\n\n")[:2]
    for word in ("CPython", "CPUs", "anyio", "trio", "uvloop", "UTC"):
        assert word in described
    head, *lines = table.splitlines()
    assert head.split()[:5] == ["workload", "backend", "ours", "baseline", "ratio"]
    for line, each in zip(lines, measured.rows, strict=True):
        assert line.startswith(each.label)
        assert line[head.index("backend") :].startswith(each.backend)
        assert "x" in line
        assert ("ok" in line) or ("miss" in line)


@pytest.mark.parametrize("text", ["[]", '{"format": 1}', '{"format": 0, "rows": []}', "no"])
def test_foreign_json_is_refused(text: str) -> None:
    """Anything other than a report raises ValueError, and no other error."""
    with pytest.raises(ValueError, match=r"report|Expecting value"):
        Report.from_json(text)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((10.0, 12.0), (20.0, 22.0), "better"),
        ((20.0, 22.0), (10.0, 12.0), "worse"),
        ((10.0, 20.0), (15.0, 25.0), "same"),
    ],
)
def test_compare_tells_change_from_chance(
    before: tuple[float, ...], after: tuple[float, ...], verdict: str
) -> None:
    """A row has changed only when the ranges of its ratios do not overlap."""
    (change,) = comparison.changes(a_report(row(*before)), a_report(row(*after)))
    assert change.verdict == verdict


def test_compare_names_rows_that_only_one_report_has() -> None:
    """A row without a counterpart is listed and not compared."""
    before = a_report(row(10.0), row(10.0, name="gone"))
    after = a_report(row(10.0), row(10.0, backend=Backend.TRIO))
    text = comparison.render(before, after)
    assert "only in A:\n  gone (asyncio)" in text
    assert "only in B:\n  tell (trio)" in text
    assert len(comparison.changes(before, after)) == 1


def test_less_is_better_for_costs() -> None:
    """Half the time is a ratio of two, for us and in a comparison."""
    cost = Metric("p50", Unit.MICROSECONDS)
    assert row(5.0, metric=cost).ratios == (2.0,)
    (change,) = comparison.changes(a_report(row(5.0, metric=cost)), a_report(row(2.5, metric=cost)))
    assert change.factor == 2.0


def test_sides_alternate() -> None:
    """Every other round begins with the other side."""
    order: list[str] = []

    def probe(name: str) -> Probe:
        def run(_backend: Backend, size: int) -> Samples:
            order.append(name)
            return (float(size),)

        return run

    measure(workload(probe("ours"), probe("raw")), [Backend.ASYNCIO], Settings(rounds=3))
    warm_up, rounds = order[:2], order[2:]
    assert warm_up == ["ours", "raw"]
    assert rounds == ["ours", "raw", "raw", "ours", "ours", "raw"]


def test_wrong_result_fails_the_workload_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A program whose check fails has no rows, a line that says why, and exit code 1."""

    def wrong(_backend: Backend, size: int) -> Samples:
        check("total", expected=size, found=size - 1)
        return (1.0,)

    def right(_backend: Backend, size: int) -> Samples:
        return (float(size),)

    chosen = [workload(wrong, right), workload(right, right)]
    found = command.run_all(chosen, [Backend.ASYNCIO], TINY, quick=True)
    assert len(found.rows) == 1
    assert "total: expected 10, found 9" in report.render(found)
    assert "FAILED made up on asyncio (ours)" in report.render(found)
    assert "WrongResult" in capsys.readouterr().err


def test_every_target_belongs_to_a_row() -> None:
    """No target is lost by a misspelled label, and no two workloads have one name."""
    labels = {
        f"{each.name} {metric.name}".rstrip() for each in WORKLOADS for metric in each.metrics
    }
    assert len({each.name for each in WORKLOADS}) == len(WORKLOADS)
    for issue, targets in TARGETS.items():
        assert set(targets) <= labels, issue
    assert {label for _, label, _ in TARGETS_ON} <= labels


def test_targets_of_both_issues_are_kept() -> None:
    """The same row is judged by the issue that is asked for, and on trio by trio's own target."""
    fast, slow = row(15.0), row(15.0, backend=Backend.TRIO)
    for issue, text in ((2, ">= 1x"), (3, ">= 2x")):
        target = target_of(fast, issue)
        assert target is not None
        assert target.text == text
    bound = target_of(slow, 3)
    assert bound is not None
    assert bound.verdict(slow) == "ok"
    assert "targets of issue 2" in report.render(
        Report(Header.of_this_process(rounds=1, quick=True, targets=2), (fast,))
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "aks"], "no workload begins with 'aks'; there are tell, "),
        (["--rounds", "0"], "0 is not a positive number"),
        (["--backend", "curio"], "curio"),
        (["--targets", "4"], "4"),
        (["--peers", "celery"], "no peer begins with 'celery'; there are super-visor, "),
        (["--peers", "--peer-cache", "tests/cache"], "no place inside the repository"),
        (["--skip-workloads"], "name a study"),
    ],
)
def test_wrong_command_lines_leave_with_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name, a number or a backend that does not exist is named in the error."""
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_command_line_compares_two_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--compare` measures nothing; it prints both ratios, and leaves with 2 without a file."""
    files = tmp_path / "before.json", tmp_path / "after.json"
    for file, rate in zip(files, (10.0, 30.0), strict=True):
        file.write_text(a_report(row(rate)).to_json())
    assert command.main(["--compare", *map(str, files)]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.split()[:2] == ["tell", "asyncio"]
    assert line.split()[-4:] == ["1.00x", "3.00x", "3.00x", "better"]
    assert command.main(["--compare", "nowhere.json", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_plot_without_matplotlib_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the package, and comes before anything is measured."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(plot.PlotUnavailable, match="pip install matplotlib"):
        plot.draw(a_report(row(10.0)), tmp_path / "plot.png")
    assert command.main(["--plot", str(tmp_path / "plot.png"), "--only", "memory_100k"]) == 2


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    """Each module of the benchmarks opens with an example that is true."""
    module = importlib.import_module(f"{benchmarks.__name__}.{name}")
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried > 0
    assert failed == 0

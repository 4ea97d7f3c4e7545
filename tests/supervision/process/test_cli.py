"""Tests of the console command: its output, its one line for bad input, its exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import supervision
from supervision.process.cli import main

ROOT = Path(__file__).parents[3]

MODULE = """
from supervision import ChildSpec, SupervisorSpec
from actors import task

async def work(shutdown): ...

def make():
    return SupervisorSpec("shop_of_cli", [
        ChildSpec("job", task(work), restart="transient", significant=True)
    ], auto_shutdown="any_significant")

tree = make()

def interrupted(): raise KeyboardInterrupt
"""

DRAWN = """\
shop_of_cli  one_for_one  permanent  shutdown infinity  3 restarts in 5 s, \
auto shutdown any_significant
`- job       worker       transient  shutdown 5 s       significant
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "shop_of_cli", raising=False)
    (tmp_path / "shop_of_cli.py").write_text(MODULE)


def test_tree_prints_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    """`super-visor tree` draws the tree on standard output and ends with 0."""
    assert main(["tree", "shop_of_cli.py:tree"]) == 0
    assert capsys.readouterr() == (DRAWN, "")


@pytest.mark.parametrize(
    ("target", "options", "asked"),
    [
        ("shop_of_cli:tree", "", ("asyncio", 30.0, 1.0, None)),
        (
            "shop_of_cli.py:make",
            "--backend trio --grace 2.5 --stall-after 0.5 --abort-after 60",
            ("trio", 2.5, 0.5, 60.0),
        ),
        ("shop_of_cli:tree", "--stall-after 0", ("asyncio", 30.0, None, None)),
    ],
)
def test_run_leaves_with_the_code_of_the_tree(
    target: str, options: str, asked: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`super-visor run` hands the tree and its options to `run`, which leaves the process."""

    def run(tree: supervision.SupervisorSpec, **options: object) -> None:
        assert tree.id == "shop_of_cli"
        assert list(options) == ["backend", "grace", "stall_after", "abort_after"]
        assert tuple(options.values()) == asked
        sys.exit(17)

    monkeypatch.setattr("supervision.process.runner.run", run)
    with pytest.raises(SystemExit) as caught:
        main(["run", target, *options.split()])
    assert caught.value.code == 17


RUN = ["run", "shop_of_cli:tree"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "shop_of_cli:tee"], "super-visor: shop_of_cli has no attribute 'tee'"),
        (["tree", "nowhere.py:tree"], "super-visor: there is no file nowhere.py"),
        ([*RUN, "--grace", "-1"], "super-visor: grace is a number of seconds >= 0, not -1.0"),
        (
            [*RUN, "--stall-after", "-1"],
            "super-visor: stall_after is a number of seconds > 0, or None, not -1.0",
        ),
        (
            [*RUN, "--abort-after", "0.5"],
            "super-visor: abort_after is at least stall_after, 1.0, not 0.5",
        ),
        (
            [*RUN, "--stall-after", "0", "--abort-after", "5"],
            "super-visor: abort_after is at least stall_after, None, not 5.0",
        ),
    ],
)
def test_what_cannot_be_run_has_one_line_and_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input is one line on standard error, and exit code 2."""
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ([], "super-visor: the following arguments are required: COMMAND"),
        (["run"], "super-visor run: the following arguments are required: TARGET"),
        (["stop", "x:y"], "super-visor: argument COMMAND: invalid choice: 'stop'"),
        (["run", "x:y", "--grace", "soon"], "super-visor run: argument --grace: invalid float"),
        (["run", "x:y", "--backend", "curio"], "super-visor run: argument --backend: invalid"),
        (["run", "x:y", "--force"], "super-visor: unrecognized arguments: --force"),
    ],
)
def test_wrong_arguments_have_one_line_and_code_2(
    arguments: list[str], start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that cannot be understood are one line, too, which names the help."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, error = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert error.startswith(start)
    assert error.endswith(" --help\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize("backend", ["trio", "uvloop"])
def test_a_backend_that_is_not_installed_says_what_to_install(
    backend: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each backend is an extra; one that is missing is named, with exit code 2."""
    monkeypatch.setitem(sys.modules, backend, None)  # how Python marks what cannot be imported
    assert main(["run", "shop_of_cli:tree", "--backend", backend]) == 2
    line = f"backend '{backend}' is not installed; install super-visor[{backend}]"
    assert capsys.readouterr() == ("", f"super-visor: {line}\n")


@pytest.mark.parametrize("command", ["run", "tree"])
def test_an_interrupt_while_loading_is_no_traceback(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while the target is imported ends the command silently with 130."""
    assert main([command, "shop_of_cli:interrupted"]) == 130
    assert capsys.readouterr() == ("", "")


def test_help_names_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    """The help tells what there is, with defaults."""
    with pytest.raises(SystemExit) as caught:
        main(["run", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "package.module:attribute or path/file.py:attribute" in text
    assert "the event loop (default: asyncio)" in text
    assert "how long stopping may take (default: 30)" in text


def _command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,  # type: ignore[call-overload]
    )


SCRIPT = "import sys; from supervision.__main__ import main; sys.exit(main())"
"""What a script that is installed for `supervision.__main__:main` does."""


@pytest.mark.real_time
@pytest.mark.parametrize("start", [["-m", "supervision"], ["-c", SCRIPT]])
def test_the_module_is_the_console_command(start: list[str]) -> None:
    """`python -m supervision` does what the installed command does, to the letter."""
    shown = _command(*start, "tree", "shop_of_cli.py:tree")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, DRAWN, "")
    refused = _command(*start, "run", "nowhere:tree")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "super-visor: cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'\n"
    )


@pytest.mark.real_time
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    """`super-visor tree ... | head` ends without a complaint when the pipe is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-m", "supervision", "tree", "shop_of_cli.py:tree"],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    os.close(writing)
    _, complaint = process.communicate(timeout=30)
    assert (process.returncode, complaint) == (0, b"")


LEAN = """
import sys, types
# The room alone, whatever the door of the package loads.
package = sys.modules["supervision"] = types.ModuleType("supervision")
package.__path__ = [sys.argv.pop()]
from supervision.process import main
try:
    main(["--help"])
finally:
    print({"actors.system", "anyio", "attrs", "loguru", "supervision.specs"} & set(sys.modules))
"""


def test_help_loads_no_engine() -> None:
    """The arguments are understood before anything that is needed to run a tree is loaded."""
    done = subprocess.run(
        [sys.executable, "-c", LEAN, str(ROOT / "supervision")],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: super-visor")
    assert done.stdout.endswith("set()\n")


SLOW = """
import os, pathlib, time
pathlib.Path("importing").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("first", [False, True])
def test_a_signal_during_the_import_is_obeyed(tmp_path: Path, first: bool) -> None:
    """A process that imports its target ends at SIGTERM, also as the first of a container."""
    as_first = ["unshare", "-pf", "--mount-proc"]
    if first and subprocess.run([*as_first, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs to be root, and Linux")
    (tmp_path / "slow.py").write_text(SLOW)
    outer = subprocess.Popen(
        [*(as_first if first else ()), sys.executable, "-m", "supervision", "run", "slow:tree"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # Ignored by whoever starts it: that must not keep it from ending.
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    )
    pid = outer.pid
    while not (tmp_path / "importing").exists():
        assert outer.poll() is None
        time.sleep(0.01)
    if first:
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGTERM)
    assert outer.wait(5) == (128 + signal.SIGTERM if first else -signal.SIGTERM)

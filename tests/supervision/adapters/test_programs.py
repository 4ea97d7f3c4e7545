"""Tests of `subprocess`: how a program starts, what it says, and how its exit is told."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors import Crashed, Normal, Shutdown
from supervision import ChildSpec, SpecError, SupervisorSpec, serve, subprocess
from supervision.adapters.pipes import LONGEST_LINE
from supervision.errors import ProcessFailed
from supervision.events import LogLines, ProcessOutput
from tests.supervision.programs import (
    FOREVER,
    failure,
    no_processes_left,
    open_files,
    programs,
    python,
)

__all__ = ["no_processes_left"]

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_processes_left")]


# -- its exit is the child's exit ------------------------------------------------------------------


@pytest.mark.core
async def test_exit_code_0_is_a_normal_exit() -> None:
    """A program that ends well ends its child well."""
    async with programs() as run:
        assert await run.run("say('hello')") == Normal()
        assert run.said == ["hello"]


@pytest.mark.core
async def test_another_exit_code_is_a_crash() -> None:
    """The crash tells the command, the exit code and the last lines of standard error."""
    async with programs() as run:
        code = "say('out'); [print('error', i, file=sys.stderr) for i in range(15)]; sys.exit(3)"
        error = failure(await run.run(code))
    assert error.returncode == 3
    assert error.argv == tuple(python(code))
    assert error.last_lines == tuple(f"error {i}" for i in range(5, 15))
    assert str(error) == f"{sys.executable} ended with exit code 3: error 14"


@pytest.mark.core
async def test_an_end_by_a_signal_is_a_crash() -> None:
    """A program that somebody else kills crashes its child, and the text names the signal."""
    async with programs() as run:
        error = failure(await run.run("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"))
    assert error.returncode == -signal.SIGTERM
    assert str(error) == f"{sys.executable} was ended by SIGTERM"


async def test_it_is_restarted_like_any_other_child(tmp_path: Path) -> None:
    """A supervisor restarts a program that failed, and stops the one that runs."""
    code = """
if os.path.exists('crashed'):
    say('second'); time.sleep(60)
open('crashed', 'w').close()
sys.exit(1)
"""
    lines: list[str] = []
    second = anyio.Event()

    def hear(event: object) -> None:
        if isinstance(event, ProcessOutput):
            lines.append(event.line)
            second.set()

    program = subprocess(python(code), cwd=tmp_path)
    tree = SupervisorSpec("top", [ChildSpec("program", program, restart="transient")])
    async with serve(tree, observe=[hear]) as app:
        await second.wait()
        assert app.find("program").is_alive
    assert lines == ["second"]


# -- the start -------------------------------------------------------------------------------------


@pytest.mark.core
async def test_a_missing_program_is_a_failed_start() -> None:
    """The error of the start names the program, and holds what the system said."""
    async with programs() as run:
        with pytest.raises(Exception, match="could not be started") as caught:
            await run.system.spawn(subprocess(["/nowhere/at-all", "--password=secret"]))
        error = caught.value.__cause__
        assert isinstance(error, ProcessFailed)
        assert error.returncode is None
        assert isinstance(error.__cause__, FileNotFoundError)
        assert str(error).startswith("/nowhere/at-all could not be started: ")
        assert "secret" not in str(error)


async def test_a_file_that_is_no_program_is_a_failed_start(tmp_path: Path) -> None:
    """What the system does not run is a failed start."""
    path = tmp_path / "text"
    path.write_text("no program")
    async with programs() as run:
        with pytest.raises(Exception, match="could not be started"):
            await run.system.spawn(subprocess([path]))


async def test_a_missing_folder_is_a_failed_start() -> None:
    """A working directory that is not there is a failed start."""
    async with programs() as run:
        assert "could not be started" in str(await run.fail_to_start("", cwd="/nowhere"))


@pytest.mark.core
async def test_the_start_waits_for_the_ready_line() -> None:
    """With `ready` the start is over at the line that it accepts; it is not asked again."""
    asked: list[str] = []

    def is_ready(line: str) -> bool:
        asked.append(line)
        return line == "listening"

    async with programs() as run:
        code = "say('one'); say('listening'); say('two'); sys.exit(0)"
        assert await run.run(code, ready=is_ready) == Normal()
        assert run.said == ["one", "listening", "two"]
    assert asked == ["one", "listening"]


async def test_the_ready_line_may_come_on_standard_error() -> None:
    """Many programs say there that they are ready."""
    async with programs() as run:
        code = "print('up', file=sys.stderr, flush=True); time.sleep(60)"
        ref = await run.spawn(code, ready=lambda line: line == "up")
        assert await ref.shutdown() == Shutdown()


@pytest.mark.parametrize("code", [0, 1])
async def test_ending_before_it_is_ready_is_a_failed_start(code: int) -> None:
    """Whatever its exit code: it did not get ready."""
    async with programs() as run:
        error = await run.fail_to_start(
            f"print('no port', file=sys.stderr); sys.exit({code})", ready=lambda line: False
        )
        cause = error.__cause__
        assert isinstance(cause, ProcessFailed)
        assert cause.returncode == code
        assert str(cause).endswith(f"ended with exit code {code} before it was ready: no port")


async def test_a_start_that_takes_too_long_kills_the_program() -> None:
    """Past its `start_timeout` the program is killed, and gone when the start has failed."""
    async with programs() as run:
        error = await run.fail_to_start(
            "say('pid', os.getpid()); time.sleep(60)", ready=lambda line: False, timeout=0.2
        )
        assert isinstance(error.__cause__, TimeoutError)
        assert run.left_at_end == []


async def test_an_error_in_ready_is_a_failed_start() -> None:
    """What the predicate raises is why the start failed; the program is killed."""

    def broken(line: str) -> bool:
        raise ValueError(line)

    async with programs() as run:
        error = await run.fail_to_start("say('pid', os.getpid()); time.sleep(60)", ready=broken)
        assert isinstance(error.__cause__, ValueError)
        assert run.left_at_end == []


# -- what it is given ------------------------------------------------------------------------------


async def test_environment_and_folder(tmp_path: Path) -> None:
    """`env` is all of the environment, and `cwd` where it runs; both are inherited by default."""
    code = "say(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd())"
    async with programs() as run:
        assert await run.run(code, env={"B": "2", "A": "1"}, cwd=tmp_path) == Normal()
        assert await run.run("say(os.getcwd())") == Normal()
        assert run.said == [f"['A', 'B'] {tmp_path}", os.getcwd()]


async def test_its_standard_input_is_empty() -> None:
    """A program that reads its input does not hang."""
    async with programs() as run:
        assert await run.run("say(repr(sys.stdin.read()))") == Normal()
        assert run.said == ["''"]


async def test_it_has_a_session_of_its_own() -> None:
    """It leads a session and a process group, so a Ctrl-C in the terminal does not reach it."""
    async with programs() as run:
        await run.run("say(os.getpid() == os.getpgid(0) == os.getsid(0))")
        assert run.said == ["True"]


async def test_it_inherits_no_files() -> None:
    """A program has standard input, output and error, and nothing that is open here."""
    async with programs() as run:
        code = """
def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
say([fd for fd in range(100) if is_open(fd)])
"""
        await run.run(code)
        assert run.said == ["[0, 1, 2]"]


# -- what it says ----------------------------------------------------------------------------------


@pytest.mark.core
async def test_each_line_is_an_event() -> None:
    """Lines of both streams are told in their order, also one without an end."""
    async with programs() as run:
        ref = await run.spawn("say('a'); say('b'); sys.stdout.write('c')")
        await ref.wait()
        assert run.said == ["a", "b", "c"]
        assert run.recorder.events[0] == ProcessOutput(ref, "stdout", "a")
        await run.run("sys.stderr.write('d')")
        assert run.said[3:] == ["stderr: d"]


async def test_garbage_is_no_danger() -> None:
    """Bytes that are no text, and lines without end, are told in bounded pieces."""
    async with programs() as run:
        code = "sys.stdout.buffer.write(bytes(range(256)) + b'x' * 100_000 + b'\\nend')"
        assert await run.run(code) == Normal()
    assert run.said[0] == "".join(map(chr, range(10)))
    assert run.said[-1] == "end"
    assert all(len(line) <= LONGEST_LINE for line in run.said)
    assert "".join(run.said).count("x") == 100_000 + run.said[1].count("\\x") + 1
    assert "\\xff" in "".join(run.said)


@pytest.mark.core
async def test_a_flood_is_told_to_the_last_line() -> None:
    """What a program writes is told completely before its end, however much it is."""
    async with programs() as run:
        assert await run.run("[print(i) for i in range(20_000)]") == Normal()
        assert run.said == [str(i) for i in range(20_000)]


async def test_output_can_be_inherited(capfd: pytest.CaptureFixture[str]) -> None:
    """With "inherit" the output goes where that of this process goes."""
    async with programs() as run:
        code = "say('out'); print('err', file=sys.stderr)"
        assert await run.run(code, output="inherit") == Normal()
        assert run.said == []
    assert capfd.readouterr() == ("out\n", "err\n")


async def test_output_can_be_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    """With "discard" the output goes nowhere, and a crash has no last lines."""
    async with programs() as run:
        code = "say('out'); print('err', file=sys.stderr); sys.exit(1)"
        assert failure(await run.run(code, output="discard")).last_lines == ()
        assert run.said == []
    assert capfd.readouterr() == ("", "")


async def test_it_may_close_its_output() -> None:
    """A program that closes its output, as daemons do, runs on."""
    async with programs() as run:
        code = "say('closing'); os.close(1); os.close(2); time.sleep(0.02); os._exit(7)"
        assert failure(await run.run(code)).returncode == 7
        assert run.said == ["closing"]


async def test_the_log_has_its_lines() -> None:
    """Each line is a log line; control characters are shown, not obeyed; a crash tells the last."""
    lines: list[tuple[str, str, str]] = []
    async with programs() as run:
        run.system.events.subscribe(LogLines(lambda *line: lines.append(line)))
        code = "say('\\x1b[2Jhello {x}'); print('\\x07bad', file=sys.stderr); sys.exit(2)"
        await run.run(code)
    start, *output, end = lines
    assert start == ("INFO", "/p0", "started")
    assert sorted(output) == [
        ("INFO", "/p0", "stderr: \\x07bad"),
        ("INFO", "/p0", "stdout: \\x1b[2Jhello {x}"),
    ]
    assert end[:2] == ("ERROR", "/p0")
    assert f"ProcessFailed: {sys.executable} ended with exit code 2: \\x07bad" in end[2]


# -- nothing leaks ---------------------------------------------------------------------------------


async def test_no_file_is_left_open() -> None:
    """After many starts and ends, good and bad ones, as many files are open as before."""
    async with programs() as run:
        await run.run("")
        before = open_files()
        for _ in range(3):
            await run.run("say('x')")
            await run.fail_to_start("", cwd="/nowhere")
            ref = await run.spawn(FOREVER)
            ref.kill()
            await ref.wait()
        assert open_files() == before


async def test_a_running_program_costs_few_files() -> None:
    """While a program runs, the ends of the pipes that are its own are not open here."""
    async with programs() as run:
        await run.run("")
        before = len(open_files())
        ref = await run.spawn(FOREVER)
        await run.wait_for("ready")
        assert len(open_files()) <= before + 3  # two pipes, and maybe one of the loop
        ref.kill()
        await ref.wait()


# -- at the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", ["ls -l", b"ls", [], (), None, 5, ["ls", 5], ["a\0b"], {"ls"}])
def test_bad_commands_are_refused(argv: Any) -> None:
    """A command is a list of texts; one text is refused, as it would mean a shell."""
    with pytest.raises(TypeError, match="subprocess: "):
        subprocess(argv)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"output": "log"}, "output: 'log'"),
        ({"stop_signal": 0}, "stop_signal: 0"),
        ({"stop_signal": 9}, "stop_signal: "),
        ({"stop_signal": 999}, "stop_signal: 999"),
        ({"stop_signal": "TERM"}, "stop_signal: 'TERM'"),
        ({"stop_group": 1}, "stop_group: 1"),
        ({"ready": bool, "output": "discard"}, "ready: "),
    ],
)
def test_bad_options_are_refused(options: Any, text: str) -> None:
    """An option that cannot be meant is refused where it is given, with its name."""
    with pytest.raises(SpecError, match=f"^subprocess: {text}"):
        subprocess(["ls"], **options)


def test_a_predicate_is_a_function() -> None:
    """`ready` is called with a line."""
    wrong: Any = "listening"
    with pytest.raises(TypeError, match="ready is a function"):
        subprocess(["ls"], ready=wrong)


def test_windows_is_told_that_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no process groups the factory says so at once."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NotImplementedError, match="POSIX"):
        subprocess(["ls"])


def test_factories_are_values() -> None:
    """Factories with the same options are equal, and print neither arguments nor environment."""
    one = subprocess([Path("/bin/ls"), "-l"], env={"B": "2", "A": "1"})
    two = subprocess(("/bin/ls", "-l"), env={"A": "1", "B": "2"})
    assert one == two
    assert len({one, two}) == 1
    assert one != subprocess(["/bin/ls", "-l"])
    assert subprocess(["ls"]) == subprocess(["ls"], stop_signal=15) != one
    assert subprocess(["ls"], stop_signal=40) != subprocess(["ls"])
    assert repr(ChildSpec("x", one)) == "ChildSpec('x', subprocess(['/bin/ls', ...]))"
    assert repr(subprocess(["ls"])) == "subprocess(['ls'])"


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        (ProcessFailed(["ls"], None, problem="no file"), "ls could not be started: no file"),
        (ProcessFailed(["ls", "x"], 0, problem="too soon"), "ls ended with exit code 0 too soon"),
        (ProcessFailed(["ls"], -11, ["a", "b", " "]), "ls was ended by SIGSEGV: b"),
        (ProcessFailed(["ls"], -99), "ls was ended by signal 99"),
        (ProcessFailed(["two\nlines"], 1, ["x"]), "two lines ended with exit code 1: x"),
    ],
)
def test_a_failure_has_one_line(failed: ProcessFailed, text: str) -> None:
    """The text of a failure is one line that names the program and how it ended."""
    assert str(failed) == text
    assert isinstance(Crashed(failed).error, ProcessFailed)

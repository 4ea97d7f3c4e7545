"""Tests of `subprocess`: how a program starts, what it says, and how its exit is told."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from actors import Crashed, Normal, Shutdown
from supervision import ChildSpec, SpecError, subprocess
from supervision.adapters.pipes import LONGEST_LINE
from supervision.errors import ProcessFailed
from supervision.events import LogLines, ProcessOutput
from tests.kit.programs import FOREVER, failure, no_processes_left, open_files, programs, python

__all__ = ["no_processes_left"]

pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_processes_left")]


# -- its exit is the child's exit ------------------------------------------------------------------


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


async def test_what_cannot_be_run_is_a_failed_start(tmp_path: Path) -> None:
    """A working directory that is not there, or a file that is no program, is a failed start."""
    path = tmp_path / "text"
    path.write_text("no program")
    async with programs() as run:
        assert "could not be started" in str(await run.fail_to_start("", cwd="/nowhere"))
        with pytest.raises(Exception, match="could not be started"):
            await run.system.spawn(subprocess([path]))


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


@pytest.mark.parametrize(
    ("error", "timeout"), [(TimeoutError, 0.2), (ValueError, None)], ids=["too long", "an error"]
)
async def test_a_start_that_fails_kills_the_program(
    error: type[Exception], timeout: float | None
) -> None:
    """Past its `start_timeout`, or when `ready` raises, the program is killed and gone."""

    def ready(line: str) -> bool:
        if timeout is None:
            raise ValueError(line)
        return False

    async with programs() as run:
        code = "say('pid', os.getpid()); time.sleep(60)"
        failed = await run.fail_to_start(code, ready=ready, timeout=timeout)
        assert isinstance(failed.__cause__, error)
        assert run.left_at_end == []


# -- what it is given ------------------------------------------------------------------------------


async def test_environment_and_folder(tmp_path: Path) -> None:
    """`env` is all of the environment, and `cwd` where it runs; both are inherited by default."""
    code = "say(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd())"
    async with programs() as run:
        assert await run.run(code, env={"B": "2", "A": "1"}, cwd=tmp_path) == Normal()
        assert await run.run("say(os.getcwd())") == Normal()
        assert run.said == [f"['A', 'B'] {tmp_path}", os.getcwd()]


async def test_it_inherits_nothing_else() -> None:
    """It has an empty standard input, no open file of this process, and a session of its own."""
    async with programs() as run:
        code = """
def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
say([fd for fd in range(100) if is_open(fd)], repr(sys.stdin.read()))
say(os.getpid() == os.getpgid(0) == os.getsid(0))  # so a Ctrl-C does not reach it
"""
        assert await run.run(code) == Normal()
        assert run.said == ["[0, 1, 2] ''", "True"]


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


@pytest.mark.parametrize("output", ["inherit", "discard"])
async def test_output_can_go_elsewhere(output: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It can go where that of this process goes, or nowhere; a crash has no last lines then."""
    async with programs() as run:
        code = "say('out'); print('err', file=sys.stderr); sys.exit(1)"
        assert failure(await run.run(code, output=output)).last_lines == ()
        assert run.said == []
    assert capfd.readouterr() == (("out\n", "err\n") if output == "inherit" else ("", ""))


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
    """A running program costs two pipes, and after good and bad starts and ends none is left."""
    async with programs() as run:
        await run.run("")
        before = open_files()
        for _ in range(3):
            await run.run("say('x')")
            await run.fail_to_start("", cwd="/nowhere")
            ref = await run.spawn(FOREVER)
            assert len(open_files()) <= len(before) + 3  # two pipes, and maybe one of the loop
            ref.kill()
            await ref.wait()
        assert open_files() == before


# -- at the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", ["ls -l", b"ls", [], None, ["ls", 5], ["a\0b"], {"ls"}])
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


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ready` is a function, and where there are no process groups there are no programs."""
    wrong: Any = "listening"
    with pytest.raises(TypeError, match="ready is a function"):
        subprocess(["ls"], ready=wrong)
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

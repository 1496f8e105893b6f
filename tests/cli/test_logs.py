"""`logs`: the end of the log, what is said of a task, and following it as it grows and is rotated."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from jarvis_trio.process import logs
from tests.support.cli_world import Cli, Program
from tests.support.core_fakes import PATIENCE, finish

LINES = ["2026-03-02 09:00:00+0000 INFO  event " + str(number) for number in range(30)]


@pytest.fixture
def log(cli: Cli) -> Path:
    return cli.data / "jarvis-daemon.log"


def write(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def record(path: Path, message: str, *arguments: object, json_lines: bool = False, **extra: object) -> None:
    """Log an event as the daemon does."""
    with logs.logging_to(path, zone=lambda: UTC, stderr=None, json_lines=json_lines):
        logging.getLogger("jarvis_trio.test").info(message, *arguments, extra=extra)


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    raises = logging.raiseExceptions
    yield
    logging.raiseExceptions = raises


def test_the_last_lines_are_shown(cli: Cli, log: Path) -> None:
    write(log, *LINES)
    assert cli.ok("logs").splitlines() == LINES[-20:]
    assert cli.ok("logs", "--lines", "3").splitlines() == LINES[-3:]
    assert cli.ok("logs", "-n", "0") == ""
    assert cli.ok("logs", "-n", "99").splitlines() == LINES
    assert cli.ok("logs", "-n", str(2**64)).splitlines() == LINES


def test_lines_of_files_that_were_rotated_away_come_before(cli: Cli, log: Path) -> None:
    write(log.with_name(f"{log.name}.2"), *LINES[:10])
    write(log.with_name(f"{log.name}.1"), *LINES[10:20])
    write(log, *LINES[20:])
    assert cli.ok("logs", "-n", "5").splitlines() == LINES[-5:]
    assert cli.ok("logs", "-n", "13").splitlines() == LINES[-13:]
    assert cli.ok("logs", "-n", "99").splitlines() == LINES


def test_a_log_that_is_missing_is_one_line(cli: Cli, log: Path) -> None:
    for options in ([], ["-f"], ["--task", "backup"]):
        said = cli.fails("logs", *options)
        assert said == f"jarvis-trio: there is no log yet at {log}; the daemon writes it: jarvis-trio run\n"


def test_a_log_that_cannot_be_read_is_one_line(cli: Cli, log: Path) -> None:
    log.mkdir()
    assert "cannot read the log" in cli.fails("logs")


@pytest.mark.parametrize("json_lines", [False, True])
def test_of_a_task_only_its_own_lines_are_shown(cli: Cli, log: Path, json_lines: bool) -> None:
    record(log, "Tick: 1 evaluated", json_lines=json_lines)
    record(log, "Task %r ended as error", "backup", task="backup", json_lines=json_lines)
    record(log, "connecting", task="backup", json_lines=json_lines)
    record(log, "connecting", task="backup of all", json_lines=json_lines)
    record(log, "The message of task %r is given up", "backup", json_lines=json_lines)
    shown = cli.ok("logs", "--task", "backup").splitlines()
    texts = [json.loads(line)["message"] if json_lines else line.split("INFO  ")[1] for line in shown]
    assert [text.removeprefix("Task 'backup': ") for text in texts] == [
        "Task 'backup' ended as error",
        "connecting",
        "The message of task 'backup' is given up",
    ]


def test_what_is_indented_belongs_to_the_line_above(cli: Cli, log: Path) -> None:
    write(log, LINES[0], "    Traceback of another", "2026 ERROR Task 'backup' broke")
    write(log, "    Traceback", "    File", LINES[1])
    assert cli.ok("logs", "--task", "backup").splitlines()[1:] == ["    Traceback", "    File"]


@pytest.mark.parametrize("json_lines", [False, True])
def test_a_task_with_an_odd_name_is_found(cli: Cli, log: Path, json_lines: bool) -> None:
    name = "it's\x1b[31m a\nname"
    record(log, "Task %r ended", name, json_lines=json_lines)
    assert cli.ok("logs", "--task", name).count("\n") == 1


def test_that_nothing_is_said_of_a_task_is_told_on_stderr(cli: Cli, log: Path) -> None:
    write(log, *LINES)
    done = cli("logs", "--task", "backup")
    assert (done.code, done.out, done.err) == (0, "", "note: the log says nothing of 'backup'\n")


def test_a_line_that_only_looks_like_json_is_no_trouble(cli: Cli, log: Path) -> None:
    write(log, '{"task": "backup", "mess', '{"task": "backup", "message": "whole"}')
    assert cli.ok("logs", "--task", "backup").splitlines() == ['{"task": "backup", "message": "whole"}']


def test_no_control_character_of_the_log_reaches_the_terminal(cli: Cli, log: Path) -> None:
    log.write_bytes(b"2026 INFO  \x1b]0;owned\x07 \x9b2J \xff \xc2\x9b \r hidden \xe2\x80\xae\n")
    out = cli.ok("logs")
    assert "owned" in out
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out) is None


@pytest.mark.slow
def test_warnings_and_errors_are_coloured_on_a_terminal_and_nowhere_else(program: Program) -> None:
    program("init")
    write(program.data / "jarvis-daemon.log", "2026 09 WARN  careful", "2026 09 INFO  all is well")
    assert "\x1b[33m2026 09 WARN  careful" in program.at_terminal("logs", TERM="xterm").out
    assert "\x1b" not in program.at_terminal("logs", TERM="xterm", NO_COLOR="1").out
    assert "\x1b" not in program("logs").out


class Follower:
    """`logs -f` in a process of its own; what it prints can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        try:
            return self._lines.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("no line came") from None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        finish(self._reader)
        assert self._lines.empty()
        return code


@pytest.mark.slow
def test_following_shows_what_comes_and_goes_on_after_a_rotation(program: Program) -> None:
    program("init")
    log = program.data / "jarvis-daemon.log"
    write(log, "first", "second")
    follower = Follower(program.start("logs", "-f", "-n", "1"))
    assert follower.line() == "second"
    with log.open("a") as file:
        file.write("half a ")
        file.flush()
        file.write("line\n")
        file.flush()
        assert follower.line() == "half a line"
        log.rename(log.with_name(f"{log.name}.1"))
        file.write("the last of the old file\n")
    write(log, "the first of the new file")
    assert follower.line() == "the last of the old file"
    assert follower.line() == "the first of the new file"
    write(log, "the second", "the third")
    with log.open("a") as file:
        file.write("half a line that never")
    assert (follower.line(), follower.line()) == ("the second", "the third")
    log.write_bytes(b"")
    write(log, "after it was emptied")
    assert follower.line() == "after it was emptied"
    assert follower.stop() == 0


@pytest.mark.slow
def test_following_a_task_shows_its_lines_alone(program: Program) -> None:
    program("init")
    log = program.data / "jarvis-daemon.log"
    write(log, "2026 09 INFO  Task 'backup' was here")
    follower = Follower(program.start("logs", "-f", "--task", "backup"))
    assert follower.line().endswith("was here")
    write(log, "2026 09 INFO  Task 'other': no", "2026 09 INFO  Task 'backup': yes", "    and why")
    assert follower.line().endswith("yes")
    assert follower.line() == "    and why"
    assert follower.stop() == 0


def test_json_is_the_lines(log: Path, cli: Cli) -> None:
    record(log, "first", json_lines=False)
    record(log, "second", json_lines=False)
    assert [line.rpartition(" ")[2] for line in cli.json("logs", "-n", "2")] == ["first", "second"]
    assert "leave out --follow" in cli.fails("logs", "--json", "--follow", code=2)


def test_a_log_that_keeps_nothing_is_one_line(cli: Cli, log: Path) -> None:
    os.mkfifo(log)
    both_ends = os.open(log, os.O_RDWR | os.O_NONBLOCK)  # so that nobody waits for a writer
    assert f"cannot read the log {log}: it is not a plain file" in cli.fails("logs")
    os.close(both_ends)

"""`import --crontab` and `import --plist`: what moves in, what is told, and what stays as it is."""

from __future__ import annotations

import getpass
import io
import json
import os
import plistlib
import pty
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from jarvis_trio.cli import old_schedulers
from tests.support.cli_world import Cli, Program


@pytest.fixture
def crontab(cli: Cli) -> Path:
    path = cli.data.parent / "crontab"
    path.write_text("# Say hello\n0 9 * * 1-5 echo hello\n@reboot echo up\n0 9 13 * 5 echo a | cat\n")
    return path


def test_lines_become_tasks_or_a_reason(cli: Cli, crontab: Path) -> None:
    lines = cli.ok("import", "--crontab", str(crontab), "--yes").splitlines()
    assert lines[:4] == [
        "line 2: 0 9 * * 1-5 echo hello",
        "    becomes echo",
        "line 3: @reboot echo up",
        "    not taken over: @reboot is not a time; start it at login by launchd or systemd, "
        "or let a task look whether it runs",
    ]
    assert lines[-2:] == ["3 of 3 tasks are to be added or changed.", "Done."]
    assert cli.names() == ["echo", "echo-2", "echo-3"]
    command = json.loads(cli.task("echo").handler_config or "")["command"]
    assert (Path(command[0]).name, Path(command[0]).is_absolute(), command[1:]) == ("echo", True, ["hello"])
    assert cli.task("echo").description == "Say hello"


def test_what_has_moved_in_changes_nothing_the_second_time(cli: Cli, crontab: Path) -> None:
    cli.ok("import", "--crontab", str(crontab), "--yes")
    before = [cli.task(name) for name in cli.names()]
    cli.clock.advance(minutes=1)
    assert cli.ok("import", "--crontab", str(crontab), "--yes").endswith("0 of 3 tasks are to be added or changed.\n")
    assert [cli.task(name) for name in cli.names()] == before


def test_a_task_of_that_name_stays_as_it_is(cli: Cli, crontab: Path) -> None:
    cli.ok("add", "echo", "--every", "5m", "--handler", "alert_eval")
    before = cli.task("echo")
    cli.ok("import", "--crontab", str(crontab), "--yes")
    assert cli.task("echo") == before
    assert cli.names() == ["echo", "echo-2", "echo-3", "echo-4"]


def test_a_dry_run_changes_nothing(cli: Cli, crontab: Path) -> None:
    assert "+ echo" in cli.ok("import", "--crontab", str(crontab), "--dry-run").splitlines()
    assert cli.names() == []


def test_a_line_with_a_pipe_is_the_same_as_add_with_a_shell(cli: Cli, crontab: Path) -> None:
    done = cli("import", "--crontab", str(crontab), "--yes")
    assert "no shell reads" not in done.err
    cli.ok("add", "same", "--every", "5m", "--shell", "echo a | cat")
    assert cli.task("echo-2").handler_config == cli.task("same").handler_config


@pytest.mark.law(9)
def test_law_9_nothing_is_approved_if_nobody_is_asked(cli: Cli, crontab: Path) -> None:
    assert "is not approved to run" in cli("import", "--crontab", str(crontab), "--yes").err


def test_a_program_that_is_not_there_is_a_reason(cli: Cli, crontab: Path) -> None:
    crontab.write_text("0 9 * * * /no/such/program\n0 9 * * * echo hello\n")
    assert "    not taken over: there is no program '/no/such/program'" in cli.ok(
        "import", "--crontab", str(crontab), "--dry-run"
    )


def test_a_crontab_comes_from_a_pipe_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"0 9 * * * echo hello\n0 9 * * * echo caf\xe9\n")))
    assert "it is not UTF-8: 'echo caf" in cli.ok("import", "--crontab", "-", "--yes")
    assert cli.names() == ["echo"]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "names"), [("y", ["echo"]), ("n", [])])
def test_after_a_pipe_the_answer_is_read_from_the_terminal(program: Program, answer: str, names: list[str]) -> None:
    program("init")
    before = {task["name"] for task in json.loads(program("list", "--json").out)}
    pipe = 'printf "0 9 * * * echo hello\\n" | "$0" -m jarvis_trio import --crontab -'
    said = in_a_session_of_a_terminal(["/bin/sh", "-c", pipe, sys.executable], program.environment, f"{answer}\n")
    assert "line 1: 0 9 * * * echo hello" in said
    after = {task["name"] for task in json.loads(program("list", "--json").out)}
    assert sorted(after - before) == names


def in_a_session_of_a_terminal(words: list[str], environment: dict[str, str], answer: str) -> str:
    """What a command says that has a terminal of its own, as in a window; stdin of a part of it may be a pipe."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], words, environment)
    shown = b""
    with open(terminal, "r+b", buffering=0) as ours, suppress(OSError):  # EIO: the other side is closed
        ours.write(answer.encode())
        while chunk := ours.read(65536):
            shown += chunk
    os.waitpid(pid, 0)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.skipif(not Path("/etc/crontab").exists(), reason="this system has no crontab of its own")
def test_the_systems_own_crontab_names_a_user_in_each_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc holds another one on each system, so its lines are ours."""
    user = getpass.getuser()
    real = old_schedulers.read_file
    lines = f"0 9 * * * {user} echo mine\n0 9 * * * somebody-else echo theirs\n".encode()
    monkeypatch.setattr(old_schedulers, "read_file", lambda name: lines if name == "/etc/crontab" else real(name))
    out = cli.ok("import", "--crontab", "/etc/crontab", "--yes")
    assert "somebody-else" in out
    assert [json.loads(cli.task(name).handler_config or "")["command"][1] for name in cli.names()] == ["mine"]


def test_a_remark_that_holds_for_several_lines_is_made_once(cli: Cli, crontab: Path) -> None:
    crontab.write_text("0 9 1 * 5 echo one\n0 9 2 * 5 echo two\n")
    out = cli.ok("import", "--crontab", str(crontab), "--dry-run")
    notes = [line for line in out.splitlines() if line.startswith("    note: ")]
    assert len(notes) == len(set(notes)) > 0


def test_agents_become_tasks(cli: Cli) -> None:
    for label in ("org.me.sync", "com.chg.jarvis-backup"):
        agent = {"Label": label, "ProgramArguments": ["/bin/echo", label], "StartInterval": 300}
        (cli.data.parent / f"{label}.plist").write_bytes(plistlib.dumps(agent))
    files = [str(path) for path in sorted(cli.data.parent.glob("*.plist"))]
    out = cli.ok("import", "--plist", *files, "--yes")
    assert "com.chg.jarvis-backup.plist: com.chg.jarvis-backup\n    not taken over:" in out
    assert cli.names() == ["sync"]
    assert cli.task("sync").schedule_config == '{"minutes": 5}'


@pytest.mark.parametrize(
    "arguments", [[], ["--plist"], ["--crontab", "x", "y"], ["x", "y"], ["--crontab", "x", "--plist"]]
)
def test_it_is_one_or_the_other(cli: Cli, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cli.data.parent)
    for name in ("x", "y"):
        Path(name).write_text("")
    assert cli("import", *arguments).code == 2


def test_json_stands_alone_and_tells_what_became_of_each_line(cli: Cli, crontab: Path) -> None:
    answer = json.loads(cli.ok("import", "--crontab", str(crontab), "--dry-run", "--json"))
    assert [(entry["place"], entry["tasks"]) for entry in answer["entries"]] == [
        ("line 2", ["echo"]),
        ("line 3", []),
        ("line 4", ["echo-2", "echo-3"]),
    ]
    assert [bool(entry["why_not"]) for entry in answer["entries"]] == [False, True, False]
    assert len(answer["changes"]) == answer["total"] == 3

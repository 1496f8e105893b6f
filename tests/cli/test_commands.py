"""What a person says of a command: variables, secrets, a folder, a shell; and what it wrote."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.cli_world import Cli, Program, eventually


def config(cli: Cli, *options: str) -> Any:
    """The configuration that `add` makes of options."""
    cli.ok("add", "job", "--every", "5m", *options)
    return json.loads(cli.task("job").handler_config or "")


@pytest.fixture
def here(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file `data.csv`, to be in; the home folder is another one."""
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "here" / "data.csv").touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


def test_variables_secrets_and_folder_are_stored_in_the_configuration(cli: Cli, tmp_path: Path) -> None:
    options = ["--env", "A=1", "--env", "B=x=y z", "--secret", "KEY", "--cwd", str(tmp_path)]
    stored = config(cli, *options, "--", "true", "--all")
    assert stored.pop("command")[1:] == ["--all"]
    assert stored == {"env": {"A": "1", "B": "x=y z"}, "secrets": ["KEY"], "cwd": str(tmp_path)}


def test_a_secret_that_is_not_set_yet_is_noted_and_the_task_added(cli: Cli) -> None:
    words = ("--every", "1d", "--secret", "A_KEY", "--", "true")
    done = cli("add", "first", *words)
    assert done.code == 0
    noted = "note: the command needs the secret A_KEY, which is not set; set it in "
    assert [line for line in done.err.splitlines() if line.startswith(noted)] != []

    secrets = cli.data / "secrets.env"
    secrets.write_text("A_KEY=hunter2\n")
    secrets.chmod(0o600)
    done = cli("add", "second", *words)
    assert "A_KEY" not in done.err
    assert cli.names() == ["first", "second"]


def test_they_are_shown_and_exported(cli: Cli, tmp_path: Path) -> None:
    config(cli, "--env", "B=x y", "--secret", "KEY", "--cwd", str(tmp_path), "--", "true")
    shown = cli.ok("show", "job")
    assert "variables: B='x y'" in " ".join(shown.split())
    assert "secrets: KEY" in " ".join(shown.split())
    assert f"folder: {tmp_path}" in " ".join(shown.split())
    assert "timeout: 5m (the default)" in " ".join(shown.split())
    assert 'B = "x y"' in cli.ok("export")


def test_what_was_exported_is_the_same_task_when_it_is_imported(cli: Cli, tmp_path: Path) -> None:
    before = config(cli, "--env", "B=x y", "--secret", "KEY", "--cwd", str(tmp_path), "--timeout", "none", "--", "true")
    (tmp_path / "tasks.toml").write_text(cli.ok("export"))
    cli.ok("remove", "job", "--yes")
    cli.ok("import", str(tmp_path / "tasks.toml"), "--yes")
    assert json.loads(cli.task("job").handler_config or "") == before
    assert "timeout: none" in " ".join(cli.ok("show", "job").split())


def test_edit_adds_to_them_and_takes_them_back(cli: Cli, tmp_path: Path) -> None:
    command = config(cli, "--env", "A=1", "--secret", "KEY", "--cwd", str(tmp_path), "--", "true")["command"]
    cli.ok("edit", "job", "--env", "B=2", "--secret", "OTHER")
    stored = json.loads(cli.task("job").handler_config or "")
    assert (stored["env"], stored["secrets"]) == ({"A": "1", "B": "2"}, ["KEY", "OTHER"])
    cli.ok("edit", "job", "--env", "none", "--secret", "none", "--cwd", "none")
    assert json.loads(cli.task("job").handler_config or "") == {"command": command}


def test_a_new_command_keeps_the_variables(cli: Cli) -> None:
    config(cli, "--env", "A=1", "--", "true")
    cli.ok("edit", "job", "--", "false")
    stored = json.loads(cli.task("job").handler_config or "")
    assert (Path(stored["command"][0]).name, stored["env"]) == ("false", {"A": "1"})


def test_a_text_for_the_shell_is_a_command_of_the_shell(cli: Cli) -> None:
    assert config(cli, "--shell", "ls | wc -l") == {"command": ["/bin/sh", "-c", "ls | wc -l"]}


def test_a_relative_folder_is_stored_as_an_absolute_one(cli: Cli, here: Path) -> None:
    assert config(cli, "--cwd", ".", "--", "true")["cwd"] == str(here)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "A", "--", "true"], "'A' is not NAME=VALUE"),
        (["--env", "1A=x", "--", "true"], "'1A' is not the name of a variable"),
        (["--env", "JARVIS_TASK=x", "--", "true"], "the variable JARVIS_TASK is set by the program itself"),
        (["--secret", "KEY=hunter22", "--", "true"], "the value of a secret does not belong here"),
        (["--env", "A=1", "--secret", "A", "--", "true"], "the variable A is in env and in secrets"),
        (["--cwd", "/no/such/folder", "--", "true"], "there is no folder '/no/such/folder'"),
        (["--shell", " "], "the text for the shell is empty"),
        (
            ["--", "true | cat"],
            "write its words apart: -- true | cat; or, if a shell is to read it: --shell 'true | cat'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(cli: Cli, options: list[str], message: str) -> None:
    done = cli("add", "job", "--every", "5m", *options)
    assert done.code in (1, 2)
    assert message in done.err
    assert "hunter22" not in done.err
    assert cli.names() == []


@pytest.mark.parametrize("operator", ["|", "&&", ">", "2>&1", ";"])
def test_a_word_that_only_a_shell_reads_is_noted_with_what_to_type(cli: Cli, operator: str) -> None:
    done = cli("add", "job", "--every", "5m", "--", "true", "a", operator, "cat")
    assert f"no shell reads this command, so {operator!r} is only a word to its program" in done.err
    assert f"true a {operator} cat'" in done.err


def test_a_file_that_is_here_and_not_in_the_commands_folder_is_noted(cli: Cli, here: Path) -> None:
    noted = "data.csv is a file here, but not in"
    for word in ("data.csv", "--file=data.csv"):
        assert noted in cli("add", word.strip("-"), "--every", "5m", "--", "true", word).err
    assert noted not in cli("add", "there", "--every", "5m", "--cwd", ".", "--", "true", "data.csv").err
    assert noted not in cli("add", "other", "--every", "5m", "--", "true", "other.csv").err


@pytest.mark.parametrize("words", [["tar", "--all", "x"], ["sleep", "5", "--timeout", "9"]])
def test_a_command_with_options_needs_the_dashes(cli: Cli, words: list[str]) -> None:
    assert "write -- before the command" in cli.fails("add", "job", "--every", "5m", *words, code=2)
    assert cli.names() == []


def test_no_time_limit_is_a_time_limit_of_none_and_the_default_comes_back(cli: Cli) -> None:
    config(cli, "--timeout", "none", "--", "true")
    assert "timeout: none" in " ".join(cli.ok("show", "job").split())
    cli.ok("edit", "job", "--timeout", "default")
    assert cli.task("job").policy is None


def test_the_default_time_limit_is_told(cli: Cli) -> None:
    said = cli.ok("add", "job", "--every", "5m", "--", "true")
    assert "Time limit: 5m (the default; --timeout sets another, or none)" in said
    assert "Time limit" not in cli.ok("add", "other", "--every", "5m", "--timeout", "1h", "--", "true")


def test_the_output_of_a_run_is_printed_by_its_number_and_by_its_task(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--shell", "echo one; echo two >&2; printf three")
    assert "has not run yet" in cli.fails("output", "job")
    cli.ok("allow", "--task", "job")
    cli.ok("run-now", "job")
    (run,) = cli.runs("job")
    assert cli.ok("output", "job") == cli.ok("output", str(run.id)) == "one\ntwo\nthree"
    assert cli.json("output", "job") == {
        "run": run.id, "task": "job", "status": "executed", "output": "one\ntwo\nthree",
    }  # fmt: skip
    assert f"jarvis-trio output {run.id}" in cli.ok("show", str(run.id))


def test_a_run_without_output_says_so(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    cli.ok("run-now", "job")
    assert "has no output" in cli.fails("output", "job")
    assert "no task is named 'nobody'" in cli.fails("output", "nobody")


def test_output_is_followed_or_printed_as_json_but_not_both(cli: Cli) -> None:
    assert "--json prints once; leave out --follow" in cli("output", "job", "--follow", "--json").err


@pytest.mark.slow
def test_to_a_terminal_no_output_acts_on_it(program: Program) -> None:
    program("init")
    hostile = r"printf 'a\tb\033[2Jc\n10%%\r20%%\nbad \377 byte\n\007end'"
    assert program.at_terminal("add", "job", "--every", "1h", "--shell", hostile).code == 0
    assert program("run-now", "job").code == 0
    assert json.loads(program("output", "job", "--json").out)["output"].startswith("a\tb\x1b[2Jc\n")
    assert program.at_terminal("output", "job").out == "a       bc\n20%\nbad \ufffd byte\n\\x07end\n"


@pytest.mark.slow
@pytest.mark.law(3)
def test_law_3_a_daemon_that_is_killed_leaves_what_was_written(program: Program) -> None:
    program("init")
    script = "echo so far; sleep 60"
    program("add", "job", "--every", "1d", "--shell", script)
    program("allow", "--task", "job")
    daemon = program.daemon()
    program.start("run-now", "job")
    follower = program.start("output", "job", "--follow") if eventually(lambda: runs_of(program)) else None
    assert follower is not None
    assert follower.stdout is not None
    assert follower.stdout.readline() == "so far\n"
    assert [run["status"] for run in runs_of(program)] == ["running"]
    os.kill(daemon.pid, 9)
    daemon.wait()
    assert program("output", "job").out == "so far\n"


def runs_of(program: Program) -> Any:
    return json.loads(program("history", "job", "--json").out)


@pytest.mark.slow
def test_a_command_that_was_changed_behind_its_back_does_not_run(program: Program) -> None:
    program("init")
    marker = program.data.parent / "made"
    assert program.at_terminal("add", "job", "--every", "1h", "--", "echo", "good").code == 0
    with closing(sqlite3.connect(program.data / "memory.db")) as database, database:
        evil = json.dumps({"command": ["/bin/sh", "-c", f"touch {marker}"]})
        database.execute("UPDATE scheduled_tasks SET handler_config = ? WHERE name = 'job'", (evil,))
    done = program("run-now", "job")
    assert done.code == 1
    assert "was changed since it was approved" in done.err
    assert not marker.exists()


FORKING = """
import os, time

def fork(task, context):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
    return {"status": "ok"}
"""


@pytest.mark.slow
@pytest.mark.law(4)
def test_law_4_what_a_handler_forked_ends_with_the_process(program: Program, tmp_path: Path) -> None:
    mark = {"MARK_OF_THIS_TEST": str(tmp_path)}
    install_forking(program, tmp_path / "plugin", mark)
    assert program("run-now", "job", **mark).code == 0
    assert [process for process in psutil.process_iter() if is_marked(process, mark)] == []


@pytest.mark.slow
@pytest.mark.law(2)
def test_law_2_what_a_handler_forked_ends_with_a_daemon_that_is_killed(program: Program, tmp_path: Path) -> None:
    mark = {"MARK_OF_THIS_TEST": str(tmp_path)}
    install_forking(program, tmp_path / "plugin", mark)
    daemon = program.daemon(**mark)
    assert program("run-now", "job").code == 0

    def children() -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if is_marked(process, mark) and process.pid != daemon.pid]

    assert len(children()) == 1
    daemon.kill()
    eventually(lambda: not children())


def install_forking(program: Program, package: Path, mark: dict[str, str]) -> None:
    """A task with a handler that leaves a forked process behind."""
    (package / "forking-1.dist-info").mkdir(parents=True)
    (package / "forking.py").write_text(FORKING)
    (package / "forking-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: forking\nVersion: 1\n")
    (package / "forking-1.dist-info" / "entry_points.txt").write_text("[jarvis_trio.handlers]\nfork = forking:fork\n")
    program.environment["PYTHONPATH"] += f"{os.pathsep}{package}"
    program("init")
    assert program("add", "job", "--every", "1h", "--handler", "fork", **mark).code == 0


def is_marked(process: psutil.Process, mark: dict[str, str]) -> bool:
    with suppress(psutil.Error, OSError):
        return mark.items() <= process.environ().items()
    return False

"""`init` and `allow`."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from jarvis_trio.handlers.approvals import Approvals
from tests.support.cli_world import Cli
from tests.support.core_fakes import ASSISTANTS


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def nothing(cli: Cli) -> Cli:
    """Commands where there is no data folder yet."""
    cli.path.unlink()
    cli.data.rmdir()
    return cli


def test_it_makes_what_is_missing_for_its_owner_only(nothing: Cli) -> None:
    out = nothing.ok("init")
    assert out.splitlines()[:3] == [
        f"Made {nothing.data}",
        f"Made {nothing.data}/webhook-inbox",
        f"Made {nothing.path}",
    ]
    assert mode(nothing.data) == mode(nothing.data / "webhook-inbox") == 0o700
    assert mode(nothing.path) == 0o600


@pytest.mark.parametrize("place", ["/", "bin"])
def test_the_hint_names_a_program_that_a_shell_runs_from_here(
    nothing: Cli, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin/jarvis-trio"
    script.parent.mkdir()
    script.touch()
    monkeypatch.setattr("sys.executable", str(script.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path / place)
    assert f"Run the daemon: {script} run" in nothing.ok("init")


def test_in_a_folder_that_was_deleted_it_says_the_whole_path_and_other_commands_say_so(
    nothing: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    script, gone = tmp_path / "bin" / "jarvis-trio", tmp_path / "gone"
    for folder in (script.parent, gone):
        folder.mkdir()
    script.touch()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert f"Run the daemon: {script} run" in nothing.ok("init")
    told = nothing.fails("add", "here", "--every", "1h", "--", "./a.sh")
    assert told == "jarvis-trio: the current folder was deleted; go to another one\n"


def test_the_two_tasks_are_due_at_once(nothing: Cli) -> None:
    nothing.ok("init")
    tasks = {name: nothing.task(name) for name in nothing.names()}
    assert {name: (task.handler_type, task.schedule_config) for name, task in tasks.items()} == {
        "alert_eval": ("alert_eval", '{"hours": 2}'),
        "webhook_poll": ("webhook_poll", '{"minutes": 5}'),
    }
    assert {report["name"]: report["status"] for report in nothing.json("tick")} == {
        "alert_eval": "executed",
        "webhook_poll": "executed",
    }
    assert nothing.task("webhook_poll").next_run_at == "2026-03-02T09:05:00+00:00"


def test_a_second_time_it_changes_nothing_and_says_so(nothing: Cli) -> None:
    nothing.ok("init")
    nothing.ok("edit", "webhook_poll", "--every", "1m")
    before = [nothing.task(name) for name in nothing.names()]
    assert nothing.ok("init").splitlines() == [
        f"There is already {nothing.path}",
        "There is already the task alert_eval",
        "There is already the task webhook_poll",
    ]
    assert [nothing.task(name) for name in nothing.names()] == before


def test_an_assistants_own_tasks_are_not_doubled(cli: Cli) -> None:
    cli.ok("add", "check-alerts", "--every", "1h", "--handler", "alert_eval")
    assert "There is already the task check-alerts\n" in cli.ok("init")
    assert cli.names() == ["check-alerts", "webhook_poll"]


def test_an_assistants_database_is_copied_before_our_tables_are_added(nothing: Cli) -> None:
    nothing.data.mkdir(mode=0o700)
    with closing(sqlite3.connect(nothing.path)) as connection:
        connection.executescript(ASSISTANTS)
    done = nothing("init")
    assert done.code == 0
    assert "a copy as it was is at" in done.err
    assert list(nothing.data.glob("memory.db.before-*")) != []


def test_an_open_folder_is_noted_and_left_as_it_is(cli: Cli) -> None:
    cli.data.chmod(0o755)
    done = cli("init")
    assert f"note: others may look into {cli.data}; to keep them out: chmod 700 {cli.data}\n" in done.err
    assert mode(cli.data) == 0o755


def test_a_folder_for_two_purposes_is_noted_once(cli: Cli) -> None:
    cli.data.chmod(0o755)
    assert cli("init").err.count(f"others may look into {cli.data};") == 1


def test_a_folder_that_cannot_be_made_is_one_line(nothing: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    file = nothing.data.parent / "file"
    file.touch()
    monkeypatch.setenv("JARVIS_DATA_DIR", str(file / "data"))
    assert f"cannot make the folder {file}/data: Not a directory" in nothing.fails("init")


def test_an_empty_list_of_approvals_says_so_beside_the_data(cli: Cli) -> None:
    done = cli("allow", "--list")
    assert (done.code, done.out) == (0, "")
    assert done.err == "note: nothing is approved; to approve the command of a task: jarvis-trio allow --task NAME\n"
    assert cli.json("allow", "--list") == []


def test_an_approved_program_is_listed_until_it_is_taken_back(cli: Cli) -> None:
    (said,) = cli.ok("allow", "true").splitlines()
    path = said.removeprefix("Approved: ").removesuffix(" with any arguments")
    assert cli.ok("allow", "--list") == f"{path} with any arguments\n"
    assert cli.json("allow", "--list") == [{"path": path, "pinned": False, "for_agents": False}]
    assert cli.ok("allow", "--revoke", path) == f"No longer approved: {path}\n"
    assert cli.json("allow", "--list") == []


def test_who_pins_a_program_is_told_that_it_is_pinned(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--", "true")
    assert cli.ok("allow", "--pin", "true").endswith(" with any arguments, pinned\n")
    assert cli.ok("allow", "--pin", "--task", "job").endswith("/true (exactly this command, pinned)\n")


def test_the_command_of_a_task_is_approved_exactly_as_it_is(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--env", "LEVEL=3", "--secret", "KEY", "--", "true", "a b")
    assert cli.ok("allow", "--task", "job").endswith("/true 'a b' (variables KEY, LEVEL) (exactly this command)\n")
    (listed,) = cli.ok("allow", "--list").splitlines()
    assert listed.startswith("exactly: ")
    assert listed.endswith("/true 'a b' (task job; variables LEVEL; secrets KEY)")
    (entry,) = cli.json("allow", "--list")
    assert (entry["command"][1:], entry["env"], entry["secrets"]) == (["a b"], ["LEVEL"], ["KEY"])
    cli.ok("allow", "--revoke", "--task", "job")
    assert cli.json("allow", "--list") == []
    cli.ok("add", "alerts", "--every", "5m", "--handler", "alert_eval")
    assert "runs no command" in cli.fails("allow", "--task", "alerts")


def test_what_was_approved_for_a_task_can_be_taken_back_after_it_is_gone(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--", "true", "first")
    cli.ok("allow", "--task", "job")
    cli.ok("edit", "job", "--", "true", "second")
    cli.ok("allow", "--task", "job")
    cli.ok("remove", "job", "--yes")
    said = cli.ok("allow", "--revoke", "--task", "job")
    assert [line.split()[-1] for line in said.splitlines()] == ["first", "second"]
    assert cli.json("allow", "--list") == []
    assert "no command of task 'job' is in the list" in cli.fails("allow", "--revoke", "--task", "job")


def test_what_an_interpreter_with_any_arguments_means_is_told(cli: Cli) -> None:
    done = cli("allow", "sh")
    assert "is an interpreter: whoever can write the database can now run any program with it" in done.err
    assert "cannot be approved for agents" in cli.fails("allow", "--for-agents", "sh")


def test_what_others_can_change_is_not_approved(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o777)
    assert "cannot be approved: others can change it" in cli.fails("allow", str(script))
    assert Approvals(cli.data / "approved-commands.json").executables() == ()


@pytest.mark.parametrize("arguments", [[], ["--list", "true"], ["--json", "true"], ["--remove"]])
def test_approving_nothing_is_wrong_usage(cli: Cli, arguments: list[str]) -> None:
    assert "give the path of an executable, --task NAME, or --list" in cli.fails("allow", *arguments, code=2)


def test_json_tells_what_was_made(cli: Cli) -> None:
    cli.path.unlink()
    made = cli.json("init")
    assert made == {"database": str(cli.path), "made": True, "added": ["alert_eval", "webhook_poll"], "present": []}
    again = cli.json("init")
    assert (again["made"], again["added"], again["present"]) == (False, [], ["alert_eval", "webhook_poll"])

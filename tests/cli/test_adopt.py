"""`adopt` on the assistant's own file, two weeks after its last tick."""

from __future__ import annotations

import json
import plistlib
import shlex
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.store import MemoryStore
from tests.support.assistant_app import HANDLERS, STORE, copy_database, make_application
from tests.support.cli_world import Cli, Program, eventually, execute
from tests.support.launchd_world import GUI, fake_launchd

TWO_WEEKS_LATER = datetime(2026, 12, 12, 9, 0, 30, tzinfo=UTC)
ORPHANS = {"auto_skill", "kb_lint", "morning_brief", "proactive", "skill_analysis", "webhook_dispatch"}
FINISHED = {"once_done", "once_past"}
"""They have run, or were made with a time in the past; they never run (again)."""


@pytest.fixture
def adopting(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Commands on a copy of the assistant's file. No `launchctl` is on PATH."""
    cli.path.unlink()
    copy_database(cli.data)
    cli.clock.instant = TWO_WEEKS_LATER
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("TZ", "UTC")
    return cli


def rows(path: Path) -> list[tuple[Any, ...]]:
    """What the assistant sees of its tasks and rules."""
    columns = "id, name, enabled, next_run_at, last_run_at, last_result, schedule_config, updated_at"
    return execute(path, f"SELECT {columns} FROM scheduled_tasks") + execute(path, "SELECT * FROM alert_rules")


def names(found: list[dict[str, Any]]) -> set[str]:
    return {item.get("task") or item["name"] for item in found}


@pytest.mark.law(8)
def test_law_8_a_look_changes_nothing_of_the_file(adopting: Cli) -> None:
    before = {path.name: path.read_bytes() for path in adopting.data.iterdir() if path.is_file()}
    adopting.ok("adopt")
    adopting.json("adopt")
    assert {path.name: path.read_bytes() for path in adopting.data.iterdir() if path.is_file()} == before


def test_it_says_what_runs_at_once(adopting: Cli) -> None:
    seen = adopting.json("adopt")
    assert {"alert_eval", "webhook_poll", "custom_echo", "cron_emptyparts"} <= names(seen["at_once"])
    assert not names(seen["at_once"]) & ({"once_future", "once_date", "disabled"} | ORPHANS)
    [first] = [found for found in seen["at_once"] if found["task"] == "webhook_poll"]
    assert first["due"] == "2026-11-28T13:17:11.438098+00:00"


def test_what_has_run_or_never_will_is_neither_overdue_nor_to_be_approved(adopting: Cli) -> None:
    seen = adopting.json("adopt")
    assert not FINISHED & (names(seen["at_once"]) | names(seen["needs_approval"]))


def test_it_names_the_commands_that_need_an_approval(adopting: Cli) -> None:
    commands = {found["task"]: found["command"] for found in adopting.json("adopt")["needs_approval"]}
    assert commands["custom_echo"] == "echo hello world"
    assert commands["custom_script"] == "python3 scripts/run_backup.py"
    assert "disabled" not in commands


@pytest.fixture
def other_echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell that finds another `echo` than a service does, as it may another python3 after a venv's `activate`."""
    program = tmp_path / "bin/echo"
    program.parent.mkdir(mode=0o700)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_an_approval_holds_under_a_service_too_which_finds_another_program(
    adopting: Cli, other_echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = adopting.ok("allow", "--task", "custom_echo")
    approved = [entry["program"] for entry in adopting.json("allow", "--list")]
    assert str(other_echo) in approved
    assert len(approved) == 2
    assert told == f"Approved: echo hello world (exactly this command, program {' or '.join(approved)})\n"
    said = adopting.ok("allow", "--list")
    assert all(f"exactly: echo hello world (program {program}; task custom_echo)\n" in said for program in approved)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "custom_echo" not in names(adopting.json("adopt")["needs_approval"])


def test_a_command_that_only_this_shell_may_run_needs_an_approval(adopting: Cli, other_echo: Path) -> None:
    adopting.ok("allow", str(other_echo))
    reasons = {found["task"]: found["reason"] for found in adopting.json("adopt")["needs_approval"]}
    assert reasons["custom_echo"].endswith("/bin/echo is not approved to run")
    other_echo.rename(other_echo.with_name("only-here"))
    adopting.change("mail_str", handler_config='{"command": "only-here"}')
    adopting.ok("allow", str(other_echo.with_name("only-here")))
    reasons = {found["task"]: found["reason"] for found in adopting.json("adopt")["needs_approval"]}
    assert reasons["mail_str"].startswith("only-here is not on the daemon's PATH")


def test_it_names_the_types_that_nobody_has_unless_the_application_runs_them(adopting: Cli, tmp_path: Path) -> None:
    assert names(adopting.json("adopt")["nobody_has"]) == ORPHANS
    folder = make_application(tmp_path / "assistant")
    options = ("--app-dir", str(folder), "--handlers", HANDLERS, "--store", STORE)
    assert adopting.json("adopt", *options)["nobody_has"] == []


def test_it_says_what_is_read_differently(adopting: Cli) -> None:
    readings = {found["name"]: found for found in adopting.json("adopt")["readings"] if found["differs"]}
    assert readings["cron_step"]["says"] == (
        "minute 5/10 means 5 alone to the assistant, and 05, 15, 25, 35, 45 and 55 here"
    )
    assert readings["cron_step"]["fix"] == "jarvis-trio edit cron_step --cron '5 * * * *'"
    adopting.ok("edit", "cron_step", "--cron", "5 * * * *")
    assert "cron_step" not in names([found for found in adopting.json("adopt")["readings"] if found["differs"]])


def test_a_command_that_nobody_can_read_is_told_and_not_to_be_approved(adopting: Cli) -> None:
    seen = adopting.json("adopt")
    assert "custom_quotes" not in names(seen["needs_approval"])
    readings = {found["name"]: found for found in seen["readings"]}
    assert readings["custom_quotes"]["says"].startswith("the command cannot be understood")
    assert readings["custom_quotes"]["fix"] == "jarvis-trio edit custom_quotes -- COMMAND ARG..."


def test_it_says_which_messages_cannot_be_delivered(adopting: Cli) -> None:
    execute(adopting.path, "UPDATE scheduled_tasks SET delivery_config = '{}' WHERE name = 'mail_task'")
    execute(adopting.path, "UPDATE scheduled_tasks SET delivery_channel = 'pigeon' WHERE name = 'kb_lint'")
    says = {found["name"]: found["says"] for found in adopting.json("adopt")["readings"]}
    assert says["mail_task"].startswith("its messages cannot be delivered by email: ")
    assert says["kb_lint"].startswith("its messages cannot be delivered by pigeon: ")


def test_it_says_what_had_to_be_guessed(adopting: Cli) -> None:
    guessed = {found["name"]: found["says"] for found in adopting.json("adopt")["readings"] if not found["differs"]}
    assert "empty parts of a list are passed over" in guessed["cron_emptyparts"]
    assert "days_overdue '2' is read as 2" in guessed["alert rule OverdueStr"]


def test_a_quiet_time_that_cannot_be_right_is_told(adopting: Cli) -> None:
    execute(adopting.path, "UPDATE alert_rules SET last_triggered_at = '2027-01-01T00:00:00' WHERE name = 'Cool'")
    execute(adopting.path, "UPDATE alert_rules SET last_triggered_at = 'yesterday' WHERE name = 'Stale'")
    readings = {found["name"]: found["says"] for found in adopting.json("adopt")["readings"]}
    assert readings["alert rule Cool"].startswith("last_triggered_at 2027-01-01T00:00:00 is to come")
    assert readings["alert rule Stale"] == "last_triggered_at 'yesterday' cannot be read, so the rule is not quiet"


def test_a_command_that_finds_its_script_in_the_assistants_folder_is_told(adopting: Cli, tmp_path: Path) -> None:
    script = tmp_path / "scripts/run_backup.py"
    script.parent.mkdir()
    script.touch()
    readings = {found["name"]: found for found in adopting.json("adopt")["readings"]}
    assert readings["custom_script"]["says"].startswith(f"scripts/run_backup.py is in {tmp_path}")
    assert readings["custom_script"]["fix"] == f"jarvis-trio edit custom_script --cwd {tmp_path}"


def test_going_on_needs_a_word_on_overdue_tasks_if_nobody_is_there_to_be_asked(adopting: Cli) -> None:
    said = adopting("adopt", "--yes")
    assert said.code == 2
    assert "--overdue run, skip or hold" in said.err


@pytest.mark.law(8)
def test_law_8_held_tasks_wait_for_a_word_and_their_rows_stay(adopting: Cli) -> None:
    before = rows(adopting.path)
    overdue = names(adopting.json("adopt")["at_once"])
    adopting.ok("adopt", "--yes", "--overdue", "hold")
    assert rows(adopting.path) == before
    assert set(adopting.json("adopt")["held"]) == overdue
    assert not names(adopting.json("tick")) & overdue
    assert [row for row in rows(adopting.path) if row[1] in overdue] == [row for row in before if row[1] in overdue]


def test_a_held_task_is_shown_as_held_and_is_neither_overdue_nor_failing(adopting: Cli) -> None:
    adopting.ok("adopt", "--yes", "--overdue", "hold")
    counts = adopting.json("status")["tasks"]
    assert (counts["overdue"], counts["failing"], counts["set_aside"]) == (6, 0, 0), "six types that nobody has"
    assert "webhook_poll (held until it is resumed)" in adopting.ok("show", "webhook_poll")
    explained = adopting.ok("explain", "webhook_poll")
    assert "held until it is resumed; `jarvis-trio resume webhook_poll` lets it run" in explained
    assert "webhook_poll is held until it is resumed" in adopting.ok("list")


def test_a_held_task_runs_again_from_its_next_time_when_it_is_resumed(adopting: Cli) -> None:
    adopting.ok("adopt", "--yes", "--overdue", "hold")
    adopting.ok("resume", "webhook_poll")
    assert not names(adopting.json("tick")) & {"webhook_poll"}
    [missed] = adopting.runs("webhook_poll")
    assert (str(missed.status), missed.reason) == ("missed", "held until it is resumed")
    adopting.clock.advance(minutes=5)
    assert "webhook_poll" in names(adopting.json("tick"))


def test_skipped_tasks_go_on_at_their_next_time(adopting: Cli) -> None:
    overdue = names(adopting.json("adopt")["at_once"])
    adopting.ok("adopt", "--yes", "--overdue", "skip")
    seen = adopting.json("adopt")
    assert (seen["at_once"], seen["held"], seen["adopted"]) == ([], [], True)
    assert not names(adopting.json("tick")) & overdue
    chosen = ("skipped", "a person chose to skip it when the database was adopted")
    assert {(str(run.status), run.reason) for task in overdue for run in adopting.runs(task)} == {chosen}
    adopting.clock.advance(days=24)
    assert overdue <= names(adopting.json("tick"))


def test_a_single_time_that_is_overdue_is_held_rather_than_skipped(adopting: Cli) -> None:
    columns = "name, schedule_type, schedule_config, handler_type, next_run_at, created_at"
    values = "'remind', 'once', '{\"run_at\": \"2026-12-01T09:00:00\"}', 'alert_eval', '2026-12-01T09:00:00'"
    execute(adopting.path, f"INSERT INTO scheduled_tasks ({columns}) VALUES ({values}, '2026-11-28T09:00:00')")
    said = adopting("adopt", "--yes", "--overdue", "skip")
    assert "remind is held; jarvis-trio resume remind" in said.err
    assert adopting.json("adopt")["held"] == ["remind"]
    adopting.ok("resume", "remind")
    assert "remind" in names(adopting.json("tick"))


def test_without_a_database_it_says_so(cli: Cli) -> None:
    cli.path.unlink()
    assert "Memory DB not found at" in cli.fails("adopt")


@pytest.fixture
def mac(adopting: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with the old agents, and a stand-in for launchctl on PATH."""
    home = tmp_path / "home"
    agents = home / "Library/LaunchAgents"
    agents.mkdir(parents=True)
    services = {}
    for label, script in {"scheduler-engine": "run_scheduler.py", "inbox-monitor": "run_inbox_monitor.py"}.items():
        plist = agents / f"com.chg.{label}.plist"
        words = ["/usr/bin/python3", f"/Users/me/chief_of_staff/scripts/{script}"]
        plist.write_bytes(plistlib.dumps({"Label": f"com.chg.{label}", "ProgramArguments": words}))
        services[f"{GUI}/com.chg.{label}"] = {"path": str(plist), "state": "not running", "pid": None, "left": 0}
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(home))
    fake_launchd(monkeypatch, tmp_path).write_text(json.dumps({"services": services}))
    return home


def test_it_says_which_agents_are_loaded_and_what_each_really_runs(adopting: Cli, mac: Path) -> None:
    agents = {agent["label"]: agent for agent in adopting.json("adopt")["agents"]}
    monitor = agents["com.chg.inbox-monitor"]
    assert monitor["loaded"] is True
    assert monitor["runs"] == "/usr/bin/python3 /Users/me/chief_of_staff/scripts/run_inbox_monitor.py"
    assert "commands by message go on in the task imessage_commands" in monitor["keeps"]
    assert "does not exist" in monitor["cannot_start"]
    assert set(agents) == {"com.chg.scheduler-engine", "com.chg.inbox-monitor"}


def test_it_says_what_macos_closes_to_agents(adopting: Cli, mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = mac / "Documents/GitHub/chief_of_staff/data"
    copy_database(closed)
    monkeypatch.setenv("MEMORY_DB_PATH", str(closed / "memory.db"))
    [says] = adopting.json("adopt")["closed_folders"]
    assert says == f"{closed}/memory.db is in {mac}/Documents, which macOS closes to agents"


def test_an_install_on_a_file_that_was_not_adopted_is_refused_unless_told(adopting: Cli, mac: Path) -> None:
    said = adopting.fails("launchd", "install", "--dry-run")
    assert "was not adopted: " in said
    assert "overdue tasks would run at once" in said
    assert "6 tasks of a type that nobody has" in said
    assert "see them: jarvis-trio adopt; then adopt --yes, or install with --anyway" in said
    assert "bootstrap" in adopting.ok("launchd", "install", "--dry-run", "--anyway")
    adopting.ok("adopt", "--yes", "--overdue", "skip")
    assert "bootstrap" in adopting.ok("launchd", "install", "--dry-run")


def test_an_install_on_a_database_of_our_own_is_not_refused(cli: Cli, mac: Path) -> None:
    shutil.rmtree(cli.data)
    cli.ok("init")
    assert "bootstrap" in cli.ok("launchd", "install", "--dry-run")


@pytest.mark.slow
def test_at_a_terminal_it_asks_for_each_approval_and_for_overdue_tasks(program: Program) -> None:
    program.data.mkdir(mode=0o700)
    copy_database(program.data)
    with closing(sqlite3.connect(program.data / "memory.db", isolation_level=None)) as theirs:
        theirs.execute("DELETE FROM scheduled_tasks WHERE name NOT IN ('custom_echo', 'mail_str')")
    done = program.at_terminal("adopt", "--yes", answer="skip\ny\nn\n")
    assert done.code == 0, done
    assert "run at once, skip to the next time, or hold?" in done.out
    assert "custom_echo: may it run `echo hello world`? [y/N]:" in done.out
    unapproved = json.loads(program("adopt", "--json").out)["needs_approval"]
    assert "custom_echo" not in names(unapproved)
    with MemoryStore(program.data / "memory.db") as store:
        assert store.troubles.held_tasks() == set()


@pytest.mark.law(9)
@pytest.mark.slow
@pytest.mark.parametrize(
    "is_here_too", [pytest.param(True, marks=pytest.mark.thorough), False], ids=["found here too", "not found here"]
)
def test_an_approval_is_for_what_the_running_daemon_finds(program: Program, tmp_path: Path, is_here_too: bool) -> None:
    """Who follows the fix that a run names types it in a shell, whose PATH the daemon does not have."""
    there, ran = tmp_path / "bin/only-there", tmp_path / "ran"
    there.parent.mkdir(mode=0o700)
    there.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(ran))}\n")
    there.chmod(0o700)
    here = tmp_path / "here/only-there"
    here.parent.mkdir(mode=0o700)
    if is_here_too:
        shutil.copy(there, here)
    program("init")
    execute(
        program.data / "memory.db",
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, handler_config, enabled)"
        """ VALUES ('odd', 'interval', '{"seconds": 1}', 'custom', '{"command": "only-there"}', 1)""",
    )
    program.start_anew("run", PATH=f"{there.parent}:/usr/bin:/bin")  # the system tells the variables of its start
    eventually(program.has_ticked)
    done = program("allow", "--task", "odd", PATH=f"{here.parent}:/usr/bin:/bin")
    assert done.code == 0, done
    eventually(ran.exists)
    assert "not on the daemon's PATH" not in program("doctor", PATH=f"{here.parent}:/usr/bin:/bin").out

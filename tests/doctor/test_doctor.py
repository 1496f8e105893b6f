"""`doctor`: each finding with its fix, on whole and on broken set-ups, of which nothing may change."""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import sys
import tomllib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tzdata

from jarvis_trio import __version__
from jarvis_trio.doctor.application import check_application
from jarvis_trio.doctor.daemon import check_agent, check_daemon
from jarvis_trio.doctor.database import check_users
from jarvis_trio.doctor.findings import Finding, Level, failed
from jarvis_trio.doctor.machine import check_clock, check_disk, check_extras, check_program, check_watch, check_zone
from jarvis_trio.doctor.machines import check_machines
from jarvis_trio.doctor.tasks import check_schedules
from jarvis_trio.errors import JarvisError
from jarvis_trio.handlers.application.handlers import Look
from jarvis_trio.handlers.application.source import HandlerSource
from jarvis_trio.models import ScheduledTask, TroubleKind
from jarvis_trio.process.lock import DaemonLock, Holder
from jarvis_trio.schedules.schedule import schedule_warnings
from jarvis_trio.schedules.warnings import ScheduleWarning
from jarvis_trio.service.launchd.operations import AgentState
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from tests.support.cli_world import Cli, Program, eventually, execute
from tests.support.core_fakes import ASSISTANTS, START, a_task
from tests.support.launchd_world import GUI, fake_launchd

ZONE_FILE = str(Path(tzdata.__file__).parent / "zoneinfo/Europe/Berlin")
NO_DAEMON = ("daemon", "none is running, so no task runs")


def report(cli: Cli) -> dict[str, Any]:
    """What `doctor --json` prints, once it is checked that its code fits."""
    done = cli("doctor", "--json")
    seen: dict[str, Any] = json.loads(done.out)
    assert done.err == ""
    assert seen["ok"] is (done.code == 0) is not any(finding["level"] == "problem" for finding in seen["findings"])
    assert [finding for finding in seen["findings"] if bool(finding["fix"]) != (finding["level"] != "fine")] == []
    return seen


def found(cli: Cli, level: Level) -> dict[tuple[str, str], str]:
    """The fixes of the findings of that level, by subject and text; that no daemon runs is left out."""
    findings = [(it["subject"], it["says"], it["fix"]) for it in report(cli)["findings"] if it["level"] == level]
    return {(subject, says): fix for subject, says, fix in findings if (subject, says) != NO_DAEMON}


def problems(cli: Cli) -> dict[tuple[str, str], str]:
    return found(cli, Level.PROBLEM)


def warnings(cli: Cli) -> dict[tuple[str, str], str]:
    return found(cli, Level.WARNING)


def add(cli: Cli, name: str, *options: str) -> None:
    cli.ok("add", name, *(options or ("--every", "5m", "--handler", "alert_eval")))


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    files = {}
    for path in folder.rglob("*"):
        status = path.stat()
        files[str(path)] = (status.st_mode, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return files


def damage(path: Path) -> None:
    """Overwrite the table of facts in the middle of the file."""
    with closing(sqlite3.connect(path)) as connection:
        rows = [("x" * 300 + str(number),) for number in range(99)]
        connection.executemany("INSERT INTO facts (category, key) VALUES ('a', ?)", rows)
        connection.commit()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'facts'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xaa" * size)


# The whole.


@pytest.mark.slow
def test_a_healthy_set_up_is_fine_and_exits_0(program: Program) -> None:
    program("init")
    program.daemon()
    done = program("doctor")
    assert (done.code, done.err) == (0, ""), done
    assert "0 problems, 0 warnings." in done.out
    assert "PID " in done.out


@pytest.mark.slow
def test_it_tells_who_else_has_the_database_open(program: Program) -> None:
    program("init")
    daemon = program.daemon()
    (users,) = check_users(program.data / "memory.db", program.data / "jarvis-daemon.lock")
    assert users.says.endswith(f"(PID {daemon.pid})")


@pytest.mark.slow
@pytest.mark.law(9)
def test_a_daemon_with_another_data_folder_is_told_since_it_has_other_approvals(
    program: Program, tmp_path: Path
) -> None:
    program("init")
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    path = program.data / "memory.db"
    daemon = program.start("run", JARVIS_DATA_DIR=str(other), MEMORY_DB_PATH=str(path))

    def told() -> list[tuple[str, str]]:
        found = json.loads(program("doctor", "--json").out)["findings"]
        return [(it["says"], it["fix"]) for it in found if (it["subject"], it["level"]) == ("daemon", "warning")]

    ((says, fix),) = eventually(told)
    assert says.startswith(f"a daemon with another data folder, {other}, runs the tasks of this database")
    assert f"kill {daemon.pid}" in fix
    assert list(check_users(path, other / "jarvis-daemon.lock"))[1:] == []


def test_where_the_system_tells_nothing_the_users_are_unknown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.process_iter", list)
    assert list(check_users(path, path.with_name("lock"))) == [Finding("open in", "unknown: the system does not tell")]


def test_without_a_daemon_nothing_runs_and_that_is_a_problem(cli: Cli) -> None:
    seen = report(cli)
    assert not seen["ok"]
    assert NO_DAEMON in [(it["subject"], it["says"]) for it in seen["findings"]]
    assert problems(cli) == {}
    assert warnings(cli) == {}


def test_every_setting_is_told_with_its_source(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEMON_TICK_INTERVAL_SECONDS", "7")
    settings = report(cli)["settings"]
    assert settings["DAEMON_TICK_INTERVAL_SECONDS"] == {"value": "7", "source": "environment"}
    assert settings["DAEMON_MAX_CONCURRENT_TASKS"] == {"value": "4", "source": "default"}
    assert settings["MEMORY_DB_PATH"]["value"] == str(cli.path)


def test_the_channels_setting_is_not_shown_since_it_can_hold_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "apprise")
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"urls": ["json://me:hunter2@example.org"]}')
    assert "hunter2" not in cli("doctor").out + cli("doctor", "--json").out


def test_the_worst_comes_last_and_is_counted(cli: Cli) -> None:
    (cli.data / "memory.db").chmod(0o644)
    lines = [line.strip() for line in cli("doctor").out.splitlines() if line]
    assert lines[-1] == "1 problem, 1 warning."
    assert lines[-3].split()[:2] == ["problem", "daemon"]
    assert lines[-2].startswith("-> ")
    assert lines[-5].split()[:2] == ["warning", "permissions"]


def test_of_many_findings_of_a_kind_only_some_are_printed(cli: Cli) -> None:
    for number in range(12):
        add(cli, f"task {number}")
        cli.change(f"task {number}", handler_type="morning_brief")
    out = cli("doctor").out
    assert out.count("morning_brief") == 10
    assert "and 2 more; --json shows all" in out
    assert len(warnings(cli)) == 12


def test_a_check_that_takes_long_is_shown_to_go_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jarvis_trio.cli.examination._SLOW_BYTES", 0)
    monkeypatch.setenv("TERM", "xterm")
    assert cli("doctor").err == ""  # nobody is there to see it
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "of the database" in cli("doctor").err


def test_control_characters_of_a_row_do_not_reach_the_terminal(cli: Cli) -> None:
    add(cli, "plain")
    cli.change("plain", name="bad\x1b]0;owned\x07\nname", handler_type="x\x9b2J")
    out = cli("doctor").out
    assert "owned" in out
    assert not set(out) & {"\x1b", "\x07", "\x9b"}


# Broken set-ups: no traceback, and nothing changes.


def test_a_bad_setting_is_told_and_the_rest_is_looked_at(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEMON_TICK_INTERVAL_SECONDS", "soon")
    monkeypatch.setenv("TZ", "Mars/Olympus")
    told = problems(cli)
    assert [subject for subject, _ in told] == ["clock", "settings"]
    assert "DAEMON_TICK_INTERVAL_SECONDS" in str(told)
    assert cli("doctor").code == 1


def test_a_missing_database_is_told_and_not_made(cli: Cli) -> None:
    cli.path.unlink()
    assert problems(cli) == {("database", f"Memory DB not found at {cli.path}"): "make it with: jarvis-trio init"}
    assert list(cli.data.iterdir()) == []


def test_a_missing_data_folder_is_not_made(cli: Cli) -> None:
    cli.path.unlink()
    cli.data.rmdir()
    assert [subject for subject, _ in problems(cli)] == ["database"]
    assert not cli.data.exists()


def test_a_damaged_database_is_told_with_the_way_back(cli: Cli) -> None:
    damage(cli.path)
    before = snapshot(cli.data)
    ((subject, says),) = problems(cli)
    assert (subject, "the database is damaged" in says) == ("integrity", True)
    assert "restore a backup" in problems(cli)[subject, says]
    assert snapshot(cli.data) == before


@pytest.mark.parametrize("content", [b"dear diary " * 500, b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_file_that_is_no_database_is_told_and_left_alone(cli: Cli, content: bytes) -> None:
    cli.path.write_bytes(content)
    assert [subject for subject, _ in problems(cli)] == ["database"]
    assert cli.path.read_bytes() == content


def test_a_folder_in_the_databases_place_is_told(cli: Cli) -> None:
    cli.path.unlink()
    cli.path.mkdir(mode=0o700)
    assert [subject for subject, _ in problems(cli)] == ["database"]


def test_a_locked_database_is_told_soon(cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_DB_PATH", str(path))
    monkeypatch.setattr("jarvis_trio.desk.session.LOOKING_TIMEOUT", timedelta(milliseconds=10))
    execute(path, "CREATE TABLE t (a)")
    path.chmod(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ((_, says),) = problems(cli)
    assert "another program keeps it locked" in says


@pytest.mark.law(8)
def test_an_assistants_database_is_looked_at_and_not_changed(
    cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_DB_PATH", str(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ASSISTANTS)
    path.chmod(0o600)
    before = snapshot(path.parent)
    assert (problems(cli), warnings(cli)) == ({}, {})
    assert "without our tables yet" in cli("doctor").out
    assert snapshot(path.parent) == before


@pytest.mark.law(8)
def test_nothing_is_changed_by_looking(cli: Cli) -> None:
    add(cli, "task")
    before = snapshot(cli.data)
    cli("doctor")
    assert snapshot(cli.data) == before


# The machine.


def test_a_package_that_is_missing_is_a_problem() -> None:
    missing = [it for it in check_program(["trio", "no-such-package"]) if it.level is Level.PROBLEM]
    assert [it.fix for it in missing] == [f"{shlex.quote(sys.executable)} -m pip install no-such-package"]


def test_every_package_that_is_required_is_looked_for() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    required = {re.split("[^a-z-]", text)[0] for text in project["dependencies"]}
    (packages,) = [it.says for it in check_program() if it.subject == "packages"]
    assert {text.split()[0] for text in packages.split(", ")} == {"SQLite", *required}


def test_a_clock_behind_the_newest_record_was_set_back() -> None:
    denver = ZoneInfo("America/Denver")
    (fine,) = check_clock(START, denver, START + timedelta(minutes=1))
    assert fine == Finding("clock", "Mon 2026-03-02 02:00 MST, zone America/Denver")
    (back,) = check_clock(START, denver, START + timedelta(hours=3))
    assert back.level is Level.PROBLEM
    assert back.says.endswith("Mon 2026-03-02 05:00 MST is on record: it was set back by 3 hours")


def test_a_run_of_tomorrow_shows_that_the_clock_was_set_back(cli: Cli) -> None:
    add(cli, "task")
    cli.clock.advance(minutes=6)
    cli.ok("tick")
    cli.clock.set(days=-1)
    assert [subject for subject, _ in problems(cli)] == ["clock"]


@pytest.mark.parametrize("text", ["", "Europe/Berlin", ":UTC", ZONE_FILE, f":/{ZONE_FILE}"])
def test_a_zone_by_its_name_or_its_file_is_fine(text: str) -> None:
    assert list(check_zone({"TZ": text}, ZoneInfo("UTC"))) == []


@pytest.mark.parametrize("text", ["X", "JST-9", "<-03>3", "/no/such/file", "/etc/passwd"])
def test_a_zone_that_cannot_be_read_is_told(text: str) -> None:
    (told,) = check_zone({"TZ": text}, ZoneInfo("UTC"))
    assert told.says == f"TZ is {text!r}, which names no zone; UTC is used instead"
    assert "such as JST-9, is not read" in told.fix


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (told,) = check_disk(tmp_path / "not made yet", enough=1 << 80)
    assert (told.level, told.fix) == (Level.PROBLEM, "make room: what cannot be recorded does not run")
    assert told.says.startswith("only ")
    (told,) = check_disk(tmp_path, enough=0)
    assert told.level is Level.FINE


def test_an_error_that_names_no_fix_gets_the_checks_own() -> None:
    named = JarvisError("bad", fix="do this")
    assert failed("x", named, "that") == Finding("x", "bad", Level.PROBLEM, "do this")
    assert failed("x", JarvisError("bad"), "that", of="it") == Finding("x", "it: bad", Level.PROBLEM, "that")


def test_an_error_that_quotes_a_semicolon_is_told_whole() -> None:
    says = "the command 'cd /srv; make' is not approved"
    assert failed("x", JarvisError(says), "that") == Finding("x", says, Level.PROBLEM, "that")


# Files.


@pytest.mark.parametrize("name", ["memory.db", "jarvis-daemon.lock", "jarvis-daemon.log", "approved-commands.json"])
def test_files_that_others_may_open_are_a_warning(cli: Cli, name: str) -> None:
    place = cli.data / name
    place.touch()
    place.chmod(0o640)
    told = warnings(cli)
    assert told == {("permissions", f"others may open {place}"): f"chmod go-rwx {place}"}
    place.chmod(0o600)
    assert warnings(cli) == {}


def test_a_settings_file_that_others_may_write_is_a_warning(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("JARVIS_HISTORY_DAYS = 7\n")
    monkeypatch.setenv("JARVIS_SETTINGS", str(file))
    file.chmod(0o644)
    assert warnings(cli) == {}
    file.chmod(0o664)
    says = f"others may change your settings in {file}"
    assert warnings(cli) == {("permissions", says): f"chmod go-w {file}"}


def test_a_folder_that_others_may_enter_is_a_warning(cli: Cli) -> None:
    cli.data.chmod(0o755)
    assert list(warnings(cli).values()) == [f"chmod go-rwx {cli.data}"]


def test_a_secrets_file_that_would_be_refused_is_a_problem(cli: Cli) -> None:
    place = cli.data / "delivery-secrets.env"
    place.write_text("TOKEN=hunter2\n")
    place.chmod(0o644)
    assert list(problems(cli).values()) == [f"run: chmod 600 {place}"]
    place.chmod(0o600)
    assert problems(cli) == {}
    assert "hunter2" not in cli("doctor").out


def test_the_log_is_measured_with_its_old_files(cli: Cli) -> None:
    for name in ("jarvis-daemon.log", "jarvis-daemon.log.1", "jarvis-daemon.log.2"):
        (cli.data / name).write_bytes(b"x" * 2000)
        (cli.data / name).chmod(0o600)
    assert "jarvis-daemon.log: 3 files, 6.0 kB" in cli("doctor").out


def test_files_wait_in_the_inbox_and_no_task_takes_them(cli: Cli) -> None:
    inbox = cli.data / "webhook-inbox"
    inbox.mkdir(mode=0o700)
    os.mkfifo(inbox / "a.json")  # would hold up whoever opens it
    (inbox / ".hidden.json").touch()
    says = f"{inbox}: 1 file waiting, and no task takes them in"
    assert problems(cli) == {("inbox", says): "jarvis-trio add inbox --every 5m --handler webhook_poll"}
    add(cli, "the poll", "--every", "5m", "--handler", "webhook_poll")
    assert problems(cli) == {}
    cli.ok("pause", "the poll")
    assert problems(cli) == {("inbox", says): "jarvis-trio resume 'the poll'"}


def test_files_that_could_not_be_taken_in_are_a_warning(cli: Cli) -> None:
    place = cli.data / "webhook-inbox/failed"
    place.mkdir(mode=0o700, parents=True)
    place.parent.chmod(0o700)
    for name in ("a.json", "a.json.reason.txt", "b.json"):
        (place / name).touch()
    assert list(warnings(cli)) == [("inbox", f"{place}: 2 files could not be taken in")]


# The daemon.

LIMITS = {"interval": timedelta(minutes=1), "longest_run": timedelta(minutes=5)}


@pytest.mark.parametrize(("ago", "level"), [(timedelta(minutes=7), Level.FINE), (timedelta(minutes=9), Level.PROBLEM)])
def test_a_daemon_that_has_not_ticked_for_long_hangs(ago: timedelta, level: Level) -> None:
    daemon = Holder(42, START - timedelta(days=1), START - ago, __version__)
    (seen,) = check_daemon(daemon, START, ZoneInfo("UTC"), **LIMITS)
    assert seen.level is level
    assert "PID 42, since Sun 2026-03-01 09:00 UTC" in seen.says


def test_a_daemon_that_never_ticked_is_measured_from_its_start() -> None:
    (seen,) = check_daemon(Holder(42, START - timedelta(hours=1), None, __version__), START, ZoneInfo("UTC"), **LIMITS)
    assert seen.level is Level.PROBLEM
    (unknown,) = check_daemon(Holder(None, None, None), START, ZoneInfo("UTC"), **LIMITS)
    assert unknown == Finding("daemon", "PID unknown, has not ticked yet")


@pytest.mark.parametrize(("version", "theirs"), [("0.9", "0.9"), (None, "1")])
def test_a_daemon_of_another_version_is_a_warning(version: str | None, theirs: str) -> None:
    """An editable install has the new code at once; the daemon runs the old one until it is restarted."""
    daemon = Holder(42, START, START, version)
    told = [it for it in check_daemon(daemon, START, ZoneInfo("UTC"), **LIMITS) if it.level is Level.WARNING]
    assert [it.says for it in told] == [f"the daemon is of version {theirs}, and this command of {__version__}"]
    assert "jarvis-trio service restart" in told[0].fix


def test_the_holder_of_the_lock_and_its_last_tick_are_told(cli: Cli) -> None:
    lock = cli.data / "jarvis-daemon.lock"
    with DaemonLock(lock, cli.clock.now()) as held:
        held.pulse(cli.clock.now())
        cli.clock.advance(seconds=30)
        assert report(cli)["ok"]
        cli.clock.advance(hours=1)
        (says,) = [says for subject, says in problems(cli) if subject == "daemon"]
    assert says.startswith(f"PID {os.getpid()}, since ")
    assert says.endswith("has not ticked for 1 hour, and should every 1m")


def test_a_task_with_a_long_time_limit_may_hold_up_the_ticks(cli: Cli) -> None:
    add(cli, "long", "--every", "1d", "--handler", "alert_eval", "--timeout", "2h")
    with DaemonLock(cli.data / "jarvis-daemon.lock", cli.clock.now()):
        cli.clock.advance(hours=1)
        assert report(cli)["ok"]


def test_a_lock_that_cannot_be_used_is_told(cli: Cli) -> None:
    (cli.data / "jarvis-daemon.lock").mkdir(mode=0o700)
    assert [subject for subject, _ in problems(cli)] == ["daemon"]


# The tasks.


def test_tasks_in_trouble_are_told_with_why(cli: Cli) -> None:
    add(cli, "failing one")
    add(cli, "odd")
    cli.change("odd", schedule_config='{"minutes": 0}', next_run_at=None)
    cli.ok("tick")
    with MemoryStore(cli.path) as store:
        task_id = store.tasks.require_task("failing one").id
        assert task_id is not None
        store.troubles.begin_trouble(task_id, TroubleKind.FAILING, "exit code 2", START)
        store.troubles.begin_trouble(task_id + 7, TroubleKind.FAILING, "of a task that is gone", START)
    told = {says.split(":")[0]: (says, fix) for (subject, says), fix in problems(cli).items() if subject == "task"}
    assert set(told) == {"failing one", "odd"}
    assert told["failing one"] == (
        "failing one: failing since Mon 2026-03-02 09:00 UTC: exit code 2",
        "its runs: jarvis-trio history 'failing one'",
    )
    assert "set aside" in told["odd"][0]
    assert told["odd"][1].endswith("jarvis-trio edit odd")


def test_a_task_that_is_set_aside_is_told_once(cli: Cli) -> None:
    add(cli, "odd")
    cli.change("odd", schedule_config="rubbish", next_run_at=None)
    assert [subject for subject, _ in problems(cli)] == ["schedule"]
    cli.ok("tick")
    assert [subject for subject, _ in problems(cli)] == ["task"]


def test_a_task_that_failed_at_its_only_time_is_told_with_what_ends_that(cli: Cli) -> None:
    add(cli, "party", "--at", "in 5m", "--handler", "alert_eval")
    with MemoryStore(cli.path, clock=cli.clock) as store:
        number = store.tasks.require_task("party").id or 0
        store.troubles.begin_trouble(number, TroubleKind.FAILING, "exit code 2", START)
    assert problems(cli)["task", "party: failing since Mon 2026-03-02 09:00 UTC: exit code 2"] == (
        "run it again: jarvis-trio run-now party; or give it another time: jarvis-trio edit party --at TIME;"
        " or, if it no longer matters: jarvis-trio remove party"
    )
    cli.ok("edit", "party", "--at", "in 1h")
    assert problems(cli) == {}


def test_a_due_task_whose_handler_nobody_brings_is_told_once(cli: Cli) -> None:
    add(cli, "brief")
    cli.change("brief", handler_type="morning_brief")
    cli.clock.advance(minutes=5)
    cli.ok("tick")
    assert [subject for subject, _ in problems(cli)] == ["task"]
    assert warnings(cli) == {}


def never(task: ScheduledTask, slot: datetime) -> bool:
    return False


def test_a_schedule_that_many_tasks_have_is_looked_at_once_and_told_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def counting(task: ScheduledTask, *others: Any) -> list[ScheduleWarning]:
        looked_at.append(task.name)
        return schedule_warnings(task, *others)

    monkeypatch.setattr("jarvis_trio.doctor.tasks.schedule_warnings", counting)
    tasks = [a_task(f"night {number}", cron="30 2 * * *") for number in range(3)]
    tasks.append(a_task("abroad", cron="30 2 * * *", policy={"timezone": "Europe/Berlin"}))
    found = check_schedules(tasks, ZoneInfo("America/Denver"), START, never, never)
    told = [finding.says.split(":")[0] for finding in found]
    assert looked_at == ["night 0", "abroad"]
    assert sorted(set(told)) == ["abroad", "night 0", "night 1", "night 2"]


def test_a_schedule_that_never_fires_is_a_problem_and_one_that_dst_touches_a_warning(cli: Cli) -> None:
    cli.clock.machine_zone = ZoneInfo("America/Denver")
    add(cli, "night", "--cron", "30 2 * * *", "--handler", "alert_eval")
    add(cli, "doubled", "--cron", "30 1 * * *", "--handler", "alert_eval")
    add(cli, "dead")
    cli.change("dead", schedule_type="cron", schedule_config='{"expression": "0 0 31 2 *"}')
    assert [says.split(":")[0] for subject, says in problems(cli) if subject == "schedule"] == ["dead"]
    assert [says.split(":")[0] for subject, says in warnings(cli) if subject == "schedule"] == ["night"]
    harmless = [it["says"] for it in report(cli)["findings"] if it["subject"] == "schedule" and it["level"] == "fine"]
    assert [says.split(":")[0] for says in harmless] == ["doubled"]
    cli.ok("pause", "night")
    assert warnings(cli) == {}


def test_commands_that_the_daemon_would_refuse_are_told(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "backup"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    add(cli, "good", "--every", "5m", "--", "true")
    cli.ok("allow", "true")
    add(cli, "new", "--every", "5m", "--", str(script))
    add(cli, "gone", "--every", "5m", "--", "true")
    cli.change("gone", handler_config='{"command": "no-such-program"}')
    add(cli, "empty", "--every", "5m", "--", "true")
    cli.change("empty", handler_config="{")
    told = {says.split(":")[0]: fix for (subject, says), fix in problems(cli).items() if subject == "command"}
    assert set(told) == {"new", "gone", "empty"}
    allow = "to approve exactly this command: jarvis-trio allow --task new"
    assert told["new"] == f"{allow}; or with any arguments: jarvis-trio allow {script}"
    assert told["gone"] == "give its absolute path"
    cli.ok("allow", str(script))
    assert "new" not in {says.split(":")[0] for _, says in problems(cli)}


def test_a_command_that_failed_for_what_is_still_so_is_told_once_with_the_fix_of_that(cli: Cli) -> None:
    add(cli, "job", "--every", "5m", "--", "/bin/echo")
    add(cli, "reminder", "--at", "in 1m", "--", "/bin/echo", "tea")
    cli.clock.advance(minutes=6)
    cli("tick")

    told = {says.split(":")[0]: (subject, fix) for (subject, says), fix in problems(cli).items()}
    assert len(problems(cli)) == len(told) == 2
    allow = "to approve exactly this command: jarvis-trio allow --task {}; or with any arguments: jarvis-trio allow "
    assert {subject for subject, _ in told.values()} == {"task"}
    assert told["job"][1].startswith(allow.format("job"))
    assert told["reminder"][1].startswith(allow.format("reminder"))
    assert told["reminder"][1].endswith("; then run it again: jarvis-trio run-now reminder")

    cli.ok("allow", "--task", "job")
    cli.ok("allow", "--task", "reminder")
    told = {says.split(":")[0]: (subject, fix) for (subject, says), fix in problems(cli).items()}
    assert told["job"] == ("task", "its runs: jarvis-trio history job")
    assert told["reminder"][1].startswith("run it again: jarvis-trio run-now reminder; or ")


def test_a_task_that_fails_is_told_by_its_last_failure(cli: Cli) -> None:
    add(cli, "job", "--every", "1h", "--", "sh", "-c", "exit 3")
    assert cli("run-now", "job").code == 1
    cli.ok("allow", "--task", "job")
    assert cli("run-now", "job").code == 1
    (told,) = [says for subject, says in problems(cli) if subject in ("task", "command")]
    assert told == "job: failing since Mon 2026-03-02 09:00 UTC: exit code 3"


def test_a_secret_that_a_command_will_lack_is_told(cli: Cli) -> None:
    add(cli, "report", "--every", "5m", "--secret", "API_KEY", "--", "true")
    cli.ok("allow", "--task", "report")
    ((says, fix),) = [(says, fix) for (subject, says), fix in problems(cli).items() if subject == "command"]
    assert says == "report: the command needs the secret API_KEY, which is not set"
    assert fix.startswith(f"set it in {cli.data}/secrets.env (a line API_KEY=value; chmod 600)")
    (cli.data / "secrets.env").write_text("API_KEY=hunter22\n")
    (cli.data / "secrets.env").chmod(0o600)
    assert [subject for subject, _ in problems(cli) if subject == "command"] == []


def test_what_a_command_lacks_is_told_whole(cli: Cli) -> None:
    add(cli, "report", "--every", "5m", "--secret", "API_KEY", "--", "true")
    told = [says for subject, says in problems(cli) if subject == "command"]
    assert told[0].endswith("true is not approved to run")
    assert told[1] == "report: the command needs the secret API_KEY, which is not set"


def test_a_handler_that_nobody_brings_is_a_warning(cli: Cli) -> None:
    add(cli, "brief")
    cli.change("brief", handler_type="morning_brief")
    ((subject, says),) = warnings(cli)
    assert (subject, "morning_brief" in says) == ("handler", True)


def test_delivery_that_cannot_work_is_a_problem(cli: Cli) -> None:
    add(cli, "task")
    cli.change("task", delivery_channel="pigeon")
    assert [says for _, says in problems(cli)] == ["task: unknown channel 'pigeon'"]
    cli.change("task", delivery_channel="email", delivery_config="[")
    assert [subject for subject, _ in problems(cli)] == ["delivery"]


def test_alerts_of_a_task_that_nobody_would_get_are_a_problem(cli: Cli) -> None:
    add(cli, "task")
    cli.change("task", policy='{"alert_channel": "pigeon"}')
    assert list(problems(cli)) == [("delivery", "task, its alerts: unknown channel 'pigeon'")]


def test_a_plain_apprise_url_in_the_database_is_a_warning_and_not_shown(cli: Cli) -> None:
    plain = "json://me:hunter2@example.org"
    for number, urls in enumerate([f'["env:URL", "{plain}"]', f'"{plain}"', '["$URL"]']):
        add(cli, f"task {number}")
        cli.change(f"task {number}", delivery_channel="apprise", delivery_config=f'{{"urls": {urls}}}')
    told = warnings(cli)
    assert [says.split(":")[0] for _, says in told] == ["task 0", "task 1"]
    assert "hunter2" not in cli("doctor").out


def test_messages_that_wait_are_a_warning(cli: Cli) -> None:
    with MemoryStore(cli.path) as store:
        store.outbox.post(Letter("email", None, "task", "error", None, "2026-03-02T09:00:00+00:00"), START)
    assert list(warnings(cli)) == [("delivery", "1 message could not be delivered yet, and will be tried again")]


def test_a_plain_apprise_url_for_the_alerts_of_a_task_is_a_warning_and_not_shown(cli: Cli) -> None:
    for number, urls in enumerate([["env:PUSH_URL"], ["json://me:hunter22@example.org"]]):
        add(cli, f"task {number}")
        cli.change(f"task {number}", policy=json.dumps({"alert_channel": "apprise", "alert_config": {"urls": urls}}))
    [(subject, says)] = warnings(cli)
    assert (subject, says) == (
        "delivery",
        "task 1: an Apprise URL for its alerts, with its secrets, is in the database",
    )
    assert "hunter22" not in json.dumps(report(cli))


def test_a_channel_for_alerts_that_does_not_exist_is_a_problem(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "pigeon")
    assert [subject for subject, _ in problems(cli)] == ["alerts"]
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "notification")
    assert problems(cli) == {}


def test_a_plain_apprise_url_for_alerts_is_a_warning_as_the_launchd_agent_shows_it_to_all(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "apprise")
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"urls": "env:URL"}')
    assert warnings(cli) == {}
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"urls": ["json://me:hunter2@example.org"]}')
    assert [subject for subject, _ in warnings(cli)] == ["alerts"]
    assert "hunter2" not in cli("doctor").out


def test_alerts_that_cannot_be_read_are_told_without_their_text(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "apprise")
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"urls": "json://me:hunter2@example.org"')
    assert [subject for subject, _ in problems(cli)] == ["alerts"]
    assert "hunter2" not in cli("doctor").out + cli("tick").err


# launchd.


@pytest.fixture
def mac(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and launchd's program with a file for its state."""
    home, state = tmp_path / "home", fake_launchd(monkeypatch, tmp_path)
    home.mkdir()
    state.write_text("{}")
    monkeypatch.setenv("HOME", str(home))
    return state


def load(state: Path, label: str, **service: object) -> None:
    loaded = {"path": None, "state": "running", "pid": 77, "left": 0, **service}
    state.write_text(json.dumps({"services": {f"{GUI}/{label}": loaded}}))


@pytest.mark.slow
def test_an_agent_that_is_not_installed_is_no_problem(cli: Cli, mac: Path) -> None:
    assert problems(cli) == {}
    assert f"{LABEL} is not installed" in cli("doctor").out


@pytest.mark.slow
def test_an_old_agent_that_is_loaded_would_run_everything_twice(cli: Cli, mac: Path) -> None:
    load(mac, OLD_LABELS[0])
    says = f"{OLD_LABELS[0]} is loaded, and would run everything twice"
    assert problems(cli) == {("old agent", says): "jarvis-trio launchd install"}


@pytest.mark.slow
def test_a_folder_that_macos_closes_to_agents_is_a_problem(
    cli: Cli, mac: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = mac.parent / "home/Documents/memory.db"
    closed.parent.mkdir(mode=0o700)
    cli.path.rename(closed)
    monkeypatch.setenv("MEMORY_DB_PATH", str(closed))
    ((subject, says),) = problems(cli)
    assert (subject, "which macOS closes to agents" in says) == ("agent", True)


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({}, Level.FINE, f"{LABEL} runs in {GUI}, PID 77"),
        ({"loaded": False}, Level.PROBLEM, f"{LABEL} is installed and not loaded"),
        ({"running": False, "state": "waiting"}, Level.PROBLEM, f"{LABEL} does not run (waiting), last exit code 1"),
        ({"up_to_date": False}, Level.WARNING, f"{LABEL} runs, but its file is not what installing it now would write"),
        ({"installed": False, "loaded": False}, Level.FINE, None),
    ],
)
def test_how_the_agent_stands_is_told(changes: dict[str, Any], level: Level, says: str | None) -> None:
    seen = AgentState(
        name=LABEL,
        place=GUI,
        file=Path("/plist"),
        arguments=(),
        old_agents_loaded=(),
        installed=True,
        loaded=True,
        running=True,
        up_to_date=True,
        state="running",
        last_exit="1",
        log="/log",
        crash_log="/crash",
        pid=77,
        replaced=(),
        never_start={},
        replaced_folder="/replaced",
    )
    (told,) = check_agent(replace(seen, **changes))
    assert told.level is level
    assert says in (told.says, None)


def test_a_log_of_launchds_that_nobody_rotates_is_measured(cli: Cli, mac: Path) -> None:
    log = mac.parent / "home/Library/Logs/Jarvis/launchd-stderr.log"
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.truncate(50_000_000)
    assert list(warnings(cli)) == [("log", f"{log}: 50 MB, and nobody rotates it")]


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda log: os.symlink("/no/such/log", log), lambda log: os.symlink(log, log)]
)
def test_a_log_that_is_no_regular_file_is_a_problem(cli: Cli, make: Callable[[Path], None]) -> None:
    log = cli.path.with_name("jarvis-daemon.log")
    make(log)
    assert ("log", f"{log} is not a regular file, so nothing is kept of what the daemon says") in problems(cli)


@pytest.mark.parametrize("table", ["scheduled_tasks", "task_done"])
def test_a_view_in_place_of_a_table_is_a_problem(cli: Cli, table: str) -> None:
    execute(cli.path, f"ALTER TABLE {table} RENAME TO theirs")
    execute(cli.path, f"CREATE VIEW {table} AS SELECT * FROM theirs")
    expected = ("database", f"another program has put a view in place of the table {table}: nothing can run")
    assert problems(cli)[expected] == "make it a table again, or restore a backup"


def fixed_by_its_words(cli: Cli, fix: str) -> None:
    """Do what a fix says with sqlite3, which not every machine has."""
    program, path, statements = shlex.split(fix[fix.index("sqlite3 ") :])
    assert (program, path) == ("sqlite3", str(cli.path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)


@pytest.mark.law(3)
def test_law_3_a_table_of_tasks_that_was_renamed_is_a_problem(cli: Cli) -> None:
    add(cli, "job")
    execute(cli.path, 'ALTER TABLE scheduled_tasks RENAME TO "my ""old"" tasks"')
    expected = f'the table scheduled_tasks of {cli.path} is gone; my "old" tasks has its columns: nothing can run'
    fix = problems(cli)["database", expected]
    assert cli("list").code == 1
    fixed_by_its_words(cli, fix)
    assert problems(cli) == {}
    assert [task["name"] for task in json.loads(cli.ok("list", "--json"))] == ["job"]


@pytest.mark.law(3)
def test_law_3_tasks_that_another_program_has_left_in_another_table_are_a_problem(cli: Cli) -> None:
    add(cli, "job")
    with closing(sqlite3.connect(cli.path)) as theirs:
        (sql,) = theirs.execute("SELECT sql FROM sqlite_master WHERE name = 'scheduled_tasks'").fetchone()
        theirs.execute("ALTER TABLE scheduled_tasks RENAME TO theirs")
        theirs.execute(sql)
    expected = "the table scheduled_tasks is empty, and the table theirs has its columns and 1 row"
    fixed_by_its_words(cli, problems(cli)["tasks", expected])
    assert problems(cli) == {}
    assert [task["name"] for task in json.loads(cli.ok("list", "--json"))] == ["job"]

    execute(cli.path, "CREATE TABLE copy AS SELECT * FROM scheduled_tasks")
    assert problems(cli) == {}


def test_a_table_of_tasks_without_its_key_is_a_problem(cli: Cli) -> None:
    execute(cli.path, "CREATE TABLE theirs AS SELECT * FROM scheduled_tasks")
    execute(cli.path, "DROP TABLE scheduled_tasks")
    execute(cli.path, "ALTER TABLE theirs RENAME TO scheduled_tasks")
    assert any("scheduled_tasks" in says and "has lost its key, id" in says for _, says in problems(cli))


@pytest.mark.law(2)
def test_a_database_with_a_second_name_is_a_problem(cli: Cli) -> None:
    os.link(cli.path, cli.path.with_name("other.db"))
    assert any("2 names (hard links)" in says for _, says in problems(cli))


def test_the_extras_are_told_with_what_they_are_for() -> None:
    (finding,) = check_extras({"pytest": "tests", "no-such-package": "dreams"})

    assert finding.level is Level.FINE
    assert finding.says.startswith("pytest ")
    assert finding.says.endswith("(tests); not installed: no-such-package (dreams)")


def test_what_keeps_an_applications_handlers_from_running_says_how_to_see_it_all(tmp_path: Path) -> None:
    source = HandlerSource(tmp_path / "my app", "app.handlers:call", Path("/usr/bin/python3"))
    seen = Look("3.11", ("cannot import app.handlers: ImportError: no",), ("anthropic",))
    broken, missing, summary = check_application(seen, source, [])
    assert (broken.level, broken.says) == (Level.PROBLEM, "cannot import app.handlers: ImportError: no")
    assert broken.fix.endswith(f"cd '{tmp_path}/my app' && /usr/bin/python3 -c 'import app.handlers'")
    assert missing.fix == "/usr/bin/python3 -m pip install anthropic"
    assert "no enabled task" in summary.says


def test_changes_that_are_seen_late_are_a_warning() -> None:
    reason = "inotify: Too many open files; see fs.inotify.max_user_instances"
    [late] = check_watch(reason)
    assert (late.level, late.says.endswith(f"at the next tick only: {reason}")) == (Level.WARNING, True)
    assert late.fix == "end what watches many files, or raise that limit"
    assert [finding.level for finding in check_watch(None)] == [Level.FINE]


def test_a_database_of_several_machines_on_which_none_is_yet_is_a_warning() -> None:
    [none] = check_machines([], [])
    assert (none.level, none.fix) == (Level.WARNING, "start a daemon on one: jarvis-trio run")

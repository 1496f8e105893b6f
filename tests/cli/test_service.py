"""`jarvis-trio service ...`: with a `systemctl`, or a `launchctl`, that is a program on PATH."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.service.launchd.plist import OLD_LABELS
from jarvis_trio.service.systemd.unit import UNIT
from tests.support import fake_systemctl
from tests.support.cli_world import Cli, Program, eventually
from tests.support.launchd_world import fake_launchd


class Linux:
    """A home folder, and a systemd of the user in a file."""

    def __init__(self, home: Path, cli: Cli) -> None:
        self.home, self.cli = home, cli
        self.state_file = home.parent / "systemd.json"
        self.unit = home / ".config/systemd/user" / UNIT

    @property
    def state(self) -> dict[str, Any]:
        read = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        return fake_systemctl.EMPTY | read

    def put(self, **changes: object) -> None:
        self.state_file.write_text(json.dumps(self.state | changes))


def stand_in(folder: Path, name: str, program: str, *first: str) -> None:
    folder.mkdir(exist_ok=True)
    words = " ".join([f'"{sys.executable}" -IS "{program}"', *first])
    (folder / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (folder / name).chmod(0o755)


@pytest.fixture
def linux(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Linux:
    linux = Linux(tmp_path / "home", cli)
    linux.home.mkdir()
    for name in ("systemctl", "loginctl", "journalctl"):
        stand_in(tmp_path / "bin", name, fake_systemctl.__file__, name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(linux.home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("FAKE_SYSTEMCTL_STATE", str(linux.state_file))
    linux.put(folder=str(linux.unit.parent))
    return linux


def test_a_dry_run_shows_every_step_and_does_none(linux: Linux) -> None:
    said = linux.cli.ok("service", "install", "--dry-run")
    assert said.splitlines() == [
        "These are the steps:",
        "  make ~/.config/systemd/user",
        f"  write ~/.config/systemd/user/{UNIT}, and systemctl --user daemon-reload",
        f"  systemctl --user enable {UNIT}",
        f"  systemctl --user start {UNIT}",
        "  wait until it runs",
        "It runs while you are logged in. To have it from boot on: loginctl enable-linger",
    ]
    assert not linux.unit.exists()
    assert {call[0] for call in linux.state["calls"]} == {"show"}


@pytest.mark.parametrize("what", ["install", "uninstall", "rollback", "restart", "stop"])
@pytest.mark.thorough
def test_a_dry_run_needs_no_systemd_that_answers(linux: Linux, what: str) -> None:
    linux.unit.parent.mkdir(parents=True)
    linux.unit.write_text(linux.cli.ok("service", "render"))
    linux.put(manager=False)
    said = linux.cli("service", what, "--dry-run")
    assert (said.code, said.err.count("\n")) == (0, 1), said
    assert said.err.startswith("note: nothing could be done now: systemctl --user does not answer: ")
    assert f"  systemctl --user stop {UNIT}\n" in said.out
    assert "does not answer" in linux.cli.fails("service", what)


@pytest.mark.thorough
def test_a_dry_run_without_a_systemd_or_a_unit_shows_how_it_would_be_installed(linux: Linux) -> None:
    linux.put(manager=False)
    said = linux.cli("service", "install", "--dry-run")
    assert (said.code, "enable" in said.out, "stop" in said.out) == (0, True, False)
    assert linux.cli("service", "restart", "--dry-run").code == 1


@pytest.mark.slow
@pytest.mark.thorough
def test_install_status_stop_restart_and_uninstall_as_a_person_types_them(linux: Linux) -> None:
    said = linux.cli.ok("service", "install")
    assert f"{UNIT} runs. Its log: {linux.cli.data}/jarvis-daemon.log" in said
    seen = linux.cli.json("service", "status")
    assert (seen["standing"], seen["enabled"], seen["lingers"]) == ("running", True, False)
    assert "loginctl enable-linger" in linux.cli.ok("service", "status")
    assert ("unit", f"{UNIT} runs in the user's systemd, PID {seen['pid']}") in [
        (it["subject"], it["says"]) for it in json.loads(linux.cli("doctor", "--json").out)["findings"]
    ]

    linux.cli.ok("service", "stop")
    assert linux.cli.json("service", "status")["standing"] == "down"
    assert linux.cli.ok("service", "restart", "--if-running") == "No service of yours runs; nothing to restart.\n"
    linux.cli.ok("service", "restart")
    assert linux.cli.json("service", "status")["standing"] == "running"

    linux.cli.ok("service", "uninstall")
    assert linux.cli.json("service", "status")["standing"] == "not_installed"
    assert linux.cli.ok("service", "uninstall") == "Nothing to do.\n"


def test_a_setting_that_changed_is_told_with_the_fix(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.unit.parent.mkdir(parents=True)
    linux.unit.write_text(linux.cli.ok("service", "render"))
    linux.put(read={UNIT: linux.unit.read_text()}, active="active", pid=7)
    monkeypatch.setenv("JARVIS_HISTORY_DAYS", "7")
    said = linux.cli.ok("service", "status")
    assert f"{UNIT} runs, but its file is not what installing it now would write\n" in said
    assert "to install it: jarvis-trio service install\n" in said


def test_a_service_whose_last_exit_nobody_knows_is_told_without_it(linux: Linux) -> None:
    linux.put(read={UNIT: ""}, active="failed", exit="")
    assert f"{UNIT} does not run (failed)\n" in linux.cli.ok("service", "status")
    assert linux.cli.json("service", "status")["last_exit"] is None


def test_a_service_that_a_signal_killed_is_not_said_to_have_had_an_exit_code(linux: Linux) -> None:
    linux.put(read={UNIT: ""}, active="activating", exit=9, ended_by=2)
    assert f"{UNIT} does not run (activating, auto-restart), killed by signal 9\n" in linux.cli.ok("service", "status")


def test_a_daemon_that_no_service_started_is_named_to_be_restarted_by_hand(linux: Linux) -> None:
    with DaemonLock(linux.cli.data / "jarvis-daemon.lock", linux.cli.clock.now()):
        said = linux.cli.ok("service", "restart", "--if-running")
    assert f"But a daemon runs, PID {os.getpid()}, that you started yourself: stop it, and start it again." in said


def test_without_a_systemd_of_the_user_it_is_one_line(linux: Linux) -> None:
    linux.put(manager=False)
    assert "systemctl --user does not answer" in linux.cli.fails("service", "install")
    assert not linux.unit.exists()


def test_without_any_service_manager_it_is_one_line(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(linux.home))
    assert "neither launchctl nor systemctl" in linux.cli.fails("service", "status")
    assert linux.cli.ok("service", "restart", "--if-running").startswith("No service")


def test_the_unit_file_can_be_had_as_json(linux: Linux) -> None:
    assert linux.cli.json("service", "render") == {
        "file": str(linux.unit),
        "text": linux.cli.ok("service", "render"),
    }


# On a Mac.


@pytest.mark.slow
def test_on_a_mac_it_is_the_launchd_agent(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    old_agent = home / f"Library/LaunchAgents/{OLD_LABELS[1]}.plist"
    old_agent.parent.mkdir(parents=True)
    old_agent.write_bytes(plistlib.dumps({"Label": OLD_LABELS[1], "ProgramArguments": ["/gone/python"]}))
    monkeypatch.setenv("PATH", "/nowhere")  # no systemctl
    monkeypatch.setenv("HOME", str(home))
    fake_launchd(monkeypatch, tmp_path)
    cli.ok("service", "install")
    assert cli.json("service", "status")["standing"] == "running"
    cli.ok("service", "restart")
    cli.ok("service", "stop")
    assert cli.json("service", "status")["standing"] == "not_loaded"
    assert f"{OLD_LABELS[1]} could never start" in cli.ok("service", "rollback")
    assert cli.json("service", "status")["standing"] == "not_installed"
    assert cli.ok("service", "render").startswith("<?xml")
    assert cli.json("service", "render") == cli.json("launchd", "render")


# Removing everything.


def test_purge_lists_what_the_program_made_and_leaves_what_it_did_not(linux: Linux) -> None:
    cli = linux.cli
    cli.ok("init")
    for name in ("jarvis-daemon.log", "jarvis-daemon.log.1", "approved-commands.json", "machine-id", "mine.txt"):
        (cli.data / name).touch()
    said = cli.ok("service", "uninstall", "--purge", "--dry-run")
    assert f"  {cli.path}\n" in said
    assert "mine.txt" not in said
    assert cli.path.exists()
    assert "nobody is there to be asked; give --yes" in cli("service", "uninstall", "--purge").err
    cli.ok("service", "uninstall", "--purge", "--yes")
    assert [path.name for path in cli.data.iterdir()] == ["mine.txt"]
    (cli.data / "mine.txt").unlink()
    cli.ok("service", "uninstall", "--purge", "--yes")
    assert not cli.data.exists()


@pytest.mark.thorough
def test_purge_that_nobody_can_confirm_leaves_the_service(linux: Linux) -> None:
    linux.cli.ok("init")
    linux.cli.ok("service", "install", "--anyway")
    assert "nobody is there to be asked" in linux.cli.fails("service", "uninstall", "--purge", code=2)
    assert linux.unit.exists()
    assert linux.state["active"] == "active"


@pytest.mark.slow
def test_purge_leaves_nothing_of_a_daemon_that_ran(program: Program) -> None:
    """Whoever has the program write another file adds its name to `service.purge`."""
    program("init")
    program("add", "hello", "--every", "1s", "--", "echo", "hello")
    program("allow", "echo")
    daemon = program.daemon()
    eventually(lambda: "executed" in program("history", "hello", "--json").out)
    daemon.terminate()
    daemon.wait(180)
    done = program("service", "uninstall", "--purge", "--yes")
    assert (done.code, done.err) == (0, "")
    assert not program.data.exists(), list(program.data.rglob("*"))


@pytest.mark.law(8)
def test_purge_leaves_a_database_outside_of_the_data_folder(linux: Linux, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = linux.cli
    theirs = linux.home / "assistant/memory.db"
    theirs.parent.mkdir()
    shutil.move(cli.path, theirs)
    monkeypatch.setenv("MEMORY_DB_PATH", str(theirs))
    said = cli.ok("service", "uninstall", "--purge", "--yes")
    assert "~/assistant/memory.db stays: it is not in the data folder" in said
    assert theirs.exists()


def test_purge_refuses_under_a_daemon(linux: Linux) -> None:
    cli = linux.cli
    with DaemonLock(cli.data / "jarvis-daemon.lock", cli.clock.now()):
        done = cli("service", "uninstall", "--purge", "--yes")
    assert (done.code, "works with these files; stop it first" in done.err) == (1, True)
    assert cli.path.exists()

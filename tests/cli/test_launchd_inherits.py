"""`launchd install` keeps the work of `com.chg.inbox-monitor`, which really looks for commands by message."""

from __future__ import annotations

import json
import plistlib
from pathlib import Path

import pytest

from tests.support.cli_world import Cli
from tests.support.launchd_world import GUI, fake_launchd

pytestmark = pytest.mark.slow

LABEL = "com.chg.inbox-monitor"


@pytest.fixture
def script(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The assistant's script, run by an agent that launchd holds."""
    home = tmp_path / "home"
    agents = home / "Library/LaunchAgents"
    agents.mkdir(parents=True)
    script = home / "chief/scripts/run_inbox_monitor.py"
    script.parent.mkdir(parents=True)
    script.touch()
    plist = agents / f"{LABEL}.plist"
    listed = {
        "Label": LABEL,
        "ProgramArguments": ["/bin/sh", str(script)],
        "WorkingDirectory": str(script.parents[1]),
        "EnvironmentVariables": {"PATH": "/usr/bin", "API_KEY": "hunter2"},
    }
    plist.write_bytes(plistlib.dumps(listed))
    service = {"path": str(plist), "state": "not running", "pid": None, "left": 0}
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(home))
    state = fake_launchd(monkeypatch, tmp_path)
    state.write_text(json.dumps({"services": {f"{GUI}/{LABEL}": service}}))
    return script


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jarvis_trio.cli.commands.launchd.person_is_there", lambda: True)


@pytest.mark.thorough
def test_a_dry_run_and_a_script_are_told_what_to_type(cli: Cli, script: Path) -> None:
    add = f"jarvis-trio add imessage_commands --every 5m --cwd {script.parents[1]} -- /bin/sh {script}"
    add = add.replace(f"{script.parents[2]}/", "~/")
    assert add in cli.ok("launchd", "install", "--dry-run")
    said = cli.ok("launchd", "install")
    assert add in said
    assert "That agent also sets API_KEY: give them with" in said
    assert "hunter2" not in said
    assert cli.names() == []


@pytest.mark.law(9)
def test_a_person_gets_the_task_with_its_approval(cli: Cli, script: Path, person: None) -> None:
    said = cli.ok("launchd", "install")
    assert "Added and approved imessage_commands" in said
    assert str(script) in (cli.task("imessage_commands").handler_config or "")
    assert cli.json("show", "imessage_commands")["schedule_config"] == '{"minutes": 5}'
    cli.clock.advance(minutes=6)
    cli.ok("tick")
    assert cli.runs("imessage_commands")[0].status == "executed"


@pytest.mark.thorough
def test_it_is_added_once_also_after_an_earlier_install_without_it(cli: Cli, script: Path, person: None) -> None:
    cli.ok("launchd", "install")
    cli.ok("remove", "imessage_commands", "--yes")
    cli.ok("launchd", "install")
    assert cli.names() == ["imessage_commands"]
    assert "imessage_commands" not in cli.ok("launchd", "install")

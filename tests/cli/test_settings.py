"""`settings`: each value and where it comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.support.cli_world import Cli, Program


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text("DAEMON_TICK_INTERVAL_SECONDS = 5\n")
    monkeypatch.setenv("JARVIS_SETTINGS", str(file))
    return file


def test_each_setting_is_shown_with_its_source(cli: Cli, file: Path) -> None:
    seen = cli.json("settings")
    assert seen["settings"]["DAEMON_TICK_INTERVAL_SECONDS"] == {"value": "5", "source": "settings file"}
    assert seen["settings"]["JARVIS_DATA_DIR"]["source"] == "environment"
    assert seen["settings"]["JARVIS_HISTORY_DAYS"] == {"value": "90", "source": "default"}
    assert seen["file"] == str(file)


def test_a_person_sees_the_file_and_whether_it_is_there(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.ok("settings").splitlines()[-1] == f"Settings file: {file}"
    monkeypatch.delenv("JARVIS_SETTINGS")
    monkeypatch.setenv("HOME", str(file.parent / "nobody"))
    assert cli.ok("settings").endswith("settings.toml (not there)\n")


def test_what_toml_prints_reads_as_the_same_settings(cli: Cli, file: Path) -> None:
    before = cli.json("settings")["settings"]
    printed = cli.ok("settings", "--toml")
    assert tomllib.loads(printed) == {"DAEMON_TICK_INTERVAL_SECONDS": 5, "JARVIS_DATA_DIR": str(cli.data)}
    assert "# JARVIS_HISTORY_DAYS = 90\n" in printed
    file.write_text(printed)
    after = cli.json("settings")["settings"]
    assert {name: it["value"] for name, it in after.items()} == {name: it["value"] for name, it in before.items()}


def test_a_secret_in_a_channels_configuration_is_not_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"urls": ["json://me:hunter2@example.org"]}')
    assert "hunter2" not in cli.ok("settings") + cli.ok("settings", "--json")


def test_a_bad_setting_is_one_line(cli: Cli, file: Path) -> None:
    file.write_text("DAEMON_TICK_INTERVAL_SECONDS = 0\n")
    assert "DAEMON_TICK_INTERVAL_SECONDS in " in cli.fails("settings")


@pytest.mark.slow
def test_a_foreign_config_in_the_current_folder_is_neither_run_nor_read(program: Program) -> None:
    folder = program.data.parent
    (folder / "config.py").write_text(
        'open("it-ran", "w").close()\nDATA_DIR = "/elsewhere"\nraise SystemExit("foreign")\n'
    )
    program("init")
    done = program("settings", "--json")
    assert done.code == 0, done
    assert "/elsewhere" not in done.out
    assert not (folder / "it-ran").exists()

"""Unit tests of the settings, and of `config.py` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from jarvis_trio.errors import SettingError
from jarvis_trio.settings import (
    TABLE,
    Settings,
    Source,
    default_data_dir,
    own_settings,
    read_settings,
    settings_file,
    settings_of,
)

CHECKOUT = Path(__file__).parent.parent
DATA = Path("/srv/jarvis")
NUMBERS = [name for name, setting in TABLE.items() if isinstance(setting.default, int)]
PATHS = [name for name, setting in TABLE.items() if isinstance(setting.default, Path)]


def config_module(**constants: object) -> ModuleType:
    module = ModuleType("config")
    module.__file__ = "/srv/app/config.py"
    vars(module).update(constants)
    return module


def run_in_checkout(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` where it can import `config`, with nothing of our own environment."""
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=CHECKOUT, env=bare | environment, capture_output=True, text=True, timeout=180)


def test_everything_has_a_default_below_the_data_folder() -> None:
    settings = read_settings({}, DATA)
    assert settings.data_dir == DATA
    assert settings.memory_db_path == DATA / "memory.db"
    assert settings.log_file == DATA / "jarvis-daemon.log"
    assert settings.webhook_inbox_dir == DATA / "webhook-inbox"
    assert settings.lock_file == DATA / "jarvis-daemon.lock"
    assert settings.approvals_file == DATA / "approved-commands.json"
    assert (settings.tick_interval_seconds, settings.max_concurrent_tasks) == (60, 4)
    assert settings.handler_timeout_seconds == 300
    assert (settings.history_days, settings.history_runs) == (90, 10_000)
    assert set(settings.sources.values()) == {Source.DEFAULT}


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        *[("DAEMON_LOG_FILE", f"memory.db{suffix}") for suffix in ("", "-wal", "-shm", "-journal")],
        ("DAEMON_LOG_FILE", "jarvis-daemon.lock"),
        ("DAEMON_LOG_FILE", "approved-commands.json"),
        ("MEMORY_DB_PATH", "jarvis-owners.lock"),
        ("MEMORY_DB_PATH", "secrets.env"),
    ],
)
def test_the_log_and_the_database_are_files_of_their_own(variable: str, name: str) -> None:
    with pytest.raises(SettingError, match=f"^{variable} must be a file of its own, not '{DATA / name}': that is kept"):
        read_settings({variable: str(DATA / name)}, DATA)


def test_the_environment_goes_before_the_defaults_and_the_source_is_known() -> None:
    settings = read_settings({"DAEMON_TICK_INTERVAL_SECONDS": "5", "MEMORY_DB_PATH": "/var/x.db"}, DATA)
    assert settings.tick_interval_seconds == 5
    assert settings.memory_db_path == Path("/var/x.db")
    assert settings.sources["memory_db_path"] == "environment"
    assert settings.sources["log_file"] == "default"


def test_the_data_folder_moves_what_has_its_default_below_it() -> None:
    settings = read_settings({"JARVIS_DATA_DIR": "/elsewhere"}, DATA)
    assert settings.memory_db_path == Path("/elsewhere/memory.db")
    assert settings.lock_file == Path("/elsewhere/jarvis-daemon.lock")


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("name", TABLE)
def test_an_empty_variable_is_unset(name: str, empty: str) -> None:
    assert read_settings({TABLE[name].variable: empty}, DATA) == read_settings({}, DATA)


def test_a_path_is_made_absolute_and_a_tilde_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of someone")
    settings = read_settings({"JARVIS_DATA_DIR": "here", "MEMORY_DB_PATH": "~/memory.db"}, DATA)
    assert settings.data_dir == tmp_path / "here"
    assert settings.memory_db_path == Path("/home/of someone/memory.db")


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "1_000", "1e3", "٣", "99999999999999999999", "inf", "1\n2"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_bad_number_is_refused_in_one_line_that_names_variable_value_and_limits(name: str, text: str) -> None:
    variable = TABLE[name].variable
    with pytest.raises(SettingError, match=rf"^{variable} must be a whole number of .+ from 1 to \d+, not ") as caught:
        read_settings({variable: text}, DATA)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["with\0nul", "~nobody-of-this-name/x"])
@pytest.mark.parametrize("name", PATHS)
def test_a_bad_path_is_refused_in_one_line(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"^{TABLE[name].variable} .*") as caught:
        read_settings({TABLE[name].variable: text}, DATA)
    assert repr(text) in str(caught.value)


def test_a_long_bad_value_is_cut() -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({"DAEMON_MAX_CONCURRENT_TASKS": "x" * 10_000}, DATA)
    assert len(str(caught.value)) < 250


def test_the_environment_of_the_settings_reads_as_the_same_settings() -> None:
    settings = read_settings({"JARVIS_DATA_DIR": "/elsewhere", "JARVIS_HISTORY_DAYS": "7"}, DATA)
    assert read_settings(settings.environment(), Path("/nowhere")) == settings


def test_of_an_applications_module_the_known_constants_are_read() -> None:
    module = config_module(
        DATA_DIR="/srv/app/state",
        MEMORY_DB_PATH=Path("/srv/app/memory.db"),
        SCHEDULER_HANDLER_TIMEOUT_SECONDS=120,
        DAEMON_TICK_INTERVAL_SECONDS="30",
        SECRET_KEY=object(),
    )
    settings = settings_of(module, {})
    assert settings.data_dir == Path("/srv/app/state")
    assert settings.memory_db_path == Path("/srv/app/memory.db")
    assert (settings.handler_timeout_seconds, settings.tick_interval_seconds) == (120, 30)
    assert settings.sources["handler_timeout_seconds"] == "config module"


def test_what_the_module_lacks_comes_from_the_environment_or_lies_below_its_data_folder() -> None:
    module = config_module(DATA_DIR="/srv/app/state", MEMORY_DB_PATH="", DAEMON_LOG_FILE=None)
    settings = settings_of(module, {"JARVIS_HISTORY_DAYS": "3", "JARVIS_DATA_DIR": "/other"})
    assert settings.history_days == 3
    assert settings.memory_db_path == Path("/srv/app/state/memory.db")
    assert settings.log_file == Path("/srv/app/state/jarvis-daemon.log")
    assert settings.sources["data_dir"] == "config module"
    assert settings.sources["history_days"] == "environment"


def test_a_module_without_a_data_folder_has_one_beside_it() -> None:
    assert settings_of(config_module(), {}).data_dir == Path("/srv/app/data")


@pytest.mark.parametrize("value", [True, 1.5, b"5", [5], "no"])
def test_a_bad_number_in_a_module_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match=r"^config\.DAEMON_MAX_CONCURRENT_TASKS must be"):
        settings_of(config_module(DAEMON_MAX_CONCURRENT_TASKS=value), {})


@pytest.mark.parametrize("value", [5, b"/srv", ["/srv"]])
def test_a_bad_path_in_a_module_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match=r"^config\.DATA_DIR must be a path, not"):
        settings_of(config_module(DATA_DIR=value), {})


def test_the_data_folder_of_a_checkout_is_beside_config() -> None:
    assert default_data_dir(Path("/code/config.py"), {}) == Path("/code/data")


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("darwin", {"XDG_DATA_HOME": "/xdg"}, "/home/me/Library/Application Support/Jarvis"),
        ("linux", {}, "/home/me/.local/share/jarvis"),
        ("linux", {"XDG_DATA_HOME": "/xdg"}, "/xdg/jarvis"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/jarvis"),
    ],
)
def test_the_data_folder_of_an_installed_package_is_the_users(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    installed = Path("/venv/lib/python3.11/site-packages/config.py")
    assert default_data_dir(installed, environment, platform) == Path(expected)


def test_config_holds_the_constants_of_the_table_and_no_others() -> None:
    done = run_in_checkout("import config; print(*(name for name in vars(config) if name.isupper()))")
    assert set(done.stdout.split()) == {setting.constant for setting in TABLE.values()}


def test_config_reads_the_environment_and_the_sources_survive_its_constants() -> None:
    code = (
        "import config, os; from jarvis_trio.settings import settings_of; s = settings_of(config, os.environ);"
        "print(config.MEMORY_DB_PATH, s.sources['memory_db_path'], s.data_dir, s.sources['data_dir'], sep='\\n')"
    )
    done = run_in_checkout(code, MEMORY_DB_PATH="/some.db")
    assert done.stdout.splitlines() == ["/some.db", "environment", str(CHECKOUT / "data"), "default"]


def test_importing_config_with_a_bad_value_raises_an_error_that_says_so() -> None:
    done = run_in_checkout("import config", DAEMON_TICK_INTERVAL_SECONDS="soon")
    assert done.returncode == 1
    assert "DAEMON_TICK_INTERVAL_SECONDS must be a whole number of seconds" in done.stderr
    assert "'soon'" in done.stderr.splitlines()[-1]


def test_the_alert_channel_is_text_that_a_module_may_hold_too() -> None:
    assert read_settings({"JARVIS_ALERT_CHANNEL": " email "}, DATA).alert_channel == "email"
    with pytest.raises(SettingError, match=r"^config\.JARVIS_ALERT_CHANNEL must be text, not 5"):
        settings_of(config_module(JARVIS_ALERT_CHANNEL=5), {})


def test_what_an_application_calls_by_a_common_word_is_its_own() -> None:
    module = config_module(HISTORY_DAYS="for ever", HISTORY_RUNS=7, ALERT_CHANNEL="#ops", ALERT_CONFIG={"level": 3})
    settings = settings_of(module, {})
    assert (settings.history_days, settings.history_runs) == (90, 10_000)
    assert (settings.alert_channel, settings.alert_config) == ("", "")


def test_an_empty_setting_is_not_handed_to_another_process() -> None:
    assert "JARVIS_ALERT_CHANNEL" not in read_settings({}, DATA).environment()


# The settings file.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def with_file(file: Path, text: str, **environment: str) -> Settings:
    file.write_text(text)
    return own_settings({"JARVIS_SETTINGS": str(file), **environment}, Path("/code/config.py"))


def test_the_settings_file_goes_before_the_defaults_and_the_environment_before_both(file: Path) -> None:
    text = 'DAEMON_TICK_INTERVAL_SECONDS = 5\nJARVIS_HISTORY_DAYS = "7"\nMEMORY_DB_PATH = "~/x.db"\n'
    settings = with_file(file, text, JARVIS_HISTORY_DAYS="3")
    assert (settings.tick_interval_seconds, settings.history_days) == (5, 3)
    assert settings.memory_db_path == Path.home() / "x.db"
    assert settings.sources["tick_interval_seconds"] is Source.FILE
    assert settings.sources["history_days"] is Source.ENVIRONMENT
    assert settings.sources["data_dir"] is Source.DEFAULT
    assert settings.file == file


def test_a_relative_path_in_the_file_is_relative_to_the_file(file: Path) -> None:
    """The daemon and a command have different current folders."""
    settings = with_file(file, 'JARVIS_DATA_DIR = "state"')
    assert settings.memory_db_path == file.parent / "state/memory.db"


def test_a_channels_configuration_may_be_a_table_in_the_file(file: Path) -> None:
    settings = with_file(file, '[JARVIS_ALERT_CONFIG]\nto = "me@example.org"\n')
    assert settings.alert_config == '{"to": "me@example.org"}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DAEMON_TICK_INTERVAL_SECONDS = 'soon'", r"^DAEMON_TICK_INTERVAL_SECONDS in .* must be .* not 'soon'"),
        ("DAEMON_TICK_INTERVAL_SECONDS = true", r"must be a whole number of seconds .* not True"),
        ("MEMORY_DB_PATH = 5", r"^MEMORY_DB_PATH in .*settings.toml must be a path, not 5"),
        ("MEMORY_DB = 'x'", r"unknown setting 'MEMORY_DB'; did you mean 'MEMORY_DB_PATH'\?"),
        ("zzz = 1", r"unknown setting 'zzz'; the names are JARVIS_DATA_DIR, "),
        ("= 1", r"settings.toml is not valid TOML: .*; write NAME = value, a line each"),
    ],
)
def test_a_mistake_in_the_file_is_refused_in_one_line(file: Path, text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        with_file(file, text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf_8_or_not_a_file_is_refused(file: Path) -> None:
    file.write_bytes(b"MEMORY_DB_PATH = '\xff'")
    with pytest.raises(SettingError, match="is not valid TOML"):
        own_settings({"JARVIS_SETTINGS": str(file)})
    with pytest.raises(SettingError, match="cannot read the settings file"):
        own_settings({"JARVIS_SETTINGS": str(file.parent)})
    with pytest.raises(SettingError, match="JARVIS_SETTINGS names no file"):
        own_settings({"JARVIS_SETTINGS": str(file.parent / "gone.toml")})
    with pytest.raises(SettingError, match="cannot read the settings file /dev/zero: it is larger than 16 MiB"):
        own_settings({"JARVIS_SETTINGS": "/dev/zero"})


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("darwin", {"XDG_CONFIG_HOME": "/xdg"}, "/home/me/Library/Application Support/Jarvis/settings.toml"),
        ("linux", {}, "/home/me/.config/jarvis/settings.toml"),
        ("linux", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/jarvis/settings.toml"),
        ("linux", {"JARVIS_SETTINGS": "/etc/j.toml", "XDG_CONFIG_HOME": "/xdg"}, "/etc/j.toml"),
    ],
)
def test_the_settings_file_has_a_usual_place(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert settings_file(environment, platform) == Path(expected)


def test_a_service_carries_what_the_environment_adds_and_no_copy_of_the_file(file: Path) -> None:
    text = "DAEMON_TICK_INTERVAL_SECONDS = 5\nJARVIS_HISTORY_DAYS = 7"
    environment = {"JARVIS_HISTORY_DAYS": "3"}
    settings = with_file(file, text, **environment)
    assert settings.carried(environment) == {"JARVIS_HISTORY_DAYS": "3", "JARVIS_SETTINGS": str(file)}


def test_a_service_carries_nothing_when_the_file_is_in_its_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = settings_file({})
    usual.parent.mkdir(parents=True)
    usual.write_text("JARVIS_HISTORY_DAYS = 7")
    settings = own_settings({})
    assert (settings.history_days, settings.carried({})) == (7, {})


def test_a_service_carries_the_data_folder_that_an_xdg_variable_moved() -> None:
    environment = {"XDG_DATA_HOME": "/xdg", "JARVIS_SETTINGS": os.devnull}
    settings = own_settings(environment, Path("/venv/lib/python3.11/site-packages/config.py"))
    assert settings.carried(environment)["JARVIS_DATA_DIR"] == "/xdg/jarvis"


def test_config_reads_the_settings_file_too(file: Path) -> None:
    file.write_text("DAEMON_MAX_CONCURRENT_TASKS = 9")
    done = run_in_checkout("import config; print(config.DAEMON_MAX_CONCURRENT_TASKS)", JARVIS_SETTINGS=str(file))
    assert done.stdout == "9\n"


def test_the_labels_of_a_machine_are_names_with_commas(tmp_path: Path) -> None:
    settings = read_settings({"JARVIS_LABELS": "mac, big,mac", "JARVIS_TAKES": "own"}, tmp_path)
    assert (settings.label_names, settings.takes) == (("mac", "big"), "own")
    assert read_settings({}, tmp_path).label_names == ()


@pytest.mark.parametrize(
    ("variable", "value"), [("JARVIS_LABELS", "a b"), ("JARVIS_LABELS", "mac,any"), ("JARVIS_TAKES", "all")]
)
def test_a_label_or_a_share_that_makes_no_sense_is_refused(variable: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=variable):
        read_settings({variable: value}, tmp_path)

"""The settings: from the environment, or from an application's `config` module.

Environment, module and default folder are handed over: only `config.py` and the command
line decide where settings come from.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jarvis_trio.errors import SettingError

_TEN_YEARS_SECONDS = 10 * 366 * 86_400


class Source(StrEnum):
    """Where the value of a setting comes from."""

    ENVIRONMENT = "environment"
    DEFAULT = "default"
    MODULE = "config module"


@dataclass(frozen=True)
class Settings:
    """What the program is told before it starts. Paths are absolute; links in them are kept.

    `sources` tells, for the name of each field above it, where its value comes from.
    """

    data_dir: Path
    memory_db_path: Path
    tick_interval_seconds: int
    log_file: Path
    max_concurrent_tasks: int
    handler_timeout_seconds: int
    webhook_inbox_dir: Path
    history_days: int
    history_runs: int
    alert_channel: str
    alert_config: str
    sources: Mapping[str, Source] = field(compare=False, repr=False)

    @property
    def lock_file(self) -> Path:
        """The lock that keeps a data folder to one daemon."""
        return self.data_dir / "jarvis-daemon.lock"

    @property
    def approvals_file(self) -> Path:
        """The executables that a person approved for `custom` tasks."""
        return self.data_dir / "approved-commands.json"

    def environment(self) -> dict[str, str]:
        """The environment variables that make another process read these same settings."""
        values = {setting.variable: str(getattr(self, name)) for name, setting in TABLE.items()}
        return {variable: value for variable, value in values.items() if value}


class Setting(NamedTuple):
    """One setting: its environment variable, how its value is read, and its default.

    `read` takes the name for its error message and the value, and raises SettingError.
    A default that is a path is one below the data folder.
    """

    variable: str
    read: Callable[[str, object], Path | int | str]
    default: Path | int | str

    @property
    def constant(self) -> str:
        """What the setting is called in a `config` module, which may be another program's: by no common word."""
        return "DATA_DIR" if self.variable == "JARVIS_DATA_DIR" else self.variable


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise SettingError(f"{name} must be a path, not {value!r:.100}")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:  # as pathlib puts it
        raise SettingError(f"{name} names the home of no known user: {value!r:.100}; write the path in full") from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{name} must be text, not {value!r:.100}")
    return value.strip()


def _whole_number(lowest: int, highest: int, unit: str) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        # int() by itself also takes 1_000, the digits of other alphabets and, from a module, 4.7 and True.
        text = str(value).strip()
        if not re.fullmatch("[0-9]{1,12}", text) or not lowest <= int(text) <= highest:
            raise SettingError(
                f"{name} must be a whole number of {unit} from {lowest} to {highest}, not {value!r:.100}"
            )
        return int(text)

    return read


TABLE = {
    "data_dir": Setting("JARVIS_DATA_DIR", _path, Path()),
    "memory_db_path": Setting("MEMORY_DB_PATH", _path, Path("memory.db")),
    "tick_interval_seconds": Setting(
        "DAEMON_TICK_INTERVAL_SECONDS", _whole_number(1, _TEN_YEARS_SECONDS, "seconds"), 60
    ),
    "log_file": Setting("DAEMON_LOG_FILE", _path, Path("jarvis-daemon.log")),
    "max_concurrent_tasks": Setting("DAEMON_MAX_CONCURRENT_TASKS", _whole_number(1, 256, "tasks"), 4),
    "handler_timeout_seconds": Setting(
        "SCHEDULER_HANDLER_TIMEOUT_SECONDS", _whole_number(1, _TEN_YEARS_SECONDS, "seconds"), 300
    ),
    "webhook_inbox_dir": Setting("WEBHOOK_INBOX_DIR", _path, Path("webhook-inbox")),
    "history_days": Setting("JARVIS_HISTORY_DAYS", _whole_number(1, 36_600, "days"), 90),
    "history_runs": Setting("JARVIS_HISTORY_RUNS", _whole_number(1, 1_000_000_000, "rows for each task"), 10_000),
    "alert_channel": Setting("JARVIS_ALERT_CHANNEL", _text, ""),
    "alert_config": Setting("JARVIS_ALERT_CONFIG", _text, ""),
}


def read_settings(environment: Mapping[str, str], default_data_dir: Path) -> Settings:
    """The settings that `environment` holds; what is unset or empty there has its default.

    Relative paths are relative to the current folder, and `~` is a home folder. Raises
    SettingError, naming the variable, its value and what is allowed.
    """
    return _read(environment, default_data_dir, None)


def settings_of(module: ModuleType, environment: Mapping[str, str]) -> Settings:
    """The settings of an application whose `config` module this is, ours or another's.

    Of the module only the constants of the table are read, as paths, text or whole numbers;
    what it lacks comes from `environment`, or has its default below the module's DATA_DIR.
    Raises SettingError.
    """
    return _read(environment, default_data_dir(Path(module.__file__ or "config.py"), environment), module)


def default_data_dir(config_file: Path, environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """`data/` beside `config_file`; for an installed one, where the platform keeps a user's data.

    Those places: Apple's File System Programming Guide, the XDG Base Directory Specification.
    """
    folder = config_file.absolute().parent
    if folder.name not in ("site-packages", "dist-packages"):
        return folder / "data"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Jarvis"
    base = Path(environment.get("XDG_DATA_HOME", ""))  # "a relative path is invalid and to be ignored"
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "jarvis"


def _read(environment: Mapping[str, str], data_dir: Path, module: ModuleType | None) -> Settings:
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name, setting in TABLE.items():
        below = values.get("data_dir", data_dir)
        value = below / setting.default if isinstance(setting.default, Path) else setting.default
        source = Source.DEFAULT
        if text := environment.get(setting.variable, "").strip():
            value, source = setting.read(setting.variable, text), Source.ENVIRONMENT
        constant = getattr(module, setting.constant, None)
        # Our own config.py reads the same environment: the module is the source only of what differs.
        if constant not in (None, "") and (own := setting.read(f"config.{setting.constant}", constant)) != value:
            value, source = own, Source.MODULE
        values[name], sources[name] = value, source
    return Settings(**values, sources=sources)

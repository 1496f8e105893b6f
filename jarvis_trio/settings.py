"""The settings: from the environment, the settings file, or an application's `config` module.

The order, the first that says something wins: an application's `config`, the environment, the
settings file, the default. Everything here is handed its environment; only `config.py` and a
process in the foreground decide which one that is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jarvis_trio.errors import SettingError
from jarvis_trio.notation.text import nearest_or_all
from jarvis_trio.permission import permission_fix
from jarvis_trio.reading import read_file

FILE_VARIABLE = "JARVIS_SETTINGS"
"""Names the settings file, if it is not in its usual place."""

_TEN_YEARS_SECONDS = 10 * 366 * 86_400
_KEPT = (
    "jarvis-daemon.lock",
    "jarvis-owners.lock",
    "approved-commands.json",
    "secrets.env",
    "delivery-secrets.env",
    "application.env",
)
"""The files of the data folder that no setting may name."""

_NEVER_SHOWN = frozenset({"alert_config", "database_url"})
"""People send what `doctor` prints to others, and an address of a channel can hold secrets."""

_CONFIG_FILE = Path(__file__).parents[1] / "config.py"
"""The module `config` of this checkout; in site-packages, without one, it names that folder."""


class Source(StrEnum):
    """What a setting has its value from."""

    ENVIRONMENT = "environment"
    FILE = "settings file"
    DEFAULT = "default"
    MODULE = "config module"


@dataclass(frozen=True)
class Settings:
    """What the program is told before it starts. Paths are absolute; links in them are kept.

    Attributes:
        sources: for the name of each field above it, the source of its value.
        file: the settings file that was read; None if there is none.
    """

    data_dir: Path
    memory_db_path: Path
    database_url: str
    machine: str
    labels: str
    takes: str
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
    file: Path | None = field(default=None, compare=False, repr=False)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of this machine, by which tasks may name it together with others."""
        return tuple(filter(None, self.labels.split(",")))

    @property
    def lock_file(self) -> Path:
        """The lock that keeps a data folder to one daemon."""
        return self.data_dir / "jarvis-daemon.lock"

    @property
    def approvals_file(self) -> Path:
        """The executables that a person approved for `custom` tasks."""
        return self.data_dir / "approved-commands.json"

    @property
    def outputs_dir(self) -> Path:
        """Where the outputs of runs are."""
        return self.data_dir / "runs"

    def environment(self) -> dict[str, str]:
        """The environment variables that make another process read these same settings."""
        values = {setting.variable: str(getattr(self, name)) for name, setting in TABLE.items()}
        return {variable: value for variable, value in values.items() if value}

    def carried(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables that a service needs in order to read these same settings.

        A service has nothing of the shell's environment. It reads the settings file and knows the
        defaults itself, so only what `environment` adds is carried, never a copy of the file.
        """
        values = self.environment()
        needed = {name for name, source in self.sources.items() if source is Source.ENVIRONMENT}
        if environment.get("XDG_DATA_HOME") and self.sources["data_dir"] is Source.DEFAULT:
            needed.add("data_dir")
        carried = {
            setting.variable: values[setting.variable]
            for name, setting in TABLE.items()
            if name in needed and setting.variable in values
        }
        if self.file is not None and self.file != settings_file({}):
            carried[FILE_VARIABLE] = str(self.file)
        return carried

    def shown(self) -> dict[str, dict[str, str]]:
        """Each setting by its variable, with `value` and `source`, for people and for JSON."""
        return {
            setting.variable: {
                "value": _shown(name, str(getattr(self, name))),
                "source": str(self.sources[name]),
            }
            for name, setting in TABLE.items()
        }


def _shown(name: str, value: str) -> str:
    return "set, and not shown" if value and name in _NEVER_SHOWN else value


class Setting(NamedTuple):
    """One setting.

    Attributes:
        variable: its name in the environment and in the settings file.
        read: takes the name for an error message, and the value; raises SettingError.
        default: its default; a path is one below the data folder.
    """

    variable: str
    read: Callable[[str, object], Path | int | str]
    default: Path | int | str

    @property
    def constant(self) -> str:
        """Its name in a `config` module, which may be another program's: never a common word."""
        return "DATA_DIR" if self.variable == "JARVIS_DATA_DIR" else self.variable


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise SettingError(f"{name} must be a path, not {value!r:.100}")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:  # as pathlib puts it
        says = f"{name} names the home of no known user: {value!r:.100}"
        raise SettingError(says, fix="write the path in full") from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{name} must be text, not {value!r:.100}")
    return value.strip()


def _database_url(name: str, value: object) -> str:
    text = _text(name, value)
    return require_address(name, text) if text else text


def require_address(name: str, text: str) -> str:
    """The address of a PostgreSQL server, if it is one and holds no password.

    People print and copy addresses.

    Args:
        name: what to call it in a message, which shows no more than the address's scheme.

    Raises SettingError.
    """
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        found = f", not {scheme:.100}://" if separator else ""
        raise SettingError(f"{name} must begin with postgresql://{found}")
    if re.search(r"://[^@:]*:[^@]*@", text) or "password=" in text:
        raise SettingError(f"{name} holds a password", fix="put it into ~/.pgpass (mode 0600) instead")
    return text


def _machine(name: str, value: object) -> str:
    text = _text(name, value)
    if not re.fullmatch(r"[\w.-]{0,63}", text):
        raise SettingError(f"{name} must be up to 63 letters, digits, dots and hyphens, not {text!r:.100}")
    return text


def _labels(name: str, value: object) -> str:
    """Names with commas between them, each once."""
    labels = [label.strip() for label in _text(name, value).split(",")]
    for label in labels:
        _machine(f"each of {name}", label)
        if label == "any":
            raise SettingError(f"{name} holds 'any', which every machine is", fix="use another word")
    return ",".join(dict.fromkeys(filter(None, labels)))


def _takes(name: str, value: object) -> str:
    text = _text(name, value)
    if text not in ("own", "any"):
        raise SettingError(f"{name} must be own or any, not {text!r:.100}")
    return text


def _whole_number(lowest: int, highest: int, unit: str) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        # int() alone also takes 1_000, the digits of other alphabets and, from a module, 4.7
        # and True.
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
    "database_url": Setting("JARVIS_DATABASE_URL", _database_url, ""),
    "machine": Setting("JARVIS_MACHINE", _machine, ""),
    "labels": Setting("JARVIS_LABELS", _labels, ""),
    "takes": Setting("JARVIS_TAKES", _takes, "any"),
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


def own_settings(environment: Mapping[str, str], config_file: Path = _CONFIG_FILE) -> Settings:
    """The settings of this program: from `environment`, the settings file, or the defaults.

    `config_file` is the module `config` of the checkout, beside which its data folder lies.
    Raises SettingError.
    """
    return _read(environment, default_data_dir(config_file, environment), None, _settings_file(environment))


def read_settings(environment: Mapping[str, str], default_data_dir: Path) -> Settings:
    """The settings that `environment` alone holds; what is unset or empty there has its default.

    Relative paths are relative to the current folder, and `~` is a home folder. Raises
    SettingError, naming the variable, its value and what is allowed.
    """
    return _read(environment, default_data_dir, None, None)


def settings_of(module: ModuleType, environment: Mapping[str, str]) -> Settings:
    """The settings of an application, whose `config` module this is.

    Only the constants of the table are read, as paths, text or whole numbers. What the module
    lacks comes from `environment` or the settings file, or has its default below the module's
    DATA_DIR. Raises SettingError.
    """
    folder = default_data_dir(Path(module.__file__ or "config.py"), environment)
    return _read(environment, folder, module, _settings_file(environment))


def default_data_dir(config_file: Path, environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """`data/` beside `config_file`; for an installed package, the platform's place for user data.

    Those places: Apple's File System Programming Guide, the XDG Base Directory Specification.
    """
    folder = config_file.absolute().parent
    if folder.name not in ("site-packages", "dist-packages"):
        return folder / "data"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Jarvis"
    return _xdg(environment, "XDG_DATA_HOME", ".local/share") / "jarvis"


def settings_file(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The settings file's path, whether it exists or not: `JARVIS_SETTINGS`, or the usual place."""
    if named := environment.get(FILE_VARIABLE, "").strip():
        return _path(FILE_VARIABLE, named)
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Jarvis" / "settings.toml"
    return _xdg(environment, "XDG_CONFIG_HOME", ".config") / "jarvis" / "settings.toml"


def _xdg(environment: Mapping[str, str], variable: str, default: str) -> Path:
    base = Path(environment.get(variable, ""))  # "a relative path is invalid and to be ignored"
    return base if base.is_absolute() else Path.home() / default


class _File(NamedTuple):
    """A settings file that was read: its values by variable."""

    path: Path
    values: Mapping[str, object]


def _settings_file(environment: Mapping[str, str]) -> _File | None:
    """The settings file, read; None if there is none in the usual place. Raises SettingError."""
    path = settings_file(environment)
    try:
        content = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        if not environment.get(FILE_VARIABLE, "").strip():
            return None
        raise SettingError(f"{FILE_VARIABLE} names no file: {path}", fix="write the file, or unset it") from None
    except OSError as error:
        raise SettingError(
            f"cannot read the settings file {path}: {error.strerror}", fix=permission_fix(path, error)
        ) from None
    return _File(path, _parse(path, content))


def _parse(path: Path, content: bytes) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415  # most set-ups have no settings file

    try:
        values = tomllib.loads(content.decode())
    except ValueError as error:  # of TOML, or of UTF-8
        raise SettingError(f"{path} is not valid TOML: {error}", fix="write NAME = value, a line each") from None

    known = [setting.variable for setting in TABLE.values()]
    for variable, value in values.items():
        if variable not in known:
            fix = nearest_or_all(variable, known, "the names are")
            raise SettingError(f"{path} has an unknown setting {variable!r:.100}", fix=fix)
        values[variable] = _plain(path, variable, value)
    return values


def _plain(path: Path, variable: str, value: object) -> object:
    """A value of the file as the environment would hold it; a path is relative to the file."""
    if isinstance(value, dict):  # a channel's configuration reads better as a table
        return json.dumps(value)
    default = next(setting.default for setting in TABLE.values() if setting.variable == variable)
    if isinstance(default, Path) and isinstance(value, str) and value and not value.startswith("~"):
        return str(path.parent / value)
    return value


def _read(environment: Mapping[str, str], data_dir: Path, module: ModuleType | None, file: _File | None) -> Settings:
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    for name, setting in TABLE.items():
        below = values.get("data_dir", data_dir)
        value = below / setting.default if isinstance(setting.default, Path) else setting.default
        source = Source.DEFAULT
        if file is not None and file.values.get(setting.variable, "") != "":
            value = setting.read(f"{setting.variable} in {file.path}", file.values[setting.variable])
            source = Source.FILE
        if text := environment.get(setting.variable, "").strip():
            value, source = setting.read(setting.variable, text), Source.ENVIRONMENT

        constant = getattr(module, setting.constant, None)
        # An application's config may read the same environment: it is the source only of what
        # differs.
        if constant not in (None, "") and (own := setting.read(f"config.{setting.constant}", constant)) != value:
            value, source = own, Source.MODULE
        values[name], sources[name] = value, source
    _require_files_of_their_own(values)
    return Settings(**values, sources=sources, file=None if file is None else file.path)


def _require_files_of_their_own(values: Mapping[str, Any]) -> None:
    """Raise SettingError if the log or the database is another file that this program keeps.

    Lines of the log would be written into the middle of a database.
    """
    taken = {values["data_dir"] / name: name for name in _KEPT}
    _refuse_taken("MEMORY_DB_PATH", values["memory_db_path"], taken)
    database = values["memory_db_path"]
    taken |= {database.with_name(database.name + suffix): "the database" for suffix in ("", "-wal", "-shm", "-journal")}
    _refuse_taken("DAEMON_LOG_FILE", values["log_file"], taken)


def _refuse_taken(variable: str, path: Path, taken: Mapping[Path, str]) -> None:
    if (kept := taken.get(path)) is not None:
        raise SettingError(f"{variable} must be a file of its own, not {str(path)!r}: that is kept for {kept}")

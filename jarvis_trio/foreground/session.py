"""The session of a process in the foreground: whose settings it has, and what a person is told."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from jarvis_trio.clock import Clock
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.telling import note
from jarvis_trio.settings import Settings, own_settings, settings_of


class CommandSession(Session):
    """The session of one command, with our own settings, or an application's if one was named.

    A module `config` that lies about in the current folder is another program's: it is neither
    run nor read.
    """

    def __init__(self, environment: Mapping[str, str], clock: Clock | None = None) -> None:
        super().__init__(self._read_settings, environment, clock)
        self._application: Path | None = None

    def daemons_zone(self) -> str | None:
        """As in the desk; a person is told."""
        name = super().daemons_zone()
        if name is not None:
            here = self.machine_clock.zone()
            note(f"the daemon's time zone is {name}, and here it is {here}; times are those of {name}")
        return name

    def use_application(self, folder: Path) -> None:
        """Take the settings of the application in `folder`: its modules come before all others."""
        sys.path.insert(0, str(folder.absolute()))
        sys.modules.pop("config", None)
        self._application = folder

    def _read_settings(self) -> Settings:
        if self._application is None or not _has_config(self._application):
            return own_settings(self.environment)
        return settings_of(_import_config(), self.environment)


def _has_config(folder: Path) -> bool:
    return (folder / "config.py").is_file() or (folder / "config").is_dir()


def _import_config() -> ModuleType:
    """The application's module `config`. Raises JarvisError, whatever its code raises."""
    try:
        return importlib.import_module("config")
    except JarvisError:
        raise
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(f"cannot import the module config: {type(error).__name__}: {error}") from error

"""Our unit file: a systemd service of the user, written as text.

`launchd/jarvis-daemon.service` is the same unit for people to read and to copy by hand; a test
holds the two together. Sources: systemd.service(5), systemd.exec(5), systemd.syntax(7).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jarvis_trio.errors import SystemdError
from jarvis_trio.service.daemon import PROGRAM, Daemon

UNIT = "jarvis-daemon.service"
MARK = "# Written by `jarvis-trio service install`."

_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_TEMPLATE = """\
{mark} Changes of your own belong in a drop-in:
# systemctl --user edit jarvis-daemon. The reason for each line: docs/systemd.md.

[Unit]
Description=Jarvis scheduler daemon
StartLimitIntervalSec=0

[Service]
ExecStart={command}
WorkingDirectory={folder}
{environment}EnvironmentFile=-%E/jarvis/environment
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
KillMode=mixed
TimeoutStopSec={stop_seconds}
UMask=0077

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Daemon):
    """The daemon as systemd runs it. `config_home` is the user's XDG_CONFIG_HOME."""

    config_home: Path

    @property
    def folder(self) -> Path:
        """The folder in which systemd looks for a user's units."""
        return self.config_home / "systemd/user"

    @property
    def file(self) -> Path:
        """Our unit file."""
        return self.folder / UNIT

    @property
    def drop_ins(self) -> Path:
        """The folder of the user's own changes to the unit."""
        return self.folder / f"{UNIT}.d"

    @property
    def replaced(self) -> Path:
        """Keeps a unit of that name that was not ours, for `rollback`."""
        return self.config_home / "jarvis/replaced-unit"


def render(unit: Unit) -> str:
    """The unit file. Raises SystemdError for a value that a unit file cannot hold."""
    return _TEMPLATE.format(
        mark=MARK,
        command=" ".join([_program(unit.command[0]), *map(_argument, unit.command[1:])]),
        folder=_escaped(str(unit.working_directory)),
        environment="".join(f'Environment="{_inside(f"{k}={v}")}"\n' for k, v in unit.environment.items()),
        stop_seconds=unit.stop_seconds,
    )


def is_ours(text: str) -> bool:
    """Whether a unit file was written by `install`."""
    return text.startswith(MARK)


def arguments_of(text: str) -> tuple[str, ...] | None:
    """What follows `-m jarvis_trio` in a unit file of ours; None if it is not ours.

    None too if a person changed it so that its words cannot be told apart.
    """
    try:
        words = list(_command_words(text)) if is_ours(text) else []
    except ValueError:  # a quote that is not closed
        return None
    return tuple(words[3:]) if tuple(words[1:3]) == PROGRAM else None


def _command_words(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("ExecStart="):
            words = shlex.split(line.removeprefix("ExecStart="))
            yield from (word.replace("%%", "%").replace("$$", "$") for word in words)


def _program(path: str) -> str:
    if set(path) & set("\"'\\"):  # systemd calls them special characters, quoted or not
        raise SystemdError(
            f"systemd starts no program whose path holds a quote or a backslash: {path}",
            fix="move the program to a folder with a plain name",
        )
    return _quoted(path)


def _argument(word: str) -> str:
    """A word of the command line, where `$` would be a variable, unlike in the program's path."""
    return _quoted(word.replace("$", "$$"))


def _quoted(word: str) -> str:
    plain = re.fullmatch(r"[\w@+=:,./$-]+", word, re.ASCII)
    return _escaped(word) if plain else f'"{_inside(word)}"'


def _inside(text: str) -> str:
    """Text for a pair of double quotes."""
    return _escaped(text).replace("\\", "\\\\").replace('"', '\\"')


def _escaped(text: str) -> str:
    if found := _UNWRITABLE.search(text):
        raise SystemdError(
            f"the unit cannot be written: {text!r} holds {found[0]!r}",
            fix="use paths and values of ordinary characters",
        )
    return text.replace("%", "%%")

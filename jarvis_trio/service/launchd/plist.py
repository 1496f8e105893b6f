"""Our agent's property list, built as data and written by plistlib.

It is data in Python and not a template to fill in: data is typed, needs no package data in a
wheel, and never meets text substitution in XML. `launchd/com.chg.jarvis-daemon.plist` is the same
list for people to read, with a comment on each key; a test holds the two together.

Source of the keys: launchd.plist(5).
"""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from jarvis_trio.errors import LaunchdError
from jarvis_trio.service import search_paths
from jarvis_trio.service.daemon import PROGRAM, Daemon

LABEL = "com.chg.jarvis-daemon"
OLD_LABELS = ("com.chg.scheduler-engine", "com.chg.alert-evaluator", "com.chg.inbox-monitor")
"""The three agents that this program was made to replace."""
SCHEDULER_LABEL = "com.chg.jarvis-scheduler"
"""A daemon that the existing assistant had for a day; it would run everything twice as well."""

SEARCH_PATH = search_paths.LAUNCHD

# A daemon that cannot start would fill launchd's log, which nobody rotates, every 10 s (the
# default). launchd starts one that ran for longer than this again at once.
THROTTLE_SECONDS = 30

# What XML 1.0 cannot hold (its production `Char`). plistlib refuses the control characters and lets
# the two noncharacters through: launchd would then find a file that is not well-formed.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def plist_path(home: Path) -> Path:
    """Our property list, as `install` writes it."""
    return home / "Library/LaunchAgents" / f"{LABEL}.plist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Daemon):
    """The daemon as launchd runs it, with the places on a Mac that this takes.

    `label` and `logs_folder` are others than usual for the self-test only.
    """

    label: str = LABEL
    logs_folder: Path | None = None

    @property
    def plist(self) -> Path:
        """Our property list, in the folder that launchd reads at login."""
        return self.launch_agents / f"{self.label}.plist"

    @property
    def launch_agents(self) -> Path:
        """The folder that launchd reads at login."""
        return self.home / "Library/LaunchAgents"

    @property
    def replaced(self) -> Path:
        """Keeps the plists of replaced agents, outside LaunchAgents, so that launchd does not load
        them.
        """
        return self.home / "Library/Application Support/Jarvis/replaced-agents"

    @property
    def logs(self) -> Path:
        """A folder in which launchd may open files for an agent, unlike Documents or Desktop."""
        return self.logs_folder or self.home / "Library/Logs/Jarvis"

    @property
    def standard_output(self) -> Path:
        """Takes what is printed before the program's own log is open."""
        return self.logs / "launchd-stdout.log"

    @property
    def standard_error(self) -> Path:
        """Takes the last words of a daemon that crashed or could not start."""
        return self.logs / "launchd-stderr.log"


def property_list(agent: Agent, *, background: bool = False) -> dict[str, Any]:
    """What launchd is told about `agent`; docs/launchd.md has the reason for each key.

    `background` is for a Mac without a GUI session: launchd loads an agent into `user/UID` only if
    it says so, and would otherwise load a second one into `gui/UID` when someone logs in.
    """
    return {
        "Label": agent.label,
        "ProgramArguments": agent.command,
        "WorkingDirectory": str(agent.working_directory),
        "EnvironmentVariables": {"PATH": SEARCH_PATH, **agent.environment},
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": THROTTLE_SECONDS,
        "ExitTimeOut": agent.stop_seconds,
        "StandardOutPath": str(agent.standard_output),
        "StandardErrorPath": str(agent.standard_error),
        **({"LimitLoadToSessionType": "Background"} if background else {}),
    }


def render(agent: Agent, *, background: bool = False) -> bytes:
    """The property list as XML.

    Raises LaunchdError for a value that XML cannot hold, such as a path with a control character.
    """
    listed = property_list(agent, background=background)
    for text in _texts(listed):
        if found := _NOT_XML.search(text):
            raise LaunchdError(
                f"the agent cannot be written as XML: {text!r} holds {found[0]!r}",
                fix="use paths and values of ordinary characters",
            )
    return plistlib.dumps(listed, sort_keys=False)


def _texts(value: Any) -> list[str]:
    """Every text in a property list, the keys of its dictionaries too."""
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def read_plist(path: Path) -> dict[str, Any]:
    """The property list in `path`; an empty one if there is none or it cannot be read."""
    try:
        value = plistlib.loads(path.read_bytes())
    except (OSError, ValueError, AttributeError, ExpatError):  # plistlib lets the last two out for bad XML
        return {}
    return value if isinstance(value, dict) else {}


def is_ours(listed: dict[str, Any]) -> bool:
    """Whether a property list runs this program. The existing assistant has one under the same
    label.
    """
    words = listed.get("ProgramArguments")
    return isinstance(words, list) and tuple(words[1:3]) == PROGRAM


def installed_arguments(home: Path) -> tuple[str, ...] | None:
    """What follows `-m jarvis_trio` in the installed property list; None if it is not ours."""
    listed = read_plist(plist_path(home))
    return tuple(map(str, listed["ProgramArguments"][3:])) if is_ours(listed) else None

"""Our agent's property list, built as data and written by plistlib.

It is data in Python, rather than a template that is shipped and filled in, so
that it is typed, needs no package data in a wheel, and never meets text
substitution in XML. `launchd/com.chg.jarvis-daemon.plist` is the same list for
people to read, with a comment on each key; a test holds the two together.

Source of the keys: launchd.plist(5).
"""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from jarvis_trio.errors import LaunchdError

LABEL = "com.chg.jarvis-daemon"
OLD_LABELS = ("com.chg.scheduler-engine", "com.chg.alert-evaluator", "com.chg.inbox-monitor")

PROGRAM = ("-m", "jarvis_trio")

# launchd's own default has no Homebrew, neither Apple silicon's nor Intel's.
SEARCH_PATH = "/opt/homebrew/bin:/opt/homebrew/sbin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Beyond the longest handler: 5 s from TERM to KILL, a delivery, a database that another program holds.
EXIT_MARGIN_SECONDS = 60

# A daemon that cannot start would fill launchd's log, which nobody rotates, every 10 s (the default).
# One that ran for longer than this is started again at once.
THROTTLE_SECONDS = 30


def plist_path(home: Path) -> Path:
    """Where our property list is installed."""
    return home / "Library/LaunchAgents" / f"{LABEL}.plist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """All that our property list depends on; every path is absolute.

    `python` is the venv's interpreter, its link not resolved, since it is the
    link that makes it the venv's. `settings` are the environment variables in
    force. `longest_timeout_seconds` is the longest time limit that a task has
    of its own (0: none has). `arguments` follow `-m jarvis_trio`.
    """

    home: Path
    python: Path
    working_directory: Path
    settings: Mapping[str, str]
    longest_timeout_seconds: int = 0
    arguments: tuple[str, ...] = ()

    @property
    def plist(self) -> Path:
        """Our property list, where launchd looks for it."""
        return plist_path(self.home)

    @property
    def launch_agents(self) -> Path:
        """Where launchd looks for the user's agents at login."""
        return self.plist.parent

    @property
    def replaced(self) -> Path:
        """Where the old agents' plists are kept: not in LaunchAgents, where launchd would load them."""
        return self.home / "Library/Application Support/Jarvis/replaced-agents"

    @property
    def logs(self) -> Path:
        """Where launchd may open files for an agent, unlike Documents, Desktop and Downloads."""
        return self.home / "Library/Logs/Jarvis"

    @property
    def standard_output(self) -> Path:
        """What is printed before the program's own log is open."""
        return self.logs / "launchd-stdout.log"

    @property
    def standard_error(self) -> Path:
        """The last words of a daemon that crashed, or could not start."""
        return self.logs / "launchd-stderr.log"


def property_list(agent: Agent, *, background: bool = False) -> dict[str, Any]:
    """What launchd is told about `agent`; docs/launchd.md has the reason for each key.

    `background` is for a Mac without a GUI session: launchd loads an agent
    into `user/UID` only if it says so, and would otherwise load a second one
    into `gui/UID` when someone logs in.
    """
    handler_timeout = int(agent.settings["SCHEDULER_HANDLER_TIMEOUT_SECONDS"])
    return {
        "Label": LABEL,
        "ProgramArguments": [str(agent.python), *PROGRAM, *agent.arguments],
        "WorkingDirectory": str(agent.working_directory),
        "EnvironmentVariables": {"PATH": SEARCH_PATH, **agent.settings},
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": THROTTLE_SECONDS,
        "ExitTimeOut": max(handler_timeout, agent.longest_timeout_seconds) + EXIT_MARGIN_SECONDS,
        "StandardOutPath": str(agent.standard_output),
        "StandardErrorPath": str(agent.standard_error),
        **({"LimitLoadToSessionType": "Background"} if background else {}),
    }


def render(agent: Agent, *, background: bool = False) -> bytes:
    """The property list as XML.

    Raises LaunchdError where a value cannot be written in XML, such as a path
    with a control character.
    """
    try:
        return plistlib.dumps(property_list(agent, background=background), sort_keys=False)
    except ValueError as error:
        raise LaunchdError(f"the agent cannot be written as XML ({error}); use paths of ordinary characters") from None


def read_plist(path: Path) -> dict[str, Any]:
    """The property list in `path`; an empty one where there is none, or none that can be read."""
    try:
        value = plistlib.loads(path.read_bytes())
    except (OSError, ValueError, AttributeError, ExpatError):  # plistlib lets the last two out for bad XML
        return {}
    return value if isinstance(value, dict) else {}


def installed_arguments(home: Path) -> tuple[str, ...] | None:
    """What follows `-m jarvis_trio` in the property list that is installed; None where none of ours is."""
    words = read_plist(plist_path(home)).get("ProgramArguments")
    if not isinstance(words, list) or tuple(words[1:3]) != PROGRAM:
        return None
    return tuple(map(str, words[3:]))

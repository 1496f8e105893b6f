"""The agents that ours replaces: which are loaded, what each runs, what becomes of its work."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jarvis_trio.moving.survey import OldAgent
from jarvis_trio.service.launchd.ability import command_of, message_command, why_it_cannot_start
from jarvis_trio.service.launchd.checks import privacy_folder
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import REPLACED_LABELS
from jarvis_trio.service.launchd.plist import is_ours, read_plist

_KEEPS = {
    "com.chg.scheduler-engine": "the daemon runs each task at its time",
    "com.chg.alert-evaluator": "the task with handler alert_eval does its work",
    "com.chg.jarvis-daemon": "this daemon takes its place and its label",
    "com.chg.jarvis-scheduler": "the daemon runs each task at its time",
}
_MESSAGES = "commands by message go on in the task imessage_commands, which `launchd install` adds"
_UNKNOWN = "nothing here does its work"


def old_agents(launchctl: Launchctl, home: Path) -> list[OldAgent]:
    """Those that are loaded, or would be at the next login. Raises LaunchdError."""
    return list(_old_agents(launchctl, home))


def _old_agents(launchctl: Launchctl, home: Path) -> Iterator[OldAgent]:
    for label in REPLACED_LABELS:
        services = launchctl.find_all(label)
        usual = home / "Library/LaunchAgents" / f"{label}.plist"
        places = [*(service.path for service in services if service.path is not None), usual]
        listed = next((found for place in places if (found := read_plist(place))), {})
        if (services or listed) and not is_ours(listed):
            yield OldAgent(
                label,
                bool(services),
                shlex.join(command_of(listed)),
                _keeps(label, listed),
                why_it_cannot_start(listed, home) or "",
            )


def _keeps(label: str, listed: dict[str, Any]) -> str:
    return _MESSAGES if message_command(listed) is not None else _KEEPS.get(label, _UNKNOWN)


def closed_folders(paths: Iterable[Path], home: Path) -> list[str]:
    """Which of the paths macOS closes to agents, each in a sentence."""
    found = ((path, privacy_folder(path, home)) for path in paths)
    return [f"{path} is in {folder}, which macOS closes to agents" for path, folder in found if folder is not None]
